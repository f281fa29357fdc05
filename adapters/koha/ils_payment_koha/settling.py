"""Settling, pure: the text of the money call, and the table that says what each answer to it means.

The counter-debit has its own in :mod:`ils_payment_koha.charging`. Facts marked *seen* were seen on a
running Koha 23.05.04, *read* in its code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ils_payment import money
from ils_payment.model import Applied, NotApplied, Unclear
from ils_payment_koha.answers import Answer, Shape
from ils_payment_koha.wire import cents_of, is_id, is_marker, is_number

if TYPE_CHECKING:
    from ils_payment.model import CreditOrder, SettleOutcome


class Verdict(StrEnum):
    """What an answer to a call that writes says."""

    BY_AMOUNTS = "the amounts in the answer decide"
    BY_EXPIRY = "the expiry in the answer decides"
    NOT_APPLIED = "certainly not applied; can be mended"
    NEVER = "certainly not applied; asking again cannot help"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table of outcomes; ``status``, ``shapes`` or ``words`` None means any."""

    status: int | None
    shapes: tuple[Shape, ...] | None
    verdict: Verdict
    reason: str
    words: tuple[str, ...] | None = None

    def fits(self, answer: Answer) -> bool:
        """Tell whether this row is about *answer*."""
        return (
            self.status in {None, answer.status}
            and (self.shapes is None or answer.shape in self.shapes)
            and (self.words is None or answer.word in self.words)
        )


# "Certainly not applied" needs a body of Koha's own: a proxy that filters answers may put its own
# 403 in front of a credit that has been booked. All calls that write end with these rows.
WITHOUT_SUCCESS: tuple[Row, ...] = (
    # The request is validated before anything is stored (seen for both of these shapes).
    Row(400, (Shape.ERRORS, Shape.LIST), Verdict.NEVER, "koha_400_request_invalid"),
    # Older versions turn whatever goes wrong while they book, a deadlock included, into a 400 with
    # a bare "error" (read in Koha::REST::V1::Patrons::Account of 2019); 23.05 was never seen to.
    Row(400, None, Verdict.UNCLEAR, "koha_400_not_from_validation"),
    # Who calls and whether he may is decided before anything else (seen).
    Row(401, (Shape.ERROR,), Verdict.NOT_APPLIED, "koha_401_not_authenticated"),
    Row(403, (Shape.PERMISSIONS, Shape.ERROR), Verdict.NOT_APPLIED, "koha_403_right_missing"),
    # The patron is looked up first (seen); a path that Koha does not know does nothing (seen).
    Row(404, (Shape.ERROR,), Verdict.NEVER, "koha_404_patron_missing"),
    Row(404, (Shape.ERRORS,), Verdict.NOT_APPLIED, "koha_404_path_unknown"),
    # A web server in front says these two of the request, before it passes it on (inferred).
    Row(413, None, Verdict.NOT_APPLIED, "koha_413_refused_by_web_server"),
    Row(429, None, Verdict.NOT_APPLIED, "koha_429_too_many_requests"),
    # A deadlock answers 500 and leaves the credit behind (seen): 500 never means "not booked".
    Row(500, None, Verdict.UNCLEAR, "koha_500"),
    Row(502, None, Verdict.UNCLEAR, "koha_502"),
    Row(503, None, Verdict.UNCLEAR, "koha_503"),
    Row(504, None, Verdict.UNCLEAR, "koha_504"),
    Row(None, None, Verdict.UNCLEAR, "koha_answer_not_classified"),
)

# The first row that fits decides.
OUTCOMES: tuple[Row, ...] = (
    Row(201, None, Verdict.BY_AMOUNTS, "koha_201"),
    # Very old versions answered 200 with an id alone (read): something is booked, nobody knows how much.
    Row(200, None, Verdict.UNCLEAR, "koha_200_without_amounts"),
    *WITHOUT_SUCCESS,
)


def settle_outcome(answer: Answer, order: CreditOrder) -> SettleOutcome:
    """Return what *answer* says of *order*, by :data:`OUTCOMES`."""
    row = next(row for row in OUTCOMES if row.fits(answer))
    return _booked(answer.body, order) if row.verdict is Verdict.BY_AMOUNTS else without_booking(row)


def without_booking(row: Row) -> NotApplied | Unclear:
    """Return what a *row* says whose verdict does not depend on amounts."""
    if row.verdict is Verdict.UNCLEAR:
        return Unclear(reason=row.reason)
    return NotApplied(reason=row.reason, permanent=row.verdict is Verdict.NEVER)


def _booked(body: object, order: CreditOrder) -> SettleOutcome:
    """Read the credit that Koha says it made; Unclear unless it is exactly the one that was ordered."""
    if not isinstance(body, dict):
        return Unclear(reason="koha_201_unreadable")
    line_id, amount, rest = (body.get(k) for k in ("account_line_id", "amount", "amount_outstanding"))
    try:
        credited = -cents_of(amount, order.currency)
        unapplied = -cents_of(rest, order.currency)
    except ValueError:
        return Unclear(reason="koha_201_unreadable")
    if not is_id(line_id):
        return Unclear(reason="koha_201_unreadable")
    if str(body.get("patron_id")) != order.patron or body.get("internal_note") != order.marker:
        return Unclear(reason="koha_201_other_credit")
    if credited != order.cents or not 0 <= unapplied <= credited:
        return Unclear(reason="koha_201_other_amount")
    return Applied(remote_ref=str(line_id), applied=credited - unapplied, unapplied=unapplied)


def order_problem(order: CreditOrder, currency: str) -> str | None:
    """Say what can be seen to be wrong with *order* without asking Koha; None if nothing."""
    if order.currency != currency:
        return "order_currency_differs"
    if not is_number(order.patron):
        return "order_patron_is_no_koha_id"
    if not is_marker(order.marker):
        return "order_marker_malformed"
    refs = [line.ref for line in order.lines]
    # Without ids, or with one that Koha does not know, the money would go to the oldest fee (seen).
    if not refs or any(ref is None or not is_number(ref) for ref in refs) or len(set(refs)) != len(refs):
        return "order_lines_malformed"
    if not 0 < order.cents <= money.MAX_CENTS or any(line.cents <= 0 for line in order.lines):
        return "order_amount_malformed"
    if sum(line.cents for line in order.lines) != order.cents:
        return "order_sum_differs"
    return None


def credit_text(order: CreditOrder, *, payment_type: str, description: str, library_id: str | None) -> str:
    """Return the JSON text of the money call; the amount is written out from integer cents."""
    fields: dict[str, object] = {
        # An unknown credit type would become a new one in Koha (seen), so it is fixed here.
        "credit_type": "PAYMENT",
        "account_lines_ids": [int(line.ref or 0) for line in order.lines],
        "payment_type": payment_type,
        "description": description,
        "note": order.marker,
    }
    if library_id is not None:
        fields["library_id"] = library_id
    amount = money.to_decimal(order.cents, order.currency)
    # The json module knows no decimals, and a float must not touch the amount.
    return f'{{"amount": {amount:f}, {json.dumps(fields)[1:]}'
