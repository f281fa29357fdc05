"""Towns that stand quickly: the empty database is made once and then copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tests.conftest
from ils_payment.store.upgrade import upgrade
from tests.conftest import Town


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded SQLite database without any payment."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    Town(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def town(empty_ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The town on SQLite, with the database copied instead of made."""
    shutil.copy(empty_ledger, tmp_path / "ledger.db")
    monkeypatch.setattr(tests.conftest, "upgrade", lambda _store: None)
    built = Town(f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.setattr(tests.conftest, "upgrade", upgrade)
    yield built
    built.house.close()
