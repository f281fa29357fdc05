"""Pure translation between Adyen's Checkout and the words of the house."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ils_payment.errors import ConfigurationError
from ils_payment.model import Observation, PayState
from ils_payment_adyen.client import garbled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import Attempt
    from ils_payment_adyen.config import AdyenConfig

LIFE = timedelta(minutes=31)
"""How long a page can be paid on. Adyen takes up to 24 hours (sessions) and 70 days (links); no minimum is
published (unverified). The core looks again after 33 minutes."""

TEXT_LIMIT = 280
"""Characters of a link's description (documented)."""

CARD = "card"
INSTANT = "instant_bank_transfer"
INSTANT_METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"EUR": ("paybybank", "trustly"), "GBP": ("paybybank",)}
)
"""Adyen's types by currency: Pay by Bank is for EUR and GBP, Trustly for Germany in EUR (documented)."""
KLARNA = "klarna_paynow"

# ISO 4217 and Adyen agree on the decimals of these; CLP, CVE, ISK and IDR would need a rule of their own.
CURRENCIES = ("EUR", "CHF", "GBP", "DKK", "SEK", "NOK", "PLN", "CZK", "RON", "USD")

GONE = {
    "giropay": "giropay was shut down at the end of 2024",
    "sofort": "Sofort takes no new merchants and has become a product of Klarna's",
}
"""Methods that lists still name although nobody can pay by them."""

LINK_STATES: Mapping[str, tuple[PayState, bool]] = MappingProxyType(
    {
        "active": (PayState.OPEN, False),
        # The payer is in the middle of a method that confirms later (documented).
        "paymentPending": (PayState.PENDING, False),
        # "The shopper completed the payment"; a link that is not reusable takes one successful payment.
        "completed": (PayState.PAID, False),
        # Only listed, without a word on it (unverified).
        "paid": (PayState.PAID, False),
        "expired": (PayState.VOID, True),
    }
)
"""What a payment link's status says, and whether it can never be paid any more."""

SESSION_STATES: Mapping[str, tuple[PayState, bool]] = MappingProxyType(
    {
        "active": (PayState.OPEN, False),
        "paymentPending": (PayState.PENDING, False),
        # "The shopper completed the payment, and the payment was authorized" (documented).
        "completed": (PayState.PAID, False),
        # After too many refused tries nobody can pay in it any more (documented).
        "refused": (PayState.VOID, True),
        "expired": (PayState.VOID, True),
        # The shopper left. That nobody can come back and pay is not said, so it stays open.
        "canceled": (PayState.OPEN, False),
    }
)
"""What a session's result says when its payer comes back, and whether it is the end."""


def adyen_methods(method: str, currency: str, *, allow_klarna: bool) -> tuple[str, ...]:
    """Return Adyen's types for *method*; ConfigurationError if there is none."""
    if method == CARD:
        return ("scheme",)
    if method == INSTANT:
        found = INSTANT_METHODS.get(currency, ()) + ((KLARNA,) if allow_klarna else ())
        if found:
            return found
        raise ConfigurationError(
            f"Adyen offers no instant bank transfer in {currency}.",
            mend="Remove instant_bank_transfer from the library's methods, or set allow_klarna = true.",
        )
    if method in GONE:
        raise ConfigurationError(
            f"The method {method!r} cannot be offered: {GONE[method]}.",
            mend='Write method = "instant_bank_transfer" instead; at Adyen that is Pay by Bank and Trustly.',
        )
    raise ConfigurationError(
        f"Adyen does not bring the method {method!r}.", mend="It brings card and instant_bank_transfer."
    )


def request_for(attempt: Attempt, config: AdyenConfig, *, payee: str) -> dict[str, Any]:
    """Return the body of ``POST /paymentLinks`` or ``POST /sessions`` for *attempt*.

    Everything that could be computed anew stands in it, so that repeating it under its key gives the
    first answer again. The money is captured at once: an authorisation is then as good as paid.
    """
    methods = adyen_methods(attempt.method, attempt.currency, allow_klarna=config.allow_klarna)
    request: dict[str, Any] = {
        "amount": {"currency": attempt.currency, "value": attempt.cents},
        "merchantAccount": config.merchant_account,
        "reference": attempt.reference,
        "returnUrl": attempt.return_url,
        "countryCode": config.country,
        "shopperLocale": _locale(attempt.language, config.country),
        "shopperStatement": config.statement,
        "allowedPaymentMethods": list(methods),
        "captureDelayHours": 0,
        "expiresAt": _instant(attempt.created_at + LIFE),
        "metadata": {"payment": attempt.reference, "installation": attempt.installation[:80]},
        "storePaymentMethodMode": "disabled",
    }
    if KLARNA in methods:
        request["lineItems"] = _line_items(attempt)
    if config.checkout == "links":
        request |= {"reusable": False, "description": f"{payee} {attempt.reference}"[:TEXT_LIMIT]}
    else:
        request |= {"mode": "hosted", "channel": "Web"}
    return request


