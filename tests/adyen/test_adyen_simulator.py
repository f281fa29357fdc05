"""The simulated Adyen over HTTP with the bare SDK: refuses what Adyen refuses, delivers badly on demand."""

from __future__ import annotations

import json
from typing import Any

import Adyen
import pytest
import requests
from Adyen.exceptions import (
    AdyenAPIAuthenticationError,
    AdyenAPIInvalidPermission,
    AdyenAPIUnprocessableEntity,
)
from ils_payment_adyen.simulator import KEY, AdyenSimulator, NotPayableError
from ils_payment_adyen.simulator.outbox import signature

from ils_payment.testing.simulator import TRUTH_PATH, serve

WISH: dict[str, Any] = {
    "amount": {"currency": "EUR", "value": 1250},
    "merchantAccount": "LibraryECOM",
    "reference": "PAY1",
    "returnUrl": "https://pay.example/r?t=1",
}


@pytest.fixture(scope="module")
def served():
    simulator = AdyenSimulator()
    with serve(simulator) as address:
        yield simulator, address


@pytest.fixture
def checkout(served):
    """The SDK as its own documentation uses it, without anything of ours."""

    def connect(key="AQE-simulator"):
        adyen = Adyen.Adyen(xapikey=key, platform="test", http_timeout=10)
        for api in (
            adyen.checkout.payments_api,
            adyen.checkout.payment_links_api,
            adyen.checkout.modifications_api,
        ):
            api.baseUrl = f"{served[1]}/v72"
        return adyen.checkout

    return connect


def test_the_official_sdk_makes_reads_and_ends_a_link(checkout):
    links = checkout().payment_links_api
    made = links.payment_links(dict(WISH)).message
    assert (made["status"], made["reference"], made["amount"]) == ("active", "PAY1", WISH["amount"])
    assert links.get_payment_link(made["id"]).message == made
    assert links.update_payment_link({"status": "expired"}, made["id"]).message["status"] == "expired"
    with pytest.raises(AdyenAPIUnprocessableEntity):
        links.update_payment_link({"status": "expired"}, made["id"])


def test_a_key_gives_the_first_answer_again_and_refuses_another_request(checkout, served):
    links = checkout().payment_links_api
    first = links.payment_links(dict(WISH), idempotency_key="K1").message
    assert links.payment_links(dict(WISH), idempotency_key="K1").message == first
    with pytest.raises(AdyenAPIUnprocessableEntity):
        links.payment_links({**WISH, "reference": "PAY2"}, idempotency_key="K1")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": None},
        {"reference": None},
        {"giftwrap": "yes"},
        {"amount": {"currency": "EUR", "value": "1250"}},
        {"amount": {"currency": "EUR", "value": 12.5}},
        {"amount": {"currency": "EUR", "value": 0}},
        {"metadata": {"a name of more than twenty": "x"}},
        {"metadata": {"payment": "x" * 81}},
        {"shopperStatement": "BÜCHEREI"},
        {"expiresAt": "2020-01-01T00:00:00+00:00"},
        {"expiresAt": "tomorrow"},
        {"mode": "hosted"},
    ],
    ids=str,
)
def test_a_request_that_adyen_would_refuse_is_refused(change, checkout):
    wish = {name: value for name, value in {**WISH, **change}.items() if value is not None}
    with pytest.raises(AdyenAPIUnprocessableEntity):
        checkout().payment_links_api.payment_links(wish)


def test_a_wrong_key_and_a_foreign_account_are_refused_as_documented(checkout):
    with pytest.raises(AdyenAPIAuthenticationError):
        checkout("wrong").payment_links_api.payment_links(dict(WISH))
    with pytest.raises(AdyenAPIInvalidPermission):
        checkout().payment_links_api.payment_links({**WISH, "merchantAccount": "Other"})


