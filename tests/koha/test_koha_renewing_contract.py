"""Koha proves what every library system that renews cards has to prove."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from ils_payment_koha.adapter import KohaSystem
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_koha.simulator.koha import RENEWAL

from ils_payment.model import PatronRef
from ils_payment.testing.renewing import RenewingContract
from tests.koha.conftest import ShiftedWorld
from tests.koha.koha_in_process import books


class TestKohaRenews(RenewingContract):
    @pytest.fixture(autouse=True)
    def _stage(self, koha: KohaSimulator, connect: Callable[..., KohaSystem], world: ShiftedWorld) -> None:
        self.koha = koha
        self.system = connect(koha, renew=True)
        self.patron, self.nobody = PatronRef(str(koha.patron_ids["expired"])), PatronRef("99999")
        self.now = world.now

    def expiries(self) -> list[date | None]:
        changes = books(self.koha, int(self.patron))["expiry_changes"]
        return [date.fromisoformat(one["to"]) for one in changes]

    def renew_elsewhere(self) -> None:
        self.koha.renew_account(int(self.patron))

    def lose_next_answer(self, *, applied: bool) -> None:
        self.koha.fail_next(status=0, operation=RENEWAL, after_effect=applied)
