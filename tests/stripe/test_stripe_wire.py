"""Translation between Checkout Sessions and the house: requests out, observations in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ils_payment_stripe import wire
from ils_payment_stripe.config import StripeConfig
from pydantic import SecretStr, ValidationError

from ils_payment.errors import ConfigurationError, RemoteGarbledError
from ils_payment.model import Attempt, AttemptLine, PayState, Reversal, ReversalState

CREATED = datetime(2026, 11, 21, 22, 0, 0, 750_000, tzinfo=UTC)
ATTEMPT = Attempt(
    key="KEY1",
    reference="PAY1",
    cents=1250,
    currency="EUR",
    method="card",
    lines=(AttemptLine(text="Overdue fee", cents=250), AttemptLine(text="Lost item", cents=1000)),
    language="de",
    return_url="https://pay.example.org/r/abc",
    cancel_url="https://pay.example.org/c/abc",
    created_at=CREATED,
)


def request_for(attempt=ATTEMPT, methods=("card",)):
    return wire.request_for(attempt, methods, statement_descriptor="STADTBIB HBG", payee="Stadtbibliothek")


def config(**changes) -> StripeConfig:
    good = {
        "api_key": SecretStr("rk_test_CANARYKEY"),
        "webhook_secrets": (SecretStr("whsec_CANARYHOOK"),),
        "statement_descriptor": "STADTBIBLIOTHEK",
    }
    return StripeConfig(**(good | changes))


# --- requests -----------------------------------------------------------------------------------


def test_the_request_says_exactly_what_is_to_be_paid_and_how():
    assert request_for() == {
        "mode": "payment",
        "submit_type": "pay",
        "line_items": [
            {
                "price_data": {
                    "currency": "eur",
                    "unit_amount": 250,
                    "product_data": {"name": "Overdue fee"},
                },
                "quantity": 1,
            },
            {
                "price_data": {"currency": "eur", "unit_amount": 1000, "product_data": {"name": "Lost item"}},
                "quantity": 1,
            },
        ],
        "client_reference_id": "PAY1",
        "metadata": {"payment": "PAY1", "attempt": "KEY1"},
        "payment_intent_data": {
            "metadata": {"payment": "PAY1", "attempt": "KEY1"},
            "description": "Stadtbibliothek PAY1",
            "capture_method": "automatic",
            "statement_descriptor_suffix": "STADTBIB HBG",
        },
        "allowed_payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
        "customer_creation": "if_required",
        "expires_at": int(datetime(2026, 11, 21, 22, 31, tzinfo=UTC).timestamp()),
        "locale": "de",
        "success_url": "https://pay.example.org/r/abc",
        "cancel_url": "https://pay.example.org/c/abc",
        "wallet_options": {"link": {"display": "never"}},
    }


def test_the_same_attempt_is_always_the_same_text():
    text = wire.as_text(request_for())
    assert text == wire.as_text(request_for())
    assert json.loads(text) == request_for()


def test_a_whole_descriptor_is_for_banks_and_a_suffix_for_cards():
    assert "statement_descriptor" not in request_for()["payment_intent_data"]
    bank = request_for(methods=("pay_by_bank",))
    assert bank["payment_intent_data"]["statement_descriptor"] == "STADTBIB HBG"
    assert "statement_descriptor_suffix" not in bank["payment_intent_data"]
    assert "wallet_options" not in bank


@pytest.mark.parametrize(
    ("language", "locale"), [("de", "de"), ("de-AT", "de"), ("EN_gb", "en"), ("tr", "auto"), ("", "auto")]
)
def test_the_page_speaks_the_payers_language_or_the_browsers(language, locale):
    assert request_for(replace(ATTEMPT, language=language))["locale"] == locale


def test_a_hundred_lines_are_shown_one_by_one_and_more_as_one():
    hundred = replace(ATTEMPT, lines=(AttemptLine(text="Fee", cents=1),) * 100, cents=100)
    assert len(request_for(hundred)["line_items"]) == 100
    many = replace(ATTEMPT, lines=(AttemptLine(text="Fee", cents=1),) * 101, cents=101)
    (line,) = request_for(many)["line_items"]
    assert line["price_data"]["unit_amount"] == 101
    assert line["price_data"]["product_data"]["name"] == "Gebühren (101)"
    assert "Fees (101)" in wire.as_text(request_for(replace(many, language="en")))


def test_a_line_that_is_no_debt_makes_all_of_them_one():
    lines = (AttemptLine(text="Fee", cents=500), AttemptLine(text="Credit", cents=-100))
    (line,) = request_for(replace(ATTEMPT, lines=lines, cents=400))["line_items"]
    assert line["price_data"]["unit_amount"] == 400


def test_texts_fit_the_page():
    lines = tuple(AttemptLine(text=text, cents=1) for text in ("a\n b\t\tc", "ü" * 999, " "))
    items = request_for(replace(ATTEMPT, lines=lines, cents=3))["line_items"]
    names = [item["price_data"]["product_data"]["name"] for item in items]
    assert names == ["a b c", "ü" * 249 + "…", "PAY1"]


def test_lines_that_do_not_add_up_are_never_sent():
    with pytest.raises(ValueError, match="add up"):
        request_for(replace(ATTEMPT, cents=1251))


@pytest.mark.parametrize(
    ("method", "currency", "klarna", "names"),
    [
        ("card", "EUR", False, ("card",)),
        ("card", "CHF", True, ("card",)),
        ("instant_bank_transfer", "EUR", False, ("pay_by_bank",)),
        ("instant_bank_transfer", "EUR", True, ("pay_by_bank", "klarna")),
        ("instant_bank_transfer", "GBP", False, ("pay_by_bank",)),
        ("instant_bank_transfer", "CHF", True, ("klarna",)),
    ],
)
def test_methods_are_mapped_to_living_ones(method, currency, klarna, names):
    assert wire.stripe_methods(method, currency, allow_klarna=klarna) == names


@pytest.mark.parametrize("method", ["giropay", "sofort"])
def test_a_dead_method_is_refused_with_what_replaces_it(method):
    with pytest.raises(ConfigurationError) as refused:
        wire.stripe_methods(method, "EUR", allow_klarna=True)
    assert "instant_bank_transfer" in refused.value.mend
    assert "Pay by Bank" in refused.value.mend


@pytest.mark.parametrize(("method", "currency"), [("instant_bank_transfer", "CHF"), ("bitcoin", "EUR")])
def test_a_method_that_there_is_not_is_refused(method, currency):
    with pytest.raises(ConfigurationError) as refused:
        wire.stripe_methods(method, currency, allow_klarna=False)
    assert refused.value.mend


# --- answers ------------------------------------------------------------------------------------


def session(status="open", payment="unpaid", intent=None, **changes):
    return {
        "id": "cs_test_1",
        "object": "checkout.session",
        "status": status,
        "payment_status": payment,
        "payment_intent": intent,
        "amount_total": 1250,
        "currency": "eur",
        "livemode": False,
        "client_reference_id": "PAY1",
        "metadata": {"payment": "PAY1", "attempt": "KEY1"},
        "payment_method_types": ["card"],
        "url": "https://checkout.stripe.com/c/pay/cs_test_1",
    } | changes


def intent(status, received=0, charge=None, **changes):
    return {
        "id": "pi_1",
        "status": status,
        "amount_received": received,
        "currency": "eur",
        "latest_charge": charge,
    } | changes


PAID = intent("succeeded", 1250)

STATES = [
    ("nobody has tried yet", session(), PayState.OPEN, False),
    (
        "a try failed, another is possible",
        session(intent=intent("requires_payment_method")),
        PayState.OPEN,
        False,
    ),
    ("the payer is at the bank", session(intent=intent("requires_action")), PayState.OPEN, False),
    ("paid", session("complete", "paid", PAID), PayState.PAID, False),
    ("paid, page not told yet", session("open", "unpaid", PAID), PayState.PAID, False),
    ("the bank decides", session("complete", "unpaid", intent("processing")), PayState.PENDING, False),
    ("authorised only", session("complete", "unpaid", intent("requires_capture")), PayState.PENDING, False),
    (
        "paid and captured later",
        session("complete", "paid", intent("requires_capture")),
        PayState.PENDING,
        False,
    ),
    (
        "the bank refused",
        session("complete", "unpaid", intent("requires_payment_method")),
        PayState.VOID,
        True,
    ),
    ("cancelled afterwards", session("complete", "unpaid", intent("canceled")), PayState.VOID, True),
    ("complete without any intent", session("complete", "unpaid"), PayState.PENDING, False),
    ("expired, never tried", session("expired"), PayState.VOID, True),
    ("expired after a failed try", session("expired", intent=intent("canceled")), PayState.VOID, True),
    (
        "expired while the bank decides",
        session("expired", intent=intent("processing")),
        PayState.PENDING,
        False,
    ),
    (
        "expired while at the bank",
        session("expired", intent=intent("requires_action")),
        PayState.PENDING,
        False,
    ),
    ("paid after it expired", session("expired", "unpaid", PAID), PayState.PAID, False),
    ("paid after it expired, page told", session("expired", "paid", PAID), PayState.PAID, False),
    ("a status from the future", session("resting"), PayState.PENDING, False),
    (
        "a payment status from the future",
        session("complete", "almost", intent("hm")),
        PayState.PENDING,
        False,
    ),
]


@pytest.mark.parametrize(
    ("said", "state", "final"), [row[1:] for row in STATES], ids=[row[0] for row in STATES]
)
def test_a_session_is_read_as_what_it_means(said, state, final):
    seen = wire.observation(said)
    assert (seen.state, seen.final) == (state, final)
    assert seen.captured == (1250 if state is PayState.PAID else 0)


def test_an_observation_carries_what_the_core_compares():
    seen = wire.observation(
        session("complete", "paid", intent("succeeded", 1200, currency="chf"), livemode=True)
    )
    assert (seen.captured, seen.currency, seen.live) == (1200, "CHF", True)
    assert (seen.reference, seen.account) == ("PAY1", "")
    assert seen.evidence == "session complete, payment paid, intent succeeded, received 1200"


def test_a_session_for_nothing_is_paid_with_nothing():
    seen = wire.observation(session("complete", "no_payment_required", amount_total=0))
    assert (seen.state, seen.captured) == (PayState.PAID, 0)


def test_a_reference_in_the_metadata_is_found_too():
    assert wire.observation(session(client_reference_id=None)).reference == "PAY1"
    assert wire.observation(session(client_reference_id=None, metadata=None)).reference == ""


@pytest.mark.parametrize(
    "garbled",
    [
        session(payment_intent="pi_1"),
        session(amount_total=None),
        session(amount_total="1250"),
        session(amount_total=12.5),
        session(amount_total=True),
        session(currency=None),
        session(livemode=None),
        session("complete", "paid", intent("succeeded", None)),
    ],
)
def test_an_answer_against_the_specification_is_garbled(garbled):
    with pytest.raises(RemoteGarbledError) as caught:
        wire.observation(garbled)
    assert caught.value.mend


def reversals(refunds=(), disputes=()):
    said = session("complete", "paid", intent("succeeded", 1250))
    return wire.observation(said, disputes, refunds).reversals


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", ReversalState.PENDING),
        ("requires_action", ReversalState.PENDING),
        ("succeeded", ReversalState.DONE),
        ("failed", ReversalState.FAILED),
        ("canceled", ReversalState.FAILED),
        ("a word of next year", ReversalState.PENDING),
        (None, ReversalState.PENDING),
    ],
)
def test_every_refund_is_listed_with_its_state(status, state):
    found = reversals([{"id": "re_1", "amount": 250, "status": status}])
    assert found == (Reversal(ref="re_1", kind="refund", cents=250, state=state),)


def test_a_refund_of_ours_is_known_by_the_key_in_its_metadata():
    refund = {"id": "re_1", "amount": 250, "status": "succeeded", "metadata": {"refund": "r-1"}}
    assert [one.key for one in reversals([refund, refund | {"metadata": None}])] == ["r-1", ""]


@pytest.mark.parametrize("amount", [None, "250", 2.5, True])
def test_a_refund_without_an_amount_is_garbled(amount):
    with pytest.raises(RemoteGarbledError):
        reversals([{"id": "re_1", "amount": amount, "status": "succeeded"}])


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("needs_response", ReversalState.DONE),
        ("under_review", ReversalState.DONE),
        ("appeal_needs_response", ReversalState.DONE),
        ("appeal_under_review", ReversalState.DONE),
        ("lost", ReversalState.DONE),
        ("won", ReversalState.FAILED),
        ("prevented", ReversalState.FAILED),
        ("a word of next year", ReversalState.PENDING),
    ],
)
def test_a_dispute_is_a_chargeback_until_it_is_won(status, state):
    found = reversals(disputes=[{"id": "du_1", "amount": 1250, "status": status}])
    assert found == (Reversal(ref="du_1", kind="chargeback", cents=1250, state=state),)


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_under_review", "warning_closed"])
def test_a_question_of_a_bank_takes_no_money(status):
    assert reversals(disputes=[{"id": "du_1", "amount": 1250, "status": status}]) == ()


def test_a_session_as_asked_for_gives_no_complaint():
    assert complaint() == ""
    assert complaint(url=None) == ""


def complaint(**changes):
    asked = request_for()
    return wire.complaint(session(**changes), asked, live=False, origin="https://checkout.stripe.com")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"livemode": True}, "mode"),
        ({"livemode": None}, "mode"),
        ({"client_reference_id": "PAY2"}, "reference"),
        ({"amount_total": 1249}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"payment_method_types": []}, "does not offer card"),
        ({"payment_method_types": ["pay_by_bank"]}, "does not offer card"),
        ({"payment_method_types": ["card", "klarna"]}, "klarna"),
        ({"url": "https://checkout.stripe.com.evil.example/c/pay/x"}, "checkout_origin"),
        ({"url": "http://checkout.stripe.com/c/pay/x"}, "checkout_origin"),
    ],
)
def test_a_session_that_differs_is_named(changes, word):
    assert word in complaint(**changes)


def test_the_expiry_is_an_instant_in_utc():
    assert wire.expiry({"expires_at": 1_795_300_260}) == datetime.fromtimestamp(1_795_300_260, UTC)
    assert wire.expiry({}) is None
    stored = datetime.fromtimestamp(request_for()["expires_at"], UTC)
    assert timedelta(minutes=30) < stored - CREATED <= timedelta(minutes=31)


# --- configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "live"),
    [("sk_test_a1", False), ("rk_test_a1", False), ("sk_live_test_1", True), ("rk_live_a1", True)],
)
def test_the_keys_mode_is_recognised(key, live):
    assert config(api_key=SecretStr(key)).live is live


@pytest.mark.parametrize(
    "key", ["pk_live_CANARY", "CANARY", "sk_CANARY", "sk_org_CANARY", "rk_test_CANARY x", ""]
)
def test_what_is_no_key_is_refused_without_being_shown(key):
    with pytest.raises(ValidationError) as refused:
        config(api_key=SecretStr(key))
    assert "rk_" in str(refused.value)
    assert "CANARY" not in str(refused.value)


def test_a_key_must_not_stand_in_clear():
    with pytest.raises(ValidationError, match="in clear"):
        config(api_key="rk_test_1")


@pytest.mark.parametrize(
    "secrets", [(), (SecretStr("CANARY"),), (SecretStr("whsec_a"), SecretStr("whsec_ CANARY"))]
)
def test_signing_secrets_are_recognised(secrets):
    with pytest.raises(ValidationError) as refused:
        config(webhook_secrets=secrets)
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize("text", ["STADTBIBLIOTHEK", "Bib 1", "STADTBIB. KA-SUED 2026"])
def test_descriptors_within_the_rules_are_taken(text):
    assert config(statement_descriptor=text).statement_descriptor == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("BIB1", "4 characters"),
        ("S" * 23, "23 characters"),
        ("12345", "letter"),
        ("BÜCHEREI", "Latin"),
        ("STADT*BIB", "none of"),
        ("STADT'BIB", "none of"),
        ("STADT\tBIB", "Latin"),
        (" STADTBIB", "space"),
    ],
)
def test_descriptors_against_the_rules_are_refused_with_the_rule(text, word):
    with pytest.raises(ValidationError, match=word):
        config(statement_descriptor=text)


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8090", "http://localhost:1/", "http://[::1]:1", "https://sim.test"]
)
def test_another_api_address_is_taken_from_loopback_or_https(base):
    settings = config(api_base=base)
    assert settings.api_base == base.rstrip("/")
    assert settings.page_origin == base.rstrip("/")


@pytest.mark.parametrize(
    "base",
    ["http://sim.example", "ftp://127.0.0.1", "127.0.0.1:80", "https://u@sim.test", "https://sim.test/v1"],
)
def test_another_api_address_that_others_could_read_is_refused(base):
    with pytest.raises(ValidationError):
        config(api_base=base)


def test_a_live_key_never_goes_to_another_address():
    with pytest.raises(ValidationError, match="live key"):
        config(api_key=SecretStr("rk_live_1"), api_base="https://sim.test")


def test_the_payment_page_lies_at_stripe_unless_it_has_a_domain_of_its_own():
    assert config().page_origin == "https://checkout.stripe.com"
    assert config(checkout_origin="https://pay.example.org/").page_origin == "https://pay.example.org"


def test_no_secret_shows_in_the_settings():
    assert "CANARY" not in repr(config()) + str(config()) + config().model_dump_json()