def test_a_person_pays_on_the_page_and_the_button_leads_back(checkout, served):
    simulator, address = served
    made = checkout().payment_links_api.payment_links({**WISH, "shopperLocale": "de-DE"}).message
    assert made["url"].startswith(f"{address}/pay/")
    assert "12,50 € bezahlen" in requests.get(made["url"], timeout=10).text
    declined = requests.post(made["url"], data={"action": "decline"}, timeout=10)
    assert "abgelehnt" in declined.text
    paid = requests.post(made["url"], data={"action": "pay", "method": "scheme"}, timeout=10)
    assert 'action="https://pay.example/r"' in paid.text
    assert 'name="t" value="1"' in paid.text
    with pytest.raises(NotPayableError):
        simulator.book.pay(made["id"])
    assert requests.get(f"{address}/pay/PLNOTHING", timeout=10).status_code == 404
    truth = requests.get(address + TRUTH_PATH, timeout=10).json()
    assert truth["pages"][made["id"]]["status"] == "completed"


def test_an_update_of_a_session_result_never_comes(world):
    adyen = AdyenSimulator(world)
    page = adyen.book.open_page("session", dict(WISH), "http://x")
    psp = adyen.book.pay_later(page["id"])
    result = page["result"]
    adyen.book.confirm(psp, success=True)
    assert (page["status"], page["result_status"], page["result"]) == ("completed", "paymentPending", result)


# --- deliveries -------------------------------------------------------------------------------------


@pytest.fixture
def busy(world):
    adyen = AdyenSimulator(world)
    for number in range(3):
        page = adyen.book.open_page("link", {**WISH, "reference": f"PAY{number}"}, "http://x")
        adyen.book.pay(page["id"])
    return adyen


def references(parcel):
    items = json.loads(parcel.body)["notificationItems"]
    return [one["NotificationRequestItem"]["merchantReference"] for one in items]


def test_each_notice_comes_alone_and_signed(busy):
    parcels = busy.due_deliveries()
    assert [references(one) for one in parcels] == [["PAY0"], ["PAY1"], ["PAY2"]]
    [first] = json.loads(parcels[0].body)["notificationItems"]
    item = first["NotificationRequestItem"]
    assert item["additionalData"]["hmacSignature"] == signature(item, KEY)
    assert busy.due_deliveries() == []


@pytest.mark.parametrize(
    ("habit", "value", "expected"),
    [
        ("duplicate", 1, [["PAY0"], ["PAY0"], ["PAY1"], ["PAY1"], ["PAY2"], ["PAY2"]]),
        ("reorder", True, [["PAY2"], ["PAY1"], ["PAY0"]]),
        ("batch", True, [["PAY0", "PAY1", "PAY2"]]),
    ],
)
def test_bad_habits_of_delivery(busy, habit, value, expected):
    setattr(busy.habits, habit, value)
    assert [references(one) for one in busy.due_deliveries()] == expected


def test_what_is_not_answered_with_a_2xx_comes_again_later(busy, world):
    for status, parcel in zip((200, 500, None), busy.due_deliveries(), strict=True):
        busy.answered(parcel, status)
    assert busy.due_deliveries() == []
    world.pass_time(seconds=9)
    again = busy.due_deliveries()
    assert [references(one) for one in again] == [["PAY1"], ["PAY2"]]
    for parcel in again:
        busy.answered(parcel, 202)
    assert {one["state"] for one in busy.truth()["deliveries"]} == {"delivered"}


def test_a_delivery_can_be_late_or_lost(world):
    adyen = AdyenSimulator(world)
    adyen.habits.delay_seconds = 60
    adyen.book.pay(adyen.book.open_page("link", dict(WISH), "http://x")["id"])
    adyen.habits.drop = True
    adyen.book.pay(adyen.book.open_page("link", dict(WISH), "http://x")["id"])
    assert adyen.due_deliveries() == []
    world.pass_time(seconds=60)
    assert len(adyen.due_deliveries()) == 1
