"""Checkout Sessions: make, read, list, expire; and what a request for one may say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ils_payment_stripe.simulator.call import page_of, show
from ils_payment_stripe.simulator.objects import new_lines, new_session
from ils_payment_stripe.simulator.refusal import Refusal, missing

if TYPE_CHECKING:
    from ils_payment_stripe.simulator.book import Thing
    from ils_payment_stripe.simulator.call import Call

MIN_LIFE = 30 * 60
MAX_LIFE = 24 * 60 * 60
MAX_LINES = 100
MAX_CENTS = 99_999_999
_DESCRIPTOR = re.compile(r"""(?=.*[A-Za-z])[^<>"'*\\]{5,22}""")
_SUFFIX = re.compile(r"""(?=.*[A-Za-z])[^<>"'*\\]{1,22}""")


def create(call: Call) -> Thing:
    """``POST /v1/checkout/sessions``: an open session in payment mode."""
    wish, book = call.params, call.book
    _check_shape(wish)
    _check_texts(wish)
    lines = new_lines(book, wish)
    total = _check_amount(lines, book.account.minimum_cents)
    _check_expiry(wish, book.seconds())
    methods = _methods(call, wish, lines[0]["currency"])
    _check_descriptors(call, wish.get("payment_intent_data", {}), methods)
    session = new_session(book, wish, lines=lines, live=call.live, methods=methods, address=call.host)
    session["amount_total"] = total
    book.sessions[session["id"]] = session
    book.line_items[session["id"]] = lines
    book.intent_data[session["id"]] = wish.get("payment_intent_data", {})
    return show(call, session)


def retrieve(call: Call) -> Thing:
    """``GET /v1/checkout/sessions/{id}``."""
    return show(call, call.book.session(call.ids[0], live=call.live))


def expire(call: Call) -> Thing:
    """``POST /v1/checkout/sessions/{id}/expire``: only an open session can be expired."""
    session = call.book.session(call.ids[0], live=call.live)
    if session["status"] != "open":
        message = f"This Checkout Session is {session['status']}; only an open one can be expired."
        raise Refusal(400, message)
    call.payer.expire(session, call.cause)
    return show(call, session)


def every(call: Call) -> Thing:
    """``GET /v1/checkout/sessions``, newest first."""
    wish = call.params
    chosen = [
        session
        for session in reversed(call.book.sessions.values())
        if all(session[name] == wish[name] for name in ("payment_intent", "status") if name in wish)
    ]
    return page_of(call, chosen, "/v1/checkout/sessions")


def line_items(call: Call) -> Thing:
    """``GET /v1/checkout/sessions/{id}/line_items``."""
    session = call.book.session(call.ids[0], live=call.live)
    lines = [
        {**line, "created": session["created"], "livemode": session["livemode"]}
        for line in call.book.line_items[session["id"]]
    ]
    return page_of(call, lines, f"/v1/checkout/sessions/{session['id']}/line_items")


def _check_shape(wish: dict[str, Any]) -> None:
    """Refuse what the types allow but a hosted payment page does not."""
    if "mode" not in wish:
        raise missing("mode")
    if wish["mode"] != "payment":
        raise Refusal(400, "This simulator knows payment mode only.", param="mode")
    if wish.get("ui_mode", "hosted_page") != "hosted_page":
        raise Refusal(400, "This simulator knows the hosted page only.", param="ui_mode")
    if "success_url" not in wish:
        raise missing("success_url")
    if not wish.get("line_items"):
        raise missing("line_items")
    if len(wish["line_items"]) > MAX_LINES:
        raise Refusal(400, f"You may pass at most {MAX_LINES} line items.", param="line_items")
    filters = (
        "allowed_payment_method_types",
        "excluded_payment_method_types",
        "payment_method_configuration",
    )
    given = [name for name in filters if name in wish]
    if len(given) > 1:
        raise Refusal(
            400, f"You may only specify one of these parameters: {', '.join(given)}.", param=given[1]
        )
    for index, item in enumerate(wish["line_items"]):
        _check_line(item, f"line_items[{index}]", wish["line_items"][0])


