"""What the simulated Stripe remembers: objects, events and deliveries, under one lock."""

from __future__ import annotations

import copy
import random
import string
import threading
from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator.account import ENDIVE
from ils_payment_stripe.simulator.refusal import no_such

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.testing.simulator import SimulatorWorld
    from ils_payment_stripe.simulator.account import SimulatedAccount
    from ils_payment_stripe.simulator.webhooks import Outbox

Thing = dict[str, Any]
"""One API object as JSON types, with ids where the API can expand."""

_WORDS = string.ascii_letters + string.digits


class Book:
    """The objects by id, in the order in which they arose. Callers hold :attr:`lock`."""

    def __init__(
        self, world: SimulatorWorld, account: SimulatedAccount, outbox: Outbox, *, live: bool, seed: int
    ) -> None:
        """Start empty; ids come from *seed* alone. *live* is the mode of the secret key."""
        self.world = world
        self.mode = live
        self.account = account
        self.outbox = outbox
        self.lock = threading.RLock()
        self._random = random.Random(seed)
        self.opened = self.seconds()
        self.sessions: dict[str, Thing] = {}
        self.line_items: dict[str, list[Thing]] = {}
        self.intent_data: dict[str, Thing] = {}
        self.pending: dict[str, tuple[int | None, bool]] = {}
        self.intents: dict[str, Thing] = {}
        self.charges: dict[str, Thing] = {}
        self.refunds: dict[str, Thing] = {}
        self.disputes: dict[str, Thing] = {}
        self.events: dict[str, Thing] = {}
        # The balance: see the module of that name. Their ids are counted, so that they use up no chance.
        self.transactions: dict[str, Thing] = {}
        self.transaction_modes: dict[str, bool] = {}
        self.waiting: list[str] = []
        self.paid_out: dict[str, str] = {}
        self.payouts: dict[str, Thing] = {}
        self.next_payouts = 0
        self.refunds_due: dict[str, int] = {}

    def seconds(self) -> int:
        """Return the world's clock as Stripe's timestamps have it."""
        return int(self.world.now().timestamp())

    def new_id(self, prefix: str, length: int = 24) -> str:
        """Return a fresh id such as ``pi_...``."""
        return prefix + "".join(self._random.choices(_WORDS, k=length))

    def emit(self, kind: str, thing: Thing, cause: Mapping[str, str | None] | None = None) -> None:
        """Record an event with a copy of *thing* as it is now, and hand it to the outbox."""
        event: Thing = {
            "id": self.new_id("evt_1"),
            "object": "event",
            "api_version": ENDIVE,
            "created": self.seconds(),
            "data": {"object": copy.deepcopy(thing)},
            "livemode": self.live(thing),
            "pending_webhooks": 1 if kind in self.outbox.subscribed else 0,
            "request": {"id": None, "idempotency_key": None} if cause is None else dict(cause),
            "type": kind,
        }
        self.events[event["id"]] = event
        self.outbox.add(event, self.world.now())

    def live(self, thing: Thing) -> bool:
        """Return the mode of *thing*; refunds and balance transactions have no such field."""
        if "livemode" in thing:
            return bool(thing["livemode"])
        if thing["object"] == "balance_transaction":
            return self.transaction_modes[thing["id"]]
        return bool(self.charges[thing["charge"]]["livemode"])

    def session(self, key: str, *, live: bool) -> Thing:
        """Return one session of this mode, or refuse."""
        return self._of_mode(self.sessions, key, live=live, kind="checkout.session", param="session")

    def intent(self, key: str, *, live: bool) -> Thing:
        """Return one payment intent of this mode, or refuse."""
        return self._of_mode(self.intents, key, live=live, kind="payment_intent", param="intent")

    def charge(self, key: str, *, live: bool) -> Thing:
        """Return one charge of this mode, or refuse."""
        return self._of_mode(self.charges, key, live=live, kind="charge", param="id")

    def refund(self, key: str, *, live: bool) -> Thing:
        """Return one refund of this mode, or refuse."""
        return self._of_mode(self.refunds, key, live=live, kind="refund", param="refund")

    def dispute(self, key: str, *, live: bool) -> Thing:
        """Return one dispute of this mode, or refuse."""
        return self._of_mode(self.disputes, key, live=live, kind="dispute", param="dispute")

    def _of_mode(self, shelf: dict[str, Thing], key: str, *, live: bool, kind: str, param: str) -> Thing:
        thing = shelf.get(key)
        if thing is None:
            raise no_such(kind, key, param)
        if self.live(thing) != live:
            refusal = no_such(kind, key, param)
            there, here = ("test", "live") if live else ("live", "test")
            refusal.message += (
                f"; an object with this id exists in {there} mode, the key is a {here} mode key."
            )
            raise refusal
        return thing

    def endpoints(self) -> list[Thing]:
        """Return the webhook endpoint as the API shows it: in the mode of the simulator's own key."""
        if self.outbox.url is None:
            return []
        endpoint: Thing = {
            "id": "we_1SimulatedEndpoint",
            "object": "webhook_endpoint",
            "api_version": ENDIVE,
            "application": None,
            "created": self.opened,
            "description": None,
            "enabled_events": list(self.outbox.subscribed),
            "livemode": self.mode,
            "metadata": {},
            "status": "enabled",
            "url": self.outbox.url,
        }
        return [endpoint]

    def refunds_of(self, charge_id: str) -> list[Thing]:
        """Return a charge's refunds, newest first."""
        return [one for one in reversed(self.refunds.values()) if one["charge"] == charge_id]
