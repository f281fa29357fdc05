"""The provider's notices on their way to us: doubled, late, in another order, or lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ils_payment.model import ReadSupport
from tests.faults.actors.post import answer
from tests.faults.instance import BrokenError

if TYPE_CHECKING:
    from ils_payment.model import RawRequest
    from tests.faults.pairs.stage import PairStage

_AFTER = (0.5, 5, 30, 200, 1800, 7200, 30_000, 100_000)
"""So many seconds after something has happened the provider may have something to tell."""

_AGAIN = (60, 600, 3600, 20_000, 90_000)
"""So many seconds later a notice is brought again that was not taken."""


class PairPost:
    """Hands notices to a living process, by the code that answers them in reality."""

    def __init__(self, stage: PairStage) -> None:
        self.stage = stage
        self.rng = stage.rng
        self.mix = stage.mix
        can = stage.provider_can
        # A provider that nobody can ask repeats its notices for days, so here none is lost for ever.
        self.may_lose = can.read is ReadSupport.FULL and not can.notices_decide and can.finds_refunds
        self._stirred = float("inf")
        self._looks: list[float] = []

    def next_due(self) -> float:
        """Return when there may be something to bring."""
        if self.stage.stirred != self._stirred:
            self._stirred = self.stage.stirred
            self._looks = (
                [self._stirred + after for after in _AFTER] if self.stage.provider_can.notices else []
            )
        return self._looks[0] if self._looks else float("inf")

    def deliver(self) -> None:
        """Take what is due, and let it come sooner or later, once or twice."""
        self._looks.pop(0)
        for request in self.stage.provider.notices():
            if self.mix.has("webhook_never") and self.may_lose and self.rng.random() < 0.5:
                self.mix.fired["webhook_never"] += 1
                continue
            after = self.rng.choice((0, 0, 1, 4))
            if self.mix.has("webhook_late") and self.rng.random() < 0.5:
                self.mix.fired["webhook_late"] += 1
                after = self.rng.choice((200, 5000, 100_000))
            times = 2 if self.mix.strikes("webhook_duplicated") else 1
            for _ in range(times):
                self._bring(request, after)

    def _bring(self, request: RawRequest, after: float, tries: int = 0) -> None:
        self.stage.scheduler.spawn("webhook", partial(self._hand_over, request, tries), after=after)

    def _hand_over(self, request: RawRequest, tries: int) -> None:
        instance = self.stage.alive()
        status = None
        if instance is not None:
            try:
                status = instance.call("webhook", lambda house: answer(house, request))
            except BrokenError:
                status = None
        self.stage.scheduler.note(f"webhook: {status}")
        if (status is None or status >= 300) and tries < len(_AGAIN):
            self._bring(request, _AGAIN[tries], tries + 1)
