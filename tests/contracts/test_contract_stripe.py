"""Stripe keeps the contract of payment providers."""

from __future__ import annotations

from ils_payment_stripe.simulator.stand import StripeStand

from ils_payment.testing.provider import ProviderContract


class TestStripe(ProviderContract):
    on = StripeStand
