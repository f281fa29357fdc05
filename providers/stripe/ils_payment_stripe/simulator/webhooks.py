"""Signed webhook deliveries: an outbox that a test empties by hand or a sender thread posts from.

Each attempt is signed anew with the time of sending, and carries the same event id. Facts of the
signature: header ``t=<unix>,v1=<hex>``, HMAC-SHA256 over ``<t>.<body>`` with the whole secret,
``whsec_`` included, as key (read in the SDK, held against published vectors in the tests).
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ils_payment.model import RawRequest

RETRY_SECONDS = (60, 300, 1_800, 7_200, 18_000, 36_000, 43_200, 43_200, 43_200, 43_200)
"""Waits between attempts. Stripe publishes "up to three days, exponential" only; the steps are inferred."""

SUBSCRIBED = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.payment_failed",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Return the hexadecimal ``v1`` signature of *body*."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass(kw_only=True)
class WebhookSwitches:
    """The bad habits of deliveries; each stays on until it is switched off.

    ``duplicate``: extra copies of each attempt. ``reorder``: newest first. ``delay_seconds``:
    before the first attempt of each event. ``drop``: events that arise are never delivered.
    ``tamper``: a digit of the body changes after signing. ``sign_with``: these secrets instead
    of the endpoint's own (a former one; or two, as while a secret is rolled).
    ``skew_seconds``: added to the signed time. ``flip_livemode``: test events say live and
    the other way round.
    """

    duplicate: int = 0
    reorder: bool = False
    delay_seconds: float = 0
    drop: bool = False
    tamper: bool = False
    sign_with: tuple[str, ...] = ()
    skew_seconds: int = 0
    flip_livemode: bool = False


@dataclass(kw_only=True)
class Delivery:
    """One event on its way to the endpoint; ``answers`` has a status per attempt (None: no answer)."""

    event: dict[str, Any]
    due: datetime | None
    answers: list[int | None] = field(default_factory=list)
    state: str = "waiting"

    def as_truth(self) -> dict[str, Any]:
        """Return what a test compares."""
        return {
            "event": self.event["id"],
            "type": self.event["type"],
            "state": self.state,
            "due": self.due.isoformat() if self.due else None,
            "attempts": len(self.answers),
            "answers": list(self.answers),
        }


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One attempt, ready to be sent: exact body and headers. Report what came back to ``answered``."""

    event_id: str
    type: str
    body: bytes
    headers: dict[str, str]
    due: datetime

    def raw_request(self, path: str = "/webhooks/library/stripe") -> RawRequest:
        """Return the parcel as it reaches the product."""
        lower = {name.lower(): value for name, value in self.headers.items()}
        return RawRequest(method="POST", path=path, headers=lower, body=self.body)


class Outbox:
    """All deliveries of one endpoint. The caller holds the simulator's lock."""

    def __init__(self, secret: str, url: str | None, retry_seconds: tuple[float, ...]) -> None:
        """Start empty."""
        self.secret = secret
        self.url = url
        self.retry_seconds = retry_seconds
        self.subscribed: tuple[str, ...] = SUBSCRIBED
        self.switches = WebhookSwitches()
        self.deliveries: dict[str, Delivery] = {}
        self.wake = threading.Event()

    def add(self, event: dict[str, Any], now: datetime) -> None:
        """Put *event* on its way if the endpoint is subscribed to its type."""
        if event["type"] not in self.subscribed:
            return
        due = now + timedelta(seconds=self.switches.delay_seconds)
        delivery = Delivery(event=event, due=due)
        if self.switches.drop:
            delivery.state, delivery.due = "dropped", None
        self.deliveries[event["id"]] = delivery
        self.wake.set()

    def take_due(self, now: datetime) -> list[Parcel]:
        """Take every delivery that is due; one that is never reported back is never sent again."""
        due = [
            one for one in self.deliveries.values() if one.state == "waiting" and one.due and one.due <= now
        ]
        due.sort(key=lambda one: one.due or now)
        if self.switches.reorder:
            due.reverse()
        parcels = []
        for delivery in due:
            delivery.state = "sent"
            parcels += [self.parcel(delivery, now)] * (1 + self.switches.duplicate)
        return parcels

    def parcel(self, delivery: Delivery, now: datetime) -> Parcel:
        """Write and sign one attempt."""
        event = copy.deepcopy(delivery.event)
        if self.switches.flip_livemode:
            event["livemode"] = not event["livemode"]
        body = json.dumps(event, indent=2, ensure_ascii=False).encode()
        timestamp = int(now.timestamp()) + self.switches.skew_seconds
        secrets = self.switches.sign_with or (self.secret,)
        signature = ",".join(f"v1={sign(body, secret, timestamp)}" for secret in secrets)
        if self.switches.tamper:
            body = body.replace(b'"created": 1', b'"created": 2', 1)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": f"t={timestamp},{signature}",
        }
        return Parcel(
            event_id=event["id"], type=event["type"], body=body, headers=headers, due=delivery.due or now
        )

    def answered(self, event_id: str, status: int | None, now: datetime) -> None:
        """Note what the endpoint said to an attempt; anything but a 2xx is tried again later."""
        delivery = self.deliveries[event_id]
        delivery.answers.append(status)
        if delivery.state == "delivered":
            return
        if status is not None and 200 <= status < 300:
            delivery.state, delivery.due = "delivered", None
        elif len(delivery.answers) > len(self.retry_seconds):
            delivery.state, delivery.due = "given_up", None
        else:
            delivery.state = "waiting"
            delivery.due = now + timedelta(seconds=self.retry_seconds[len(delivery.answers) - 1])
            self.wake.set()
