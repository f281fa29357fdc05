"""From when on a restored ledger is compared: what it learns then hides nothing that was lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ils_payment.flows.backup import set_apart
from ils_payment.flows.reconcile import begin, reconcile, release
from ils_payment.model import PatronRef, State
from ils_payment.store import journal, reconciling
from tests.flows.decisions import kinds, settled_payment
from tests.flows.restoring import ROOT, Keeper
from tests.flows.truths import load, paid

DAYS = 3


def left_open(town):
    """Jan stands on the payment page and never comes back."""
    return town.started(patron=PatronRef(str(town.koha.patron_ids["jan"])))


@pytest.mark.parametrize("somebody_was_paying", [False, True])
def test_the_days_after_the_backup_are_compared_although_the_program_worked_before(
    town, tmp_path, somebody_was_paying
):
    keeper = Keeper(town, tmp_path)
    settled_payment(town, only=1)
    left = left_open(town) if somebody_was_paying else None
    town.world.pass_time(seconds=1)
    keeper.keep()
    kept_at = town.world.now()
    town.world.pass_time(hours=1)
    settled_payment(town, only=1)
    town.world.pass_time(days=5)
    keeper.put_back()
    town.run()
    assert left is None or load(town, left).state is State.VOID
    since = begin(town.house, town.desk, DAYS)
    assert since <= kept_at
    late = reconcile(town.house, town.desk, since + timedelta(days=4), town.world.now(), ROOT)
    assert not release(town.house, [late], ROOT)
    report = reconcile(town.house, town.desk, since, town.world.now(), ROOT)
    assert release(town.house, [report], ROOT)
    assert "not_in_ledger" in kinds(town, None)


def test_a_ledger_that_is_set_apart_twice_is_compared_from_the_first_time_on(each_town):
    town = each_town
    settled_payment(town, only=1)
    left = left_open(town)
    begun = load(town, left).created_at
    town.world.pass_time(days=2)
    set_apart(town.house.store, ROOT)
    town.run()
    assert load(town, left).state is State.VOID
    town.world.pass_time(days=2)
    set_apart(town.house.store, ROOT)
    assert begin(town.house, town.desk, DAYS) == begun - timedelta(days=DAYS)
    with town.house.store.unit() as unit:
        journal.append(unit, "root", "restored_ledger_compared", {})
        assert journal.put_back(unit) == []
    set_apart(town.house.store, ROOT)
    assert begin(town.house, town.desk, 0) > begun


def test_a_ledger_that_a_version_of_before_put_back_is_compared_as_it_stands(town, monkeypatch):
    monkeypatch.setattr(reconciling, "as_put_back", lambda _unit: {})
    settled_payment(town, only=1)
    town.world.pass_time(days=2)
    begun = load(town, paid(town, only=1)).created_at
    set_apart(town.house.store, ROOT)
    assert begin(town.house, town.desk, DAYS) == begun - timedelta(days=DAYS)
