"""XBezahldienste as a payment provider for ils-payment: what ePayBL, pmPayment and ePay21 speak."""

from __future__ import annotations

from collections.abc import Mapping

from ils_payment import hookimpl
from ils_payment.ports import PaymentProvider
from ils_payment_xbezahldienste.provider import XBezahldiensteProvider


@hookimpl
def ils_payment_providers() -> Mapping[str, type[PaymentProvider]]:
    """Bring ``xbezahldienste``."""
    return {"xbezahldienste": XBezahldiensteProvider}
