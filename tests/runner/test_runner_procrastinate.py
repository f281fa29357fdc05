"""The runner for several hosts on a real PostgreSQL: waking, sharing, dying, a database that goes."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial

import psycopg
import pytest
from ils_payment_procrastinate import board, schema
from ils_payment_procrastinate.runner import ProcrastinateRunner
from procrastinate.exceptions import AlreadyEnqueued
from structlog.testing import capture_logs

from ils_payment.errors import SchemaError, StoreBusyError
from ils_payment.flows.advance import advance, due
from ils_payment.flows.house import open_house
from tests.conftest import Town
from tests.faults.kill_databases import PostgreSQL
from tests.runner.conftest import wait_until
from tests.web.doors import apart

HANGING_HOST = """
import sys, threading
from ils_payment_procrastinate.runner import ProcrastinateRunner

def advance(payment_id):
    print(payment_id, flush=True)
    threading.Event().wait()

runner = ProcrastinateRunner(sys.argv[1])
runner.start(advance, lambda limit: ["LEFT"])
runner.wake()
threading.Event().wait()
"""


def jobs(url, query="SELECT task_name, status::text FROM procrastinate_jobs ORDER BY id"):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_what_is_due_at_the_start_is_advanced_without_any_wake(hosts, ledger):
    ledger.due.add("EARLY")
    hosts("one")
    wait_until(lambda: ledger.advanced == [("one", "EARLY")])


def test_a_wake_on_one_host_is_answered_at_once_and_any_host_may_advance(hosts, ledger):
    here, _ = hosts("here", "there")
    started = time.monotonic()
    for number in range(40):
        ledger.due.add(f"P{number:02}")
        here.wake()
        wait_until(lambda: not ledger.due)
    # Waiting for the sweep alone would take two minutes and more.
    assert time.monotonic() - started < 60
    assert {payment for _, payment in ledger.advanced} == {f"P{number:02}" for number in range(40)}
    assert {host for host, _ in ledger.advanced} == {"here", "there"}


def test_a_wake_that_is_lost_is_made_good_by_the_sweep(hosts, ledger):
    hosts("one")
    wait_until(lambda: ledger.due == set())
    ledger.due.add("FORGOTTEN")
    # Under load it may be named twice, which does no harm.
    wait_until(lambda: ("one", "FORGOTTEN") in ledger.advanced)


def test_many_due_payments_are_each_put_on_the_board_once(hosts, ledger):
    ledger.due.update(f"P{number:03}" for number in range(250))
    for runner in hosts("one", "two"):
        runner.wake()
    wait_until(lambda: not ledger.due)
    # Two hosts that offer at the same moment may name one twice, which does no harm and stays rare.
    assert {payment for _, payment in ledger.advanced} == {f"P{number:03}" for number in range(250)}
    assert len(ledger.advanced) < 450


def test_one_payment_that_fails_stops_neither_its_host_nor_the_others(postgresql_url):
    done = []

    def fails(payment_id):
        if payment_id == "BAD":
            raise ValueError("no rule foresees this")
        if payment_id == "BUSY":
            raise StoreBusyError("The database is away.")
        done.append(payment_id)

    ProcrastinateRunner(postgresql_url).upgrade()
    runner = ProcrastinateRunner(postgresql_url)
    with capture_logs() as logs:
        runner.start(fails, lambda _: [] if done else ["BAD", "BUSY", "GOOD"])
        wait_until(lambda: done == ["GOOD"])
        runner.stop()
    told = {entry["event"] for entry in logs}
    assert {"advance_failed", "advance_postponed"} <= told


def test_stopping_finishes_what_is_in_hands_and_takes_nothing_new(postgresql_url):
    inside, finish, done = threading.Event(), threading.Event(), []

    def slow(payment_id):
        inside.set()
        finish.wait(30)
        done.append(payment_id)

    ProcrastinateRunner(postgresql_url).upgrade()
    runner = ProcrastinateRunner(postgresql_url)
    # It is due once: a second look before the job begins would rightly put it on the board again.
    looks = iter([["LAST"]])
    runner.start(slow, lambda _: next(looks, []))
    assert inside.wait(30)
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    stopping.join(0.3)
    assert stopping.is_alive()
    assert done == []
    finish.set()
    stopping.join(30)
    assert not stopping.is_alive()
    assert done == ["LAST"]
    runner.wake()
    runner.stop()
    assert [job for job in jobs(postgresql_url) if job[0] == "advance"] == []


def test_a_killed_host_leaves_its_payments_to_the_others_and_its_jobs_are_rescued(
    postgresql_url, hosts, ledger
):
    ProcrastinateRunner(postgresql_url).upgrade()
    process = subprocess.Popen([sys.executable, "-c", HANGING_HOST, postgresql_url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"LEFT\n"
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stdout.close()
    assert ("advance", "doing") in jobs(postgresql_url)
    # The ledger names it still, so the next host advances it without waiting for any rescue.
    ledger.due.add("LEFT")
    hosts("living")
    wait_until(lambda: ("living", "LEFT") in ledger.advanced)
    # The living host may do the minute's rescue by itself, as soon as a process is dead.
    before = len(ledger.advanced)
    # Half a minute without a heartbeat is what makes a process dead; here it is made older.
    with psycopg.connect(postgresql_url) as connection:
        connection.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' "
            "WHERE id = (SELECT worker_id FROM procrastinate_jobs "
            "WHERE status = 'doing' AND task_name = 'advance')"
        )
    apart(rescued(postgresql_url))
    wait_until(lambda: len(ledger.advanced) > before)
    wait_until(lambda: ("advance", "doing") not in jobs(postgresql_url))


async def rescued(url, *, twice=False):
    """Let a host without a worker of its own do the minute's rescue."""
    own = board.Board(url, lambda _: None, lambda _: [])
    async with own.app.open_async():
        await own._rescue(0)
        if twice:
            await own._rescue(0)


