"""Pure translation between Stripe's Checkout Sessions and the words of the house.

Objects of Stripe come as plain dictionaries (``StripeObject.to_dict()``): since version 15 the
SDK's objects are no mappings any more.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ils_payment.errors import ConfigurationError
from ils_payment.model import Observation, PayState
from ils_payment_stripe.reversals import garbled, reversals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.model import Attempt, AttemptLine

SESSION_SECONDS = 31 * 60
"""Stripe takes 30 minutes to 24 hours by *its* clock; one minute is for the way and the clocks."""

TEXT_LIMIT = 250
"""Characters of a line's text on the payment page; Stripe publishes no limit (unverified)."""

MAX_LINES = 100
"""Line items of one session in payment mode (documented)."""

CARD = "card"
INSTANT = "instant_bank_transfer"

INSTANT_CURRENCIES = frozenset({"EUR", "GBP"})
"""Pay by Bank takes no others (documented)."""

# ISO 4217 and Stripe agree on the decimals of these; ISK, HUF or UGX would need a rule of their own.
CURRENCIES = ("EUR", "CHF", "GBP", "DKK", "SEK", "NOK", "PLN", "CZK", "RON", "USD")

SMALLEST = {"EUR": 50}
"""Stripe takes no smaller sum (documented); those of other currencies are left to its answer."""

GONE = {
    "giropay": "giropay was shut down at the end of 2024 (at Stripe in June 2024)",
    "sofort": "Sofort was discontinued in March 2025",
}
"""Methods that Stripe's lists still name although nobody can pay by them."""

# In these the payer would have to act on the page, which is over once the session is.
_INTENT_DEAD = frozenset({None, "requires_payment_method", "requires_confirmation", "canceled"})


def stripe_methods(method: str, currency: str, *, allow_klarna: bool) -> tuple[str, ...]:
    """Return Stripe's names for *method*, the wanted one first; ConfigurationError if there is none."""
    if method == CARD:
        return ("card",)
    if method == INSTANT:
        bank = ("pay_by_bank",) if currency in INSTANT_CURRENCIES else ()
        found = bank + (("klarna",) if allow_klarna else ())
        if found:
            return found
        raise ConfigurationError(
            f"Stripe offers no instant bank transfer in {currency}.",
            mend="Remove instant_bank_transfer from the library's methods, or set allow_klarna = true.",
        )
    if method in GONE:
        raise ConfigurationError(
            f"The method {method!r} cannot be offered: {GONE[method]}.",
            mend='Write method = "instant_bank_transfer" instead; at Stripe that is Pay by Bank.',
        )
    raise ConfigurationError(
        f"Stripe does not bring the method {method!r}.", mend="It brings card and instant_bank_transfer."
    )


def request_for(
    attempt: Attempt, methods: Sequence[str], *, statement_descriptor: str, payee: str
) -> dict[str, Any]:
    """Return the parameters of the Checkout Session for *attempt*; nothing in them is personal.

    The statement descriptor of a card payment can only be added to the account's own prefix: with
    ``statement_descriptor`` Stripe answers 400 for cards since January 2024 (documented).
    ``capture_method=automatic`` takes the money at once, so that "paid" means captured.
    """
    names = {"payment": attempt.reference, "attempt": attempt.key}
    if attempt.installation:
        names["installation"] = attempt.installation
    descriptor = "statement_descriptor_suffix" if "card" in methods else "statement_descriptor"
    request: dict[str, Any] = {
        "mode": "payment",
        "submit_type": "pay",
        "line_items": _line_items(attempt),
        "client_reference_id": attempt.reference,
        "metadata": names,
        "payment_intent_data": {
            "metadata": names,
            "description": f"{payee} {attempt.reference}"[:TEXT_LIMIT],
            "capture_method": "automatic",
            descriptor: statement_descriptor,
        },
        "allowed_payment_method_types": list(methods),
        "adaptive_pricing": {"enabled": False},
        "customer_creation": "if_required",
        "expires_at": int(attempt.created_at.timestamp()) + SESSION_SECONDS,
        "locale": _locale(attempt.language),
        "success_url": attempt.return_url,
        "cancel_url": attempt.cancel_url,
    }
    if "card" in methods:
        # Link would offer to keep the payer's card and address at Stripe (unverified beside a single method).
        request["wallet_options"] = {"link": {"display": "never"}}
    return request


def as_text(request: Mapping[str, Any]) -> str:
    """Return *request* as canonical JSON text: the same request is always the same text."""
    return json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _locale(language: str) -> str:
    primary = language.lower().replace("_", "-").split("-")[0]
    return primary if primary in {"de", "en"} else "auto"


def _line_items(attempt: Attempt) -> list[dict[str, Any]]:
    """Return the lines of the payment page; one line for all where Stripe could not show each."""
    lines = attempt.lines
    if sum(line.cents for line in lines) != attempt.cents:
        raise ValueError("the lines of an attempt do not add up to its amount")
    if len(lines) > MAX_LINES or any(line.cents <= 0 for line in lines):
        word = "Gebühren" if _locale(attempt.language) == "de" else "Fees"
        return [_line_item(f"{word} ({len(lines)})", attempt.cents, attempt.currency)]
    return [_line_item(_text(line, attempt), line.cents, attempt.currency) for line in lines]


