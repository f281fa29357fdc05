"""Library systems that want the PIN, show no prices or no card, or forget a patron at the wrong moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ils_payment.domain.by_law import Band, Category, Period
from ils_payment.domain.tariff import NoQuote
from ils_payment.domain.tariff_check import contradictions
from ils_payment.errors import (
    ConfigurationError,
    PinNeededError,
    RemoteUnavailableError,
)
from ils_payment.flows import offer, pay, see
from ils_payment.flows.category_fees import open_category_fees
from ils_payment.flows.desk_checks import check_desk
from ils_payment.flows.verify import verify
from ils_payment.flows.views import NotBegun
from ils_payment.model import ReadSupport, RenewSupport, Verdict
from ils_payment.store import elending, renewals
from tests.flows.renewing import tariff
from tests.flows.test_other_library_systems import can
from tests.flows.test_refunds_odd_answers import library_answers, provider_answers
from tests.flows.test_unblock import Platform
from tests.flows.truths import hear, of


@pytest.fixture
def cards(renewing_town):
    return renewing_town


def test_a_library_system_that_wants_the_pin_again_is_not_called_unavailable(town):
    library_answers(town, account=PinNeededError("The PIN is needed."))
    with pytest.raises(PinNeededError):
        pay.begin(town.house, town.desk, of(town, "erika"), ["1"], "card", "de", 100)


def test_an_account_that_was_read_before_the_patrons_last_payment_is_read_with_the_pin_again(town):
    old = town.desk.account(of(town, "erika"))
    asked = can(town, unattended_read=False)
    one, other = [line for line in see.fees(town.house, town.desk, of(town, "erika")).lines if line.payable][
        :2
    ]
    first = pay.begin(town.house, town.desk, of(town, "erika"), [one.key], "card", "de", one.cents)
    assert not isinstance(first, NotBegun), first
    asked.answers["account"], asked.asked["account"] = old, []
    town.world.pass_time(seconds=1)
    with pytest.raises(PinNeededError, match="before the patron's last payment"):
        pay.begin(town.house, town.desk, of(town, "erika"), [other.key], "card", "de", other.cents)


def test_fees_are_shown_while_the_card_beside_them_cannot_be_read(cards):
    library_answers(cards, card=RemoteUnavailableError("Koha is down."))
    fees, card = offer.fees_and_card(cards.house, cards.desk, cards.jan)
    assert fees.lines
    assert card is None


def test_a_library_system_that_shows_no_prices_has_no_prices_to_compare(town):
    for shows in (True, False):
        can(town, prices_categories=shows)
        assert (open_category_fees(town.desk.system, town.world.monotonic) is not None) is shows


@pytest.mark.parametrize(
    ("table", "less", "says"),
    [
        ({"reminders": {"days_before": (7,)}}, {"lists_expiring": False}, "does not list the cards"),
        ({"renewal": {"confirm_contact": True}}, {"shows_contact": False}, "does not show contact data"),
    ],
)
def test_a_table_that_the_library_system_cannot_serve_is_refused_at_the_start(cards, table, less, says):
    can(cards, **less)
    settings = cards.desk.settings
    changed = {name: getattr(settings, name).model_copy(update=of_it) for name, of_it in table.items()}
    with pytest.raises(ConfigurationError, match=says):
        check_desk(replace(cards.desk, settings=settings.model_copy(update=changed)))


def test_a_provider_that_does_not_take_the_currency_of_the_library_is_refused(town):
    settings = town.desk.settings.model_copy(update={"currency": "HUF"})
    with pytest.raises(ConfigurationError, match=r"methods\[0\]: the provider stripe takes no HUF"):
        check_desk(replace(town.desk, settings=settings))


def test_where_the_library_system_renews_nothing_no_price_is_named(cards):
    can(cards, can_renew=RenewSupport.NO)
    card = cards.desk.system.card(cards.jan)
    found = offer.quote(cards.house, cards.desk, cards.jan, card)
    assert isinstance(found, NoQuote)
    assert found.code == "cannot_renew"


def test_coming_back_to_a_payment_that_nobody_knows_asks_no_provider(town):
    read = provider_answers(
        town,
        capabilities=replace(town.desk.providers["stripe"].capabilities(), read=ReadSupport.WITH_RETURN),
    )
    read.answers["read"], read.asked["read"] = None, []
    pay.come_back(town.house, "NOBODY", {"redirectResult": "x"})
    assert read.asked["read"] == []


def test_platforms_are_not_asked_unattended_where_the_account_opens_only_with_the_pin(town):
    platform = Platform()
    town.desk = replace(town.desk, elending={"onleihe": platform})
    town.house.libraries["lindental"] = town.desk
    can(town, unattended_read=False)
    payment_id = town.started()
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    with town.house.store.read() as unit:
        kept = elending.of_payment(unit, payment_id)
    assert [one.verdict for one in kept.values()] == [Verdict.CANNOT_TELL]
    assert platform.questions == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"until": timedelta(days=1)}, "its card counts as renewed to a day that its history does not know"),
        ({"state": "given_up", "tariff": "1999-01-01"}, "its renewal is not as it was sold"),
    ],
)
def test_a_renewal_whose_row_was_changed_is_found(cards, change, says):
    payment_id = cards.sold()
    cards.stripe.pay(cards.session_of(payment_id))
    hear(cards)
    renewal = cards.renewal(payment_id)
    columns = {
        name: renewal.until + value if isinstance(value, timedelta) else value
        for name, value in change.items()
    }
    with cards.house.store.unit() as unit:
        renewals.change(unit, renewal, **columns)
    assert any(says in found for found in verify(cards.house).findings)


def test_a_card_to_a_fixed_day_that_may_be_renewed_a_year_before_is_warned_of():
    priced = tariff()
    (version,) = priced.versions
    adults = Category(
        key="adult",
        codes=("ERW",),
        label={"de": "Erwachsene"},
        bands=(Band(cents=1000),),
        kind="annual_fee",
        period=Period(to=(12, 31)),
        lead_days=365,
        grace_days=30,
    )
    fixed = replace(priced, versions=(replace(version, categories=(adults,)),))
    assert any("a card of 365 days could be renewed again" in one.what for one in contradictions(fixed))
