"""The tariff beside the library system: names and books of fees, what is kept out, and the one price."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from ils_payment.domain.tariff import NoQuote, Quote
from ils_payment.errors import ConfigurationError, RemoteUnavailableError
from ils_payment.flows import pay, see, show
from ils_payment.flows.category_fees import FRESH_SECONDS, CategoryFees
from ils_payment.flows.tariffs import KnownKind, known_kind, quote_for
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import Card, CategoryFee, PatronRef
from tests.conftest import Town
from tests.flows.renewing import system_table

TARIFF = """\
[[versions]]
period = { months = 12 }
valid_from = 2020-01-01
[versions.kinds.annual_fee]
label = { de = "Jahresgebühr", en = "Annual fee" }
cost_centre = "2720"
account = "43210000"
[versions.kinds.reservation]
label = { de = "Vormerkung", en = "Reservation" }
codes = ["RESERVE"]
cost_centre = "2721"
account = "43210020"
tax_code = "V7"
[versions.kinds.late]
label = { de = "Versäumnis", en = "Late" }
codes = ["OVERDUE"]
cost_centre = "999"
[versions.categories.adult]
label = "Erwachsene"
codes = ["ERW"]
amount = "15.00"
"""
KEPT_OUT = TARIFF.replace(
    'codes = ["RESERVE"]', 'codes = ["RESERVE"]\nonline = false\nwhy = { de = "Nur bar.", en = "Cash only." }'
)

ERIKA = PatronRef("51")
RESERVATION = {"de": "Vormerkung", "en": "Reservation"}


def refused(found):
    assert isinstance(found, NoQuote), found
    return found.code


@pytest.fixture
def town(database_url, tmp_path):
    """Return a function that builds the town with a tariff."""
    built = []

    def with_tariff(text: str = TARIFF, **library) -> Town:
        path = tmp_path / "tariff.toml"
        path.write_text(text, encoding="utf-8")
        built.append(Town(database_url, tariff=str(path), **library))
        return built[-1]

    yield with_tariff
    for one in built:
        one.close()


def test_the_configuration_names_a_fee_kind_before_the_tariff_does(town):
    lindental = town()
    today = lindental.desk.day_of(lindental.world.now())
    kinds = ("OVERDUE", "RESERVE", "annual_fee", "X")
    of = {kind: known_kind(lindental.desk, kind, today) for kind in kinds}
    late = {"de": "Säumnisgebühr", "en": "Overdue fee"}
    assert of["OVERDUE"] == KnownKind(label=late, cost_centre="4711", account="331100", tax_code="A1")
    assert (of["RESERVE"].label, of["RESERVE"].account) == (RESERVATION, "43210020")
    assert of["annual_fee"].cost_centre == "2720"
    assert (of["X"].label, of["X"].cost_centre) == (None, "")


def test_a_fee_is_shown_frozen_and_receipted_under_the_name_and_account_of_the_tariff(town):
    lindental = town()
    view = see.fees(lindental.house, lindental.desk, lindental.erika)
    [line] = [line for line in view.lines if line.kind == "RESERVE"]
    assert line.label == RESERVATION
    begun = pay.begin(lindental.house, lindental.desk, lindental.erika, [line.key], "card", "de", line.cents)
    assert isinstance(begun, Begun)
    payment = show.payment(lindental.house, begun.payment_id)
    assert payment is not None
    [paid] = payment.lines
    assert (paid.label, paid.cost_centre, paid.account) == (RESERVATION, "2721", "43210020")
    assert paid.tax_code == "V7"


def test_what_the_by_law_keeps_out_cannot_be_paid_and_says_why(town):
    lindental = town(KEPT_OUT)
    view = see.fees(lindental.house, lindental.desk, lindental.erika)
    [line] = [line for line in view.lines if line.kind == "RESERVE"]
    assert (line.payable, line.reason) == (False, {"de": "Nur bar.", "en": "Cash only."})
    begun = pay.begin(lindental.house, lindental.desk, lindental.erika, [line.key], "card", "de", line.cents)
    assert begun == NotBegun(code="not_payable")


def test_a_rule_of_the_configuration_goes_before_the_tariff(town):
    rule = {"kind": "RESERVE", "text": {"de": "Zuerst.", "en": "First."}}
    lindental = town(KEPT_OUT, not_payable=[rule])
    view = see.fees(lindental.house, lindental.desk, lindental.erika)
    assert [line.reason for line in view.lines if line.kind == "RESERVE"] == [rule["text"]]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (TARIFF.replace("15.00", "fifteen"), "is no amount"),
        (TARIFF.replace('amount = "15.00"', "ages = [{ age_from = 18, amount = '1.00' }]"), "age 0 to 17"),
        ('currency = "CHF"\n' + TARIFF, "currency: is CHF, but libraries.lindental.currency is EUR"),
    ],
)
def test_a_tariff_that_cannot_be_meant_lets_nothing_start(town, text, what):
    with pytest.raises(ConfigurationError, match=r"tariff\.toml") as caught:
        town(text)
    assert what in caught.value.what


class Prices:
    """A library system that tells what its categories cost; or nothing, while it is down."""

    def __init__(self, cents: int) -> None:
        self.cents = cents
        self.asked = 0
        self.down = False

    def category_fees(self):
        self.asked += 1
        if self.down:
            raise RemoteUnavailableError("down")
        return [CategoryFee(category="ERW", name="Erwachsene", cents=self.cents, months=12)]


@pytest.fixture
def priced(town):
    """Return a library with that price, the prices of its library system, its clock, and a card."""

    def with_price(cents: int):
        lindental = town()
        clock = SimpleNamespace(seconds=50.0)
        prices = Prices(cents)
        desk = replace(lindental.desk, category_fees=CategoryFees(prices, lambda: clock.seconds))
        today = desk.day_of(lindental.house.world.now())
        card = Card(number=None, valid_until=today + timedelta(days=9), category="ERW")
        return desk, prices, clock, card, today

    return with_price


def test_one_price_on_both_sides_is_a_quote(priced):
    desk, _prices, _clock, card, today = priced(1500)
    found = quote_for(desk, ERIKA, card, today)
    assert isinstance(found, Quote)
    assert (found.cents, found.version) == (1500, "2020-01-01")


def test_two_prices_refuse_the_renewal_in_plain_words(priced):
    desk, prices, _clock, card, today = priced(1400)
    found = quote_for(desk, ERIKA, card, today)
    assert isinstance(found, NoQuote)
    assert found.code == "differs"
    assert "Ihre Bibliothek hilft" in found.text["de"]
    assert prices.asked == 1


def test_the_library_system_is_asked_every_few_minutes_at_most(priced):
    desk, prices, clock, card, today = priced(1500)
    for _ in range(5):
        quote_for(desk, ERIKA, card, today)
    assert prices.asked == 1
    clock.seconds += FRESH_SECONDS + 1
    prices.cents = 1600
    assert refused(quote_for(desk, ERIKA, card, today)) == "differs"
    assert prices.asked == 2


def test_an_old_answer_is_not_used_for_want_of_a_new_one(priced):
    desk, prices, clock, card, today = priced(1500)
    quote_for(desk, ERIKA, card, today)
    clock.seconds += FRESH_SECONDS + 1
    prices.down = True
    with pytest.raises(RemoteUnavailableError):
        quote_for(desk, ERIKA, card, today)
    prices.down = False
    assert isinstance(quote_for(desk, ERIKA, card, today), Quote)


def test_nobody_is_asked_for_a_card_that_is_refused_anyway(priced):
    desk, prices, _clock, card, today = priced(1500)
    assert refused(quote_for(desk, ERIKA, replace(card, category="X"), today)) == "unknown_category"
    assert prices.asked == 0


STUDENT = TARIFF.replace('codes = ["ERW"]', 'codes = ["ERW"]\nevidence = "date"')


@pytest.fixture
def student(town):
    """Return a function that quotes the card of Erika, whose evidence stands in Koha as given."""

    def quoted(*days: str, **table):
        lindental = town(STUDENT, library_system={**system_table("sqlite:////unused"), **table})
        for day in days:
            lindental.koha.add_attribute(int(lindental.erika), "NACHWEIS", day)
        today = lindental.desk.day_of(lindental.house.world.now())
        card = Card(number=None, valid_until=today + timedelta(days=9), category="ERW")
        before = len(lindental.world.requests)
        found = quote_for(lindental.desk, lindental.erika, card, today)
        return found, today, [url for _, url in lindental.world.requests[before:]]

    return quoted


def test_a_reduced_card_is_renewed_to_the_last_day_of_its_evidence_at_most(student):
    found, today, _ = student("2099-01-01", evidence_attribute="NACHWEIS")
    assert isinstance(found, Quote)
    assert found.until == (today + timedelta(days=9)).replace(year=today.year + 1)
    near = today + timedelta(days=100)
    found, _, _ = student(near.strftime("%d.%m.%Y"), evidence_attribute="NACHWEIS")
    assert isinstance(found, Quote)
    assert found.until == near


def test_evidence_that_is_over_missing_or_unreadable_is_refused_in_words_of_its_own(student):
    chosen = {"evidence_attribute": "NACHWEIS"}
    assert refused(student("2020-01-01", **chosen)[0]) == "evidence_over"
    assert refused(student(**chosen)[0]) == "needs_evidence"
    found = student("bald", **chosen)[0]
    assert refused(found) == "evidence_unreadable"
    assert "nicht lesbar" in found.text["de"]


def test_without_the_setting_nobody_is_asked_for_evidence(student):
    found, _, asked = student("2099-01-01")
    assert (refused(found), asked) == ("needs_evidence", [])


def test_without_a_tariff_no_card_is_renewed(database_url):
    bare = Town(database_url)
    try:
        card = Card(number=None, valid_until=None, category="ERW")
        today = bare.desk.day_of(bare.house.world.now())
        assert refused(quote_for(bare.desk, ERIKA, card, today)) == "no_tariff"
        assert bare.desk.category_fees is None
    finally:
        bare.close()
