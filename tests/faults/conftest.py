"""What the tests of the simulator share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.kit import Kit


@pytest.fixture
def kit() -> Iterator[Kit]:
    """What schedules are played with, new for each test."""
    made = Kit()
    yield made
    made.close()
