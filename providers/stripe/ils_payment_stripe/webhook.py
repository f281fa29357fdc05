"""Stripe's webhook: is it authentic, and which payments does it concern? No I/O, no clock of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ils_payment.model import Forged, Notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ils_payment.model import RawRequest

JSON = "application/json"
MAX_BYTES = 256 * 1024
TOLERANCE_SECONDS = 300
_MAX_SIGNATURES = 16

SESSION_EVENTS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)
REVERSAL_EVENTS = (
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
EVENTS = SESSION_EVENTS + REVERSAL_EVENTS
"""The event types that the webhook endpoint is to be subscribed to."""


def read_request(
    request: RawRequest, secrets: Sequence[str], now: datetime, *, live: bool
) -> Sequence[Notice] | Forged:
    """Verify *request* and translate it; *live* is the mode of the configured key."""
    forged = _verify(request, secrets, now)
    return forged or _translate(request.body, live=live)


def _verify(request: RawRequest, secrets: Sequence[str], now: datetime) -> Forged | None:
    """Return None for an authentic request.

    The signature is HMAC-SHA256 over ``<t>.<raw body>`` with the secret as UTF-8 text, ``whsec_``
    included; any of several ``v1`` may match any of our secrets (both sides rotate). The SDK's
    own check accepts timestamps from the future and raises on a body that is not UTF-8.
    """
    if request.method != "POST":
        return Forged("method is not POST")
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON:
        return Forged("content type is not application/json")
    if len(request.body) > MAX_BYTES:
        return Forged("body is too large")
    header = request.headers.get("stripe-signature", "")
    pairs = [(name, value) for name, _, value in (item.partition("=") for item in header.split(","))]
    times = [value for name, value in pairs if name == "t"]
    signatures = [value.encode() for name, value in pairs if name == "v1"]
    if len(times) != 1 or not _is_number(times[0]) or not 1 <= len(signatures) <= _MAX_SIGNATURES:
        return Forged("signature header is missing or malformed")
    signed = times[0].encode() + b"." + request.body
    expected = [_sign(signed, secret) for secret in secrets]
    # Every pair is compared, so that the time taken does not tell which secret is the right one.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures]
    if not any(matches):
        return Forged("signature does not match any configured secret")
    if abs(int(now.timestamp()) - int(times[0])) > TOLERANCE_SECONDS:
        return Forged("timestamp is more than five minutes off")
    return None


def _is_number(text: str) -> bool:
    """Tell whether *text* is a plausible Unix time, without the liberties that int() takes."""
    return 0 < len(text) <= 12 and text.isascii() and text.isdigit()


def _sign(message: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest().encode()


def _translate(body: bytes, *, live: bool) -> Sequence[Notice] | Forged:
    """Return the notice in an authentic body; other kinds of events are an empty list.

    A body in the other mode (test and live have different secrets, so somebody configured a
    wrong one) is not ours. Thin events, whose object is ``v2.core.event``, carry nothing to read.
    """
    try:
        event = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return Forged("body is not JSON")
    if not isinstance(event, dict):
        return Forged("body is not an event")
    if event.get("object") == "v2.core.event":
        return []
    key, kind = event.get("id"), event.get("type")
    if event.get("object") != "event" or not _is_id(key) or not isinstance(kind, str):
        return Forged("body is not an event")
    if event.get("livemode") is not live:
        return Forged("event is in the other mode (test or live)")
    return list(_notices(str(key), kind, event))


def _notices(key: str, kind: str, event: dict[str, Any]) -> Iterator[Notice]:
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if kind not in EVENTS or not isinstance(subject, dict):
        return
    metadata = subject.get("metadata")
    reference = metadata.get("payment") if isinstance(metadata, dict) else None
    session = None
    if kind in SESSION_EVENTS:
        reference = subject.get("client_reference_id") or reference
        session = subject.get("id")
    elif not _is_id(reference):
        # A dispute, and a refund made in the dashboard, carry nothing of ours: the money's id leads to it.
        session = subject.get("payment_intent")
    yield Notice(
        key=key,
        kind=kind,
        session_ref=session if _is_id(session) else None,
        reference=reference if _is_id(reference) else None,
    )


def _is_id(value: object) -> bool:
    """Tell whether *value* can be an id: Stripe's have at most 255 characters (documented)."""
    return isinstance(value, str) and 0 < len(value) <= 255
