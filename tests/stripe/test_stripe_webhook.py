"""Stripe's webhook: who sent it, when, in which mode, and what it is about."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import stripe
from ils_payment_stripe.webhook import EVENTS, MAX_BYTES, REVERSAL_EVENTS, SESSION_EVENTS, read_request

from ils_payment.model import Forged, Notice, RawRequest

SECRET = "whsec_test_secret"
OLD_SECRET = "whsec_former"
NOW = 1_795_279_600

# Published with the SDK's own tests: body, header and secret of one signed event.
READER = (
    '{\n  "id": "evt_test_webhook",\n  "object": "event",\n'
    '  "data": { "object": { "id": "rdr_123", "object": "terminal.reader" } }\n}'
)
READER_SIGNATURE = "07b1ede164afb7b5de91267ffa656f568c65d6e0783ce0ac55ee094643578eda"
UMLAUT = (
    '{"id":"evt_ü","object":"event","type":"checkout.session.completed",'
    '"data":{"object":{"metadata":{"name":"Müller €"}}}}'
)
UMLAUT_HEADER = "t=1795279600,v1=c0aff9248cd7d9cd66c7bd2a74eb27db082692327698298fc8202f32c3bda99f"

SIGNATURE_VECTORS = [
    # name, body, header, our clock, authentic
    ("valid", READER, f"t=12345,v1={READER_SIGNATURE}", 12345, True),
    ("a second v1 that is wrong", READER, f"t=12345,v1={READER_SIGNATURE},v1=bad_signature", 12345, True),
    ("a first v1 that is wrong", READER, f"t=12345,v1=bad_signature,v1={READER_SIGNATURE}", 12345, True),
    ("the v0 scheme only", READER, f"t=12345,v0={READER_SIGNATURE}", 12345, False),
    ("no header at all", READER, "", 12345, False),
    ("a header in prose", READER, "i'm not even a real signature header", 12345, False),
    ("a wrong signature", READER, "t=12345,v1=bad_signature", 12345, False),
    ("a signature that is no ASCII", READER, "t=12345,v1=ü", 12345, False),
    ("300 s old", READER, f"t=12345,v1={READER_SIGNATURE}", 12645, True),
    ("301 s old", READER, f"t=12345,v1={READER_SIGNATURE}", 12646, False),
    ("300 s in the future", READER, f"t=12345,v1={READER_SIGNATURE}", 12045, True),
    ("301 s in the future", READER, f"t=12345,v1={READER_SIGNATURE}", 12044, False),
    ("another time than was signed", READER, f"t=12346,v1={READER_SIGNATURE}", 12345, False),
    ("two times", READER, f"t=12345,t=12346,v1={READER_SIGNATURE}", 12345, False),
    ("a time with the liberties of int()", READER, f"t=12_345,v1={READER_SIGNATURE}", 12345, False),
    ("a body beyond ASCII", UMLAUT, UMLAUT_HEADER, NOW, True),
    ("a body written anew", json.dumps(json.loads(READER)), f"t=12345,v1={READER_SIGNATURE}", 12345, False),
]


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def sign(body: bytes, secret: str = SECRET, moment: int = NOW) -> str:
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hexdigest()}"


def post(body: bytes, header: str | None = None) -> RawRequest:
    headers = {"stripe-signature": sign(body) if header is None else header}
    return RawRequest(method="POST", path="/webhooks/town/stripe", headers=headers, body=body)


def event(kind="checkout.session.completed", subject=None, **more):
    default = {"id": "cs_test_1", "object": "checkout.session", "client_reference_id": "PAY1"}
    whole = {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "livemode": False,
        "data": {"object": default if subject is None else subject},
        **more,
    }
    return json.dumps(whole).encode()


def heard(body: bytes, header: str | None = None, *, secrets=(SECRET,), now=NOW, live=False):
    return read_request(post(body, header), secrets, at(now), live=live)


@pytest.mark.parametrize(
    ("body", "header", "clock", "authentic"),
    [vector[1:] for vector in SIGNATURE_VECTORS],
    ids=[vector[0] for vector in SIGNATURE_VECTORS],
)
def test_signatures_are_judged_as_published(body, header, clock, authentic):
    outcome = heard(body.encode(), header, now=clock)
    # These events have no mode, so an authentic one stops at the mode or at being no event of ours.
    assert isinstance(outcome, Forged)
    assert ("mode" in outcome.reason or "not an event" in outcome.reason) is authentic


@pytest.mark.parametrize("vector", [one for one in SIGNATURE_VECTORS if one[4]], ids=lambda vector: vector[0])
def test_whatever_is_accepted_here_the_official_sdk_accepts_too(vector):
    _, body, header, _, _ = vector
    assert stripe.WebhookSignature.verify_header(body.encode(), header, SECRET)


def test_a_header_that_the_sdk_makes_is_accepted():
    moment = int(time.time())
    header = stripe.WebhookSignature.generate_signature_header(event().decode(), SECRET, timestamp=moment)
    assert [notice.key for notice in heard(event(), header, now=moment)] == ["evt_1"]


@pytest.mark.parametrize("signed_with", [SECRET, OLD_SECRET])
def test_either_secret_is_good_while_one_is_replaced(signed_with):
    body = event()
    outcome = heard(body, sign(body, signed_with), secrets=(SECRET, OLD_SECRET))
    assert [notice.key for notice in outcome] == ["evt_1"]
    assert isinstance(heard(body, sign(body, "whsec_stranger"), secrets=(SECRET, OLD_SECRET)), Forged)


def test_only_post_is_heard():
    body = event()
    request = RawRequest(method="GET", path="/", headers={"stripe-signature": sign(body)}, body=body)
    assert read_request(request, [SECRET], at(NOW), live=False) == Forged("method is not POST")


def test_a_body_of_256_kib_is_heard_and_one_byte_more_is_not():
    body = event()
    largest = body + b" " * (MAX_BYTES - len(body))
    assert [notice.key for notice in heard(largest)] == ["evt_1"]
    assert heard(largest + b" ") == Forged("body is too large")


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe not UTF-8",
        b"",
        b"{",
        b"[1]",
        b"null",
        b'"evt_1"',
        b"[" * 100_000,
        json.dumps({"object": "event", "type": "x", "livemode": False}).encode(),
        json.dumps({"object": "event", "id": "", "type": "x", "livemode": False}).encode(),
        json.dumps({"object": "event", "id": "e" * 256, "type": "x", "livemode": False}).encode(),
        json.dumps({"object": "event", "id": "evt_1", "type": 7, "livemode": False}).encode(),
        json.dumps({"object": "charge", "id": "ch_1", "type": "x", "livemode": False}).encode(),
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_a_signed_body_that_is_no_event_is_refused_without_an_exception(body):
    outcome = heard(body)
    assert isinstance(outcome, Forged)
    assert outcome.reason in {"body is not JSON", "body is not an event"}


@pytest.mark.parametrize("livemode", [True, None, "false", 0])
def test_an_event_of_the_other_mode_or_of_none_is_refused(livemode):
    assert heard(event(livemode=livemode)) == Forged("event is in the other mode (test or live)")


def test_a_live_key_hears_live_events_only():
    assert [notice.key for notice in heard(event(livemode=True), live=True)] == ["evt_1"]
    assert isinstance(heard(event(livemode=False), live=True), Forged)


@pytest.mark.parametrize("kind", SESSION_EVENTS)
def test_an_event_about_a_session_leads_to_session_and_payment(kind):
    assert heard(event(kind)) == [
        Notice(key="evt_1", kind=kind, session_ref="cs_test_1", reference="PAY1"),
    ]


def test_a_session_without_a_reference_of_its_own_is_found_by_its_metadata():
    subject = {"id": "cs_test_1", "client_reference_id": None, "metadata": {"payment": "PAY2"}}
    assert heard(event(subject=subject))[0].reference == "PAY2"


@pytest.mark.parametrize("kind", REVERSAL_EVENTS)
def test_an_event_about_money_that_left_again_carries_what_there_is(kind):
    named = heard(event(kind, {"id": "ch_1", "metadata": {"payment": "PAY1"}}))
    assert named == [Notice(key="evt_1", kind=kind, session_ref=None, reference="PAY1")]
    nameless = heard(event(kind, {"id": "du_1", "metadata": {}}))
    assert nameless == [Notice(key="evt_1", kind=kind)]


@pytest.mark.parametrize("kind", REVERSAL_EVENTS)
@pytest.mark.parametrize("metadata", [{}, None, {"payment": ""}, {"payment": 7}, {"order": "T-Shirt"}])
def test_where_nothing_of_ours_is_carried_the_moneys_id_leads_to_the_payment(kind, metadata):
    (notice,) = heard(event(kind, {"id": "du_1", "payment_intent": "pi_1", "metadata": metadata}))
    assert (notice.session_ref, notice.reference) == ("pi_1", None)


@pytest.mark.parametrize("kind", REVERSAL_EVENTS)
def test_our_reference_goes_before_the_moneys_id(kind):
    subject = {"id": "ch_1", "payment_intent": "pi_1", "metadata": {"payment": "PAY1"}}
    assert heard(event(kind, subject)) == [Notice(key="evt_1", kind=kind, reference="PAY1")]


@pytest.mark.parametrize("strange", [7, {"id": "pi_1"}, "", "x" * 256, None])
def test_a_money_id_that_is_none_is_left_out_and_the_notice_stays(strange):
    (notice,) = heard(event("charge.dispute.created", {"id": "du_1", "payment_intent": strange}))
    assert (notice.session_ref, notice.reference) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        event("customer.created"),
        event("payment_intent.succeeded", {"id": "pi_1"}),
        event(data={}),
        event(data=None),
        event(data={"object": "cs_1"}),
        json.dumps(
            {"id": "evt_1", "object": "v2.core.event", "type": "v1.checkout.session.completed"}
        ).encode(),
    ],
)
def test_authentic_events_that_are_not_needed_are_no_notices(body):
    assert heard(body) == []


@pytest.mark.parametrize("strange", [7, None, {"a": 1}, "", "x" * 256])
def test_ids_that_are_none_are_left_out(strange):
    subject = {"id": strange, "client_reference_id": strange, "metadata": {"payment": strange}}
    assert heard(event(subject=subject)) == [Notice(key="evt_1", kind="checkout.session.completed")]


def test_no_reason_repeats_the_secret_or_the_body():
    body = event(subject={"id": "cs_1", "customer_details": {"name": "Erika Musterfrau"}})
    for header in ("", "t=1", sign(body, "whsec_stranger"), sign(body, moment=NOW - 999)):
        outcome = heard(body, header)
        assert isinstance(outcome, Forged)
        assert "whsec" not in outcome.reason
        assert "Erika" not in outcome.reason


def test_every_event_type_that_is_heard_is_one_of_the_sdks():
    sdk = Path(stripe.__file__).parent / "params" / "_webhook_endpoint_create_params.py"
    text = sdk.read_text(encoding="utf-8")
    assert [kind for kind in EVENTS if f'"{kind}"' not in text] == []
