"""The Stripe provider: the official SDK over real HTTP against the simulated Stripe."""

from __future__ import annotations

import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import stripe
import stripe._telemetry_id
from ils_payment_stripe.client import API_VERSION, describe, translate
from ils_payment_stripe.config import StripeConfig
from ils_payment_stripe.provider import StripeProvider
from ils_payment_stripe.simulator import StripeSimulator
from pydantic import SecretStr

from ils_payment.errors import (
    ConfigurationError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    Attempt,
    AttemptLine,
    Forged,
    Level,
    NoticeOutcome,
    PayState,
    ReadSupport,
    Reply,
    ReversalState,
    Started,
    StartRefused,
    Unclear,
)
from ils_payment.plugins import Plugins
from ils_payment.ports import LibraryInfo, PaymentProvider
from ils_payment.testing.simulator import RealWorld, serve
from ils_payment.world import PluginHost, World

KEY = "rk_test_CANARYKEY"
HOOK_SECRET = "whsec_CANARYHOOK"
RIGHTS = {
    "checkout_sessions:write",
    "payment_intents:read",
    "charges:read",
    "refunds:write",
    "disputes:read",
    "balance_transactions:read",
    "payouts:read",
}
CREATE = "checkout.sessions.create"
LIBRARY = LibraryInfo(
    key="town", name="Town Library", currency="EUR", languages=("de", "en"), time_zone="Europe/Berlin"
)


class Clock(World, RealWorld):
    """The real world with a clock that a test can put forward, for both sides at once."""

    def __init__(self):
        super().__init__()
        self.ahead = timedelta()
        self.deadline = 20.0
        self.passed: list[str] = []

    def now(self):
        return super().now() + self.ahead

    def session(self, *, deadline, max_bytes):
        return super().session(deadline=min(deadline, self.deadline), max_bytes=max_bytes)

    def failpoint(self, name):
        self.passed.append(name)


@dataclass
class Remote:
    """The simulated Stripe, with a hand on the wire: answers can be replaced or changed."""

    simulator: StripeSimulator
    requests: list = field(default_factory=list)
    instead: dict[str, Reply] = field(default_factory=dict)
    change: dict[str, dict] = field(default_factory=dict)

    def handle(self, request):
        self.requests.append(request)
        here = f"{request.method} {request.path}"
        for pattern, reply in self.instead.items():
            if re.fullmatch(pattern, here):
                return reply
        reply = self.simulator.handle(request)
        for pattern, fields in self.change.items():
            if re.fullmatch(pattern, here) and reply.status == 200:
                body = json.loads(reply.body) | fields
                reply = replace(reply, body=json.dumps(body).encode())
        return reply

    def truth(self):
        return self.simulator.truth()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def simulator(clock):
    made = StripeSimulator(
        clock,
        api_key="sk_test_simulator",
        webhook_secret=HOOK_SECRET,
        webhook_url="https://pay.example.org/webhooks/town/stripe",
    )
    made.account.keys[KEY] = set(RIGHTS)
    return made


class Line:
    """The one server of this file; each test plugs its own remote in."""

    remote: Remote

    def handle(self, request):
        return self.remote.handle(request)

    def truth(self):
        return self.remote.truth()


@pytest.fixture(scope="module")
def line():
    line = Line()
    with serve(line) as base:
        yield line, base


@pytest.fixture
def remote(simulator, line):
    line[0].remote = Remote(simulator)
    return line[0].remote


@pytest.fixture
def address(remote, line):
    return line[1]


@pytest.fixture
def make(address, clock):
    def make(library=LIBRARY, **changes):
        settings = {
            "api_key": SecretStr(KEY),
            "webhook_secrets": (SecretStr(HOOK_SECRET),),
            "statement_descriptor": "BIB HBG",
            "api_base": address,
        }
        return StripeProvider(StripeConfig(**(settings | changes)), PluginHost(clock, library))

    return make


@pytest.fixture
def provider(make):
    return make()


@pytest.fixture
def attempt(provider, clock):
    return prepared(provider, clock)


def prepared(provider, clock, **changes):
    facts = {
        "key": "KEY1",
        "reference": "PAY1",
        "cents": 1250,
        "currency": "EUR",
        "method": "card",
        "lines": (AttemptLine(text="Säumnisgebühr", cents=250), AttemptLine(text="Ersatz", cents=1000)),
        "language": "de",
        "return_url": "https://pay.example.org/r/CANARYTOKEN",
        "cancel_url": "https://pay.example.org/c/CANARYTOKEN",
        "created_at": clock.now(),
    }
    bare = Attempt(**(facts | changes))
    return replace(bare, request=provider.prepare(bare))


