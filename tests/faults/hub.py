"""The hub of a schedule: it lets tasks, processes, post and bank go on, one step at a time."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.faults.invariants.base import Broken
from tests.faults.scheduler import StuckError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.invariants.base import Invariant
    from tests.faults.stage import Stage


@dataclass
class Outcome:
    """What one seed led to."""

    seed: int
    fingerprint: str = ""
    broken: tuple[str, str] | None = None
    """The invariant, and what was wrong."""
    story: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)


class Post(Protocol):
    """Who brings the provider's notices."""

    def next_due(self) -> float:
        """Return when there is something to bring, in the scheduler's seconds."""

    def deliver(self) -> None:
        """Bring what is due now."""


def perform(stage: Stage, run: Callable[[], None], *, told: bool) -> Outcome:
    """Let *run* play the schedule on *stage* to its end; a rule that does not hold is in the outcome."""
    outcome = Outcome(stage.seed)
    try:
        run()
    except Broken as broken:
        outcome.broken = (broken.invariant, broken.what)
    except StuckError as stuck:
        outcome.broken = ("I9", str(stuck))
    except Exception as error:  # noqa: BLE001 - a defect of the program or of the simulator: it has to be told
        where = traceback.format_exception(error)
        outcome.broken = ("unexpected", f"{type(error).__name__}: {error}\n{''.join(where)}")
    finally:
        stage.scheduler.end()
        for instance in stage.instances:
            instance.bury()
        stage.scheduler.seal("".join(row["hash"] for row in stage.query(_AUDIT)))
        outcome.story = [*stage.scheduler.trace, *ledger(stage)] if outcome.broken or told else []
        stage.close()
    outcome.fingerprint = stage.scheduler.fingerprint()
    outcome.fired = stage.mix.fired
    outcome.passed = stage.world.passed
    return outcome


def ledger(stage: Stage) -> list[str]:
    """Tell what the ledger says at the end: the audit trail of each payment, and the notices."""
    zero = stage.world.start.timestamp()
    lines = ["the ledger:"]
    for row in stage.query("SELECT * FROM payments ORDER BY created_at, id"):
        lines.append(f"payment {row['id']} {row['state']} held={row['held']} due={row['due_at']}")
        lines += [
            f"  {step['at'] / 1e6 - zero:.3f} {step['what']} -> {step['state']} {step['facts']}"
            for step in stage.query("SELECT * FROM audit WHERE payment_id = ? ORDER BY number", row["id"])
        ]
    lines += [
        f"notice at {row['received_at'] / 1e6 - zero:.3f} {row['kind']} {row['reference']} {row['handled']}"
        for row in stage.query("SELECT * FROM notices ORDER BY received_at")
    ]
    return [*lines, "the log:", *stage.kit.logged]


class Hub:
    """The hub of one schedule."""

    def __init__(self, stage: Stage, post: Post, invariants: Sequence[Invariant]) -> None:
        self.stage = stage
        self.scheduler = stage.scheduler
        self.post = post
        self.invariants = invariants
        self.postings = 0
        stage.world.committed = self._committed

    def until(self, end: float, *, storm: bool = False, rests: bool = False) -> None:
        """Let everything happen up to *end*; the storm is over when nobody outside does anything any more.

        *rests*: stop as soon as nothing can happen that anybody would wait for.
        """
        scheduler = self.scheduler
        while True:
            self._processes()
            if self._once():
                continue
            if storm and not any(task.instance is None for task in scheduler.tasks):
                return
            if rests and self._rests():
                return
            following = self._next_instant()
            if following > end:
                scheduler.seconds = max(scheduler.seconds, min(end, following))
                return
            scheduler.seconds = max(scheduler.seconds, following)

    def _rests(self) -> bool:
        """Tell whether every payment is at its end or with a person, and nothing is on its way."""
        stage = self.stage
        if self.scheduler.tasks or self.post.next_due() < float("inf"):
            return False
        if stage.bank_decides_at() < float("inf"):
            return False
        (row,) = stage.query(_UNFINISHED)
        return not row[0]

    def _once(self) -> bool:
        """Let one task go on, or a runner or the post begin; False when all is quiet at this instant."""
        stage, scheduler = self.stage, self.scheduler
        idle = [one for one in stage.instances if one.may_run(scheduler.seconds)]
        if idle and scheduler.next_one is None and stage.next_due() <= scheduler.seconds:
            idle[int(stage.rng.random() * len(idle))].run()
        if self.post.next_due() <= scheduler.seconds:
            self.post.deliver()
        task = scheduler.choose()
        if task is None:
            return False
        scheduler.seconds += stage.mix.tick
        scheduler.step(task)
        if (
            task.finished
            and task.error is not None
            and task.instance is None
            and not task.name.startswith("koha")
        ):
            raise task.error
        for invariant in self.invariants:
            invariant.after_step()
        return True

    def _next_instant(self) -> float:
        """Return when something happens by itself; when that is overdue, a moment later."""
        stage, now = self.stage, self.scheduler.seconds
        soon = [self.scheduler.next_instant(), self.post.next_due()]
        due = stage.next_due()
        for instance in stage.instances:
            if instance.house is None:
                soon.append(instance.starts_at)
            elif instance.may_run(float("inf")):
                soon.append(max(instance.rests_until, due))
        bank = stage.bank_decides_at()
        if bank <= now:
            stage.bank_decides()
        soon.append(bank)
        ripe = min(soon)
        return ripe if ripe > now else now + 0.01

    def _processes(self) -> None:
        """Bury what has died, and start what is to be started."""
        for instance in self.stage.instances:
            if instance.dying:
                instance.bury()
            if instance.house is None and instance.starts_at <= self.scheduler.seconds:
                self.scheduler.note(f"process {instance.number} starts")
                instance.open()

    def _committed(self) -> None:
        """Look at the ledger after a commit that has moved money."""
        (row,) = self.stage.query("SELECT count(*) FROM postings")
        if row[0] != self.postings:
            self.postings = row[0]
            for invariant in self.invariants:
                invariant.after_posting()


_AUDIT = "SELECT hash FROM audit ORDER BY payment_id, number"
_UNFINISHED = """
SELECT EXISTS (SELECT 1 FROM payments WHERE state NOT IN ('void', 'settled', 'resolved') AND NOT held)
    OR EXISTS (SELECT 1 FROM payments WHERE captured > 0 AND due_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM payments p JOIN renewals r ON r.payment_id = p.id
               WHERE p.due_at IS NOT NULL AND r.doubts > 0)
    OR EXISTS (SELECT 1 FROM notices WHERE handled IS NULL)
    OR EXISTS (SELECT 1 FROM refunds WHERE state IN ('due', 'tried', 'pending')
               OR (state = 'done' AND charge_state IN ('due', 'tried')))
"""
