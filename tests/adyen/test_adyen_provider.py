"""Adyen's provider at the simulator, through the real SDK: pages, lost answers, reading, closing, refunds."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import jsonschema
import pytest
from ils_payment_adyen import wire
from ils_payment_adyen.provider import KEY_LIFETIME, AdyenProvider
from pydantic import SecretStr, ValidationError

from ils_payment.errors import (
    ConfigurationError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    Level,
    PayState,
    ReadSupport,
    Refunded,
    RefundOrder,
    RefundRefused,
    RefundSupport,
    ReversalState,
    Started,
    StartRefused,
    Unclear,
)
from ils_payment.ports import FindingRefunds, Listing, PayingOut, PaymentProvider, Refunding
from tests.adyen.conftest import ADYEN, config

WAYS = ("links", "sessions")
CREATE = {"links": "links", "sessions": "sessions"}


def started(house, attempt) -> Started:
    outcome = house.start(attempt)
    assert isinstance(outcome, Started), outcome
    return outcome


# --- capabilities ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "read", "close"),
    [("links", ReadSupport.FULL, True), ("sessions", ReadSupport.WITH_RETURN, False)],
)
def test_it_declares_what_each_way_can_do(way, read, close, provider):
    house = provider(checkout=way)
    can = house.capabilities()
    assert isinstance(house, PaymentProvider)
    assert isinstance(house, Refunding)
    assert (can.read, can.close, can.find, can.notices, can.notices_decide) == (read, close, True, True, True)
    assert (can.refund, can.finds_refunds) == (RefundSupport.PARTIAL, False)
    assert (can.live, can.account) == (False, "LibraryECOM")
    # Reports of the back office are not read, so what needs them is absent.
    assert (can.listing, can.payouts) == (False, False)
    assert not isinstance(house, (FindingRefunds, Listing, PayingOut))


def test_the_methods_are_the_living_ones_and_klarna_only_on_request():
    assert wire.adyen_methods("card", "EUR", allow_klarna=True) == ("scheme",)
    assert wire.adyen_methods("instant_bank_transfer", "EUR", allow_klarna=False) == ("paybybank", "trustly")
    assert wire.adyen_methods("instant_bank_transfer", "EUR", allow_klarna=True)[-1] == "klarna_paynow"
    assert wire.adyen_methods("instant_bank_transfer", "GBP", allow_klarna=False) == ("paybybank",)


@pytest.mark.parametrize(
    ("method", "currency"),
    [("giropay", "EUR"), ("sofort", "EUR"), ("cash", "EUR"), ("instant_bank_transfer", "CZK")],
)
def test_a_method_that_nobody_can_pay_by_is_refused_with_its_mend(method, currency):
    with pytest.raises(ConfigurationError) as caught:
        wire.adyen_methods(method, currency, allow_klarna=False)
    assert caught.value.mend


# --- what is sent ------------------------------------------------------------------------------


def test_the_request_carries_no_personal_data_and_is_always_the_same_text(provider, attempt):
    house = provider()
    one = attempt(house)
    assert house.prepare(one) == one.request
    request = json.loads(one.request)
    assert request["metadata"] == {"payment": "PAY1", "installation": "INSTALLATION"}
    assert request["amount"] == {"currency": "EUR", "value": 1250}
    assert not {"shopperReference", "shopperEmail", "shopperName"} & set(request)
    assert request["captureDelayHours"] == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", ["card", "instant_bank_transfer"])
def test_requests_are_as_the_api_description_has_them(way, method, provider, attempt, adyen):
    folder = os.environ.get("ILS_PAYMENT_SHARED_DATA")
    if folder is None:
        pytest.skip("ILS_PAYMENT_SHARED_DATA does not name the folder of recordings")
    description = json.loads((Path(folder) / "adyen-CheckoutService-v72.trimmed.json").read_text())
    house = provider(checkout=way, allow_klarna=True)
    page = started(house, attempt(house, method=method))
    psp = adyen.book.pay(page.session_ref)
    house.refund(order(psp))
    house.check()
    if way == "links":
        house.close(page.session_ref)
    names = {
        "sessions": "CreateCheckoutSessionRequest",
        "links": "PaymentLinkRequest",
        "links.update": "UpdatePaymentLinkRequest",
        "methods": "PaymentMethodsRequest",
        "refunds": "PaymentRefundRequest",
    }
    seen = set()
    for operation, body in adyen.truth()["bodies"]:
        if operation in names:
            schema = {**description, "$ref": f"#/components/schemas/{names[operation]}"}
            jsonschema.validate(body, schema)
            seen.add(operation)
    assert seen == {way, "methods", "refunds"} | ({"links.update"} if way == "links" else set())


def test_the_simulator_knows_the_fields_of_the_api_description():
    folder = os.environ.get("ILS_PAYMENT_SHARED_DATA")
    if folder is None:
        pytest.skip("ILS_PAYMENT_SHARED_DATA does not name the folder of recordings")
    from ils_payment_adyen.simulator import shapes

    description = json.loads((Path(folder) / "adyen-CheckoutService-v72.trimmed.json").read_text())
    schemas = description["components"]["schemas"]
    for known, name in (
        (shapes.SESSION, "CreateCheckoutSessionRequest"),
        (shapes.LINK, "PaymentLinkRequest"),
        (shapes.METHODS, "PaymentMethodsRequest"),
        (shapes.REFUND, "PaymentRefundRequest"),
    ):
        assert known == frozenset(schemas[name]["properties"])


# --- starting, and answers that get lost -------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_start_leads_to_a_page_that_ends_by_itself(way, provider, attempt, world):
    house = provider(checkout=way)
    page = started(house, attempt(house))
    assert page.interaction.url.startswith(f"http://{ADYEN}/pay/")
    assert page.expires_at == world.now() + wire.LIFE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lost", ["lose_request", "lose_answer"])
def test_a_lost_answer_is_unclear_and_the_page_is_found_once(way, lost, provider, attempt, adyen):
    house = provider(checkout=way)
    one = attempt(house)
    getattr(adyen.faults, lost)(only=CREATE[way])
    assert isinstance(house.start(one), Unclear)
    first, second = house.find(one), house.find(one)
    assert isinstance(first, Started)
    assert first == second
    assert len(adyen.truth()["pages"]) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("status", "outcome"),
    [(400, StartRefused), (401, StartRefused), (403, StartRefused), (422, StartRefused)]
    + [(status, Unclear) for status in (409, 429, 500, 502, 503)],
)
def test_only_a_refusal_before_any_effect_says_that_there_is_no_page(
    way, status, outcome, provider, attempt, adyen
):
    house = provider(checkout=way)
    adyen.faults.fail(status=status, only=CREATE[way])
    assert isinstance(house.start(attempt(house)), outcome)


def test_a_refusal_that_is_transient_or_not_adyens_own_leaves_it_open(provider, attempt, adyen):
    house = provider()
    adyen.faults.fail(status=422, transient=True)
    assert isinstance(house.start(attempt(house)), Unclear)
    adyen.faults.fail(status=403, body=b"<html>proxy</html>")
    assert isinstance(house.start(attempt(house)), Unclear)
    adyen.faults.fail(status=201, body=b"<html>ok</html>")
    assert isinstance(house.start(attempt(house)), Unclear)


def test_finding_says_none_only_when_nobody_can_ever_pay(provider, attempt, adyen, world):
    house = provider()
    one = attempt(house)
    adyen.faults.fail(status=422)
    assert house.find(one) is None
    adyen.faults.fail(status=503)
    with pytest.raises(RemoteUnavailableError):
        house.find(one)
    adyen.faults.fail(status=401)
    with pytest.raises(RemoteRefusedError):
        house.find(one)
    world.pass_time(minutes=40)
    # The page would be over before it began: Adyen refuses to make it.
    assert house.find(one) is None
    world.pass_time(days=KEY_LIFETIME.days)
    before = sum(adyen.truth()["requests"].values())
    assert house.find(one) is None
    assert sum(adyen.truth()["requests"].values()) == before
    assert adyen.truth()["pages"] == {}


def test_a_page_that_is_not_as_asked_for_is_ended_at_once(provider, attempt, adyen, monkeypatch):
    house = provider()
    one = attempt(house)
    other = json.dumps({**json.loads(one.request), "reference": "PAY2"})
    monkeypatch.setattr(
        AdyenProvider, "_make", lambda self, _: self._checkout.make_link(json.loads(other), "K2")
    )
    outcome = house.start(one)
    assert isinstance(outcome, StartRefused)
    assert "another reference" in outcome.reason
    [page] = adyen.truth()["pages"].values()
    assert page["status"] == "expired"


def test_a_page_of_another_origin_is_refused_with_the_key_to_set(provider, attempt):
    house = provider(page_origin="https://pay.example.org")
    outcome = house.start(attempt(house))
    assert isinstance(outcome, StartRefused)
    assert "page_origin" in outcome.reason


# --- reading and closing -----------------------------------------------------------------------


def test_a_link_is_read_through_its_life(provider, attempt, adyen, world):
    house = provider()
    ref = started(house, attempt(house)).session_ref

    def seen():
        found = house.read(ref)
        assert (found.reference, found.live) == ("PAY1", False)
        return found.state, found.captured, found.final

    assert seen() == (PayState.OPEN, 0, False)
    adyen.book.decline(ref)
    assert seen() == (PayState.OPEN, 0, False)
    psp = adyen.book.pay_later(ref, "trustly")
    assert seen() == (PayState.PENDING, 0, False)
    adyen.book.confirm(psp, success=True)
    assert seen() == (PayState.PAID, 1250, False)
    again = started(house, attempt(house, key="KEY2")).session_ref
    world.pass_time(minutes=32)
    late = house.read(again)
    assert (late.state, late.final) == (PayState.VOID, True)


def test_closing_ends_a_link_and_a_paid_one_stays_paid(provider, attempt, adyen):
    house = provider()
    ref = started(house, attempt(house)).session_ref
    closed = house.close(ref)
    assert (closed.state, closed.final) == (PayState.VOID, True)
    assert house.close(ref) == closed
    paid = started(house, attempt(house, key="KEY2")).session_ref
    adyen.book.pay(paid)
    assert house.close(paid).state is PayState.PAID


@pytest.mark.parametrize(
    ("status", "state", "final"),
    [
        ("active", PayState.OPEN, False),
        ("paymentPending", PayState.PENDING, False),
        ("completed", PayState.PAID, False),
        ("paid", PayState.PAID, False),
        ("expired", PayState.VOID, True),
        ("somethingNew", PayState.PENDING, False),
        (None, PayState.PENDING, False),
    ],
)
def test_each_status_of_a_link_says_just_this(status, state, final):
    link = {"status": status, "amount": {"value": 1250, "currency": "EUR"}, "reference": "PAY1"}
    seen = wire.of_link(link, live=False)
    assert (seen.state, seen.final) == (state, final)


@pytest.mark.parametrize(
    ("status", "paid", "state", "final"),
    [
        ("active", 0, PayState.OPEN, False),
        ("canceled", 0, PayState.OPEN, False),
        ("paymentPending", 0, PayState.PENDING, False),
        ("refused", 0, PayState.VOID, True),
        ("expired", 0, PayState.VOID, True),
        ("completed", 1, PayState.PAID, False),
        # Without an amount there is nothing to compare: the notice has to tell.
        ("completed", 0, PayState.PENDING, False),
        ("completed", 2, PayState.PAID, False),
        ("somethingNew", 1, PayState.PENDING, False),
    ],
)
def test_each_result_of_a_session_says_just_this(status, paid, state, final):
    amount = {"value": 1250, "currency": "EUR"}
    payments = [{"resultCode": "Authorised", "amount": amount, "pspReference": f"P{n}"} for n in range(paid)]
    payments.append({"resultCode": "Pending", "amount": amount, "pspReference": "P9"})
    seen = wire.of_session({"status": status, "reference": "PAY1", "payments": payments}, live=False)
    assert (seen.state, seen.final) == (state, final)
    assert seen.captured == (1250 * paid if state is PayState.PAID else 0)


@pytest.mark.parametrize(
    "amount",
    [None, {}, {"value": "1250", "currency": "EUR"}, {"value": True, "currency": "EUR"}, {"value": 1250}, 7],
)
def test_an_amount_that_is_none_makes_the_answer_garbled(amount):
    with pytest.raises(RemoteGarbledError):
        wire.of_link({"status": "completed", "amount": amount}, live=False)


def test_a_session_is_read_only_with_its_own_result(provider, attempt, adyen):
    house = provider(checkout="sessions")
    ref = started(house, attempt(house)).session_ref
    other = started(house, attempt(house, key="KEY2", reference="PAY2")).session_ref
    adyen.book.pay(ref)
    adyen.book.pay(other)
    result = adyen.book.pages[ref]["result"]
    assert {"+", "/", "="} & set(result)
    seen = house.read(ref, {"sessionId": ref, "sessionResult": result})
    assert (seen.state, seen.captured, seen.reference) == (PayState.PAID, 1250, "PAY1")
    assert seen.money_ref == adyen.book.pages[ref]["payments"][0]
    for params in (None, {}, {"sessionResult": ""}, {"sessionResult": result, "sessionId": other}):
        with pytest.raises(RemoteRefusedError):
            house.read(ref, params)
    with pytest.raises(RemoteRefusedError):
        house.read(ref, {"sessionResult": adyen.book.pages[other]["result"]})
    with pytest.raises(RemoteRefusedError):
        house.read(f"{ref}/../{other}", {"sessionResult": result})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, RemoteRefusedError),
        (403, RemoteRefusedError),
        (404, RemoteRefusedError),
        (422, RemoteRefusedError),
    ]
    + [(status, RemoteUnavailableError) for status in (409, 429, 500, 503)],
)
def test_a_question_that_is_not_answered_says_why_and_what_to_do(status, error, provider, attempt, adyen):
    house = provider()
    ref = started(house, attempt(house)).session_ref
    adyen.faults.fail(status=status, only="links.read")
    with pytest.raises(error) as caught:
        house.read(ref)
    assert caught.value.mend
    adyen.faults.lose_answer(only="links.read")
    with pytest.raises(RemoteUnavailableError):
        house.read(ref)


def test_no_key_request_or_answer_is_told_in_an_error(provider, attempt, adyen, caplog):
    caplog.set_level(logging.DEBUG)
    house = provider()
    one = attempt(house, lines=(), reference="PAY-SECRET")
    adyen.faults.fail(
        status=422, body=json.dumps({"status": 422, "message": "Erika Mustermann 4111"}).encode()
    )
    outcome = house.start(one)
    assert isinstance(outcome, StartRefused)
    adyen.faults.fail(status=500, body=b"Erika Mustermann")
    with pytest.raises(RemoteError) as caught:
        house.read("PL1")
    told = f"{outcome.reason} {caught.value} {caplog.text}"
    assert not [word for word in ("Erika", "4111", "AQE-", "sessionResult") if word in told]


# --- refunds -----------------------------------------------------------------------------------


def order(psp: str, **changes) -> RefundOrder:
    fields = {
        "key": "REFUND1",
        "session_ref": "PL1",
        "reference": "PAY1",
        "cents": 500,
        "currency": "EUR",
        "money_ref": psp,
    }
    return RefundOrder(**{**fields, **changes})


@pytest.fixture
def paid(provider, attempt, adyen):
    house = provider()
    return house, adyen.book.pay(started(house, attempt(house)).session_ref)


def test_a_refund_is_a_request_and_only_a_notice_tells_that_it_is_done(paid, adyen, world):
    house, psp = paid
    made = house.refund(order(psp))
    assert isinstance(made, Refunded)
    assert made.state is ReversalState.PENDING
    world.pass_time(seconds=1)
    parcels = [one for one in adyen.due_deliveries() if b'"REFUND"' in one.body]
    [notice] = house.notice(parcels[0].raw_request(), world.now())
    [reversal] = notice.observation.reversals
    assert (reversal.ref, reversal.key, reversal.cents, reversal.state) == (
        made.ref,
        "REFUND1",
        500,
        ReversalState.DONE,
    )


@pytest.mark.parametrize("lost", ["lose_request", "lose_answer"])
def test_a_refund_without_an_answer_is_unclear_and_repeated_is_the_same_one(lost, paid, adyen):
    house, psp = paid
    getattr(adyen.faults, lost)(only="refunds")
    assert isinstance(house.refund(order(psp)), Unclear)
    again = house.refund(order(psp))
    assert isinstance(again, Refunded)
    assert list(adyen.truth()["refunds"]) == [again.ref]


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (422, True), (404, True), (401, False), (403, False)]
)
def test_a_refusal_before_any_effect_is_certain(status, permanent, paid, adyen):
    house, psp = paid
    adyen.faults.fail(status=status, only="refunds")
    refused = house.refund(order(psp))
    assert isinstance(refused, RefundRefused)
    assert refused.permanent is permanent
    assert adyen.truth()["refunds"] == {}


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_every_other_answer_to_a_refund_is_unclear(status, paid, adyen):
    house, psp = paid
    adyen.faults.fail(status=status, only="refunds", after_effect=True)
    assert isinstance(house.refund(order(psp)), Unclear)


def test_a_refund_of_nothing_or_of_money_that_nobody_told_of_is_not_sent(paid, adyen):
    house, psp = paid
    assert house.refund(order(psp, cents=0)) == RefundRefused(reason="the refund has no amount")
    waits = house.refund(order(""))
    assert isinstance(waits, RefundRefused)
    assert waits.permanent is False
    assert "refunds" not in adyen.truth()["requests"]


@pytest.mark.parametrize(
    "change",
    [
        {"status": "sent"},
        {"pspReference": None},
        {"amount": {"currency": "EUR", "value": 1}},
        {"reference": "X"},
        {"paymentPspReference": "X"},
    ],
    ids=str,
)
def test_an_answer_about_another_refund_is_unclear(change, paid, adyen):
    house, psp = paid
    right = {
        "status": "received",
        "pspReference": "R1",
        "paymentPspReference": psp,
        "reference": "REFUND1",
        "amount": {"currency": "EUR", "value": 500},
    }
    adyen.faults.fail(status=201, only="refunds", body=json.dumps({**right, **change}).encode())
    assert isinstance(house.refund(order(psp)), Unclear)
    adyen.faults.fail(status=201, only="refunds", body=json.dumps(right).encode())
    assert house.refund(order(psp)) == Refunded(ref="R1", state=ReversalState.PENDING)


# --- check and configuration -------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_check_says_what_it_saw_and_leaves_nothing_to_pay_on(way, provider, adyen):
    findings = provider(checkout=way).check()
    assert not [one for one in findings if one.level is Level.ERROR]
    subjects = {one.subject for one in findings}
    assert {
        "mode",
        "key",
        "method: card",
        "method: instant_bank_transfer",
        f"payment page ({way})",
    } <= subjects
    assert ("webhook OFFER_CLOSED" in subjects) is (way == "sessions")
    if way == "links":
        assert [page["status"] for page in adyen.truth()["pages"].values()] == ["expired"]


def test_check_names_a_wrong_key_a_wrong_account_and_missing_methods(provider, adyen):
    for change in ({"api_key": SecretStr("AQE-wrong")}, {"merchant_account": "Other"}):
        [wrong] = [one for one in provider(**change).check() if one.level is Level.ERROR]
        assert (wrong.subject, bool(wrong.mend)) == ("key", True)
    adyen.book.offered = ("paybybank",)
    found = {one.subject: one.level for one in provider().check()}
    assert found["method: card"] is Level.ERROR
    assert found["method: instant_bank_transfer"] is Level.WARNING


@pytest.mark.parametrize(
    "change",
    [
        {"hmac_keys": (SecretStr("no hex"),)},
        {"hmac_keys": ()},
        {"platform": "live", "api_base": ""},
        {"platform": "live", "live_prefix": "123abc-Library"},
        {"live_prefix": "https://x"},
        {"statement": "BÜCHEREI"},
        {"statement": "A" * 23},
        {"statement": " A"},
        {"webhook_user": "team"},
        {"webhook_password": SecretStr("x")},
        {"api_base": "http://pay.example.org"},
        {"page_origin": "https://pay.example.org/x"},
        {"country": "Germany"},
    ],
    ids=str,
)
def test_a_configuration_that_cannot_work_is_refused(change):
    with pytest.raises(ValidationError):
        config(**change)


def test_a_live_account_speaks_to_its_own_addresses(provider):
    live = config(platform="live", live_prefix="123abc-Library", api_base="")
    assert live.live
    assert live.redirect_origin == "https://eu.adyen.link"
    assert config(api_base="").redirect_origin == "https://test.adyen.link"
    assert config(api_base="", checkout="sessions").redirect_origin.endswith("-test.adyen.com")


def test_a_live_call_goes_to_the_prefix_of_the_account(world, adyen, attempt, provider):
    world.remotes["123abc-library-checkout-live.adyenpayments.com"] = adyen
    house = provider(platform="live", live_prefix="123abc-Library", api_base="")
    # The simulator has its operations under the test address only: what is not JSON proves nothing.
    assert isinstance(house.start(attempt(house)), Unclear)
    assert world.requests == [("POST", "/checkout/v72/paymentLinks")]
