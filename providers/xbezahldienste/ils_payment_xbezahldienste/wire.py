"""Pure translation between XBezahldienste 1.0.0 and the words of the house.

Source: FITKO's pages of the interface (initiate-payment-transaction, get-status-by-ids, Statusmodell).
What public code shows beyond them is marked *seen*, what nobody shows *unverified*.
"""

from __future__ import annotations

import json
import re
from datetime import UTC
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Observation, PayState
from ils_payment.money import MoneyError, parse, to_decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.model import Attempt, AttemptLine
    from ils_payment_xbezahldienste.config import XBezahldiensteConfig

CURRENCY = "EUR"
"""The only one that the interface takes (documented)."""

TEXT_LIMIT = 250
"""Characters of ``description`` (documented for the request; seen for items and booking data)."""

PURPOSE_LIMIT = 27
MAX_ITEMS = 99

STATES = {
    "INITIAL": (PayState.OPEN, False),
    # Says nothing of what is charged back later (documented).
    "PAYED": (PayState.PAID, False),
    "CANCELED": (PayState.VOID, True),
    # The payment service gave up, by its own time limit too (documented).
    "FAILED": (PayState.VOID, True),
}
"""What each ``status`` means, and whether it is the end; every other word is pending."""

REFUSALS = frozenset(
    {
        "NO_VALID_ORIGINATOR_OR_ENDPOINT",
        "NO_VALID_ORIGINATOR_OR_DESTINATION",
        "CALCULATION_ERROR",
        "BOOKING_DATA_MISSING",
        "VALIDATION_ERROR",
        "FORBIDDEN",
    }
)
"""Values of ``functionalCode`` by which a transaction was certainly not made (documented).

``PAYMENT_EXISTS`` says that one was made before, ``UNSPECIFIED`` nothing.
"""

EXISTS = "PAYMENT_EXISTS"

# HTTP's own refusals, given before the request was looked at (inferred: by authentication and address).
_REFUSED_STATUS = frozenset({401, 403, 404})

_TRANSACTION_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NOT_IN_TEXT = re.compile(r"[^A-Za-z0-9_\s,.\u00c0-\u017f-]+")


def request_for(attempt: Attempt, config: XBezahldiensteConfig, payee: str) -> dict[str, Any]:
    """Return the PaymentRequest for *attempt*; nothing in it is personal, so there is no ``requestor``.

    ``requestId`` is the attempt's key. The payment's id is each item's ``reference``: it comes back with
    every answer.
    """
    if attempt.currency != CURRENCY:
        raise ValueError("XBezahldienste knows no other currency than EUR")
    number = attempt.number or attempt.reference
    created = attempt.created_at.astimezone(UTC)
    return {
        "requestId": attempt.key,
        "requestTimestamp": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "currency": attempt.currency,
        "grosAmount": to_decimal(attempt.cents, CURRENCY),
        "purpose": f"{config.purpose} {number}"[:PURPOSE_LIMIT].strip(),
        "description": _text(f"{payee} {number}"),
        "redirectUrl": attempt.return_url,
        "items": _items(attempt, config.booking_data),
    }


def _items(attempt: Attempt, booking: Mapping[str, str]) -> list[dict[str, Any]]:
    lines: Sequence[AttemptLine] = [line for line in attempt.lines if line.cents]
    if sum(line.cents for line in lines) != attempt.cents:
        raise ValueError("the lines of an attempt do not add up to its amount")
    groups = [[line] for line in lines]
    if len(groups) > MAX_ITEMS:
        # The treasury needs sums by their accounts; the payer has seen each fee on our page.
        lines = sorted(lines, key=_accounts)
        groups = [list(group) for _, group in groupby(lines, key=_accounts)]
    return [_item(str(number), group, attempt, booking) for number, group in enumerate(groups, start=1)]


def _accounts(line: AttemptLine) -> tuple[str, str]:
    return line.cost_centre, line.account


def _item(
    number: str, lines: Sequence[AttemptLine], attempt: Attempt, booking: Mapping[str, str]
) -> dict[str, Any]:
    """Return one position; fees of public law carry no tax."""
    amount = to_decimal(sum(line.cents for line in lines), CURRENCY)
    zero = to_decimal(0, CURRENCY)
    word = "Gebühren" if attempt.language.startswith("de") else "fees"
    text = lines[0].text if len(lines) == 1 else f"{len(lines)} {word}"
    item: dict[str, Any] = {
        "id": number,
        "reference": attempt.reference,
        "description": _text(text) or number,
        "taxRate": zero,
        "quantity": 1,
        "totalNetAmount": amount,
        "totalTaxAmount": zero,
        "singleNetAmount": amount,
        "singleTaxAmount": zero,
    }
    line = lines[0]
    filled = {
        name: _text(template.format(cost_centre=line.cost_centre, account=line.account))
        for name, template in booking.items()
    }
    # ePay21 wants an empty one to be absent (seen).
    if known := {name: value for name, value in filled.items() if value}:
        item["bookingData"] = known
    return item


def _text(text: str) -> str:
    """Return *text* in the characters that a description may have, and within its length."""
    return " ".join(_NOT_IN_TEXT.sub(" ", text).split())[:TEXT_LIMIT].strip()


