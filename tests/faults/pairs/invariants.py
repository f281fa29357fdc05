"""What has to hold for every pair, whatever its plugins can do: one credit at most, or a person who knows.

What an invariant compares is what the stands tell of their own books, never what a plugin reads there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ils_payment.flows.verify import verify
from ils_payment.model import RefundSupport
from tests.faults.invariants.afterwards import a_house
from tests.faults.invariants.base import Invariant

if TYPE_CHECKING:
    from tests.faults.pairs.stage import PairStage


class PairInvariant(Invariant):
    """An invariant that looks into the books of both sides."""

    def __init__(self, stage: PairStage) -> None:
        super().__init__(stage)  # type: ignore[arg-type]  # what it needs of a stage is there
        self.stage = stage

    def credits(self) -> dict[str, list[int]]:
        """Return the cents of every credit with a marker of ours, by marker."""
        found: dict[str, list[int]] = {}
        for person in self.stage.people:
            for one in self.stage.library.credits(person):
                if one.marker:
                    found.setdefault(one.marker, []).append(one.cents)
        return found

    def taken(self) -> Counter[str]:
        """Return the cents that payers have really paid, by payment."""
        taken: Counter[str] = Counter()
        for one in self.stage.truth.taken:
            taken[one.payment_id] += one.cents
        return taken

    def credited(self) -> Counter[str]:
        """Return the cents of our credits in the library's books, by payment."""
        there, found = self.credits(), Counter[str]()
        for payment in self.payments():
            for marker in (payment["markers"] or "").split(","):
                found[payment["id"]] += sum(there.get(marker, ()))
        return found

    def given_back(self) -> Counter[str]:
        """Return the cents that left the provider again, by payment."""
        back: Counter[str] = Counter()
        if self.stage.provider_can.refund is RefundSupport.NONE:
            return back
        for payment_id, session in {(one.payment_id, one.session_ref) for one in self.stage.truth.taken}:
            back[payment_id] += sum(one.cents for one in self.stage.provider.refunds(session) if one.counts)
        return back


class OneCredit(PairInvariant):
    """A marker is never booked twice, and no credit is larger than the money that was taken for it."""

    name = "one credit"

    def after_posting(self) -> None:
        self._look()

    def at_end(self) -> None:
        self._look()

    def _look(self) -> None:
        for marker, cents in self.credits().items():
            self.hold(len(cents) == 1, f"{marker} was booked {len(cents)} times: {cents}")
        taken = self.taken()
        for who, booked in self.credited().items():
            self.hold(booked <= taken[who], f"{who}: {booked} booked, {taken[who]} taken")


class CreditOrPerson(PairInvariant):
    """Every cent that was taken is booked, has gone back, or lies with a person who knows."""

    name = "a credit or a person"

    def at_end(self) -> None:
        taken, credited, back = self.taken(), self.credited(), self.given_back()
        for payment in self.payments():
            who, cents = payment["id"], taken[payment["id"]]
            if not cents:
                self.hold(payment["captured"] == 0, f"{who}: {payment['captured']} were never paid")
                self.hold(not credited[who], f"{who}: {credited[who]} booked, and nothing paid")
                continue
            known = payment["captured"] == cents
            self.hold(known, f"{who}: {cents} paid, {payment['captured']} known, {payment['state']}")
            person = payment["open_case"] or payment["decided"]
            whole = payment["state"] == "settled" and credited[who] == cents - self._uncharged(who)
            self.hold(
                whole or person or back[who] == cents,
                f"{who} is {payment['state']}: {cents} paid, {credited[who]} booked, {back[who]} gone back",
            )
            self.hold(
                credited[who] <= payment["cents"], f"{who}: {credited[who]} booked of {payment['cents']}"
            )

    def _uncharged(self, payment_id: str) -> int:
        """Return what a renewed card costs, where the library system has no debit for it."""
        if self.stage.can.can_charge:
            return 0
        (row,) = self.stage.query(_CARD, payment_id)
        return int(row["cents"])


_CARD = """
SELECT coalesce(sum(cents), 0) AS cents FROM payment_lines
WHERE payment_id = ? AND claim_key = 'card-renewal'
"""


class Cards(PairInvariant):
    """A card is renewed once for each payment, never backwards; paid and not renewed is with a person."""

    name = "cards"

    def at_end(self) -> None:
        if not self.stage.sells_cards:
            return
        written = [self.stage.library.expiries(person) for person in self.stage.people]
        by_desk = self.stage.truth.desk_renewals
        for days in written:
            # A desk may renew from today on, a card that we have renewed from its end on.
            self.hold(by_desk or days == sorted(days), f"a card ended earlier again: {days}")
        rows = self.stage.query(_RENEWALS)
        tried = sum(1 for row in rows if row["tries"])
        # To write the same day once more renews nothing.
        there = sum(len(set(days)) for days in written) - by_desk
        self.hold(there <= tried, f"{there} times renewed by us, for {tried} payments: {written}")
        shown = {day.isoformat() for one in written for day in one}
        for row in rows:
            renewed = row["until"] in shown
            person = row["open_case"] or row["decided"]
            sold = row["state"] == "settled" and not person
            self.hold(renewed or not sold, f"{row['id']} is settled, and no card ends on {row['until']}")


