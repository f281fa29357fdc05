"""What is true of a session, as the provider says when it is asked."""

from __future__ import annotations

import pytest

from ils_payment.errors import RemoteGarbledError, RemoteRefusedError, RemoteUnavailableError
from ils_payment.model import PayState, ReadSupport, ReversalState
from ils_payment.testing.kit import declared
from ils_payment.testing.line import Fault
from ils_payment.testing.provider.base import CENTS, ProviderTests, readable
from ils_payment.testing.stands import Call, NotPayable


class ReadingTests(ProviderTests):
    """``read``."""

    @declared(read=ReadSupport.FULL)
    def test_a_new_session_is_open_and_nothing_was_taken(self) -> None:
        seen = self.read(self.started())
        assert (seen.state, seen.captured, seen.final) == (PayState.OPEN, 0, False)
        assert seen.reference == "PAY1"

    @declared(read=readable)
    def test_a_paid_session_says_how_much_of_what_and_for_whom(self) -> None:
        seen = self.read(self.paid())
        assert (seen.state, seen.captured, seen.reference) == (PayState.PAID, CENTS, "PAY1")
        assert seen.currency == self.stand.library.currency
        assert seen.live is self.can.live
        assert seen.evidence
        assert seen.reversals == ()
        assert type(seen.captured) is int

    @declared(read=readable)
    @pytest.mark.parametrize("cents", ["minimum", 115, 1005, 1999, "maximum"])
    def test_what_was_taken_is_read_to_the_cent(self, cents: int | str) -> None:
        wanted = int(getattr(self.stand, cents)) if isinstance(cents, str) else cents
        assert self.read(self.paid(cents=wanted)).captured == wanted

    @declared(read=readable)
    def test_another_sum_than_was_asked_for_is_told_as_it_is(self) -> None:
        ref = self.started()
        self.stand.pay(ref, self.provider.methods()[0], cents=CENTS - 1)
        assert self.read(ref).captured == CENTS - 1

    @declared(read=readable)
    def test_a_payment_that_a_bank_has_yet_to_confirm_is_not_paid(self) -> None:
        ref = self._pending()
        seen = self.read(ref)
        assert (seen.state, seen.captured, seen.final) == (PayState.PENDING, 0, False)

    @declared(read=readable)
    def test_a_payment_that_the_bank_confirmed_is_paid(self) -> None:
        ref = self._pending()
        self.stand.decide(ref, success=True)
        seen = self.read(ref)
        assert (seen.state, seen.captured) == (PayState.PAID, CENTS)

    @declared(read=readable)
    def test_a_payment_that_the_bank_refused_is_not_paid(self) -> None:
        ref = self._pending()
        self.stand.decide(ref, success=False)
        seen = self.read(ref)
        assert seen.state is not PayState.PAID
        assert seen.captured == 0

    @declared(read=ReadSupport.FULL)
    def test_a_declined_card_leaves_the_session_open_and_can_be_followed_by_another(self) -> None:
        ref, method = self.started(), self.provider.methods()[0]
        self.stand.decline(ref, method)
        assert (self.read(ref).state, self.read(ref).captured) == (PayState.OPEN, 0)
        self.stand.pay(ref, method)
        assert self.read(ref).captured == CENTS

    @declared(read=ReadSupport.FULL)
    def test_a_session_whose_time_is_over_is_void_for_good(self) -> None:
        ref = self.started()
        self.stand.expire(ref)
        seen = self.read(ref)
        assert (seen.state, seen.final, seen.captured) == (PayState.VOID, True, 0)
        with pytest.raises(NotPayable):
            self.stand.pay(ref, self.provider.methods()[0])

    @declared(read=readable)
    def test_two_sessions_are_never_mixed_up(self) -> None:
        one, other = self.paid("PAY1", 500), self.paid("PAY2", 700)
        assert [(self.read(ref).reference, self.read(ref).captured) for ref in (one, other)] == [
            ("PAY1", 500),
            ("PAY2", 700),
        ]

    @declared(read=readable)
    def test_reading_again_says_the_same_and_changes_nothing(self) -> None:
        ref = self.paid()
        before = self.stand.sessions()
        assert self.read(ref) == self.read(ref)
        assert self.stand.sessions() == before

    @declared(read=ReadSupport.FULL)
    @pytest.mark.parametrize("ref", ["", "nothing", "../x", "a b", "?x=1", "ä" * 300], ids=range(6))
    def test_a_session_that_is_not_there_is_an_error(self, ref: str) -> None:
        self.paid()
        self.refused(lambda: self.provider.read(ref))

    @declared(read=readable)
    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_a_session_that_cannot_be_read_is_an_error_and_the_next_reading_works(self, fault: Fault) -> None:
        ref = self.paid()
        self.stand.break_next(Call.READ, fault)
        self.refused(lambda: self.ask(ref), RemoteUnavailableError, RemoteGarbledError)
        assert self.read(ref).captured == CENTS

    @declared(read=readable)
    def test_of_a_provider_that_is_down_or_refuses_us_nothing_is_read(self) -> None:
        ref = self.paid()
        self.stand.refuse_us()
        assert self.refused(lambda: self.ask(ref), RemoteRefusedError).mend
        self.stand.go_away()
        self.refused(lambda: self.ask(ref), RemoteUnavailableError)

    @declared(read=ReadSupport.FULL)
    def test_what_a_person_gave_back_is_read(self) -> None:
        ref = self.paid()
        self.stand.refund_by_hand(ref, 400)
        [back] = self.reversals(ref)
        assert (back.kind, back.cents, back.key) == ("refund", 400, "")
        assert back.state is not ReversalState.FAILED

    @declared(read=ReadSupport.FULL)
    def test_a_chargeback_is_read(self) -> None:
        ref = self.paid()
        self.stand.charge_back(ref)
        assert [(one.kind, one.cents) for one in self.reversals(ref)] == [("chargeback", CENTS)]

    def _pending(self) -> str:
        method = self.provider.methods()[-1]
        ref = self.started(method=method)
        self.stand.pay_later(ref, method)
        return ref


