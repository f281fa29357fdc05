"""The call that moves money, when all goes well and when it must be refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ils_payment.model import (
    Applied,
    Binding,
    CreditOrder,
    MarkerSupport,
    NotApplied,
    Partial,
    PatronRef,
    Surplus,
)
from ils_payment.money import MAX_CENTS
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import MARKER, OTHER_MARKER, LibraryTests
from ils_payment.testing.stands import Call

_CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "another currency": {"currency": "JPY"},
    "no lines": {"lines": ()},
    "no amount": {"cents": 0},
    "a negative amount": {"cents": -450},
    "less than its lines": {"cents": 449},
    "more than its lines": {"cents": 451},
}


class SettlingTests(LibraryTests):
    """``settle``."""

    def test_fees_are_settled_and_the_books_agree(self) -> None:
        person = self.patron(450, 150)
        order = self.order(person)
        outcome = self.settle(order)
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.unapplied) == (order.cents, 0)
        assert outcome.remote_ref or self.can.marker is not MarkerSupport.READABLE
        [credit] = self.stand.credits(person)
        assert (credit.cents, credit.unapplied) == (order.cents, 0)
        assert sum(self.stand.open_fees(person)) == 600 - order.cents
        assert self.account(person).balance == 600 - order.cents

    @pytest.mark.parametrize("cents", [1, 10, 29, 99, 100, 115, 1005, 1999, 99_999, 99_999_999])
    def test_an_amount_is_settled_to_the_cent(self, cents: int) -> None:
        if cents < self.can.min_cents:
            pytest.skip("below the limit that is declared")
        person = self.patron(cents)
        outcome = self.settle(self.order(person))
        assert isinstance(outcome, Applied)
        assert outcome.applied == cents
        assert [credit.cents for credit in self.stand.credits(person)] == [cents]
        assert self.stand.open_fees(person) == [0]

    def test_it_is_one_call_however_many_fees_there_are(self) -> None:
        person = self.patron(450, 150, 250)
        self.settle(self.order(person))
        assert self.stand.calls(Call.SETTLE) == 1
        assert len(self.stand.credits(person)) == 1

    @declared(bound=(Binding.DIRECTED, Binding.REFUSED_WHEN_PAID))
    def test_only_the_fees_of_the_order_are_paid(self) -> None:
        person = self.patron(450, 150, 250)
        whole = self.account(person)
        [line] = [fee for fee in whole.fees if fee.cents == 150]
        order = self._for(person, line.ref, 150)
        assert isinstance(self.settle(order), Applied)
        assert self.stand.open_fees(person) == [450, 0, 250]

    @declared(batch=False, fee_ids=True)
    def test_more_than_one_fee_at_once_is_refused_where_it_is_not_declared(self) -> None:
        person = self.patron(450, 150)
        orders = [self._for(person, fee.ref, fee.cents) for fee in self.account(person).fees]
        lines = tuple(order.lines[0] for order in orders)
        assert isinstance(self.settle(replace(orders[0], lines=lines, cents=600)), NotApplied)
        self.nothing_was_written(person)

    @declared(partial=(Partial.LINE, Partial.SUM))
    def test_a_part_is_settled_and_the_rest_stays_open(self) -> None:
        person = self.patron(450)
        order = self.order(person)
        line = replace(order.lines[0], cents=449)
        outcome = self.settle(replace(order, cents=449, lines=(line,)))
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.unapplied) == (449, 0)
        assert self.stand.open_fees(person) == [1]

    @declared(partial=Partial.NONE)
    def test_a_part_that_is_not_declared_is_refused_or_booked_as_the_answer_says(self) -> None:
        person = self.patron(450)
        order = self.order(person)
        line = replace(order.lines[0], cents=449)
        outcome = self.settle(replace(order, cents=449, lines=(line,)))
        # Not every plugin can see that it is a part; the core does not ask for one here.
        if isinstance(outcome, NotApplied):
            self.nothing_was_written(person)
        else:
            assert isinstance(outcome, Applied)
            assert [credit.cents for credit in self.stand.credits(person)] == [449]

    @pytest.mark.parametrize("wrong", _CONTRADICTIONS)
    def test_an_order_that_contradicts_itself_is_certainly_not_settled(self, wrong: str) -> None:
        person = self.patron(450)
        order = replace(self.order(person), **_CONTRADICTIONS[wrong])
        assert isinstance(self.settle(order), NotApplied)
        assert self.stand.calls(Call.SETTLE) == 0, "money calls are not sent to find out"
        self.nothing_was_written(person)

    def test_more_than_the_largest_credit_is_certainly_not_settled(self) -> None:
        person = self.patron(450)
        order = self.order(person)
        cents = MAX_CENTS + 1
        too_much = replace(order, cents=cents, lines=(replace(order.lines[0], cents=cents),))
        assert isinstance(self.settle(too_much), NotApplied)
        self.nothing_was_written(person)

    def test_after_its_time_nothing_is_sent(self) -> None:
        person = self.patron(450)
        late = self.stand.world.now() - timedelta(seconds=1)
        outcome = self.settle(self.order(person, send_before=late))
        assert isinstance(outcome, NotApplied)
        assert not outcome.permanent, "it can be asked for again"
        assert self.stand.calls(Call.SETTLE) == 0

    def test_in_its_time_it_is_sent(self) -> None:
        person = self.patron(450)
        soon = self.stand.world.now() + timedelta(minutes=1)
        assert isinstance(self.settle(self.order(person, send_before=soon)), Applied)

    def test_for_a_patron_who_is_not_there_nothing_is_settled(self) -> None:
        person = self.patron(450)
        assert isinstance(self.settle(self.order(person, patron=PatronRef("99999999"))), NotApplied)
        self.nothing_was_written(person)

    def test_a_method_that_it_has_never_heard_of_is_no_reason_to_fail(self) -> None:
        person = self.patron(450)
        assert isinstance(self.settle(self.order(person, method="carrier_pigeon")), Applied)

    @declared(surplus=Surplus.REFUSED)
    def test_a_fee_that_was_paid_meanwhile_is_refused(self) -> None:
        person = self.patron(450)
        order = self._paid_meanwhile(person)
        assert isinstance(self.settle(order), NotApplied)
        assert [credit.marker for credit in self.stand.credits(person)] == [""]

    @declared(surplus=(Surplus.FLOWS, Surplus.CREDIT), bound=(Binding.DIRECTED, Binding.REFUSED_WHEN_PAID))
    def test_what_a_paid_fee_does_not_take_is_told(self) -> None:
        person = self.patron(450)
        outcome = self.settle(self._paid_meanwhile(person))
        unapplied = [credit.unapplied for credit in self.stand.credits(person)]
        # Where the rest lies in the account, who says that it went to the fee hides that it was paid twice.
        if isinstance(outcome, Applied):
            assert (outcome.applied, outcome.unapplied) == (0, 450)
        assert unapplied == ([0] if isinstance(outcome, NotApplied) else [0, 450])

    @declared(surplus=(Surplus.FLOWS, Surplus.CREDIT), bound=Binding.LUMP)
    def test_a_sum_that_nobody_owes_any_more_is_seen_in_the_balance(self) -> None:
        person = self.patron(450)
        outcome = self.settle(self._paid_meanwhile(person))
        paid_twice = isinstance(outcome, Applied)
        assert len(self.stand.credits(person)) == 1 + paid_twice
        assert self.account(person).balance == (-450 if paid_twice else 0)

    def test_what_is_called_applied_is_in_the_books_as_often(self) -> None:
        person = self.patron(450)
        order = self.order(person)
        outcomes = [self.settle(order), self.settle(order)]
        ours = len(self.stand.credits(person))
        assert isinstance(outcomes[0], Applied)
        if self.can.repeat_is_same_answer:
            assert outcomes[1] == outcomes[0]
            assert ours == 1
        else:
            assert ours == sum(isinstance(one, Applied) for one in outcomes)

    def test_two_payments_one_after_the_other_are_two_credits(self) -> None:
        person = self.patron(450)
        assert isinstance(self.settle(self.order(person)), Applied)
        self.stand.add_fee(person, 150)
        assert isinstance(self.settle(self.order(person, marker=OTHER_MARKER)), Applied)
        assert [credit.cents for credit in self.stand.credits(person)] == [450, 150]

    @declared(marker=(MarkerSupport.READABLE, MarkerSupport.WRITE_ONLY))
    def test_the_marker_is_written_with_the_credit(self) -> None:
        person = self.patron(450)
        self.settle(self.order(person))
        assert [credit.marker for credit in self.stand.credits(person)] == [MARKER]

    def _paid_meanwhile(self, person: Any) -> CreditOrder:  # noqa: ANN401 - a patron of the stand
        order = self.order(person)
        self.stand.pay_at_desk(person, 450)
        return order

    def _for(self, person: Any, ref: str | None, cents: int) -> CreditOrder:  # noqa: ANN401 - a patron of the stand
        """Return an order for one fee alone."""
        fees = [fee for fee in self.account(person).fees if fee.ref == ref]
        order = self.order(person)
        line = replace(order.lines[0], ref=ref, claim_key=fees[0].claim_key, kind=fees[0].kind, cents=cents)
        return replace(order, cents=cents, lines=(line,))
