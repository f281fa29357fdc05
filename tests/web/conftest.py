"""Fixtures: the doors of a town, with hand-over keys configured and refusals that do not dawdle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ils_payment.web import arrival
from tests.conftest import Town
from tests.web.doors import OLD_SECRET, SECRET, Doors


@pytest.fixture
def arrival_settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The library's ``arrival`` table with a key, and the one before it."""
    return prepared(monkeypatch)


def prepared(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setenv("DOORS_SECRET", SECRET)
    patch.setenv("DOORS_OLD_SECRET", OLD_SECRET)
    # Refusals are slow on purpose; nobody is guessing here.
    patch.setattr(arrival, "SHORTEST_ANSWER", 0.01)
    patch.setattr(arrival, "SLOWEST_ANSWER", 0.02)
    return {
        "opac_url": "https://opac.lindental.example",
        "keys": [
            {"kid": "opac-1", "secret": {"env": "DOORS_SECRET"}},
            {"kid": "opac-0", "secret": {"env": "DOORS_OLD_SECRET"}},
        ],
    }


@pytest.fixture(scope="module")
def lasting_doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """The doors of a town for many tests that change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        town = Town(f"sqlite:///{tmp_path_factory.mktemp('doors')}/ledger.db", arrival=prepared(patch))
        yield Doors(town)
        town.close()


@pytest.fixture
def doors(tmp_path: Path, arrival_settings: dict[str, Any]) -> Iterator[Doors]:
    """The doors of a town on SQLite."""
    town = Town(f"sqlite:///{tmp_path}/ledger.db", arrival=arrival_settings)
    yield Doors(town)
    town.close()


@pytest.fixture
def each_doors(database_url: str, arrival_settings: dict[str, Any]) -> Iterator[Doors]:
    """The doors of a town, once on SQLite and once on PostgreSQL."""
    town = Town(database_url, arrival=arrival_settings)
    yield Doors(town)
    town.close()
