"""PostgreSQL: a claim that waits for another payment's end finds what that one has done meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ils_payment.flows import choose, freeze
from ils_payment.model import PayState, State
from tests.conftest import Town
from tests.flows.meeting import hold_the_commit, learn
from tests.flows.truths import ending, hear, held, load, paid


def test_a_second_tab_that_meets_the_commit_of_the_first_does_not_pay_again(postgresql_url, monkeypatch):
    town = Town(postgresql_url)
    first = paid(town, only=1)
    (line,) = load(town, first).lines
    wish = choose.Wish(keys=frozenset({line.claim_key}), method="card", expected_cents=line.cents, until=None)
    choice = choose.choose(town.house, town.desk, town.erika, wish)
    assert isinstance(choice, choose.Choice)
    town.world.pass_time(seconds=1)
    freed = hold_the_commit(monkeypatch, postgresql_url, first)

    def second_tab():
        assert freed.wait(20)
        with pytest.raises(freeze.OutdatedError):
            freeze.freeze(town.house, town.desk, town.erika, choice, wish, "de")

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second_tab)
        hear(town)
        other.result(30)
    assert ending(town, first)["state"] == "settled"
    town.close()


def test_late_money_that_meets_the_commit_of_another_payment_is_a_case(postgresql_url, monkeypatch):
    """The session was void, the patron has paid the same fee anew, and money comes in the old one after all."""
    town = Town(postgresql_url)
    late = town.started(only=1)
    learn(town, late, PayState.VOID)
    assert load(town, late).state is State.VOID
    town.world.pass_time(seconds=1)
    new = paid(town, only=1)
    town.world.pass_time(seconds=1)
    freed = hold_the_commit(monkeypatch, postgresql_url, new)

    def money_comes():
        assert freed.wait(20)
        learn(town, late, PayState.PAID, load(town, late).cents)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(money_comes)
        hear(town)
        other.result(30)
    assert ending(town, new)["state"] == "settled"
    cents = load(town, late).cents
    told = held("paid", "paid_twice", cents=cents, claims=0, void="expired", captured=0)
    assert ending(town, late) == told
    town.close()
