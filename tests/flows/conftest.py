"""What the stories about cards share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.renewing import RenewingTown


@pytest.fixture
def renewing_town(tmp_path: Path) -> Iterator[RenewingTown]:
    """The town that renews cards, on SQLite."""
    built = RenewingTown(f"sqlite:///{tmp_path}/ledger.db")
    yield built
    built.close()
