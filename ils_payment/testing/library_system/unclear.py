"""The call that moves money, when nobody hears what became of it; and how one finds out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ils_payment.model import Applied, MarkerSupport, NotApplied, Unclear
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import MARKER, OTHER_MARKER, LibraryTests
from ils_payment.testing.line import LATE_SECONDS, Fault
from ils_payment.testing.stands import Call

every_fault = pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)


class UnclearTests(LibraryTests):
    """``settle`` with faults."""

    @every_fault
    def test_a_call_whose_answer_is_missing_is_unclear_and_is_sent_once(self, fault: Fault) -> None:
        person = self.patron(450)
        order = self.order(person)
        self.stand.break_next(Call.SETTLE, fault)
        outcome = self.settle(order)
        assert isinstance(outcome, Unclear), "once it was sent nobody knows"
        assert self.stand.calls(Call.SETTLE) == 1, "retries are off"
        assert len(self.stand.credits(person)) == fault.takes_effect

    @every_fault
    @declared(marker=MarkerSupport.READABLE)
    def test_the_marker_tells_afterwards_whether_it_happened(self, fault: Fault) -> None:
        person = self.patron(450)
        order = self.order(person)
        self.stand.break_next(Call.SETTLE, fault)
        self.settle(order)
        found = self.system.find_credits(order.patron, MARKER)
        assert [credit.cents for credit in found] == [450] * fault.takes_effect

    @declared(marker=MarkerSupport.READABLE)
    def test_what_takes_effect_late_is_found_after_the_longest_time_that_is_declared(self) -> None:
        person = self.patron(450)
        order = self.order(person)
        assert timedelta(seconds=LATE_SECONDS) <= self.can.late_apply_max
        self.stand.break_next(Call.SETTLE, Fault.LATE)
        assert isinstance(self.settle(order), Unclear)
        assert list(self.system.find_credits(order.patron, MARKER)) == []
        self.stand.simulated.pass_time(seconds=self.can.late_apply_max.total_seconds())
        assert [credit.cents for credit in self.system.find_credits(order.patron, MARKER)] == [450]

    def test_a_system_that_is_down_is_not_called_settled(self) -> None:
        person = self.patron(450)
        order = self.order(person)
        self.stand.go_away()
        assert isinstance(self.settle(order), NotApplied | Unclear)
        self.nothing_was_written(person)

    def test_with_wrong_credentials_nothing_is_settled_and_it_can_be_asked_for_again(self) -> None:
        person = self.patron(450)
        order = self.order(person)
        self.stand.refuse_us()
        outcome = self.settle(order)
        assert isinstance(outcome, NotApplied)
        assert not outcome.permanent
        self.nothing_was_written(person)

    def test_the_next_payment_after_a_lost_answer_works(self) -> None:
        one, other = self.patron(450), self.patron(150)
        first, second = self.order(one), self.order(other, marker=OTHER_MARKER)
        self.stand.break_next(Call.SETTLE, Fault.ANSWER_LOST)
        assert isinstance(self.settle(first), Unclear)
        assert isinstance(self.settle(second), Applied)
        assert [credit.cents for credit in self.stand.credits(other)] == [150]


class MarkerTests(LibraryTests):
    """``find_credits`` and ``recent_credits``."""

    @declared(marker=MarkerSupport.READABLE)
    def test_our_credit_is_found_by_its_marker_as_the_answer_said(self) -> None:
        person = self.patron(450)
        outcome = self.settle(self.order(person))
        [credit] = self.system.find_credits(self.ref(person), MARKER)
        assert (credit.marker, credit.cents, credit.unapplied) == (MARKER, 450, 0)
        assert isinstance(outcome, Applied)
        assert credit.remote_ref == outcome.remote_ref

    @declared(marker=MarkerSupport.READABLE)
    def test_nothing_is_found_before_anything_was_settled(self) -> None:
        assert list(self.system.find_credits(self.ref(self.patron(450)), MARKER)) == []

    @declared(marker=MarkerSupport.READABLE)
    @pytest.mark.parametrize("other", [OTHER_MARKER, MARKER[:-1] + "5", MARKER[:-1], "ILSP-%", "%", ""])
    def test_another_marker_is_not_taken_for_ours(self, other: str) -> None:
        person = self.patron(450)
        self.settle(self.order(person))
        assert list(self.system.find_credits(self.ref(person), other)) == []

    @declared(marker=MarkerSupport.READABLE)
    def test_our_marker_is_not_found_with_another_patron(self) -> None:
        one, other = self.patron(450), self.patron(450)
        self.settle(self.order(one))
        assert list(self.system.find_credits(self.ref(other), MARKER)) == []

    @declared(marker=MarkerSupport.READABLE)
    def test_what_the_desk_booked_has_no_marker_of_ours(self) -> None:
        person = self.patron(450)
        self.stand.pay_at_desk(person, 450)
        assert list(self.system.find_credits(self.ref(person), MARKER)) == []

    @declared(credit_list=True)
    def test_recent_credits_are_listed_with_the_newest_first(self) -> None:
        person = self.patron(450)
        since = self.stand.world.now()
        self.settle(self.order(person))
        self.stand.simulated.pass_time(seconds=5)
        self.stand.add_fee(person, 150)
        self.stand.pay_at_desk(person, 150)
        listed = self.system.recent_credits(self.ref(person), since)
        assert [credit.cents for credit in listed] == [150, 450]
        assert listed[0].marker in {None, ""}
        assert all(credit.at is not None and credit.at.tzinfo is not None for credit in listed)

    @declared(credit_list=True)
    def test_the_second_of_since_is_part_of_the_list(self) -> None:
        person = self.patron(450)
        self.stand.simulated.pass_time(seconds=0.9)
        since = self.stand.world.now()
        self.settle(self.order(person))
        assert len(self.system.recent_credits(self.ref(person), since)) == 1

    @declared(credit_list=True)
    def test_credits_from_before_since_are_left_out(self) -> None:
        person = self.patron(450)
        self.settle(self.order(person))
        self.stand.simulated.pass_time(hours=1)
        assert list(self.system.recent_credits(self.ref(person), self.stand.world.now())) == []

    @declared(credit_list=True)
    def test_no_recent_credit_is_left_out_however_many_there_are(self) -> None:
        person = self.patron(450)
        since = self.stand.world.now()
        self.settle(self.order(person))
        for _ in range(30):
            self.stand.add_fee(person, 1)
            self.stand.pay_at_desk(person, 1)
        assert len(self.system.recent_credits(self.ref(person), since)) == 31
