"""The provider over real HTTP against the simulated payment service."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace

import pytest
from ils_payment_xbezahldienste.provider import XBezahldiensteProvider

from ils_payment.errors import RemoteGarbledError, RemoteRefusedError, RemoteUnavailableError
from ils_payment.model import (
    AttemptLine,
    CannotTell,
    Forged,
    Level,
    NoticeOutcome,
    PayState,
    RawRequest,
    ReadSupport,
    RefundSupport,
    Started,
    StartRefused,
    Unclear,
)
from ils_payment.plugins import Plugins
from ils_payment.ports import Listing, PayingOut, PaymentProvider, Refunding
from ils_payment.world import PluginHost
from tests.xbezahldienste.conftest import LIBRARY, PASSWORD, an_attempt, config_for, of


def only(simulator):
    [one] = simulator.truth()["transactions"].values()
    return one


def rewritten(simulator, monkeypatch, method, change):
    """Let *change* rewrite what the interface answers to *method*."""
    real = simulator.handle

    def handle(request):
        reply = real(request)
        if request.method != method or reply.status != 200:
            return reply
        body = json.loads(reply.body)
        change(body)
        return replace(reply, body=json.dumps(body).encode())

    monkeypatch.setattr(simulator, "handle", handle)


# --- what it can do ------------------------------------------------------------------------------


def test_the_plugin_brings_the_provider_and_declares_only_what_the_interface_has(provider):
    assert Plugins({"xbezahldienste"}).provider("xbezahldienste") is XBezahldiensteProvider
    assert isinstance(provider, PaymentProvider)
    assert not isinstance(provider, (Refunding, Listing, PayingOut))
    can = provider.capabilities()
    assert (can.read, can.find, can.live) == (ReadSupport.FULL, True, True)
    assert (can.notices, can.close, can.listing, can.payouts) == (False, False, False, False)
    assert can.refund is RefundSupport.NONE
    assert can.currencies == ("EUR",)
    assert provider.methods()[0] == "payment_page"


def test_what_is_not_declared_is_refused(provider, clock):
    with pytest.raises(RemoteRefusedError, match="cannot end a transaction"):
        provider.close("TX-1")
    notice = RawRequest(method="POST", path="/webhooks/town/xbezahldienste", body=b"{}")
    assert isinstance(provider.notice(notice, clock.now()), Forged)
    assert provider.reply(NoticeOutcome.FORGED).status == 404


# --- paying --------------------------------------------------------------------------------------


def test_a_transaction_is_made_as_asked_for_and_read_until_it_is_paid(provider, begin, simulator, url):
    stored, outcome = begin()
    session = outcome.session_ref
    assert outcome == Started(session_ref=session, interaction=outcome.interaction)
    assert outcome.interaction.url == f"{url}/paypage/{session}"
    assert only(simulator) == {
        "requestId": stored.key,
        "references": [stored.reference],
        "purpose": "BIBLIOTHEK ILSP-7K3M9Q-4",
        "items": [
            {
                "description": "Säumnisgebühr",
                "cents": 950,
                "bookingData": {"HHST": "4711", "Objektnummer": "331100"},
            },
            {"description": "Vormerkung", "cents": 300, "bookingData": {}},
        ],
        "cents": 1250,
        "currency": "EUR",
        "status": "INITIAL",
        "told": "INITIAL",
        "method": None,
        "transactionReference": None,
        "taken": 0,
    }
    assert provider.read(session).state is PayState.OPEN
    simulator.book.pay(session, "PAYPAL")
    seen = provider.read(session)
    assert (seen.state, seen.captured, seen.currency) == (PayState.PAID, 1250, "EUR")
    assert (seen.reference, seen.live) == (stored.reference, True)
    assert seen.money_ref == only(simulator)["transactionReference"]
    assert "PAYPAL" in seen.evidence


@pytest.mark.parametrize("cents", [1, 10, 29, 110, 1005, 99_999, 123_456_78, 999_999_00])
def test_amounts_at_the_edges_arrive_and_come_back_to_the_cent(provider, started, simulator, cents):
    session = started(of(cents))
    assert only(simulator)["cents"] == cents
    simulator.book.pay(session)
    assert provider.read(session).captured == cents


def test_more_than_the_interface_takes_is_refused_there(begin):
    _, outcome = begin(of(99_999_999))
    assert isinstance(outcome, StartRefused)
    assert "VALIDATION_ERROR" in outcome.reason


@pytest.mark.parametrize(("hand", "state"), [("cancel", PayState.VOID), ("fail", PayState.VOID)])
def test_a_transaction_that_was_given_up_can_never_be_paid_any_more(
    provider, started, simulator, hand, state
):
    session = started()
    getattr(simulator.book, hand)(session)
    seen = provider.read(session)
    assert (seen.state, seen.final, seen.captured) == (state, True, 0)


def test_an_abandoned_page_fails_by_the_payment_services_own_time_limit(provider, started, simulator, clock):
    session = started()
    clock.pass_time(seconds=simulator.service.timeout_seconds)
    seen = provider.read(session)
    assert (seen.state, seen.final) == (PayState.VOID, True)
    assert "FAILED" in seen.evidence


def test_a_status_that_lags_behind_is_open_until_it_is_told(provider, started, simulator, clock):
    simulator.service.lag_seconds = 90
    session = started()
    simulator.book.pay(session)
    assert provider.read(session).state is PayState.OPEN
    clock.pass_time(seconds=90)
    assert provider.read(session).state is PayState.PAID


def test_money_that_comes_after_the_end_is_seen_when_somebody_looks(provider, started, simulator):
    session = started()
    simulator.book.fail(session)
    assert provider.read(session).state is PayState.VOID
    simulator.book.pay_late(session)
    assert (provider.read(session).state, provider.read(session).captured) == (PayState.PAID, 1250)


@pytest.mark.parametrize(("cents", "currency"), [(1249, "EUR"), (1251, "EUR"), (1250, "CHF")])
def test_other_money_than_was_asked_for_is_told_as_it_is(provider, started, simulator, cents, currency):
    session = started()
    simulator.book.pay_other_amount(session, cents, currency)
    seen = provider.read(session)
    assert (seen.state, seen.captured, seen.currency) == (PayState.PAID, cents, currency)


# --- starts that do not go well ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "VALIDATION_ERROR", StartRefused),
        (400, "BOOKING_DATA_MISSING", StartRefused),
        (403, "NO_VALID_ORIGINATOR_OR_ENDPOINT", StartRefused),
        (401, "", StartRefused),
        (400, "PAYMENT_EXISTS", Unclear),
        (400, "UNSPECIFIED", Unclear),
        (429, "", Unclear),
        (500, "", Unclear),
        (503, "UNSPECIFIED", Unclear),
        (302, "", Unclear),
    ],
)
def test_a_start_is_refused_only_where_nothing_was_made(begin, simulator, status, code, kind):
    simulator.faults.fail_next(status=status, code=code)
    _, outcome = begin()
    assert isinstance(outcome, kind)
    assert f"HTTP {status}" in outcome.reason
    assert code in outcome.reason


def test_booking_data_that_the_treasury_lacks_is_named(begin, simulator):
    simulator.service.required_booking_data = ("Kostentraeger",)
    _, outcome = begin()
    assert outcome == StartRefused(
        reason="The payment service answered (HTTP 400, BOOKING_DATA_MISSING): Es fehlt Kostentraeger."
    )


@pytest.mark.parametrize("fault", ["lose_request", "lose_answer"])
def test_a_start_without_an_answer_is_unclear_and_made_once(begin, simulator, fault):
    getattr(simulator.faults, fault)()
    _, outcome = begin()
    assert isinstance(outcome, Unclear)
    assert simulator.truth()["requests"] == {"start": 1}


def test_a_start_that_takes_too_long_is_unclear(begin, simulator, world, monkeypatch):
    world.deadline = 0.2
    monkeypatch.setattr(simulator.book.world, "pause", lambda _name, seconds: time.sleep(seconds))
    simulator.faults.delay_next(0.6)
    _, outcome = begin()
    assert isinstance(outcome, Unclear)


@pytest.mark.parametrize("body", [b"", b"<html>OK</html>", b"{}", b'{"paymentInformation":{}}', b"\xff"])
def test_a_start_whose_answer_is_garbled_is_unclear(begin, simulator, body):
    simulator.faults.garble_next(body)
    _, outcome = begin()
    assert isinstance(outcome, Unclear)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["paymentRequest"].update(grosAmount=12.51),
        lambda body: body["paymentRequest"].update(currency="CHF"),
        lambda body: body["paymentRequest"].update(requestId="OTHER"),
        lambda body: body["paymentInformation"].update(transactionRedirectUrl="https://evil.example/pay"),
    ],
)
def test_nobody_is_sent_to_a_transaction_that_is_not_as_asked_for(
    provider, begin, simulator, monkeypatch, change, clock
):
    rewritten(simulator, monkeypatch, "POST", change)
    rewritten(simulator, monkeypatch, "GET", change)
    stored, outcome = begin()
    assert isinstance(outcome, Unclear)
    assert isinstance(provider.find(stored), CannotTell)
    clock.pass_time(hours=24)
    assert provider.find(stored) is None


def test_a_payment_page_elsewhere_is_right_where_the_configuration_names_it(url, world, simulator):
    config = config_for(url, page_origins=["https://paypage.example"])
    elsewhere = XBezahldiensteProvider(config, PluginHost(world, LIBRARY))
    assert elsewhere.capabilities().redirect_origins == ("https://paypage.example",)
    simulator.public_url = "https://paypage.example"
    stored = replace(an_attempt(), request=elsewhere.prepare(an_attempt()))
    outcome = elsewhere.start(stored)
    assert isinstance(outcome, Started)
    assert outcome.interaction.url.startswith("https://paypage.example/paypage/")


# --- looking up ----------------------------------------------------------------------------------


def test_a_lost_answer_is_found_by_the_request_id_where_that_is_the_transactions_id(
    provider, begin, simulator
):
    simulator.service.request_id_is_transaction_id = True
    simulator.faults.lose_answer()
    stored, outcome = begin()
    assert isinstance(outcome, Unclear)
    found = provider.find(stored)
    assert isinstance(found, Started)
    assert found.session_ref == stored.key
    assert simulator.truth()["requests"] == {"start": 1, "read": 1}


def test_a_request_that_never_arrived_is_made_by_looking_for_it(provider, begin, simulator):
    simulator.faults.lose_request()
    stored, outcome = begin()
    assert isinstance(outcome, Unclear)
    found = provider.find(stored)
    assert isinstance(found, Started)
    assert list(simulator.truth()["transactions"]) == [found.session_ref]


def test_a_transaction_that_exists_is_never_made_twice_and_keeps_its_claim_for_a_day(
    provider, begin, simulator, clock
):
    simulator.faults.lose_answer()
    stored, _ = begin()
    for _ in range(3):
        told = provider.find(stored)
        assert isinstance(told, CannotTell)
        assert "exists" in told.reason
        clock.pass_time(hours=7)
    clock.pass_time(hours=3)
    assert provider.find(stored) is None
    assert len(simulator.truth()["transactions"]) == 1


def test_a_found_transaction_that_is_over_leads_back_to_our_own_page(provider, begin, simulator):
    simulator.service.request_id_is_transaction_id = True
    simulator.faults.lose_answer()
    stored, _ = begin()
    simulator.book.cancel(stored.key)
    found = provider.find(stored)
    assert isinstance(found, Started)
    assert found.interaction.url == stored.return_url


def test_somebody_elses_transaction_under_our_request_id_is_not_ours(provider, begin, simulator, monkeypatch):
    simulator.service.request_id_is_transaction_id = True
    simulator.faults.lose_answer()
    stored, _ = begin()
    rewritten(simulator, monkeypatch, "GET", lambda body: body["paymentRequest"].update(requestId="OTHER"))
    assert isinstance(provider.find(stored), CannotTell)


@pytest.mark.parametrize(
    ("operation", "status", "error"),
    [
        ("read", 500, RemoteUnavailableError),
        ("read", 403, RemoteRefusedError),
        ("start", 500, RemoteUnavailableError),
        ("start", 400, RemoteRefusedError),
    ],
)
def test_looking_that_fails_says_so_and_is_done_again_later(
    provider, begin, simulator, operation, status, error
):
    simulator.faults.lose_request()
    stored, _ = begin()
    simulator.faults.fail_next(status=status, only=operation)
    with pytest.raises(error):
        provider.find(stored)
    assert isinstance(provider.find(stored), Started)


# --- reading that does not go well ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "", RemoteRefusedError),
        (403, "FORBIDDEN", RemoteRefusedError),
        (404, "VALIDATION_ERROR", RemoteRefusedError),
        (429, "", RemoteUnavailableError),
        (500, "", RemoteUnavailableError),
        (503, "UNSPECIFIED", RemoteUnavailableError),
        (302, "", RemoteGarbledError),
        (202, "", RemoteGarbledError),
    ],
)
def test_what_is_no_answer_to_a_question_decides_nothing(provider, started, simulator, status, code, error):
    session = started()
    simulator.faults.fail_next(status=status, code=code, only="read")
    with pytest.raises(error) as raised:
        provider.read(session)
    assert raised.value.mend
    simulator.book.pay(session)
    assert provider.read(session).state is PayState.PAID


@pytest.mark.parametrize("body", [b"", b"<html>PAYED</html>", b'{"status":"PAYED"}', b"\xff\xfe"])
def test_a_garbled_answer_decides_nothing(provider, started, simulator, body):
    session = started()
    simulator.faults.garble_next(body, only="read")
    with pytest.raises(RemoteGarbledError):
        provider.read(session)


@pytest.mark.parametrize("fault", ["lose_request", "lose_answer"])
def test_a_lost_answer_to_a_question_is_asked_again_later(provider, started, simulator, fault):
    session = started()
    getattr(simulator.faults, fault)(only="read")
    with pytest.raises(RemoteUnavailableError):
        provider.read(session)
    assert provider.read(session).state is PayState.OPEN


def test_each_call_passes_its_failpoints_and_is_made_once(provider, started, world):
    provider.read(started())
    assert world.passed == ["xbezahldienste.before_call", "xbezahldienste.after_call"] * 2


# --- check ---------------------------------------------------------------------------------------


def findings(provider):
    return {one.subject: one for one in provider.check()}


def test_check_asks_for_the_state_of_the_end_point_and_makes_nothing(provider, simulator):
    seen = findings(provider)
    assert {name: str(one.level) for name, one in seen.items()} == {
        "mode": str(Level.OK),
        "currency": str(Level.OK),
        "booking data": str(Level.OK),
        "payment page": str(Level.OK),
        "end point": str(Level.OK),
    }
    assert simulator.truth()["requests"] == {"status": 1}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda simulator: setattr(simulator.service, "ready", False), "out of order"),
        (lambda simulator: setattr(simulator.service, "end_point_id", "00000000"), "does not accept us"),
        (lambda simulator: simulator.faults.fail_next(status=401), "does not accept us"),
        (lambda simulator: simulator.faults.fail_next(status=404), "no answer of the interface's"),
        (lambda simulator: simulator.faults.lose_answer(), "no whole answer"),
    ],
)
def test_check_says_what_is_wrong_with_the_end_point(provider, simulator, spoil, said):
    spoil(simulator)
    found = findings(provider)["end point"]
    assert found.level is Level.ERROR
    assert said in found.seen
    assert found.mend


def test_check_tells_a_test_system_and_missing_booking_data(url, world):
    plain = XBezahldiensteProvider(config_for(url, live=False, booking_data={}), PluginHost(world, LIBRARY))
    assert plain.capabilities().live is False
    assert plain.capabilities().line_accounts == ()
    assert XBezahldiensteProvider(
        config_for(url, booking_data={"HHST": "{cost_centre}-1", "Amt": "44"}), PluginHost(world, LIBRARY)
    ).capabilities().line_accounts == ("cost_centre",)
    seen = findings(plain)
    assert (seen["mode"].level, seen["booking data"].level) == (Level.WARNING, Level.WARNING)
    swiss = LIBRARY.model_copy(update={"currency": "CHF"})
    abroad = XBezahldiensteProvider(config_for(url), PluginHost(world, swiss))
    assert findings(abroad)["currency"].level is Level.ERROR


def test_an_address_that_nobody_serves_is_told_with_its_cause(world):
    nobody = XBezahldiensteProvider(config_for("http://127.0.0.1:9/api/"), PluginHost(world, LIBRARY))
    found = findings(nobody)["end point"]
    assert found.level is Level.ERROR
    assert "refuses the connection" in found.seen
    assert "/api/" not in found.seen


# --- secrets and personal data -------------------------------------------------------------------


def test_no_secret_and_no_answer_of_the_services_is_in_logs_or_reasons(provider, begin, simulator, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    simulator.faults.garble_next(b'{"error": "Erika Mustermann 4111111111111111"}', status=500)
    told.append(begin()[1].reason)
    simulator.faults.lose_answer()
    told.append(begin(an_attempt(key="KEY2"))[1].reason)
    with pytest.raises(RemoteRefusedError) as raised:
        provider.read("TX-NOBODY")
    told += [str(raised.value), caplog.text, repr(config_for("https://x.example/"))]
    for secret in (PASSWORD, "CANARY", "Mustermann", "4111111111111111", "Basic "):
        assert all(secret not in one for one in told)


def test_nothing_personal_is_sent(provider):
    attempt = an_attempt(lines=(AttemptLine(text="Gebühr", cents=1250),))
    assert "requestor" not in json.loads(provider.prepare(attempt))


def test_a_payment_service_of_capitals_takes_the_default_purpose(url, begin, simulator):
    simulator.service.capitals_only = True
    assert isinstance(begin()[1], Started)