@pytest.fixture
def session(provider, attempt):
    started = provider.start(attempt)
    assert isinstance(started, Started)
    return started.session_ref


def answer(status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, body=content, headers=tuple(headers.items()))


def error_body(message="no", **more):
    return {"error": {"type": "invalid_request_error", "message": message, **more}}


# --- the journey --------------------------------------------------------------------------------


def test_a_payment_goes_from_attempt_to_captured_money(provider, simulator, attempt, clock, address):
    started = provider.start(attempt)
    assert isinstance(started, Started)
    assert started.interaction.url.startswith(f"{address}/c/pay/cs_test_")
    assert started.expires_at == attempt.created_at.replace(microsecond=0) + timedelta(minutes=31)
    assert provider.read(started.session_ref).state is PayState.OPEN

    simulator.pay(started.session_ref)
    seen = provider.read(started.session_ref)
    assert (seen.state, seen.captured, seen.currency) == (PayState.PAID, 1250, "EUR")
    assert (seen.reference, seen.live, seen.final, seen.reversals) == ("PAY1", False, False, ())

    parcels = simulator.due_deliveries()
    notices = [one for parcel in parcels for one in provider.notice(parcel.raw_request(), clock.now())]
    assert ("checkout.session.completed", started.session_ref, "PAY1") in [
        (one.kind, one.session_ref, one.reference) for one in notices
    ]
    assert simulator.truth()["captured"] == {"eur": 1250}


def test_a_transfer_from_the_bank_account_goes_the_same_way(provider, simulator, clock):
    started = provider.start(prepared(provider, clock, method="instant_bank_transfer"))
    simulator.pay(started.session_ref, method="pay_by_bank")
    assert provider.read(started.session_ref).state is PayState.PAID


def test_the_payers_statement_names_the_library(provider, simulator, session):
    simulator.pay(session)
    (charge,) = simulator.truth()["charges"].values()
    assert charge["calculated_statement_descriptor"].endswith("* BIB HBG")


