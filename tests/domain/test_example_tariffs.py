"""The tariffs that are shipped, asked as people would: category, age, evidence, and what comes of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ils_payment.config.tariff_file import load_tariff
from ils_payment.domain.tariff import NoQuote, Quote, quote
from ils_payment.model import Card

EXAMPLES = Path(__file__).parents[2] / "examples" / "tariffs"
TOWN = load_tariff(EXAMPLES / "town-library.toml")
CITY = load_tariff(EXAMPLES / "city-library.toml")
TODAY = date(2026, 11, 25)
ENDS = date(2026, 12, 10)
NEXT = date(2027, 12, 10)
TERM = date(2027, 3, 31)


def born(age: int) -> date:
    """Return the birth date of somebody who turns *age* on the first day of the new period."""
    return date(ENDS.year - age, 12, 11)


def asked(tariff, category, age, evidence=None, ends=ENDS):
    card = Card(
        number=None, valid_until=ends, category=category, birth_date=None if age is None else born(age)
    )
    found = quote(tariff, card, TODAY, evidence_until=evidence)
    return (found.cents, found.until) if isinstance(found, Quote) else found.code


@pytest.mark.parametrize(
    ("category", "age", "evidence", "seen"),
    [
        ("ADULT", 18, None, (1000, NEXT)),
        ("ADULT", 80, None, (1000, NEXT)),
        ("ADULT", 17, None, "not_at_this_age"),
        ("ADULT", None, None, "no_birth_date"),
        ("PARTNER", 40, None, (1500, NEXT)),
        ("PARTNER", 12, None, "not_at_this_age"),
        ("STUDENT", 22, TERM, (500, TERM)),
        ("TRAINEE", 17, date(2029, 1, 1), (500, NEXT)),
        ("STUDENT", None, TERM, (500, TERM)),
        ("STUDENT", 22, None, "needs_evidence"),
        ("STUDENT", 22, date(2026, 9, 30), "evidence_over"),
        ("CHILD", 1, None, (0, NEXT)),
        ("YOUTH", 17, None, (0, NEXT)),
        ("YOUTH", 18, None, "not_at_this_age"),
        ("PUPIL", 19, date(2027, 7, 31), (0, date(2027, 7, 31))),
        ("PUPIL", 19, None, "needs_evidence"),
        ("SINGLE", 30, None, "not_online"),
        ("INSTITUTION", None, None, "not_online"),
        ("STAFF", 30, None, "unknown_category"),
    ],
)
def test_the_town_library(category, age, evidence, seen):
    assert asked(TOWN, category, age, evidence) == seen


@pytest.mark.parametrize(
    ("category", "age", "seen"),
    [
        ("A", 18, (2000, NEXT)),
        ("A", 99, (2000, NEXT)),
        ("A", 17, "not_at_this_age"),
        ("R", 30, "not_online"),
        ("S", 30, "not_online"),
        ("D", 30, "not_online"),
        ("K", 9, "not_online"),
        ("J", 16, "not_online"),
        ("I", None, "not_online"),
        ("ADULT", 30, "unknown_category"),
    ],
)
def test_the_city_library(category, age, seen):
    assert asked(CITY, category, age) == seen


@pytest.mark.parametrize(
    ("ends", "seen"),
    [
        (date(2027, 1, 6), (1000, date(2028, 1, 6))),
        (date(2027, 1, 7), "too_early"),
        (date(2023, 11, 26), (1000, date(2027, 11, 25))),
        (date(2023, 11, 25), "grace_over"),
    ],
)
def test_the_town_library_renews_from_six_weeks_before_to_three_years_after(ends, seen):
    assert asked(TOWN, "ADULT", 50, ends=ends) == seen


@pytest.mark.parametrize("tariff", [TOWN, CITY], ids=["town", "city"])
@pytest.mark.parametrize("age", range(121))
def test_every_age_in_every_category_has_one_price_or_one_reason(tariff, age):
    for category in tariff.versions[0].categories:
        fitting = [band for band in category.bands if band.fits(age)]
        assert len(fitting) == 1
        assert (fitting[0].cents is None) != (fitting[0].why is None)


@pytest.mark.parametrize("tariff", [TOWN, CITY], ids=["town", "city"])
def test_every_refusal_is_said_in_both_languages_and_ends_with_who_helps(tariff):
    [version] = tariff.versions
    for category in version.categories:
        for age in (5, 30):
            card = Card(number=None, valid_until=ENDS, category=category.codes[0], birth_date=born(age))
            found = quote(tariff, card, TODAY)
            if isinstance(found, NoQuote):
                assert set(found.text) == {"de", "en"}
                assert all(found.text[tongue].endswith(version.helps[tongue]) for tongue in found.text)


@pytest.mark.parametrize("tariff", [TOWN, CITY], ids=["town", "city"])
def test_every_fee_kind_of_a_by_law_is_booked_somewhere(tariff):
    for kind in tariff.versions[0].kinds.values():
        assert kind.cost_centre
        assert kind.account
        assert kind.tax_code
        assert kind.online or kind.why
