"""There is one price: where the tariff and the library system disagree, nothing is renewed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from ils_payment.domain.by_law import Band, Period
from ils_payment.domain.tariff import quote
from ils_payment.domain.tariff_compare import contradicted, differs
from ils_payment.model import CategoryFee
from tests.domain.test_card_quotes import ADULT, TODAY, card, priced, tariff


def fee(cents: int, months: int | None = None, category: str = "ADULT") -> CategoryFee:
    return CategoryFee(category=category, name="Erwachsene", cents=cents, months=months)


FLAT = replace(ADULT, bands=(Band(cents=1000),))


@pytest.mark.parametrize(
    ("theirs", "in_price", "in_period"),
    [
        (fee(1000), False, False),
        (fee(1000, 12), False, False),
        (fee(1001), True, False),
        (fee(1000, 6), False, True),
        (fee(0, 24), True, True),
    ],
)
def test_a_difference_is_in_the_price_or_in_the_period(theirs, in_price, in_period):
    found = differs(tariff(FLAT), [theirs], TODAY)
    assert [(one.in_price, one.in_period) for one in found] == ([(in_price, in_period)] if found else [])
    assert bool(found) is (in_price or in_period)
    renewed = priced(quote(tariff(FLAT), card(), TODAY))
    assert contradicted(renewed, tariff(FLAT), [theirs], TODAY) is (in_price or in_period)


def test_a_period_to_a_day_is_not_a_number_of_months():
    yearly = replace(FLAT, period=Period(to=(12, 31)))
    assert differs(tariff(yearly), [fee(1000)], TODAY) == []
    assert differs(tariff(yearly), [fee(1000, 12)], TODAY)[0].in_period


def test_prices_by_age_differ_where_one_of_them_does():
    [one] = differs(tariff(ADULT), [fee(1000)], TODAY)
    assert (one.ours, one.theirs) == ((0, 1000), 1000)


def test_only_the_age_at_hand_keeps_a_card_from_being_renewed():
    adult = priced(quote(tariff(ADULT), card(), TODAY))
    child = priced(quote(tariff(ADULT), card(born=date(2015, 1, 1)), TODAY))
    assert not contradicted(adult, tariff(ADULT), [fee(1000)], TODAY)
    assert contradicted(child, tariff(ADULT), [fee(1000)], TODAY)


def test_what_only_one_of_the_two_knows_is_no_difference():
    assert differs(tariff(FLAT), [fee(1, category="OTHER")], TODAY) == []
    assert not contradicted(priced(quote(tariff(FLAT), card(), TODAY)), tariff(FLAT), [], TODAY)


def test_before_the_first_version_nothing_is_compared():
    assert differs(tariff(FLAT), [fee(1)], date(2020, 1, 1)) == []