def _text(line: AttemptLine, attempt: Attempt) -> str:
    """Return the line's text on one line and within the limit; Stripe refuses an empty one."""
    text = " ".join(line.text.split()) or attempt.reference
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def _line_item(text: str, cents: int, currency: str) -> dict[str, Any]:
    price = {"currency": currency.lower(), "unit_amount": cents, "product_data": {"name": text}}
    return {"price_data": price, "quantity": 1}


def complaint(session: Mapping[str, Any], request: Mapping[str, Any], *, live: bool, origin: str) -> str:
    """Return what is wrong with the *session* that Stripe made of *request*; empty if it is right.

    Stripe drops a method silently that the account, the currency or the amount does not allow.
    """
    total = sum(item["price_data"]["unit_amount"] for item in request["line_items"])
    currency = request["line_items"][0]["price_data"]["currency"]
    wanted = request["allowed_payment_method_types"]
    offered = session.get("payment_method_types") or []
    if session.get("livemode") is not live:
        return "the session is in the other mode (test or live) than the key"
    if session.get("client_reference_id") != request["client_reference_id"]:
        return "the session carries another reference"
    if session.get("amount_total") != total or session.get("currency") != currency:
        return "the session asks for another amount or currency"
    if not set(offered) & set(wanted):
        return (
            f"Stripe does not offer {' or '.join(wanted)} on this account: switch it on under "
            "Settings, Payments, Payment methods in Stripe's dashboard"
        )
    if not set(offered) <= set(wanted):
        return f"Stripe offers {', '.join(sorted(set(offered) - set(wanted)))}, which was not asked for"
    url = session.get("url")
    if url is not None and not str(url).startswith(f"{origin}/"):
        return f"the payment page does not lie under {origin}: set checkout_origin to the account's domain"
    return ""


def observation(
    session: Mapping[str, Any],
    disputes: Sequence[Mapping[str, Any]] = (),
    refunds: Sequence[Mapping[str, Any]] = (),
) -> Observation:
    """Return what *session* (with ``payment_intent.latest_charge`` expanded) says is true now.

    *disputes* and *refunds* are all that the charge has.

    The PaymentIntent is where the money is, so it goes before the session: a payment that comes
    through after the session expired counts. Whatever is not known is pending, not void.
    """
    intent = session.get("payment_intent")
    if intent is not None and not isinstance(intent, dict):
        raise garbled("payment_intent was asked for in full and came as an id")
    state, final = _state(session, intent)
    captured, currency = _captured(session, intent, state)
    metadata = session.get("metadata") or {}
    live = session.get("livemode")
    if not isinstance(live, bool):
        raise garbled("livemode is missing")
    return Observation(
        state=state,
        captured=captured,
        currency=currency,
        account="",
        live=live,
        reference=str(session.get("client_reference_id") or metadata.get("payment") or ""),
        final=final,
        evidence=_evidence(session, intent),
        reversals=reversals(refunds, disputes),
        money_ref=str(intent["id"]) if intent else "",
    )


def _state(session: Mapping[str, Any], intent: Mapping[str, Any] | None) -> tuple[PayState, bool]:
    """Return the state and whether the session can never be paid any more."""
    status, payment = session.get("status"), session.get("payment_status")
    money = intent.get("status") if intent else None
    if money == "succeeded" or (payment in {"paid", "no_payment_required"} and intent is None):
        return PayState.PAID, False
    if payment == "paid" or money in {"processing", "requires_capture"}:
        return PayState.PENDING, False
    if status == "open":
        return PayState.OPEN, False
    if (status == "expired" and money in _INTENT_DEAD) or (
        # The payer did all there was to do and it failed afterwards; without an intent nothing is known.
        status == "complete" and money in _INTENT_DEAD - {None}
    ):
        return PayState.VOID, True
    return PayState.PENDING, False


def _captured(
    session: Mapping[str, Any], intent: Mapping[str, Any] | None, state: PayState
) -> tuple[int, str]:
    """Return the cents that were taken and their currency, from the intent where there is one."""
    source, name = (intent, "amount_received") if intent else (session, "amount_total")
    cents, currency = source.get(name), source.get("currency")
    if not isinstance(cents, int) or isinstance(cents, bool) or not isinstance(currency, str):
        raise garbled(f"{name} or currency is missing")
    return (cents if state is PayState.PAID else 0), currency.upper()


def _evidence(session: Mapping[str, Any], intent: Mapping[str, Any] | None) -> str:
    said = f"session {session.get('status')}, payment {session.get('payment_status')}"
    if intent:
        said += f", intent {intent.get('status')}, received {intent.get('amount_received')}"
    return said


def charge_of(session: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the charge behind *session*, if the payer has got so far."""
    intent = session.get("payment_intent")
    charge = intent.get("latest_charge") if isinstance(intent, dict) else None
    return charge if isinstance(charge, dict) else None


def expiry(session: Mapping[str, Any]) -> datetime | None:
    """Return the instant at which Stripe ends the session."""
    seconds = session.get("expires_at")
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
