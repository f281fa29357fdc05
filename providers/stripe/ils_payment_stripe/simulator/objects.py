"""The API objects as they are when they arise: the fields that an integration reads, in Stripe's shapes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ils_payment_stripe.simulator.book import Book, Thing

# Real answers carry the payer's name and address. These are here so that a leak into logs can be seen.
PAYER: dict[str, Any] = {
    "address": {
        "city": "Herrenberg",
        "country": "DE",
        "line1": "Marktplatz 5",
        "line2": None,
        "postal_code": "71083",
        "state": None,
    },
    "email": "erika.musterfrau@example.org",
    "name": "Erika Musterfrau",
    "phone": None,
}


def new_session(
    book: Book, wish: dict[str, Any], *, lines: list[Thing], live: bool, methods: list[str], address: str
) -> Thing:
    """Return an open session for the checked request *wish*; its page is under *address*."""
    created = book.seconds()
    key = book.new_id(f"cs_{'live' if live else 'test'}_a1", 56)
    total = sum(line["amount_total"] for line in lines)
    adaptive = wish.get("adaptive_pricing", {}).get("enabled", book.account.adaptive_pricing)
    return {
        "id": key,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": adaptive},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "allowed_payment_method_types": wish.get("allowed_payment_method_types"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": wish.get("billing_address_collection"),
        "cancel_url": wish.get("cancel_url"),
        "client_reference_id": wish.get("client_reference_id"),
        "client_secret": None,
        "created": created,
        "currency": lines[0]["currency"],
        "currency_conversion": None,
        "customer": None,
        "customer_creation": wish.get("customer_creation", "if_required"),
        "customer_details": None,
        "customer_email": wish.get("customer_email"),
        "excluded_payment_method_types": wish.get("excluded_payment_method_types"),
        "expires_at": wish.get("expires_at", created + 86_400),
        "invoice": None,
        "livemode": live,
        "locale": wish.get("locale"),
        "metadata": wish.get("metadata", {}),
        "mode": wish["mode"],
        "payment_intent": None,
        "payment_link": None,
        "payment_method_options": {},
        "payment_method_types": methods,
        "payment_status": "unpaid",
        "presentment_details": None,
        "recovered_from": None,
        "setup_intent": None,
        "status": "open",
        "submit_type": wish.get("submit_type"),
        "subscription": None,
        "success_url": wish.get("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": wish.get("ui_mode", "hosted_page"),
        "url": f"{address}/c/pay/{key}",
    }


def new_lines(book: Book, wish: dict[str, Any]) -> list[Thing]:
    """Return the lines of a checked request as the API lists them."""
    return [
        {
            "id": book.new_id("li_1"),
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": item["price_data"]["unit_amount"] * item["quantity"],
            "amount_tax": 0,
            "amount_total": item["price_data"]["unit_amount"] * item["quantity"],
            "currency": item["price_data"]["currency"].lower(),
            "description": item["price_data"]["product_data"]["name"],
            "quantity": item["quantity"],
        }
        for item in wish["line_items"]
    ]


def new_intent(book: Book, session: Thing, wish: dict[str, Any]) -> Thing:
    """Return the payment intent of a session; a session's metadata is not copied to it."""
    key = book.new_id("pi_3")
    return {
        "id": key,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": wish.get("capture_method", "automatic_async"),
        "client_secret": f"{key}_secret_{book.new_id('')}",
        "confirmation_method": "automatic",
        "created": book.seconds(),
        "currency": session["currency"],
        "customer": None,
        "description": wish.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": session["livemode"],
        "metadata": wish.get("metadata", {}),
        "next_action": None,
        "payment_method": None,
        "payment_method_options": {},
        "payment_method_types": list(session["payment_method_types"]),
        "presentment_details": None,
        "processing": None,
        "receipt_email": wish.get("receipt_email"),
        "statement_descriptor": wish.get("statement_descriptor"),
        "statement_descriptor_suffix": wish.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
    }


def new_charge(book: Book, intent: Thing, method: str) -> Thing:
    """Return the successful charge of *intent* by *method*."""
    details: dict[str, Any] = {"type": method, method: {}}
    if method == "card":
        details["card"] = {
            "brand": "visa",
            "country": "DE",
            "funding": "credit",
            "last4": "4242",
            "network": "visa",
        }
    suffix = intent["statement_descriptor_suffix"]
    descriptor = f"{book.account.descriptor[:10]}* {suffix}"[:22] if suffix else book.account.descriptor
    return {
        "id": book.new_id("ch_3"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": copy.deepcopy(PAYER),
        "calculated_statement_descriptor": intent["statement_descriptor"] or descriptor,
        "captured": True,
        "created": book.seconds(),
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": intent["livemode"],
        "metadata": dict(intent["metadata"]),
        "outcome": {"network_status": "approved_by_network", "reason": None, "type": "authorized"},
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": book.new_id("pm_1"),
        "payment_method_details": details,
        "presentment_details": intent["presentment_details"],
        "receipt_email": intent["receipt_email"],
        "refunded": False,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": suffix,
        "status": "succeeded",
    }


def new_refund(book: Book, charge: Thing, cents: int, wish: dict[str, Any]) -> Thing:
    """Return a refund of *cents*; the caller decides its status."""
    return {
        "id": book.new_id("re_3"),
        "object": "refund",
        "amount": cents,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": book.seconds(),
        "currency": charge["currency"],
        "customer": None,
        "destination_details": {"type": charge["payment_method_details"]["type"]},
        "metadata": wish.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": wish.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def new_dispute(book: Book, charge: Thing, reason: str) -> Thing:
    """Return a dispute over the whole charge."""
    return {
        "id": book.new_id("du_1"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": book.seconds(),
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": {"due_by": book.seconds() + 7 * 86_400, "has_evidence": False, "past_due": False},
        "is_charge_refundable": False,
        "livemode": charge["livemode"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }
