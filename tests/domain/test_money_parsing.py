"""Amounts: exact integers or an error, never a rounding."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ils_payment import money
from ils_payment.money import MAX_CENTS, MoneyError, parse, to_decimal

CURRENCIES = st.sampled_from(["EUR", "CHF", "JPY", "KWD"])


@pytest.mark.parametrize(
    ("amount", "currency", "cents"),
    [
        (Decimal("12.50"), "EUR", 1250),
        ("12.5", "EUR", 1250),
        (12, "EUR", 1200),
        ("12.500000", "EUR", 1250),
        ("-0.01", "EUR", -1),
        ("100", "JPY", 100),
        ("1.005", "KWD", 1005),
        ("1E+2", "EUR", 10_000),
        (Decimal("-0"), "EUR", 0),
    ],
)
def test_an_exact_amount_is_read(amount, currency, cents):
    parsed = parse(amount, currency)
    assert parsed == cents
    assert type(parsed) is int


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("1.005", "EUR"),
        ("0.5", "JPY"),
        (1.25, "EUR"),
        (12.0, "EUR"),
        (True, "EUR"),
        ("NaN", "EUR"),
        (Decimal("sNaN"), "EUR"),
        ("Infinity", "EUR"),
        ("1,50", "EUR"),
        ("", "EUR"),
        ("1E+30", "EUR"),
        # More digits than a decimal context keeps: they must not vanish before anybody looks.
        (f"1.{'0' * 40}1", "EUR"),
        (Decimal(f"{'9' * 27}.995"), "EUR"),
        (Decimal("1E+999999"), "EUR"),
        (Decimal("1E-999999"), "EUR"),
        (10**18, "EUR"),
        ("1.00", "EURO"),
        ("1.00", "eur"),
        ("1.00", ""),
        ("1.00", "__I"),
    ],
)
def test_anything_else_is_an_error_and_never_rounded(amount, currency):
    with pytest.raises(MoneyError):
        parse(amount, currency)


@pytest.mark.parametrize(("cents", "fits"), [(MAX_CENTS, True), (MAX_CENTS + 1, False)])
def test_the_largest_amount_is_a_sharp_limit(cents, fits):
    amount = to_decimal(cents, "EUR")
    if fits:
        assert parse(amount, "EUR") == cents
    else:
        with pytest.raises(MoneyError):
            parse(amount, "EUR")


@given(st.integers(-MAX_CENTS, MAX_CENTS), CURRENCIES)
def test_out_and_in_again_is_the_same_amount_in_every_currency(cents, currency):
    shown = to_decimal(cents, currency)
    assert parse(shown, currency) == cents
    assert parse(str(shown), currency) == cents
    assert len(str(shown).partition(".")[2]) == money.minor_digits(currency)


@given(st.floats())
def test_no_float_ever_becomes_an_amount(value):
    with pytest.raises(MoneyError):
        parse(value, "EUR")
