"""I2, I3 and I4: the credits in the library system."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.faults.invariants.base import Invariant
from tests.faults.reports import Truth

if TYPE_CHECKING:
    from tests.faults.setting import Setting


class NoDoubleCredit(Invariant):
    """One credit at most carries a marker, at every moment, unless the library system itself doubled it."""

    name = "I2"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.lines = 0

    def after_step(self) -> None:
        lines = self.setting.koha.tables.lines
        if len(lines) == self.lines:
            return
        self.lines = len(lines)
        counted = Counter(credit.note for credit in Truth(self.setting).credits)
        for marker, count in counted.items():
            doubled = marker in self.setting.koha_gate.doubled
            self.hold(count <= 1 + doubled, f"{count} credits carry {marker}")


class SettledIsCredited(Invariant):
    """A payment is settled if and only if its one credit is there, of its cents, all of it used."""

    name = "I3"

    def at_end(self) -> None:
        truth = Truth(self.setting)
        books, booked = self.books(), self.credited()
        markers = self.setting.lost.markers.copy() if self.setting.lost else set()
        for payment in self.payments():
            own = (payment["markers"] or "").split(",")
            markers |= set(own)
            if payment["open_case"]:
                continue
            written = [credit for marker in own for credit in truth.of_marker(marker)]
            cents = [int(-credit.amount * 100) for credit in written]
            if payment["decided"]:
                self._decided(payment, cents, booked.get(payment["id"], 0), books.get(payment["id"], {}))
                continue
            settled = payment["state"] == "settled"
            wanted = self._wanted(payment) if settled else []
            self.hold(sorted(cents) == wanted, f"{payment['id']}: credits {cents} instead of {wanted}")
            unused = [credit for credit in written if credit.outstanding]
            self.hold(not unused, f"{payment['id']}: a part of its credit is unused")
            in_books = books.get(payment["id"], {}).get("library_system", 0)
            self.hold(in_books == sum(cents), f"{payment['id']}: {cents} credited, {in_books} in the ledger")
        unknown = {credit.note for credit in truth.credits} - markers
        self.hold(not unknown, f"credits with markers of no payment: {unknown}")

    def _wanted(self, payment: dict[str, Any]) -> list[int]:
        """Return the cents of the credits: one for the fees, and one for the debit of a renewed card."""
        (row,) = self.setting.query(_CARD, payment["id"])
        return sorted(cents for cents in (payment["cents"] - row["card"], row["card"]) if cents)

    def _decided(self, payment: dict[str, Any], cents: list[int], booked: int, of: dict[str, int]) -> None:
        """What a person has booked by hand may be such a credit; all others are what the ledger says."""
        beyond = sum(cents) - booked
        # Also what was given back after a person had called it booked.
        (ever,) = self.setting.query(_BY_HAND, payment["id"])
        known = ever["cents"]
        if not booked and payment["any_case"]:
            # Its money leaves while a person has the unfit credit in view: who closed that case knows.
            known += of.get("to_return", 0) + of.get("returned", 0) + of.get("outside", 0)
        twice = any(
            marker in self.setting.koha_gate.doubled for marker in (payment["markers"] or "").split(",")
        )
        self.hold(
            beyond == 0 or 0 < beyond <= known or (twice and beyond > 0),
            f"{payment['id']}: {cents} credited, {booked} booked as settled, books {of}",
        )


_BY_HAND = """
SELECT coalesce(sum(cents), 0) AS cents FROM postings WHERE payment_id = ? AND destination = 'by_hand'
"""

_CARD = """
SELECT coalesce(sum(cents), 0) AS card FROM payment_lines
WHERE payment_id = ? AND claim_key = 'card-renewal'
"""


class NothingOverpaidUnseen(Invariant):
    """No fee gets more from us than it was; a balance below zero through us has a case."""

    name = "I4"

    def at_end(self) -> None:
        payments = self.payments()
        case_of = {
            marker: payment["any_case"]
            for payment in payments
            for marker in (payment["markers"] or "").split(",")
        }
        lost = self.setting.lost.markers if self.setting.lost is not None else set()
        # The case of what a restored ledger has lost names the card or the money.
        strange = self.setting.query("SELECT 1 FROM cases WHERE kind IN ('orphan_marker', 'not_in_ledger')")
        if strange:
            case_of |= dict.fromkeys(lost, 1)
        for marker in sorted(self.setting.koha_gate.overpaid):
            self.hold(case_of.get(marker), f"{marker} left a balance below zero, and nobody was told")
        for marker in sorted(self.setting.koha_gate.doubled | self.setting.koha_gate.in_part):
            self.hold(case_of.get(marker), f"the credit {marker} is not as ordered, and nobody was told")
        tables = self.setting.koha.tables
        given: Counter[int] = Counter()
        ours = {credit.line_id: credit.note for credit in Truth(self.setting).credits}
        for offset in tables.offsets:
            marker = ours.get(offset.credit_id, "")
            if marker and not case_of.get(marker):
                given[offset.debit_id] += int(offset.amount * 100)
        for line_id, cents in given.items():
            amount = int(tables.lines[line_id].amount * 100)
            self.hold(cents <= amount, f"fee {line_id} was {amount}, and got {cents} from us")
