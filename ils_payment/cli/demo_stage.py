"""The stage of the demo: what runs on it, and how it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ils_payment.testing.simulator import TRUTH_PATH

if TYPE_CHECKING:
    from pathlib import Path

    from ils_payment.flows.house import House
    from ils_payment.testing.demo import DemoLibrary

LIBRARY = "lindental"
DEMO_PORT = 8480
PATIENCE = 30.0
"""For so many seconds an unattended journey waits for its end."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs: the program's address, its house, the two simulated remotes, and the file."""

    address: str
    house: House
    library: DemoLibrary
    provider: Any
    config: Path

    @property
    def system(self) -> Any:  # noqa: ANN401 - each library system has switches of its own
        """Return the simulated library system."""
        return self.library.simulator


@dataclass(frozen=True, slots=True)
class Walked:
    """A journey that was walked: what it prints, whether everything is as it should be, and its payment."""

    line: dict[str, Any]
    right: bool
    payment_id: str


def truth_of(stage: Stage) -> dict[str, Any]:
    """Ask the simulated library system over HTTP what is really in its books."""
    session = stage.house.world.session(deadline=PATIENCE, max_bytes=5 * 1024 * 1024)
    answer: dict[str, Any] = session.get(stage.library.address + TRUTH_PATH).json()
    return answer
