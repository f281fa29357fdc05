"""The job board: which jobs there are, and what they do. Any process of any host takes any job.

A job is a wake-up, nothing more: what is due stands in the ledger, so a job that is lost, doubled
or late does no harm. Its tables may even forget the last commits when the database crashes, which
makes a job about as cheap as a message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status

from ils_payment.errors import ILSPaymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from procrastinate.jobs import Job
    from psycopg import AsyncConnection

log = structlog.get_logger(__name__)

AT_ONCE = 5
"""So many jobs run at the same time in a process."""

OFFERED = 100
"""So many due payments are offered at a time, the longest waiting first."""

SWEEP = "* * * * * */5"
"""Every five seconds some process offers what is due, whether anybody was woken or not."""

RESCUE = "* * * * *"
"""Every minute the jobs of processes that have died are put back on the board."""


class Board:
    """Procrastinate's application with our jobs, for one connection to the database."""

    def __init__(
        self, address: str, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]
    ) -> None:
        """Open nothing yet; *advance* and *due* are called in threads."""
        self._due = due
        self._advance_payment = advance
        connector = PsycopgConnector(
            conninfo=address, min_size=1, max_size=AT_ONCE, timeout=5, configure=_hasty
        )
        self.app = App(connector=connector)
        self._advance = self.app.task(name="advance")(self._advance_one)
        self._offer = self.app.task(name="offer", queueing_lock="offer")(self._offer_due)
        sweep = self.app.task(name="sweep", queueing_lock="sweep")(self._sweep)
        self.app.periodic(cron=SWEEP)(sweep)
        # With "lock" instead of "queueing_lock", a rescue that died itself would stop all later ones.
        rescue = self.app.task(name="rescue", queueing_lock="rescue")(self._rescue)
        self.app.periodic(cron=RESCUE)(rescue)
        self.woken = asyncio.Event()

    async def work(self) -> None:
        """Take jobs until cancelled, then finish those in hands, however long the library system takes.

        Raises ConnectorException, or returns, when the database is away.
        """
        await self.app.run_worker_async(
            concurrency=AT_ONCE,
            delete_jobs="always",
            install_signal_handlers=False,
        )

    async def pass_on(self, pause: float) -> None:
        """Put an offer on the board whenever woken, at most one in *pause* seconds."""
        while True:
            await self.woken.wait()
            self.woken.clear()
            # Whoever takes an offer that is there already will see what has become due meanwhile.
            with suppress(AlreadyEnqueued):
                await self._offer.defer_async()
            await asyncio.sleep(pause)

    # --- the jobs ---

    async def _advance_one(self, payment_id: str) -> None:
        """Advance one payment; it often has a next step at once (paid, then settled), so look again."""
        await asyncio.to_thread(self._advanced, payment_id)
        self.woken.set()

    def _advanced(self, payment_id: str) -> None:
        try:
            self._advance_payment(payment_id)
        except ILSPaymentError as error:
            log.warning("advance_postponed", payment=payment_id, reason=error.what)
        except Exception:
            log.exception("advance_failed", payment=payment_id)

    async def _sweep(self, timestamp: int) -> None:
        """Offer what is due without having been woken; procrastinate says for which *timestamp*."""
        await self._offer_due()

    async def _offer_due(self) -> None:
        """Put a job on the board for each payment that is due and has none there yet."""
        # Looked at first: what has left the board by the time the ledger is read is due no more.
        waiting = await self.app.job_manager.list_jobs_async(task="advance", status="todo")
        there = {job.queueing_lock for job in waiting}
        try:
            found = await asyncio.to_thread(self._due, OFFERED)
        except ILSPaymentError as error:
            log.warning("due_postponed", reason=error.what)
            return
        new = [self._job(payment_id) for payment_id in found if payment_id not in there]
        if not new:
            return
        try:
            await self.app.job_manager.batch_defer_jobs_async(new)
        except AlreadyEnqueued:
            # Another process offers at the same time, and one that is there refuses the whole batch.
            for job in new:
                await self._put(job)

    def _job(self, payment_id: str) -> Job:
        deferrer = self._advance.configure(queueing_lock=payment_id, task_kwargs={"payment_id": payment_id})
        return deferrer.job

    async def _put(self, job: Job) -> None:
        with suppress(AlreadyEnqueued):
            await self.app.job_manager.defer_job_async(job)

    async def _rescue(self, timestamp: int) -> None:
        """Put the jobs of processes without a heartbeat back on the board."""
        manager = self.app.job_manager
        for job in await manager.get_stalled_jobs():
            log.info("job_rescued", job=job.task_name, payment=job.task_kwargs.get("payment_id"))
            try:
                await manager.retry_job(job)
            except ConnectorException:
                # The same is on the board already, or another process was faster.
                await self._drop(job)

    async def _drop(self, job: Job) -> None:
        try:
            await self.app.job_manager.finish_job(job, Status.ABORTED, delete_job=True)
        except ConnectorException:
            log.info("job_rescued_elsewhere", job=job.task_name)


async def _hasty(connection: AsyncConnection) -> None:
    """Do not wait for the disk: a lost wake-up is found by the sweep."""
    await connection.set_autocommit(True)
    await connection.execute("SET synchronous_commit TO off")
