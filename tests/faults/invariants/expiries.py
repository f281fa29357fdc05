"""C1 and C3: new expiries, as the simulated Koha itself knows who wrote which expiry when.

What a library system without a comparing write cannot show is not asked for: a day that the desk typed
by hand while a call of ours was on its way is overwritten and leaves no trace. A renewal at the desk
does leave one (its own day of renewal), so whoever overwrote it has to have told a person.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.faults.actors.cards import PATRON
from tests.faults.invariants.base import Broken, Invariant
from tests.faults.reports import Truth

if TYPE_CHECKING:
    from ils_payment.model import RawRequest, Reply
    from tests.faults.setting import Setting

FIELDS = {"surname", "library_id", "category_id", "expiry_date"}
"""What a new expiry may send along: whatever else goes with it undoes what somebody else has changed."""

MAY_SLEEP = frozenset({"stall", "clock_step"})
"""Faults between the try and its call, in which another worker may have taken the payment."""


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
        self.seen_by: dict[tuple[str, int], str | None] = {}
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
            read = row.record["expiry_date"] if row else None
            self.seen[card[1]] = read
            self.seen_by[card[1], self._caller()] = read
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
        # Another reader may have come between, who is not the one that writes.
        read = self.seen_by.get((patron, self._caller()))
        self.hold(read in bases, f"{patron} was read as {read}, not {bases}")
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

    def _caller(self) -> int:
        """Return which task of the program makes the call that Koha answers now."""
        answering = self.setting.scheduler.current
        return id(answering.caller) if answering is not None else 0

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
            # Where the desk put the old day back, a person may let the renewal begin anew.
            (again,) = self.setting.query(_BEGUN_ANEW, payment)
            self.hold(times <= 1 + again["times"], f"{payment} changed the card to {until} {times} times")

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

_BEGUN_ANEW = "SELECT count(*) AS times FROM audit WHERE payment_id = ? AND what = 'settle_again'"
