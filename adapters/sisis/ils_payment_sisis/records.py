"""What the keys of SISIS mean, pure: amounts, days, the account, the card.

Names and formats were read in public programs: ``Soll`` (owed), ``Gut`` (credit), ``Sperre``,
``SperrVermerk``, ``AusweisEnde``; amounts with a decimal comma, days as ``dd.mm.yyyy``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from ils_payment import money
from ils_payment.errors import RemoteGarbledError
from ils_payment.model import WHOLE_ACCOUNT, Account, Block, Card, Fee

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

Amounts = Literal["comma", "point", "cents"]

_TEXT_LIMIT = 300
_FORMS = {
    # A whole number could be cents as well as euros, so only a plain zero may be without decimals.
    "comma": re.compile(r"([+-]?)([0-9]{1,6}|[0-9]{1,3}(?:\.[0-9]{3})+),([0-9]{2})|([+-]?)0"),
    "point": re.compile(r"([+-]?)([0-9]{1,6}|[0-9]{1,3}(?:,[0-9]{3})+)\.([0-9]{2})|([+-]?)0"),
    "cents": re.compile(r"[+-]?[0-9]{1,8}"),
}
_NO_BLOCK = {"", "0"}
"""Values of ``Sperre`` that are taken for none; unverified."""


@dataclass(frozen=True, slots=True)
class Position:
    """One open fee as it is shown: SISIS gives it no id, so it cannot be paid alone."""

    cents: int
    text: str
    day: date | None


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """To whom a card belongs, as far as a tariff has to know it."""

    number: str
    category: str
    birth_date: date | None


def cents(amount: str, form: Amounts, currency: str) -> int:
    """Return an amount in cents; RemoteGarbledError for anything that is not certainly one."""
    text = amount.strip()
    if _FORMS[form].fullmatch(text) is None:
        raise RemoteGarbledError(
            "An amount of SISIS is not in the form that the configuration says.",
            mend="Is amounts right (comma, point, cents)?",
        )
    if form == "cents":
        return int(text)
    # What is not the decimal mark groups thousands.
    plain = text.replace(".", "").replace(",", ".") if form == "comma" else text.replace(",", "")
    try:
        return money.parse(Decimal(plain), currency)
    except money.MoneyError:
        raise RemoteGarbledError("An amount of SISIS is no whole number of cents.") from None


def day(text: str | None, what: str) -> date | None:
    """Return a day (``31.12.2027``, or ``2027-12-31``, perhaps with a time behind), None for an empty text.

    RemoteGarbledError for anything else: a card must not look as if it never ended.
    """
    if not (text or "").strip():
        return None
    german = re.match(r"\s*([0-9]{2})\.([0-9]{2})\.([0-9]{4})(?![0-9])", text or "")
    iso = re.match(r"\s*([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9])", text or "")
    try:
        if german:
            return date(int(german[3]), int(german[2]), int(german[1]))
        if iso:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
    except ValueError:
        pass
    raise RemoteGarbledError(f"The {what} that SISIS gives is no day.")


def account(balance: int, positions: Sequence[Position], currency: str, read_at: datetime) -> Account:
    """Return the account: one fee for the whole balance, because no single one can be named.

    The texts of *positions* go along only when they add up to what is owed: else they would contradict it.
    """
    if abs(balance) > money.MAX_CENTS:
        raise RemoteGarbledError("SISIS gives a balance that no patron can have.")
    fees: tuple[Fee, ...] = ()
    if balance > 0:
        text = _told(positions, currency) if sum(one.cents for one in positions) == balance else ""
        fee = Fee(ref=None, claim_key=WHOLE_ACCOUNT, cents=balance, kind=WHOLE_ACCOUNT, text=text)
        fees = (fee,)
    return Account(balance=balance, open_credit=max(-balance, 0), fees=fees, read_at=read_at)


def _told(positions: Iterable[Position], currency: str) -> str:
    told = []
    for one in positions:
        amount = f"{money.to_decimal(one.cents, currency):f} {currency}".replace(".", ",")
        since = f" ({one.day:%d.%m.%Y})" if one.day else ""
        told.append(f"{line(one.text)} {amount}{since}".strip())
    return "; ".join(told)[:_TEXT_LIMIT]


def birth_date(text: str | None) -> date | None:
    """Return a birth date, None where there is none that can be read: it must not hinder anything else."""
    try:
        return day(text, "birth date")
    except RemoteGarbledError:
        return None


def card(
    person: Person,
    valid_until: date | None,
    blocks: Iterable[tuple[str, str]],
    kinds: Mapping[str, str],
    today: date,
) -> Card:
    """Return the card; *blocks* are ids and texts, *kinds* says which of our kinds an id is.

    A block of unknown kind was set by a person, as far as is known, and only a person lifts it.
    """
    found = []
    for block_id, text in blocks:
        kind = kinds.get(block_id.strip(), "restriction")
        found.append(Block(kind=kind, manual=kind == "restriction", text=line(text)[:_TEXT_LIMIT]))
    if valid_until is not None and valid_until < today:
        found.append(Block(kind="expired"))
    return Card(
        number=person.number,
        valid_until=valid_until,
        category=person.category,
        birth_date=person.birth_date,
        blocks=tuple(found),
    )


def blocks(block_id: str | None, text: str | None) -> list[tuple[str, str]]:
    """Return what ``Sperre`` and ``SperrVermerk`` say: one block, or none."""
    if (block_id or "").strip() in _NO_BLOCK and not (text or "").strip():
        return []
    return [(block_id or "", text or "")]


def same_card(one: str, other: str) -> bool:
    """Tell whether two card numbers are the same, whatever their case and the blanks around them."""
    return one.strip().casefold() == other.strip().casefold()


def line(text: str) -> str:
    """Return a text without what would be no text on a page."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()
