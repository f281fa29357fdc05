"""What goes wrong with a simulated remote: faults that wait for their moment, and effects that come late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Fault = TypeVar("Fault")


@dataclass
class Faults(Generic[Fault]):
    """The faults that wait, each for one kind of call, and the effects that come late."""

    waiting: deque[tuple[Fault, str, float]] = field(default_factory=deque)
    late: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)

    def take(self, call: str) -> tuple[Fault, float] | None:
        """Return, and use up, the first fault that is meant for *call*, with its seconds."""
        for waiting in self.waiting:
            if waiting[1] == call:
                self.waiting.remove(waiting)
                return waiting[0], waiting[2]
        return None

    def mend(self) -> None:
        """Let no fault wait any more; what is to come late still comes."""
        self.waiting.clear()

    def postpone(self, now: datetime, seconds: float, effect: Callable[[], object]) -> None:
        """Keep *effect* until *seconds* after *now*."""
        self.late.append((now + timedelta(seconds=seconds), effect))

    def due(self, now: datetime) -> list[Callable[[], object]]:
        """Return, and forget, what was to take effect by *now*, oldest first."""
        ripe = sorted((one for one in self.late if one[0] <= now), key=lambda one: one[0])
        self.late = [one for one in self.late if one[0] > now]
        return [effect for _, effect in ripe]
