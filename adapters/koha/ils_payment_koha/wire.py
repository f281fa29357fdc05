"""Pure translation between Koha's JSON and the house's words; no I/O.

Facts marked *seen* were seen on a running Koha 23.05.04, *read* in its code. JSON numbers come
as ``Decimal`` or ``int``; a float never gets here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ils_payment import money
from ils_payment.errors import RemoteGarbledError
from ils_payment.model import (
    Account,
    Block,
    Card,
    CategoryFee,
    Charge,
    Credit,
    ExpiringCard,
    Fee,
    PatronRef,
)

if TYPE_CHECKING:
    from datetime import date

_ID = re.compile(r"[1-9][0-9]{0,17}")
_MARKER = re.compile(r"ILSP-[A-Z0-9]{1,23}-[A-Z0-9]")
_MARKER_IN_NOTE = re.compile(rf"(?<![A-Z0-9-]){_MARKER.pattern}(?![A-Z0-9-])")
_DATABASE_STEP = Decimal("0.000001")
"""Koha keeps amounts as decimal(28,6) (read); what is smaller is noise of its floating point."""


class Shape(StrEnum):
    """The bodies of Koha's errors (all five seen), and everything else."""

    ERROR = "error"
    CODE = "error and error_code"
    PERMISSIONS = "error and required_permissions"
    ERRORS = "errors and status"
    LIST = "bare list"
    OTHER = "not an error of Koha's"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status, its JSON (None when it is not JSON), its Date header, its X-Total-Count."""

    status: int
    body: Any
    is_json: bool = True
    date: str | None = None
    total: int | None = None

    @property
    def shape(self) -> Shape:
        """Which of Koha's error bodies this is."""
        body = self.body
        if isinstance(body, list) and body and all(isinstance(e, dict) and "message" in e for e in body):
            return Shape.LIST
        if not isinstance(body, dict):
            return Shape.OTHER
        if isinstance(body.get("errors"), list):
            return Shape.ERRORS
        if not isinstance(body.get("error"), str):
            return Shape.OTHER
        if "required_permissions" in body:
            return Shape.PERMISSIONS
        return Shape.CODE if "error_code" in body else Shape.ERROR

    @property
    def word(self) -> str:
        """Koha's own word for the error; empty where it has none. For comparisons, not for logs."""
        word = self.body.get("error") if isinstance(self.body, dict) else None
        return word if isinstance(word, str) else ""

    @property
    def permissions(self) -> str:
        """The rights that Koha says are missing, such as ``{"borrowers": "1"}``; else empty."""
        needed = self.body.get("required_permissions") if isinstance(self.body, dict) else None
        return json.dumps(needed, default=str) if needed else ""


def account(body: object, patron: PatronRef, currency: str, read_at: datetime) -> Account:
    """Read the answer of ``GET /patrons/{id}/account``; raise RemoteGarbledError.

    A line with a part of a cent (Koha takes 1.005, seen) makes the whole answer garbled, because
    such a line could neither be shown nor settled exactly. The list is not complete when Koha's
    totals do not fit its lines.
    """
    whole = _object(body)
    debits, credits_ = _object(whole.get("outstanding_debits")), _object(whole.get("outstanding_credits"))
    fees = tuple(_fee(line, cents) for line, cents in _open_lines(debits, patron, currency) if cents > 0)
    if len({fee.ref for fee in fees}) != len(fees):
        raise _garbled("lists one line twice")
    open_credit = sum(-cents for _, cents in _open_lines(credits_, patron, currency) if cents < 0)
    balance = _total(whole.get("balance"), currency)
    owed = sum(fee.cents for fee in fees)
    complete = (
        balance == owed - open_credit
        and _total(debits.get("total"), currency) == owed
        and _total(credits_.get("total"), currency) == -open_credit
    )
    return Account(balance=balance, open_credit=open_credit, fees=fees, read_at=read_at, complete=complete)


