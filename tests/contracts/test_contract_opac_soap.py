"""Library systems that a preset describes keep the contract, in each way of paying."""

from __future__ import annotations

from ils_payment_opac_soap.simulator.stand import ArenaStand, MarkerStand, NCIPStand, SymphonyStand

from ils_payment.testing.library_system import LibrarySystemContract


class TestSymphony(LibrarySystemContract):
    on = SymphonyStand


class TestMarkers(LibrarySystemContract):
    on = MarkerStand


class TestArena(LibrarySystemContract):
    on = ArenaStand


class TestNCIP(LibrarySystemContract):
    on = NCIPStand
