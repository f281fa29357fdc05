"""The runner: a thread with an event loop of its own, in which procrastinate's worker runs.

Everything asynchronous stays in here. When the database goes away the worker ends; it is started
again every few seconds, with one line in the log and no traceback.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.engine import make_url

from ils_payment.errors import causes
from ils_payment_procrastinate import schema
from ils_payment_procrastinate.board import AT_ONCE, Board

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 0.1
"""Wake-ups within this time become one job."""

RETRY_SECONDS = 2.0
"""After a loss of the database it is tried again this often."""


class ProcrastinateRunner:
    """Advances what is due, together with all other processes that work on the same database."""

    def __init__(self, database: str) -> None:
        """Keep the address of the ledger's database; nothing is opened."""
        self._address = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._board: Board | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()

    def upgrade(self) -> None:
        """Create procrastinate's tables or bring them up to date."""
        schema.upgrade(self._address)

    def check(self) -> None:
        """Raise SchemaError unless procrastinate's tables are as this version needs them."""
        schema.check(self._address)

    def start(self, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]) -> None:
        """Begin to work in a thread of this process."""
        _speak_plainly()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(advance, due)), name="runner", daemon=True
        )
        self._thread.start()
        self._started.wait()

    def wake(self) -> None:
        """Let some process offer what is due; may be called from any thread."""
        self._in_loop(self._wake)

    def stop(self) -> None:
        """Finish what is being advanced and return."""
        if self._thread is None or self._stop is None:
            return
        self._in_loop(self._stop.set)
        self._thread.join()

    def _in_loop(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            # A loop that has ended meanwhile takes nothing more, and needs nothing more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function)

    # --- in the thread ---

    def _wake(self) -> None:
        if self._board is not None:
            self._board.woken.set()

    async def _run(self, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_default_executor(ThreadPoolExecutor(AT_ONCE + 1, thread_name_prefix="advance"))
        self._loop.set_exception_handler(_told)
        self._started.set()
        stopped = asyncio.create_task(self._stop.wait())
        while not stopped.done():
            self._board = Board(self._address, advance, due)
            session = asyncio.create_task(_session(self._board))
            await asyncio.wait({session, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                session.cancel()
            await asyncio.wait({session})
            if not session.cancelled():
                log.warning("runner_interrupted", reason=_reason(session.exception()))
                await asyncio.wait({stopped}, timeout=RETRY_SECONDS)


async def _session(board: Board) -> None:
    """Work until cancelled, or until the database is away."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(board.app.close_async)
        await board.app.open_async()
        # What became due while nobody worked waits for no sweep.
        board.woken.set()
        parts = {asyncio.create_task(board.work()), asyncio.create_task(board.pass_on(PAUSE_SECONDS))}
        stack.push_async_callback(_ended, parts)
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()


async def _ended(parts: set[asyncio.Task[None]]) -> None:
    """Cancel what still runs and wait for it: the worker finishes the jobs that it has in hands."""
    for one in parts:
        one.cancel()
    await asyncio.wait(parts)
    for one in parts:
        if not one.cancelled() and (error := one.exception()):
            log.info("runner_part_ended", reason=_reason(error))


def _reason(error: BaseException | None) -> str:
    """Return the innermost cause in one line: procrastinate's own errors only say that there is one."""
    if error is None:
        return "the worker ended"
    innermost = causes(error)[-1]
    first = next(iter(str(innermost).strip().splitlines()), "")
    return f"{type(innermost).__name__}: {first}" if first else type(innermost).__name__


def _told(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log a failure that nobody waits for, such as a job's end that could not be written, in one line."""
    log.warning("runner_task_failed", reason=_reason(context.get("exception")))


class _OneLine(logging.Handler):
    """Says what procrastinate and its pool complain of without their tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the first line."""
        log.error("runner_complains", said=record.getMessage().splitlines()[0][:200])


def _speak_plainly() -> None:
    """Let nothing but errors of procrastinate and psycopg's pool through, a line for each."""
    for name in ("procrastinate", "psycopg.pool"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        if not any(isinstance(handler, _OneLine) for handler in logger.handlers):
            logger.addHandler(_OneLine())
