"""Double entry: each posting moves cents from one account to another; undoing is a new posting.

Accounts: ``provider`` (what the provider took and owes us), ``to_settle`` (paid, not yet written
into the library system), ``library_system`` (settled there, under our marker), ``by_hand`` (booked
there by a person), ``case`` (a person decides), ``to_return`` (reserved for a refund), ``returned``
(the provider gave it back to the payer), ``outside`` (the treasury gave it back, in cash or by
voucher). Every posting has a source and a destination, so each payment, currency and day sums to
zero by construction.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ils_payment.errors import InvariantError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class Book(StrEnum):
    """The accounts of the ledger."""

    PROVIDER = "provider"
    TO_SETTLE = "to_settle"
    LIBRARY_SYSTEM = "library_system"
    BY_HAND = "by_hand"
    CASE = "case"
    TO_RETURN = "to_return"
    RETURNED = "returned"
    OUTSIDE = "outside"


LEFT = (Book.CASE, Book.TO_SETTLE, Book.BY_HAND, Book.LIBRARY_SYSTEM)
"""The accounts whose cents the city has and could give back, in the order in which they are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One movement of *cents*; ``line_id`` None where the amount belongs to no frozen line.

    ``currency`` is empty for the payment's own; a provider that took another one is a case.
    """

    line_id: str | None
    source: Book
    destination: Book
    cents: int
    currency: str = ""

    def __post_init__(self) -> None:
        """Refuse what no ledger may hold."""
        if self.cents <= 0 or self.source == self.destination:
            raise InvariantError("a posting moves a positive amount between two accounts")


def paid(lines: Iterable[tuple[str, int]]) -> list[Posting]:
    """Post a payment whose amount is right: line by line from the provider to what is to be settled.

    A line that costs nothing moves nothing.
    """
    return [
        Posting(line_id=line, source=Book.PROVIDER, destination=Book.TO_SETTLE, cents=cents)
        for line, cents in lines
        if cents
    ]


def paid_wrong(captured: int, currency: str) -> list[Posting]:
    """Post a captured amount that fits no frozen lines: a person decides where it goes.

    *currency* is empty for the payment's own.
    """
    if captured == 0:
        return []
    return [
        Posting(line_id=None, source=Book.PROVIDER, destination=Book.CASE, cents=captured, currency=currency)
    ]


def settled(lines: Iterable[tuple[str, int]], postings: Iterable[Posting]) -> list[Posting]:
    """Post lines that the library system has booked, from where their cents lie by *postings*.

    A case that was opened while the call was under way has moved them to the account of cases.
    """
    held = balances(postings)
    return [
        Posting(
            line_id=line,
            source=Book.TO_SETTLE if (Book.TO_SETTLE, line) in held else Book.CASE,
            destination=Book.LIBRARY_SYSTEM,
            cents=cents,
        )
        for line, cents in lines
    ]


def balances(postings: Iterable[Posting]) -> dict[tuple[Book, str | None], int]:
    """Return what each account holds of each line (sources negative); zero balances are left out."""
    sums: dict[tuple[Book, str | None], int] = defaultdict(int)
    for posting in postings:
        sums[posting.source, posting.line_id] -= posting.cents
        sums[posting.destination, posting.line_id] += posting.cents
    return {key: cents for key, cents in sums.items() if cents}


def currency_of(postings: Iterable[Posting], lines: Collection[str | None]) -> str:
    """Return the currency in which *lines* were posted: empty for the payment's own."""
    return next((one.currency for one in postings if one.currency and one.line_id in lines), "")


def to_case(postings: Iterable[Posting]) -> list[Posting]:
    """Post whatever still waits for settling to the account of cases."""
    return everything(postings, Book.TO_SETTLE, Book.CASE)


def everything(postings: Iterable[Posting], source: Book, destination: Book) -> list[Posting]:
    """Post all that lies in *source* to *destination*, line by line."""
    known = list(postings)
    currencies = {posting.line_id: posting.currency for posting in known if posting.currency}
    return [
        Posting(
            line_id=line,
            source=source,
            destination=destination,
            cents=cents,
            currency=currencies.get(line, ""),
        )
        for (book, line), cents in balances(known).items()
        if book is source and cents > 0
    ]
