"""What every schedule has: seeded dice, an empty ledger, processes, and an outsider's look at the rows."""

from __future__ import annotations

import sqlite3
from random import Random
from typing import TYPE_CHECKING, Any

from tests.faults.fault_world import FaultWorld
from tests.faults.instance import Instance
from tests.faults.mix import Mix
from tests.faults.scheduler import Scheduler
from tests.faults.size import Size, draw

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from ils_payment.config import Settings
    from ils_payment.flows.desk import Desk
    from tests.faults.actors.bookkeeping import Lost
    from tests.faults.kit import Kit


class Stage:
    """The stage of one schedule; whoever sets it adds the remotes and the people."""

    settings: Settings
    size: Size
    world: FaultWorld
    instances: list[Instance]

    def __init__(self, kit: Kit, seed: int) -> None:
        self.kit = kit
        self.seed = seed
        self.rng = Random(seed)
        self.scheduler = Scheduler(self.rng)
        self.mix = Mix(self.rng)
        self.mix.add_people(Random(f"{seed} afterwards"))
        self.lost: Lost | None = None
        self.exported: dict[tuple[date, date], list[str]] = {}

    def begin(self, calendar: Callable[[], datetime]) -> None:
        """Draw the size, and let the program's world begin at the instant that *calendar* tells."""
        self.size = draw(self.rng)
        start = calendar()
        self.kit.fresh_ledger()
        self.kit.strings.mix, self.kit.strings.scheduler = self.mix, self.scheduler
        self.world = FaultWorld(self.scheduler, self.mix, start, seed=self.seed)
        self.kit.strings.failpoint = self.world.failpoint
        self._zero = start.timestamp()
        self._due = float("inf")

    def open_processes(self) -> None:
        """Start the processes of the program."""
        count = self.rng.choice(self.size.processes)
        self.instances = [Instance(self, number, self.kit.stores[number]) for number in range(count)]
        self.reopen()

    def furnished(self, desk: Desk) -> Desk:
        """Return *desk* as this stage's processes have it."""
        return desk

    def reopen(self) -> None:
        """Read the file that lies where the ledger is, also after it was put back from a backup."""
        self.close()
        self.rows = sqlite3.connect(self.kit.path, isolation_level=None)
        self.rows.row_factory = sqlite3.Row
        self.kit.strings.changed = True

    def close(self) -> None:
        """Look no longer at the ledger."""
        if hasattr(self, "rows"):
            self.rows.close()

    def alive(self) -> Instance | None:
        """Return a process that answers, as a load balancer finds one."""
        living = [one for one in self.instances if one.house is not None]
        return self.rng.choice(living) if living else None

    def query(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """Read the ledger as an outsider, past the program's own code."""
        return self.rows.execute(sql, parameters).fetchall()

    def next_due(self) -> float:
        """Return when a runner has something to do, in the scheduler's seconds."""
        if self.kit.strings.changed:
            self.kit.strings.changed = False
            ready, news = self.rows.execute(_NEXT_DUE).fetchone()
            self._due = 0.0 if news else float("inf") if ready is None else ready / 1_000_000
        return self._due - self._zero - self.world.offset

    def bank_decides_at(self) -> float:
        """Return when the bank decides the next pending payment, in the scheduler's seconds."""
        return float("inf")

    def bank_decides(self) -> None:
        """Let the bank decide what is to be decided by now."""


_NEXT_DUE = """
SELECT (SELECT min(max(due_at, coalesce(lease_until + 1, 0))) FROM payments WHERE due_at IS NOT NULL),
       EXISTS (SELECT 1 FROM notices WHERE handled IS NULL)
"""
