"""Playing one schedule: the storm, then the calm in which everything has to come to its end."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tests.faults import prelude, reports
from tests.faults.actors import (
    bookkeeping,
    cards,
    desk,
    oddities,
    office,
    patrons,
    platforms,
    post,
    returns,
    treasury,
    weather,
)
from tests.faults.invariants import INVARIANTS, Broken
from tests.faults.recheck import read_export, recheck
from tests.faults.scheduler import StuckError
from tests.faults.setting import Setting

if TYPE_CHECKING:
    from tests.faults.kit import Kit

AFTERWARDS = (returns, office, bookkeeping)
ACTORS = (patrons, desk, oddities, weather, post, treasury, *AFTERWARDS, cards, platforms)
"""Plug-ins: modules with ``start(setting)``, which spawn their tasks."""

STORM_SECONDS = 4 * 86_400.0
"""After so long at the latest the faults are switched off."""

PAID_ENDS = 2 * (15 * 60 + 3600.0)
"""Twice the quarantine and the longest backoff: so long after the last fault a paid payment has ended."""

ALL_ENDS = 3 * 86_400.0
"""So long after the last fault every payment has ended: sessions run out, daily looks come round."""


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


def play(kit: Kit, seed: int, *, told: bool = False) -> Outcome:
    """Play *seed* to its end and hold every invariant; the same seed always has the same outcome."""
    setting = Setting(kit, seed)
    outcome = Outcome(seed)
    try:
        Play(setting).run()
    except Broken as broken:
        outcome.broken = (broken.invariant, broken.what)
    except StuckError as stuck:
        outcome.broken = ("I9", str(stuck))
    except Exception as error:  # noqa: BLE001 - a defect of the program or of the simulator: it has to be told
        where = traceback.format_exception(error)
        outcome.broken = ("unexpected", f"{type(error).__name__}: {error}\n{''.join(where)}")
    finally:
        setting.scheduler.end()
        for instance in setting.instances:
            instance.bury()
        setting.scheduler.seal("".join(row["hash"] for row in setting.query(_AUDIT)))
        outcome.story = [*setting.scheduler.trace, *ledger(setting)] if outcome.broken or told else []
        setting.close()
    outcome.fingerprint = setting.scheduler.fingerprint()
    outcome.fired = setting.mix.fired
    outcome.passed = setting.world.passed
    outcome.numbers = numbers(setting)
    return outcome


def ledger(setting: Setting) -> list[str]:
    """Tell what the ledger says at the end: the audit trail of each payment, and the notices."""
    zero = setting.world.start.timestamp()
    lines = ["the ledger:"]
    for row in setting.query("SELECT * FROM payments ORDER BY created_at, id"):
        lines.append(f"payment {row['id']} {row['state']} held={row['held']} due={row['due_at']}")
        lines += [
            f"  {step['at'] / 1e6 - zero:.3f} {step['what']} -> {step['state']} {step['facts']}"
            for step in setting.query("SELECT * FROM audit WHERE payment_id = ? ORDER BY number", row["id"])
        ]
    lines += [
        f"notice at {row['received_at'] / 1e6 - zero:.3f} {row['kind']} {row['reference']} {row['handled']}"
        for row in setting.query("SELECT * FROM notices ORDER BY received_at")
    ]
    return [*lines, "the log:", *setting.kit.logged]


def numbers(setting: Setting) -> Counter[str]:
    """Count what the last line of the machine tells."""
    found = reports.Truth(setting)
    return Counter(
        {
            "schedules": 1,
            "steps": setting.scheduler.steps,
            "crashes": setting.world.crashes,
            "ambiguous": sum(setting.mix.fired[name] for name in AMBIGUOUS),
            "captured_payments": sum(1 for cents in found.captured_by_payment.values() if cents),
        }
    )


AMBIGUOUS = (
    "ils_lost_not_applied", "ils_lost_applied", "ils_applied_late", "ils_error_after", "ils_deadlock",
    "ils_applied_in_part", "kill_after_call", "start_answer_lost", "card_lost_not_applied",
    "card_lost_applied", "card_applied_late", "card_error_after", "card_answer_garbled",
    "card_debit_lost", "card_debit_not_applied", "card_debit_late", "card_debit_error",
)  # fmt: skip
"""Faults after which nobody can know at once what came of a call."""


class Play:
    """The hub of one schedule."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.scheduler = setting.scheduler
        self.post = post.Post(setting)
        self.invariants = [kind(setting) for kind in INVARIANTS]
        self.postings = 0
        setting.world.committed = self._committed

    def run(self) -> None:
        prelude.play(self)
        for actor in ACTORS:
            actor.start(self.setting)
        self.until(STORM_SECONDS, storm=True)
        self.calm()
        began = self.scheduler.seconds
        for actor in (office, bookkeeping):
            actor.calm(self.setting)
        self.until(began + PAID_ENDS, rests=True)
        for invariant in self.invariants:
            invariant.paid_ended()
        for days in self.comparisons():
            compare = partial(treasury.compare, self.setting)
            self.scheduler.spawn("treasury", compare, after=days * 86_400)
        self.until(began + ALL_ENDS, rests=True)
        for invariant in self.invariants:
            invariant.at_end()
        files = reports.exports(self.setting)
        rows = [row for text in files for row in read_export(text)] if files else None
        disagreements = recheck(*reports.write(self.setting), rows)
        if disagreements:
            raise Broken("recheck", "; ".join(disagreements))

    def comparisons(self) -> tuple[float, ...]:
        """Return after how many days the books are compared: always where no webhook told what happened."""
        if self.setting.seed % 10 == 0:
            return (0.5, 2)
        deliveries = self.setting.stripe._outbox.deliveries.values()
        told = all(one.state == "delivered" for one in deliveries)
        strange = self.setting.query("SELECT 1 FROM notices WHERE handled = 'foreign'")
        return () if told and not strange else (0.5,)

    def calm(self) -> None:
        """Switch every fault off; what is on its way already still takes effect."""
        setting = self.setting
        setting.scheduler.note("all faults end")
        setting.mix.calm = True
        for gate in setting.gates.values():
            gate.outage.until = 0.0
        setting.world.mail_works = True
        setting.koha.faults.failures.clear()
        setting.koha.faults.deadlocks = 0
        setting.stripe.faults.waiting.clear()
        switches = setting.stripe.webhooks
        switches.drop, switches.delay_seconds, switches.sign_with = False, 0, ()
        for instance in setting.instances:
            instance.starts_at = min(instance.starts_at, setting.scheduler.seconds)

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
        setting = self.setting
        if self.scheduler.tasks or self.post.next_due() < float("inf"):
            return False
        if any(at is not None for at, _ in setting.stripe.book.pending.values()):
            return False
        (row,) = setting.query(_UNFINISHED)
        return not row[0]

    def _once(self) -> bool:
        """Let one task go on, or a runner or the post begin; False when all is quiet at this instant."""
        setting, scheduler = self.setting, self.scheduler
        idle = [one for one in setting.instances if one.may_run(scheduler.seconds)]
        if idle and scheduler.next_one is None and setting.next_due() <= scheduler.seconds:
            idle[int(setting.rng.random() * len(idle))].run()
        if self.post.next_due() <= scheduler.seconds:
            self.post.deliver()
        task = scheduler.choose()
        if task is None:
            return False
        scheduler.seconds += setting.mix.tick
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
        setting, now = self.setting, self.scheduler.seconds
        soon = [self.scheduler.next_instant(), self.post.next_due()]
        due = setting.next_due()
        for instance in setting.instances:
            if instance.house is None:
                soon.append(instance.starts_at)
            elif instance.may_run(float("inf")):
                soon.append(max(instance.rests_until, due))
        decided = [at for at, _ in setting.stripe.book.pending.values() if at is not None]
        if decided:
            bank = min(decided) - setting.world.start.timestamp()
            if bank <= now:
                setting.stripe.tick()
            soon.append(bank)
        ripe = min(soon)
        return ripe if ripe > now else now + 0.01

    def _processes(self) -> None:
        """Bury what has died, and start what is to be started."""
        for instance in self.setting.instances:
            if instance.dying:
                instance.bury()
            if instance.house is None and instance.starts_at <= self.scheduler.seconds:
                self.scheduler.note(f"process {instance.number} starts")
                instance.open()

    def _committed(self) -> None:
        """Look at the ledger after a commit that has moved money."""
        (row,) = self.setting.query("SELECT count(*) FROM postings")
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