def test_requests_carry_the_pinned_version_the_key_and_nothing_about_the_machine(
    provider, remote, attempt, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(stripe._telemetry_id, "_loaded", False)
    for _ in range(2):
        provider.start(attempt)
    for request in remote.requests:
        assert request.headers["stripe-version"] == API_VERSION
        assert request.headers["idempotency-key"] == "KEY1"
        assert "x-stripe-client-telemetry" not in request.headers
        assert "telemetry_id" not in request.headers["x-stripe-client-user-agent"]
    assert list(tmp_path.iterdir()) == []
    # With telemetry on, the SDK would have written its id there: so this test can fail.
    monkeypatch.setattr(stripe, "enable_telemetry", True)
    provider.start(attempt)
    assert (tmp_path / "stripe" / "telemetry_id").exists()


def test_the_payers_name_reaches_no_log(provider, simulator, session, caplog):
    caplog.set_level(logging.DEBUG)
    simulator.pay(session)
    seen = provider.read(session)
    assert "Musterfrau" in json.dumps(simulator.truth()["charges"])
    assert "Musterfrau" not in caplog.text + repr(seen)


def test_every_call_is_a_named_failpoint(provider, clock, session):
    assert clock.passed == ["stripe.before_call", "stripe.after_call"]


def test_the_same_stored_request_is_the_same_session(provider, simulator, attempt):
    first, second = provider.start(attempt), provider.start(attempt)
    assert first == second
    assert len(simulator.truth()["sessions"]) == 1


def test_threads_do_not_disturb_each_other(provider, simulator, clock):
    attempts = [prepared(provider, clock, key=f"KEY{n}", reference=f"PAY{n}") for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(provider.start, attempts))
    seen = [provider.read(one.session_ref).reference for one in started]
    assert seen == [one.reference for one in attempts]
    assert len(simulator.truth()["sessions"]) == 24


# --- what can go wrong with a start -------------------------------------------------------------


def test_the_same_key_with_another_request_is_unclear(provider, simulator, attempt):
    provider.start(attempt)
    altered = attempt.request.replace('"locale":"de"', '"locale":"en"')
    assert altered != attempt.request
    outcome = provider.start(replace(attempt, request=altered))
    assert isinstance(outcome, Unclear)
    assert "HTTP 400" in outcome.reason
    assert len(simulator.truth()["sessions"]) == 1


CERTAINLY_NONE = [answer(status, error_body()) for status in (400, 401, 403, 404)]
LEFT_OPEN = [
    answer(402, error_body()),
    answer(409, error_body()),
    answer(429, error_body()),
    answer(400, error_body(code="rate_limit")),
    answer(400, {"error": {"type": "idempotency_error", "message": "no"}}),
    answer(400, b"<html>a proxy in between</html>"),
    answer(403, b"<html>a proxy in between</html>"),
    answer(400, {"error": ["no"]}),
    answer(500, error_body()),
    answer(502, b"<html>bad gateway</html>"),
    answer(503, b""),
    answer(200, b""),
    answer(200, b"<html>welcome to our free Wi-Fi</html>"),
    answer(200, b"[]"),
    answer(200, b"null"),
    answer(200, {}),
    answer(302, b"", location="https://elsewhere.example/"),
    answer(0, b""),
]


@pytest.mark.parametrize("reply", CERTAINLY_NONE, ids=lambda reply: str(reply.status))
def test_a_refusal_before_anything_was_made_is_certain(provider, remote, attempt, reply):
    remote.instead["POST /v1/checkout/sessions"] = reply
    outcome = provider.start(attempt)
    assert isinstance(outcome, StartRefused)
    assert str(reply.status) in outcome.reason
    assert len(remote.requests) == 1


@pytest.mark.parametrize("reply", LEFT_OPEN, ids=lambda reply: f"{reply.status} {reply.body[:40]!r}")
def test_every_other_answer_leaves_it_open_and_is_not_repeated(provider, remote, attempt, reply):
    remote.instead["POST /v1/checkout/sessions"] = reply
    outcome = provider.start(attempt)
    assert isinstance(outcome, Unclear)
    assert outcome.reason
    assert len(remote.requests) == 1


def test_a_slow_answer_is_left_at_the_deadline(provider, simulator, attempt, clock):
    clock.deadline = 0.4
    simulator.faults.delay_next(3, only=CREATE, after_effect=True)
    before = time.monotonic()
    outcome = provider.start(attempt)
    assert time.monotonic() - before < 2.5
    assert isinstance(outcome, Unclear)


def test_nobody_listening_is_unclear_for_a_start_and_unavailable_for_a_question(make, clock):
    lonely = make(api_base="http://127.0.0.1:9")
    assert isinstance(lonely.start(prepared(lonely, clock)), Unclear)
    with pytest.raises(RemoteUnavailableError):
        lonely.read("cs_test_1")


def test_a_method_that_the_account_lacks_is_refused_and_named(provider, simulator, attempt):
    simulator.account.enabled_methods = ("pay_by_bank",)
    outcome = provider.start(attempt)
    assert isinstance(outcome, StartRefused)
    assert "dashboard" in outcome.reason
    assert all(one["status"] == "expired" for one in simulator.truth()["sessions"].values())


WRONG = [
    {"payment_method_types": []},
    {"payment_method_types": ["card", "klarna"]},
    {"amount_total": 1},
    {"currency": "usd"},
    {"client_reference_id": "PAY2"},
    {"livemode": True},
    {"url": "https://checkout.stripe.com/c/pay/x"},
]


@pytest.mark.parametrize("fields", WRONG, ids=lambda fields: next(iter(fields)))
def test_a_session_that_is_not_as_asked_for_is_ended_at_once(provider, remote, simulator, attempt, fields):
    remote.change["POST /v1/checkout/sessions"] = fields
    assert isinstance(provider.start(attempt), StartRefused)
    (made,) = simulator.truth()["sessions"].values()
    assert made["status"] == "expired"
    assert provider.find(attempt) is None


def test_a_wrong_session_that_cannot_be_ended_stays_unclear(provider, remote, attempt):
    remote.change["POST /v1/checkout/sessions"] = {"amount_total": 1}
    remote.instead["POST /v1/checkout/sessions/.*/expire"] = answer(500, error_body())
    outcome = provider.start(attempt)
    assert isinstance(outcome, Unclear)
    assert "could not be ended" in outcome.reason
    with pytest.raises(RemoteGarbledError):
        provider.find(attempt)


def test_klarna_stands_in_where_it_is_allowed_and_the_bank_method_is_not_there(make, simulator, clock):
    simulator.account.enabled_methods = ("card", "klarna")
    with_klarna = make(allow_klarna=True)
    attempt = prepared(with_klarna, clock, method="instant_bank_transfer")
    assert isinstance(with_klarna.start(attempt), Started)
    without = make()
    refused = prepared(without, clock, method="instant_bank_transfer", key="KEY2")
    assert isinstance(without.start(refused), StartRefused)


def test_dead_methods_are_refused_before_any_call(provider, remote, clock):
    for method in ("giropay", "sofort"):
        with pytest.raises(ConfigurationError, match=method):
            prepared(provider, clock, method=method)
    assert remote.requests == []


# --- looking up an unclear start ----------------------------------------------------------------


def test_a_lost_answer_is_found_again_and_can_be_paid(provider, simulator, attempt):
    simulator.faults.lose_answer(only=CREATE)
    assert isinstance(provider.start(attempt), Unclear)
    found = provider.find(attempt)
    assert isinstance(found, Started)
    simulator.pay(found.session_ref)
    assert provider.read(found.session_ref).captured == 1250
    assert len(simulator.truth()["sessions"]) == 1


def test_a_lost_request_is_made_good_by_looking(provider, simulator, attempt):
    simulator.faults.lose_request(only=CREATE)
    assert isinstance(provider.start(attempt), Unclear)
    assert isinstance(provider.find(attempt), Started)
    assert len(simulator.truth()["sessions"]) == 1


def test_a_request_that_never_arrived_is_certain_once_its_time_is_over(provider, simulator, attempt, clock):
    simulator.faults.lose_request(only=CREATE)
    provider.start(attempt)
    clock.ahead = timedelta(minutes=2)
    assert provider.find(attempt) is None
    assert simulator.truth()["sessions"] == {}


@pytest.mark.parametrize("later", [timedelta(minutes=2), timedelta(hours=23), timedelta(hours=25)])
def test_a_session_is_found_however_late_one_looks(provider, simulator, attempt, clock, later):
    simulator.faults.lose_answer(only=CREATE)
    provider.start(attempt)
    clock.ahead = later
    found = provider.find(attempt)
    assert [found.session_ref] == list(simulator.truth()["sessions"])
    assert provider.read(found.session_ref).final is (later > timedelta(minutes=31))
    assert len(simulator.truth()["sessions"]) == 1


@pytest.mark.parametrize("wrong", [timedelta(minutes=12), timedelta(hours=2)])
def test_a_session_is_found_although_our_clock_is_ahead(provider, simulator, clock, wrong):
    # With a clock that is as much behind, Stripe refuses the session: it would end too soon.
    clock.ahead = wrong
    attempt = prepared(provider, clock)
    clock.ahead = timedelta(0)
    simulator.faults.fail_next(only=CREATE, status=500, after_effect=True)
    assert isinstance(provider.start(attempt), Unclear)
    assert [provider.find(attempt).session_ref] == list(simulator.truth()["sessions"])


def test_the_payer_of_a_session_that_is_over_is_sent_to_our_own_page(provider, simulator, attempt, clock):
    provider.start(attempt)
    clock.ahead = timedelta(hours=25)
    # Of an attempt that is looked up later, the stored request is what counts.
    stored = replace(attempt, lines=(), return_url="", cancel_url="")
    assert provider.find(stored).interaction.url == attempt.return_url


def test_an_error_that_stripe_keeps_under_the_key_is_looked_behind(provider, simulator, attempt):
    simulator.faults.fail_next(only=CREATE, status=500)
    assert isinstance(provider.start(attempt), Unclear)
    assert provider.find(attempt) is None


def test_a_session_behind_a_kept_error_is_found(provider, simulator, attempt):
    simulator.faults.fail_next(only=CREATE, status=500, after_effect=True)
    assert isinstance(provider.start(attempt), Unclear)
    assert [provider.find(attempt).session_ref] == list(simulator.truth()["sessions"])


def test_the_search_goes_through_all_pages_and_takes_no_strangers(provider, simulator, clock, remote):
    first = prepared(provider, clock)
    simulator.faults.fail_next(only=CREATE, status=500, after_effect=True)
    provider.start(first)
    for number in range(120):
        other = prepared(provider, clock, key=f"OTHER{number}", reference=f"OTHER{number}")
        assert isinstance(provider.start(other), Started)
    found = provider.find(first)
    assert provider.read(found.session_ref).reference == "PAY1"
    assert len([one for one in remote.requests if one.method == "GET" and "limit" in one.query]) == 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(429, error_body()), RemoteUnavailableError),
        (answer(409, error_body(code="idempotency_key_in_use")), RemoteUnavailableError),
        (answer(0, b""), RemoteUnavailableError),
        (answer(401, error_body()), RemoteRefusedError),
        (answer(403, error_body()), RemoteRefusedError),
        (answer(200, b"[]"), RemoteGarbledError),
    ],
)
def test_what_cannot_be_looked_up_now_says_so(provider, remote, attempt, reply, error):
    remote.instead["POST /v1/checkout/sessions"] = reply
    with pytest.raises(error):
        provider.find(attempt)


