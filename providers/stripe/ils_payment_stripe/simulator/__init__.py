"""A simulated Stripe: hosted Checkout, the API operations that an integration needs, signed webhooks.

It imitates the API of 2026-10-28.endive as the SDK 16 speaks it. Requests are held against the
SDK's own types; states, idempotency and signatures follow Stripe's documentation. Wordings are
our own.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ils_payment.model import RawRequest, Reply
from ils_payment.testing.simulator import RealWorld
from ils_payment_stripe.simulator.account import SimulatedAccount
from ils_payment_stripe.simulator.api import Api, is_live
from ils_payment_stripe.simulator.book import Book
from ils_payment_stripe.simulator.faults import Faults
from ils_payment_stripe.simulator.page import Page
from ils_payment_stripe.simulator.payer import Payer
from ils_payment_stripe.simulator.refusal import NotPayableError, Refusal
from ils_payment_stripe.simulator.sender import Sender
from ils_payment_stripe.simulator.webhooks import RETRY_SECONDS, Outbox, Parcel, WebhookSwitches

if TYPE_CHECKING:
    from ils_payment.testing.simulator import SimulatorWorld

__all__ = ["NotPayableError", "Parcel", "SimulatedAccount", "StripeSimulator", "WebhookSwitches"]

DEMO_RETRY_SECONDS = (1, 2, 4, 8, 15, 30, 60, 120)


class StripeSimulator(Payer):
    """One Stripe account with one webhook endpoint.

    Beside :meth:`handle` and :meth:`truth` there are the hands of the payer and of the clock
    (``pay``, ``decline``, ``pay_pending``, ...: see :class:`Payer`) and the switches ``account``,
    ``faults`` and ``webhooks``.
    """

    def __init__(  # noqa: PLR0913 - each is a switch with a default, given by name
        self,
        world: SimulatorWorld | None = None,
        *,
        api_key: str = "sk_test_simulator",
        webhook_secret: str = "whsec_simulator",  # noqa: S107 - it guards play money
        webhook_url: str | None = None,
        public_url: str | None = None,
        seed: int = 0,
        account: SimulatedAccount | None = None,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        latency_seconds: float = 0.0,
    ) -> None:
        """Open an account.

        *api_key* decides the mode (``sk_live_`` or ``sk_test_``). *webhook_url* is where
        :meth:`start_sender` posts to; without it deliveries only wait in the outbox.
        *public_url* is the address of the hosted page; without it the ``Host`` of the request
        that made the session. *latency_seconds* is what each API request takes.
        """
        self.account = account or SimulatedAccount()
        self.public_url = public_url
        self._outbox = Outbox(webhook_secret, webhook_url, retry_seconds)
        live = is_live(api_key)
        self.book = Book(world or RealWorld(), self.account, self._outbox, live=live, seed=seed)
        self.faults = Faults()
        self._api = Api(self, self.faults, api_key, latency_seconds)
        self._page = Page(self)
        self._sender = Sender(self)

    @classmethod
    def demo(cls, **options: Any) -> StripeSimulator:  # noqa: ANN401 - the constructor's own options
        """Return the account of ``ils-payment demo``: cards and Pay by Bank, descriptors allowed."""
        account = SimulatedAccount(card_descriptor_allowed=True, pending_seconds=10, refund_seconds=10)
        return cls(account=account, retry_seconds=DEMO_RETRY_SECONDS, **options)

    @property
    def webhooks(self) -> WebhookSwitches:
        """Return the switches of the deliveries."""
        return self._outbox.switches

    @property
    def webhook_url(self) -> str | None:
        """Return where webhooks are posted to; set it when the product's address is known."""
        return self._outbox.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self._outbox.url = url

    def roll_key(self, api_key: str) -> None:
        """Replace the secret key, as somebody does in the dashboard; the old one is refused from now on."""
        self._api.api_key = api_key

    def handle(self, request: RawRequest) -> Reply:
        """Answer one request to the API or the hosted page."""
        self.tick()
        if request.path.startswith("/v1/"):
            return self._api.handle(request, self._address(request))
        if request.path.startswith("/c/pay/") and request.method in {"GET", "POST"}:
            return self._page.handle(request)
        return Refusal(404, f"Unrecognized request URL ({request.method}: {request.path}).").reply()

    def _address(self, request: RawRequest) -> str:
        """Return where the browser finds the hosted page."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = request.headers.get("host")
        return f"http://{host}" if host else "https://checkout.stripe.com"

    # --- webhooks -----------------------------------------------------------------------------

    def due_deliveries(self) -> list[Parcel]:
        """Take every webhook that is due now, signed and ready to be sent.

        Report what came of each with :meth:`answered`: a parcel that is not reported is never
        sent again.
        """
        self.tick()
        with self.book.lock:
            return self._outbox.take_due(self.book.world.now())

    def answered(self, parcel: Parcel, status: int | None) -> None:
        """Note the endpoint's answer (None: there was none); anything but a 2xx is repeated later."""
        with self.book.lock:
            self._outbox.answered(parcel.event_id, status, self.book.world.now())

    def start_sender(self) -> None:
        """Post due webhooks to ``webhook_url`` from a thread, until :meth:`stop_sender`."""
        self._sender.start()

    def stop_sender(self) -> None:
        """Stop the thread; what is waiting keeps waiting."""
        self._sender.stop()

    # --- ground truth -------------------------------------------------------------------------

    def truth(self) -> dict[str, Any]:
        """Return the whole state as JSON types, with ``captured`` and ``refunded`` cents by currency."""
        self.tick()
        book, api = self.book, self._api
        with book.lock:
            captured: dict[str, int] = {}
            refunded: dict[str, int] = {}
            for charge in book.charges.values():
                currency = charge["currency"]
                captured[currency] = captured.get(currency, 0) + charge["amount_captured"]
                refunded[currency] = refunded.get(currency, 0) + charge["amount_refunded"]
            return {
                "account": self.account.id,
                "sessions": copy.deepcopy(book.sessions),
                "payment_intents": copy.deepcopy(book.intents),
                "charges": copy.deepcopy(book.charges),
                "refunds": copy.deepcopy(book.refunds),
                "disputes": copy.deepcopy(book.disputes),
                "balance_transactions": copy.deepcopy(book.transactions),
                "payouts": copy.deepcopy(book.payouts),
                "paid_out": dict(book.paid_out),
                "captured": captured,
                "refunded": refunded,
                "events": [{"id": one["id"], "type": one["type"]} for one in book.events.values()],
                "deliveries": [one.as_truth() for one in self._outbox.deliveries.values()],
                "idempotency_keys": dict(api.keys.seen),
                "requests": dict(api.requests),
                "answers": {str(status): count for status, count in api.answers.items()},
                "api_versions": dict(api.versions),
                "paused_seconds": api.paused,
            }
