"""The page "Fees explained": public, in two languages, from the tariff alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from ils_payment.config.tariff import Unit
from ils_payment.domain.by_law import Amount, Band, FeeKind, Period
from ils_payment.web.app import create_app
from ils_payment.web.explained import UNITS, sections
from ils_payment.web.language import Tongue
from tests.conftest import Town
from tests.domain.test_card_quotes import ADULT, TODAY, tariff
from tests.web.doors import PUBLIC
from tests.web.exhibition import CHANGING, TARIFFS, TOWN

BERLIN = ZoneInfo("Europe/Berlin")
DE, EN = Tongue("de", BERLIN), Tongue("en", BERLIN)


@pytest.fixture
def browser_of(tmp_path):
    """Return a function that opens a browser before a library with these keys in its table."""
    towns = []

    def opened(**library):
        towns.append(Town(f"sqlite:///{tmp_path}/ledger.db", **library))
        app = create_app(towns[-1].house)
        return TestClient(app, base_url=PUBLIC, follow_redirects=False)

    yield opened
    for one in towns:
        one.close()


def test_anybody_reads_the_page_and_every_page_leads_there(browser_of):
    browser = browser_of(tariff=str(TARIFFS / "town-library.toml"))
    page = browser.get("/lindental/fees-explained?lang=en")
    assert page.status_code == 200
    assert "from 18 years on: €10.00" in page.text
    assert browser.head("/lindental/fees-explained").status_code == 200
    assert 'href="/lindental/fees-explained"' in browser.get("/lindental/").text


def test_without_a_tariff_there_is_no_such_page_and_no_way_to_it(browser_of):
    browser = browser_of()
    assert browser.get("/lindental/fees-explained").status_code == 404
    assert "fees-explained" not in browser.get("/lindental/").text
    assert browser.get("/nowhere/fees-explained").status_code == 404


def test_a_coming_version_stands_below_the_one_in_force():
    now, later = sections(CHANGING, TODAY, EN)
    assert (now.coming, now.begins) == (False, date(2026, 1, 1))
    assert (later.coming, later.begins) == (True, date(2027, 1, 1))
    assert [one.begins for one in sections(CHANGING, date(2027, 1, 1), EN)] == [date(2027, 1, 1)]
    assert [one.coming for one in sections(TOWN, date(2020, 1, 1), EN)] == [True]


def card(**changes):
    [section] = sections(tariff(replace(ADULT, **changes)), TODAY, DE)
    [entry] = section.cards
    return entry


@pytest.mark.parametrize(
    ("period", "said"),
    [
        (Period(months=12), "Gilt ein Jahr."),
        (Period(months=1), "Gilt einen Monat."),
        (Period(months=3), "Gilt 3 Monate."),
        (Period(days=1), "Gilt einen Tag."),
        (Period(days=7), "Gilt 7 Tage."),
        (Period(to=(12, 31)), "Gilt bis zum nächsten 31. Dezember."),
    ],
)
def test_a_period_is_said_as_people_say_it(period, said):
    assert card(period=period).notes == (said,)


def test_prices_by_age_are_said_one_by_one():
    entry = card(
        bands=(
            Band(to_age=17, cents=0),
            Band(from_age=18, to_age=26, cents=500),
            Band(from_age=27, cents=1000),
        )
    )
    assert entry.prices == (
        "bis 17 Jahre: kostenlos",
        "18 bis 26 Jahre: 5,00\xa0€",
        "ab 27 Jahren: 10,00\xa0€",
    )
    assert card(bands=(Band(cents=500),)).prices == ("5,00\xa0€",)


def test_why_a_card_is_not_renewed_online_stands_beside_it():
    why = {"de": "Nur hier.", "en": "Here only."}
    assert card(online=False, why=why).reasons == ("Nur hier.",)
    assert card(bands=(Band(to_age=17, why=why), Band(from_age=18, cents=1))).reasons == (
        "bis 17 Jahre: Nur hier.",
    )


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (Amount(cents=50, per=("item", "started_week")), "0,50\xa0€ je Medium und angefangene Woche"),
        (Amount(cents=50, per=("week",), free_weeks=1), "0,50\xa0€ je Woche (die erste Woche ist frei)"),
        (Amount(cents=50, per=("week",), free_weeks=2), "0,50\xa0€ je Woche (die ersten 2 Wochen sind frei)"),
        (Amount(cents=100, letter=1), "1. Schreiben: 1,00\xa0€"),
        (
            Amount(cents=100, letter=3, overdue_weeks=6),
            "3. Schreiben: 1,00\xa0€ zuzüglich der Säumnisgebühren für 6 Wochen",
        ),
        (Amount(cents=100, per=("letter",), after_weeks=4), "1,00\xa0€ je Schreiben nach 4 Wochen"),
        (Amount(cents=100, after_weeks=1), "1,00\xa0€ nach einer Woche"),
        (Amount(actual_cost=True, per=("item",)), "die tatsächlichen Kosten je Medium"),
        (Amount(cents=500, text={"de": "für die Bearbeitung"}), "5,00\xa0€ für die Bearbeitung"),
        (Amount(cents=0), "kostenlos"),
    ],
)
def test_an_amount_is_said_as_the_by_law_means_it(amount, said):
    of = tariff(ADULT)
    kinds = {"x": FeeKind(key="x", label={"de": "X"}, amounts=(amount,))}
    [section] = sections(replace(of, versions=(replace(of.versions[0], kinds=kinds),)), TODAY, DE)
    assert section.fees[0].prices == (said,)


def test_every_unit_of_the_file_has_a_word():
    assert set(UNITS) == set(get_args(Unit))