# --- reading and closing ------------------------------------------------------------------------


def test_another_amount_or_currency_is_told_as_it_is(provider, simulator, clock):
    for number, pay in enumerate(
        (
            lambda ref: simulator.pay_other_amount(ref, 1),
            lambda ref: simulator.pay_other_currency(ref, "usd", 1400, forced=True),
        )
    ):
        started = provider.start(prepared(provider, clock, key=f"KEY{number}"))
        pay(started.session_ref)
        seen = provider.read(started.session_ref)
        assert (seen.state, seen.captured, seen.currency) == [
            (PayState.PAID, 1, "EUR"),
            (PayState.PAID, 1400, "USD"),
        ][number]


def test_the_payer_cannot_choose_another_currency(provider, simulator, session):
    assert simulator.account.adaptive_pricing
    assert simulator.truth()["sessions"][session]["adaptive_pricing"] == {"enabled": False}


@pytest.mark.parametrize("success", [True, False])
def test_what_the_bank_decides_later_is_pending_until_it_has(provider, simulator, clock, success):
    ref = provider.start(prepared(provider, clock, method="instant_bank_transfer")).session_ref
    simulator.pay_pending(ref)
    assert provider.read(ref).state is PayState.PENDING
    assert not provider.read(ref).final
    (simulator.succeed_pending if success else simulator.fail_pending)(ref)
    seen = provider.read(ref)
    assert (seen.state, seen.final) == ((PayState.PAID, False) if success else (PayState.VOID, True))


