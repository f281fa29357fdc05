"""Which fees may be paid online, and what may be paid at most."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from ils_payment.domain.payable import GROWING, Rule, judge, limit
from ils_payment.model import Account, Fee

TODAY = date(2026, 11, 21)
TREASURY = Rule(text={"en": "treasury"}, older_than_days=1000)
LOST = Rule(text={"en": "lost"}, kind="LOST", status="OPEN")


def _fee(**more):
    return Fee(**{"ref": "1", "claim_key": "1", "cents": 100, "kind": "OVERDUE", "text": "", **more})


def _judge(fee, *rules, growing=False):
    return judge(fee, rules, TODAY, growing_payable=growing)


def test_a_fee_that_no_rule_fits_is_payable():
    fee = _fee(since=TODAY)
    assert _judge(fee, TREASURY, LOST) is fee


@pytest.mark.parametrize(("days", "payable"), [(999, True), (1000, True), (1001, False)])
def test_age_counts_from_the_day_after_the_limit(days, payable):
    assert _judge(_fee(since=TODAY - timedelta(days=days)), TREASURY).payable is payable


def test_a_fee_without_a_day_is_never_too_old():
    assert _judge(_fee(since=None), TREASURY).payable


@pytest.mark.parametrize(
    ("kind", "status", "payable"),
    [("LOST", "OPEN", False), ("LOST", "", True), ("OVERDUE", "OPEN", True)],
)
def test_every_condition_of_a_rule_has_to_fit(kind, status, payable):
    assert _judge(_fee(kind=kind, status=status), LOST).payable is payable


def test_the_first_rule_that_fits_gives_the_reason():
    fee = _fee(kind="LOST", status="OPEN", since=date(2019, 1, 1))
    assert _judge(fee, LOST, TREASURY).reason == {"en": "lost"}
    assert _judge(fee, TREASURY, LOST).reason == {"en": "treasury"}


def test_a_growing_fine_is_payable_only_where_the_library_says_so():
    fee = _fee(growing=True)
    assert _judge(fee, growing=True) is fee
    judged = _judge(fee)
    assert (judged.payable, judged.reason) == (False, GROWING)


def test_the_library_systems_own_reason_is_kept():
    fee = _fee(payable=False, reason={"en": "not online"}, growing=True, since=date(2019, 1, 1))
    assert _judge(fee, TREASURY) is fee


@pytest.mark.parametrize(("balance", "most"), [(500, 500), (0, 0), (-1, 0)])
def test_at_most_what_is_owed_after_open_credit_may_be_paid(balance, most):
    account = Account(balance=balance, open_credit=0, fees=(), read_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert limit(account) == most
