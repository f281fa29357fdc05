"""Giving money back: the one call that moves it, and what its answers mean.

Adyen takes a refund as a request (``received``) and tells by a notice what became of it. Its refunds
cannot be listed, so only the idempotency key, which Adyen keeps for days, makes a repetition harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.model import Refunded, RefundRefused, ReversalState, Unclear
from ils_payment_adyen.client import describe, is_certainly_refused, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import RefundOrder
    from ils_payment.ports import Host
    from ils_payment_adyen.client import Checkout


def refund(
    checkout: Checkout, host: Host, account: str, order: RefundOrder
) -> Refunded | RefundRefused | Unclear:
    """Give *order*'s cents back: **money moves here**, with a single request under the order's key."""
    if order.cents <= 0:
        return RefundRefused(reason="the refund has no amount")
    if not order.money_ref:
        # Only the notice of the payment tells Adyen's id of the money; nothing has been sent yet.
        return RefundRefused(reason="no notice has told yet which money it is", permanent=False)
    request = {
        "merchantAccount": account,
        "amount": {"currency": order.currency, "value": order.cents},
        # It comes back as the merchantReference of the notices about this refund.
        "reference": order.key,
    }
    host.failpoint("adyen.refund.before")
    try:
        made = checkout.refund(order.money_ref, request, order.key)
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
        outcome: Refunded | RefundRefused | Unclear = _after_error(error)
    else:
        outcome = _outcome(made, request, order)
    host.failpoint("adyen.refund.after")
    return outcome


def _after_error(error: Exception) -> RefundRefused | Unclear:
    """Return what *error* says: a refusal under the same key is of this very refund, or of none."""
    if not is_certainly_refused(error):
        return Unclear(reason=describe(error))
    return RefundRefused(reason=describe(error), permanent=status_of(error) not in {401, 403})


def _outcome(made: Mapping[str, Any], request: Mapping[str, Any], order: RefundOrder) -> Refunded | Unclear:
    """Return what the refund that came says; Unclear unless it is exactly the one that was ordered."""
    ref = made.get("pspReference")
    if made.get("status") != "received" or not isinstance(ref, str) or not ref:
        return Unclear(reason="Adyen's answer has no id of the refund, or a status that is not known")
    same = made.get("amount") == request["amount"] and made.get("reference") == order.key
    if not same or made.get("paymentPspReference") != order.money_ref:
        return Unclear(reason="the refund in Adyen's answer is of another payment or amount")
    return Refunded(ref=ref, state=ReversalState.PENDING)
