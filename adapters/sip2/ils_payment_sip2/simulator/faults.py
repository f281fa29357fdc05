"""How the simulated server behaves, and what a test makes go wrong with one coming message."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Fault(StrEnum):
    """What happens to the answer of one message; unless it says otherwise, the message takes effect."""

    LOST = "the connection is closed instead of an answer"
    NEVER_DONE = "the connection is closed, and the message has no effect"
    SILENT = "no answer comes, and the connection stays"
    CUT = "half of the answer comes, then the connection is closed"
    DAMAGED = "one byte of the answer is another; message 97 gets it right"
    DAMAGED_FOR_EVER = "the same, and message 97 gets it damaged again"
    WRONG_SEQUENCE = "the answer has another sequence number"
    STALE = "an answer to an earlier message comes first"
    TWICE = "the answer comes twice"
    OTHER_PATRON = "the answer is about another patron"
    OTHER_CODE = "the answer is one to another message"
    GARBAGE = "something that is no message comes; message 97 gets the answer"
    REFUSED = "the message is refused, and has no effect"
    NEITHER = "the answer says neither yes nor no"
    RESEND = "the server asks for the message once more (96), and it had no effect"
    LATE = "no answer comes, and the message takes effect only later"


@dataclass(kw_only=True)
class Habits:
    """Manners of one server; they may be changed while it runs.

    ``bx``: what it says of the messages it knows, None to derive it, "" to say nothing. ``judges_pins`` false
    leaves CQ out; ``takes_any_pin`` calls every PIN right. ``shows_sum`` false leaves BV out.
    """

    online: bool = True
    bx: str | None = None
    judges_pins: bool = True
    takes_any_pin: bool = False
    shows_sum: bool = True
    currency: str = "EUR"
    refuses_surplus: bool = True


@dataclass
class Faults:
    """The faults that wait, and the effects that come late."""

    waiting: deque[tuple[Fault, str, float]] = field(default_factory=deque)
    late: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)

    def take(self, code: str) -> tuple[Fault, float] | None:
        """Return, and use up, the first fault that is meant for messages with this code."""
        for waiting in self.waiting:
            if waiting[1] == code:
                self.waiting.remove(waiting)
                return waiting[0], waiting[2]
        return None

    def postpone(self, now: datetime, seconds: float, effect: Callable[[], object]) -> None:
        """Keep *effect* until *seconds* after *now*."""
        self.late.append((now + timedelta(seconds=seconds), effect))

    def due(self, now: datetime) -> list[Callable[[], object]]:
        """Return, and forget, what was to take effect by *now*, oldest first."""
        ripe = sorted((one for one in self.late if one[0] <= now), key=lambda one: one[0])
        self.late = [one for one in self.late if one[0] > now]
        return [effect for _, effect in ripe]
