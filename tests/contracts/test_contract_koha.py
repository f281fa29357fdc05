"""Koha keeps the contract of library systems, with everything switched on and with the least."""

from __future__ import annotations

from ils_payment_koha.simulator.stand import KohaStand, LeastKohaStand

from ils_payment.testing.library_system import LibrarySystemContract


class TestKoha(LibrarySystemContract):
    on = KohaStand


class TestLeastKoha(LibrarySystemContract):
    on = LeastKohaStand
