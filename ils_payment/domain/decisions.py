"""Pure rules of what a person may decide about a payment, from its state, its books and its cases."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ils_payment.domain.ledger import Book, balances
from ils_payment.domain.refunds import left
from ils_payment.domain.states import PAID_UNSETTLED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ils_payment.domain.ledger import Posting
    from ils_payment.model import State


class Choice(StrEnum):
    """What a person can decide.

    ``settle_again``: write what waits into the library system. ``booked_by_hand``: a person has done
    so (reference). ``refund``: give money back through the provider. ``refunded_outside``: the
    treasury gave it back, in cash or by voucher. ``no_action``: looked at, nothing is to be done.
    """

    SETTLE_AGAIN = "settle_again"
    BOOKED_BY_HAND = "booked_by_hand"
    REFUND = "refund"
    REFUNDED_OUTSIDE = "refunded_outside"
    NO_ACTION = "no_action"


NEEDS_REFERENCE = frozenset({Choice.BOOKED_BY_HAND, Choice.REFUNDED_OUTSIDE})
"""Decisions that name where it is written down elsewhere: a receipt, a voucher."""

TELLS = frozenset(
    {
        "charge_by_hand",
        "charge_differs",
        "chargeback",
        "marker_missing",
        "marker_other_amount",
        "marker_twice",
        "marker_unexpected",
        "not_at_provider",
        "other_amount",
        "other_reversals",
        "refund_stuck",
        "renewed_unpaid",
        "reversed",
        "waive_by_hand",
    }
)
"""Cases that tell of what has moved already, or is to be written elsewhere: no money waits for them."""

GIVES_BACK = frozenset({Choice.REFUND, Choice.REFUNDED_OUTSIDE})
"""Decisions about some lines, or about all."""


def possible(
    state: State,
    postings: Sequence[Posting],
    lines: Mapping[str, int],
    *,
    open_cases: int,
    asked: bool,
    refunding: bool,
    stuck: bool = False,
    confirmed: Collection[str] = (),
) -> list[Choice]:
    """Return what can be decided about a payment of *lines* (cents by id) now.

    Settling again needs whole lines in the account of cases (a part of one may have left at the
    provider) and no other open question. *asked*: money waits for an answer to this very question; where
    none does, it can be closed beside others. *stuck*: a free renewal waits for a person. *confirmed*: lines
    that the library system has called booked, where nobody can look for the credit: never written again.
    """
    in_case = {line: cents for (book, line), cents in balances(postings).items() if book is Book.CASE}
    choices = []
    whole = all(
        line is not None and lines.get(line) == cents and line not in confirmed
        for line, cents in in_case.items()
    )
    if state in PAID_UNSETTLED and (in_case or stuck) and whole and open_cases <= 1 and not refunding:
        choices.append(Choice.SETTLE_AGAIN)
    if asked:
        choices.append(Choice.BOOKED_BY_HAND)
    if left(postings):
        choices += [Choice.REFUND, Choice.REFUNDED_OUTSIDE]
    if not asked:
        choices.append(Choice.NO_ACTION)
    return choices


def about(
    kind: str, subject: str, facts: Mapping[str, Any], lines: Collection[str | None]
) -> set[str | None]:
    """Return which of *lines* a case is about; a sum that came on top is of no line (None)."""
    if "lines" in facts:
        return {line for line in lines if line in facts["lines"]}
    if kind != "paid_wrong":
        return {line for line in lines if line is not None}
    return {line for line in lines if line is None or not subject}


def needs_second_person(cents: int, from_cents: int) -> bool:
    """Tell whether a refund of *cents* needs a second person's approval."""
    return cents >= from_cents
