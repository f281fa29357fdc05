"""Guards that others stand behind: each is held by itself, so that one that is gone shows at once.

The protocol has several walls one behind the other: without a claim a second payment still meets
fees that are closed, without a lease the fence still holds. So a missing wall does no harm for a
long time. These invariants look at each wall.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ils_payment_stripe.webhook import EVENTS

from tests.conftest import STRIPE
from tests.faults.invariants.base import Broken, Invariant

if TYPE_CHECKING:
    from ils_payment.model import RawRequest, Reply
    from tests.faults.remotes import StripeGate
    from tests.faults.setting import Setting

DEATHS = frozenset(
    {"kill_before_commit", "kill_after_commit", "kill_after_call", "restart_in_work", "commit_lost_before"}
    | {"commit_lost_after", "lock_timeout", "disk_full", "read_only"}
)
"""Faults after which nobody may know what came of a call."""

HARMLESS = frozenset(
    {"webhook_duplicated", "webhook_reordered", "webhook_late", "webhook_never", "webhook_forged"}
    | {"webhook_former_secret", "webhook_unknown_payment", "webhook_mangled", "double_click", "two_tabs"}
    | {"start_answer_lost", "provider_down", "provider_error", "mail_down", "dst_change", "year_end"}
    | {"back_after_days", "ils_down_minutes", "card_sold", "card_with_fees", "card_free", "card_two_tabs"}
    | {"card_by_another"}
)
"""Faults that no person needs to hear of."""

NEWS = timedelta(seconds=90)
"""What has changed in an account so long before a settle call was to be seen before the call was made."""

STALE_PROVIDER = timedelta(seconds=400)
"""A paid payment that has waited longer for its settle call is read again at the provider before."""

SLOW = frozenset({"ils_stale_read", "stall", "clock_step"})
"""Faults that may lie between a question and the call that follows from its answer."""

OLD_NEWS = timedelta(seconds=1_800)
"""The same where copies lag behind, clocks jump or workers stand still."""


class OneOpenPaymentForEachFee(Invariant):
    """A fee is in one open payment at most, which holds the claim on it until it has ended."""

    name = "claims"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.version = -1

    def after_step(self) -> None:
        commits = self.setting.kit.strings.commits
        if commits == self.version:
            return
        self.version = commits
        twice = self.setting.query(_TWICE)
        self.hold(not twice, f"two open payments for one fee: {[tuple(one) for one in twice]}")
        loose = self.setting.query(_UNCLAIMED)
        self.hold(not loose, f"an open payment does not hold its fees: {[tuple(one) for one in loose]}")
        self._void_is_void()

    def _void_is_void(self) -> None:
        over = {row["id"] for row in self.setting.query(_OVER)}
        if not over:
            return
        now = self.setting.stripe.book.world.now().timestamp()
        for session in self.setting.stripe.book.sessions.values():
            payable = session["status"] == "open" and session["expires_at"] > now
            mine = session["metadata"]["payment"]
            self.hold(not (payable and mine in over), f"{mine} is void, and its session can be paid")


_NOT_ENDED = """p.state NOT IN ('void', 'settled', 'resolved')
AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.payment_id = p.id AND a.state = 'void')"""
_TWICE = f"""
SELECT p.patron_id, l.claim_key FROM payments p JOIN payment_lines l ON l.payment_id = p.id
WHERE {_NOT_ENDED} GROUP BY p.patron_id, l.claim_key HAVING count(*) > 1
"""
_UNCLAIMED = f"""
SELECT p.id, p.state FROM payments p JOIN payment_lines l ON l.payment_id = p.id
LEFT JOIN claims c ON c.payment_id = p.id AND c.claim_key = l.claim_key
WHERE {_NOT_ENDED} AND c.payment_id IS NULL
"""
_OVER = """
SELECT id FROM payments
WHERE state = 'void' AND void_reason IN ('expired', 'cancelled', 'refused', 'not_started')
"""


class OneRequestForEachPayment(Invariant):
    """The provider gets one request under one key for each payment, however often it is repeated."""

    name = "keys"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        self.keys: dict[str, set[str]] = defaultdict(set)
        gate: StripeGate = setting.gates[STRIPE]
        inner = gate.handle

        def handle(raw: RawRequest) -> Reply | None:
            if raw.method == "POST" and raw.path == "/v1/checkout/sessions":
                key = raw.headers.get("idempotency-key", "")
                self.bodies[key].add(raw.body)
                for payment in parse_qs(raw.body.decode()).get("metadata[payment]", []):
                    self.keys[payment].add(key)
            return inner(raw)

        gate.handle = handle  # type: ignore[method-assign]  # it is only watched

    def after_step(self) -> None:
        for payment, keys in self.keys.items():
            self.hold(len(keys) == 1, f"{payment} was asked for under {len(keys)} keys")
        for key, bodies in self.bodies.items():
            self.hold(len(bodies) == 1, f"{len(bodies)} requests under the key {key}")


class AcknowledgedIsStored(Invariant):
    """A webhook that was answered with 200 is in the ledger."""

    name = "acknowledged"

    def at_end(self) -> None:
        stored = {row["key"] for row in self.setting.query("SELECT key FROM notices")}
        if self.setting.lost is not None:
            stored |= self.setting.lost.notices
        for key, delivery in self.setting.stripe._outbox.deliveries.items():
            if delivery.state == "delivered" and delivery.event["type"] in EVENTS:
                self.hold(
                    key in stored, f"{key} ({delivery.event['type']}) was acknowledged and is not stored"
                )


class SettleCallsAreGuarded(Invariant):
    """What has to be true at the moment at which a settle call reaches Koha."""

    name = "settle calls"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.calls: Counter[str] = Counter()
        self.problem: str | None = None
        gate = setting.koha_gate
        inner = gate.handle

        def handle(raw: RawRequest) -> Reply | None:
            arrives = setting.scheduler.seconds >= gate.outage.until
            if arrives and raw.method == "POST" and raw.path.endswith("/account/credits"):
                try:
                    self._look(json.loads(raw.body), int(raw.path.split("/")[-3]))
                except Broken as broken:
                    # The hub shall hear of it, not the program.
                    self.problem = self.problem or broken.what
            return inner(raw)

        gate.handle = handle  # type: ignore[method-assign]  # it is only watched

    def after_step(self) -> None:
        self.hold(self.problem is None, str(self.problem))

    def _look(self, asked: dict[str, Any], patron: int) -> None:
        marker = str(asked.get("note"))
        found = self.setting.query(_CALL, marker)
        self.hold(len(found) == 1, f"a call with the marker {marker!r} of no order")
        (order,) = found
        self.calls[marker] += 1
        # What a restored ledger has forgotten may be done again once it was compared.
        sent = order["doubtful"] if self.setting.lost is not None else self.calls[marker]
        self.hold(sent <= 3, f"{marker} was sent {sent} times")
        proof = self.setting.query("SELECT 1 FROM credit_orders WHERE confirmed_at IS NOT NULL LIMIT 1")
        first = self.calls[marker] == 1 or (self.setting.lost is not None and order["doubtful"] == 1)
        self.hold(first or proof, f"{marker} was sent again without a proof of reading")
        refs = {row["fee_ref"] for row in self.setting.query(_LINES, order["payment_id"])}
        asked_for = {str(line) for line in asked.get("account_lines_ids", [])}
        self.hold(asked_for <= refs and asked_for, f"{marker} pays the lines {asked_for} instead of {refs}")
        self._is_ours(order)
        self._stands(order, refs, patron)
        if not {"stall", "clock_step"} & set(self.setting.mix.chance):
            self._is_in_hands(order)

    def _is_ours(self, order: Any) -> None:
        for session in self.setting.stripe.book.sessions.values():
            if session["metadata"]["payment"] == order["payment_id"] and session["payment_status"] == "paid":
                right = session["client_reference_id"] == order["payment_id"] and not session.get(
                    "of_other_mode"
                )
                self.hold(right, f"{order['marker']}: the session has another reference or mode")

        self._is_still_there(order)

    def _is_still_there(self, order: Any) -> None:
        """Hold that money which left the provider long ago is not settled any more."""
        mix = set(self.setting.mix.chance)
        if {"provider_down", "provider_error"} & mix:
            return
        book = self.setting.stripe.book
        patience = OLD_NEWS if SLOW & mix else STALE_PROVIDER
        before = (self.setting.stripe.book.world.now() - patience).timestamp()
        intents = {
            one["id"]: one["amount_received"]
            for one in book.intents.values()
            if one["metadata"].get("payment") == order["payment_id"]
        }
        gone = sum(
            one["amount"]
            for one in [*book.refunds.values(), *book.disputes.values()]
            if one["payment_intent"] in intents
            and one["status"] not in {"won", "failed"}
            and one["created"] <= before
        )
        # Of a payment of which a line went back, persons may let the others be settled.
        left = sum(intents.values()) - gone
        self.hold(not gone or order["cents"] <= left, f"{order['marker']} settles what was given back")

    def _is_in_hands(self, order: Any) -> None:
        now = int(self.setting.world.now().timestamp() * 1_000_000)
        self.hold(not order["held"], f"{order['marker']} is sent for a payment that waits for a person")
        self.hold((order["lease_until"] or 0) > now, f"{order['marker']} is sent without a lease")
        self.hold(order["fence"] == order["try_fence"], f"{order['marker']} is sent under an old fence")
        self.hold((order["patron_until"] or 0) > now, f"{order['marker']} is sent without the patron's lease")

    def _stands(self, order: Any, refs: set[str], patron: int) -> None:
        """Hold that whatever has changed long ago in the account was seen."""
        tables = self.setting.koha.tables
        if patron not in tables.patrons:
            return
        slow = SLOW & set(self.setting.mix.chance)
        since = self.setting.koha.world.now() - (OLD_NEWS if slow else NEWS)
        lines = tables.lines_of(patron)
        if any(line.timestamp > since or line.date > since for line in lines):
            return
        still = sum(int(line.outstanding * 100) for line in lines if str(line.line_id) in refs)
        balance = sum(int(line.outstanding * 100) for line in lines)
        self.hold(still >= order["cents"], f"{order['marker']} pays {order['cents']}, {still} were open")
        self.hold(balance >= order["cents"], f"{order['marker']} pays {order['cents']}, {balance} were owed")


_CALL = """
SELECT o.payment_id, o.marker, o.cents, p.held, p.fence, p.lease_until,
       (SELECT count(*) FROM credit_tries t WHERE t.order_id = o.id
        AND coalesce(t.outcome, 'unclear') = 'unclear') AS doubtful,
       (SELECT t.fence FROM credit_tries t WHERE t.order_id = o.id
        ORDER BY t.number DESC LIMIT 1) AS try_fence,
       (SELECT l.until FROM patron_leases l WHERE l.patron_id = p.patron_id) AS patron_until
