"""PostgreSQL: a claim that waits for another payment's end finds what that one has done meanwhile."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from sqlalchemy import create_engine, delete, event, insert

from ils_payment.errors import StoreBusyError
from ils_payment.flows import choose, freeze
from ils_payment.model import PayState, State
from ils_payment.store import claims as taking
from ils_payment.store.tables import claims
from tests.conftest import Town
from tests.flows.meeting import learn, meet_at_the_commit
from tests.flows.truths import ending, hear, held, load, paid


def test_a_second_tab_that_meets_the_commit_of_the_first_does_not_pay_again(postgresql_url, monkeypatch):
    town = Town(postgresql_url)
    first = paid(town, only=1)
    (line,) = load(town, first).lines
    wish = choose.Wish(keys=frozenset({line.claim_key}), method="card", expected_cents=line.cents, until=None)
    choice = choose.choose(town.house, town.desk, town.erika, wish)
    assert isinstance(choice, choose.Choice)
    town.world.pass_time(seconds=1)

    def second_tab():
        with pytest.raises(freeze.OutdatedError):
            freeze.freeze(town.house, town.desk, town.erika, choice, wish, "de")

    meet_at_the_commit(monkeypatch, postgresql_url, first, lambda: hear(town), second_tab)
    assert ending(town, first)["state"] == "settled"
    town.close()


def test_late_money_that_meets_the_commit_of_another_payment_is_a_case(postgresql_url, monkeypatch):
    """The session was void, the patron paid the same fee anew, and money comes in the old one after all."""
    town = Town(postgresql_url)
    late = town.started(only=1)
    learn(town, late, PayState.VOID)
    assert load(town, late).state is State.VOID
    town.world.pass_time(seconds=1)
    new = paid(town, only=1)
    town.world.pass_time(seconds=1)

    def money_comes():
        learn(town, late, PayState.PAID, load(town, late).cents)

    meet_at_the_commit(monkeypatch, postgresql_url, new, lambda: hear(town), money_comes)
    assert ending(town, new)["state"] == "settled"
    cents = load(town, late).cents
    told = held("paid", "paid_twice", cents=cents, claims=0, void="expired", captured=0)
    assert ending(town, late) == told
    town.close()


@pytest.mark.parametrize("times", [1, 2])
def test_a_fee_that_becomes_free_in_the_same_moment_is_taken_then_or_a_little_later(postgresql_url, times):
    """The insert meets another payment's claim, which is gone when it is asked whose it is."""
    town = Town(postgresql_url)
    payment = load(town, town.started(only=1))
    key = payment.lines[0].claim_key
    claim = {"patron_id": payment.patron_id, "claim_key": key, "payment_id": payment.id}
    elsewhere = create_engine(postgresql_url.replace("postgresql://", "postgresql+psycopg://"))
    gone: list[str] = []

    def come_and_go(_connection, _cursor, statement, *_):
        with elsewhere.begin() as other:
            if statement.startswith("INSERT INTO claims") and 0 < len(gone) < times:
                other.execute(insert(claims).values(claim))
            if statement.startswith("SELECT claims.payment_id") and len(gone) < times:
                other.execute(delete(claims))
                gone.append(statement)

    event.listen(town.house.store.engine, "before_cursor_execute", come_and_go)
    busy = pytest.raises(StoreBusyError) if times == 2 else nullcontext()
    with busy, town.house.store.unit() as unit:
        taking.take(unit, payment.id, payment.patron_id, [key])
    assert len(gone) == times
    with town.house.store.read() as unit:
        assert list(taking.of_patron(unit, payment.patron_id)) == ([key] if times == 1 else [])
    elsewhere.dispose()
    town.close()
