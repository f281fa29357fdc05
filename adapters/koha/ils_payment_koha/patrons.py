"""Pure translation of what Koha says of patrons, their cards and categories; no I/O."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Block, Card, CategoryFee, ExpiringCard, PatronRef
from ils_payment_koha.wire import cents_of, fields, garbled, is_id, lines

if TYPE_CHECKING:
    from datetime import date


def patron_of(body: object, card_number: str) -> PatronRef | None:
    """Return the one patron of a list whose card number is exactly *card_number*.

    Koha compares without regard to case, so what it found is compared again.
    """
    exact = [entry for entry in map(fields, lines(body)) if entry.get("cardnumber") == card_number]
    if not exact:
        return None
    if len(exact) > 1 or not is_id(exact[0].get("patron_id")):
        raise garbled("names several patrons for one card number")
    return PatronRef(str(exact[0]["patron_id"]))


def login_attempts(body: object) -> list[int]:
    """Return, for each patron of a list, how often the password was wrong since it was right."""
    counts = [entry.get("login_attempts") or 0 for entry in map(fields, lines(body))]
    if not all(isinstance(count, int) for count in counts):
        raise garbled("holds something else where a number of wrong passwords has to be")
    return counts


def validated_patron(body: object) -> PatronRef | None:
    """Return the patron of a successful password validation; None if the answer names none."""
    number = body.get("patron_id") if isinstance(body, dict) else None
    return PatronRef(str(number)) if is_id(number) else None


def card(body: object, today: date) -> Card:
    """Read ``GET /patrons/{id}``; *today* is the library's own day.

    Koha has no flag for an expired card (seen). Of a restriction it tells neither kind nor
    reason, so whether a person set it is unknown; no path of its API lifts one (seen). The day
    of the last renewal is set by Koha's own renewing (read), not by a new expiry from here (seen).
    """
    patron = fields(body)
    valid_until, birth_date = _day(patron.get("expiry_date")), _day(patron.get("date_of_birth"))
    blocks = []
    if valid_until is not None and valid_until < today:
        blocks.append(Block(kind="expired"))
    if patron.get("restricted") is True:
        blocks.append(Block(kind="restriction"))
    if patron.get("patron_card_lost") is True:
        blocks.append(Block(kind="lost_card", manual=True))
    if patron.get("incorrect_address") is True:
        blocks.append(Block(kind="address", manual=True))
    number = patron.get("cardnumber")
    return Card(
        number=number if isinstance(number, str) else None,
        valid_until=valid_until,
        category=str(patron.get("category_id") or ""),
        birth_date=birth_date,
        blocks=tuple(blocks),
        renewed_on=_day(patron.get("date_renewed")),
    )


def patron_number(body: object) -> int:
    """Return the id of a listed patron; raise RemoteGarbledError."""
    number = fields(body).get("patron_id")
    if not isinstance(number, int) or not is_id(number):
        raise garbled("holds a patron without an id")
    return number


def expiring_card(body: object) -> ExpiringCard | None:
    """Read one entry of ``GET /patrons`` that was found by its expiry; None where Koha withholds it.

    Koha shows patrons of branches that it keeps from us with nulls (read).
    """
    patron = fields(body)
    valid_until = _day(patron.get("expiry_date"))
    if valid_until is None:
        return None
    email, language = (str(patron.get(key) or "").strip() for key in ("email", "lang"))
    return ExpiringCard(
        patron=PatronRef(str(patron_number(body))),
        valid_until=valid_until,
        category=str(patron.get("category_id") or ""),
        email=email or None,
        # Koha's own word for a patron who has chosen none (seen).
        language=None if language in {"", "default"} else language,
    )


def category_fee(body: object, currency: str) -> CategoryFee:
    """Read one entry of ``GET /patron_categories`` (read in the specification of 26.02, not seen).

    A category has a number of months or a fixed day. No fee is null.
    """
    category = fields(body)
    code, fee, months = (category.get(k) for k in ("patron_category_id", "enrolment_fee", "enrolment_period"))
    if not isinstance(code, str) or not code:
        raise garbled("holds a patron category without a code")
    try:
        cents = 0 if fee is None else cents_of(fee, currency)
    except ValueError:
        raise RemoteGarbledError(
            f"Koha's patron category {code} has a fee that is not whole cents.",
            mend="Correct it in Koha: Administration > Patron categories.",
        ) from None
    if cents < 0:
        raise garbled(f"holds a fee below zero for the patron category {code}")
    return CategoryFee(
        category=code,
        name=str(category.get("name") or ""),
        cents=cents,
        months=months if isinstance(months, int) and is_id(months) else None,
    )


def _day(value: object) -> date | None:
    """Read a day such as ``2027-04-21``, or nothing; raise RemoteGarbledError."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(str(value)).date()
    except ValueError:
        raise garbled("holds something else where a day has to be") from None
