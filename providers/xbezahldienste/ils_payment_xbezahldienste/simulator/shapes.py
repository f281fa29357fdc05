"""What a PaymentRequest must look like: the limits that FITKO publishes, and sums that add up."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ils_payment_xbezahldienste.simulator.book import SimulatedService

_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_TEXT = re.compile(r"[A-Za-z0-9_\s,.\u00c0-\u017f-]{1,250}")

_REQUEST = {
    "requestId": _ID,
    "requestTimestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII),
    "currency": re.compile(r"[A-Za-z0-9_]{3}"),
    "purpose": re.compile(r"[A-Za-z0-9_\s-]{1,27}", re.ASCII),
    "description": _TEXT,
    "redirectUrl": re.compile(r"https?://\S{1,2074}"),
}
_ITEM = {"id": _ID, "reference": _ID, "description": _TEXT}
_AMOUNTS = ("totalNetAmount", "totalTaxAmount", "singleNetAmount", "singleTaxAmount")
_MOST = Decimal(999999)


class Refusal(Exception):
    """One error answer: HTTP status, ``functionalCode`` and a sentence."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        """Keep what the answer is made of."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def check_request(wish: dict[str, Any], service: SimulatedService) -> None:
    """Refuse what the interface does not allow."""
    _match(wish, _REQUEST, {"grosAmount", "items"} | ({"requestor"} - _not_wanted(service)))
    if wish["currency"] != "EUR":
        raise Refusal(400, "VALIDATION_ERROR", "Die Währung wird nicht unterstützt.")
    if service.capitals_only and wish["purpose"] != wish["purpose"].upper():
        raise Refusal(400, "VALIDATION_ERROR", "Im Verwendungszweck sind nur Großbuchstaben zulässig.")
    total = _amount(wish, "grosAmount")
    items = wish.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= 99:
        raise Refusal(400, "VALIDATION_ERROR", "Es werden 1 bis 99 Positionen erwartet.")
    found = sum((_check_item(item, service) for item in items), Decimal(0))
    if found != total:
        raise Refusal(400, "CALCULATION_ERROR", "Die Summe passt nicht zu den Positionen.")


def _not_wanted(service: SimulatedService) -> set[str]:
    return {"requestor"} if service.refuses_empty_parts else set()


def _match(thing: Any, patterns: dict[str, re.Pattern[str]], more: set[str]) -> None:  # noqa: ANN401 - JSON
    if not isinstance(thing, dict):
        raise Refusal(400, "VALIDATION_ERROR", "Es wird ein Objekt erwartet.")
    for name, pattern in patterns.items():
        value = thing.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise Refusal(400, "VALIDATION_ERROR", f"Das Feld {name} ist nicht zulässig.")
    unknown = sorted(set(thing) - set(patterns) - more)
    if unknown:
        raise Refusal(400, "VALIDATION_ERROR", f"Das Feld {unknown[0]} wird nicht erwartet.")


def _check_item(item: Any, service: SimulatedService) -> Decimal:  # noqa: ANN401 - JSON
    """Return what the position costs with its tax."""
    _match(item, _ITEM, {"taxRate", "quantity", "bookingData", *_AMOUNTS})
    amounts = {name: _amount(item, name) for name in _AMOUNTS}
    quantity, rate = item.get("quantity"), _amount(item, "taxRate")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= 999999:
        raise Refusal(400, "VALIDATION_ERROR", "Die Menge ist nicht zulässig.")
    if rate > 100:
        raise Refusal(400, "VALIDATION_ERROR", "Der Steuersatz ist nicht zulässig.")
    for part in ("Net", "Tax"):
        if amounts[f"single{part}Amount"] * quantity != amounts[f"total{part}Amount"]:
            raise Refusal(400, "CALCULATION_ERROR", "Einzelbetrag und Menge passen nicht zum Gesamtbetrag.")
    booking = item.get("bookingData", {})
    if not isinstance(booking, dict) or not all(isinstance(value, str) for value in booking.values()):
        raise Refusal(400, "VALIDATION_ERROR", "Die Buchungsdaten sind nicht zulässig.")
    if "bookingData" in item and not booking and service.refuses_empty_parts:
        raise Refusal(400, "VALIDATION_ERROR", "Leere Buchungsdaten sind nicht zulässig.")
    missing = [name for name in service.required_booking_data if not booking.get(name)]
    if missing:
        raise Refusal(400, "BOOKING_DATA_MISSING", f"Es fehlt {missing[0]}.")
    return amounts["totalNetAmount"] + amounts["totalTaxAmount"]


def _amount(thing: dict[str, Any], name: str) -> Decimal:
    """Return a number of the request with at most two decimals; text is none."""
    value = thing.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Refusal(400, "VALIDATION_ERROR", f"Das Feld {name} ist keine Zahl.")
    exact = Decimal(value)
    if not 0 <= exact <= _MOST or exact != exact.quantize(Decimal("0.01")):
        raise Refusal(400, "VALIDATION_ERROR", f"Der Betrag in {name} ist nicht zulässig.")
    return exact
