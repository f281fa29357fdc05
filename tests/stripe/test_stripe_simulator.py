"""The simulated Stripe's API, driven by the real SDK over real HTTP."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stripe
from ils_payment_stripe.simulator import NotPayableError, SimulatedAccount, StripeSimulator
from ils_payment_stripe.simulator.schema import schema_of

from ils_payment.model import RawRequest
from ils_payment.testing.simulator import serve

KEY = "sk_test_simulator"


class Clock:
    """A world whose time moves only when somebody waits or the test says so."""

    def __init__(self):
        self.instant = datetime(2026, 11, 21, 19, 42, tzinfo=UTC)
        self.meanwhile = {}

    def now(self):
        return self.instant

    def pause(self, name, seconds):
        self.instant += timedelta(seconds=seconds)
        action = self.meanwhile.pop(name, None)
        if action:
            action()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def simulator(clock):
    return StripeSimulator(clock)


class Exchangeable:
    """One server for all tests of this file: starting one for each would take most of the time."""

    def __init__(self):
        self.simulator = None

    def handle(self, request):
        return self.simulator.handle(request)

    def truth(self):
        return self.simulator.truth()


@pytest.fixture(scope="module")
def served():
    exchangeable = Exchangeable()
    with serve(exchangeable) as address:
        yield exchangeable, address


@pytest.fixture
def url(served, simulator):
    exchangeable, address = served
    exchangeable.simulator = simulator
    return address


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch):
    monkeypatch.setattr(stripe, "enable_telemetry", False)


def client(url, key=KEY, **options):
    return stripe.StripeClient(key, base_addresses={"api": url}, max_network_retries=0, **options)


@pytest.fixture
def sessions(url):
    return client(url).v1.checkout.sessions


def wish(**changes):
    line = {"currency": "eur", "unit_amount": 1250, "product_data": {"name": "Mahngebühr"}}
    request = {
        "mode": "payment",
        "line_items": [{"price_data": line, "quantity": 1}],
        "success_url": "https://pay.example/back?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://pay.example/cancelled",
        "client_reference_id": "pay_1",
        "metadata": {"payment": "pay_1"},
    }
    return {name: value for name, value in {**request, **changes}.items() if value is not None}


def refused(call, *args, **kwargs):
    with pytest.raises(stripe.StripeError) as caught:
        call(*args, **kwargs)
    return caught.value


# --- making and reading sessions -----------------------------------------------------------------


def test_a_session_is_made_paid_and_read_with_its_charge(url, simulator):
    stripe_client = client(url)
    made = stripe_client.v1.checkout.sessions.create(wish(locale="de"), {"idempotency_key": "a"})
    assert (made.status, made.payment_status, made.payment_intent) == ("open", "unpaid", None)
    assert (made.amount_total, made.currency, made.livemode) == (1250, "eur", False)
    assert made.url == f"{url}/c/pay/{made.id}"
    assert made.id.startswith("cs_test_")
    simulator.pay(made.id)
    read = stripe_client.v1.checkout.sessions.retrieve(
        made.id, {"expand": ["payment_intent.latest_charge.refunds", "line_items"]}
    )
    assert (read.status, read.payment_status, read.url) == ("complete", "paid", None)
    assert read.payment_intent.amount_received == 1250
    assert read.payment_intent.latest_charge.refunds.data == []
    assert [line.description for line in read.line_items.data] == ["Mahngebühr"]
    assert simulator.truth()["captured"] == {"eur": 1250}


def test_a_sessions_metadata_is_not_copied_to_its_intent(sessions, simulator):
    made = sessions.create(wish(payment_intent_data={"metadata": {"only": "here"}}))
    simulator.pay(made.id)
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert read.metadata.to_dict() == {"payment": "pay_1"}
    assert read.payment_intent.metadata.to_dict() == {"only": "here"}


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types", "parameter_unknown"),
        ({"shoe_size": "44"}, "shoe_size", "parameter_unknown"),
        ({"adaptive_pricing": {"enabeld": True}}, "adaptive_pricing[enabeld]", "parameter_unknown"),
        ({"adaptive_pricing": {"enabled": "perhaps"}}, "adaptive_pricing[enabled]", None),
        ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
        ({"mode": None}, "mode", "parameter_missing"),
        ({"mode": "gift"}, "mode", None),
        ({"locale": "swabian"}, "locale", None),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"success_url": "pay.example/back"}, "success_url", "url_invalid"),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price_data]", "parameter_missing"),
        (
            {"line_items": [{"price_data": {"currency": "eur", "unit_amount": "12.50"}, "quantity": 1}]},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        ({"metadata": {"x" * 41: "long"}}, "metadata", None),
        ({"client_reference_id": ""}, "client_reference_id", "parameter_invalid_empty"),
        ({"allowed_payment_method_types": ["wero"]}, "allowed_payment_method_types[0]", None),
        (
            {"allowed_payment_method_types": ["card"], "excluded_payment_method_types": ["klarna"]},
            "excluded_payment_method_types",
            None,
        ),
    ],
)
def test_what_the_sdks_own_types_or_the_rules_do_not_allow_is_refused(
    sessions, simulator, changes, param, code
):
    error = refused(sessions.create, wish(**changes))
    assert isinstance(error, stripe.InvalidRequestError)
    assert (error.http_status, error.param, error.code) == (400, param, code)
    assert simulator.truth()["sessions"] == {}


@pytest.mark.parametrize(("cents", "code"), [(49, "amount_too_small"), (100_000_000, "amount_too_large")])
def test_sums_beyond_stripes_limits_are_refused(sessions, cents, code):
    request = wish()
    request["line_items"][0]["price_data"]["unit_amount"] = cents
    assert refused(sessions.create, request).code == code


@pytest.mark.parametrize(("life", "fits"), [(1799, False), (1800, True), (86_400, True), (86_401, False)])
def test_a_session_lives_between_thirty_minutes_and_a_day(sessions, clock, life, fits):
    request = wish(expires_at=int(clock.now().timestamp()) + life)
    if fits:
        assert sessions.create(request).expires_at == request["expires_at"]
    else:
        assert refused(sessions.create, request).param == "expires_at"


def test_methods_that_the_account_lacks_are_dropped_without_a_word(sessions, simulator):
    simulator.account.enabled_methods = ("card", "pay_by_bank")
    made = sessions.create(wish(allowed_payment_method_types=["card", "klarna"]))
    assert made.payment_method_types == ["card"]
    assert sessions.create(wish()).payment_method_types == ["card", "pay_by_bank"]
    assert refused(sessions.create, wish(allowed_payment_method_types=["klarna"])).http_status == 400


def test_a_method_is_dropped_that_the_currency_does_not_have(sessions):
    request = wish()
    request["line_items"][0]["price_data"]["currency"] = "chf"
    assert sessions.create(request).payment_method_types == ["card"]


def test_a_preview_method_is_taken_from_an_account_that_has_it(sessions, simulator):
    simulator.account.preview_methods = ("wero",)
    simulator.account.enabled_methods = ("card", "wero")
    made = sessions.create(wish(allowed_payment_method_types=["wero"]))
    assert made.payment_method_types == ["wero"]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("STADTBIBLIOTHEK", True),
        ("BIB", False),
        ("X" * 22, True),
        ("X" * 23, False),
        ("12345", False),
        ("BIB*HERRENBERG", False),
        ("BIB 'HBG'", False),
    ],
)
def test_statement_descriptors_follow_the_card_networks(sessions, text, fits):
    request = wish(
        payment_intent_data={"statement_descriptor": text}, allowed_payment_method_types=["pay_by_bank"]
    )
    if fits:
        assert sessions.create(request).status == "open"
    else:
        error = refused(sessions.create, request)
        assert error.param == "payment_intent_data[statement_descriptor]"


def test_a_whole_descriptor_is_refused_for_cards_unless_the_account_allows_it(sessions, simulator):
    request = wish(payment_intent_data={"statement_descriptor": "STADTBIBLIOTHEK"})
    assert refused(sessions.create, request).http_status == 400
    simulator.account.card_descriptor_allowed = True
    simulator.pay(sessions.create(request).id)
    (charge,) = simulator.truth()["charges"].values()
    assert charge["calculated_statement_descriptor"] == "STADTBIBLIOTHEK"


def test_lists_are_newest_first_in_pages_and_by_time(sessions, clock):
    made = []
    for _ in range(5):
        made.insert(0, sessions.create(wish()).id)
        clock.instant += timedelta(seconds=10)
    first = sessions.list({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (made[:2], True)
    assert [one.id for one in first.auto_paging_iter()] == made
    since = int(clock.now().timestamp()) - 25
    recent = sessions.list({"created": {"gte": since, "lt": since + 1000}, "status": "open"})
    assert [one.id for one in recent.data] == made[:2]


def test_what_does_not_exist_is_not_found(url, sessions):
    assert refused(sessions.retrieve, "cs_test_nowhere").code == "resource_missing"
    error = refused(client(url).v1.customers.list)
    assert error.http_status == 404
    made = sessions.create(wish())
    assert refused(sessions.retrieve, made.id, {"expand": ["customer.shoes"]}).http_status == 400


# --- the ends of a session -----------------------------------------------------------------------


def test_an_open_session_can_be_expired_and_a_complete_one_not(sessions, simulator):
    first, second = sessions.create(wish()), sessions.create(wish())
    ended = sessions.expire(first.id)
    assert (ended.status, ended.url) == ("expired", None)
    simulator.pay(second.id)
    assert refused(sessions.expire, second.id).http_status == 400
    with pytest.raises(NotPayableError, match="expired"):
        simulator.pay(first.id)


def test_sessions_expire_by_the_worlds_clock_at_any_request(sessions, simulator, clock):
    made = sessions.create(wish(expires_at=int(clock.now().timestamp()) + 1860))
    clock.instant += timedelta(seconds=1859)
    assert sessions.retrieve(made.id).status == "open"
    clock.instant += timedelta(seconds=1)
    assert sessions.retrieve(made.id).status == "expired"
    assert simulator.truth()["events"][-1]["type"] == "checkout.session.expired"


def test_a_declined_try_leaves_the_session_open(sessions, simulator):
    made = sessions.create(wish())
    simulator.decline(made.id)
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert (read.status, read.payment_intent.status) == ("open", "requires_payment_method")
    assert read.payment_intent.last_payment_error.code == "card_declined"
    simulator.pay(made.id)
    assert len(simulator.truth()["payment_intents"]) == 1


@pytest.mark.parametrize("success", [True, False])
def test_a_pending_payment_is_complete_and_unpaid_until_the_bank_decides(sessions, simulator, success):
    made = sessions.create(wish())
    simulator.pay_pending(made.id, "pay_by_bank")
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert (read.status, read.payment_status, read.payment_intent.status) == (
        "complete",
        "unpaid",
        "processing",
    )
    (simulator.succeed_pending if success else simulator.fail_pending)(made.id)
    read = sessions.retrieve(made.id)
    assert (read.status, read.payment_status) == ("complete", "paid" if success else "unpaid")
    word = "succeeded" if success else "failed"
    assert simulator.truth()["events"][-1]["type"] == f"checkout.session.async_payment_{word}"
    with pytest.raises(NotPayableError):
        simulator.succeed_pending(made.id)


@pytest.mark.parametrize("status", ["complete", "expired"])
def test_money_can_arrive_after_the_session_has_expired(sessions, simulator, status):
    made = sessions.create(wish())
    sessions.expire(made.id)
    simulator.pay_after_expiry(made.id, status=status)
    read = sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert (read.status, read.payment_status) == (status, "paid")
    assert read.payment_intent.amount_received == 1250


def test_another_amount_and_another_currency_show_in_session_and_intent(sessions, simulator):
    short, foreign = sessions.create(wish()), sessions.create(wish(adaptive_pricing={"enabled": False}))
    simulator.pay_other_amount(short.id, 1000)
    assert sessions.retrieve(short.id, {"expand": ["payment_intent"]}).payment_intent.amount_received == 1000
    with pytest.raises(NotPayableError, match="adaptive"):
        simulator.pay_other_currency(foreign.id, "chf", 1200)
    simulator.pay_other_currency(foreign.id, "chf", 1200, forced=True)
    assert sessions.retrieve(foreign.id).currency == "chf"
    assert simulator.truth()["captured"] == {"eur": 1000, "chf": 1200}


def test_adaptive_pricing_keeps_the_sessions_own_sum_and_names_the_payers(sessions, simulator):
    made = sessions.create(wish())
    simulator.pay_other_currency(made.id, "chf", 1180)
    read = sessions.retrieve(made.id)
    assert (read.amount_total, read.currency) == (1250, "eur")
    assert read.presentment_details.to_dict() == {"presentment_amount": 1180, "presentment_currency": "chf"}


# --- money back ----------------------------------------------------------------------------------


def test_refunds_take_at_most_what_is_left(url, sessions, simulator):
    refunds = client(url).v1.refunds
    made = sessions.create(wish())
    assert refused(refunds.create, {"payment_intent": "pi_nowhere"}).http_status == 404
    simulator.pay(made.id)
    intent = sessions.retrieve(made.id).payment_intent
    assert refused(refunds.create, {"payment_intent": intent, "amount": 1251}).param == "amount"
    part = refunds.create({"payment_intent": intent, "amount": 250, "reason": "requested_by_customer"})
    assert (part.status, part.amount) == ("succeeded", 250)
    simulator.refund_in_dashboard(made.id)
    assert refused(refunds.create, {"payment_intent": intent}).code == "charge_already_refunded"
    assert [one.amount for one in refunds.list({"payment_intent": intent}).data] == [1000, 250]
    charge = sessions.retrieve(
        made.id, {"expand": ["payment_intent.latest_charge"]}
    ).payment_intent.latest_charge
    assert (charge.amount_refunded, charge.refunded) == (1250, True)
    assert simulator.truth()["refunded"] == {"eur": 1250}


def test_a_bank_refund_is_pending_and_may_fail(url, sessions, simulator):
    made = sessions.create(wish())
    simulator.pay(made.id, "pay_by_bank")
    refund_id = simulator.refund_in_dashboard(made.id, 500)
    refunds = client(url).v1.refunds
    assert refunds.retrieve(refund_id).status == "pending"
    simulator.finish_refund(refund_id, success=False)
    assert refunds.retrieve(refund_id).status == "failed"
    assert simulator.truth()["refunded"] == {"eur": 0}


def test_a_dispute_marks_the_charge_and_is_listed(url, sessions, simulator):
    made = sessions.create(wish())
    simulator.pay(made.id)
    dispute_id = simulator.dispute(made.id)
    intent = sessions.retrieve(made.id, {"expand": ["payment_intent.latest_charge"]}).payment_intent
    assert intent.latest_charge.disputed
    listed = client(url).v1.disputes.list({"charge": intent.latest_charge.id})
    assert [(one.id, one.amount) for one in listed.data] == [(dispute_id, 1250)]
    assert refused(client(url).v1.refunds.create, {"payment_intent": intent.id}).code == "charge_disputed"


# --- keys, modes, versions -----------------------------------------------------------------------


def test_wrong_and_missing_keys_are_refused(url, simulator):
    error = refused(client(url, "sk_test_wrong").v1.checkout.sessions.list)
    assert isinstance(error, stripe.AuthenticationError)
    assert "sk_test_wrong" not in str(error)
    reply = simulator.handle(RawRequest(method="GET", path="/v1/account"))
    assert (reply.status, json.loads(reply.body)["error"]["type"]) == (401, "invalid_request_error")


def test_a_restricted_key_needs_the_right_for_operation_and_expansion(url, simulator):
    simulator.account.keys["rk_test_narrow"] = {"checkout_sessions:write"}
    narrow = client(url, "rk_test_narrow").v1
    made = narrow.checkout.sessions.create(wish())
    assert narrow.checkout.sessions.retrieve(made.id).id == made.id
    for call in (
        lambda: narrow.refunds.create({"payment_intent": "pi_1"}),
        lambda: narrow.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent"]}),
    ):
        assert isinstance(refused(call), stripe.PermissionError)


def test_test_and_live_objects_do_not_see_each_other(url, simulator):
    simulator.account.keys["rk_live_full"] = {"checkout_sessions:write"}
    made = client(url).v1.checkout.sessions.create(wish())
    live = client(url, "rk_live_full").v1.checkout.sessions
    assert refused(live.retrieve, made.id).code == "resource_missing"
    assert live.create(wish()).livemode is True
    assert len(live.list().data) == 1


def test_api_versions_are_counted(url, simulator):
    client(url).v1.accounts.retrieve_current()
    client(url, stripe_version="2023-08-16").v1.accounts.retrieve_current()
    assert simulator.truth()["api_versions"] == {"2026-10-28.endive": 1, "2023-08-16": 1}


# --- idempotency keys ----------------------------------------------------------------------------


def test_the_same_key_gives_the_same_answer_again(sessions, simulator):
    first = sessions.create(wish(), {"idempotency_key": "k"})
    again = sessions.create(wish(), {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id
    assert len(simulator.truth()["sessions"]) == 1
    assert simulator.truth()["idempotency_keys"] == {"k": 2}


def test_the_same_key_with_other_parameters_is_an_error(sessions):
    made = sessions.create(wish(), {"idempotency_key": "k"})
    for call in (
        lambda: sessions.create(wish(client_reference_id="pay_2"), {"idempotency_key": "k"}),
        lambda: sessions.expire(made.id, {}, {"idempotency_key": "k"}),
    ):
        error = refused(call)
        assert (type(error), error.http_status) == (stripe.IdempotencyError, 400)


def test_a_key_is_good_for_a_day(sessions, clock):
    first = sessions.create(wish(), {"idempotency_key": "k"})
    clock.instant += timedelta(hours=23, minutes=59)
    assert sessions.create(wish(), {"idempotency_key": "k"}).id == first.id
    clock.instant += timedelta(minutes=1)
    assert sessions.create(wish(), {"idempotency_key": "k"}).id != first.id


def test_a_refused_request_does_not_use_its_key_up(sessions):
    assert refused(sessions.create, wish(mode=None), {"idempotency_key": "k"}).http_status == 400
    assert sessions.create(wish(), {"idempotency_key": "k"}).status == "open"


def test_a_500_is_kept_under_its_key(sessions, simulator):
    simulator.faults.fail_next(1)
    for _ in range(2):
        assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == 500
    assert sessions.create(wish(), {"idempotency_key": "other"}).status == "open"


def test_a_key_whose_request_still_runs_is_a_conflict(sessions, simulator, clock):
    seen = []
    clock.meanwhile["stripe.checkout.sessions.create.before"] = lambda: seen.append(
        refused(sessions.create, wish(), {"idempotency_key": "k"})
    )
    made = sessions.create(wish(), {"idempotency_key": "k"})
    assert [(error.http_status, error.error.code) for error in seen] == [(409, "idempotency_key_in_use")]
    assert list(simulator.truth()["sessions"]) == [made.id]


def test_eight_threads_with_one_key_make_one_session(url, simulator):
    outcomes = Counter()
    simulator.faults.delay_next(0, 1)

    def create():
        try:
            outcomes[client(url).v1.checkout.sessions.create(wish(), {"idempotency_key": "k"}).id] += 1
        except stripe.StripeError as error:
            outcomes[error.http_status] += 1

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes.values()) == 8
    assert set(outcomes) <= {409, *simulator.truth()["sessions"]}
    assert len(simulator.truth()["sessions"]) == 1


# --- what goes wrong on the way ------------------------------------------------------------------


@pytest.mark.parametrize("status", [409, 429, 502])
def test_a_failure_before_the_effect_can_be_tried_again_under_the_same_key(sessions, simulator, status):
    simulator.faults.fail_next(1, status=status, only="checkout.sessions.create")
    assert sessions.list().data == []
    assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == status
    assert simulator.truth()["sessions"] == {}
    assert sessions.create(wish(), {"idempotency_key": "k"}).status == "open"


@pytest.mark.parametrize(("status", "again"), [(500, 500), (503, 200)])
def test_a_failure_after_the_effect_leaves_the_session(sessions, simulator, status, again):
    simulator.faults.fail_next(1, status=status, after_effect=True)
    assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == status
    (made,) = simulator.truth()["sessions"]
    if again == 500:
        assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == 500
    else:
        assert sessions.create(wish(), {"idempotency_key": "k"}).id == made
    assert [one.id for one in sessions.list().data] == [made]


def test_a_lost_answer_breaks_the_connection_and_its_key_brings_the_session(sessions, simulator):
    simulator.faults.lose_answer()
    assert isinstance(refused(sessions.create, wish(), {"idempotency_key": "k"}), stripe.APIConnectionError)
    (made,) = simulator.truth()["sessions"]
    assert sessions.create(wish(), {"idempotency_key": "k"}).id == made


def test_a_lost_request_has_no_effect(sessions, simulator):
    simulator.faults.lose_request()
    assert isinstance(refused(sessions.create, wish()), stripe.APIConnectionError)
    assert simulator.truth()["sessions"] == {}


def test_delays_pass_in_the_world_and_are_counted(sessions, simulator, clock):
    before = clock.now()
    simulator.faults.delay_next(7.5)
    simulator.faults.delay_next(2.5, after_effect=True)
    made = sessions.create(wish())
    assert clock.now() - before == timedelta(seconds=10)
    assert made.created == int((before + timedelta(seconds=7.5)).timestamp())
    assert simulator.truth()["paused_seconds"] == 10


def test_too_many_requests_in_one_second_are_refused(sessions, simulator, clock):
    simulator.faults.rate_limit = 2
    sessions.list()
    sessions.list()
    assert isinstance(refused(sessions.list), stripe.RateLimitError)
    clock.instant += timedelta(seconds=1)
    assert sessions.list().data == []
    assert simulator.truth()["answers"] == {"200": 3, "429": 1}


# --- the rest ------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_ids(clock):
    def first_id(seed):
        one = StripeSimulator(clock, seed=seed)
        body = (
            b"mode=payment&success_url=https%3A%2F%2Fpay.example%2F&line_items[0][quantity]=1"
            b"&line_items[][price_data][currency]=eur"
        )
        body = body.replace(b"line_items[][", b"line_items[0][") + (
            b"&line_items[0][price_data][unit_amount]=500"
            b"&line_items[0][price_data][product_data][name]=Geb%C3%BChr"
        )
        headers = {"authorization": f"Bearer {KEY}"}
        reply = one.handle(
            RawRequest(method="POST", path="/v1/checkout/sessions", headers=headers, body=body)
        )
        assert reply.status == 200, reply.body
        return json.loads(reply.body)["id"]

    assert first_id(1) == first_id(1) != first_id(2)


def test_the_demo_account_offers_card_and_bank(served, clock):
    exchangeable, url = served
    exchangeable.simulator = StripeSimulator.demo(
        world=clock, webhook_url="http://127.0.0.1:1/webhooks/x/stripe"
    )
    made = client(url).v1.checkout.sessions.create(
        wish(payment_intent_data={"statement_descriptor": "STADTBIBLIOTHEK"})
    )
    (endpoint,) = client(url).v1.webhook_endpoints.list().data
    assert made.payment_method_types == ["card", "pay_by_bank"]
    assert (endpoint.url, endpoint.status) == ("http://127.0.0.1:1/webhooks/x/stripe", "enabled")


def test_accounts_can_be_set_up_by_hand(served, clock):
    exchangeable, url = served
    account = SimulatedAccount(id="acct_other", enabled_methods=("card",))
    exchangeable.simulator = StripeSimulator(clock, account=account, api_key="sk_live_other")
    shown = client(url, "sk_live_other").v1.accounts.retrieve_current()
    assert client(url, "sk_live_other").v1.checkout.sessions.create(wish()).livemode is True
    assert (shown.id, shown.capabilities.to_dict()) == ("acct_other", {"card_payments": "active"})


def _resolved(schema, definitions):
    """Return *schema* with its references replaced, so that two ways of writing it compare."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {name: _resolved(value, definitions) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_resolved(value, definitions) for value in schema]
    return schema


def test_the_schema_from_the_installed_sdk_agrees_with_the_recorded_one():
    folder = os.environ.get("ILS_PAYMENT_SHARED_DATA")
    if not folder:
        pytest.skip("ILS_PAYMENT_SHARED_DATA does not name the folder of recordings")
    path = Path(folder) / "stripe-request-params-2026-10-28.endive.schema.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))
    names = {
        "checkout.sessions.create": "checkout.SessionCreateParams",
        "checkout.sessions.retrieve": "checkout.SessionRetrieveParams",
        "checkout.sessions.expire": "checkout.SessionExpireParams",
        "checkout.sessions.list": "checkout.SessionListParams",
        "refunds.create": "RefundCreateParams",
        "events.list": "EventListParams",
        "payment_intents.retrieve": "PaymentIntentRetrieveParams",
    }
    assert set(names) == set(recorded["operations"])
    for operation, name in names.items():
        theirs = _resolved(recorded["operations"][operation], recorded["$defs"])["properties"]
        ours = schema_of(name)["properties"]
        assert set(ours) == set(theirs), operation
        for field in set(ours) & {*wish(), "expires_at", "locale", "adaptive_pricing", "amount", "created"}:
            assert ours[field] == theirs[field], (operation, field)
