"""What must be true of one payment's rows: each rule names what it found in a sentence, or nothing.

The rules read the rows only and trust none of them: amounts, states, claims and refunds are derived
anew from the postings and compared.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment.domain.ledger import Book, balances
from ils_payment.domain.refunds import RESERVED, RefundState
from ils_payment.domain.states import ENDED, PAID_UNSETTLED, UNPAID
from ils_payment.model import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ils_payment.domain.ledger import Posting

LEFT_AGAIN = frozenset({RefundState.DONE, RefundState.EXTERNAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One payment as its rows tell it; all amounts in minor units.

    ``lines`` are cents by line id, ``frozen`` what the first row of the trail says of them (None where
    it says nothing). ``refunds`` are (state, cents), ``applied`` the cents of credit orders that the
    library system has, ``unbooked`` those of a renewal for which it keeps no books, ``claims`` how many
    of its fees are claimed, ``cases`` how many cases are open. The cents of a refund are those of its
    parts: what went back beyond them is not ours.
    """

    state: State
    held: bool
    cents: int
    captured: int
    lines: Mapping[str, int]
    frozen: Mapping[str, int] | None
    postings: Sequence[Posting]
    refunds: Sequence[tuple[RefundState, int]]
    applied: int
    unbooked: int
    claims: int
    cases: int


def findings(facts: Facts) -> list[str]:
    """Return what is wrong with a payment; empty when everything fits."""
    return [*_amounts(facts), *_accounts(facts), *_state(facts), *_refunds(facts), *_claims(facts)]


def _amounts(facts: Facts) -> Iterator[str]:
    if sum(facts.lines.values()) != facts.cents:
        yield f"its lines make {sum(facts.lines.values())} cents, the payment says {facts.cents}"
    if facts.frozen is not None and dict(facts.frozen) != dict(facts.lines):
        yield "its lines are not those that were frozen"
    taken = sum(one.cents for one in facts.postings if one.source is Book.PROVIDER)
    if taken != facts.captured:
        yield f"the postings take {taken} cents from the provider, the payment says {facts.captured}"
    if any(one.line_id not in {None, *facts.lines} for one in facts.postings):
        yield "a posting is about a line that is not its own"


def _accounts(facts: Facts) -> Iterator[str]:
    """No account but the provider's may ever be below zero, at any moment and for any line."""
    held: dict[tuple[Book, str | None, str], int] = defaultdict(int)
    for one in facts.postings:
        held[one.destination, one.line_id, one.currency] += one.cents
        held[one.source, one.line_id, one.currency] -= one.cents
        if one.source is not Book.PROVIDER and held[one.source, one.line_id, one.currency] < 0:
            yield f"more cents leave {one.source} than came there"
            return


_PERSONS = frozenset({Book.BY_HAND, Book.OUTSIDE})


def total(facts: Facts, book: Book) -> int:
    """Return what an account holds of all lines of a payment, in whatever currency."""
    return sum(cents for (account, _), cents in balances(facts.postings).items() if account is book)


def _state(facts: Facts) -> Iterator[str]:
    waiting = total(facts, Book.TO_SETTLE)
    if facts.state in UNPAID | {State.VOID}:
        if facts.postings:
            yield f"it is {facts.state}, and has postings"
        return
    if not facts.postings and facts.captured:
        yield f"it is {facts.state}, and has no postings"
    if facts.state in ENDED and waiting:
        yield f"it is {facts.state}, and {waiting} cents wait for settling"
    if not facts.held and total(facts, Book.CASE):
        yield f"it is not held, and {total(facts, Book.CASE)} cents lie with the cases"
    if facts.state in PAID_UNSETTLED and not facts.held and total(facts, Book.TO_RETURN):
        yield f"it is not held, and {total(facts, Book.TO_RETURN)} cents are reserved for a refund"
    if facts.held and waiting:
        yield f"it is held, and {waiting} cents wait for settling"
    in_system = sum(one.cents for one in facts.postings if one.destination is Book.LIBRARY_SYSTEM)
    quiet = not facts.refunds and not facts.held
    known = facts.applied + facts.unbooked
    # A person may have booked or given back some lines before the others went on by themselves. What was
    # given back after it was settled has been settled all the same; what came on top is of no line.
    elsewhere = sum(
        one.cents
        for one in facts.postings
        if one.line_id is not None and one.source is Book.CASE and one.destination in _PERSONS
    )
    if facts.state is State.SETTLED and quiet and not in_system == known == facts.cents - elsewhere:
        yield f"it is settled with {facts.cents} cents, postings say {in_system}, credits {known}"
    if facts.held and not facts.cases and not any(state in RESERVED for state, _ in facts.refunds):
        yield "it is held, and no case is open"


def _refunds(facts: Facts) -> Iterator[str]:
    reserved = sum(cents for state, cents in facts.refunds if state in RESERVED)
    if reserved != total(facts, Book.TO_RETURN):
        yield f"refunds reserve {reserved} cents, the ledger {total(facts, Book.TO_RETURN)}"
    gone = sum(cents for state, cents in facts.refunds if state in LEFT_AGAIN)
    if gone != total(facts, Book.RETURNED):
        yield f"refunds gave back {gone} cents, the ledger {total(facts, Book.RETURNED)}"


def _claims(facts: Facts) -> Iterator[str]:
    if facts.state in ENDED and facts.claims:
        yield f"it is {facts.state}, and still claims {facts.claims} fee(s)"
    if facts.state in UNPAID and not facts.held and facts.claims != len(facts.lines):
        yield f"it is {facts.state}, and claims {facts.claims} of its {len(facts.lines)} fee(s)"