def test_a_declined_card_leaves_the_page_open_for_another_try(provider, simulator, session):
    simulator.decline(session)
    assert provider.read(session).state is PayState.OPEN
    simulator.pay(session)
    assert provider.read(session).state is PayState.PAID


def test_a_session_expires_for_good(provider, simulator, session, clock):
    clock.ahead = timedelta(minutes=30)
    assert provider.read(session).state is PayState.OPEN
    clock.ahead = timedelta(minutes=32)
    seen = provider.read(session)
    assert (seen.state, seen.final, seen.captured) == (PayState.VOID, True, 0)


@pytest.mark.parametrize("status", ["complete", "expired"])
def test_money_that_comes_after_the_end_counts(provider, simulator, clock, status):
    ref = provider.start(prepared(provider, clock, method="instant_bank_transfer")).session_ref
    provider.close(ref)
    simulator.pay_after_expiry(ref, status=status)
    seen = provider.read(ref)
    assert (seen.state, seen.captured) == (PayState.PAID, 1250)


def test_an_open_session_is_closed_for_good(provider, session):
    assert (provider.close(session).state, provider.close(session).final) == (PayState.VOID, True)


def test_closing_a_paid_session_tells_that_it_is_paid(provider, simulator, session):
    simulator.pay(session)
    assert provider.close(session).state is PayState.PAID


def test_money_that_left_again_is_listed(provider, simulator, session):
    simulator.pay(session)
    refund = simulator.refund_in_dashboard(session, 250)
    dispute = simulator.dispute(session)
    seen = provider.read(session)
    assert seen.state is PayState.PAID
    assert seen.money_ref == simulator.truth()["sessions"][session]["payment_intent"]
    assert {(one.ref, one.kind, one.cents, one.state) for one in seen.reversals} == {
        (refund, "refund", 250, ReversalState.DONE),
        (dispute, "chargeback", 1250, ReversalState.DONE),
    }
    simulator.close_dispute(dispute, won=True)
    assert [(one.kind, one.state) for one in provider.read(session).reversals] == [
        ("refund", ReversalState.DONE),
        ("chargeback", ReversalState.FAILED),
    ]


def test_more_refunds_than_come_with_a_charge_are_all_read(provider, simulator, session):
    simulator.pay(session)
    refunds = {simulator.refund_in_dashboard(session, 7) for _ in range(12)}
    seen = provider.read(session).reversals
    assert {one.ref for one in seen} == refunds
    assert len(seen) == 12


