"""The new expiry of a card that was paid for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ils_payment.model import NotApplied, PatronRef, Renewed, RenewOrder, RenewSupport, Unclear
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import MARKER, LibraryTests
from ils_payment.testing.line import Fault
from ils_payment.testing.stands import Call, Person

_YEAR = timedelta(days=365)
_UNTIL = date(2027, 3, 31)
renews = declared(can_renew=(RenewSupport.GIVEN_DATE, RenewSupport.BY_RULE))


class RenewingTests(LibraryTests):
    """``renew_card``."""

    def _reader(self) -> Person:
        return self.patron(100, valid_until=_UNTIL)

    def _order(self, person: Person, **changes: Any) -> RenewOrder:  # noqa: ANN401 - fields of the order
        """Return the order to renew the card by a year from what it says now."""
        base = self.card(person).valid_until
        assert base is not None, "the stand's card has no expiry"
        by_rule = self.can.can_renew is RenewSupport.BY_RULE
        fields: dict[str, Any] = {
            "patron": self.ref(person),
            "marker": MARKER,
            "base": base,
            "until": None if by_rule else base + _YEAR,
        }
        return RenewOrder(**(fields | changes))

    def _renew(self, order: RenewOrder) -> Any:  # noqa: ANN401 - an outcome
        outcome = self.tell(self.system.renew_card(order))
        assert isinstance(outcome, Renewed | NotApplied | Unclear)
        return outcome

    @renews
    def test_a_card_gets_the_new_expiry_and_the_answer_says_which(self) -> None:
        person = self._reader()
        order = self._order(person)
        outcome = self._renew(order)
        assert isinstance(outcome, Renewed)
        assert outcome.valid_until == self.card(person).valid_until
        assert outcome.valid_until == (order.until or outcome.valid_until)
        assert self.stand.expiries(person) == [outcome.valid_until]

    @renews
    def test_no_money_moves(self) -> None:
        person = self._reader()
        before = self.account(person)
        self._renew(self._order(person))
        after = self.account(person)
        assert (after.balance, after.fees) == (before.balance, before.fees)

    @renews
    def test_nothing_but_the_expiry_changes(self) -> None:
        person = self._reader()
        before = self.card(person)
        self._renew(self._order(person))
        after = self.card(person)
        assert (after.number, after.category, after.birth_date) == (
            before.number,
            before.category,
            before.birth_date,
        )

    @renews
    def test_the_same_order_again_renews_nothing(self) -> None:
        person = self._reader()
        order = self._order(person)
        self._renew(order)
        assert isinstance(self._renew(order), NotApplied)
        assert len(self.stand.expiries(person)) == 1

    @renews
    def test_a_card_that_was_renewed_meanwhile_is_not_touched(self) -> None:
        person = self._reader()
        order = self._order(person)
        self.stand.renew_at_desk(person)
        written = self.stand.expiries(person)
        assert isinstance(self._renew(order), NotApplied)
        assert self.stand.expiries(person) == written

    @renews
    def test_an_order_for_another_expiry_than_the_card_has_renews_nothing(self) -> None:
        person = self._reader()
        assert isinstance(self._renew(self._order(person, base=_UNTIL - _YEAR)), NotApplied)
        assert self.stand.expiries(person) == []

    @declared(can_renew=RenewSupport.GIVEN_DATE)
    @pytest.mark.parametrize(
        "until", [_UNTIL, _UNTIL - timedelta(days=1), None], ids=["same", "earlier", "none"]
    )
    def test_an_expiry_never_moves_backwards(self, until: date | None) -> None:
        person = self._reader()
        assert isinstance(self._renew(self._order(person, until=until)), NotApplied)
        assert self.stand.expiries(person) == []

    @renews
    def test_a_patron_who_is_not_there_is_certainly_not_renewed(self) -> None:
        person = self._reader()
        assert isinstance(self._renew(self._order(person, patron=PatronRef("99999999"))), NotApplied)
        assert self.stand.expiries(person) == []

    @renews
    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_a_renewal_whose_answer_is_missing_is_unclear_and_is_sent_once(self, fault: Fault) -> None:
        person = self._reader()
        order = self._order(person)
        self.stand.break_next(Call.RENEW, fault)
        assert isinstance(self._renew(order), Unclear)
        assert self.stand.calls(Call.RENEW) == 1, "retries are off"
        assert len(self.stand.expiries(person)) == fault.takes_effect

    @renews
    def test_a_system_that_is_down_is_not_called_renewed(self) -> None:
        person = self._reader()
        order = self._order(person)
        self.stand.go_away()
        assert isinstance(self._renew(order), NotApplied | Unclear)
        assert self.stand.expiries(person) == []

    @renews
    def test_after_its_time_no_renewal_is_sent(self) -> None:
        person = self._reader()
        late = self.stand.world.now() - timedelta(seconds=1)
        assert isinstance(self._renew(self._order(person, send_before=late)), NotApplied)
        assert self.stand.calls(Call.RENEW) == 0
