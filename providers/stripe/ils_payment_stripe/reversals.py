"""What left again of a payment's money: Stripe's refunds and disputes in the words of the house. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Reversal, ReversalState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REFUND_KEY = "refund"
"""The name under which a refund's metadata holds our key, since Stripe forgets idempotency keys."""

REFUND_STATES: Mapping[str, ReversalState] = MappingProxyType(
    {
        # Also where the account's balance does not cover it yet (pending_reason, documented).
        "pending": ReversalState.PENDING,
        "requires_action": ReversalState.PENDING,
        "succeeded": ReversalState.DONE,
        # The money is in the account's balance again, also when a bank says so days later (documented).
        "failed": ReversalState.FAILED,
        "canceled": ReversalState.FAILED,
    }
)
DISPUTE_STATES: Mapping[str, ReversalState] = MappingProxyType(
    {
        # The money is withdrawn when the dispute arises, and stays away while it is fought over (documented).
        "needs_response": ReversalState.DONE,
        "under_review": ReversalState.DONE,
        "appeal_needs_response": ReversalState.DONE,
        "appeal_under_review": ReversalState.DONE,
        "lost": ReversalState.DONE,
        "won": ReversalState.FAILED,
        # Something else, such as a refund, came before it; that is listed by itself (inferred).
        "prevented": ReversalState.FAILED,
    }
)
INQUIRIES = frozenset({"warning_needs_response", "warning_under_review", "warning_closed"})
"""Questions of a bank: no money is withdrawn for them (documented), so they are no reversals."""


def reversals(
    refunds: Iterable[Mapping[str, Any]], disputes: Iterable[Mapping[str, Any]]
) -> tuple[Reversal, ...]:
    """Return every refund and dispute, failed and won ones too; a state not known is pending."""
    found = [
        Reversal(
            ref=str(refund["id"]),
            kind="refund",
            cents=cents_in(refund, "amount"),
            key=key_of(refund),
            state=REFUND_STATES.get(str(refund.get("status")), ReversalState.PENDING),
        )
        for refund in refunds
    ]
    found += [
        Reversal(
            ref=str(dispute["id"]),
            kind="chargeback",
            cents=cents_in(dispute, "amount"),
            state=DISPUTE_STATES.get(str(dispute.get("status")), ReversalState.PENDING),
        )
        for dispute in disputes
        if dispute.get("status") not in INQUIRIES
    ]
    return tuple(found)


def cents_gone(found: Sequence[Reversal]) -> int:
    """Return the sum of what is gone or on its way."""
    return sum(reversal.cents for reversal in found if reversal.state is not ReversalState.FAILED)


def key_of(refund: Mapping[str, Any]) -> str:
    """Return our key that a refund carries; empty for one that was made at Stripe alone."""
    metadata = refund.get("metadata") or {}
    return str(metadata.get(REFUND_KEY) or "")


def cents_in(thing: Mapping[str, Any], name: str) -> int:
    """Return a field that has to be an amount in the smallest unit; raise RemoteGarbledError."""
    cents = thing.get(name)
    if not isinstance(cents, int) or isinstance(cents, bool):
        raise garbled(f"{name} is missing or no amount")
    return cents


def garbled(what: str) -> RemoteGarbledError:
    """Make the error of an answer that is against Stripe's specification; *what* is not personal."""
    return RemoteGarbledError(
        f"Stripe's answer is not as its API specifies it: {what}.", mend="Look for an update of ils-payment."
    )