FROM credit_orders o JOIN payments p ON p.id = o.payment_id WHERE o.marker = ?
"""
_LINES = """
SELECT coalesce(l.fee_ref, (SELECT r.charge_ref FROM renewals r WHERE r.line_id = l.id)) AS fee_ref
FROM payment_lines l WHERE l.payment_id = ?
"""
"""The fees of a payment; a renewed card's is the debit that was charged for it."""


class ResultsAreRecorded(Invariant):
    """A confirmed order names the credit that Koha has; a call whose caller lived on has a result."""

    name = "results"

    def at_end(self) -> None:
        notes = {str(line.line_id): line.note for line in self.setting.koha.tables.lines.values()}
        for order in self.setting.query("SELECT * FROM credit_orders WHERE state = 'applied'"):
            noted = notes.get(str(order["remote_ref"]))
            self.hold(noted == order["marker"], f"{order['marker']} is confirmed by the credit of {noted!r}")
        # A backup is put back into stopped processes, which were perhaps at a call.
        if self.setting.lost is None and not DEATHS & set(self.setting.mix.fired):
            open_tries = self.setting.query("SELECT order_id, number FROM credit_tries WHERE outcome IS NULL")
            self.hold(not open_tries, f"tries without a result: {[tuple(one) for one in open_tries]}")


