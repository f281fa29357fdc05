"""Adyen's webhook: whose it is, that every item is signed, and what it proves."""

from __future__ import annotations

import base64
import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ils_payment_adyen import webhook
from ils_payment_adyen.simulator.outbox import signature
from ils_payment_adyen.webhook import EVENTS, MAX_BYTES, MAX_ITEMS, read_request

from ils_payment.model import Forged, NoticeOutcome, PayState, RawRequest, ReversalState
from tests.adyen.conftest import config

KEY = "AB" * 32
OTHER = "CD" * 32

# Published with Adyen's own libraries: key, item and signature.
PUBLISHED_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
PUBLISHED: dict[str, Any] = {
    "pspReference": "7914073381342284",
    "merchantReference": "TestPayment-1407325143704",
    "merchantAccountCode": "TestMerchant",
    "amount": {"currency": "EUR", "value": 1130},
    "eventCode": "AUTHORISATION",
    "success": "true",
    "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
}


def item(code: str = "AUTHORISATION", **changes: Any) -> dict[str, Any]:
    whole = {
        "amount": {"currency": "EUR", "value": 1250},
        "eventCode": code,
        "eventDate": "2026-11-21T22:00:00+01:00",
        "merchantAccountCode": "LibraryECOM",
        "merchantReference": "PAY1",
        "paymentMethod": "visa",
        "pspReference": "QFQTPCQ8HXSKGK82",
        "reason": "",
        "success": "true",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def signed(one: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    return {**one, "additionalData": {"hmacSignature": signature(one, key)}}


def post(*items: Any, live: Any = "false", headers: dict[str, str] | None = None) -> RawRequest:
    listed = [{"NotificationRequestItem": one} for one in items]
    body = json.dumps({"live": live, "notificationItems": listed}).encode()
    return RawRequest(method="POST", path="/webhooks/town/adyen", headers=headers or {}, body=body)


def heard(*items: Any, keys: tuple[str, ...] = (KEY,), **options: Any) -> Any:
    return read_request(post(*items), keys, **options)


def recorded() -> dict[str, Any]:
    folder = os.environ.get("ILS_PAYMENT_SHARED_DATA")
    if folder is None:
        pytest.skip("ILS_PAYMENT_SHARED_DATA does not name the folder of recordings")
    found: dict[str, Any] = json.loads((Path(folder) / "adyen-webhook-hmac-vectors.json").read_text())
    return found


# --- signatures --------------------------------------------------------------------------------


def test_the_published_signature_is_accepted_and_every_changed_signed_field_is_not():
    [notice] = heard(PUBLISHED, keys=(PUBLISHED_KEY,))
    assert notice.reference == "TestPayment-1407325143704"
    changed: list[dict[str, Any]] = [
        {"amount": {"currency": "EUR", "value": 1131}},
        {"amount": {"currency": "USD", "value": 1130}},
        {"success": "false"},
        {"merchantReference": "x"},
        {"merchantAccountCode": "x"},
        {"pspReference": "7914073381342285"},
        {"originalReference": "x"},
        {"eventCode": "CAPTURE"},
    ]
    for change in changed:
        assert isinstance(heard({**PUBLISHED, **change}, keys=(PUBLISHED_KEY,)), Forged), change


def test_all_recorded_vectors_are_judged_as_published():
    data = recorded()
    positive = {one["name"]: one for one in data["positive"]}
    assert len(positive) >= 5
    for vector in positive.values():
        assert webhook.signing_string(vector["item"]) == vector["signing_string"]
        key = bytes.fromhex(vector["hmac_key_hex"])
        assert webhook.sign(vector["item"], key) == vector["expected_signature"]
        assert not isinstance(heard(vector["item"], keys=(vector["hmac_key_hex"],)), Forged), vector["name"]
    for case in data["negative"]:
        base = positive[case["base"]]
        changed = copy.deepcopy(base["item"])
        for path, value in case["change"].items():
            *outer, last = path.split(".")
            place = changed
            for name in outer:
                place = place[name]
            place[last] = value
        forged = isinstance(heard(changed, keys=(base["hmac_key_hex"],)), Forged)
        assert forged is not case.get("still_valid", False), case["name"]


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_either_key_is_good_while_one_is_replaced(key):
    assert len(heard(signed(item(), key), keys=(KEY, OTHER))) == 1
    assert isinstance(heard(signed(item(), "EF" * 32), keys=(KEY, OTHER)), Forged)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_item_that_is_not_authentic_makes_the_whole_request_forged(place):
    items = [signed(item(pspReference=f"PSP{number}")) for number in range(3)]
    items[place]["amount"] = {"currency": "EUR", "value": 999_999}
    assert isinstance(heard(*items), Forged)


def test_the_signature_of_another_item_is_no_good():
    good, other = signed(item()), item(pspReference="PSP2")
    assert isinstance(heard(good, {**other, "additionalData": good["additionalData"]}), Forged)


@pytest.mark.parametrize(
    "more",
    [
        None,
        {},
        {"hmacSignature": None},
        {"hmacSignature": ""},
        {"hmacSignature": 7},
        {"hmacSignature": "ü"},
        "x",
    ],
)
def test_an_item_without_a_signature_is_never_believed(more):
    assert isinstance(heard({**item(), "additionalData": more}), Forged)
    assert isinstance(
        heard({name: value for name, value in item().items() if name != "additionalData"}), Forged
    )


def test_what_is_not_signed_may_change_and_decides_nothing():
    one = signed(item())
    one |= {"eventDate": "2030-01-01T00:00:00Z", "paymentMethod": "mc", "reason": "x"}
    one["additionalData"]["checkoutSessionId"] = "CSFOREIGN"
    [notice] = heard(one)
    assert (notice.session_ref, notice.reference) == ("QFQTPCQ8HXSKGK82", "PAY1")


def test_a_reference_with_colons_is_read_as_it_was_signed_and_never_moves_other_fields():
    # Whoever may choose a reference in another shop of the account cannot spell a payment of ours with it.
    cheap = signed(
        item(amount={"currency": "EUR", "value": 1}, merchantReference="PAY1:1250:EUR:AUTHORISATION:true")
    )
    moved = {
        **cheap,
        "merchantReference": "PAY1",
        "amount": {"value": 1250, "currency": "EUR:AUTHORISATION:true:1:EUR"},
    }
    assert webhook.signing_string(moved) == webhook.signing_string(cheap)
    assert heard(moved) == []
    [true] = heard(cheap)
    assert true.reference == "PAY1:1250:EUR:AUTHORISATION:true"


# --- the request -------------------------------------------------------------------------------


def test_basic_auth_is_asked_for_besides_the_signature_where_it_is_configured():
    good = "Basic " + base64.b64encode(b"team:pass:word").decode()
    for given, accepted in [
        (good, True),
        ("", False),
        (good[:-2], False),
        ("Basic ü", False),
        ("Bearer x", False),
    ]:
        request = post(signed(item()), headers={"authorization": given})
        outcome = read_request(request, (KEY,), user="team", password="pass:word")
        assert isinstance(outcome, Forged) is not accepted
    unsigned = post(item(), headers={"authorization": good})
    assert isinstance(read_request(unsigned, (KEY,), user="team", password="pass:word"), Forged)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"live":"false"}',
        b'{"notificationItems":{}}',
        b'{"notificationItems":[]}',
        b'{"notificationItems":[7]}',
        b'{"notificationItems":[{}]}',
        b'{"notificationItems":[{"NotificationRequestItem":[]}]}',
        json.dumps({"notificationItems": [{"NotificationRequestItem": item()}] * (MAX_ITEMS + 1)}).encode(),
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_a_body_that_is_no_notification_is_refused_without_an_exception(body):
    request = RawRequest(method="POST", path="/", headers={}, body=body)
    assert isinstance(read_request(request, (KEY,)), Forged)


def test_only_post_of_json_within_the_size_is_heard():
    good = post(signed(item()))
    assert not isinstance(read_request(good, (KEY,)), Forged)
    for change in (
        {"method": "GET"},
        {"headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"body": good.body + b" " * (MAX_BYTES - len(good.body) + 1)},
    ):
        fields = {"method": "POST", "path": "/", "headers": {}, "body": good.body, **change}
        assert isinstance(read_request(RawRequest(**fields), (KEY,)), Forged)  # type: ignore[arg-type]  # as changed


@pytest.mark.parametrize(
    "change",
    [
        {"eventCode": "REPORT_AVAILABLE", "pspReference": "settlement_detail_report_2026:11.csv"},
        {"eventCode": "SOMETHING_NEW"},
        {"amount": {"currency": "eur", "value": 1250}},
        {"amount": {"currency": "EUR", "value": -1}},
        {"pspReference": ""},
        {"pspReference": "A:B"},
        {"originalReference": "A:B"},
        {"merchantAccountCode": ""},
        {"merchantAccountCode": "A:B"},
    ],
    ids=str,
)
def test_an_authentic_notice_that_is_of_no_use_is_answered_and_forgotten(change, provider):
    outcome = heard(signed(item(**change)))
    assert outcome == []
    assert provider().reply(NoticeOutcome.STORED).status == 200


def test_a_forged_notice_is_refused_and_a_busy_program_asks_for_it_again(provider):
    assert provider().reply(NoticeOutcome.FORGED).status == 401
    assert provider().reply(NoticeOutcome.BUSY).status == 503


# --- what they prove: the table ----------------------------------------------------------------

PAID = (PayState.PAID, 1250, None)
NOTHING = None


def gone(kind: str, state: ReversalState):
    return (PayState.OPEN, 0, (kind, state))


DONE, FAILED = ReversalState.DONE, ReversalState.FAILED
TABLE = [
    ("AUTHORISATION", "true", PAID),
    # The payer may try again, so a refused try is the end of nothing.
    ("AUTHORISATION", "false", NOTHING),
    ("CAPTURE", "true", PAID),
    ("CAPTURE", "false", gone("chargeback", DONE)),
    ("CAPTURE_FAILED", "true", gone("chargeback", DONE)),
    ("CAPTURE_FAILED", "false", NOTHING),
    ("CANCELLATION", "true", gone("refund", DONE)),
    ("CANCELLATION", "false", NOTHING),
    ("TECHNICAL_CANCEL", "true", gone("refund", DONE)),
    ("TECHNICAL_CANCEL", "false", NOTHING),
    ("CANCEL_OR_REFUND", "true", gone("refund", DONE)),
    ("CANCEL_OR_REFUND", "false", NOTHING),
    ("REFUND", "true", gone("refund", DONE)),
    ("REFUND", "false", gone("refund", FAILED)),
    ("REFUND_FAILED", "true", gone("refund", FAILED)),
    ("REFUND_FAILED", "false", NOTHING),
    ("REFUNDED_REVERSED", "true", gone("refund", FAILED)),
    ("REFUNDED_REVERSED", "false", NOTHING),
    # A bank asks; no money has moved yet.
    ("NOTIFICATION_OF_CHARGEBACK", "true", NOTHING),
    ("NOTIFICATION_OF_CHARGEBACK", "false", NOTHING),
    ("CHARGEBACK", "true", gone("chargeback", DONE)),
    ("CHARGEBACK", "false", NOTHING),
    ("CHARGEBACK_REVERSED", "true", gone("chargeback", FAILED)),
    ("CHARGEBACK_REVERSED", "false", NOTHING),
    ("SECOND_CHARGEBACK", "true", gone("chargeback", DONE)),
    ("SECOND_CHARGEBACK", "false", NOTHING),
    ("EXPIRE", "true", gone("refund", DONE)),
    ("EXPIRE", "false", NOTHING),
    ("OFFER_CLOSED", "true", (PayState.VOID, 0, None)),
    ("OFFER_CLOSED", "false", NOTHING),
]


@pytest.mark.parametrize(("code", "success", "expected"), TABLE, ids=lambda value: str(value)[:30])
def test_each_event_proves_just_what_the_table_says(code, success, expected):
    [notice] = heard(signed(item(code, success=success, originalReference="MONEY1")), closes=True)
    assert notice.key == f"{code}:QFQTPCQ8HXSKGK82:{success}"
    assert (notice.session_ref, notice.reference) == ("MONEY1", "PAY1")
    if expected is None:
        assert notice.observation is None
        return
    seen = notice.observation
    assert seen is not None
    state, captured, reversal = expected
    assert (seen.state, seen.captured, seen.currency, seen.account) == (state, captured, "EUR", "LibraryECOM")
    assert [(one.kind, one.state, one.cents, one.key) for one in seen.reversals] == (
        [(*reversal, 1250, "PAY1")] if reversal else []
    )


def test_the_table_has_every_event_with_both_outcomes():
    assert {(code, success) for code, success, _ in TABLE} == {
        (code, success) for code in EVENTS for success in ("true", "false")
    }


def test_a_closed_offer_ends_nothing_where_the_page_can_be_read():
    [notice] = heard(signed(item("OFFER_CLOSED")), closes=False)
    assert notice.observation is None


def test_the_money_is_told_apart_from_its_capture():
    [authorised] = heard(signed(item()))
    [captured] = heard(signed(item("CAPTURE", pspReference="CAPTURE1", originalReference="QFQTPCQ8HXSKGK82")))
    assert authorised.observation.money_ref == captured.observation.money_ref == "QFQTPCQ8HXSKGK82"


def test_a_second_chargeback_is_a_reversal_of_its_own():
    refs = [
        heard(signed(item(code, pspReference="DISPUTE1")))[0].observation.reversals[0].ref
        for code in ("CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK")
    ]
    assert refs == ["DISPUTE1", "DISPUTE1", "DISPUTE1:second_chargeback"]


@pytest.mark.parametrize(
    ("live", "expected"), [("true", True), (True, True), ("false", False), (None, False), ([], False)]
)
def test_the_mode_that_is_told_is_handed_to_the_comparison(live, expected):
    outcome: Any = read_request(post(signed(item()), live=live), (KEY,))
    [notice] = outcome
    assert notice.observation.live is expected


def test_the_provider_hears_with_its_own_keys(provider):
    house = provider(hmac_keys=config().hmac_keys)
    assert isinstance(house.notice(post(signed(item())), None), Forged)
