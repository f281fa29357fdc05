"""What a refund that has left leaves to do in the library system, where the program cannot do it itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import Meaning
from ils_payment.store import chain, orders, payments, refunds, renewals

if TYPE_CHECKING:
    from ils_payment.store.records import Payment, Refund
    from ils_payment.store.unit import Unit

_SETTLED = frozenset({Book.LIBRARY_SYSTEM, Book.BY_HAND})


def tell(unit: Unit, payment: Payment, refund: Refund) -> None:
    """Open a case where the fee in the library system is not as the refund means it.

    What lay there as settled is charged again by :mod:`ils_payment.flows.charge`. What lay elsewhere may
    be credited there all the same, once it was in question; and a fee that was never credited is still open.
    """
    rest = {line: cents for line, book, cents in refund.parts if line is not None and book not in _SETTLED}
    credited = rest.keys() & _ever_credited(unit, payment)
    told: dict[str, Any] = {"refund": refund.id}
    if refund.meaning == Meaning.FEE_STAYS and credited:
        told |= {"cents": sum(rest[line] for line in credited), "reason": "its credit was in question"}
        told |= _before(unit, refund)
        payments.hold_late(
            unit, payment.id, "charge_by_hand", told, what="charge_by_hand", subject=f"{refund.id}:again"
        )
    owed = rest.keys() - credited - _never_charged(unit, payment)
    if refund.meaning == Meaning.FEE_DROPPED and owed:
        told |= {"cents": sum(rest[line] for line in owed)}
        payments.hold_late(
            unit, payment.id, "waive_by_hand", told, what="waive_by_hand", subject=f"{refund.id}:waive"
        )


def _ever_credited(unit: Unit, payment: Payment) -> set[str]:
    """Return the lines that were called booked at any time, by a person or by an answer to our call."""
    booked = {one.line_id for one in chain.read_postings(unit, payment.id) if one.destination in _SETTLED}
    called = {
        line
        for order in orders.of_payment(unit, payment.id)
        if any(a_try.outcome == "applied" for a_try in order.tries)
        for line in order.line_ids
    }
    return {line for line in booked | called if line is not None}


def _before(unit: Unit, refund: Refund) -> dict[str, Any]:
    """Return the number under which an earlier refund of the same lines has charged the fee again."""
    lines = {line for line, _, _ in refund.parts}
    markers = [
        one.charge_marker
        for one in refunds.of_payment(unit, refund.payment_id)
        if one.id != refund.id and one.charge_state != "none" and lines & {line for line, _, _ in one.parts}
    ]
    return {"marker": markers[-1]} if markers else {}


def _never_charged(unit: Unit, payment: Payment) -> set[str]:
    """Return the line of a renewal for which the library system has no debit."""
    renewal = renewals.of_payment(unit, payment)
    return {renewal.line_id} if renewal is not None and renewal.charge_state != "done" else set()
