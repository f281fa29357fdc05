"""The new expiry of a card, pure: what is written, and the table that says what each answer to it means.

Facts marked *seen* were seen on a running Koha 23.05.04, *read* in the code of Koha.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ils_payment.model import NotApplied, Renewed, Unclear
from ils_payment_koha import settling
from ils_payment_koha.answers import Shape
from ils_payment_koha.settling import Row, Verdict
from ils_payment_koha.wire import is_number

if TYPE_CHECKING:
    from ils_payment.model import RenewOrder, RenewOutcome
    from ils_payment_koha.answers import Answer

_DEMANDED = ("surname", "library_id", "category_id")
"""What Koha wants in every change of a patron (seen); sent as it was just read."""

# The first row that fits decides.
OUTCOMES: tuple[Row, ...] = (
    Row(200, None, Verdict.BY_EXPIRY, "koha_200"),
    # Older versions say so when nothing was to be changed (read): then somebody else wrote this expiry.
    Row(204, None, Verdict.UNCLEAR, "koha_204_without_expiry"),
    # Library and category are looked up before anything is stored (seen: the expiry stayed).
    Row(
        400,
        (Shape.ERROR,),
        Verdict.NEVER,
        "koha_400_library_or_category_unknown",
        words=("Given library_id does not exist", "Given category_id does not exist"),
    ),
    # Newer versions add a code to the same sentence about a patron who is not there (read).
    Row(404, (Shape.CODE,), Verdict.NEVER, "koha_404_patron_missing"),
    # Card number or user name of somebody else (seen: the expiry stayed). Neither is ever sent.
    Row(409, (Shape.ERROR,), Verdict.NEVER, "koha_409_conflict"),
    # A 500 was not seen here; Koha answers after it has stored (read), so it never means "not written".
    *settling.WITHOUT_SUCCESS,
)


def order_problem(order: RenewOrder) -> str | None:
    """Say what can be seen to be wrong with *order* without asking Koha; None if nothing.

    Koha keeps no marker with a new expiry, so that of the order is not looked at.
    """
    if not is_number(order.patron):
        return "order_patron_is_no_koha_id"
    # Koha's API follows no rule of its own: it writes the day that it is told.
    if order.until is None:
        return "order_until_missing"
    # A card without an expiry never ends in Koha; any day would make it shorter.
    if order.base is None:
        return "order_card_never_expires"
    if order.until <= order.base:
        return "order_until_is_not_later"
    return None


def patron_text(patron: object, order: RenewOrder) -> str | NotApplied:
    """Return the JSON text that gives the *patron* (as just read) the new expiry and changes nothing else.

    What is not sent stays as it is (seen), so nothing but what Koha demands goes along: a whole record
    would undo what somebody else changed since it was read (seen). Refused, but not for good, when the
    expiry is not the one of the order any more: the core then reads the card itself and decides.
    """
    if not isinstance(patron, dict) or str(patron.get("patron_id")) != order.patron:
        return NotApplied(reason="koha_patron_unreadable")
    fields = {name: patron.get(name) for name in _DEMANDED}
    # Koha shows patrons of branches that it keeps from us with nulls (read); it would store them (seen).
    if not all(isinstance(value, str) for value in fields.values()):
        return NotApplied(reason="koha_patron_withheld", permanent=True)
    if order.base is None or order.until is None or patron.get("expiry_date") != order.base.isoformat():
        return NotApplied(reason="koha_expiry_changed_meanwhile")
    return json.dumps(fields | {"expiry_date": order.until.isoformat()})


def renew_outcome(answer: Answer, order: RenewOrder) -> RenewOutcome:
    """Return what *answer* says of *order*, by :data:`OUTCOMES`."""
    row = next(row for row in OUTCOMES if row.fits(answer))
    return _written(answer.body, order) if row.verdict is Verdict.BY_EXPIRY else settling.without_booking(row)


def _written(body: object, order: RenewOrder) -> RenewOutcome:
    """Read the patron as Koha says it stored it; Unclear unless it has exactly the expiry of the order."""
    if not isinstance(body, dict) or order.until is None:
        return Unclear(reason="koha_200_unreadable")
    if str(body.get("patron_id")) != order.patron:
        return Unclear(reason="koha_200_other_patron")
    if body.get("expiry_date") != order.until.isoformat():
        return Unclear(reason="koha_200_other_expiry")
    return Renewed(valid_until=order.until)