def test_a_refund_that_failed_stays_in_the_list(provider, simulator, clock):
    ref = provider.start(prepared(provider, clock, method="instant_bank_transfer")).session_ref
    simulator.pay(ref, method="pay_by_bank")
    refund = simulator.refund_in_dashboard(ref)
    assert [(one.cents, one.state) for one in provider.read(ref).reversals] == [(1250, ReversalState.PENDING)]
    simulator.finish_refund(refund, success=False)
    assert [(one.cents, one.state) for one in provider.read(ref).reversals] == [(1250, ReversalState.FAILED)]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(400, error_body()), RemoteRefusedError),
        (answer(401, error_body()), RemoteRefusedError),
        (answer(403, error_body()), RemoteRefusedError),
        (answer(404, error_body()), RemoteRefusedError),
        (answer(409, error_body()), RemoteUnavailableError),
        (answer(429, error_body()), RemoteUnavailableError),
        (answer(500, error_body()), RemoteUnavailableError),
        (answer(503, b"<html>"), RemoteUnavailableError),
        (answer(0, b""), RemoteUnavailableError),
        (answer(200, b"<html>"), RemoteGarbledError),
        (answer(200, b"[]"), RemoteGarbledError),
        (answer(200, {}), RemoteGarbledError),
        (answer(302, b""), RemoteGarbledError),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else "",
)
def test_a_question_without_an_answer_is_one_of_our_errors(provider, remote, reply, error):
    remote.instead["GET /v1/checkout/sessions/.*"] = reply
    with pytest.raises(error) as caught:
        provider.read("cs_test_1")
    assert caught.value.mend
    assert len(remote.requests) == 1


def test_a_session_of_another_account_is_refused_with_a_hint(provider):
    for ask in (provider.read, provider.close):
        with pytest.raises(RemoteRefusedError, match="another Stripe account"):
            ask("cs_test_stranger")


def test_a_key_without_the_right_is_told_which(provider, simulator, session):
    simulator.account.keys[KEY] -= {"payment_intents:read"}
    with pytest.raises(RemoteRefusedError, match="payment_intents:read") as caught:
        provider.read(session)
    assert "docs/stripe.md" in caught.value.mend


def test_a_wrong_key_is_refused_without_being_shown(make, clock):
    wrong = make(api_key=SecretStr("rk_test_CANARYWRONG"))
    outcome = wrong.start(prepared(wrong, clock))
    assert isinstance(outcome, StartRefused)
    assert "HTTP 401" in outcome.reason
    with pytest.raises(RemoteRefusedError, match="api_key"):
        wrong.read("cs_test_1")


def test_neither_keys_nor_addresses_nor_foreign_pages_pass_through_an_error(provider, remote, attempt):
    message = (
        f"Invalid {KEY} or {HOOK_SECRET} or {attempt.return_url}, see https://stripe.com/x. " + "x" * 999
    )
    remote.instead["POST /v1/checkout/sessions"] = answer(400, error_body(message))
    remote.instead["GET /v1/checkout/sessions/.*"] = answer(401, error_body(message))
    told = provider.start(attempt).reason
    with pytest.raises(RemoteRefusedError) as caught:
        provider.read("cs_test_1")
    remote.instead["GET /v1/checkout/sessions/.*"] = answer(403, f"<p>{KEY}</p>".encode())
    with pytest.raises(RemoteRefusedError) as proxied:
        provider.read("cs_test_1")
    for text in (told, str(caught.value), str(proxied.value), repr(provider), str(vars(provider)["_config"])):
        assert "CANARY" not in text
        assert len(text) < 600
    assert caught.value.__cause__ is None


def test_an_exception_of_any_kind_becomes_one_of_ours():
    for error in (ValueError("CANARY"), stripe.StripeError("CANARY"), stripe.APIError("x", http_status=418)):
        assert isinstance(translate(error), RemoteError)
        assert "CANARY" not in describe(error)


# --- what it says of itself ---------------------------------------------------------------------


def test_the_plugin_comes_through_the_door():
    assert Plugins(["stripe"]).provider("stripe") is StripeProvider


