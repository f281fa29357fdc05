"""How large a schedule is: most are small, for what breaks mostly breaks among few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Size:
    """What the parts of a schedule draw their numbers from; each value is as likely as any other."""

    patrons: tuple[int, ...]
    visits: tuple[int, ...]
    """How often a patron comes to the fees page to pay."""
    processes: tuple[int, ...]
    prelude: float
    """How likely somebody has paid already before."""
    chores: tuple[float, ...]
    """Seconds between the chores of a runner."""


SMALL = Size(patrons=(1,), visits=(1,), processes=(1, 1, 2), prelude=0.2, chores=(300,))
MIDDLE = Size(patrons=(1, 1, 2), visits=(1, 1, 2), processes=(1, 2, 2, 3), prelude=0.5, chores=(40, 2400))
LARGE = Size(
    patrons=(2, 3, 4),
    visits=(1, 2, 2),
    processes=(2, 3),
    prelude=0.8,
    chores=(40, 300, 2400, 4000, 90_000),
)


def draw(rng: random.Random) -> Size:
    """Return the size of a schedule: 13 of 20 are small, 1 of 20 is large."""
    return rng.choice((SMALL,) * 13 + (MIDDLE,) * 6 + (LARGE,))
