"""Group commit: notices of many requests go into one transaction, and each is answered after its commit.

One writer thread takes what has come meanwhile, at most :data:`BATCH` requests at a time. The
queue is bounded: whoever finds it full is told to come again. A batch that fails is tried again
request by request, so that a bad row fails alone.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ils_payment.errors import StoreBusyError
from ils_payment.store import intake as rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.house import House

BATCH = 256
CAPACITY = 2048

log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What became of the notices of one request."""

    STORED = "stored"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class _Waiting:
    rows: Sequence[rows.Row]
    future: asyncio.Future[Outcome]


class Intake:
    """The queue and its writer thread."""

    def __init__(self, house: House, *, capacity: int = CAPACITY) -> None:
        """Do nothing yet: the thread comes with :meth:`start`, inside of the event loop."""
        self._house = house
        self._writer = rows.Writer(house.store)
        self._capacity = capacity
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.depth = 0
        """How many requests wait for their commit; changed in the event loop only."""
        self.repeated = 0
        """How many notices were there already; changed by the writer only."""

    def start(self) -> None:
        """Begin to write; called in the event loop that serves the requests."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_all, name="intake", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Write what is still waiting, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    async def put(self, found: Sequence[rows.Row]) -> Outcome:
        """Store the notices of one request; return after the commit. BUSY: nothing is promised."""
        if self._thread is None or self._loop is None or self.depth >= self._capacity:
            return Outcome.BUSY
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self.depth += 1
        self._queue.put(_Waiting(found, future))
        return await future

    def _answer(self, batch: list[_Waiting], outcomes: list[Outcome]) -> None:
        """Wake everybody who waits for this commit; somebody may have gone meanwhile."""
        self.depth -= len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(outcome)

    # --- in the writer's thread ---

    def _write_all(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            if batch:
                outcomes = self._write(batch)
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._answer, batch, outcomes)
        self._writer.close()

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        """Wait for the first request, then take what else is there."""
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < BATCH:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _write(self, batch: list[_Waiting]) -> list[Outcome]:
        """Store a batch in one transaction, or each request in its own if that fails."""
        try:
            self._store([row for waiting in batch for row in waiting.rows])
        except StoreBusyError as error:
            # Trying 256 times to get at a locked database would keep everybody waiting for an hour.
            log.error("notices_not_stored", requests=len(batch), reason=error.what)  # noqa: TRY400 - the cause is known
            return [Outcome.BUSY] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever one row caused, its neighbours are stored below
            log.warning("notice_batch_failed", requests=len(batch), reason=_cause(error))
        else:
            return [Outcome.STORED] * len(batch)
        return [self._write_alone(waiting) for waiting in batch]

    def _write_alone(self, waiting: _Waiting) -> Outcome:
        try:
            self._store(waiting.rows)
        except Exception as error:  # noqa: BLE001 - the provider is told to come again; the thread must live
            log.error("notice_not_stored", reason=_cause(error))  # noqa: TRY400 - a traceback repeats the row
            return Outcome.BUSY
        return Outcome.STORED

    def _store(self, found: Sequence[rows.Row]) -> None:
        if not found:
            return
        new = self._writer.write(found)
        self.repeated += len(found) - new
        if new:
            self._house.wake()


def _cause(error: Exception) -> str:
    """Return the cause without the statement's parameters."""
    if isinstance(error, SQLAlchemyError):
        return f"{type(error).__name__} ({type(getattr(error, 'orig', error)).__name__})"
    return type(error).__name__