def _open_lines(part: dict[str, Any], patron: PatronRef, currency: str) -> list[tuple[dict[str, Any], int]]:
    """Return the lines of one half of the account with what is open of each, in cents."""
    found = []
    for entry in _list(part.get("lines")):
        line = _object(entry)
        if not is_id(line.get("account_line_id")) or str(line.get("patron_id")) != patron:
            raise _garbled("holds a line that has no id or belongs to somebody else")
        try:
            found.append((line, cents_of(line.get("amount_outstanding"), currency)))
        except ValueError:
            raise RemoteGarbledError(
                f"Koha's account line {line['account_line_id']} is not open with whole cents.",
                mend="In Koha, write the part of a cent off (the patron's account > Make a payment).",
            ) from None
    return found


def _fee(line: dict[str, Any], cents: int) -> Fee:
    """Translate one open debit; an empty description (seen for ACCOUNT) stays empty, pages label the kind."""
    kind, status, item = (line.get(key) for key in ("debit_type", "status", "item_id"))
    made = line.get("date")
    return Fee(
        ref=str(line["account_line_id"]),
        claim_key=str(line["account_line_id"]),
        cents=cents,
        kind=str(kind or ""),
        text=str(line.get("description") or "").strip(),
        status=str(status or ""),
        # The fine of an item that has not come back rises from day to day.
        growing=kind == "OVERDUE" and status == "UNRETURNED",
        since=None if made is None else _instant(made).date(),
        item=str(item) if is_id(item) else None,
    )


def credit(body: object, currency: str) -> Credit:
    """Read one entry of ``GET /patrons/{id}/account/credits``; raise RemoteGarbledError."""
    line = _object(body)
    if not is_id(line.get("account_line_id")):
        raise _garbled("holds a credit without an id")
    try:
        cents = -cents_of(line.get("amount"), currency)
        unapplied = -cents_of(line.get("amount_outstanding"), currency)
    except ValueError:
        raise RemoteGarbledError(
            f"Koha's credit {line['account_line_id']} has an amount that is not whole cents.",
            mend="Look at this line in Koha.",
        ) from None
    return Credit(
        remote_ref=str(line["account_line_id"]),
        marker=marker_in(line.get("internal_note")),
        cents=cents,
        unapplied=unapplied,
        at=made_at(line),
    )


def charge(body: object, currency: str) -> Charge:
    """Read one entry of ``GET /patrons/{id}/account/debits``; raise RemoteGarbledError."""
    line = _object(body)
    if not is_id(line.get("account_line_id")):
        raise _garbled("holds a debit without an id")
    try:
        cents = cents_of(line.get("amount"), currency)
    except ValueError:
        raise RemoteGarbledError(
            f"Koha's debit {line['account_line_id']} has an amount that is not whole cents.",
            mend="Look at this line in Koha.",
        ) from None
    return Charge(
        remote_ref=str(line["account_line_id"]),
        marker=marker_in(line.get("internal_note")),
        cents=cents,
        at=made_at(line),
    )


def marker_in(note: object) -> str | None:
    """Return the marker in the note of a credit or debit, whatever staff wrote beside it; else None.

    Nothing else of a note passes the door: staff's own words may be personal.
    """
    found = _MARKER_IN_NOTE.search(note) if isinstance(note, str) else None
    return found.group() if found else None


def lines(body: object) -> list[object]:
    """Return the entries of a list answer; raise RemoteGarbledError when it is no list."""
    return _list(body)


def is_number(text: str) -> bool:
    """Tell whether *text* can be one of Koha's numbers of patrons and lines."""
    return _ID.fullmatch(text) is not None


def is_marker(text: str) -> bool:
    """Tell whether *text* has the shape of a marker; it has none of the wildcards of SQL."""
    return _MARKER.fullmatch(text) is not None


def made_at(line: object) -> datetime:
    """Return when an account line was made, in UTC (Koha tells whole seconds)."""
    return _instant(_object(line).get("date")).astimezone(UTC)


