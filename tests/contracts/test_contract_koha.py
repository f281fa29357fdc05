"""Koha keeps the contract of library systems with everything on, and refuses what is switched off."""

from __future__ import annotations

from ils_payment_koha.simulator.stand import KohaStand, LeastKohaStand

from ils_payment.testing.library_system import LibrarySystemContract
from ils_payment.testing.library_system.doors import DoorTests


class TestKoha(LibrarySystemContract):
    on = KohaStand


class TestLeastKoha(DoorTests):
    on = LeastKohaStand