def test_it_keeps_to_the_protocol_and_makes_no_call_to_describe_itself(provider, remote, address):
    assert isinstance(provider, PaymentProvider)
    can = provider.capabilities()
    assert (can.live, can.read, can.notices, can.close, can.find) == (
        False,
        ReadSupport.FULL,
        True,
        True,
        True,
    )
    assert can.key_lifetime == timedelta(hours=24)
    assert can.redirect_origins == (address,)
    assert "EUR" in can.currencies
    assert remote.requests == []


@pytest.mark.parametrize(
    ("currency", "klarna", "methods"),
    [
        ("EUR", False, ("card", "instant_bank_transfer")),
        ("CHF", False, ("card",)),
        ("CHF", True, ("card", "instant_bank_transfer")),
    ],
)
def test_it_offers_what_the_currency_allows(make, currency, klarna, methods):
    library = LIBRARY.model_copy(update={"currency": currency})
    assert tuple(make(library, allow_klarna=klarna).methods()) == methods


def test_replies_make_stripe_repeat_what_is_not_stored(provider):
    assert [provider.reply(outcome).status for outcome in NoticeOutcome] == [200, 400, 503]


def test_webhooks_with_bad_habits_are_judged(provider, simulator, session, clock):
    simulator.webhooks.flip_livemode = True
    simulator.pay(session)
    for parcel in simulator.due_deliveries():
        assert provider.notice(parcel.raw_request(), clock.now()) == Forged(
            "event is in the other mode (test or live)"
        )
    simulator.webhooks.flip_livemode = False
    simulator.webhooks.sign_with = ("whsec_stranger", HOOK_SECRET)
    simulator.refund_in_dashboard(session, 1)
    kinds = [
        one.kind
        for parcel in simulator.due_deliveries()
        for one in provider.notice(parcel.raw_request(), clock.now())
    ]
    assert "charge.refunded" in kinds


def test_a_dispute_and_a_refund_of_the_dashboard_lead_to_the_payment_by_its_money(
    provider, simulator, session, clock
):
    simulator.pay(session)
    money = provider.read(session).money_ref
    list(simulator.due_deliveries())
    simulator.refund_in_dashboard(session, 1)
    simulator.close_dispute(simulator.dispute(session), won=True)
    heard = {
        one.kind: (one.session_ref, one.reference)
        for parcel in simulator.due_deliveries()
        for one in provider.notice(parcel.raw_request(), clock.now())
    }
    assert heard == {
        "refund.created": (money, None),
        # Stripe has copied the payment's metadata to the charge.
        "charge.refunded": (None, "PAY1"),
        "charge.dispute.created": (money, None),
        "charge.dispute.updated": (money, None),
        "charge.dispute.closed": (money, None),
        "charge.dispute.funds_withdrawn": (money, None),
        "charge.dispute.funds_reinstated": (money, None),
    }


# --- check --------------------------------------------------------------------------------------


def findings(provider, level):
    return [(one.subject, one.seen, one.mend) for one in provider.check() if one.level is level]


def test_a_check_finds_nothing_wrong_and_moves_no_money(provider, simulator):
    simulator.account.keys[KEY] |= {"webhook_endpoints:read"}
    found = provider.check()
    assert [one for one in found if one.level is Level.ERROR] == []
    assert {one.subject for one in found if one.level is Level.WARNING} == {"mode", "key"}
    assert {"method: card", "method: instant_bank_transfer"} <= {one.subject for one in found}
    truth = simulator.truth()
    assert {one["status"] for one in truth["sessions"].values()} == {"expired"}
    assert truth["captured"] == {}
    assert all(one.mend for one in found if one.level is not Level.OK)


def test_a_check_names_a_wrong_key_and_asks_no_more(make, remote):
    (wrong,) = findings(make(api_key=SecretStr("rk_test_CANARYWRONG")), Level.ERROR)
    assert wrong[0] == "key"
    assert "CANARY" not in str(wrong)
    assert len(remote.requests) == 1


@pytest.mark.parametrize(
    ("right", "subject"),
    [
        ("payment_intents:read", "right: PaymentIntents, read"),
        ("charges:read", "right: Charges and Refunds, read"),
        ("disputes:read", "right: Disputes, read"),
    ],
)
def test_a_check_names_each_missing_right(provider, simulator, right, subject):
    simulator.account.keys[KEY] -= {right}
    assert subject in [one[0] for one in findings(provider, Level.ERROR)]


