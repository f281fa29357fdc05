"""Playing one schedule of a pair: the storm, then the calm in which everything has to come to its end."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from tests.faults.actors import post as chores
from tests.faults.actors import treasury
from tests.faults.hub import Hub, Outcome, perform
from tests.faults.pairs import people, weather
from tests.faults.pairs.invariants import INVARIANTS
from tests.faults.pairs.post import PairPost
from tests.faults.pairs.stage import PairStage

if TYPE_CHECKING:
    from tests.faults.kit import Kit

STORM_SECONDS = 4 * 86_400.0
ALL_ENDS = 10 * 86_400.0
"""So long after the last fault every payment has ended: longer than any provider's pending payment."""


def play(kit: Kit, seed: int, plugin: str, *, told: bool = False) -> Outcome:
    """Play *seed* with *plugin* as one of the pair; the same two always have the same outcome."""
    stage = PairStage(kit, seed, plugin)
    outcome = perform(stage, PairPlay(stage).run, told=told)
    taken = {one.payment_id for one in stage.truth.taken}
    outcome.numbers = Counter(
        schedules=1,
        steps=stage.scheduler.steps,
        crashes=stage.world.crashes,
        ambiguous=sum(
            times for name, times in stage.mix.fired.items() if name.split()[0] in weather.AMBIGUOUS
        ),
        captured_payments=len(taken),
    )
    outcome.numbers[f"{stage.library.name} {stage.provider.name}"] = 1
    return outcome


class PairPlay(Hub):
    """A schedule of one library system and one provider."""

    def __init__(self, stage: PairStage) -> None:
        super().__init__(stage, PairPost(stage), [kind(stage) for kind in INVARIANTS])
        self.pair = stage

    def run(self) -> None:
        """Play it."""
        people.start(self.pair)
        weather.start(self.pair)
        self.scheduler.spawn("chores", partial(chores.chores, self.pair))
        self.until(STORM_SECONDS, storm=True)
        self.calm()
        began = self.scheduler.seconds
        people.calm(self.pair)
        self.until(began + 86_400)
        self.scheduler.spawn("treasury", partial(treasury.compare, self.pair))
        self.until(began + ALL_ENDS, rests=True)
        self.pair.library.catch_up()
        self.pair.provider.catch_up()
        for invariant in self.invariants:
            invariant.at_end()

    def calm(self) -> None:
        """Switch every fault off; what is on its way already still takes effect."""
        self.scheduler.note("all faults end")
        self.pair.mix.calm = True
        self.pair.library.mend()
        self.pair.provider.mend()
        for instance in self.pair.instances:
            instance.starts_at = min(instance.starts_at, self.scheduler.seconds)