def patron_of(body: object, card_number: str) -> PatronRef | None:
    """Return the one patron of a list whose card number is exactly *card_number*.

    Koha compares without regard to case, so what it found is compared again.
    """
    exact = [entry for entry in map(_object, _list(body)) if entry.get("cardnumber") == card_number]
    if not exact:
        return None
    if len(exact) > 1 or not is_id(exact[0].get("patron_id")):
        raise _garbled("names several patrons for one card number")
    return PatronRef(str(exact[0]["patron_id"]))


def login_attempts(body: object) -> list[int]:
    """Return, for each patron of a list, how often the password was wrong since it was right."""
    counts = [entry.get("login_attempts") or 0 for entry in map(_object, _list(body))]
    if not all(isinstance(count, int) for count in counts):
        raise _garbled("holds something else where a number of wrong passwords has to be")
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
    patron = _object(body)
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
    number = _object(body).get("patron_id")
    if not isinstance(number, int) or not is_id(number):
        raise _garbled("holds a patron without an id")
    return number


def expiring_card(body: object) -> ExpiringCard | None:
    """Read one entry of ``GET /patrons`` that was found by its expiry; None where Koha withholds it.

    Koha shows patrons of branches that it keeps from us with nulls (read).
    """
    patron = _object(body)
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
    category = _object(body)
    code, fee, months = (category.get(k) for k in ("patron_category_id", "enrolment_fee", "enrolment_period"))
    if not isinstance(code, str) or not code:
        raise _garbled("holds a patron category without a code")
    try:
        cents = 0 if fee is None else cents_of(fee, currency)
    except ValueError:
        raise RemoteGarbledError(
            f"Koha's patron category {code} has a fee that is not whole cents.",
            mend="Correct it in Koha: Administration > Patron categories.",
        ) from None
    if cents < 0:
        raise _garbled(f"holds a fee below zero for the patron category {code}")
    return CategoryFee(
        category=code,
        name=str(category.get("name") or ""),
        cents=cents,
        months=months if isinstance(months, int) and is_id(months) else None,
    )


# --- small parts -----------------------------------------------------------------------------


def _garbled(what: str) -> RemoteGarbledError:
    """Make the error of an answer that is against Koha's specification; *what* is not personal."""
    return RemoteGarbledError(
        f"Koha's answer {what}.", mend="Does this version of Koha fit? See docs/koha.md."
    )


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _garbled("holds something else where an object has to be")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _garbled("holds something else where a list has to be")
    return value


def is_id(value: object) -> bool:
    """Tell whether a JSON value is an id."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _number(value: object) -> Decimal:
    """Return a JSON number without the noise of floating point; ValueError for what is no sane number.

    Koha's database holds six decimals, so a number that is nearer than half of the last of them
    to a value is this value; what is left is not noise and is never rounded away.
    """
    # A boolean is an int in Python.
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("not a number")  # noqa: TRY004 - callers treat it like an amount out of range
    number = Decimal(value)
    if abs(number) > money.MAX_CENTS:
        raise ValueError("beyond every library fee")
    return number.quantize(_DATABASE_STEP, rounding=ROUND_HALF_UP)


def cents_of(value: object, currency: str) -> int:
    """Return an amount that has to be whole cents; ValueError otherwise."""
    return money.parse(_number(value), currency)


def _total(value: object, currency: str) -> int:
    """Return a sum that Koha made in floating point, in cents; raise RemoteGarbledError."""
    try:
        cent = Decimal(1).scaleb(-money.minor_digits(currency))
        return money.parse(_number(value).quantize(cent, rounding=ROUND_HALF_UP), currency)
    except ValueError:
        raise _garbled("holds a total that is no amount") from None


def _instant(value: object) -> datetime:
    """Read a time with its offset, as Koha tells it; raise RemoteGarbledError."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise _garbled("holds something else where a time has to be") from None
    if found.tzinfo is None:
        raise _garbled("holds a time without its offset")
    return found


def _day(value: object) -> date | None:
    """Read a day such as ``2027-04-21``, or nothing; raise RemoteGarbledError."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(str(value)).date()
    except ValueError:
        raise _garbled("holds something else where a day has to be") from None


def http_date(text: str | None) -> datetime | None:
    """Return the instant of a Date header, None when there is none that can be read."""
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
