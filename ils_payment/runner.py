"""The embedded runner: a few threads of ``serve`` that advance what is due; and the chores.

The ledger's rows are the queue, so a wake-up that is lost or doubled does no harm. Runners for
several hosts are plugins; the chores are done beside whichever runner works.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import structlog

from ils_payment.errors import StoreBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
CHORE_SECONDS = 30.0


class Chores:
    """Calls each chore about every half minute, one after the other, e.g. to send mails.

    Every process does them, on every host: a chore takes what it does by a conditional change of a
    row, so that two processes never do the same thing twice.
    """

    def __init__(self, chores: Sequence[Callable[[], None]]) -> None:
        """Do nothing yet."""
        self._chores = chores
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)

    def start(self) -> None:
        """Begin in a thread of this process."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the chore at hand and return."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for chore in self._chores:
                if self._stopping.is_set():
                    return
                try:
                    chore()
                except StoreBusyError as error:
                    log.warning("chore_postponed", reason=error.what)
                except Exception:
                    log.exception("chore_failed")
            self._stopping.wait(CHORE_SECONDS)


class EmbeddedRunner:
    """Calls ``advance`` for due payments from a small pool; one slow remote does not hold up the others."""

    def __init__(self, database: str = "", *, threads: int = 4) -> None:
        """Need no address of the *database*: what is due is all that this runner asks for."""
        self._threads = threads
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._loop: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None

    def upgrade(self) -> None:
        """Do nothing: there are no tables of its own."""

    def check(self) -> None:
        """Do nothing: there are no tables of its own."""

    def start(self, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]) -> None:
        """Begin to work in threads of this process."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="advance")
        self._loop = threading.Thread(target=self._run, args=(advance, due), name="runner", daemon=True)
        self._loop.start()

    def wake(self) -> None:
        """Look for due payments now; may be called from any thread."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is being advanced and return."""
        self._stopping.set()
        self._woken.set()
        if self._loop is not None:
            self._loop.join()
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def _run(self, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]) -> None:
        working: dict[str, Future[None]] = {}
        while not self._stopping.is_set():
            self._woken.clear()
            working = {key: future for key, future in working.items() if not future.done()}
            for payment_id in self._due(due):
                if payment_id not in working and len(working) < 2 * self._threads:
                    working[payment_id] = self._submit(advance, payment_id)
            self._woken.wait(POLL_SECONDS)
        wait(working.values())

    def _submit(self, advance: Callable[[str], None], payment_id: str) -> Future[None]:
        def work() -> None:
            try:
                advance(payment_id)
            except StoreBusyError as error:
                log.warning("advance_postponed", payment=payment_id, reason=error.what)
            except Exception:
                log.exception("advance_failed", payment=payment_id)
            finally:
                # A payment often has a next step at once (paid, then settled): look again.
                self._woken.set()

        if self._pool is None:  # pragma: no cover - start() made it
            raise RuntimeError("the runner was not started")
        return self._pool.submit(work)

    def _due(self, due: Callable[[int], Sequence[str]]) -> Sequence[str]:
        try:
            return due(100)
        except StoreBusyError as error:
            log.warning("due_postponed", reason=error.what)
        except Exception:
            log.exception("due_failed")
        return ()
