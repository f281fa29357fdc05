"""The library system's address changes: its patrons are the same, and the program does not guess that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ils_payment_koha.simulator import KohaSimulator

from ils_payment.domain.refunds import Meaning
from ils_payment.errors import ConfigurationError
from ils_payment.flows import inbox, pay, show, subject
from ils_payment.flows.house import open_house
from ils_payment.flows.reconcile import reconcile
from ils_payment.flows.settle import settle
from ils_payment.flows.views import NotBegun
from ils_payment.model import Actor, State
from tests.conftest import KOHA, Town, settings_for
from tests.flows.decisions import approved, case_of, kinds, only_refund, settled_payment, took
from tests.flows.truths import hear, load, paid, trail

# Longer than forty characters, as many addresses of Koha's interface for staff are.
NEW = "koha-intranet.stadtbuecherei-lindental.example"
OLD_NAME = f"https://{KOHA}/api/v1"
ROOT = Actor("root", "command line")


def moved(town: Town, **library):
    """The same Koha behind a new name."""
    town.world.remotes[NEW] = town.koha
    town.house.close()
    table = town.settings.libraries["lindental"].library_system
    settings = settings_for(
        town.settings.server.database,
        library_system={
            "plugin": table.plugin,
            "url": f"https://{NEW}/api/v1",
            "client_id": "ils-payment",
            "client_secret": {"env": "TOWN_KOHA_SECRET"},
            "library_id": "ZENTRALE",
        },
        **library,
    )
    town.house = open_house(settings, town.world)
    town.desk = town.house.libraries["lindental"]


def another(town: Town) -> None:
    """Another Koha, in which the same numbers are other people's."""
    town.koha = KohaSimulator.demo(town.world)
    moved(town)


def test_open_payments_of_a_library_system_that_is_called_otherwise_stop_the_program(town):
    town.started()
    with pytest.raises(ConfigurationError, match=OLD_NAME) as told:
        moved(town)
    assert f'patrons_known_as = "{OLD_NAME}" in [libraries.lindental]' in told.value.mend


def test_under_their_former_name_patrons_keep_their_claims_and_can_be_erased(town):
    first = paid(town)
    moved(town, patrons_known_as=OLD_NAME)
    assert isinstance(town.begin(), NotBegun)
    hear(town)
    assert town.view(first).state is State.SETTLED
    assert len(town.credits()) == 1
    assert subject.erase(town.house, town.desk, ROOT, town.erika) == 1


def test_a_new_address_is_no_matter_where_everything_is_at_its_end(town):
    first = paid(town)
    hear(town)
    assert town.view(first).state is State.SETTLED
    moved(town)


def test_a_long_address_fits_into_the_ledger(each_town):
    moved(each_town)
    payment_id = paid(each_town)
    hear(each_town)
    assert each_town.view(payment_id).state is State.SETTLED


def test_a_refund_that_is_on_its_way_stops_the_program_too(town):
    payment_id = paid(town)
    hear(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    with pytest.raises(ConfigurationError, match="patrons belong to"):
        moved(town)


def test_what_is_owed_again_is_never_charged_to_the_same_number_in_another_library_system(town):
    payment_id = paid(town)
    hear(town)
    another(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run_for(hours=3, rounds=20)
    assert only_refund(town, payment_id).charge_state == "by_hand"
    assert (
        case_of(town, payment_id, "charge_by_hand").facts["reason"] == "the library system is another one now"
    )


def test_money_that_comes_late_is_never_booked_for_the_same_number_in_another_library_system(town):
    payment_id = town.started(only=1)
    pay.cancel(town.house, payment_id)
    another(town)
    took(town, payment_id, town.view(payment_id).cents)
    settle(town.house, town.desk, load(town, payment_id))
    assert (kinds(town, payment_id), town.credits()) == (["unexpected"], [])
    assert "patron_elsewhere" in trail(town, payment_id)


def test_staff_see_nobody_elses_account_beside_a_payment_from_a_former_library_system(town):
    payment_id = settled_payment(town, only=1)
    assert inbox.library_side(town.house, town.desk, payment_id).card
    assert show.whereabouts(town.house, payment_id).patron == town.erika
    another(town)
    before = len(town.world.requests)
    side = inbox.library_side(town.house, town.desk, payment_id)
    assert (side.problem, side.card, side.balance) == ("unknown", None, None)
    assert show.whereabouts(town.house, payment_id).patron is None
    assert len(town.world.requests) == before


def test_a_comparison_looks_into_nobody_elses_account(town):
    settled_payment(town, only=1)
    town.world.pass_time(minutes=1)
    since = town.world.now() - timedelta(hours=2)
    another(town)
    report = reconcile(town.house, town.desk, since, town.world.now(), ROOT)
    assert (report.counts["patrons_elsewhere"], report.counts.get("patrons", 0)) == (1, 0)
    assert (report.differences, report.gaps) == ([], [])