@pytest.mark.parametrize(
    ("right", "subject"),
    [
        ("refunds:write", "right: Refunds, write"),
        ("balance_transactions:read", "right: Balance transactions, read"),
        ("payouts:read", "right: Payouts, read"),
    ],
)
def test_a_right_that_payments_do_not_need_is_a_warning_that_says_what_is_missing(
    provider, simulator, right, subject
):
    simulator.account.keys[KEY] = RIGHTS - {right} | {"refunds:read"}
    assert findings(provider, Level.ERROR) == []
    (found,) = [one for one in findings(provider, Level.WARNING) if one[0] == subject]
    assert right in found[1]
    assert "Without it" in found[2]


def test_the_probe_for_refunds_names_a_payment_that_no_account_has(provider, simulator, remote, session):
    simulator.pay(session)
    provider.check()
    sent = [one.body for one in remote.requests if (one.method, one.path) == ("POST", "/v1/refunds")]
    assert sent == [b"payment_intent=pi_ilsPaymentCheckNoSuchPayment&amount=1"]
    assert simulator.truth()["refunds"] == {}


def test_a_check_sees_that_the_key_may_not_write(provider, simulator):
    simulator.account.keys[KEY] = RIGHTS - {"checkout_sessions:write"} | {"checkout_sessions:read"}
    assert [one[0] for one in findings(provider, Level.ERROR)] == [
        "method: card",
        "method: instant_bank_transfer",
    ]


def test_a_check_sees_which_method_is_not_switched_on(provider, make, simulator):
    simulator.account.enabled_methods = ("card",)
    ((subject, seen, _),) = findings(provider, Level.ERROR)
    assert subject == "method: instant_bank_transfer"
    assert "dashboard" in seen
    simulator.account.enabled_methods = ("card", "klarna")
    assert "Stripe does not offer pay_by_bank" in [
        one[1] for one in findings(make(allow_klarna=True), Level.WARNING)
    ]


def test_a_check_says_plainly_that_it_cannot_see_the_webhook(provider):
    ((_, seen, mend),) = [one for one in findings(provider, Level.WARNING) if one[0] == "webhook"]
    assert seen.startswith("cannot be seen")
    assert "/webhooks/town/" in mend


def endpoint(**changes):
    right = {
        "id": "we_1",
        "object": "webhook_endpoint",
        "url": "https://pay.example.org/webhooks/town/stripe",
        "enabled_events": ["*"],
        "status": "enabled",
        "api_version": API_VERSION,
        "livemode": False,
    }
    return right | changes


@pytest.mark.parametrize(
    ("endpoints", "level", "word"),
    [
        ([], Level.ERROR, "no endpoint lies under /webhooks/town/"),
        ([endpoint(url="https://pay.example.org/webhooks/village/stripe")], Level.ERROR, "no endpoint"),
        ([endpoint(status="disabled")], Level.ERROR, "switched off"),
        ([endpoint(enabled_events=["charge.refunded"])], Level.ERROR, "lacks checkout.session.completed"),
        ([endpoint(api_version="2024-06-20")], Level.WARNING, "2024-06-20"),
        ([endpoint()], Level.OK, "there, with all events"),
        ([endpoint(api_version=None)], Level.OK, "there, with all events"),
    ],
)
def test_a_check_looks_at_the_webhook_endpoint(provider, remote, endpoints, level, word):
    listed = {"object": "list", "data": endpoints, "has_more": False, "url": "/v1/webhook_endpoints"}
    remote.instead["GET /v1/webhook_endpoints"] = answer(200, listed)
    assert any(word in one[1] for one in findings(provider, level))


@pytest.mark.parametrize(
    ("seconds", "level", "word"),
    [
        (400, Level.ERROR, "every webhook would be refused"),
        (-70, Level.ERROR, "every payment would be refused"),
        (40, Level.WARNING, "before Stripe's"),
        (-40, Level.WARNING, "behind Stripe's"),
        (5, Level.OK, "agrees"),
    ],
)
def test_a_check_compares_the_clocks(provider, clock, seconds, level, word):
    # Stripe's clock is the Date of its answers, which the server takes from the real clock.
    clock.ahead = timedelta(seconds=seconds)
    assert [seen for subject, seen, _ in findings(provider, level) if subject == "clock" and word in seen]


def test_a_check_warns_of_the_all_powerful_key(make):
    warned = findings(make(api_key=SecretStr("sk_test_simulator")), Level.WARNING)
    assert any("secret key" in one[1] for one in warned)


def test_a_check_against_nobody_is_an_error_and_no_exception(make):
    (alone,) = findings(make(api_base="http://127.0.0.1:9"), Level.ERROR)
    assert alone[0] == "key"