class ClosingTests(ProviderTests):
    """``close``."""

    @declared(close=True)
    def test_a_closed_session_can_never_be_paid(self) -> None:
        ref = self.started()
        seen = self.provider.close(ref)
        assert (seen.state, seen.final, seen.captured) == (PayState.VOID, True, 0)
        assert [one.payable for one in self.of("PAY1")] == [False]
        with pytest.raises(NotPayable):
            self.stand.pay(ref, self.provider.methods()[0])

    @declared(close=True)
    def test_closing_twice_says_the_same(self) -> None:
        ref = self.started()
        first = self.provider.close(ref)
        assert self.provider.close(ref).state is first.state

    @declared(close=True)
    def test_who_paid_meanwhile_is_not_lost(self) -> None:
        ref = self.paid()
        seen = self.provider.close(ref)
        assert (seen.state, seen.captured) == (PayState.PAID, CENTS)

    @declared(close=True)
    def test_a_payment_on_its_way_is_not_called_void(self) -> None:
        method = self.provider.methods()[-1]
        ref = self.started(method=method)
        self.stand.pay_later(ref, method)
        assert self.provider.close(ref).state is PayState.PENDING

    @declared(close=True)
    def test_a_close_that_failed_is_an_error_and_closes_no_other(self) -> None:
        one, other = self.started("PAY1"), self.started("PAY2")
        self.stand.break_next(Call.CLOSE, Fault.REQUEST_LOST)
        self.refused(lambda: self.provider.close(one))
        assert [session.payable for session in self.stand.sessions()] == [True, True]
        self.provider.close(one)
        assert [session.ref for session in self.stand.sessions() if session.payable] == [other]