_RENEWALS = """
SELECT p.id, p.state, r.until, r.tries,
       EXISTS (SELECT 1 FROM cases c WHERE c.payment_id = p.id AND c.closed_at IS NULL) AS open_case,
       EXISTS (SELECT 1 FROM cases c WHERE c.payment_id = p.id AND c.closed_at IS NOT NULL) AS decided
FROM renewals r JOIN payments p ON p.id = r.payment_id
"""


class Surplus(PairInvariant):
    """What we booked and no fee took is a case: a payment at the desk in the same moment is found."""

    name = "surplus"

    def at_end(self) -> None:
        if not self.stage.can.unattended_read:
            # Nobody looks before or after the call, so only the desk sees it (docs/adr/0021).
            return
        cases = {
            marker
            for payment in self.payments()
            if payment["any_case"] or payment["decided"]
            for marker in (payment["markers"] or "").split(",")
        }
        for person in self.stage.people:
            for one in self.stage.library.credits(person):
                lost = one.marker and one.unapplied and one.marker not in cases
                self.hold(not lost, f"{one.marker}: {one.unapplied} of {one.cents} went nowhere, unseen")


class Chargebacks(PairInvariant):
    """Somebody knows of each payment whose money the payer's bank took back."""

    name = "chargebacks"

    def at_end(self) -> None:
        for payment in self.payments():
            untold = payment["id"] in self.stage.truth.charged_back and not payment["any_case"]
            self.hold(not untold, f"{payment['id']} is {payment['state']}, charged back, and nobody was told")


class Refunds(PairInvariant):
    """One key gives money back once, never more than was taken; and the ledger knows of all of it."""

    name = "refunds"

    def at_end(self) -> None:
        if self.stage.provider_can.refund is RefundSupport.NONE:
            return
        rows = self.stage.query("SELECT payment_id, state, cents FROM refunds WHERE kind = 'refund'")
        known: Counter[str] = Counter()
        for row in rows:
            if row["state"] in {"done", "external", "pending", "tried"}:
                known[row["payment_id"]] += row["cents"]
        back = self.given_back()
        for one in self.stage.truth.taken:
            keys = Counter(
                refund.key
                for refund in self.stage.provider.refunds(one.session_ref)
                if refund.counts and refund.key
            )
            self.hold(all(times == 1 for times in keys.values()), f"refunded twice under one key: {keys}")
            who = one.payment_id
            self.hold(back[who] <= one.cents, f"{who}: {back[who]} given back of {one.cents}")
            told = next(bool(row["any_case"]) for row in self.payments() if row["id"] == who)
            self.hold(
                back[who] == known[who] or told,
                f"{who}: {back[who]} given back, the ledger knows {known[who]}",
            )


class Ended(PairInvariant):
    """Nothing is left over: each payment has ended or waits for a person, each notice was handled."""

    name = "ended"

    def at_end(self) -> None:
        for payment in self.payments():
            ended = (
                payment["state"] in {"void", "settled", "resolved"} or payment["held"] or payment["refunding"]
            )
            self.hold(ended, f"{payment['id']} is still {payment['state']}")
            self.hold(
                (payment["held"] and payment["refunding"])
                or bool(payment["held"]) == bool(payment["open_case"]),
                f"{payment['id']}: held {payment['held']}, open case {payment['open_case']}",
            )
        broken = self.stage.query("SELECT payment_id, facts FROM cases WHERE kind = 'broken_rule'")
        self.hold(not broken, f"a rule of the program's own broke: {[tuple(row) for row in broken]}")
        found = verify(a_house(self.stage)).findings  # type: ignore[arg-type]  # what it needs is there
        self.hold(not found, "; ".join(found))


class NothingPersonal(PairInvariant):
    """No card, PIN, name or secret stands in the log or in an open row."""

    name = "nothing personal"

    def at_end(self) -> None:
        places: list[tuple[str, str]] = [("the log", line) for line in self.stage.kit.logged]
        for table in ("audit", "cases", "notices", "attempts", "payments", "credit_tries", "credit_orders"):
            rows: list[Any] = self.stage.query(f"SELECT * FROM {table}")
            places += [(table, " ".join(str(value) for value in tuple(row))) for row in rows]
        for place, text in places:
            for canary in self.stage.canaries:
                self.hold(canary not in text, f"{canary} stands in {place}: {text[:300]}")


INVARIANTS = (OneCredit, CreditOrPerson, Cards, Surplus, Chargebacks, Refunds, Ended, NothingPersonal)
