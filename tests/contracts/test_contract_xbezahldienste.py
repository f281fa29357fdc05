"""XBezahldienste keeps the contract of payment providers."""

from __future__ import annotations

from ils_payment_xbezahldienste.simulator.stand import XBezahldiensteStand

from ils_payment.testing.provider import ProviderContract


class TestXBezahldienste(ProviderContract):
    on = XBezahldiensteStand
