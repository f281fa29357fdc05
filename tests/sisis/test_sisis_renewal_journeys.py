"""A card is renewed with a command of the library's own, through the real flows, and through crashes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from ils_payment_sisis.simulator import Fault
from ils_payment_sisis.simulator.slnp import RENEW

from ils_payment.flows import offer, pay
from ils_payment.flows.house import open_house
from ils_payment.flows.views import Begun
from ils_payment.model import State
from ils_payment.testing.world import Crash
from tests.flows.decisions import kinds
from tests.flows.renewing import YEAR, replace_desk, tariff
from tests.sisis.conftest import CARD, OWN_RENEWAL
from tests.sisis.sisis_town import SISISTown

SLNP = {"category_key": "ErfundenGruppe", "renew": OWN_RENEWAL}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[SISISTown]:
    built = SISISTown(f"sqlite:///{tmp_path}/ledger.db", slnp=SLNP)
    erika = built.sisis.books.patrons[CARD]
    erika.valid_until = built.world.now().date() + timedelta(days=10)
    with_tariff(built)
    yield built
    built.close()


def with_tariff(town: SISISTown) -> None:
    desk = replace(town.house.libraries["lindental"], tariff=tariff())
    town.house = replace_desk(town.house, desk.key, desk)
    town.desk = desk


def sold(town: SISISTown, *, fees: bool) -> str:
    """Erika confirms a year more, and her fees with it if *fees*."""
    quote = offer.card(town.house, town.desk, town.erika).quote
    assert quote is not None
    total = quote.cents + (1250 if fees else 0)
    keys = ["account"] if fees else []
    begun = pay.begin(town.house, town.desk, town.erika, keys, "card", "de", total, until=quote.until)
    assert isinstance(begun, Begun), begun
    return begun.payment_id


@pytest.mark.parametrize("fees", [False, True])
def test_a_card_is_renewed_once_and_its_fees_are_paid_apart(town, fees):
    ends = town.sisis.books.patrons[CARD].valid_until
    payment_id = sold(town, fees=fees)
    town.pay(payment_id)
    view = town.view(payment_id)
    assert (view.state, view.held, view.cents) == (State.SETTLED, False, YEAR + (1250 if fees else 0))
    assert town.sisis.renewals == {CARD: [ends.replace(year=ends.year + 1)]}
    assert [one["amount"] for one in town.booked()] == ([1250] if fees else [])


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.NEVER_DONE, Fault.CUT])
def test_a_lost_answer_is_looked_up_and_the_card_gets_one_year(town, fault):
    ends = town.sisis.books.patrons[CARD].valid_until
    payment_id = sold(town, fees=False)
    town.sisis.go_wrong(fault, RENEW)
    town.pay(payment_id)
    town.run_for(hours=1, rounds=6)
    assert town.view(payment_id).state is State.SETTLED
    assert town.sisis.books.patrons[CARD].valid_until == ends.replace(year=ends.year + 1)


def test_a_refusal_ends_with_a_person_and_an_old_card(town):
    payment_id = sold(town, fees=False)
    town.sisis.own_commands = False
    town.pay(payment_id)
    assert len(kinds(town, payment_id)) == 1
    assert town.sisis.renewals == {}


@pytest.mark.parametrize(
    "point", ["sip2.settle.before", "sip2.settle.after", "sisis.renew.before", "sisis.renew.after"]
)
def test_a_crash_pays_and_renews_at_most_once_and_forgets_nothing(town, point):
    ends = town.sisis.books.patrons[CARD].valid_until
    payment_id = sold(town, fees=True)

    def die(name: str) -> None:
        if name == point:
            raise Crash(name)

    town.stripe.pay(town.session_of(payment_id))
    town.deliver_webhooks()
    town.world.on_failpoint = die
    with pytest.raises(Crash):
        town.run_for(hours=2, rounds=8)
    town.world.on_failpoint = None
    town.house.close()
    town.house = open_house(town.settings, town.world)
    with_tariff(town)
    town.run_for(hours=2, rounds=8)
    assert town.sent("37") <= 1
    assert town.sisis.books.patrons[CARD].valid_until in {ends, ends.replace(year=ends.year + 1)}
    if point.startswith("sip2"):
        # Whether the call was made, or what it did, is not known, and nothing tells.
        assert kinds(town, payment_id) == ["unclear"]
    else:
        assert (town.view(payment_id).state, kinds(town, payment_id)) == (State.SETTLED, [])
        assert [one["amount"] for one in town.booked()] == [1250]
        assert town.sisis.books.patrons[CARD].valid_until > ends


BY_RULE = {"command": RENEW, "parameters": {"BenutzerNummer": "{card}"}, "expect": {"Ergebnis": "J"}}


@pytest.mark.parametrize("seconds", [30, 120, 400])
def test_a_late_call_that_renews_by_its_own_rule_is_not_repeated_before_it_can_come_no_more(
    tmp_path, seconds
):
    slnp = {"category_key": "ErfundenGruppe", "renew": BY_RULE}
    town = SISISTown(f"sqlite:///{tmp_path}/ledger.db", slnp=slnp)
    erika = town.sisis.books.patrons[CARD]
    erika.valid_until = ends = town.world.now().date() + timedelta(days=10)
    with_tariff(town)
    payment_id = sold(town, fees=False)
    town.sisis.go_wrong(Fault.LATE, RENEW, seconds=seconds)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=400)
    state = town.view(payment_id).state
    town.close()
    assert erika.valid_until == ends.replace(year=ends.year + 1)
    assert state is State.SETTLED