def test_a_job_that_is_on_the_board_again_is_not_rescued_beside_it(postgresql_url):
    ProcrastinateRunner(postgresql_url).upgrade()

    async def stall_and_offer():
        own = board.Board(postgresql_url, lambda _: None, lambda _: ["P1"])
        async with own.app.open_async():
            await own._offer_due()
            worker = await own.app.job_manager.register_worker()
            await own.app.job_manager.fetch_job(queues=None, worker_id=worker)
            await own.app.job_manager.unregister_worker(worker)
            await own._offer_due()
            with pytest.raises(AlreadyEnqueued):
                await own.app.job_manager.defer_job_async(own._job("P1"))

    apart(stall_and_offer())
    assert jobs(postgresql_url) == [("advance", "doing"), ("advance", "todo")]
    apart(rescued(postgresql_url, twice=True))
    assert jobs(postgresql_url) == [("advance", "todo")]


def test_two_hosts_that_offer_the_same_at_once_put_each_payment_there_once(postgresql_url):
    ProcrastinateRunner(postgresql_url).upgrade()

    async def offer_at_once():
        both = [board.Board(postgresql_url, lambda _: None, lambda _: list("ABCDEF")) for _ in range(2)]
        async with both[0].app.open_async(), both[1].app.open_async():
            await asyncio.gather(*(one._offer_due() for one in both * 3))

    apart(offer_at_once())
    assert jobs(postgresql_url) == [("advance", "todo")] * 6


@pytest.fixture(scope="module")
def server():
    """A server of this module's own, which may be stopped."""
    with closing(PostgreSQL()) as own:
        yield own


def test_the_database_may_go_away_and_come_back_without_a_traceback(ledger, server):
    with capture_logs() as logs:
        ProcrastinateRunner(server.url).upgrade()
        runner = ProcrastinateRunner(server.url)
        runner.start(ledger.advance_as("one"), ledger.name_due)
        ledger.due.add("BEFORE")
        runner.wake()
        wait_until(lambda: not ledger.due)
        server.down()
        ledger.due.add("MEANWHILE")
        runner.wake()
        wait_until(lambda: any(entry["event"] == "runner_interrupted" for entry in logs), 60)
        server.up()
        wait_until(lambda: not ledger.due, 60)
        runner.stop()
    assert not any(entry.get("exc_info") for entry in logs)
    assert len(logs) < 20


