"""Amounts and days as library systems write them. Pure; a text that is none is a ValueError."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from ils_payment import money

if TYPE_CHECKING:
    from ils_payment_opac_soap.preset import Dates, Money

_DAYS = {
    "iso": (r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ].*|Z|[+-][0-9:]+)?", "%Y-%m-%d"),
    "german": (r"(?P<d>[0-9]{2})\.(?P<m>[0-9]{2})\.(?P<y>[0-9]{4})", "%d.%m.%Y"),
    "compact": (r"([0-9]{4})([0-9]{2})([0-9]{2})(?:[T ]?[0-9]*)?", "%Y%m%d"),
}
_GROUPED = r"[0-9]{1,3}(?:[.,' \u00a0\u202f][0-9]{3})*|[0-9]{1,9}"


def cents(text: str, style: Money, currency: str, mark: str = "comma") -> int:
    """Return an amount in cents.

    ``minor``: cents already. ``point``, ``comma``: a number with that decimal mark. ``text``: with a currency
    and thousands around it, such as ``-1.234,50 EUR``; *mark* says which decimal mark it has.
    """
    text = text.strip()
    if style == "minor":
        if not re.fullmatch(r"[+-]?[0-9]{1,10}(\.0+)?", text):
            raise ValueError("no whole number of cents")
        return _bounded(int(text.partition(".")[0]))
    number = _number_in(text, mark) if style == "text" else text
    sign = "," if (mark if style == "text" else style) == "comma" else "."
    if not re.fullmatch(rf"[+-]?[0-9]{{1,9}}({re.escape(sign)}[0-9]{{1,6}})?", number):
        raise ValueError("no amount")
    return money.parse(Decimal(number.replace(sign, ".")), currency)


def _number_in(text: str, mark: str) -> str:
    """Return the one number in a text, without the marks between its thousands."""
    sign = "," if mark == "comma" else "."
    found = re.fullmatch(
        rf"[^0-9+\-\u2212]*([+\-\u2212]?)[^0-9+\-\u2212]*((?:{_GROUPED}))({re.escape(sign)}[0-9]{{1,6}})?\D*",
        text,
    )
    if found is None or sign in found[2]:
        raise ValueError("no amount, or more than one")
    whole = re.sub(r"[^0-9]", "", found[2])
    return ("-" if found[1] in {"-", "\u2212"} else "") + whole + (found[3] or "")


def _bounded(number: int) -> int:
    if abs(number) > money.MAX_CENTS:
        raise ValueError("beyond what this program handles")
    return number


def amount(number: int, style: Money, currency: str) -> str:
    """Return cents as the library system reads them; ``text`` is for reading only."""
    if style == "minor":
        return str(number)
    written = f"{money.to_decimal(number, currency):f}"
    return written.replace(".", ",") if style == "comma" else written


def day(text: str, style: Dates) -> date | None:
    """Return a day; None for an empty text."""
    if not text.strip():
        return None
    found = re.fullmatch(_DAYS[style][0], text.strip())
    if found is None:
        raise ValueError("no day")
    named = found.groupdict()
    parts = (named["y"], named["m"], named["d"]) if named else found.groups()[:3]
    return date(*(int(part) for part in parts))


def day_text(value: date, style: Dates) -> str:
    """Return a day as the library system reads it."""
    return value.strftime(_DAYS[style][1])


def line(text: str) -> str:
    """Return a text of the remote without what would be no text on a page."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()
