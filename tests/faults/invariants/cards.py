"""C1 to C6: the cards, as the simulated Koha itself knows who wrote which expiry when.

What a library system without a comparing write cannot show is not asked for: a day that the desk typed
by hand while a call of ours was on its way is overwritten and leaves no trace. A renewal at the desk
does leave one (its own day of renewal), so whoever overwrote it has to have told a person.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.conftest import STRIPE
from tests.faults.actors.cards import LATEST, PATRON
from tests.faults.invariants.base import Broken, Invariant
from tests.faults.reports import Truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.model import RawRequest, Reply
    from tests.faults.setting import Setting

FIELDS = {"surname", "library_id", "category_id", "expiry_date"}
"""What a new expiry may send along: whatever else goes with it undoes what somebody else has changed."""

MAY_SLEEP = frozenset({"stall", "clock_step"})
"""Faults between the try and its call, in which another worker may have taken the payment."""


CLOCKS = frozenset({"clock_step", "clock_skew"})


@dataclass(frozen=True, slots=True)
class Write:
    """One new expiry from us: *late*: long after its call; *raced*: changed since we last read the card."""

    patron: str
    payment: str
    before: str | None
    after: str
    late: bool
    raced: bool
    over_desk: bool
    """It overwrote a card that the desk had renewed since it was sold."""


class NewExpiries(Invariant):
    """C1 and C3: each new expiry was sold and paid before; once for each sale; none is an earlier one.

    An earlier one is found, not prevented, where the call came late or somebody wrote between our
    reading and writing: if the desk has renewed the card meanwhile, there is a case.
    """

    name = "C1"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.writes: list[Write] = []
        self.problem: Broken | None = None
        self.seen: dict[str, str | None] = {}
        self.catching = False
        self.unanswered: set[str] = set()
        """Payments of whose call we got no answer."""
        if setting.sells_cards:
            self._watch_koha()
            gate, inner = setting.koha_gate, setting.koha_gate.handle

            def handle(raw: RawRequest) -> Reply | None:
                payments = self._watch(raw)
                reply = inner(raw)
                if reply is not None and (reply.status == 0 or reply.status >= 500):
                    self.unanswered.update(payments)
                return reply

            gate.handle = handle  # type: ignore[method-assign]  # it is only watched

    def _watch_koha(self) -> None:
        koha = self.setting.koha
        put, catch_up = koha.patrons.put, koha._catch_up

        def watched(patron_id: int, body: dict[str, Any], **more: Any) -> Any:
            row = koha.tables.patrons.get(patron_id)
            before = row.record["expiry_date"] if row else None
            answer = put(patron_id, body, **more)
            if row is not None and before != row.record["expiry_date"]:
                self._note(str(patron_id), before, row.record)
            return answer

        def catching_up() -> None:
            self.catching = True
            try:
                catch_up()
            finally:
                self.catching = False

        koha.patrons.put = watched  # type: ignore[method-assign]  # it is only watched
        koha._catch_up = catching_up  # type: ignore[method-assign]  # it is only watched

    def _watch(self, raw: RawRequest) -> list[str]:
        """Remember what we read of a card, and look at each new expiry; return whose it is."""
        card = PATRON.search(raw.path)
        if card is None or self.setting.scheduler.seconds < self.setting.koha_gate.outage.until:
            return []
        if raw.method == "GET":
            row = self.setting.koha.tables.patrons.get(int(card[1]))
            self.seen[card[1]] = row.record["expiry_date"] if row else None
        elif raw.method == "PUT":
            body = json.loads(raw.body)
            try:
                self._guard(card[1], body)
            except Broken as broken:
                # The simulator shall hear of it, not the program.
                self.problem = self.problem or broken
            return [row["id"] for row in self._sold(card[1], body["expiry_date"]) if row["state"] == "tried"]
        return []

    def _guard(self, patron: str, body: dict[str, Any]) -> None:
        """Hold what has to be true when a new expiry is on its way."""
        self.hold(set(body) == FIELDS, f"a new expiry goes along with {sorted(set(body) - FIELDS)}")
        rows = [row for row in self._sold(patron, body["expiry_date"]) if row["tries"]]
        self.hold(rows, f"patron {patron}: {body['expiry_date']} is sent without a try that was committed")
        self.hold(any(self._is_paid(row) for row in rows), f"{body['expiry_date']} is sent and not paid")
        if MAY_SLEEP & set(self.setting.mix.chance):
            return
        bases = {row["base"] for row in rows}
        self.hold(
            self.seen.get(patron) in bases, f"{patron} was read as {self.seen.get(patron)}, not {bases}"
        )
        now = int(self.setting.world.now().timestamp() * 1_000_000)
        for row in rows:
            in_hands = (
                not row["held"] and (row["lease_until"] or 0) > now and (row["patron_until"] or 0) > now
            )
            if in_hands and row["state"] == "tried":
                self.hold(row["doubts"] <= 3, f"{row['id']}: call {row['doubts']} without any answer")
                return
        self.hold(
            False, f"{body['expiry_date']} is sent by nobody who has the payment and the patron in hands"
        )

    def _sold(self, patron: str, until: str) -> list[Any]:
        return self.setting.query(_SOLD, patron, until)

    def _is_paid(self, row: Any) -> bool:
        if row["cents"] == 0:
            return True
        return Truth(self.setting).captured_by_payment.get(row["id"], 0) >= row["cents"]

    def _note(self, patron: str, before: str | None, record: dict[str, Any]) -> None:
        after = record["expiry_date"]
        rows = self._sold(patron, after)
        if not rows:
            self.problem = self.problem or Broken(self.name, f"patron {patron}: nobody bought {after}")
            return
        row = next((one for one in rows if one["state"] == "tried"), rows[-1])
        raced = not self.catching and before != self.seen.get(patron)
        over_desk = record["date_renewed"] != row["renewed_on"]
        self.writes.append(Write(patron, row["id"], before, after, self.catching, raced, over_desk))
        backwards = before is not None and after < before
        if backwards and not self.catching and not raced:
            self.problem = self.problem or Broken("C3", f"patron {patron}: {before} became {after}")

    def after_step(self) -> None:
        if self.problem is not None:
            raise self.problem

    def at_end(self) -> None:
        self._looked_once_more()
        told = {payment["id"] for payment in self.payments() if payment["any_case"]}
        lost = self.setting.lost.payments if self.setting.lost else set()
        for one in self.writes:
            if one.over_desk and (one.late or one.raced):
                known = one.payment in told | lost
                self.hold(known, f"{one.payment} overwrote {one.before} of the desk, and nobody was told")
        own = Counter((one.payment, one.after) for one in self.writes if not one.late and not one.raced)
        for (payment, until), times in own.items():
            self.hold(times == 1, f"{payment} changed the card to {until} {times} times")

    def _looked_once_more(self) -> None:
        """Hold that an unanswered call was remembered until nothing could come of it any more."""
        seen = {row[0] for row in self.setting.query(_LOOKED)}
        for payment in self.payments():
            if payment["id"] in self.unanswered:
                known = payment["any_case"] or payment["decided"] or payment["id"] in seen
                self.hold(known, f"{payment['id']}: a call was never answered, and nobody looked once more")


_LOOKED = "SELECT payment_id FROM audit WHERE what IN ('renewed_still', 'renewed_patron_gone')"
_SOLD = """
SELECT p.id, p.cents, p.held, p.lease_until, r.base, r.renewed_on, r.state, r.tries, r.doubts,
       (SELECT l.until FROM patron_leases l WHERE l.patron_id = p.patron_id) AS patron_until
FROM renewals r JOIN payments p ON p.id = r.payment_id JOIN private_patrons o ON o.id = p.patron_id
WHERE o.patron_ref = ? AND r.until = ? AND p.state <> 'void'
ORDER BY p.created_at, p.id
"""


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
        changes = self.setting.koha.tables.expiry_changes
        return any(
            str(one.patron_id) == row["patron_ref"] and one.by == "api" and one.after == row["until"]
            for one in changes
        )


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
                self.hold(not there, f"{row['charge_marker']}: debits {what} for a card that is not renewed")
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
