"""The simulated Stripe's webhooks: signatures that the real SDK verifies, and deliveries with bad habits."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
import stripe
from ils_payment_stripe.simulator import StripeSimulator
from ils_payment_stripe.simulator.webhooks import sign

from ils_payment.model import Reply
from ils_payment.testing.simulator import serve

SECRET = "whsec_simulator"


def verified(parcel, secret=SECRET):
    """Verify as the SDK does, without its clock, and return the event."""
    stripe.WebhookSignature.verify_header(parcel.body, parcel.headers["Stripe-Signature"], secret, None)
    return json.loads(parcel.body)


def types(parcels):
    return [parcel.type for parcel in parcels]


@pytest.fixture
def paid(sessions, simulator, wish):
    """Return the id of a session that has just been paid; its webhook waits."""
    session_id = sessions.create(wish()).id
    simulator.pay(session_id)
    return session_id


# --- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "timestamp", "signature"),
    [
        (
            (
                b'{\n  "id": "evt_test_webhook",\n  "object": "event",\n'
                b'  "data": { "object": { "id": "rdr_123", "object": "terminal.reader" } }\n}'
            ),
            12345,
            "07b1ede164afb7b5de91267ffa656f568c65d6e0783ce0ac55ee094643578eda",
        ),
        (
            '{"id":"evt_ü","object":"event","type":"checkout.session.completed",'
            '"data":{"object":{"metadata":{"name":"Müller €"}}}}'.encode(),
            1795279600,
            "c0aff9248cd7d9cd66c7bd2a74eb27db082692327698298fc8202f32c3bda99f",
        ),
    ],
)
def test_published_bodies_get_the_published_signatures(body, timestamp, signature):
    assert sign(body, "whsec_test_secret", timestamp) == signature


def test_every_recorded_vector_that_holds_is_signed_alike():
    folder = os.environ.get("ILS_PAYMENT_SHARED_DATA")
    if not folder:
        pytest.skip("ILS_PAYMENT_SHARED_DATA does not name the folder of recordings")
    path = Path(folder) / "stripe-webhook-signature-vectors.json"
    vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    for vector in (one for one in vectors if one["header"].startswith("t=")):
        timestamp = int(vector["header"].partition(",")[0].removeprefix("t="))
        ours = f"v1={sign(vector['payload'].encode(), vector['secret'], timestamp)}"
        stale = "tolerance zone" in vector.get("error", "")
        assert (ours in vector["header"].split(",")) == (vector["ok"] or stale), vector["name"]


def test_the_sdk_accepts_an_event_and_finds_everything_in_it(simulator, paid, clock):
    (parcel,) = simulator.due_deliveries()
    timestamp = int(clock.now().timestamp())
    assert parcel.headers["Stripe-Signature"].startswith(f"t={timestamp},v1=")
    event = verified(parcel)
    assert event["id"].startswith("evt_")
    assert (event["object"], event["type"]) == ("event", "checkout.session.completed")
    assert (event["api_version"], event["livemode"]) == ("2026-10-28.endive", False)
    assert event["created"] == timestamp
    assert event["request"] == {"id": None, "idempotency_key": None}
    session = event["data"]["object"]
    assert (session["id"], session["payment_status"], session["client_reference_id"]) == (
        paid,
        "paid",
        "pay_1",
    )
    raw = parcel.raw_request("/webhooks/herrenberg/stripe")
    assert (raw.method, raw.headers["stripe-signature"]) == ("POST", parcel.headers["Stripe-Signature"])


def test_an_event_shows_the_object_as_it_was_then(sessions, simulator, wish):
    session_id = sessions.create(wish()).id
    simulator.pay_pending(session_id)
    simulator.succeed_pending(session_id)
    completed, succeeded = simulator.due_deliveries()
    assert verified(completed)["data"]["object"]["payment_status"] == "unpaid"
    assert verified(succeeded)["data"]["object"]["payment_status"] == "paid"


def test_an_event_that_a_request_caused_names_it(sessions, simulator, wish):
    session_id = sessions.create(wish()).id
    answer = sessions.expire(session_id, {}, {"idempotency_key": "close-1"})
    (parcel,) = simulator.due_deliveries()
    cause = {"id": answer.last_response.request_id, "idempotency_key": "close-1"}
    assert (parcel.type, verified(parcel)["request"]) == ("checkout.session.expired", cause)


def test_each_step_sends_its_events(sessions, simulator, wish):
    failed, refunded = sessions.create(wish()).id, sessions.create(wish()).id
    simulator.decline(failed)
    simulator.pay_pending(failed)
    simulator.fail_pending(failed)
    simulator.pay(refunded, "pay_by_bank")
    simulator.finish_refund(simulator.refund_in_dashboard(refunded, 100), success=False)
    simulator.close_dispute(simulator.dispute(refunded), won=True)
    assert types(simulator.due_deliveries()) == [
        "payment_intent.payment_failed",
        "checkout.session.completed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
        "checkout.session.completed",
        "refund.created",
        "charge.refunded",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]


# --- deliveries ----------------------------------------------------------------------------------


def test_an_event_comes_again_with_the_same_id_until_it_is_taken(simulator, paid, clock):
    ids, headers = set(), set()
    for status, wait in ((500, 60), (None, 300), (302, 1800)):
        (parcel,) = simulator.due_deliveries()
        ids.add(verified(parcel)["id"])
        headers.add(parcel.headers["Stripe-Signature"])
        simulator.answered(parcel, status)
        clock.instant += timedelta(seconds=wait - 1)
        assert simulator.due_deliveries() == []
        clock.instant += timedelta(seconds=1)
    (parcel,) = simulator.due_deliveries()
    simulator.answered(parcel, 200)
    clock.instant += timedelta(days=5)
    assert simulator.due_deliveries() == []
    assert ids == {parcel.event_id}
    assert len(headers) == 3
    (delivery,) = simulator.truth()["deliveries"]
    assert (delivery["state"], delivery["answers"]) == ("delivered", [500, None, 302, 200])


def test_deliveries_are_given_up_within_three_days(simulator, paid, clock):
    started = clock.now()
    while parcels := simulator.due_deliveries():
        simulator.answered(parcels[0], 503)
        due = simulator.truth()["deliveries"][0]["due"]
        if due:
            clock.instant = type(started).fromisoformat(due)
    assert simulator.truth()["deliveries"][0]["state"] == "given_up"
    assert timedelta(days=2) < clock.now() - started <= timedelta(days=3)


def test_undelivered_events_can_be_listed(url, client, simulator, paid):
    events = client(url).v1.events
    assert types(events.list({"delivery_success": False}).data) == ["checkout.session.completed"]
    (parcel,) = simulator.due_deliveries()
    simulator.answered(parcel, 200)
    assert events.list({"delivery_success": False}).data == []
    assert types(events.list({"type": "checkout.*"}).data) == ["checkout.session.completed"]
    assert events.retrieve(parcel.event_id).data.object.id == paid


def test_duplicates_carry_the_same_event(simulator, paid):
    simulator.webhooks.duplicate = 2
    parcels = simulator.due_deliveries()
    assert [parcel.event_id for parcel in parcels] == [parcels[0].event_id] * 3


def test_reordered_events_come_newest_first(sessions, simulator, wish):
    simulator.webhooks.reorder = True
    session_id = sessions.create(wish()).id
    simulator.pay_pending(session_id)
    simulator.succeed_pending(session_id)
    assert types(simulator.due_deliveries()) == [
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
    ]


def test_delayed_events_come_late_and_dropped_ones_never(sessions, simulator, wish, clock):
    simulator.webhooks.delay_seconds = 30
    simulator.pay(sessions.create(wish()).id)
    simulator.webhooks.drop = True
    simulator.pay(sessions.create(wish()).id)
    assert simulator.due_deliveries() == []
    clock.instant += timedelta(seconds=30)
    assert len(simulator.due_deliveries()) == 1
    assert [one["state"] for one in simulator.truth()["deliveries"]] == ["sent", "dropped"]


def test_a_tampered_body_does_not_verify_and_differs_in_one_digit(simulator, paid):
    simulator.webhooks.tamper = True
    (parcel,) = simulator.due_deliveries()
    with pytest.raises(stripe.SignatureVerificationError):
        verified(parcel)
    assert json.loads(parcel.body)["data"]["object"]["id"] == paid


def test_a_rolled_secret_signs_twice_and_a_former_one_alone_does_not_verify(simulator, paid):
    simulator.webhooks.sign_with = ("whsec_former", SECRET)
    simulator.webhooks.duplicate = 1
    both, _ = simulator.due_deliveries()
    assert both.headers["Stripe-Signature"].count("v1=") == 2
    assert verified(both) == verified(both, "whsec_former")
    simulator.webhooks.sign_with = ("whsec_former",)
    simulator.answered(both, 400)
    simulator.book.world.instant += timedelta(seconds=60)
    former = simulator.due_deliveries()[0]
    with pytest.raises(stripe.SignatureVerificationError):
        verified(former)


def test_time_and_mode_can_be_wrong_under_a_good_signature(simulator, paid, clock):
    simulator.webhooks.skew_seconds = -400
    simulator.webhooks.flip_livemode = True
    (parcel,) = simulator.due_deliveries()
    assert verified(parcel)["livemode"] is True
    assert simulator.book.events[parcel.event_id]["livemode"] is False
    assert parcel.headers["Stripe-Signature"].startswith(f"t={int(clock.now().timestamp()) - 400},")


# --- the sender thread ---------------------------------------------------------------------------


class Endpoint:
    """A receiver that fails a few times first, as a program does that is being restarted."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.received = []
        self.taken = threading.Event()

    def handle(self, request):
        self.received.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.set()
        return Reply(status=status)

    def truth(self):
        return {}


def test_the_sender_posts_and_repeats_until_the_endpoint_takes_it(client, wish):
    endpoint = Endpoint(503, 0)
    simulator = StripeSimulator(retry_seconds=(0.01, 0.01, 0.01))
    with pytest.raises(ValueError, match="webhook_url"):
        simulator.start_sender()
    with serve(endpoint) as address, serve(simulator) as url:
        simulator.webhook_url = f"{address}/webhooks/herrenberg/stripe"
        simulator.start_sender()
        try:
            simulator.pay(client(url).v1.checkout.sessions.create(wish()).id)
            assert endpoint.taken.wait(15)
            deadline = time.monotonic() + 15
            while simulator.truth()["deliveries"][0]["state"] != "delivered":
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            simulator.stop_sender()
    first, *_, last = endpoint.received
    assert last.path == "/webhooks/herrenberg/stripe"
    event = stripe.Webhook.construct_event(last.body, last.headers["stripe-signature"], SECRET)
    assert (event.type, last.body) == ("checkout.session.completed", first.body)
    assert simulator.truth()["deliveries"][0]["answers"] == [503, None, 200]
