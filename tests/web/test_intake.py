"""Group commit: batches, a full queue, bad rows, a busy database, a clean end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import url
from sqlalchemy.exc import DataError, OperationalError
from structlog.testing import capture_logs

from ils_payment.errors import StoreBusyError
from ils_payment.model import Notice, Observation, PayState
from ils_payment.store import intake as rows
from ils_payment.store.tables import micros
from ils_payment.web.intake import BATCH, Intake, Outcome
from tests.conftest import Town
from tests.web.doors import apart


def notice(number, **more):
    return rows.row("lindental", "stripe", Notice(key=f"evt_{number}", kind="test", **more))


def stored(town):
    with town.house.store.read() as unit:
        return sorted(unit.connection.execute(text("SELECT key FROM notices")).scalars())


def through(town, work, **options):
    """Run *work* with an intake that is started before and stopped after it."""

    async def story():
        intake = Intake(town.house, **options)
        intake.start()
        try:
            return await work(intake)
        finally:
            await intake.stop()

    return apart(story())


class Gate:
    """Holds the writer back until it is opened, and remembers the batches."""

    def __init__(self, town, monkeypatch):
        self.open = threading.Event()
        self.reached = threading.Event()
        self.batches: list[int] = []
        real = rows.Writer.write

        def watched(writer, found):
            self.reached.set()
            assert self.open.wait(timeout=30)
            self.batches.append(len(found))
            return real(writer, found)

        monkeypatch.setattr(rows.Writer, "write", watched)


def test_what_waits_goes_into_one_transaction(each_town, monkeypatch):
    gate = Gate(each_town, monkeypatch)

    async def work(intake):
        first = asyncio.create_task(intake.put([notice(0)]))
        assert await asyncio.to_thread(gate.reached.wait, 30)
        rest = [asyncio.create_task(intake.put([notice(n)])) for n in range(1, BATCH + 45)]
        await asyncio.sleep(0)
        assert intake.depth == BATCH + 45
        gate.open.set()
        outcomes = await asyncio.gather(first, *rest)
        assert intake.depth == 0
        return outcomes

    assert set(through(each_town, work)) == {Outcome.STORED}
    assert gate.batches == [1, BATCH, 44]
    assert len(stored(each_town)) == BATCH + 45


def test_nobody_is_answered_before_the_commit(each_town, monkeypatch):
    gate = Gate(each_town, monkeypatch)

    async def work(intake):
        task = asyncio.create_task(intake.put([notice(1)]))
        assert await asyncio.to_thread(gate.reached.wait, 30)
        await asyncio.sleep(0.05)
        assert not task.done()
        assert stored(each_town) == []
        gate.open.set()
        assert await task is Outcome.STORED

    through(each_town, work)
    assert stored(each_town) == ["evt_1"]


def test_a_full_queue_says_busy_at_once_and_loses_nobody(town, monkeypatch):
    gate = Gate(town, monkeypatch)

    async def work(intake):
        tasks = [asyncio.create_task(intake.put([notice(n)])) for n in range(12)]
        await asyncio.sleep(0)
        refused = [task for task in tasks if task.done()]
        assert [task.result() for task in refused] == [Outcome.BUSY] * 2
        gate.open.set()
        return await asyncio.gather(*tasks)

    outcomes = through(town, work, capacity=10)
    assert outcomes.count(Outcome.STORED) == 10
    assert len(stored(town)) == 10


def test_a_bad_row_fails_alone(each_town, monkeypatch):
    """A batch with a row that the database refuses: its neighbours are stored, each answered for itself."""
    gate = Gate(each_town, monkeypatch)
    bad = list(notice(99))
    bad[2] = None

    async def work(intake):
        tasks = [asyncio.create_task(intake.put([notice(n)])) for n in range(3)]
        tasks.append(asyncio.create_task(intake.put([tuple(bad)])))
        tasks += [asyncio.create_task(intake.put([notice(n)])) for n in range(3, 6)]
        await asyncio.sleep(0)
        gate.open.set()
        return await asyncio.gather(*tasks)

    with capture_logs() as logs:
        outcomes = through(each_town, work)
    assert outcomes == [Outcome.STORED] * 3 + [Outcome.BUSY] + [Outcome.STORED] * 3
    assert stored(each_town) == [f"evt_{n}" for n in range(6)]
    assert {entry["event"] for entry in logs} == {"notice_batch_failed", "notice_not_stored"}
    assert "evt_" not in str(logs)


def test_the_notices_of_one_request_are_stored_together_or_not_at_all(each_town):
    bad = list(notice(2))
    bad[2] = None

    async def work(intake):
        return await intake.put([notice(1), tuple(bad)])

    assert through(each_town, work) is Outcome.BUSY
    assert stored(each_town) == []


def test_a_busy_database_is_told_at_once_and_tried_again_with_the_next_request(town, monkeypatch):
    tries = []
    real = town.house.store.unit

    @contextmanager
    def busy_once():
        tries.append(True)
        if len(tries) == 1:
            raise StoreBusyError("The database was busy for too long.")
        with real() as unit:
            yield unit

    monkeypatch.setattr(type(town.house.store), "unit", lambda _: busy_once())

    async def work(intake):
        tasks = [asyncio.create_task(intake.put([notice(n)])) for n in range(5)]
        first = await asyncio.gather(*tasks)
        again = await intake.put([notice(0)])
        return first, again

    first, again = through(town, work)
    assert Outcome.BUSY in first
    assert again is Outcome.STORED
    assert len(tries) <= 1 + 1 + first.count(Outcome.STORED), "not once for each row"


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("INSERT", {"key": "canary"}, Exception("disk I/O error")),
        DataError("x", {}, Exception()),
        MemoryError(),
    ],
)
def test_a_writer_that_fails_says_busy_and_lives_on(town, monkeypatch, error):
    real = rows.Writer.write
    failing = [True]

    def write(writer, found):
        if failing:
            raise error
        return real(writer, found)

    monkeypatch.setattr(rows.Writer, "write", write)

    async def work(intake):
        with capture_logs() as logs:
            first = await intake.put([notice(1)])
        failing.clear()
        return first, await intake.put([notice(1)]), logs

    first, again, logs = through(town, work)
    assert (first, again) == (Outcome.BUSY, Outcome.STORED)
    assert "canary" not in str(logs)


def test_what_waits_at_the_end_is_still_written(town, monkeypatch):
    gate = Gate(town, monkeypatch)

    async def story():
        intake = Intake(town.house)
        intake.start()
        tasks = [asyncio.create_task(intake.put([notice(n)])) for n in range(300)]
        await asyncio.sleep(0)
        ending = asyncio.create_task(intake.stop())
        await asyncio.sleep(0)
        assert await intake.put([notice(1000)]) is Outcome.BUSY
        gate.open.set()
        await ending
        return await asyncio.gather(*tasks)

    assert set(apart(story())) == {Outcome.STORED}
    assert len(stored(town)) == 300


def test_a_request_that_went_away_does_not_hinder_the_others(town, monkeypatch):
    gate = Gate(town, monkeypatch)

    async def work(intake):
        tasks = [asyncio.create_task(intake.put([notice(n)])) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        gate.open.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, gone, last = through(town, work)
    assert (first, last) == (Outcome.STORED, Outcome.STORED)
    assert isinstance(gone, asyncio.CancelledError)


def test_the_runner_is_woken_for_what_is_new_only(town):
    woken = []
    town.house.wake = lambda: woken.append(True)

    async def work(intake):
        await intake.put([notice(1)])
        await intake.put([notice(1)])
        return intake.repeated

    assert through(town, work) == 1
    assert len(woken) == 1


def test_every_field_comes_back_as_it_went_in(each_town):
    seen = Observation(
        state=PayState.PAID,
        captured=1250,
        currency="EUR",
        account="a",
        live=True,
        reference="R",
        final=False,
        evidence="e",
    )
    strange = 'quote " back\\slash \N{SNOWMAN} $[0]'
    one = rows.row(
        "lindental", "giro", Notice(key=strange, kind="k" * 300, session_ref="s", observation=seen)
    )
    with each_town.house.store.unit() as unit:
        assert rows.store(unit, [one, notice(1), notice(1)]) == 2
    with each_town.house.store.read() as unit:
        row = unit.connection.execute(text("SELECT * FROM notices WHERE provider = 'giro'")).one()
    assert (row.key, row.kind, row.session_ref, row.reference) == (strange, "k" * 100, "s", None)
    assert '"captured": 1250' in row.observation


def test_every_field_comes_back_through_the_writer_too(each_town):
    strange = 'quote " back\\slash \N{SNOWMAN} $[0] {NULL}'
    seen = notice(2, session_ref=strange, reference=None)
    through(each_town, lambda intake: intake.put([notice(1), seen]))
    with each_town.house.store.read() as unit:
        found = unit.connection.execute(text("SELECT * FROM notices WHERE key = 'evt_2'")).one()
    assert (found.session_ref, found.reference, found.observation) == (strange, None, None)
    assert found.received_at == micros(each_town.world.now())


def test_a_postgresql_that_was_started_anew_costs_no_notice(postgresql_url):
    """The writer keeps its connection; when that is cut, the notice goes over a new one."""
    town = Town(postgresql_url)

    async def work(intake):
        first = await intake.put([notice(1)])
        with town.house.store.unit() as unit:
            cut = unit.connection.execute(
                text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ).scalar()
        return first, cut, await intake.put([notice(2)])

    assert through(town, work) == (Outcome.STORED, 1, Outcome.STORED)
    assert stored(town) == ["evt_1", "evt_2"]
    town.close()


def test_a_postgresql_that_is_away_is_told_and_asked_again(postgresql_url, monkeypatch):
    town = Town(postgresql_url)
    away = url.URL.create("postgresql+psycopg", host="127.0.0.1", port=1, database="none")
    engine = create_engine(away, hide_parameters=True)
    real = town.house.store.engine

    async def work(intake):
        town.house.store.engine = engine
        with capture_logs() as logs:
            first = await intake.put([notice(1)])
        town.house.store.engine = real
        return first, await intake.put([notice(1)]), [entry["event"] for entry in logs]

    assert through(town, work) == (Outcome.BUSY, Outcome.STORED, ["notices_not_stored"])
    town.close()


def test_two_programs_that_get_the_same_notices_in_other_orders_never_wait_in_a_circle(postgresql_url):
    """Copies of notices at two doors, in opposite orders: each insert waits for the other's rows."""
    town = Town(postgresql_url)
    count, size = 30, 200
    together = threading.Barrier(2)

    def program(*, turned: bool) -> None:
        writer = rows.Writer(town.house.store)
        for batch in range(count):
            found = [notice(f"{batch:03d}{number:03d}") for number in range(size)]
            together.wait(timeout=60)
            writer.write(found[::-1] if turned else found)
        writer.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(program, turned=turned) for turned in (False, True)]:
            done.result()
    with town.house.store.read() as unit:
        asked = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert unit.connection.execute(text(asked)).scalar() == 0
    assert len(stored(town)) == count * size
    town.close()
