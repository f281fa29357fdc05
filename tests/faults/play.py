"""Playing one schedule: the storm, then the calm in which everything has to come to its end."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from tests.faults import prelude, reports
from tests.faults.actors import (
    bookkeeping,
    cards,
    desk,
    meetings,
    oddities,
    office,
    patrons,
    platforms,
    post,
    returns,
    treasury,
    weather,
)
from tests.faults.hub import Hub, Outcome, perform
from tests.faults.invariants import INVARIANTS, Broken
from tests.faults.recheck import read_export, recheck
from tests.faults.setting import Setting

if TYPE_CHECKING:
    from tests.faults.kit import Kit

AFTERWARDS = (returns, office, bookkeeping)
ACTORS = (patrons, desk, oddities, weather, post, treasury, *AFTERWARDS, cards, platforms, meetings)
"""Plug-ins: modules with ``start(setting)``, which spawn their tasks."""

STORM_SECONDS = 4 * 86_400.0
"""After so long at the latest the faults are switched off."""

PAID_ENDS = 2 * (15 * 60 + 3600.0)
"""Twice the quarantine and the longest backoff: so long after the last fault a paid payment has ended."""

ALL_ENDS = 3 * 86_400.0
"""So long after the last fault every payment has ended: sessions run out, daily looks come round."""


def play(kit: Kit, seed: int, *, told: bool = False) -> Outcome:
    """Play *seed* to its end and hold every invariant; the same seed always has the same outcome."""
    setting = Setting(kit, seed)
    outcome = perform(setting, Play(setting).run, told=told)
    outcome.numbers = numbers(setting)
    return outcome


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


class Play(Hub):
    """A schedule of a library with Koha and Stripe."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, post.Post(setting), [kind(setting) for kind in INVARIANTS])
        self.setting = setting

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
