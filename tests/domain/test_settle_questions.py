"""Whether the fees stand, and whether just the order happened: each way of differing by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ils_payment.domain.settling import Before, stand, wrong_in_account, wrong_in_credits
from ils_payment.model import Account, Credit, Fee, OrderLine

LINES = (
    OrderLine(ref="1", claim_key="1", cents=450, kind="OVERDUE"),
    OrderLine(ref="2", claim_key="2", cents=150, kind="RESERVE"),
)
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
    assert stand(LINES, Before.of(account, LINES), partial=partial) is stands


@pytest.mark.parametrize(
    ("before", "after", "right"),
    [
        (_account(), _account(0, 0), True),
        (_account(one=500), _account(50, 0), True),
        # A library system may give a line that has grown the share of another.
        (_account(one=500), _account(0, 50), True),
        (_account(more=100), _account(0, 0, more=100), True),
        # Another fee that came meanwhile is none of this order's business.
        (_account(), _account(0, 0, more=100), True),
        (_account(), _account(0, 1), False),
        (_account(one=500), _account(51, 0), False),
        (_account(), _account(0, 0, credit=1), False),
    ],
)
def test_the_account_afterwards_shows_just_the_order(before, after, right):
    assert (wrong_in_account(LINES, Before.of(before, LINES), after) is None) is right


def _credit(marker, cents=600, *, at=NOON):
    return Credit(remote_ref="9", marker=marker, cents=cents, unapplied=0, at=at)


SAME_SECOND = NOON.replace(microsecond=0)
SECOND_BEFORE = SAME_SECOND - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("recent", "right"),
    [
        ([_credit("A")], True),
        ([_credit("A"), _credit("B", 70)], True),
        ([_credit("A"), _credit(None, 5, at=SECOND_BEFORE)], True),
        ([], False),
        ([_credit("A"), _credit("A")], False),
        ([_credit("A", 599)], False),
        ([_credit("A"), _credit(None, 5)], False),
        ([_credit("A"), _credit(None, 5, at=SAME_SECOND)], False),
        ([_credit("A"), _credit("C", 5)], False),
        ([_credit("A"), _credit(None, 5, at=None)], False),
    ],
)
def test_our_credit_is_there_once_and_no_foreign_one(recent, right):
    before = Before.of(_account(), LINES)
    after = _account(0, 0, more=100)
    assert (wrong_in_credits("A", 600, before, after, recent, {"A", "B"}) is None) is right


@pytest.mark.parametrize(
    ("after", "recent", "right"),
    [
        (_account(0, 0, more=500), [_credit("A")], True),
        (_account(0, 0, more=501), [_credit("A")], True),
        (_account(0, 0, more=499), [_credit("A")], False),
        (_account(0, 0, more=499), [_credit("A"), _credit(None, 450, at=SECOND_BEFORE)], False),
        # Another credit of ours explains as much as it is worth.
        (_account(0, 0, more=430), [_credit("A"), _credit("B", 70)], True),
        (_account(0, 0, more=429), [_credit("A"), _credit("B", 70)], False),
    ],
)
def test_no_less_is_owed_afterwards_than_the_credits_explain(after, recent, right):
    before = Before.of(_account(more=500), LINES)
    assert (wrong_in_credits("A", 600, before, after, recent, {"A", "B"}) is None) is right