def _check_line(item: dict[str, Any], param: str, first: dict[str, Any]) -> None:
    if "price_data" not in item:
        raise missing(f"{param}[price_data]")
    price = item["price_data"]
    for name in ("unit_amount", "product_data"):
        if name not in price:
            raise missing(f"{param}[price_data][{name}]")
    if "quantity" not in item:
        raise missing(f"{param}[quantity]")
    if price["unit_amount"] < 0 or item["quantity"] < 1:
        raise Refusal(
            400, f"Invalid amount or quantity in {param}.", code="parameter_invalid_integer", param=param
        )
    if not re.fullmatch("[A-Za-z]{3}", price["currency"]):
        raise Refusal(400, f"Invalid currency: {price['currency']}", param=f"{param}[price_data][currency]")
    if price["currency"].lower() != first["price_data"]["currency"].lower():
        raise Refusal(400, "All line items must have the same currency.", param=param)


def _check_texts(wish: dict[str, Any]) -> None:
    """Refuse addresses and texts beyond their limits (metadata: 50 keys of 40, values of 500)."""
    for name in ("success_url", "cancel_url"):
        parts = urlsplit(wish.get(name, "https://unset.invalid"))
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise Refusal(400, "Not a valid URL.", code="url_invalid", param=name)
    if len(wish.get("client_reference_id", "")) > 200:
        raise Refusal(400, "Invalid string: at most 200 characters.", param="client_reference_id")
    intent = wish.get("payment_intent_data", {})
    for param, metadata in (
        ("metadata", wish.get("metadata", {})),
        ("payment_intent_data[metadata]", intent.get("metadata", {})),
    ):
        if len(metadata) > 50:
            raise Refusal(400, "Metadata can have up to 50 keys.", param=param)
        for name, value in metadata.items():
            if len(name) > 40 or len(value) > 500:
                raise Refusal(400, "Metadata keys have up to 40, values up to 500 characters.", param=param)


def _check_amount(lines: list[Thing], minimum: int) -> int:
    total = sum(line["amount_total"] for line in lines)
    if total < minimum:
        message = f"The Checkout Session's total must be at least {minimum} of the currency's smallest unit."
        raise Refusal(400, message, code="amount_too_small")
    if total > MAX_CENTS:
        raise Refusal(400, "The Checkout Session's total has too many digits.", code="amount_too_large")
    return int(total)


def _check_expiry(wish: dict[str, Any], now: int) -> None:
    if "expires_at" not in wish:
        return
    life = wish["expires_at"] - now
    if life < MIN_LIFE:
        raise Refusal(400, "expires_at has to be at least 30 minutes after creation.", param="expires_at")
    if life > MAX_LIFE:
        raise Refusal(400, "expires_at has to be at most 24 hours after creation.", param="expires_at")


def _methods(call: Call, wish: dict[str, Any], currency: str) -> list[str]:
    """Return what is left of the wanted methods; none at all is an error, fewer than wanted is not."""
    allowed = wish.get("allowed_payment_method_types")
    methods = call.book.account.methods_for(currency, allowed, wish.get("excluded_payment_method_types"))
    if not methods:
        message = "No valid payment method types for this Checkout Session: switch some on in the dashboard."
        raise Refusal(400, message, param="allowed_payment_method_types" if allowed else None)
    return methods


def _check_descriptors(call: Call, wish: dict[str, Any], methods: list[str]) -> None:
    """Refuse descriptors that card schemes and banks do not carry (5 to 22 characters, one letter)."""
    whole, suffix = wish.get("statement_descriptor"), wish.get("statement_descriptor_suffix")
    base = "payment_intent_data[statement_descriptor"
    if whole is not None:
        if not _DESCRIPTOR.fullmatch(whole):
            message = (
                "A statement descriptor has 5 to 22 characters, at least one letter, and none of <>\"'*\\."
            )
            raise Refusal(400, message, code="invalid_statement_descriptor", param=f"{base}]")
        if "card" in methods and not call.book.account.card_descriptor_allowed:
            message = "statement_descriptor is not supported for cards; use statement_descriptor_suffix."
            raise Refusal(400, message, param=f"{base}]")
    if suffix is not None and not _SUFFIX.fullmatch(suffix):
        message = "A statement descriptor suffix has at most 22 characters, a letter, and none of <>\"'*\\."
        raise Refusal(400, message, code="invalid_statement_descriptor", param=f"{base}_suffix]")