class OwnFeesOnly(Invariant):
    """What a payment without a case has credited was used for its own fees and no others."""

    name = "own fees"

    def at_end(self) -> None:
        used: dict[str, set[str]] = defaultdict(set)
        for offset in self.setting.koha.tables.offsets:
            used[str(offset.credit_id)].add(str(offset.debit_id))
        for order in self.setting.query(_SILENT):
            own = {row["fee_ref"] for row in self.setting.query(_LINES, order["payment_id"])}
            other = used[str(order["remote_ref"])] - own
            self.hold(not other, f"{order['marker']} was used for the fees {other} of nobody's payment")


_SILENT = """
SELECT o.payment_id, o.marker, o.remote_ref FROM credit_orders o WHERE o.state = 'applied'
AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.payment_id = o.payment_id)
"""


class NoCaseForNothing(Invariant):
    """Nobody is called for what goes its ordinary way."""

    name = "needless case"

    def at_end(self) -> None:
        struck = {name for name, count in self.setting.mix.fired.items() if count}
        if not struck <= HARMLESS | DEATHS:
            return
        allowed = {"unclear"} if struck & DEATHS else set()
        cases = {row["kind"] for row in self.setting.query("SELECT kind FROM cases")}
        self.hold(cases <= allowed, f"cases {cases} although only {struck} happened")


GUARDS: tuple[type[Invariant], ...] = (
    OneOpenPaymentForEachFee,
    OneRequestForEachPayment,
    AcknowledgedIsStored,
    SettleCallsAreGuarded,
    ResultsAreRecorded,
    OwnFeesOnly,
    NoCaseForNothing,
)
