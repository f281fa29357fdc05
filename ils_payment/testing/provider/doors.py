"""What is declared, and that what is not declared is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from ils_payment.errors import RemoteError
from ils_payment.model import (
    AttemptLine,
    CannotTell,
    Forged,
    Level,
    NoticeOutcome,
    ProviderCapabilities,
    RawRequest,
    ReadSupport,
    RefundOrder,
    RefundRefused,
    RefundSupport,
)
from ils_payment.money import minor_digits
from ils_payment.ports import Listing, PayingOut, PaymentProvider, PluginConfig, Refunding
from ils_payment.testing.kit import declared
from ils_payment.testing.provider.base import CENTS, ProviderTests

_TEXTS = {
    "umlauts": "Säumnisgebühr für „Straße“",
    "markup": "<b>Fernleihe</b> &amp; \"x\" 'y'",
    "other scripts": "Žluťoučký кот 猫",
    "very long": "Vormerkung " * 200,
    "line breaks": "eins\r\nzwei\tdrei",
    "a pictogram": "Bücher 📚",
}


class DoorTests(ProviderTests):
    """Declarations, and the refusal of everything else."""

    def test_it_is_a_provider_with_a_configuration_of_its_own(self) -> None:
        assert isinstance(self.provider, PaymentProvider)
        assert issubclass(type(self.provider).Config, PluginConfig)

    def test_neither_opening_nor_asking_for_capabilities_sends_anything(self) -> None:
        assert isinstance(self.can, ProviderCapabilities)
        assert self.provider.capabilities() == self.can
        assert self.stand.sent() == 0

    def test_its_limits_make_sense(self) -> None:
        assert self.can.key_lifetime >= timedelta(0)
        assert timedelta(0) < self.can.longest_pending <= timedelta(days=60)

    def test_it_takes_the_currency_of_the_library_and_knows_only_real_ones(self) -> None:
        assert self.stand.library.currency in self.can.currencies
        assert all(minor_digits(currency) >= 0 for currency in self.can.currencies)

    def test_play_money_is_not_called_real(self) -> None:
        assert not self.can.live

    def test_payers_are_sent_to_origins_that_nobody_can_listen_to(self) -> None:
        for origin in self.can.redirect_origins:
            parts = urlsplit(origin)
            assert parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost"}
            assert (parts.path, parts.query) == ("", "")

    def test_it_offers_methods_in_the_words_of_the_core(self) -> None:
        methods = list(self.provider.methods())
        assert methods
        assert len(set(methods)) == len(methods)
        assert all(method.isidentifier() and method.islower() for method in methods)

    def test_whether_money_was_taken_can_be_learned(self) -> None:
        decides = getattr(self.can, "notices_decide", False)
        assert self.can.read is not ReadSupport.NONE or (self.can.notices and decides)

    def test_no_secret_is_in_what_it_declares(self) -> None:
        self.said.append(repr(self.can))

    @pytest.mark.parametrize(
        ("capability", "protocol"), [("refund", Refunding), ("listing", Listing), ("payouts", PayingOut)]
    )
    def test_what_it_declares_it_has(self, capability: str, protocol: type) -> None:
        if getattr(self.can, capability) not in {False, RefundSupport.NONE}:
            assert isinstance(self.provider, protocol)

    @declared(refund=RefundSupport.NONE)
    def test_a_refund_that_is_not_declared_is_refused(self) -> None:
        order = RefundOrder(key="R1", session_ref="x", reference="PAY1", cents=1, currency="EUR")
        self._refuses("refund", order)

    @declared(listing=False)
    def test_a_list_that_is_not_declared_is_refused(self) -> None:
        self._refuses("payments", self.stand.world.now() - timedelta(days=1), self.stand.world.now())

    @declared(payouts=False)
    def test_payouts_that_are_not_declared_are_refused(self) -> None:
        self._refuses("payouts", self.stand.world.now() - timedelta(days=1), self.stand.world.now())

    @declared(close=False)
    def test_a_session_that_cannot_be_closed_is_not_called_closed(self) -> None:
        ref = self.started()
        self._refuses("close", ref)

    @declared(find=False)
    def test_a_session_that_cannot_be_looked_up_is_not_called_absent(self) -> None:
        assert isinstance(self.tell(self.provider.find(self.attempt())), CannotTell)

    @declared(read=ReadSupport.NONE)
    def test_a_session_that_cannot_be_read_is_an_error(self) -> None:
        ref = self.started()
        self.refused(lambda: self.provider.read(ref))

    @declared(notices=False)
    @pytest.mark.parametrize("body", [b"", b"{}", b'{"status": "PAID"}'])
    def test_without_webhooks_every_notice_is_forged(self, body: bytes) -> None:
        request = RawRequest(method="POST", path="/webhooks/town/x", body=body)
        assert isinstance(self.tell(self.provider.notice(request, self.stand.world.now())), Forged)

    @pytest.mark.parametrize("outcome", NoticeOutcome)
    def test_what_was_stored_is_answered_with_success_and_a_fault_of_ours_is_not(
        self, outcome: NoticeOutcome
    ) -> None:
        status = self.provider.reply(outcome).status
        assert (200 <= status < 300) == (outcome is NoticeOutcome.STORED)
        assert status >= 500 or outcome is not NoticeOutcome.BUSY, "some providers never repeat after a 4xx"

    def _refuses(self, method: str, *arguments: Any) -> None:  # noqa: ANN401 - of any method
        """Call what is not declared: it is not there, or it says no; it never answers and never sends."""
        call = getattr(self.provider, method, None)
        if call is None:
            return
        sent = self.stand.sent()
        try:
            outcome = self.tell(call(*arguments))
        except RemoteError as error:
            self.said.append(str(error))
        else:
            assert isinstance(outcome, RefundRefused), f"{method} is not declared and answered all the same"
        assert self.stand.sent() == sent


class CheckTests(ProviderTests):
    """``check``, as an administrator calls it."""

    def _check(self) -> list[str]:
        findings = self.provider.check()
        assert findings
        self.said += [f"{one.subject} {one.seen} {one.mend}" for one in findings]
        assert all(one.subject and one.seen for one in findings)
        errors = [one for one in findings if one.level is Level.ERROR]
        assert all(one.mend for one in errors), "an error has a mend"
        return [one.seen for one in errors]

    def test_a_check_finds_nothing_wrong_where_nothing_is_and_starts_nothing(self) -> None:
        assert self._check() == []
        # Where nothing can be closed, only the check itself knows the address of what it tried.
        assert not self.can.close or not [one for one in self.stand.sessions() if one.payable]

    def test_a_check_of_a_provider_that_is_down_says_so(self) -> None:
        self.stand.go_away()
        assert self._check()

    def test_a_check_with_wrong_credentials_says_so(self) -> None:
        self.stand.refuse_us()
        assert self._check()


class PreparingTests(ProviderTests):
    """``prepare``: what is stored before anything is sent."""

    def test_a_request_is_json_the_same_each_time_and_nothing_is_sent(self) -> None:
        attempt = self.attempt()
        json.loads(attempt.request)
        assert self.provider.prepare(attempt) == attempt.request
        self.later(timedelta(hours=1))
        assert self.provider.prepare(attempt) == attempt.request, "it depends on the attempt alone"
        assert self.stand.sent() == 0

    def test_no_secret_is_in_what_is_stored(self) -> None:
        self.said.append(self.attempt().request)

    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS)
    def test_whatever_a_fee_is_called_the_payment_starts(self, text: str) -> None:
        ref = self.started(lines=(AttemptLine(text=text, cents=CENTS),))
        [session] = self.of("PAY1")
        assert (session.ref, session.cents) == (ref, CENTS)

    def test_many_lines_are_paid_in_one_sum(self) -> None:
        lines = tuple(AttemptLine(text=f"Gebühr {number}", cents=7 + number) for number in range(40))
        cents = sum(line.cents for line in lines)
        self.started(cents=cents, lines=lines)
        assert [one.cents for one in self.of("PAY1")] == [cents]

    @pytest.mark.parametrize("language", ["de", "en", "tlh"])
    def test_any_language_starts(self, language: str) -> None:
        self.started(language=language)
        assert len(self.of("PAY1")) == 1
