"""What an answer about a patron (24 or 64) says: who it is, the account, the card. Pure."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from ils_payment import money
from ils_payment.errors import RemoteAbsentError, RemoteGarbledError
from ils_payment.model import WHOLE_ACCOUNT, Account, Block, Card, Fee
from ils_payment_sip2 import wire

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.model import LocalText
    from ils_payment_sip2.dialect import Dialect
    from ils_payment_sip2.wire import Message

POSITION = ("FA", "FB", "FC", "FD", "FE", "FF")
"""A fee in Gossip's answers: amount, id, day, title, kind, text of the kind.

The title is not used: it would be stored with the payment.
"""

_TEXT_LIMIT = 300
_FLAGS = {
    4: "lost_card",
    5: "restriction",
    6: "overdues",
    7: "restriction",
    8: "restriction",
    9: "restriction",
    10: "fees",
    11: "fees",
    12: "overdues",
    13: "restriction",
}
"""What a flag of the patron status says beyond the four denials in front; expiry has none of its own."""

_UNNAMED: LocalText = {
    "de": "Diese Gebühr hat in der Bibliothek keine Nummer. Bitte bezahlen Sie sie an der Theke.",
    "en": "This fee has no number at the library. Please pay it at the desk.",
}


def same_card(one: str, other: str) -> bool:
    """Tell whether two card numbers are the same; servers differ in case and in blanks around them."""
    return one.strip().casefold() == other.strip().casefold()


def card_of(message: Message, asked: str) -> str:
    """Return the card number as the server writes it.

    RemoteGarbledError when the answer is about somebody else, RemoteAbsentError when there is no such patron.
    """
    number = (message.first("AA") or "").strip()
    if not same_card(number, asked):
        raise RemoteGarbledError(
            "The SIP2 server's answer is about another patron, or names none.",
            mend="If it stays: does a gateway in between mix up connections?",
        )
    if message.first("BL") == "N" and not (message.first("AE") or "").strip() and message.first("CQ") != "Y":
        # Some servers say the same of a patron whose card has expired, and name that one.
        raise RemoteAbsentError("The SIP2 server has no such patron.")
    return number


def account(message: Message, dialect: Dialect, currency: str, read_at: datetime) -> Account:
    """Return what the patron owes. RemoteGarbledError where amounts or currency cannot be what they say."""
    if (message.first("BH") or currency) != currency:
        raise RemoteGarbledError(
            "The SIP2 server counts in another currency than the library.",
            mend="Set the library's currency, or the server's.",
        )
    balance = _balance(message, dialect, currency)
    if dialect.has_fee_ids:
        return _positions(message, dialect, currency, balance, read_at)
    fees: tuple[Fee, ...] = ()
    if balance > 0:
        text = "; ".join(line for one in message.every("AV") if (line := _line(one)))
        fees = (
            Fee(
                ref=None,
                claim_key=WHOLE_ACCOUNT,
                cents=balance,
                kind=WHOLE_ACCOUNT,
                text=_line(text)[:_TEXT_LIMIT],
            ),
        )
    return Account(balance=balance, open_credit=max(-balance, 0), fees=fees, read_at=read_at)


def _balance(message: Message, dialect: Dialect, currency: str) -> int:
    """Return BV in cents; without it nothing is owed, unless the answer itself says that there are fees."""
    amount = (message.first("BV") or "").strip()
    if amount:
        return cents(amount, dialect, currency)
    count = message.fixed[47:51] if message.code == "64" else "0000"
    if "Y" in message.fixed[10:12] or count != "0000" or message.first("AV") or message.first("FA"):
        raise RemoteGarbledError(
            "The SIP2 server says that there are fees, and not how much (no BV).",
            mend="Let the server send BV in message 64.",
        )
    return 0


def _positions(message: Message, dialect: Dialect, currency: str, balance: int, read_at: datetime) -> Account:
    fees: list[Fee] = []
    for place, group in enumerate(wire.groups(message, POSITION)):
        amount = cents(group.get("FA", "").strip(), dialect, currency)
        ref = group.get("FB", "").strip()
        if amount <= 0:
            continue
        named = bool(ref) and wire.is_safe(ref, dialect)
        if named and any(fee.ref == ref for fee in fees):
            raise RemoteGarbledError("The SIP2 server gave two fees the same id.")
        fees.append(
            Fee(
                ref=ref if named else None,
                claim_key=ref if named else f"unnamed-{place}",
                cents=amount,
                kind=_line(group.get("FE", "")) or WHOLE_ACCOUNT,
                text=_line(group.get("FF", ""))[:_TEXT_LIMIT],
                payable=named,
                reason=None if named else _UNNAMED,
                since=_german_day(group.get("FC", "")),
            )
        )
    listed = sum(fee.cents for fee in fees)
    return Account(
        balance=balance,
        open_credit=max(listed - balance, 0),
        fees=tuple(fees),
        read_at=read_at,
        # More is owed than the positions say, so some are missing.
        complete=listed >= balance,
    )


def card(message: Message, dialect: Dialect, today: date) -> Card:
    """Return the card: expiry and category where the dialect has a field for them, blocks from the flags."""
    until = _day(message.first(dialect.expiry_field)) if dialect.expiry_field else None
    flags = message.fixed[:14]
    kinds = {_FLAGS[place] for place in sorted(_FLAGS) if flags[place] == "Y"}
    if until is not None and until < today:
        kinds.add("expired")
    if (flags[0] == "Y" or message.first("BL") == "N") and not kinds:
        # Something denies lending and says no more of itself.
        kinds.add("restriction")
    return Card(
        number=(message.first("AA") or "").strip() or None,
        valid_until=until,
        category=_line(message.first(dialect.category_field) or "") if dialect.category_field else "",
        blocks=tuple(Block(kind=kind, manual=kind == "restriction") for kind in sorted(kinds)),
    )


def cents(amount: str, dialect: Dialect, currency: str) -> int:
    """Return an amount as the server writes it, in cents; RemoteGarbledError for anything else."""
    mark = re.escape(dialect.decimal_mark)
    if not re.fullmatch(rf"[+-]?[0-9]{{1,9}}({mark}[0-9]{{1,6}})?", amount):
        raise RemoteGarbledError(
            "The SIP2 server's amount is none.",
            mend="Is decimal_mark in the dialect right?",
        )
    try:
        return money.parse(Decimal(amount.replace(dialect.decimal_mark, ".")), currency)
    except money.MoneyError:
        raise RemoteGarbledError("The SIP2 server's amount is no whole number of cents.") from None


def amount_text(amount: int, dialect: Dialect, currency: str) -> str:
    """Return cents as the server reads them: ``12.50``."""
    return f"{money.to_decimal(amount, currency):f}".replace(".", dialect.decimal_mark)


def _line(text: str) -> str:
    """Return a text of the server without what would be no text on a page."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()


def _german_day(text: str) -> date | None:
    found = re.fullmatch(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4})", text.strip())
    return _date(found[3], found[2], found[1]) if found else None


def _day(text: str | None) -> date | None:
    """Return the day that a text begins with: ``20271231`` or ``2027-12-31``; None where there is none.

    RemoteGarbledError for anything else: a card must not look as if it never ended.
    """
    if not (text or "").strip():
        return None
    found = re.match(r"\s*([0-9]{4})-?([0-9]{2})-?([0-9]{2})", text or "")
    day = _date(found[1], found[2], found[3]) if found else None
    if day is None:
        raise RemoteGarbledError(
            "The SIP2 server's expiry of a card is no day.",
            mend="Is expiry_field in the dialect right?",
        )
    return day


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
