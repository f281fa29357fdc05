"""SIP2 keeps the contract of library systems in three dialects."""

from __future__ import annotations

from ils_payment_sip2.simulator.stand import GossipStand, PinStand, SIP2Stand

from ils_payment.testing.library_system import LibrarySystemContract


class TestSIP2(LibrarySystemContract):
    on = SIP2Stand


class TestGossip(LibrarySystemContract):
    on = GossipStand


class TestPin(LibrarySystemContract):
    on = PinStand