def test_a_runner_stops_also_while_the_database_is_away(ledger, server):
    server.down()
    with pytest.raises(StoreBusyError):
        ProcrastinateRunner(server.url).check()
    runner = ProcrastinateRunner(server.url)
    runner.start(ledger.advance_as("one"), ledger.name_due)
    started = time.monotonic()
    runner.stop()
    server.up()
    assert time.monotonic() - started < 15


def test_its_tables_come_with_the_upgrade_which_can_be_repeated(postgresql_url):
    runner = ProcrastinateRunner(postgresql_url)
    with pytest.raises(SchemaError, match="lacks the tables") as caught:
        runner.check()
    assert caught.value.mend == "Type: ils-payment db upgrade"
    threads = [threading.Thread(target=runner.upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runner.upgrade()
    runner.check()


def test_an_update_runs_the_scripts_that_the_database_has_not_seen(postgresql_url, monkeypatch):
    runner = ProcrastinateRunner(postgresql_url)
    runner.upgrade()
    newer = schema.scripts() | {"99.00.00_01_pre_more.sql": "CREATE TABLE more (id int)"}
    monkeypatch.setattr(schema, "scripts", lambda: newer)
    with pytest.raises(SchemaError, match="older than this program"):
        runner.check()
    runner.upgrade()
    runner.check()
    assert jobs(postgresql_url, "SELECT count(*) FROM more") == [(0,)]
    monkeypatch.undo()
    with pytest.raises(SchemaError, match="newer than this program"):
        runner.check()


def test_a_script_that_fails_leaves_everything_as_it_was(postgresql_url, monkeypatch):
    runner = ProcrastinateRunner(postgresql_url)
    runner.upgrade()
    broken = schema.scripts() | {"99.00.00_01_pre_x.sql": "CREATE TABLE more (id int); SELECT 1 / 0"}
    with monkeypatch.context() as patch:
        patch.setattr(schema, "scripts", lambda: broken)
        with pytest.raises(psycopg.errors.DivisionByZero):
            runner.upgrade()
    runner.check()
    assert jobs(postgresql_url, "SELECT to_regclass('more') IS NULL") == [(True,)]


def test_tables_of_another_program_are_not_touched(postgresql_url):
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("CREATE TABLE procrastinate_jobs (id int)")
    with pytest.raises(SchemaError, match="Another program"):
        ProcrastinateRunner(postgresql_url).upgrade()


def test_two_hosts_settle_every_payment_once_and_never_work_on_one_at_the_same_time(postgresql_url):
    """The real flows of two houses over one ledger, each with its runner, woken at the same time."""
    with closing(Town(postgresql_url)) as town:
        fees = {name: town.koha.patron_ids[name] for name in ("erika", "jan", "blocked", "expired")}
        ids = [town.started(patron=str(number)) for number in fees.values()]
        for payment_id in ids:
            town.stripe.pay(town.session_of(payment_id))
        town.deliver_webhooks()
        other = open_house(town.settings, town.world)
        working, lock = set(), threading.Lock()

        def settle(call):
            def settled(order):
                with lock:
                    assert order.patron not in working
                    working.add(order.patron)
                answer = call(order)
                with lock:
                    working.discard(order.patron)
                return answer

            return settled

        for house in (town.house, other):
            system = house.libraries["lindental"].system
            system.settle = settle(system.settle)  # type: ignore[method-assign]  # watched, not replaced
        ProcrastinateRunner(postgresql_url).upgrade()
        runners = [ProcrastinateRunner(postgresql_url) for _ in range(2)]
        for runner, house in zip(runners, (town.house, other), strict=True):
            runner.start(partial(advance, house), partial(due, house))
        wait_until(lambda: all(town.view(one).state == "settled" for one in ids), 60)
        for runner in runners:
            runner.stop()
        other.close()
        assert [len(town.credits(name)) for name in fees] == [1, 1, 1, 1]
        assert working == set()
