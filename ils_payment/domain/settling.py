"""The pure questions of the settle protocol: whether the fees stand, and whether just the order happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ils_payment.model import Account, Applied, Credit, OrderLine


def stand(lines: Sequence[OrderLine], account: Account, *, partial: bool) -> bool:
    """Tell whether each frozen line is still open with at least its frozen cents, and all of it owed.

    A line that has grown stands where the library system takes part payments (*partial*).
    """
    open_cents = {fee.claim_key: fee.cents for fee in account.fees}
    for line in lines:
        now_open = open_cents.get(line.claim_key, 0)
        if now_open < line.cents or (now_open > line.cents and not partial):
            return False
    return account.balance >= sum(line.cents for line in lines)


def wrong_in_accounts(
    lines: Sequence[OrderLine], outcome: Applied, before: Account, after: Account
) -> str | None:
    """Name the first thing in the account after the call that is not as it was ordered; None if all is."""
    if outcome.unapplied or outcome.applied != sum(line.cents for line in lines):
        return "not all of the credit was used for fees"
    # The lines count together: when one has grown, a library system may give it the share of another.
    keys = {line.claim_key for line in lines}
    left = sum(fee.cents for fee in after.fees if fee.claim_key in keys)
    was = sum(fee.cents for fee in before.fees if fee.claim_key in keys)
    if left > was - outcome.applied:
        return "the fees are more open than they should be"
    return "the balance is below zero" if after.balance < 0 else None


def wrong_in_credits(marker: str, cents: int, recent: Sequence[Credit], ours: Collection[str]) -> str | None:
    """Name what is wrong with the newest credits: ours stands there once, and no foreign one; else None.

    *ours* are all markers that we ever used for the patron.
    """
    if [credit.cents for credit in recent if credit.marker == marker] != [cents]:
        return "our credit is not there exactly once"
    if any(credit.marker not in ours for credit in recent):
        return "another credit was made at the same time"
    return None
