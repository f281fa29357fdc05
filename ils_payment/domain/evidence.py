"""What counts of a payment when notices are evidence: the provider's own answer weighed with what it told.

Notices come doubled, late and in any order, so the rule takes all that were ever heard of a payment and
gives the same whatever their order. That somebody paid outweighs everything else, since money that was
taken must not be overlooked; whether it is the right money is the comparison's to say, not this rule's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ils_payment.model import PayState, ReversalState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ils_payment.model import Observation, Reversal

_FURTHEST = (ReversalState.PENDING, ReversalState.DONE, ReversalState.FAILED)
"""A reversal only ever goes on in this order, whichever notice of it came last."""


def weigh(read: Observation | None, told: Sequence[Observation]) -> Observation | None:
    """Return what *read* (the provider's answer now, if it could be asked) and *told* say together.

    None: neither says anything of the state. Several sums of money (``money_ref``) add up, so that paying
    twice shows as another amount. What does not agree with itself (currency, account, mode, reference) is
    returned without a reference: it can never be right. An ``open`` told says nothing of the state.
    """
    seen = (*([read] if read else []), *told)
    taken = {one.money_ref for one in seen if one.state is PayState.PAID}
    gone = reversals(
        one
        for each in seen
        for one in each.reversals
        # A try of the payer's that was refused and given up took nothing from the one that was paid.
        if not one.money_ref or not taken or one.money_ref in taken
    )
    paid = _money([one for one in told if one.state is PayState.PAID], read)
    if paid is not None:
        return replace(paid, reversals=gone)
    if read is not None:
        return replace(read, reversals=gone)
    for state in (PayState.VOID, PayState.PENDING):
        found = next((one for one in told if one.state is state), None)
        if found is not None:
            return replace(found, reversals=gone)
    return None


def _money(told: Sequence[Observation], read: Observation | None) -> Observation | None:
    """Return all the money that was taken as one observation, None when none was."""
    by_money: dict[str, list[Observation]] = {}
    for one in told:
        by_money.setdefault(one.money_ref, []).append(one)
    # What was authorised and what was captured of it are told apart: the smaller sum is what there is.
    cents = sum(min(one.captured for one in same) for same in by_money.values())
    pieces, agree = list(told), True
    if read is not None and read.state is PayState.PAID:
        pieces.append(read)
        agree = not told or read.captured == cents
        if not told or read.money_ref:
            # An answer that names the money is about money, another one may only repeat what was asked for.
            cents = max(cents, read.captured)
    if not pieces:
        return None
    first = pieces[0]
    # An account that is not told contradicts nothing.
    agree = agree and len({(one.currency, one.live, one.reference) for one in pieces}) == 1
    agree = agree and len({one.account for one in pieces if one.account}) <= 1
    return replace(first, captured=cents, final=False, reference=first.reference if agree else "")


def reversals(told: Iterable[Reversal]) -> tuple[Reversal, ...]:
    """Return each reversal once, as far as it has come by anything that was told of it."""
    found: dict[str, Reversal] = {}
    for one in told:
        known = found.get(one.ref, one)
        last, other = sorted((one, known), key=lambda each: _FURTHEST.index(each.state), reverse=True)
        found[one.ref] = replace(last, key=last.key or other.key)
    return tuple(found.values())
