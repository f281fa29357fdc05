"""How a session begins, and how one that nobody heard of is found again."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from ils_payment.model import CannotTell, Redirect, Started, StartRefused, Unclear
from ils_payment.testing.kit import declared
from ils_payment.testing.line import Fault
from ils_payment.testing.provider.base import CENTS, ProviderTests
from ils_payment.testing.stands import Call

every_fault = pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)


class StartingTests(ProviderTests):
    """``start`` and ``find``."""

    def test_a_session_is_as_it_was_asked_for(self) -> None:
        ref = self.started()
        [session] = self.stand.sessions()
        assert (session.ref, session.reference, session.cents) == (ref, "PAY1", CENTS)
        assert session.currency.upper() == self.stand.library.currency
        assert session.payable

    def test_the_payer_is_sent_to_an_origin_that_was_declared(self) -> None:
        outcome = self.start(self.attempt())
        assert isinstance(outcome, Started)
        assert isinstance(outcome.interaction, Redirect)
        parts = urlsplit(outcome.interaction.url)
        assert f"{parts.scheme}://{parts.netloc}" in self.can.redirect_origins

    def test_it_says_until_when_the_payer_has_time_or_that_it_does_not_know(self) -> None:
        outcome = self.start(self.attempt())
        assert isinstance(outcome, Started)
        if outcome.expires_at is not None:
            assert outcome.expires_at.tzinfo is not None
            assert outcome.expires_at > self.stand.world.now()

    @pytest.mark.parametrize("cents", ["minimum", 99, 100, 115, 1005, 1999, 99_999, "maximum"])
    def test_an_amount_is_asked_for_to_the_cent(self, cents: int | str) -> None:
        wanted = int(getattr(self.stand, cents)) if isinstance(cents, str) else cents
        if not self.stand.minimum <= wanted <= self.stand.maximum:
            pytest.skip("beyond the limits of this provider")
        self.started(cents=wanted)
        assert [one.cents for one in self.of("PAY1")] == [wanted]

    def test_every_method_that_it_offers_starts(self) -> None:
        for number, method in enumerate(self.provider.methods()):
            self.started(f"PAY{number}", method=method)
        assert len(self.stand.sessions()) == len(self.provider.methods())

    def test_the_same_attempt_again_is_the_same_session(self) -> None:
        if not self.can.key_lifetime:
            pytest.skip("the provider keeps no keys, as declared")
        attempt = self.attempt()
        first, second = self.start(attempt), self.start(attempt)
        assert isinstance(first, Started)
        assert isinstance(second, Started)
        assert first.session_ref == second.session_ref
        assert len(self.stand.sessions()) == 1

    def test_two_payments_have_two_sessions(self) -> None:
        assert self.started("PAY1") != self.started("PAY2", 300)
        assert sorted(one.cents for one in self.stand.sessions()) == [300, CENTS]

    @every_fault
    def test_a_start_whose_answer_is_missing_is_unclear_and_is_sent_once(self, fault: Fault) -> None:
        attempt = self.attempt()
        self.stand.break_next(Call.START, fault)
        assert isinstance(self.start(attempt), Unclear), "once it was sent nobody knows"
        assert self.stand.calls(Call.START) == 1, "retries are off"
        self.stand.catch_up()
        assert len(self.of("PAY1")) == fault.takes_effect

    @every_fault
    @declared(find=True)
    def test_a_session_that_nobody_heard_of_is_found_and_is_the_only_one(self, fault: Fault) -> None:
        attempt = self.attempt()
        self.stand.break_next(Call.START, fault)
        self.start(attempt)
        found = self.tell(self.provider.find(attempt))
        sessions = self.of("PAY1")
        if isinstance(found, Started):
            assert [one.ref for one in sessions] == [found.session_ref]
        else:
            # A provider may have no way of saying for one that was lost on the way; it must not invent any.
            assert found is None or isinstance(found, CannotTell)
            assert not fault.takes_effect or isinstance(found, CannotTell)

    @declared(find=True)
    def test_a_session_is_found_as_it_was_started(self) -> None:
        attempt = self.attempt()
        outcome = self.start(attempt)
        found = self.provider.find(attempt)
        assert isinstance(outcome, Started)
        assert isinstance(found, Started)
        assert found.session_ref == outcome.session_ref
        assert len(self.of("PAY1")) == 1

    @declared(find=True)
    def test_a_session_that_was_paid_is_found_too(self) -> None:
        attempt = self.attempt()
        outcome = self.start(attempt)
        self.stand.pay(outcome.session_ref, attempt.method)
        found = self.provider.find(attempt)
        assert isinstance(found, Started)
        assert found.session_ref == outcome.session_ref

    @declared(find=True)
    def test_a_lookup_that_failed_never_says_that_there_is_none(self) -> None:
        attempt = self.attempt()
        self.stand.break_next(Call.START, Fault.ANSWER_LOST)
        self.start(attempt)
        self.stand.go_away()
        self.refused(lambda: self.provider.find(attempt))

    def test_with_wrong_credentials_there_is_certainly_no_session(self) -> None:
        attempt = self.attempt()
        self.stand.refuse_us()
        assert isinstance(self.start(attempt), StartRefused)
        assert self.of("PAY1") == []

    def test_at_a_provider_that_is_down_nothing_is_called_started(self) -> None:
        attempt = self.attempt()
        self.stand.go_away()
        assert isinstance(self.start(attempt), StartRefused | Unclear)
