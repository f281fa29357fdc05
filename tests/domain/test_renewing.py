"""What a card says of a renewal that was sold."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ils_payment.domain.renewing import Found, Sold, judge
from ils_payment.model import Card

BASE, UNTIL, DAY = date(2026, 11, 21), date(2027, 11, 21), date(2026, 11, 25)
SOLD = Sold(base=BASE, until=UNTIL, renewed_on=None)
DAYS = some.dates(date(2020, 1, 1), date(2040, 1, 1))


def card(valid_until: date | None, renewed_on: date | None = None) -> Card:
    return Card(number=None, valid_until=valid_until, renewed_on=renewed_on)


@pytest.mark.parametrize("tried", [True, False])
def test_a_card_as_it_was_quoted_can_be_renewed(tried):
    assert judge(SOLD, card(BASE), tried=tried) is Found.STANDS


def test_the_sold_expiry_is_ours_only_after_a_try():
    assert judge(SOLD, card(UNTIL), tried=True) is Found.DONE
    assert judge(SOLD, card(UNTIL), tried=False) is Found.ELSEWHERE


@pytest.mark.parametrize("valid_until", [BASE, UNTIL, None])
@pytest.mark.parametrize("tried", [True, False])
def test_another_day_of_renewal_is_somebody_elses_doing(valid_until, tried):
    assert judge(SOLD, card(valid_until, DAY), tried=tried) is Found.ELSEWHERE


@given(found=DAYS, tried=some.booleans())
def test_whatever_else_the_card_says_is_no_reason_to_write(found, tried):
    expected = Found.STANDS if found == BASE else Found.DONE if found == UNTIL and tried else Found.ELSEWHERE
    assert judge(SOLD, card(found), tried=tried) is expected


@given(found=DAYS)
def test_by_a_rule_of_the_library_system_any_later_expiry_after_a_try_is_ours(found):
    said = judge(SOLD, card(found, DAY), tried=True, by_rule=True)
    assert said is (Found.DONE if found > BASE else Found.STANDS if found == BASE else Found.ELSEWHERE)


def test_by_rule_and_never_tried_a_later_expiry_is_somebody_elses():
    assert judge(SOLD, card(BASE + timedelta(days=9)), tried=False, by_rule=True) is Found.ELSEWHERE


def test_by_rule_a_card_that_lost_its_expiry_is_somebody_elses():
    assert judge(SOLD, card(None), tried=True, by_rule=True) is Found.ELSEWHERE
