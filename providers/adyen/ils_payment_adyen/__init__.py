"""Adyen as a payment provider for ils-payment: Pay by Link or hosted Checkout, decided by signed notices."""

from __future__ import annotations

from collections.abc import Mapping

from ils_payment import hookimpl
from ils_payment.ports import PaymentProvider
from ils_payment_adyen.provider import AdyenProvider


@hookimpl
def ils_payment_providers() -> Mapping[str, type[PaymentProvider]]:
    """Bring ``adyen``."""
    return {"adyen": AdyenProvider}
