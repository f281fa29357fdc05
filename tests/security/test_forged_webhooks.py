"""Webhooks from strangers: what they may cost, and that they change nothing but a counter."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from ils_payment.model import State
from ils_payment.web import forgers, webhooks

PATH = "/webhooks/lindental/stripe"
STRIPE = {"x-forwarded-for": "198.51.100.20"}
FORGER = {"x-forwarded-for": "203.0.113.66"}


@pytest.fixture
def served(doors):
    """The application behind a web server on this host, which says who is calling."""
    with doors.browser("127.0.0.1") as client:
        yield doors, client


def notice(doors, **changes):
    subject = {"id": "cs_test_1", "object": "checkout.session", **changes.pop("subject", {})}
    event = {
        "id": "evt_1",
        "object": "event",
        "livemode": False,
        "type": "checkout.session.completed",
        "data": {"object": subject},
        **changes,
    }
    body = json.dumps(event).encode()
    moment = int(doors.world.now().timestamp())
    mac = hmac.new(b"whsec_simulator", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"stripe-signature": f"t={moment},v1={mac}", "content-type": "application/json"}


def post(client, body, headers, source):
    return client.post(PATH, content=body, headers={**headers, **source})


def test_after_too_many_forgeries_their_sender_is_not_even_read_and_the_provider_is(served, monkeypatch):
    doors, client = served
    read = []
    real = webhooks._body

    async def reading(headers, receive):
        read.append(headers)
        return await real(headers, receive)

    monkeypatch.setattr(webhooks, "_body", reading)
    statuses = [post(client, b"{}", {}, FORGER).status_code for _ in range(forgers.MOST + 5)]
    assert statuses == [400] * forgers.MOST + [429] * 5
    assert len(read) == forgers.MOST
    body, headers = notice(doors)
    assert post(client, body, headers, FORGER).status_code == 429
    assert post(client, body, headers, STRIPE).status_code == 200
    doors.world.pass_time(seconds=forgers.MINUTE)
    assert post(client, b"{}", {}, FORGER).status_code == 400


def test_another_customer_of_the_provider_cannot_shut_its_address(served):
    doors, client = served
    body, headers = notice(doors)
    assert post(client, body, headers, STRIPE).status_code == 200
    for _ in range(forgers.MOST + 5):
        assert post(client, b"{}", {}, STRIPE).status_code == 400
    assert post(client, body, headers, STRIPE).status_code == 200
    doors.world.pass_time(seconds=forgers.TRUSTED)
    statuses = [post(client, b"{}", {}, STRIPE).status_code for _ in range(forgers.MOST + 1)]
    assert statuses == [400] * forgers.MOST + [429], "who has sent nothing signed for a day is nobody known"


def test_a_forger_cannot_make_somebody_else_the_forger(served):
    """What a client writes before the web server's own word is not believed."""
    doors, client = served
    lie = {"x-forwarded-for": "198.51.100.20, 203.0.113.66"}
    for _ in range(forgers.MOST + 1):
        post(client, b"{}", {}, lie)
    body, headers = notice(doors)
    assert post(client, body, headers, STRIPE).status_code == 200


def test_where_the_web_server_does_not_say_who_calls_nobody_is_refused(served):
    doors, client = served
    assert {post(client, b"{}", {}, {}).status_code for _ in range(forgers.MOST + 5)} == {400}
    body, headers = notice(doors)
    assert post(client, body, headers, {}).status_code == 200


def test_the_memory_for_forgers_is_bounded(served, monkeypatch):
    doors, client = served
    monkeypatch.setattr(forgers, "MOST_SOURCES", 3)
    monkeypatch.setattr(forgers, "MOST", 1)
    for number in range(6):
        post(client, b"{}", {}, {"x-forwarded-for": f"203.0.113.{number}"})
    answers = [
        post(client, b"{}", {}, {"x-forwarded-for": f"203.0.113.{number}"}).status_code for number in range(6)
    ]
    assert answers == [429] * 3 + [400] * 3
    assert doors.rows("notices") == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/html", ""])
def test_a_notice_of_another_content_type_is_refused_although_it_is_signed(served, kind):
    doors, client = served
    body, headers = notice(doors)
    assert post(client, body, {**headers, "content-type": kind}, STRIPE).status_code == 400
    assert doors.rows("notices") == []
    assert post(
        client, body, {**headers, "content-type": "Application/JSON; charset=utf-8"}, STRIPE
    ).is_success


def test_nothing_is_parsed_before_the_signature_is_verified(served, monkeypatch):
    doors, client = served
    parsed = []
    monkeypatch.setattr(json, "loads", lambda *args, **_: parsed.append(args))
    body = b'{"id": "evt_1"}'
    assert post(client, body, {"stripe-signature": "t=1,v1=00"}, STRIPE).status_code == 400
    assert parsed == []
    assert doors.rows("notices") == []


def test_an_authentic_notice_of_a_wrong_amount_moves_no_money(served):
    """A notice is a reason to read. What it says of state and amount is never taken over."""
    doors, client = served
    town = doors.town
    payment = town.started()
    paid = {"payment_status": "paid", "status": "complete", "amount_total": 1}
    subject = {"id": town.session_of(payment), "client_reference_id": payment, **paid}
    body, headers = notice(doors, subject=subject)
    assert post(client, body, headers, STRIPE).status_code == 200
    town.run()
    assert town.view(payment).state is State.OPEN
    assert town.credits() == []
    assert doors.rows("postings") == []


def test_a_replayed_notice_is_stored_once_and_settles_once(served):
    doors, client = served
    town = doors.town
    payment = town.started()
    town.stripe.pay(town.session_of(payment))
    subject = {"id": town.session_of(payment), "client_reference_id": payment}
    body, headers = notice(doors, subject=subject)
    for _ in range(5):
        assert post(client, body, headers, STRIPE).status_code == 200
        town.run()
    assert len(doors.rows("notices")) == 1
    assert len(town.credits()) == 1


def test_a_strangers_noise_changes_nothing_but_a_counter(served):
    doors, client = served
    payment = doors.town.started()
    before = doors.everything_stored()
    forged, _ = notice(doors, subject={"client_reference_id": payment})
    for body in (forged, b"", b"\x00" * 1000, b"[" * 5000, b"\xff"):
        for headers in (
            {},
            {"stripe-signature": "t=1,v1=00"},
            {"stripe-signature": "\u00fc".encode("latin-1")},
        ):
            assert post(client, body, headers, FORGER).status_code == 400
    assert doors.everything_stored() == before
