"""Pure rules of refunds: what is left to give back, what a refund means, and its states."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ils_payment.domain.ledger import LEFT, Book, Posting, balances, currency_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Part = tuple[str | None, Book, int]
"""(line id or None, the account it is taken from, cents)."""


class RefundState(StrEnum):
    """Where a refund is; its cents are reserved from the asking on.

    ``asked`` waits for a second person; ``due`` is approved and may be sent; ``tried`` was sent and
    its outcome is unknown; ``pending`` was accepted by the provider and is on its way; ``done`` has
    left; ``failed`` certainly did not, and ``withdrawn`` was not approved (the reservation is undone);
    ``external`` was made at the provider, not here.
    """

    ASKED = "asked"
    DUE = "due"
    TRIED = "tried"
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    EXTERNAL = "external"


RUNNING = frozenset({RefundState.DUE, RefundState.TRIED, RefundState.PENDING})
"""Approved and not at an end: ``advance`` goes on with them."""

RESERVED = RUNNING | {RefundState.ASKED}
"""Their cents are promised to the payer and have not left."""

GONE = frozenset({RefundState.PENDING, RefundState.DONE, RefundState.EXTERNAL})
"""The provider counts their cents as given back."""


class Meaning(StrEnum):
    """What a refund says about the fee: owed still, dropped, or paid twice (nothing is owed)."""

    FEE_STAYS = "fee_stays"
    FEE_DROPPED = "fee_dropped"
    DOUBLE_PAYMENT = "double_payment"


def left(postings: Iterable[Posting]) -> list[Part]:
    """Return what could still be given back, by line and account, in the order it would be taken."""
    held = balances(postings)
    return [
        (line, book, cents)
        for book in LEFT
        for (account, line), cents in sorted(held.items(), key=lambda item: str(item[0][1]))
        if account is book and cents > 0
    ]


def choose(postings: Iterable[Posting], lines: Collection[str | None] | None) -> list[Part]:
    """Return the parts of a refund of *lines* (None: of all that is left); empty when nothing is left.

    Among the lines, None is the money that belongs to none of them.
    """
    return [part for part in left(postings) if lines is None or part[0] in lines]


def take(parts: Iterable[Part], cents: int) -> list[Part]:
    """Return as much of *parts* as makes *cents*, or all of it: for money that left by itself."""
    taken: list[Part] = []
    for line, book, available in parts:
        share = min(available, cents)
        if share > 0:
            taken.append((line, book, share))
            cents -= share
    return taken


def currency(postings: Iterable[Posting], parts: Iterable[Part]) -> str:
    """Return the currency of the parts of a refund as they were posted: empty for the payment's own."""
    return currency_of(postings, {line for line, _, _ in parts})


def reserve(parts: Iterable[Part], currency: str) -> list[Posting]:
    """Post the parts to what is reserved for the payer."""
    return _move(parts, Book.TO_RETURN, currency)


def leave(parts: Iterable[Part], currency: str) -> list[Posting]:
    """Post parts that have left at the provider without a reservation of ours."""
    return _move(parts, Book.RETURNED, currency)


def outside(parts: Iterable[Part], currency: str) -> list[Posting]:
    """Post parts that the treasury gave back itself; nothing more can be given back of them."""
    return _move(parts, Book.OUTSIDE, currency)


def returned(parts: Iterable[Part], currency: str) -> list[Posting]:
    """Post a reservation as given back to the payer."""
    return [
        Posting(
            line_id=line, source=Book.TO_RETURN, destination=Book.RETURNED, cents=cents, currency=currency
        )
        for line, _, cents in parts
    ]


def undo(parts: Iterable[Part], currency: str, source: Book = Book.TO_RETURN) -> list[Posting]:
    """Post a reservation (or what had been returned) back to where it was taken from."""
    return [
        Posting(line_id=line, source=source, destination=book, cents=cents, currency=currency)
        for line, book, cents in parts
    ]


def undo_return(parts: Iterable[Part], currency: str, source: Book) -> list[Posting]:
    """Post money that came back to us (a refund that failed late, a chargeback won) to the cases."""
    return [
        Posting(line_id=line, source=source, destination=Book.CASE, cents=cents, currency=currency)
        for line, _, cents in parts
    ]


def _move(parts: Iterable[Part], destination: Book, currency: str) -> list[Posting]:
    return [
        Posting(line_id=line, source=book, destination=destination, cents=cents, currency=currency)
        for line, book, cents in parts
    ]
