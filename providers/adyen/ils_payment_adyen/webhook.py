"""Adyen's standard webhook: is every item authentic, and what is it evidence of? No I/O, no clock.

The signature covers eight fields and no time, so a copy of an old notice is as authentic as the first
one: that each notice has one key, under which it is stored once, is the protection against replays. What
is not signed (``live``, the method, the reason, all additional data) decides nothing in our favour:
``live`` is compared, and the rest is not looked at.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ils_payment.model import Forged, Notice, Observation, PayState, Reversal, ReversalState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.model import RawRequest

JSON = "application/json"
MAX_BYTES = 256 * 1024
MAX_ITEMS = 100
_ID = 240
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)

REVERSALS: Mapping[tuple[str, bool], tuple[str, ReversalState]] = MappingProxyType(
    {
        ("REFUND", True): ("refund", ReversalState.DONE),
        ("REFUND", False): ("refund", ReversalState.FAILED),
        # Both say that a refund which had been taken did not reach the payer: the money is ours again.
        ("REFUND_FAILED", True): ("refund", ReversalState.FAILED),
        ("REFUNDED_REVERSED", True): ("refund", ReversalState.FAILED),
        # What was authorised is given up before it was captured, by somebody at Adyen or by Adyen.
        ("CANCELLATION", True): ("refund", ReversalState.DONE),
        ("TECHNICAL_CANCEL", True): ("refund", ReversalState.DONE),
        ("CANCEL_OR_REFUND", True): ("refund", ReversalState.DONE),
        ("EXPIRE", True): ("refund", ReversalState.DONE),
        # The capture was refused, or rejected after it had been accepted: the money does not come.
        ("CAPTURE", False): ("chargeback", ReversalState.DONE),
        ("CAPTURE_FAILED", True): ("chargeback", ReversalState.DONE),
        ("CHARGEBACK", True): ("chargeback", ReversalState.DONE),
        ("CHARGEBACK_REVERSED", True): ("chargeback", ReversalState.FAILED),
        ("SECOND_CHARGEBACK", True): ("chargeback", ReversalState.DONE),
    }
)
"""What left again, or did not after all, by event code and success."""

GIVEN_UP = frozenset({"CANCELLATION", "TECHNICAL_CANCEL", "EXPIRE"})
"""What was authorised comes to nothing; the payer may have paid in another try."""

PAID = frozenset({("AUTHORISATION", True), ("CAPTURE", True)})
"""Evidence of money: what was authorised is captured at once. A capture that fails is told as a reversal."""

EVENTS = (
    "AUTHORISATION",
    "CAPTURE",
    "CAPTURE_FAILED",
    "CANCELLATION",
    "TECHNICAL_CANCEL",
    "CANCEL_OR_REFUND",
    "REFUND",
    "REFUND_FAILED",
    "REFUNDED_REVERSED",
    "NOTIFICATION_OF_CHARGEBACK",
    "CHARGEBACK",
    "CHARGEBACK_REVERSED",
    "SECOND_CHARGEBACK",
    "EXPIRE",
    "OFFER_CLOSED",
)
"""The event codes that concern a payment; every other one is answered and forgotten."""


def read_request(
    request: RawRequest, keys: Sequence[str], *, user: str = "", password: str = "", closes: bool = False
) -> Sequence[Notice] | Forged:
    """Verify *request* and translate its items; one item that is not authentic makes all of it forged.

    *closes*: an OFFER_CLOSED is the end of the payer's page, because nothing else tells of it.
    """
    problem = _problem(request, user, password)
    if problem:
        return Forged(problem)
    try:
        body = json.loads(request.body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return Forged("body is not JSON")
    items = _items(body)
    if items is None:
        return Forged("body is no notification")
    secrets = [binascii.unhexlify(key) for key in keys]
    # Every item is looked at, so that the time taken does not tell which one is wrong.
    if not all([_is_signed(item, secrets) for item in items]):  # noqa: C419 - see above
        return Forged("an item's signature does not match any configured key")
    live = str(body.get("live")).lower() == "true"
    found = [_notice(item, live=live, closes=closes) for item in items]
    return [one for one in found if one is not None]


def _problem(request: RawRequest, user: str, password: str) -> str:
    if request.method != "POST":
        return "method is not POST"
    if request.headers.get("content-type", JSON).partition(";")[0].strip().lower() != JSON:
        return "content type is not application/json"
    if len(request.body) > MAX_BYTES:
        return "body is too large"
    if user:
        expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", errors="replace")):
            return "user name or password is wrong"
    return ""


def _items(body: object) -> list[dict[str, Any]] | None:
    """Return the items of a notification; None where it has not the form of one."""
    listed = body.get("notificationItems") if isinstance(body, dict) else None
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_ITEMS:
        return None
    inner = [one.get("NotificationRequestItem") if isinstance(one, dict) else None for one in listed]
    items = [one for one in inner if isinstance(one, dict)]
    return items if len(items) == len(listed) else None


def signing_string(item: Mapping[str, Any]) -> str:
    """Return what Adyen signs of *item*: eight fields, missing ones empty, nothing escaped."""
    amount = item.get("amount")
    amount = amount if isinstance(amount, dict) else {}
    fields = (
        item.get("pspReference"),
        item.get("originalReference"),
        item.get("merchantAccountCode"),
        item.get("merchantReference"),
        amount.get("value"),
        amount.get("currency"),
        item.get("eventCode"),
        item.get("success"),
    )
    return ":".join("" if field is None else str(field) for field in fields)


def sign(item: Mapping[str, Any], key: bytes) -> str:
    """Return the signature of *item* under the *key* (the bytes that its hexadecimal digits stand for)."""
    digest = hmac.new(key, signing_string(item).encode("utf-8", errors="replace"), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _is_signed(item: Mapping[str, Any], keys: Sequence[bytes]) -> bool:
    """Tell whether any of *keys* has signed *item*, in constant time; nothing signed is nothing believed."""
    more = item.get("additionalData")
    given = more.get("hmacSignature") if isinstance(more, dict) else None
    if not isinstance(given, str):
        return False
    theirs = given.encode("utf-8", errors="replace")
    matches = [hmac.compare_digest(sign(item, key).encode(), theirs) for key in keys]
    return any(matches)


def _is_whole(item: Mapping[str, Any]) -> bool:
    """Tell whether the signed fields can have been read in one way only.

    They are joined by colons without escaping. With colons in ``merchantReference`` alone and the other
    fields as Adyen spells them, no other item has the same string.
    """
    amount = item.get("amount")
    original, reference = item.get("originalReference"), item.get("merchantReference")
    if not isinstance(amount, dict) or not isinstance(original, str | None):
        return False
    if not isinstance(reference, str | None) or not isinstance(item.get("success"), str):
        return False
    value = amount.get("value")
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= 0
        and item["success"] in {"true", "false"}
        and item.get("eventCode") in EVENTS
        and bool(_CURRENCY.fullmatch(str(amount.get("currency"))))
        and bool(_REFERENCE.fullmatch(str(item.get("pspReference"))))
        and bool(_REFERENCE.fullmatch(original or "-"))
        and 0 < len(str(item.get("merchantAccountCode"))) <= _ID
        and ":" not in str(item.get("merchantAccountCode"))
    )


def _notice(item: Mapping[str, Any], *, live: bool, closes: bool) -> Notice | None:
    """Return the notice in an authentic item; None for what concerns no payment, or is not as specified."""
    if not _is_whole(item):
        return None
    code, success = item["eventCode"], item["success"] == "true"
    psp, original = item["pspReference"], item.get("originalReference") or ""
    reference = item.get("merchantReference") or ""
    seen = _evidence(item, code, success=success, live=live, closes=closes)
    return Notice(
        key=f"{code}:{psp}:{item['success']}",
        kind=code if success else f"{code} failed",
        session_ref=original or psp,
        reference=reference if 0 < len(reference) <= _ID else None,
        observation=seen,
    )


def _evidence(
    item: Mapping[str, Any], code: str, *, success: bool, live: bool, closes: bool
) -> Observation | None:
    """Return what an item proves; None where it is only a reason to look.

    A refused AUTHORISATION proves nothing: the payer may try again.
    """
    gone = REVERSALS.get((code, success))
    paid = (code, success) in PAID
    over = code == "OFFER_CLOSED" and success and closes
    if gone is None and not paid and not over:
        return None
    psp, original = item["pspReference"], item.get("originalReference") or ""
    money = original if code == "CAPTURE" and original else psp
    state = PayState.PAID if paid else PayState.VOID if over else PayState.OPEN
    return Observation(
        state=state,
        captured=item["amount"]["value"] if paid else 0,
        currency=item["amount"]["currency"],
        account=item["merchantAccountCode"],
        live=live,
        reference=item.get("merchantReference") or "",
        final=over,
        evidence=f"notice {code}",
        reversals=(_reversal(item, code, *gone),) if gone else (),
        money_ref=money if paid else "",
    )


def _reversal(item: Mapping[str, Any], code: str, kind: str, state: ReversalState) -> Reversal:
    """Return what left again. All events of one dispute have one reference (documented).

    A second chargeback follows one that was won, so it is a reversal of its own.
    """
    ref = item["pspReference"]
    if code in {"SECOND_CHARGEBACK", "EXPIRE"}:
        ref = f"{ref}:{code.lower()}"
    return Reversal(
        ref=ref,
        kind=kind,
        cents=item["amount"]["value"],
        key=item.get("merchantReference") or "",
        money_ref=(item.get("originalReference") or "") if code in GIVEN_UP else "",
        state=state,
    )
