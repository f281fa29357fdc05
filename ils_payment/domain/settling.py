"""The pure questions of the settle protocol: whether the fees stand, and whether just the order happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ils_payment.model import Account, Credit, OrderLine


@dataclass(frozen=True, slots=True)
class Before:
    """What the account said before a settle call, kept with the try: the measure of what came of it."""

    open_cents: Mapping[str, int]
    balance: int
    read_at: datetime

    @classmethod
    def unread(cls, lines: Sequence[OrderLine], now: datetime) -> Before:
        """Take *lines* as they were frozen, where nobody can look without the patron's PIN."""
        return cls({line.claim_key: line.cents for line in lines}, sum(line.cents for line in lines), now)

    @classmethod
    def of(cls, account: Account, lines: Sequence[OrderLine]) -> Before:
        """Keep what *account* says of *lines*."""
        keys = {line.claim_key for line in lines}
        return cls(
            {fee.claim_key: fee.cents for fee in account.fees if fee.claim_key in keys},
            account.balance,
            account.read_at,
        )


def stand(lines: Sequence[OrderLine], before: Before, *, partial: bool) -> bool:
    """Tell whether each frozen line is still open with at least its frozen cents, and all of it owed.

    A line that has grown stands where the library system takes part payments (*partial*).
    """
    for line in lines:
        now_open = before.open_cents.get(line.claim_key, 0)
        if now_open < line.cents or (now_open > line.cents and not partial):
            return False
    return before.balance >= sum(line.cents for line in lines)


def wrong_in_account(lines: Sequence[OrderLine], before: Before, after: Account) -> str | None:
    """Name the first thing in the account after the call that is not as it was ordered; None if all is.

    The lines count together: when one has grown, a library system may give it the share of another.
    """
    left = sum(fee.cents for fee in after.fees if fee.claim_key in before.open_cents)
    if left > sum(before.open_cents.values()) - sum(line.cents for line in lines):
        return "the fees are more open than they should be"
    return "the balance is below zero" if after.balance < 0 else None


def wrong_in_credits(
    marker: str, cents: int, before: Before, after: Account, recent: Sequence[Credit], ours: Collection[str]
) -> str | None:
    """Name what is wrong with the newest credits: ours stands there once, and no foreign one; else None.

    *ours* are all markers that we ever used for the patron. A library system may tell whole seconds
    only, so a credit counts as new from the second in which the account was read *before* the call.
    New credits lower the balance by their own cents and no more. If it is lower *after* the call, what
    was read before was out of date: the fee was paid already, and our credit went to another one.
    """
    if [credit.cents for credit in recent if credit.marker == marker] != [cents]:
        return "our credit is not there exactly once"
    since = before.read_at.replace(microsecond=0)
    others = [one for one in recent if one.marker != marker and (one.at is None or one.at >= since)]
    if any(credit.marker not in ours for credit in others):
        return "another credit was made at the same time"
    if after.balance < before.balance - cents - sum(credit.cents for credit in others):
        return "less is owed than the credits explain"
    return None
