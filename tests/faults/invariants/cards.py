"""C2, C4, C5 and C6: what was paid for a card is renewed and booked once, or a person knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conftest import STRIPE
from tests.faults.actors.cards import LATEST, PATRON
from tests.faults.invariants.base import Invariant
from tests.faults.invariants.expiries import NewExpiries

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.model import RawRequest, Reply
    from tests.faults.setting import Setting

CLOCKS = frozenset({"clock_step", "clock_skew"})


class PaidCardsAreRenewed(Invariant):
    """C2 and C6: what was paid is renewed, or a person knows, or the money is on its way back."""

    name = "C2"

    def at_end(self) -> None:
        payments = {one["id"]: one for one in self.payments()}
        for row in self.setting.query(_RENEWALS):
            payment = payments[row["payment_id"]]
            if payment["state"] in {"void", "created", "open", "pending"}:
                continue
            known = payment["any_case"] or payment["decided"]
            self.hold(
                row["state"] == "renewed" or known, f"{payment['id']}: paid, its card is {row['state']}"
            )
            ended = row["state"] in {"renewed", "given_up"} and row["charge_state"] not in {"due", "tried"}
            stays = payment["held"] or payment["state"] == "resolved" or self._waits(payment, payments)
            self.hold(
                ended or stays, f"{payment['id']}: the card stays {row['state']}, {row['charge_state']}"
            )
            if row["state"] == "renewed" and row["patron_ref"] is not None:
                self.hold(
                    self._was_seen(row),
                    f"{payment['id']} counts as renewed until {row['until']}, it never was",
                )
            elif payment["state"] == "settled":
                self.hold(False, f"{payment['id']} is settled, its card is {row['state']}")
            self._asked_before(payment)
            self.hold(
                not row["doubts"] or known or payment["held"],
                f"{payment['id']}: a call of ours was never answered, and nobody looked once more",
            )

    def _asked_before(self, payment: dict[str, Any]) -> None:
        """Hold that a card is extended by another day than was bought only when a person says so."""
        on_top = self.setting.query(_ON_TOP, payment["id"])
        self.hold(not on_top or payment["decided"], f"{payment['id']}: extended on top, and nobody was asked")

    def _waits(self, payment: dict[str, Any], payments: dict[str, dict[str, Any]]) -> bool:
        """Tell whether another payment of the patron, which a person has to decide, is in front of it."""
        return any(one["held"] and one["patron_id"] == payment["patron_id"] for one in payments.values())

    def _was_seen(self, row: Any) -> bool:
        changes = [
            one for one in self.setting.koha.tables.expiry_changes if str(one.patron_id) == row["patron_ref"]
        ]
        sold = [one for one in changes if one.after == row["until"]]
        if any(one.by == "api" for one in sold):
            return True
        # A desk that renews twice on one day, the second time to the very day that a call without an answer
        # asked for: nothing in Koha tells the one from the other.
        unclear = self.setting.query(_UNCLEAR, row["payment_id"])
        desk = {one.at.date() for one in changes if one.by == "desk" and one not in sold}
        return bool(unclear) and any(one.by == "desk" and one.at.date() in desk for one in sold)


_UNCLEAR = """
SELECT 1 FROM audit WHERE payment_id = ? AND what IN ('renew_try', 'renew_not_applied', 'renew_renewed')
GROUP BY payment_id HAVING sum(what = 'renew_try') > sum(what <> 'renew_try')
"""
"""A call without an answer leaves a try without a result; also where the process died over it."""

_ON_TOP = "SELECT 1 FROM audit WHERE payment_id = ? AND what = 'renewal_on_top'"


class NoMoneyBackForRenewedCards(Invariant):
    """C5: before a card's money goes back, whoever does not know what came of a call looks at the card."""

    name = "C5"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.problem: str | None = None
        self.read_at: dict[str, int] = {}
        """When each card was read last, by our clock."""
        # Where our own clock jumps, nobody can say how long ago a call was made.
        if setting.sells_cards and not CLOCKS & set(setting.mix.chance):
            self._watch(setting.koha_gate, self._note)
            self._watch(setting.gates[STRIPE], self._look)

    def _watch(self, gate: Any, see: Callable[[RawRequest], None]) -> None:
        inner = gate.handle

        def handle(raw: RawRequest) -> Reply | None:
            if self.setting.scheduler.seconds >= gate.outage.until:
                see(raw)
            return inner(raw)

        gate.handle = handle

    def _now(self) -> int:
        return int(self.setting.world.now().timestamp() * 1_000_000)

    def _note(self, raw: RawRequest) -> None:
        card = PATRON.search(raw.path)
        if card is not None and raw.method == "GET":
            self.read_at[card[1]] = self._now()

    def _look(self, raw: RawRequest) -> None:
        if raw.method != "POST" or raw.path != "/v1/refunds":
            return
        asked = raw.body.decode()
        for intent in self.setting.stripe.book.intents.values():
            if intent["id"] not in asked:
                continue
            for row in self.setting.query(_DOUBTFUL, intent["metadata"].get("payment", "")):
                looked = self.read_at.get(row["patron_ref"], 0) > row["tried_at"] + LATEST * 1_000_000
                if not looked:
                    self.problem = f"{row['id']}: money goes back, and nobody looked at the card"

    def after_step(self) -> None:
        self.hold(self.problem is None, str(self.problem))


