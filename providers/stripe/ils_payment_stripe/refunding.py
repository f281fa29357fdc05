"""Giving money back: the one call that moves it, and what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import stripe

from ils_payment.errors import RemoteError
from ils_payment.model import Refunded, RefundRefused, ReversalState, Unclear
from ils_payment_stripe import reversals
from ils_payment_stripe.client import describe, is_certainly_refused, questions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe.params import RefundCreateParams

    from ils_payment.model import RefundOrder, Reversal
    from ils_payment.ports import Host

CAN_BE_MENDED = frozenset({"balance_insufficient", "insufficient_funds"})
"""Stripe's codes of a refusal that another day may not bring: the account's balance fills up again.

For a refund Stripe documents ``pending`` instead; that it ever answers with these is unverified.
Every other refusal (``charge_already_refunded``, ``charge_disputed``, ``refund_disputed_payment``,
``charge_not_refundable``, ``amount_too_large``, ``resource_missing``, one without a code) needs a
person."""


def refund(client: stripe.StripeClient, host: Host, order: RefundOrder) -> Refunded | RefundRefused | Unclear:
    """Give *order*'s cents back: **money moves here**, with a single request under the order's key."""
    try:
        intent = intent_of(client, order.session_ref)
    except RemoteError as error:
        # Nothing has been sent yet.
        return RefundRefused(reason=f"the payment could not be read: {error}", permanent=False)
    problem = _problem(intent, order)
    if intent is None or problem:
        return RefundRefused(reason=problem)
    params: RefundCreateParams = {
        "payment_intent": str(intent["id"]),
        "amount": order.cents,
        "metadata": {reversals.REFUND_KEY: order.key, "payment": order.reference},
    }
    host.failpoint("stripe.refund.before")
    try:
        made = client.v1.refunds.create(params, {"idempotency_key": order.key}).to_dict()
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
        outcome = _after_error(client, order, error)
    else:
        outcome = _outcome(made, params, order)
    host.failpoint("stripe.refund.after")
    return outcome


def find_refunds(client: stripe.StripeClient, session_ref: str) -> tuple[Reversal, ...]:
    """Return all refunds and disputes of the session's money, page by page."""
    intent = intent_of(client, session_ref)
    if intent is None:
        return ()
    name = str(intent["id"])
    with questions():
        refunds = client.v1.refunds.list({"payment_intent": name, "limit": 100})
        disputes = client.v1.disputes.list({"payment_intent": name, "limit": 100})
        return reversals.reversals(
            [one.to_dict() for one in refunds.auto_paging_iter()],
            [one.to_dict() for one in disputes.auto_paging_iter()],
        )


def intent_of(client: stripe.StripeClient, session_ref: str) -> Mapping[str, Any] | None:
    """Return the PaymentIntent of a session (or the one named); None where nobody began to pay."""
    with questions():
        if session_ref.startswith("pi_"):
            return client.v1.payment_intents.retrieve(session_ref).to_dict()
        session = client.v1.checkout.sessions.retrieve(session_ref, {"expand": ["payment_intent"]}).to_dict()
    intent = session.get("payment_intent")
    if intent is not None and not isinstance(intent, dict):
        raise reversals.garbled("payment_intent was asked for in full and came as an id")
    return intent


def _problem(intent: Mapping[str, Any] | None, order: RefundOrder) -> str:
    """Say what can be seen to be wrong with *order* before anything is sent; empty if nothing.

    Whether so much is left of the money is Stripe's to say.
    """
    if intent is None or intent.get("status") != "succeeded":
        return "no money was taken in this session"
    if order.cents <= 0:
        return "the refund has no amount"
    if intent.get("currency") != order.currency.lower():
        return "the money was taken in another currency"
    if (intent.get("metadata") or {}).get("payment") != order.reference:
        return "the session belongs to another payment"
    return ""


def _after_error(
    client: stripe.StripeClient, order: RefundOrder, error: Exception
) -> Refunded | RefundRefused | Unclear:
    """Return what *error* says of the refund.

    "Already refunded" and "more than is left" can speak of this very refund, when an earlier answer
    was lost and its key forgotten: so a refusal counts only when no refund carries our key.
    """
    said = describe(error)
    if not is_certainly_refused(error):
        return Unclear(reason=said)
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return RefundRefused(reason=said, permanent=False)
    try:
        found = [one for one in find_refunds(client, order.session_ref) if one.key == order.key]
    except RemoteError as second:
        return Unclear(reason=f"{said}; whether there is an earlier one could not be seen: {second}")
    if found:
        return _standing(found[0].ref, found[0].state)
    code = error.code if isinstance(error, stripe.StripeError) else None
    return RefundRefused(reason=said, permanent=code not in CAN_BE_MENDED)


def _outcome(
    made: Mapping[str, Any], params: RefundCreateParams, order: RefundOrder
) -> Refunded | RefundRefused | Unclear:
    """Return what the refund that came says; Unclear unless it is exactly the one that was ordered."""
    state = reversals.REFUND_STATES.get(str(made.get("status")))
    ref = made.get("id")
    if state is None or not isinstance(ref, str):
        return Unclear(reason="the refund in Stripe's answer has no id, or a status that is not known")
    asked = (params["payment_intent"], order.cents, order.currency.lower())
    if (made.get("payment_intent"), made.get("amount"), made.get("currency")) != asked:
        return Unclear(reason="the refund in Stripe's answer is of another payment or amount")
    return _standing(ref, state)


def _standing(ref: str, state: ReversalState) -> Refunded | RefundRefused:
    """Return a refund that exists; one that failed has left the money where it was."""
    if state is ReversalState.FAILED:
        return RefundRefused(reason=f"the refund {ref} failed: the money is still in the account's balance")
    return Refunded(ref=ref, state=state)
