"""Adyen keeps the contract of payment providers in both ways."""

from __future__ import annotations

from ils_payment_adyen.simulator.stand import AdyenStand, SessionsStand

from ils_payment.testing.provider import ProviderContract


class TestAdyen(ProviderContract):
    on = AdyenStand


class TestAdyenSessions(ProviderContract):
    on = SessionsStand
