"""The debit that is written after a refund whose fee stays, and for a renewed card."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ils_payment.model import Applied, ChargeOrder, ChargePurpose, NotApplied, PatronRef, Unclear
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import MARKER, OTHER_MARKER, LibraryTests
from ils_payment.testing.line import Fault
from ils_payment.testing.stands import Call, Person


class ChargingTests(LibraryTests):
    """``charge`` and ``find_charges``."""

    def _owes(self, person: Person, cents: int = 450, **changes: Any) -> ChargeOrder:  # noqa: ANN401 - fields of the order
        fields: dict[str, Any] = {
            "patron": self.ref(person),
            "marker": MARKER,
            "cents": cents,
            "currency": self.stand.library.currency,
            "kind": "",
            "settled_with": OTHER_MARKER,
        }
        return ChargeOrder(**(fields | changes))

    def _charge(self, order: ChargeOrder) -> Any:  # noqa: ANN401 - an outcome
        outcome = self.tell(self.system.charge(order))
        assert isinstance(outcome, Applied | NotApplied | Unclear)
        return outcome

    @declared(can_charge=True)
    @pytest.mark.parametrize("purpose", ChargePurpose)
    def test_the_patron_owes_it_and_the_books_agree(self, purpose: ChargePurpose) -> None:
        person = self.patron(100)
        outcome = self._charge(self._owes(person, purpose=purpose))
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.unapplied) == (450, 0)
        assert self.account(person).balance == 550
        assert [(debit.cents, debit.marker) for debit in self.stand.debits(person)] == [(450, MARKER)]

    @declared(can_charge=True)
    @pytest.mark.parametrize("cents", [1, 29, 1005, 1999, 99_999_999])
    def test_an_amount_is_charged_to_the_cent(self, cents: int) -> None:
        person = self.patron(1)
        assert isinstance(self._charge(self._owes(person, cents)), Applied)
        assert [debit.cents for debit in self.stand.debits(person)] == [cents]

    @declared(can_charge=True)
    def test_what_was_charged_can_be_settled(self) -> None:
        person = self.patron(1)
        self._charge(self._owes(person))
        self.stand.pay_at_desk(person, 1)
        assert isinstance(self.settle(self.order(person, marker=OTHER_MARKER)), Applied)
        assert self.account(person).balance == 0

    @declared(can_charge=True)
    def test_our_debit_is_found_by_its_marker_also_when_it_was_paid(self) -> None:
        person = self.patron(1)
        outcome = self._charge(self._owes(person))
        self.stand.pay_at_desk(person, 1)
        self.stand.pay_at_desk(person, 450)
        [debit] = self.system.find_charges(self.ref(person), MARKER)
        assert (debit.marker, debit.cents, debit.remote_ref) == (MARKER, 450, outcome.remote_ref)
        assert list(self.system.find_charges(self.ref(person), OTHER_MARKER)) == []

    @declared(can_charge=True)
    def test_our_debit_is_not_found_with_another_patron_nor_among_credits(self) -> None:
        one, other = self.patron(1), self.patron(1)
        self._charge(self._owes(one))
        assert list(self.system.find_charges(self.ref(other), MARKER)) == []
        self.settle(self.order(other, marker=OTHER_MARKER))
        assert list(self.system.find_charges(self.ref(other), OTHER_MARKER)) == []

    @declared(can_charge=True)
    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_a_charge_whose_answer_is_missing_is_unclear_and_found_or_not(self, fault: Fault) -> None:
        person = self.patron(1)
        order = self._owes(person)
        self.stand.break_next(Call.CHARGE, fault)
        assert isinstance(self._charge(order), Unclear)
        assert self.stand.calls(Call.CHARGE) == 1, "retries are off"
        assert len(self.system.find_charges(order.patron, MARKER)) == fault.takes_effect

    @declared(can_charge=True)
    @pytest.mark.parametrize(
        "changes",
        [{"cents": 0}, {"cents": -1}, {"currency": "JPY"}, {"patron": PatronRef("99999999")}],
        ids=["nothing", "less than nothing", "another currency", "nobody"],
    )
    def test_an_order_that_cannot_be_is_certainly_not_charged(self, changes: dict[str, Any]) -> None:
        person = self.patron(100)
        assert isinstance(self._charge(self._owes(person, **changes)), NotApplied)
        assert self.stand.debits(person) == []

    @declared(can_charge=True)
    def test_after_its_time_no_charge_is_sent(self) -> None:
        person = self.patron(100)
        late = self.stand.world.now() - timedelta(seconds=1)
        assert isinstance(self._charge(self._owes(person, send_before=late)), NotApplied)
        assert self.stand.calls(Call.CHARGE) == 0

    @declared(can_charge=True)
    def test_charges_that_could_not_be_looked_for_are_never_called_absent(self) -> None:
        patron = self.ref(self.patron(1))
        self.stand.go_away()
        self.refused(lambda: self.system.find_charges(patron, MARKER))
