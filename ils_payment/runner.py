"""The embedded runner: a few threads of ``serve`` that advance what is due, and do the chores.

The ledger's rows are the queue, so a wake-up that is lost or doubled does no harm. Runners for
several hosts are plugins.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
CHORE_SECONDS = 30.0


class EmbeddedRunner:
    """Calls ``advance`` for due payments from a small pool; one slow remote does not hold up the others."""

    def __init__(self, *, threads: int = 4, chores: Sequence[Callable[[], None]] = ()) -> None:
        """*chores* are called about every half minute, one after the other, e.g. to send mails."""
        self._threads = threads
        self._chores = chores
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._loop: list[threading.Thread] = []
        self._pool: ThreadPoolExecutor | None = None

    def start(self, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]) -> None:
        """Begin to work in threads of this process."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="advance")
        self._loop = [
            threading.Thread(target=self._run, args=(advance, due), name="runner", daemon=True),
            threading.Thread(target=self._run_chores, name="chores", daemon=True),
        ]
        for thread in self._loop:
            thread.start()

    def wake(self) -> None:
        """Look for due payments now; may be called from any thread."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is being advanced and return."""
        self._stopping.set()
        self._woken.set()
        for thread in self._loop:
            thread.join()
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
        except Exception:
            log.exception("due_failed")
            return ()

    def _run_chores(self) -> None:
        while not self._stopping.is_set():
            for chore in self._chores:
                try:
                    chore()
                except Exception:
                    log.exception("chore_failed")
            self._stopping.wait(CHORE_SECONDS)
