"""Keys, idempotency and mishaps at the simulated Stripe, driven by the real SDK over real HTTP."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from ils_payment_stripe.simulator import SimulatedAccount, StripeSimulator
from ils_payment_stripe.simulator.forms import decode
from ils_payment_stripe.simulator.refusal import Refusal
from ils_payment_stripe.simulator.schema import schema_of
from stripe._encode import _api_encode

from ils_payment.model import RawRequest

# --- keys, modes, versions -----------------------------------------------------------------------


def test_wrong_and_missing_keys_are_refused(url, simulator, client, refused):
    error = refused(client(url, "sk_test_wrong").v1.checkout.sessions.list)
    assert isinstance(error, stripe.AuthenticationError)
    assert "sk_test_wrong" not in str(error)
    reply = simulator.handle(RawRequest(method="GET", path="/v1/account"))
    assert (reply.status, json.loads(reply.body)["error"]["type"]) == (401, "invalid_request_error")


def test_a_restricted_key_needs_the_right_for_operation_and_expansion(url, simulator, client, wish, refused):
    simulator.account.keys["rk_test_narrow"] = {"checkout_sessions:write"}
    narrow = client(url, "rk_test_narrow").v1
    made = narrow.checkout.sessions.create(wish())
    assert narrow.checkout.sessions.retrieve(made.id).id == made.id
    for call in (
        lambda: narrow.refunds.create({"payment_intent": "pi_1"}),
        lambda: narrow.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent"]}),
    ):
        assert isinstance(refused(call), stripe.PermissionError)


def test_test_and_live_objects_do_not_see_each_other(url, simulator, client, wish, refused):
    simulator.account.keys["rk_live_full"] = {"checkout_sessions:write"}
    made = client(url).v1.checkout.sessions.create(wish())
    live = client(url, "rk_live_full").v1.checkout.sessions
    assert refused(live.retrieve, made.id).code == "resource_missing"
    assert live.create(wish()).livemode is True
    assert len(live.list().data) == 1


def test_api_versions_are_counted(url, simulator, client):
    client(url).v1.accounts.retrieve_current()
    client(url, stripe_version="2023-08-16").v1.accounts.retrieve_current()
    assert simulator.truth()["api_versions"] == {"2026-10-28.endive": 1, "2023-08-16": 1}


# --- idempotency keys ----------------------------------------------------------------------------


def test_the_same_key_gives_the_same_answer_again(sessions, simulator, wish):
    first = sessions.create(wish(), {"idempotency_key": "k"})
    again = sessions.create(wish(), {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id
    assert len(simulator.truth()["sessions"]) == 1
    assert simulator.truth()["idempotency_keys"] == {"k": 2}


def test_the_same_key_with_other_parameters_is_an_error(sessions, wish, refused):
    made = sessions.create(wish(), {"idempotency_key": "k"})
    for call in (
        lambda: sessions.create(wish(client_reference_id="pay_2"), {"idempotency_key": "k"}),
        lambda: sessions.expire(made.id, {}, {"idempotency_key": "k"}),
    ):
        error = refused(call)
        assert (type(error), error.http_status) == (stripe.IdempotencyError, 400)


def test_a_key_is_good_for_a_day(sessions, clock, wish):
    first = sessions.create(wish(), {"idempotency_key": "k"})
    clock.instant += timedelta(hours=23, minutes=59)
    assert sessions.create(wish(), {"idempotency_key": "k"}).id == first.id
    clock.instant += timedelta(minutes=1)
    assert sessions.create(wish(), {"idempotency_key": "k"}).id != first.id


def test_a_refused_request_does_not_use_its_key_up(sessions, wish, refused):
    assert refused(sessions.create, wish(mode=None), {"idempotency_key": "k"}).http_status == 400
    assert sessions.create(wish(), {"idempotency_key": "k"}).status == "open"


def test_a_500_is_kept_under_its_key(sessions, simulator, wish, refused):
    simulator.faults.fail_next(1)
    for _ in range(2):
        assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == 500
    assert sessions.create(wish(), {"idempotency_key": "other"}).status == "open"


def test_a_key_whose_request_still_runs_is_a_conflict(sessions, simulator, clock, wish, refused):
    seen = []
    clock.meanwhile["stripe.checkout.sessions.create.before"] = lambda: seen.append(
        refused(sessions.create, wish(), {"idempotency_key": "k"})
    )
    made = sessions.create(wish(), {"idempotency_key": "k"})
    assert [(error.http_status, error.error.code) for error in seen] == [(409, "idempotency_key_in_use")]
    assert list(simulator.truth()["sessions"]) == [made.id]


def test_eight_threads_with_one_key_make_one_session(url, simulator, client, wish):
    outcomes: Counter[str | int | None] = Counter()

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
def test_a_failure_before_the_effect_can_be_tried_again_under_the_same_key(
    sessions, simulator, status, wish, refused
):
    simulator.faults.fail_next(1, status=status, only="checkout.sessions.create")
    assert sessions.list().data == []
    assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == status
    assert simulator.truth()["sessions"] == {}
    assert sessions.create(wish(), {"idempotency_key": "k"}).status == "open"


@pytest.mark.parametrize(("status", "again"), [(500, 500), (503, 200)])
def test_a_failure_after_the_effect_leaves_the_session(sessions, simulator, status, again, wish, refused):
    simulator.faults.fail_next(1, status=status, after_effect=True)
    assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == status
    (made,) = simulator.truth()["sessions"]
    if again == 500:
        assert refused(sessions.create, wish(), {"idempotency_key": "k"}).http_status == 500
    else:
        assert sessions.create(wish(), {"idempotency_key": "k"}).id == made
    assert [one.id for one in sessions.list().data] == [made]


def test_a_lost_answer_breaks_the_connection_and_its_key_brings_the_session(
    sessions, simulator, wish, refused
):
    simulator.faults.lose_answer()
    assert isinstance(refused(sessions.create, wish(), {"idempotency_key": "k"}), stripe.APIConnectionError)
    (made,) = simulator.truth()["sessions"]
    assert sessions.create(wish(), {"idempotency_key": "k"}).id == made


def test_a_lost_request_has_no_effect(sessions, simulator, wish, refused):
    simulator.faults.lose_request()
    assert isinstance(refused(sessions.create, wish()), stripe.APIConnectionError)
    assert simulator.truth()["sessions"] == {}


def test_delays_pass_in_the_world_and_are_counted(sessions, simulator, clock, wish):
    before = clock.now()
    simulator.faults.delay_next(7.5)
    simulator.faults.delay_next(2.5, after_effect=True)
    made = sessions.create(wish())
    assert clock.now() - before == timedelta(seconds=10)
    assert made.created == int((before + timedelta(seconds=7.5)).timestamp())
    assert simulator.truth()["paused_seconds"] == 10


def test_too_many_requests_in_one_second_are_refused(sessions, simulator, clock, refused):
    simulator.faults.rate_limit = 2
    sessions.list()
    sessions.list()
    assert isinstance(refused(sessions.list), stripe.RateLimitError)
    clock.instant += timedelta(seconds=1)
    assert sessions.list().data == []
    assert simulator.truth()["answers"] == {"200": 3, "429": 1}


# --- the rest ------------------------------------------------------------------------------------


_TEXT = st.text("ab1 &=[]+%;#ü€\n", min_size=1, max_size=8)
_NAME = st.text("abcdefgh_-ü", min_size=1, max_size=6)
_TREE = st.dictionaries(
    _NAME,
    st.recursive(
        _TEXT,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3) | st.dictionaries(_NAME, inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def numbered(node):
    """Return *node* with arrays as what a form can say of them: numbered entries."""
    if isinstance(node, list):
        return {str(index): numbered(child) for index, child in enumerate(node)}
    return {name: numbered(child) for name, child in node.items()} if isinstance(node, dict) else node


@given(_TREE)
def test_forms_are_read_exactly_as_the_sdk_writes_them(tree):
    assert decode(urlencode(list(_api_encode(tree)))) == numbered(tree)


@pytest.mark.parametrize("form", ["a=1&a[b]=2", "a[b]=2&a=1", "a[b", "[]=1"])
def test_forms_that_contradict_themselves_are_refused(form):
    with pytest.raises(Refusal):
        decode(form)


def test_the_same_seed_gives_the_same_ids(clock):
    form = (
        "mode=payment&success_url=https%3A%2F%2Fpay.example%2F&line_items[0][quantity]=1"
        "&line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=500"
        "&line_items[0][price_data][product_data][name]=Geb%C3%BChr"
    )
    headers = {"authorization": "Bearer sk_test_simulator"}
    path = "/v1/checkout/sessions"
    request = RawRequest(method="POST", path=path, headers=headers, body=form.encode())

    def first_id(seed):
        reply = StripeSimulator(clock, seed=seed).handle(request)
        return json.loads(reply.body)["id"]

    assert first_id(1) == first_id(1) != first_id(2)


def test_the_demo_account_offers_card_and_bank(stripe_server, clock, client, wish):
    exchangeable, url = stripe_server
    exchangeable.simulator = StripeSimulator.demo(
        world=clock, webhook_url="http://127.0.0.1:1/webhooks/x/stripe"
    )
    made = client(url).v1.checkout.sessions.create(
        wish(payment_intent_data={"statement_descriptor": "STADTBIBLIOTHEK"})
    )
    (endpoint,) = client(url).v1.webhook_endpoints.list().data
    assert made.payment_method_types == ["card", "pay_by_bank"]
    assert (endpoint.url, endpoint.status) == ("http://127.0.0.1:1/webhooks/x/stripe", "enabled")


def test_accounts_can_be_set_up_by_hand(stripe_server, clock, client, wish):
    exchangeable, url = stripe_server
    account = SimulatedAccount(id="acct_other", enabled_methods=("card",))
    exchangeable.simulator = StripeSimulator(clock, account=account, api_key="sk_live_other")
    shown = client(url, "sk_live_other").v1.accounts.retrieve_current()
    assert client(url, "sk_live_other").v1.checkout.sessions.create(wish()).livemode is True
    assert (shown.id, shown.capabilities.to_dict()) == ("acct_other", {"card_payments": "active"})


WE_USE = (
    "adaptive_pricing",
    "allowed_payment_method_types",
    "amount",
    "created",
    "customer_creation",
    "expires_at",
    "locale",
    "payment_intent",
    "payment_intent_data",
    "reason",
    "submit_type",
    "wallet_options",
)


def _resolved(schema, definitions):
    """Return *schema* with its references replaced, so that two ways of writing it compare."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {name: _resolved(value, definitions) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_resolved(value, definitions) for value in schema]
    return schema


def test_the_schema_from_the_installed_sdk_agrees_with_the_recorded_one(wish):
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
        for field in set(ours) & {*wish(), *WE_USE}:
            assert ours[field] == theirs[field], (operation, field)