def as_text(value: Any) -> str:  # noqa: ANN401 - JSON of any shape
    """Return *value* as JSON text in which a Decimal is a number, digit by digit.

    The standard library writes decimals through floats only, or not at all.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_text(name)}:{as_text(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(as_text(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def parsed(body: bytes | str) -> dict[str, Any]:
    """Return a JSON object with exact numbers; RemoteGarbledError for anything else."""
    try:
        found = json.loads(
            body.decode() if isinstance(body, bytes) else body, parse_float=Decimal, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        raise garbled("it is no JSON") from None
    if not isinstance(found, dict):
        raise garbled("it is no JSON object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def problem(body: bytes) -> tuple[str, str]:
    """Return ``functionalCode`` and what else an error says (RFC 9457); both empty if it is no problem."""
    try:
        found = parsed(body)
    except RemoteGarbledError:
        return "", ""
    code = found.get("functionalCode")
    told = found.get("detail") or found.get("title")
    return (
        code if isinstance(code, str) and re.fullmatch("[A-Z_]{1,60}", code) else "",
        _text(told) if isinstance(told, str) else "",
    )


def is_refused(status: int, code: str) -> bool:
    """Tell whether an answer to ``POST paymenttransaction`` proves that nothing was made."""
    if not 400 <= status < 500:
        return False
    return code in REFUSALS or (not code and status in _REFUSED_STATUS)


def information(transaction: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``paymentInformation``; RemoteGarbledError without one."""
    found = transaction.get("paymentInformation")
    if not isinstance(found, dict):
        raise garbled("paymentInformation is missing")
    return found


def _echo(transaction: Mapping[str, Any]) -> Mapping[str, Any]:
    found = transaction.get("paymentRequest")
    if not isinstance(found, dict):
        raise garbled("paymentRequest is missing")
    return found


def complaint(transaction: Mapping[str, Any], request: Mapping[str, Any], origins: Sequence[str]) -> str:
    """Return what is wrong with the transaction that came of *request*; empty if it is right."""
    try:
        told, echo = information(transaction), _echo(transaction)
        asked = parse(request["grosAmount"], CURRENCY)
        if echo.get("requestId") != request["requestId"]:
            return "the transaction carries another requestId"
        if amount_of(echo) != asked or echo.get("currency") != request["currency"]:
            return "the transaction asks for another amount or currency"
        if reference_of(echo) != request["items"][0]["reference"]:
            return "the transaction carries another reference"
    except RemoteGarbledError as error:
        return error.what
    if not _has_id(told):
        return "the transaction has no id that could be asked for"
    if told.get("status") != "INITIAL":
        return ""
    page = urlsplit(str(told.get("transactionRedirectUrl")))
    if f"{page.scheme}://{page.netloc}" not in origins:
        where = f"{page.scheme}://{page.netloc}" if page.netloc else "nowhere"
        return f"the payment page lies at {where}, which page_origins does not name"
    return ""


def _has_id(told: Mapping[str, Any]) -> bool:
    key = told.get("transactionId")
    return isinstance(key, str) and bool(_TRANSACTION_ID.fullmatch(key))


def may_hold_money(transaction: Mapping[str, Any], key: str) -> bool:
    """Tell whether the attempt's transaction, wrong as it is, was paid: what came has to be read."""
    try:
        seen = observation(transaction, live=False)
    except RemoteGarbledError:
        return False
    ours = _echo(transaction).get("requestId") == key
    return ours and _has_id(information(transaction)) and seen.may_hold_money


def observation(transaction: Mapping[str, Any], *, live: bool) -> Observation:
    """Return what a transaction says is true now.

    The interface names no amount but the one of the request that it repeats, and neither account nor mode.
    """
    told, echo = information(transaction), _echo(transaction)
    status = told.get("status")
    state, final = STATES.get(str(status), (PayState.PENDING, False))
    cents, currency = amount_of(echo), echo.get("currency")
    if not isinstance(currency, str):
        raise garbled("currency is missing")
    method = told.get("paymentMethod")
    by = f" by {method}" if isinstance(method, str) and method.isascii() and method.isalpha() else ""
    return Observation(
        state=state,
        captured=cents if state is PayState.PAID else 0,
        currency=currency,
        account="",
        live=live,
        reference=reference_of(echo),
        final=final,
        evidence=f"status {_word(status)}{by}, grosAmount {cents} cents",
        money_ref=_word(told.get("transactionReference")) if told.get("transactionReference") else "",
    )


def amount_of(echo: Mapping[str, Any]) -> int:
    """Return ``grosAmount`` in cents; RemoteGarbledError where it is none that money can have."""
    found = echo.get("grosAmount")
    if isinstance(found, bool) or not isinstance(found, (int, Decimal)):
        raise garbled("grosAmount is no number")
    try:
        cents = parse(found, CURRENCY)
    except MoneyError as error:
        raise garbled(f"grosAmount: {error}") from None
    if cents < 0:
        raise garbled("grosAmount is negative")
    return cents


def reference_of(echo: Mapping[str, Any]) -> str:
    """Return the payment's id that the items carry; empty where they carry different ones."""
    items = echo.get("items")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise garbled("items are missing")
    found = {str(item.get("reference")) for item in items}
    return found.pop() if len(found) == 1 else ""


def garbled(what: str) -> RemoteGarbledError:
    """Return the error for an answer that the interface does not allow."""
    return RemoteGarbledError(
        f"The payment service's answer is not as XBezahldienste specifies it: {what}.",
        mend="Ask the payment service; this payment is looked at again meanwhile.",
    )


def _word(value: object) -> str:
    """Return a word of the payment service's as it may be kept: nothing that a payer typed."""
    return re.sub(r"[^A-Za-z0-9._/-]", "?", str(value))[:60]
