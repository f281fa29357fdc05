"""Money that goes back to the payer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ils_payment.model import Refunded, RefundOrder, RefundRefused, RefundSupport, ReversalState, Unclear
from ils_payment.testing.kit import declared
from ils_payment.testing.line import Fault
from ils_payment.testing.provider.base import CENTS, ProviderTests
from ils_payment.testing.stands import Call

_GONE = {ReversalState.PENDING, ReversalState.DONE}
refunds = declared(refund=(RefundSupport.FULL, RefundSupport.PARTIAL))


class RefundingTests(ProviderTests):
    """``refund`` and ``find_refunds``."""

    def _order(self, ref: str, cents: int = CENTS, **changes: Any) -> RefundOrder:  # noqa: ANN401 - fields of the order
        fields: dict[str, Any] = {
            "key": "REFUND1",
            "session_ref": ref,
            "reference": "PAY1",
            "cents": cents,
            "currency": self.stand.library.currency,
            **self.stand.money_of(ref),
        }
        return RefundOrder(**(fields | changes))

    def _refund(self, order: RefundOrder) -> Any:  # noqa: ANN401 - an outcome
        outcome = self.tell(self.provider.refund(order))
        assert isinstance(outcome, Refunded | RefundRefused | Unclear)
        return outcome

    def _gone(self, ref: str) -> list[int]:
        self.stand.catch_up()
        return [one.cents for one in self.stand.refunds(ref) if one.counts]

    def _is_too_much(self, outcome: Any) -> None:  # noqa: ANN401 - an outcome
        """See it refused for good; or taken for now, by a provider that looks at it later."""
        if isinstance(outcome, Refunded):
            assert outcome.state is ReversalState.PENDING
            self.later(timedelta(days=1))
            return
        assert isinstance(outcome, RefundRefused)
        assert outcome.permanent

    @refunds
    def test_the_whole_goes_back(self) -> None:
        ref = self.paid()
        outcome = self._refund(self._order(ref))
        assert isinstance(outcome, Refunded)
        assert outcome.state in _GONE
        assert [(one.cents, one.key) for one in self.stand.refunds(ref)] == [(CENTS, "REFUND1")]

    @declared(refund=RefundSupport.PARTIAL)
    @pytest.mark.parametrize("cents", [1, 99, 500, CENTS - 1])
    def test_a_part_goes_back_to_the_cent(self, cents: int) -> None:
        ref = self.paid()
        assert isinstance(self._refund(self._order(ref, cents)), Refunded)
        assert self._gone(ref) == [cents]

    @declared(refund=RefundSupport.PARTIAL)
    def test_two_parts_go_back_and_never_more_than_was_taken(self) -> None:
        ref = self.paid()
        assert isinstance(self._refund(self._order(ref, 1000)), Refunded)
        assert isinstance(self._refund(self._order(ref, 250, key="REFUND2")), Refunded)
        self._is_too_much(self._refund(self._order(ref, 1, key="REFUND3")))
        assert self._gone(ref) == [1000, 250]

    @declared(refund=RefundSupport.FULL)
    def test_a_part_is_certainly_not_given_back_where_that_is_not_declared(self) -> None:
        ref = self.paid()
        assert isinstance(self._refund(self._order(ref, 500)), RefundRefused)
        assert self._gone(ref) == []

    @refunds
    def test_more_than_was_taken_is_certainly_not_given_back(self) -> None:
        ref = self.paid()
        self._is_too_much(self._refund(self._order(ref, CENTS + 1)))
        assert self._gone(ref) == []

    @refunds
    def test_the_same_order_again_is_the_same_refund(self) -> None:
        ref = self.paid()
        order = self._order(ref)
        first, second = self._refund(order), self._refund(order)
        assert isinstance(first, Refunded)
        assert isinstance(second, Refunded)
        assert first.ref == second.ref
        assert self._gone(ref) == [CENTS]

    @refunds
    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_a_refund_whose_answer_is_missing_is_unclear_and_is_sent_once(self, fault: Fault) -> None:
        ref = self.paid()
        order = self._order(ref)
        self.stand.break_next(Call.REFUND, fault)
        assert isinstance(self._refund(order), Unclear)
        assert self.stand.calls(Call.REFUND) == 1, "retries are off"
        assert self._gone(ref) == [CENTS] * fault.takes_effect

    @refunds
    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_repeating_an_unclear_refund_under_its_key_never_gives_back_twice(self, fault: Fault) -> None:
        ref = self.paid()
        order = self._order(ref)
        self.stand.break_next(Call.REFUND, fault)
        self._refund(order)
        self._refund(order)
        self.later(self.can.key_lifetime / 2)
        assert self._gone(ref) == [CENTS]

    @refunds
    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_a_refund_is_found_by_its_key_or_is_not_there(self, fault: Fault) -> None:
        if not getattr(self.can, "finds_refunds", True):
            pytest.skip("refunds of this provider cannot be looked up, as declared; a notice tells")
        ref = self.paid()
        self.stand.break_next(Call.REFUND, fault)
        self._refund(self._order(ref))
        found = [(one.key, one.cents) for one in self.provider.find_refunds(ref)]
        assert found == [("REFUND1", CENTS)] * fault.takes_effect

    @refunds
    @pytest.mark.parametrize(
        "changes",
        [{"cents": 0}, {"cents": -5}, {"currency": "JPY"}, {"reference": "PAY2"}],
        ids=["nothing", "less than nothing", "another currency", "another payment"],
    )
    def test_an_order_that_does_not_fit_the_money_gives_nothing_back(self, changes: dict[str, Any]) -> None:
        ref = self.paid()
        if "reference" in changes and not self.stand.knows_whose_money:
            pytest.skip("this provider cannot tell whose money it is before it gives it back")
        assert isinstance(self._refund(self._order(ref, **changes)), RefundRefused)
        assert self._gone(ref) == []

    @refunds
    def test_of_a_session_that_nobody_paid_nothing_goes_back(self) -> None:
        ref = self.started()
        assert isinstance(self._refund(self._order(ref)), RefundRefused)

    @refunds
    def test_at_a_provider_that_is_down_nothing_is_called_refunded(self) -> None:
        order = self._order(self.paid())
        self.stand.go_away()
        assert isinstance(self._refund(order), RefundRefused | Unclear)
        if getattr(self.can, "finds_refunds", True):
            self.refused(lambda: self.provider.find_refunds(order.session_ref))

    @refunds
    def test_with_wrong_credentials_nothing_goes_back_and_it_can_be_asked_for_again(self) -> None:
        ref = self.paid()
        order = self._order(ref)
        self.stand.refuse_us()
        outcome = self._refund(order)
        assert isinstance(outcome, RefundRefused)
        assert not outcome.permanent
        assert self._gone(ref) == []

    @refunds
    def test_a_refund_that_failed_stays_in_the_list_as_failed(self) -> None:
        if not getattr(self.can, "finds_refunds", True):
            pytest.skip("refunds of this provider cannot be looked up, as declared; a notice tells")
        ref = self.paid()
        outcome = self._refund(self._order(ref))
        self.stand.fail_refund(outcome.ref)
        assert [one.state for one in self.provider.find_refunds(ref)] == [ReversalState.FAILED]

    @refunds
    def test_of_money_that_nobody_gave_back_there_are_no_refunds(self) -> None:
        if not getattr(self.can, "finds_refunds", True):
            pytest.skip("refunds of this provider cannot be looked up, as declared; a notice tells")
        assert list(self.provider.find_refunds(self.paid())) == []