_DOUBTFUL = """
SELECT p.id, r.tried_at, o.patron_ref FROM renewals r JOIN payments p ON p.id = r.payment_id
JOIN private_patrons o ON o.id = p.patron_id
WHERE p.id = ? AND r.state <> 'renewed' AND r.doubts > 0 AND p.state IN ('paid', 'settling', 'unknown')
"""


class CardsAreBooked(Invariant):
    """C4 and C5: one debit for each renewed card, of its cents, paid by the payment's own credit."""

    name = "C4"

    def at_end(self) -> None:
        tables = self.setting.koha.tables
        debits: dict[str, list[Any]] = {}
        for line in tables.lines.values():
            if line.credit_type is None and line.note.startswith("ILSP-"):
                debits.setdefault(line.note, []).append(line)
        payments = {one["id"]: one for one in self.payments()}
        for row in self.setting.query(_RENEWALS):
            payment, there = payments[row["payment_id"]], debits.get(row["charge_marker"] or "", [])
            known = payment["any_case"] or payment["decided"]
            what = [(int(one.amount * 100), int(one.outstanding * 100)) for one in there]
            fits = all(cents == row["cents"] for cents, _ in what)
            self.hold(len(there) <= 1 and fits, f"{row['charge_marker']}: debits {what}, not {row['cents']}")
            if row["state"] != "renewed":
                # A restored ledger has forgotten the debit; the credit for it is a case then.
                forgotten = self.setting.lost is not None and known
                self.hold(
                    forgotten or not there,
                    f"{row['charge_marker']}: debits {what} for a card that is not renewed",
                )
            self.hold(
                known or all(left == 0 for _, left in what),
                f"{row['charge_marker']}: {what} is left as a debt",
            )
            if known or payment["state"] != "settled":
                continue
            wanted = [(row["cents"], 0)] if row["cents"] else []
            self.hold(what == wanted, f"{payment['id']}: debits {what}, not {wanted}")
            if there:
                self._is_paid_by_own_credit(payment, there[0])

    def _is_paid_by_own_credit(self, payment: dict[str, Any], debit: Any) -> None:
        tables = self.setting.koha.tables
        notes = {tables.lines[one.credit_id].note for one in tables.offsets if one.debit_id == debit.line_id}
        own = set((payment["markers"] or "").split(","))
        self.hold(notes and notes <= own, f"{payment['id']}: its card's debit was paid by {notes}")


_RENEWALS = """
SELECT r.*, l.cents, o.patron_ref FROM renewals r
JOIN payments p ON p.id = r.payment_id JOIN payment_lines l ON l.id = r.line_id
JOIN private_patrons o ON o.id = p.patron_id ORDER BY p.created_at, p.id
"""

CARDS: tuple[type[Invariant], ...] = (
    NewExpiries,
    PaidCardsAreRenewed,
    NoMoneyBackForRenewedCards,
    CardsAreBooked,
)
