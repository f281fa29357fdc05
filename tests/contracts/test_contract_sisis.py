"""SISIS keeps the contract of library systems on both ways of reading."""

from __future__ import annotations

from ils_payment_sisis.simulator.stand import GatewaySISISStand, SISISStand

from ils_payment.testing.library_system import LibrarySystemContract


class TestSISIS(LibrarySystemContract):
    on = SISISStand


class TestGatewaySISIS(LibrarySystemContract):
    on = GatewaySISISStand
