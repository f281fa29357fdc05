"""Webhooks at the real route: authentic, forged, oversized, repeated, strange."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json

import pytest
from structlog.testing import capture_logs

from ils_payment.model import State
from ils_payment.web import webhooks
from tests.web.doors import apart, csrf_of

PATH = "/webhooks/lindental/stripe"


def event(doors, key="evt_1", **subject):
    body = {
        "id": key,
        "object": "event",
        "livemode": False,
        "type": "checkout.session.completed",
        "data": {"object": {"id": "cs_test_1", "object": "checkout.session", **subject}},
    }
    return json.dumps(body).encode()


def headers_for(doors, body, *, secret="whsec_simulator", offset=0):
    moment = int(doors.world.now().timestamp()) + offset
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={moment},v1={mac}", "content-type": "application/json"}


@pytest.fixture
def served(doors):
    with doors.browser() as client:
        yield doors, client


@pytest.fixture
def each_served(each_doors):
    with each_doors.browser() as client:
        yield each_doors, client


def counted(client, doors, outcome):
    text = metrics(client)
    line = f'ils_payment_webhook_requests_total{{library="lindental",outcome="{outcome}",provider="stripe"}}'
    return next((float(row.split()[-1]) for row in text.splitlines() if row.startswith(line)), 0)


def metrics(client):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client._transport, "client", ("127.0.0.1", 1))
        answer = client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def test_a_notice_is_stored_before_it_is_answered(each_served):
    doors, client = each_served
    body = event(doors, client_reference_id="R1")
    assert client.post(PATH, content=body, headers=headers_for(doors, body)).status_code == 200
    (row,) = doors.rows("notices")
    assert (row.library, row.provider, row.key) == ("lindental", "stripe", "evt_1")
    assert (row.session_ref, row.reference, row.handled) == ("cs_test_1", "R1", None)
    assert row.received_at == doors.world.now()
    assert counted(client, doors, "stored") == 1


def test_a_repeated_notice_changes_nothing(each_served):
    doors, client = each_served
    body = event(doors)
    for _ in range(3):
        assert client.post(PATH, content=body, headers=headers_for(doors, body)).status_code == 200
    assert len(doors.rows("notices")) == 1
    assert "ils_payment_notices_repeated 2.0" in metrics(client)


def test_the_same_key_of_another_account_is_another_notice(served):
    doors, client = served
    body = event(doors)
    for library in ("lindental", "seehausen"):
        answer = client.post(f"/webhooks/{library}/stripe", content=body, headers=headers_for(doors, body))
        assert answer.status_code == 200
    assert {row.library for row in doors.rows("notices")} == {"lindental", "seehausen"}


def test_a_payment_is_settled_because_stripe_called(served):
    """The whole way: begin, pay at the simulated Stripe, its webhook over HTTP, settle."""
    doors, client = served
    town = doors.town
    woken = []
    doors.house.wake = lambda: woken.append(True)
    payment = town.started()
    town.stripe.pay(town.session_of(payment))
    for parcel in town.stripe.due_deliveries():
        answer = client.post(PATH, content=parcel.body, headers=dict(parcel.headers))
        assert answer.status_code == 200
        town.stripe.answered(parcel, answer.status_code)
    assert woken
    town.run()
    assert town.view(payment).state is State.SETTLED


@pytest.mark.parametrize(
    "forge",
    [
        lambda *_: {},
        lambda *_: {"stripe-signature": "t=1,v1=00"},
        lambda doors, body: headers_for(doors, body, secret="whsec_other"),
        lambda doors, body: headers_for(doors, body + b" "),
        lambda doors, body: headers_for(doors, body, offset=-301),
        lambda doors, body: headers_for(doors, body, offset=301),
    ],
    ids=["unsigned", "made up", "another secret", "another body", "old", "from the future"],
)
def test_a_forged_notice_is_refused_counted_and_leaves_no_trace(served, forge):
    doors, client = served
    body = event(doors)
    with capture_logs() as logs:
        answer = client.post(PATH, content=body, headers=forge(doors, body))
    assert answer.status_code == 400
    assert doors.rows("notices") == []
    assert counted(client, doors, "forged") == 1
    (entry,) = [one for one in logs if one["event"] == "webhook_forged"]
    assert entry["provider"] == "stripe"
    assert "whsec" not in str(entry)


def test_a_flood_of_forgeries_writes_one_line_a_minute(served):
    doors, client = served
    with capture_logs() as logs:
        for _ in range(20):
            client.post(PATH, content=b"{}")
        doors.world.pass_time(seconds=61)
        client.post(PATH, content=b"{}")
    assert len([one for one in logs if one["event"] == "webhook_forged"]) == 2
    assert counted(client, doors, "forged") == 21


def test_an_oversized_notice_is_refused_by_what_it_says_and_by_what_it_is(served):
    doors, client = served
    large = event(doors, filler="x" * webhooks.MAX_BODY)
    assert client.post(PATH, content=large, headers=headers_for(doors, large)).status_code == 413
    chunks = (large[start : start + 50_000] for start in range(0, len(large), 50_000))
    assert client.post(PATH, content=chunks, headers=headers_for(doors, large)).status_code == 413
    almost = event(doors, filler="x" * (webhooks.MAX_BODY - 500))
    assert client.post(PATH, content=almost, headers=headers_for(doors, almost)).status_code == 200
    assert counted(client, doors, "too_large") == 2


def test_a_notice_about_no_payment_of_ours_is_taken_and_leads_to_nothing(served):
    doors, client = served
    body = event(doors, client_reference_id="somebody-elses", metadata={"installation": "another"})
    assert client.post(PATH, content=body, headers=headers_for(doors, body)).status_code == 200
    doors.town.run()
    assert doors.rows("payments") == []
    assert doors.rows("cases") == []
    (row,) = doors.rows("notices")
    assert row.handled == "foreign"


def test_a_kind_that_nobody_needs_is_accepted_and_not_stored(served):
    doors, client = served
    body = event(doors).replace(b"checkout.session.completed", b"customer.created")
    assert client.post(PATH, content=body, headers=headers_for(doors, body)).status_code == 200
    assert doors.rows("notices") == []
    assert counted(client, doors, "unneeded") == 1


@pytest.mark.parametrize(
    "path", ["/webhooks/lindental/paypal", "/webhooks/nowhere/stripe", "/webhooks/lindental"]
)
def test_an_address_that_is_not_configured_is_not_found(served, path):
    assert served[1].post(path, content=b"{}").status_code == 404


def test_get_is_passed_on_to_the_provider_and_other_methods_are_not(served):
    _, client = served
    assert client.get(PATH).status_code == 400, "Stripe never calls with GET: forged"
    assert client.put(PATH).status_code == 405


def test_a_plugin_that_stumbles_makes_the_provider_come_again(served, monkeypatch):
    doors, client = served

    def stumble(*_):
        raise ZeroDivisionError("canary: payer")

    monkeypatch.setattr(doors.town.desk.providers["stripe"], "notice", stumble)
    with capture_logs() as logs:
        assert client.post(PATH, content=b"{}").status_code == 503
    assert "canary" not in str(logs)
    assert counted(client, doors, "failed") == 1


def test_webhooks_work_whatever_host_name_the_provider_used(served):
    doors, client = served
    body = event(doors)
    headers = {**headers_for(doors, body), "host": "hooks.example"}
    assert client.post(PATH, content=body, headers=headers).status_code == 200


def test_a_browsers_cookies_play_no_part(served):
    doors, _ = served
    browser = doors.arrived()
    csrf_of(browser.get("/lindental/payments").text)
    assert browser.post(PATH, content=b"{}").status_code == 400


def test_a_sender_that_never_finishes_is_cut_off(doors, monkeypatch):
    monkeypatch.setattr(webhooks, "BODY_SECONDS", 0.05)

    async def never():
        await asyncio.sleep(60)

    async def gone():
        return {"type": "http.disconnect"}

    async def drip():
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def all_of_them():
        for receive in (never, gone, drip):
            with pytest.raises(TimeoutError):
                await webhooks._body({}, receive)

    apart(all_of_them())
