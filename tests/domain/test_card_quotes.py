"""What renewing a card costs: every rule by itself, and what holds for every tariff, card and day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ils_payment.domain.by_law import Band, Category, Evidence, FeeKind, Period, Start, Version
from ils_payment.domain.tariff import NoQuote, Quote, Tariff, age_on, quote
from ils_payment.domain.tariff_words import HELPS, WHY_NOT
from ils_payment.model import Card

TODAY = date(2026, 11, 25)
YEAR = Period(months=12)
ADULT = Category(
    key="adult",
    codes=("ADULT", "A"),
    label={"de": "Erwachsene"},
    kind="annual_fee",
    bands=(Band(from_age=18, cents=1000), Band(to_age=17, cents=0)),
    period=YEAR,
    lead_days=30,
    grace_days=90,
)
ANNUAL = FeeKind(
    key="annual_fee",
    label={"de": "Jahresgebühr", "en": "Annual fee"},
    cost_centre="2720",
    account="4321",
    tax_code="none",
)


def tariff(*categories: Category, since: date = date(2026, 1, 1)) -> Tariff:
    version = Version(valid_from=since, kinds={"annual_fee": ANNUAL}, categories=categories)
    return Tariff(currency="EUR", versions=(version,))


def card(until: date | None = TODAY, born: date | None = date(1980, 5, 5), category: str = "ADULT") -> Card:
    return Card(number=None, valid_until=until, category=category, birth_date=born)


def priced(found: Quote | NoQuote) -> Quote:
    assert isinstance(found, Quote), found
    return found


def refused(found: Quote | NoQuote) -> str:
    assert isinstance(found, NoQuote), found
    return found.code


def test_a_quote_names_price_period_booking_and_the_version_it_came_from() -> None:
    assert quote(tariff(ADULT), card(), TODAY) == Quote(
        kind="annual_fee",
        cents=1000,
        category="ADULT",
        base=TODAY,
        until=date(2027, 11, 25),
        version="2026-01-01",
        label={"de": "Jahresgebühr", "en": "Annual fee"},
        cost_centre="2720",
        account="4321",
        tax_code="none",
    )


def test_every_code_of_a_category_is_that_category() -> None:
    assert priced(quote(tariff(ADULT), card(category="A"), TODAY)).category == "A"


@pytest.mark.parametrize(
    ("born", "cents"),
    [
        # The card is good until 25 November, so the new period begins on the 26th.
        (date(2008, 11, 25), 1000),
        (date(2008, 11, 26), 1000),
        (date(2008, 11, 27), 0),
    ],
)
def test_the_age_is_that_on_the_first_day_of_the_new_period(born: date, cents: int) -> None:
    assert priced(quote(tariff(ADULT), card(born=born), TODAY)).cents == cents


def test_who_was_born_on_a_leap_day_is_a_year_older_on_the_first_of_march() -> None:
    born = date(2008, 2, 29)
    assert (age_on(date(2026, 2, 28), born), age_on(date(2026, 3, 1), born)) == (17, 18)
    assert age_on(date(2028, 2, 29), born) == 20


@pytest.mark.parametrize(
    ("period", "until", "renewed"),
    [
        (Period(months=12), TODAY + timedelta(days=20), date(2027, 12, 15)),
        (Period(months=12), TODAY - timedelta(days=20), date(2027, 11, 25)),
        (Period(months=12, start=Start.EXPIRY), TODAY - timedelta(days=20), date(2027, 11, 5)),
        (Period(months=12, start=Start.TODAY), TODAY + timedelta(days=20), date(2027, 11, 25)),
        (Period(months=3), date(2026, 11, 30), date(2027, 2, 28)),
        (Period(days=1, start=Start.TODAY), TODAY - timedelta(days=3), TODAY),
        (Period(days=30), TODAY, TODAY + timedelta(days=30)),
        (Period(to=(12, 31)), TODAY - timedelta(days=1), date(2026, 12, 31)),
        (Period(to=(11, 25)), TODAY, date(2027, 11, 25)),
        (Period(to=(9, 30)), TODAY, date(2027, 9, 30)),
    ],
)
def test_a_period_ends_as_its_rule_says(period: Period, until: date, renewed: date) -> None:
    assert priced(quote(tariff(replace(ADULT, period=period)), card(until), TODAY)).until == renewed


@pytest.mark.parametrize(
    "parts",
    [{}, {"months": 1, "days": 1}, {"months": 0}, {"days": -1}, {"to": (2, 30)}, {"to": (2, 29)}],
)
def test_what_is_no_period_cannot_be_made(parts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"period|day"):
        Period(**parts)  # type: ignore[arg-type]


def test_the_version_in_force_today_prices() -> None:
    dearer = replace(ADULT, bands=(Band(cents=1200),))
    coming = tariff(dearer, since=date(2027, 1, 1)).versions
    both = replace(tariff(ADULT), versions=(*tariff(ADULT).versions, *coming))
    late = card(date(2027, 1, 10))
    assert priced(quote(both, late, date(2026, 12, 31))).cents == 1000
    assert priced(quote(both, late, date(2027, 1, 1))).cents == 1200
    assert refused(quote(both, late, date(2025, 12, 31))) == "no_tariff"


def test_a_card_is_renewed_so_many_days_before_its_end_and_no_earlier() -> None:
    early = card(TODAY + timedelta(days=31))
    found = quote(tariff(ADULT), early, TODAY)
    assert isinstance(found, NoQuote)
    assert (found.code, found.from_day) == ("too_early", TODAY + timedelta(days=1))
    assert priced(quote(tariff(ADULT), early, TODAY + timedelta(days=1))).cents == 1000
    assert priced(quote(tariff(ADULT), early, TODAY, ignore_lead=True)).until == date(2027, 12, 26)


def test_a_card_is_renewed_within_the_grace_and_no_later() -> None:
    ended = TODAY - timedelta(days=90)
    assert priced(quote(tariff(ADULT), card(ended), TODAY)).cents == 1000
    assert refused(quote(tariff(ADULT), card(ended - timedelta(days=1)), TODAY)) == "grace_over"
    forever = tariff(replace(ADULT, grace_days=None))
    assert priced(quote(forever, card(date(1990, 1, 1), date(1970, 1, 1)), TODAY)).until > TODAY


@pytest.mark.parametrize("until", [None, date.max, date(2999, 12, 31)])
def test_a_card_without_an_end_is_not_given_one(until: date | None) -> None:
    assert refused(quote(tariff(ADULT), card(until), TODAY, ignore_lead=True)) == "no_expiry"


def test_a_period_from_today_never_shortens_a_card() -> None:
    short = tariff(replace(ADULT, period=Period(days=10, start=Start.TODAY)))
    far = card(TODAY + timedelta(days=20))
    found = quote(short, far, TODAY)
    assert isinstance(found, NoQuote)
    assert (found.code, found.from_day) == ("too_early", TODAY + timedelta(days=12))
    assert priced(quote(short, far, TODAY + timedelta(days=12))).until == TODAY + timedelta(days=21)
    assert refused(quote(short, far, TODAY + timedelta(days=11))) == "too_early"


def test_a_period_from_an_old_expiry_that_is_past_already_is_no_renewal() -> None:
    old = tariff(replace(ADULT, grace_days=None, period=Period(months=12, start=Start.EXPIRY)))
    assert refused(quote(old, card(date(2020, 1, 1)), TODAY)) == "grace_over"


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (card(category="STRANGER"), "unknown_category"),
        (card(category=""), "unknown_category"),
        (card(born=None), "no_birth_date"),
        (card(born=TODAY + timedelta(days=1)), "birth_date_in_future"),
    ],
)
def test_what_the_library_system_says_of_a_card_may_allow_no_price(of: Card, code: str) -> None:
    assert refused(quote(tariff(ADULT), of, TODAY)) == code


def test_one_price_for_all_ages_needs_no_birth_date() -> None:
    flat = tariff(replace(ADULT, bands=(Band(cents=500),)))
    assert priced(quote(flat, card(born=None), TODAY)).cents == 500


def test_a_refusal_has_the_words_of_the_tariff_and_says_who_helps() -> None:
    why = {"de": "Nur an der Theke.", "en": "At the desk only."}
    found = quote(tariff(replace(ADULT, online=False, why=why)), card(), TODAY)
    assert isinstance(found, NoQuote)
    assert found.code == "not_online"
    assert found.text == {"de": f"Nur an der Theke. {HELPS['de']}", "en": f"At the desk only. {HELPS['en']}"}


def test_an_age_may_have_a_reason_instead_of_a_price() -> None:
    why = {"de": "Mit 18 wechselt die Gebührengruppe."}
    child = replace(ADULT, bands=(Band(to_age=17, cents=0), Band(from_age=18, why=why)))
    found = quote(tariff(child), card(), TODAY)
    assert isinstance(found, NoQuote)
    assert (found.code, found.text["de"]) == ("not_at_this_age", f"{why['de']} {HELPS['de']}")
    # A text of one language is better than none, and the sentence of who helps is in the reader's.
    assert found.text["en"] == f"{why['de']} {HELPS['en']}"


STUDENT = replace(ADULT, bands=(Band(cents=500),), evidence=Evidence.DATE)


@pytest.mark.parametrize(
    ("evidence", "seen"),
    [
        (None, "needs_evidence"),
        (TODAY, "evidence_over"),
        (TODAY - timedelta(days=400), "evidence_over"),
        (date(2027, 3, 31), date(2027, 3, 31)),
        (date(2030, 3, 31), date(2027, 11, 25)),
    ],
)
def test_a_reduced_period_never_goes_beyond_the_evidence(evidence: date | None, seen: str | date) -> None:
    found = quote(tariff(STUDENT), card(), TODAY, evidence_until=evidence)
    assert (found.until if isinstance(found, Quote) else found.code) == seen


def test_evidence_that_the_category_stands_for_is_not_asked_for_again() -> None:
    trusting = tariff(replace(STUDENT, evidence=Evidence.CATEGORY))
    assert priced(quote(trusting, card(), TODAY)).until == date(2027, 11, 25)


# --- whatever a by-law says --------------------------------------------------------------------

PERIODS = st.builds(
    lambda length, start: Period(**length, start=start),
    st.one_of(
        st.builds(lambda months: {"months": months}, st.integers(1, 120)),
        st.builds(lambda days: {"days": days}, st.integers(1, 3000)),
        st.builds(lambda day: {"to": (day.month, day.day)}, st.dates(date(2001, 1, 1), date(2001, 12, 31))),
    ),
    st.sampled_from(Start),
)
DAYS = st.dates(date(1900, 1, 1), date(2200, 12, 31))


@st.composite
def whole_bands(draw: st.DrawFn) -> tuple[Band, ...]:
    """Bands from birth on, without gap and overlap, each with a price or a reason."""
    steps = sorted(draw(st.sets(st.integers(1, 100), max_size=5)))
    ends = [step - 1 for step in steps]
    found = []
    for from_age, to_age in zip([0, *steps], [*ends, None], strict=True):
        cents = draw(st.none() | st.integers(0, 10_000))
        why = {"de": f"ab {from_age}"} if cents is None else None
        found.append(Band(from_age=from_age, to_age=to_age, cents=cents, why=why))
    return tuple(draw(st.permutations(found)))


CATEGORIES = st.builds(
    replace,
    st.just(ADULT),
    bands=whole_bands(),
    period=PERIODS,
    lead_days=st.integers(0, 400),
    grace_days=st.none() | st.integers(0, 4000),
    evidence=st.sampled_from(Evidence),
)


@given(
    CATEGORIES,
    st.none() | st.dates(),
    st.none() | st.dates(),
    DAYS,
    st.booleans(),
    st.none() | st.dates(),
)
def test_no_quote_moves_an_expiry_backwards_or_into_the_past(
    category: Category,
    until: date | None,
    born: date | None,
    today: date,
    ignore: bool,
    evidence: date | None,
) -> None:
    old = tariff(category, since=date(1900, 1, 1))
    found = quote(old, card(until, born), today, ignore_lead=ignore, evidence_until=evidence)
    if isinstance(found, NoQuote):
        assert found.code in WHY_NOT
        assert all(text.endswith(HELPS[language]) for language, text in found.text.items())
        assert (found.from_day is not None) == (found.code == "too_early")
        assert found.from_day is None or found.from_day > today
        return
    assert found.base is not None
    assert found.until > found.base
    assert found.until >= today
    assert found.cents >= 0
    if category.evidence is Evidence.DATE:
        assert evidence is not None
        assert found.until <= evidence


@given(CATEGORIES, st.integers(0, 120))
def test_every_age_has_exactly_one_price_or_one_reason(category: Category, age: int) -> None:
    [band] = [band for band in category.bands if band.fits(age)]
    usual = replace(category, evidence=Evidence.NONE, period=YEAR, lead_days=0, grace_days=None)
    # The new period begins tomorrow.
    born = date(TODAY.year - age, 11, 25)
    found = quote(tariff(usual), card(born=born), TODAY)
    if band.cents is None:
        assert refused(found) == "not_at_this_age"
    else:
        assert priced(found).cents == band.cents


@given(CATEGORIES, st.dates(date(2020, 1, 1), date(2030, 12, 31)), st.integers(-500, 500))
def test_a_card_that_is_too_early_can_be_renewed_on_the_day_that_is_named(
    category: Category, until: date, distance: int
) -> None:
    plain = replace(category, bands=(Band(cents=1),), evidence=Evidence.NONE, period=YEAR)
    today = until - timedelta(days=distance)
    found = quote(tariff(plain, since=date(1900, 1, 1)), card(until), today)
    if isinstance(found, NoQuote) and found.from_day is not None:
        assert found.from_day > today
        assert priced(quote(tariff(plain, since=date(1900, 1, 1)), card(until), found.from_day)).cents == 1
