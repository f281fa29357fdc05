"""The status order of the Onleihe, row by row and against each other, and the age rating."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import combinations

import pytest
from ils_payment_onleihe.rules import ORDER, Rules, first_with, fsk, standing

from ils_payment.model import Account, Block, Card, Fee

TODAY = date(2026, 11, 21)
RULES = Rules(
    fee_limit=2000,
    fee_limits={"KIND": 500},
    fee_kinds_not_counted=frozenset({"GUIDE"}),
    categories_not_allowed=frozenset({"GAST"}),
)


def account(*cents, kind="OVERDUE"):
    fees = tuple(
        Fee(ref=str(n), claim_key=str(n), cents=one, kind=kind, text="") for n, one in enumerate(cents)
    )
    return Account(balance=sum(cents), open_credit=0, fees=fees, read_at=datetime(2026, 11, 21, tzinfo=UTC))


def card(*kinds, category="ERW", valid_until=date(2027, 1, 1), manual=False):
    blocks = tuple(Block(kind=kind, manual=manual) for kind in kinds)
    return Card(number="A1", valid_until=valid_until, category=category, blocks=blocks)


def patron(kinds) -> tuple[Account, Card]:
    """A patron with exactly these hindrances, made in the way in which each of them comes about."""
    blocks = [kind for kind in kinds if kind not in {"category", "fees", "other"}]
    blocks += ["a word of the system's own"] if "other" in kinds else []
    return (
        account(2001) if "fees" in kinds else account(),
        card(*blocks, category="GAST" if "category" in kinds else "ERW"),
    )


def status(kinds):
    return standing(*patron(kinds), RULES, TODAY).status


@pytest.mark.parametrize(
    ("kind", "expected", "lifted_by"),
    [
        ("category", -4, "library"),
        ("overdues", 1, "return"),
        ("restriction", 1, "library"),
        ("other", 1, "library"),
        ("expired", -3, "renewal"),
        ("address", 1, "library"),
        ("lost_card", 1, "library"),
        ("fees", 4, "payment"),
        ("locked", 1, "library"),
    ],
)
def test_each_hindrance_alone_has_its_status_and_who_lifts_it(kind, expected, lifted_by):
    found = standing(*patron([kind]), RULES, TODAY)
    assert found.status == expected
    assert [(one.kind, one.lifted_by) for one in found.hindrances] == [(kind, lifted_by)]


def test_nothing_that_hinders_is_valid():
    assert standing(*patron([]), RULES, TODAY) == standing(account(), card(), RULES, TODAY)
    assert status([]) == 3


@pytest.mark.parametrize(("first", "second"), list(combinations([row.kind for row in ORDER], 2)))
def test_of_two_hindrances_the_one_further_up_decides_and_both_are_told(first, second):
    found = standing(*patron([second, first]), RULES, TODAY)
    assert [one.kind for one in found.hindrances] == [first, second]
    assert found.status == status([first])


def test_the_order_is_the_one_that_was_read():
    assert [row.status for row in ORDER] == [-4, 1, 1, 1, -3, 1, 1, 4, 1]


def test_an_expired_card_hides_that_fees_are_open():
    assert status(["expired", "fees"]) == -3


@pytest.mark.parametrize(("cents", "expected"), [(0, 3), (1999, 3), (2000, 3), (2001, 4)])
def test_fees_block_only_above_the_limit(cents, expected):
    fees = account(cents) if cents else account()
    assert standing(fees, card(), RULES, TODAY).status == expected


def test_fees_add_up_and_an_open_credit_is_not_set_against_them():
    assert standing(account(1500, 501), card(), RULES, TODAY).status == 4


@pytest.mark.parametrize(("cents", "expected"), [(500, 3), (501, 4)])
def test_a_category_may_have_a_limit_of_its_own(cents, expected):
    assert standing(account(cents), card(category="KIND"), RULES, TODAY).status == expected


def test_fee_kinds_that_do_not_count_never_block():
    assert standing(account(9900, kind="GUIDE"), card(), RULES, TODAY).status == 3


@pytest.mark.parametrize(
    ("valid_until", "expected"),
    [(date(2026, 11, 20), -3), (TODAY, 3), (date(2026, 11, 22), 3), (None, 3)],
)
def test_a_card_is_valid_through_its_last_day(valid_until, expected):
    assert standing(account(), card(valid_until=valid_until), RULES, TODAY).status == expected


def test_what_a_person_set_is_lifted_by_the_library_whatever_it_is():
    [one] = standing(account(), card("fees", manual=True), RULES, TODAY).hindrances
    assert (one.kind, one.lifted_by) == ("fees", "library")


def test_configured_words_come_with_the_hindrance():
    text = {"de": "Bitte kommen Sie vorbei."}
    [one] = standing(
        account(), card("address"), Rules(fee_limit=0, texts={"address": text}), TODAY
    ).hindrances
    assert one.text == text


def test_a_status_leads_to_the_first_row_that_gives_it():
    assert first_with(1) == ORDER[1]
    assert first_with(3) is None


@pytest.mark.parametrize(
    ("birth_date", "expected"),
    [
        (date(2026, 11, 21), 0),
        (date(2025, 11, 22), 0),
        (date(2025, 11, 21), 0),
        (date(2020, 11, 22), 0),
        (date(2020, 11, 21), 6),
        (date(2014, 11, 22), 6),
        (date(2014, 11, 21), 12),
        (date(2010, 11, 22), 12),
        (date(2010, 11, 21), 16),
        (date(2008, 11, 22), 16),
        (date(2008, 11, 21), 18),
        (date(1926, 1, 1), 18),
        (None, 18),
        (date(2026, 11, 22), 18),
    ],
)
def test_the_rating_follows_the_age_to_the_day(birth_date, expected):
    assert fsk(birth_date, RULES, TODAY) == expected


def test_the_rating_of_the_unknown_and_of_the_first_year_is_the_librarys_choice():
    rules = Rules(fee_limit=0, fsk_unknown=6, fsk_age_zero=18)
    assert fsk(None, rules, TODAY) == 6
    assert fsk(date(2026, 1, 1), rules, TODAY) == 18
    assert fsk(date(2025, 1, 1), rules, TODAY) == 0


def test_who_is_born_on_a_leap_day_grows_older_in_other_years_too():
    born = date(2008, 2, 29)
    assert fsk(born, RULES, date(2026, 2, 28)) == 16
    assert fsk(born, RULES, date(2026, 3, 1)) == 18
