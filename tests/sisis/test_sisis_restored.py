"""A ledger put back where no marker can be looked for: what may have been booked is not booked again."""

from __future__ import annotations

from typing import Any

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.model import State
from ils_payment.store import installation
from tests.flows.decisions import books, case_of, kinds, resolve
from tests.flows.restoring import Keeper
from tests.sisis.conftest import BY_NCIP, CARD
from tests.sisis.sisis_town import SISISTown

# Where reading needs the PIN, a call is made without a look; elsewhere a new debt of the same sum fits.
WAYS: list[dict[str, Any]] = [BY_NCIP, {}]


@pytest.fixture(params=WAYS, ids=["read with a PIN", "read without one"])
def town(request, tmp_path):
    built = SISISTown(f"sqlite:///{tmp_path}/ledger.db", **request.param)
    yield built
    built.close()


def _forgotten(town, tmp_path):
    """A payment that was settled after the backup that is put back now."""
    keeper = Keeper(town, tmp_path)
    payment_id = town.started()
    keeper.keep()
    town.pay(payment_id)
    assert [one["amount"] for one in town.booked()] == [1250]
    town.world.pass_time(hours=6)
    town.sisis.books.add_fee(CARD, 1250, "neu", since=town.world.now().date())
    keeper.put_back()
    town.run()
    keeper.compare(by_hand="compared with the till's list")
    return payment_id


def test_what_a_restored_ledger_may_have_forgotten_is_a_case_and_no_second_credit(town, tmp_path):
    payment_id = _forgotten(town, tmp_path)
    assert [one["amount"] for one in town.booked()] == [1250]
    assert kinds(town, payment_id) == ["unclear"]
    assert "restored" in case_of(town, payment_id).facts["reason"]
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="till 4711").ok
    assert books(town, payment_id) == {"provider": -1250, "by_hand": 1250}
    assert town.view(payment_id).state is State.RESOLVED


def test_a_person_who_has_looked_lets_it_be_settled(town, tmp_path):
    payment_id = _forgotten(town, tmp_path)
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run_for(hours=1, rounds=10)
    assert [one["amount"] for one in town.booked()] == [1250, 1250]
    assert town.view(payment_id).state is State.SETTLED


def test_a_payment_begun_after_the_restore_is_settled_as_ever(town, tmp_path):
    keeper = Keeper(town, tmp_path)
    keeper.keep()
    keeper.put_back()
    keeper.compare(by_hand="nothing was lost")
    town.world.pass_time(seconds=1)
    with town.house.store.unit() as unit:
        installation.pause(unit, paused=False)
    payment_id = town.started()
    town.pay(payment_id)
    assert town.view(payment_id).state is State.SETTLED