def as_text(request: Mapping[str, Any]) -> str:
    """Return *request* as canonical JSON text: the same request is always the same text."""
    return json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _locale(language: str, country: str) -> str:
    primary = language.lower().replace("_", "-").split("-")[0]
    return {"de": f"de-{country}" if country in {"AT", "CH"} else "de-DE", "en": "en-GB"}.get(
        primary, "en-GB"
    )


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _line_items(attempt: Attempt) -> list[dict[str, Any]]:
    """Return the lines as Klarna wants them; fees of public law carry no tax."""
    return [
        {
            "id": str(place),
            "description": " ".join(line.text.split())[:TEXT_LIMIT] or attempt.reference,
            "quantity": 1,
            "amountIncludingTax": line.cents,
            "amountExcludingTax": line.cents,
            "taxAmount": 0,
            "taxPercentage": 0,
        }
        for place, line in enumerate(attempt.lines, 1)
    ]


def complaint(made: Mapping[str, Any], request: Mapping[str, Any], *, origin: str) -> str:
    """Return what is wrong with what Adyen *made* of *request*; empty if it is right."""
    for name, what in (
        ("reference", "it carries another reference"),
        ("merchantAccount", "it belongs to another merchant account"),
        ("amount", "it asks for another amount or currency"),
    ):
        if made.get(name) != request[name]:
            return what
    if not isinstance(made.get("id"), str) or not made["id"]:
        return "it has no id"
    url = urlsplit(str(made.get("url") or ""))
    if f"{url.scheme}://{url.netloc}" != origin:
        return (
            f"the payment page lies under {url.scheme}://{url.hostname}: set page_origin if that is Adyen's"
        )
    return ""


def expiry(made: Mapping[str, Any]) -> datetime | None:
    """Return the instant at which Adyen ends the page, None where it does not say."""
    try:
        found = datetime.fromisoformat(str(made.get("expiresAt")))
    except ValueError:
        return None
    return found if found.tzinfo else None


def of_link(link: Mapping[str, Any], *, live: bool) -> Observation:
    """Return what a payment link says is true now; a status that is not known is pending, not void.

    It tells neither the money's id nor what left again: notices do.
    """
    status = str(link.get("status"))
    state, final = LINK_STATES.get(status, (PayState.PENDING, False))
    cents, currency = _amount(link.get("amount"))
    return Observation(
        state=state,
        captured=cents if state is PayState.PAID else 0,
        currency=currency,
        account=str(link.get("merchantAccount") or ""),
        live=live,
        reference=str(link.get("reference") or ""),
        final=final,
        evidence=f"link {status[:30]}",
    )


def of_session(result: Mapping[str, Any], *, live: bool) -> Observation:
    """Return what a session's result said when its payer came back.

    ``completed`` counts only with its authorised payments, since only they tell an amount; otherwise the
    notice has to. Two of them are two sums of money.
    """
    status = str(result.get("status"))
    state, final = SESSION_STATES.get(status, (PayState.PENDING, False))
    listed = result.get("payments") or []
    paid = [one for one in listed if isinstance(one, dict) and one.get("resultCode") == "Authorised"]
    amounts = [_amount(one.get("amount")) for one in paid]
    if state is PayState.PAID and (not paid or len({currency for _, currency in amounts}) > 1):
        state = PayState.PENDING
    is_paid = state is PayState.PAID
    return Observation(
        state=state,
        captured=sum(cents for cents, _ in amounts) if is_paid else 0,
        currency=amounts[0][1] if is_paid else "",
        account="",
        live=live,
        reference=str(result.get("reference") or ""),
        final=final,
        evidence=f"session {status[:30]}, {len(paid)} authorised",
        money_ref=str(paid[0].get("pspReference") or "") if is_paid else "",
    )


def _amount(amount: object) -> tuple[int, str]:
    """Return cents and currency of an amount; raise RemoteGarbledError."""
    found = amount if isinstance(amount, dict) else {}
    cents, currency = found.get("value"), found.get("currency")
    if not isinstance(cents, int) or isinstance(cents, bool) or not isinstance(currency, str):
        raise garbled("an amount is missing or none")
    return cents, currency
