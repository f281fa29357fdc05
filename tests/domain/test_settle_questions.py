"""Whether the fees stand, and whether just the order happened: each way of differing by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ils_payment.domain.settling import stand, wrong_in_accounts, wrong_in_credits
from ils_payment.model import Account, Applied, Credit, Fee, OrderLine

LINES = (
    OrderLine(ref="1", claim_key="1", cents=450, kind="OVERDUE"),
    OrderLine(ref="2", claim_key="2", cents=150, kind="RESERVE"),
)
DONE = Applied(remote_ref="9", applied=600, unapplied=0)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _account(one=450, two=150, *, more=0, credit=0):
    cents = {"1": one, "2": two, "3": more}
    fees = tuple(
        Fee(ref=ref, claim_key=ref, cents=value, kind="X", text="") for ref, value in cents.items() if value
    )
    return Account(balance=one + two + more - credit, open_credit=credit, fees=fees, read_at=NOON)


@pytest.mark.parametrize(
    ("account", "partial", "stands"),
    [
        (_account(), False, True),
        (_account(more=999), False, True),
        (_account(one=449), True, False),
        (_account(one=0), True, False),
        (_account(one=451), True, True),
        (_account(one=451), False, False),
        (_account(credit=1), True, False),
        (_account(credit=1, more=1), True, True),
    ],
)
def test_fees_stand_when_each_line_and_the_sum_are_still_owed(account, partial, stands):
    assert stand(LINES, account, partial=partial) is stands


@pytest.mark.parametrize(
    ("outcome", "before", "after", "right"),
    [
        (DONE, _account(), _account(0, 0), True),
        (DONE, _account(one=500), _account(50, 0), True),
        # A library system may give a line that has grown the share of another.
        (DONE, _account(one=500), _account(0, 50), True),
        (DONE, _account(more=100), _account(0, 0, more=100), True),
        (Applied(remote_ref="9", applied=599, unapplied=1), _account(), _account(0, 0), False),
        (Applied(remote_ref="9", applied=599, unapplied=0), _account(), _account(0, 0), False),
        (DONE, _account(), _account(0, 1), False),
        (DONE, _account(one=500), _account(51, 0), False),
        (DONE, _account(), _account(0, 0, credit=1), False),
    ],
)
def test_the_account_afterwards_shows_just_the_order(outcome, before, after, right):
    assert (wrong_in_accounts(LINES, outcome, before, after) is None) is right


def _credit(marker, cents=600):
    return Credit(remote_ref="9", marker=marker, cents=cents, unapplied=0, at=NOON)


@pytest.mark.parametrize(
    ("recent", "right"),
    [
        ([_credit("A")], True),
        ([_credit("A"), _credit("B", 70)], True),
        ([], False),
        ([_credit("A"), _credit("A")], False),
        ([_credit("A", 599)], False),
        ([_credit("A"), _credit(None, 5)], False),
        ([_credit("A"), _credit("C", 5)], False),
    ],
)
def test_our_credit_is_there_once_and_no_foreign_one(recent, right):
    assert (wrong_in_credits("A", 600, recent, {"A", "B"}) is None) is right
