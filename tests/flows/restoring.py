"""Keeping a copy of a town's ledger, and putting it back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from ils_payment.flows import backup
from ils_payment.flows.house import open_house, open_store
from ils_payment.flows.reconcile import reconcile, release
from ils_payment.model import Actor

ROOT = Actor("root", "command line")


class Keeper:
    """Keeps a copy of the ledger, puts it back, and compares it then, as the operator does."""

    def __init__(self, town: Any, folder: Path) -> None:
        self.town, self.folder = town, folder
        self.kept = folder / "kept.db"

    def keep(self) -> None:
        backup.backup(self.town.house.store, ROOT, self.kept)

    def put_back(self) -> None:
        town = self.town
        town.house.close()
        for left in self.folder.glob("ledger.db*"):
            left.unlink()
        store = open_store(town.settings, town.world)
        backup.restore(store, self.folder / "ledger.db", ROOT, self.kept)
        store.close()
        town.house = open_house(town.settings, town.world)
        town.desk = town.house.libraries["lindental"]

    def compare(self, *, by_hand: str = "") -> None:
        town = self.town
        now = town.world.now()
        report = reconcile(town.house, town.desk, now - timedelta(days=30), now, ROOT)
        assert release(town.house, [report], ROOT, by_hand=by_hand)
        town.deliver_webhooks()
        town.run()
        town.run_for(hours=30, rounds=60)
