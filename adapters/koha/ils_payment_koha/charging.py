"""The counter-debit, pure: its text, and the table that says what each answer to it means.

Facts marked *seen* were seen on a running Koha 23.05.04, *read* in the code of Koha.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ils_payment import money
from ils_payment.model import Applied, Unclear
from ils_payment_koha import settling
from ils_payment_koha.answers import Shape
from ils_payment_koha.settling import Row, Verdict
from ils_payment_koha.wire import cents_of, is_id, is_marker, is_number

if TYPE_CHECKING:
    from ils_payment.model import ChargeOrder, SettleOutcome
    from ils_payment_koha.answers import Answer

_LONGEST_RECEIPT = 60
"""Characters of what names the payment that was refunded, a marker or a receipt number, in the text."""

# A debit and its offset are stored in one transaction (read), so nothing is left of one that these
# two sentences refuse (seen: the list of debits did not have it). Everything else is as with a credit,
# because the same code of Koha stands before it; a 500 was only seen before anything was stored, but
# after the transaction the answer is still to be made (read), so it never means "not booked" here either.
OUTCOMES: tuple[Row, ...] = (
    Row(
        400,
        (Shape.ERROR,),
        Verdict.NEVER,
        "koha_400_debit_type_unknown",
        words=("Account type was not recognised",),
    ),
    Row(
        400,
        (Shape.ERROR,),
        Verdict.NEVER,
        "koha_400_amount_not_positive",
        words=("Amount should be a positive decimal",),
    ),
    *settling.OUTCOMES,
)


def charge_outcome(answer: Answer, order: ChargeOrder) -> SettleOutcome:
    """Return what *answer* says of *order*, by :data:`OUTCOMES`."""
    row = next(row for row in OUTCOMES if row.fits(answer))
    if row.verdict is Verdict.BY_AMOUNTS:
        return _booked(answer.body, order)
    return settling.without_booking(row)


def _booked(body: object, order: ChargeOrder) -> SettleOutcome:
    """Read the debit that Koha says it made; Unclear unless it is exactly the one that was ordered."""
    if not isinstance(body, dict):
        return Unclear(reason="koha_201_unreadable")
    line_id = body.get("account_line_id")
    try:
        charged = cents_of(body.get("amount"), order.currency)
    except ValueError:
        return Unclear(reason="koha_201_unreadable")
    if not is_id(line_id):
        return Unclear(reason="koha_201_unreadable")
    if str(body.get("patron_id")) != order.patron or body.get("internal_note") != order.marker:
        return Unclear(reason="koha_201_other_debit")
    if charged != order.cents:
        return Unclear(reason="koha_201_other_amount")
    return Applied(remote_ref=str(line_id), applied=charged, unapplied=0)


def order_problem(order: ChargeOrder, currency: str) -> str | None:
    """Say what can be seen to be wrong with *order* without asking Koha; None if nothing."""
    if order.currency != currency:
        return "order_currency_differs"
    if not is_number(order.patron):
        return "order_patron_is_no_koha_id"
    if not is_marker(order.marker):
        return "order_marker_malformed"
    if len(order.settled_with) > _LONGEST_RECEIPT or not order.settled_with.isprintable():
        return "order_receipt_malformed"
    if not 0 < order.cents <= money.MAX_CENTS:
        return "order_amount_malformed"
    return None


def debit_text(order: ChargeOrder, *, debit_type: str, description: str, library_id: str | None) -> str:
    """Return the JSON text of the call; the amount is written out from integer cents.

    Without a type Koha answers 500, with an unknown one 400 (both seen).
    """
    fields: dict[str, object] = {
        "type": debit_type,
        "description": description,
        "internal_note": order.marker,
    }
    if library_id is not None:
        fields["library_id"] = library_id
    amount = money.to_decimal(order.cents, order.currency)
    # The json module knows no decimals, and a float must not touch the amount.
    return f'{{"amount": {amount:f}, {json.dumps(fields)[1:]}'
