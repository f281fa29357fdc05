"""Who holds what: claims on fees, leases with a rising fence, and a writer lock that says when it is busy."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import delete, event, select, text, update

from ils_payment.domain.settling import Before
from ils_payment.errors import StoreBusyError
from ils_payment.flows import pay, see
from ils_payment.flows.advance import due
from ils_payment.flows.hands import LEASE_SECONDS, in_hands
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import Input, PatronRef, State
from ils_payment.store import chain, claims, orders, patrons, payments, unit
from ils_payment.store.claims import AlreadyClaimedError
from ils_payment.store.payments import StaleFenceError
from ils_payment.store.tables import claims as claims_table
from ils_payment.store.tables import credit_orders
from ils_payment.store.tables import payments as payments_table
from ils_payment.testing.world import START
from tests.conftest import Town
from tests.flows.truths import paid

BEFORE = Before({"2": 450}, 450, START)


def _lease(town, payment_id, owner, seconds=LEASE_SECONDS):
    with town.house.store.unit() as opened:
        return payments.lease(opened, payment_id, owner, seconds)


def _load(town, payment_id):
    with town.house.store.read() as opened:
        return payments.load(opened, payment_id)


def _audit(town, payment_id):
    with town.house.store.read() as opened:
        return chain.read_audit(opened, payment_id)


def _both(first, second):
    """Do two things at once in two threads, as nearly as a barrier makes it; return what each gave."""
    barrier = threading.Barrier(2, timeout=20)

    def work(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(2) as pool:
        return [future.result(timeout=60) for future in [pool.submit(work, first), pool.submit(work, second)]]


def test_two_payments_for_the_same_fees_at_once_are_one(each_town):
    for patron in ("erika", "blocked", "expired"):
        who = PatronRef(str(each_town.koha.patron_ids[patron]))
        # Both tabs show the fees before either of them pays.
        lines = [line for line in see.fees(each_town.house, each_town.desk, who).lines if line.payable]
        keys, cents = [line.key for line in lines], sum(line.cents for line in lines)
        begin = partial(pay.begin, each_town.house, each_town.desk, who, keys, "card", "de", cents)
        answers = _both(begin, begin)
        (won,) = [one for one in answers if isinstance(one, Begun)]
        (lost,) = [one for one in answers if isinstance(one, NotBegun)]
        assert (lost.code, lost.payment_id) == ("already_running", won.payment_id)
    assert len(each_town.stripe.truth()["sessions"]) == 3


def test_the_running_payment_is_shown_where_its_fees_stand(town):
    payment_id = town.started(only=2)
    view = see.fees(town.house, town.desk, town.erika)
    held = [line.key for line in view.lines if line.running == payment_id]
    assert len(held) == 2
    assert not any(line.payable for line in view.lines if line.key in held)
    assert [one.payment_id for one in view.running] == [payment_id]
    assert isinstance(town.begin(), Begun), "the other fees can still be paid"


def test_one_claimed_fee_leaves_nothing_of_the_second_payment(town):
    first = town.started(only=1)
    line = _load(town, first).lines[0]
    patron = _load(town, first).patron_id
    with pytest.raises(AlreadyClaimedError) as held, town.house.store.unit() as opened:
        claims.take(opened, first, patron, ["free", line.claim_key])
    assert held.value.payment_id == first
    with town.house.store.read() as opened:
        assert claims.of_patron(opened, patron) == {line.claim_key: first}


def test_the_same_fee_id_of_another_patron_is_another_fee(town):
    first = _load(town, town.started(only=1))
    jan = _load(town, town.started(patron=PatronRef(str(town.koha.patron_ids["jan"]))))
    with town.house.store.unit() as opened:
        claims.take(opened, jan.id, jan.patron_id, [first.lines[0].claim_key])
        assert claims.of_patron(opened, jan.patron_id)[first.lines[0].claim_key] == jan.id


def test_of_two_workers_at_once_one_gets_the_payment(each_town):
    payment_id = each_town.started()
    before = _load(each_town, payment_id).fence
    for _ in range(4):
        got = _both(lambda: _lease(each_town, payment_id, "A"), lambda: _lease(each_town, payment_id, "B"))
        (one,) = [payment for payment in got if payment is not None]
        assert one.fence == before + 1, "the fence rises with every lease"
        before = one.fence
        with each_town.house.store.unit() as opened:
            payments.release(opened, one, None)


def test_work_on_a_payment_in_other_hands_is_left_alone(town):
    payment_id = town.started()
    inner = []

    def work(payment):
        inner.append(in_hands(town.house, payment_id, lambda _: pytest.fail("two workers at once")))
        return payment.due_at

    assert in_hands(town.house, payment_id, work) is True
    assert inner == [False]


def test_a_lease_left_by_a_crash_runs_out_by_time(town):
    payment_id = town.started()
    assert _lease(town, payment_id, "dead")
    town.world.pass_time(seconds=LEASE_SECONDS)
    assert _lease(town, payment_id, "early") is None
    with town.house.store.unit() as opened:
        assert payments.make_due(opened, payment_id)
        assert payments.due(opened, 10) == [], "what is in somebody's hands is not offered"
    town.world.pass_time(seconds=0.001)
    with town.house.store.unit() as opened:
        assert payments.due(opened, 10) == [payment_id]
    assert _lease(town, payment_id, "next")


def test_a_stale_worker_changes_nothing_and_its_fact_is_recorded(each_town):
    payment_id = each_town.started()
    stale = _lease(each_town, payment_id, "slow")
    each_town.world.pass_time(seconds=LEASE_SECONDS + 1)
    fresh = _lease(each_town, payment_id, "next")
    rows = len(_audit(each_town, payment_id))
    with pytest.raises(StaleFenceError), each_town.house.store.unit() as opened:
        payments.move(opened, stale, "late", to=State.VOID)
    with pytest.raises(StaleFenceError), each_town.house.store.unit() as opened:
        payments.check_fence(opened, stale)
    assert len(_audit(each_town, payment_id)) == rows, "the refused move left nothing behind"
    with each_town.house.store.unit() as opened:
        payments.record(opened, stale, "call_applied", {"try": 1})
        payments.release(opened, stale, None)
    last = _audit(each_town, payment_id)[-1]
    assert (last["what"], last["state"]) == ("call_applied", "open")
    assert f'"fence":{stale.fence}' in last["facts"]
    now = _load(each_town, payment_id)
    assert (now.fence, now.due_at, now.state) == (fresh.fence, fresh.due_at, State.OPEN)
    with each_town.house.store.read() as opened:
        assert chain.broken_at(opened, payment_id) is None


def test_a_wake_up_during_work_is_not_lost(town):
    payment_id = town.started()

    def work(_):
        town.world.pass_time(seconds=1)
        assert town.house.make_due(payment_id)
        return town.world.now() + timedelta(days=1)

    in_hands(town.house, payment_id, work)
    assert _load(town, payment_id).due_at == town.world.now()


def test_a_wake_up_in_the_very_instant_of_the_last_one_is_not_lost(each_town):
    payment_id = each_town.started()
    assert each_town.house.make_due(payment_id)

    def work(_):
        # The clock stands still: a second notice comes while the first is being looked at.
        assert each_town.house.make_due(payment_id)

    for _ in range(3):
        in_hands(each_town.house, payment_id, work)
        with each_town.house.store.read() as opened:
            assert payments.due(opened, 10) == [payment_id]
    in_hands(each_town.house, payment_id, lambda _: None)
    assert _load(each_town, payment_id).due_at is None


def test_one_patron_is_settled_by_one_worker_at_a_time(each_town):
    patron = _load(each_town, each_town.started()).patron_id

    def lease(owner, seconds=120.0):
        with each_town.house.store.unit() as opened:
            return patrons.lease(opened, patron, owner, seconds)

    assert sorted(_both(lambda: lease("A"), lambda: lease("B"))) == [False, True]
    with each_town.house.store.unit() as opened:
        patrons.release(opened, patron, "nobody")
    assert not lease("C"), "only the holder lets go"
    each_town.world.pass_time(seconds=121)
    assert lease("C")
    with each_town.house.store.unit() as opened:
        patrons.release(opened, patron, "C")
    assert lease("D"), "at once, without waiting for the time"


def test_a_patron_has_one_unresolved_credit_order_at_most(each_town):
    first = _load(each_town, each_town.started(only=1))
    second = _load(each_town, each_town.started())
    for payment in (first, second):
        with each_town.house.store.unit() as opened:
            orders.add(opened, payment, 0, payment.receipt_number, [line.id for line in payment.lines])
    with each_town.house.store.unit() as opened:
        orders.begin_try(opened, orders.of_payment(opened, first.id)[0], 1, BEFORE)
        assert orders.open_of_patron(opened, first.patron_id) == first.id
    with each_town.house.store.unit() as opened:
        assert not orders.begin_try(opened, orders.of_payment(opened, second.id)[0], 1, BEFORE)
    with each_town.house.store.read() as opened:
        assert orders.of_payment(opened, second.id)[0].tries == ()


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        (["not_applied"], "due"),
        (["not_applied", "not_applied"], "due"),
        (["unclear"], "open"),
        (["unclear", "not_applied"], "open"),
        (["not_applied", "unclear", "not_applied"], "open"),
        (["applied"], "open"),
    ],
)
def test_an_order_is_unresolved_while_any_of_its_tries_is(town, outcomes, state):
    payment = _load(town, town.started())
    with town.house.store.unit() as opened:
        orders.add(opened, payment, 0, payment.receipt_number, [line.id for line in payment.lines])
        for outcome in outcomes:
            orders.begin_try(opened, orders.of_payment(opened, payment.id)[0], 1, BEFORE)
            # As the settle flow does: with the order as it stands after its try was begun.
            order = orders.of_payment(opened, payment.id)[0]
            orders.end_try(opened, order, order.tries[-1].number, outcome)
        assert opened.connection.execute(select(credit_orders.c.state)).scalar_one() == state


def test_a_busy_writer_lock_says_so_and_lets_go(town, monkeypatch):
    monkeypatch.setattr(unit, "BUSY_SECONDS", 0.05)
    store = town.house.store
    with store.unit(), pytest.raises(StoreBusyError), store.unit():
        pass
    with store.unit() as opened:
        assert opened.now == town.world.now()


def test_another_program_that_locks_the_file_is_a_busy_store(town, monkeypatch):
    monkeypatch.setattr(unit, "BUSY_SECONDS", 0.05)
    with (
        closing(unit.Store(town.settings.server.database, town.world)) as one,
        closing(unit.Store(town.settings.server.database, town.world)) as two,
    ):
        with one.unit(), pytest.raises(StoreBusyError), two.unit():
            pytest.fail("two programs wrote at once")
        with two.unit() as opened:
            assert opened.now == town.world.now()


def test_a_row_that_stays_locked_is_a_busy_store_and_keeps_nobody_waiting_for_ever(
    postgresql_url, monkeypatch
):
    monkeypatch.setattr(unit, "BUSY_SECONDS", 0.2)
    town = Town(postgresql_url)
    payment_id = paid(town)
    town.deliver_webhooks()
    with town.house.store.unit() as standing:
        payments.load(standing, payment_id, lock=True)
        with pytest.raises(StoreBusyError, match="busy for too long"):
            due(town.house, 10)
    assert due(town.house, 10) == [payment_id]
    town.close()


def test_a_host_that_stands_still_in_a_transaction_loses_it_and_what_it_locked(postgresql_url, monkeypatch):
    town = Town(postgresql_url)
    payment_id = town.started()
    monkeypatch.setattr(unit, "STANDING_SECONDS", 1.0)

    def stand_still():
        with town.house.store.unit() as standing:
            payments.make_due(standing, payment_id)
            with town.house.store.unit() as other:
                # It waits until the other one's transaction is given up.
                payments.load(other, payment_id, lock=True)
            payments.make_due(standing, payment_id)

    with pytest.raises(StoreBusyError, match="could not be used"):
        stand_still()
    assert town.house.store.failures == 1
    town.close()


def test_a_reader_never_waits_for_a_writer(town):
    payment_id = town.started()
    with town.house.store.unit() as opened:
        opened.connection.execute(update(payments_table).values(language="en"))
        assert _load(town, payment_id).language == "de"


def test_an_exception_rolls_everything_back(each_town):
    payment = _load(each_town, each_town.started())

    def fail_in_the_middle():
        with each_town.house.store.unit() as opened:
            opened.connection.execute(delete(claims_table))
            payments.move(opened, payment, str(Input.PENDING), to=State.PENDING)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    assert _load(each_town, payment.id) == payment
    with each_town.house.store.read() as opened:
        assert len(claims.of_patron(opened, payment.patron_id)) == 4


def test_what_is_due_is_found_by_its_partial_index(each_town):
    store = each_town.house.store
    explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
    seen = []
    with store.read() as opened:
        if not store.is_sqlite:
            # On a handful of rows the planner would rather read them all.
            opened.connection.execute(text("SET LOCAL enable_seqscan = off"))
        event.listen(opened.connection, "before_cursor_execute", lambda *given: seen.append(given[2:4]))
        payments.due(opened, 10)
        statement, parameters = seen[-1]
        plan = opened.connection.exec_driver_sql(explain + statement, parameters).all()
    assert "ix_payments_due" in str(plan), plan
