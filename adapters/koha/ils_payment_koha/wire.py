"""Pure translation of the accounts in Koha's JSON into the house's words; no I/O.

Facts marked *seen* were seen on a running Koha 23.05.04, *read* in its code. JSON numbers come
as ``Decimal`` or ``int``; a float never gets here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ils_payment import money
from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Account, Charge, Credit, Fee, PatronRef

_ID = re.compile(r"[1-9][0-9]{0,17}")
_MARKER = re.compile(r"ILSP-[A-Z0-9]{1,23}-[A-Z0-9]")
_MARKER_IN_NOTE = re.compile(rf"(?<![A-Z0-9-]){_MARKER.pattern}(?![A-Z0-9-])")
_DATABASE_STEP = Decimal("0.000001")
"""Koha keeps amounts as decimal(28,6) (read); what is smaller is noise of its floating point."""


def account(body: object, patron: PatronRef, currency: str, read_at: datetime) -> Account:
    """Read the answer of ``GET /patrons/{id}/account``; raise RemoteGarbledError.

    A line with a part of a cent (Koha takes 1.005, seen) makes the whole answer garbled, because
    such a line could neither be shown nor settled exactly. The list is not complete when Koha's
    totals do not fit its lines.
    """
    whole = fields(body)
    debits, credits_ = fields(whole.get("outstanding_debits")), fields(whole.get("outstanding_credits"))
    fees = tuple(_fee(line, cents) for line, cents in _open_lines(debits, patron, currency) if cents > 0)
    if len({fee.ref for fee in fees}) != len(fees):
        raise garbled("lists one line twice")
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
    for entry in lines(part.get("lines")):
        line = fields(entry)
        if not is_id(line.get("account_line_id")) or str(line.get("patron_id")) != patron:
            raise garbled("holds a line that has no id or belongs to somebody else")
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
    line = fields(body)
    if not is_id(line.get("account_line_id")):
        raise garbled("holds a credit without an id")
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
    line = fields(body)
    if not is_id(line.get("account_line_id")):
        raise garbled("holds a debit without an id")
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


def is_number(text: str) -> bool:
    """Tell whether *text* can be one of Koha's numbers of patrons and lines."""
    return _ID.fullmatch(text) is not None


def is_marker(text: str) -> bool:
    """Tell whether *text* has the shape of a marker; it has none of the wildcards of SQL."""
    return _MARKER.fullmatch(text) is not None


def made_at(line: object) -> datetime:
    """Return when an account line was made, in UTC (Koha tells whole seconds)."""
    return _instant(fields(line).get("date")).astimezone(UTC)


# --- small parts -----------------------------------------------------------------------------


def garbled(what: str) -> RemoteGarbledError:
    """Make the error of an answer that is against Koha's specification; *what* is not personal."""
    return RemoteGarbledError(
        f"Koha's answer {what}.", mend="Does this version of Koha fit? See docs/koha.md."
    )


def fields(value: object) -> dict[str, Any]:
    """Return the fields of a JSON object; raise RemoteGarbledError when it is none."""
    if not isinstance(value, dict):
        raise garbled("holds something else where an object has to be")
    return value


def lines(value: object) -> list[Any]:
    """Return the entries of a JSON list; raise RemoteGarbledError when it is none."""
    if not isinstance(value, list):
        raise garbled("holds something else where a list has to be")
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
        raise garbled("holds a total that is no amount") from None


def _instant(value: object) -> datetime:
    """Read a time with its offset, as Koha tells it; raise RemoteGarbledError."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise garbled("holds something else where a time has to be") from None
    if found.tzinfo is None:
        raise garbled("holds a time without its offset")
    return found
