"""Stripe as a payment provider for ils-payment: hosted Checkout pages, read and closed through the SDK."""

from __future__ import annotations

from collections.abc import Mapping

from ils_payment import hookimpl
from ils_payment.ports import PaymentProvider
from ils_payment_stripe.provider import StripeProvider


@hookimpl
def ils_payment_providers() -> Mapping[str, type[PaymentProvider]]:
    """Bring ``stripe``."""
    return {"stripe": StripeProvider}
