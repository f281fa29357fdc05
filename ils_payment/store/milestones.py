"""What the ledger has seen of real money: the last payment and the last refund of a library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ils_payment.domain.refunds import RefundState
from ils_payment.model import State
from ils_payment.store.case_tables import refunds
from ils_payment.store.tables import payments

if TYPE_CHECKING:
    from ils_payment.store.unit import Unit


def last_settled(unit: Unit, library: str) -> Any | None:  # noqa: ANN401 - a row
    """Return the live payment that was settled last: when, its number, cents and currency."""
    return unit.connection.execute(
        select(payments.c.settled_at, payments.c.receipt_number, payments.c.cents, payments.c.currency)
        .where(payments.c.library == library, payments.c.live.is_(True), payments.c.state == State.SETTLED)
        .order_by(payments.c.settled_at.desc())
        .limit(1)
    ).first()


def last_refunded(unit: Unit, library: str) -> Any | None:  # noqa: ANN401 - a row
    """Return the refund of a live payment that was done last, if two persons wanted it."""
    return unit.connection.execute(
        select(refunds.c.ended_at, payments.c.receipt_number, refunds.c.cents, payments.c.currency)
        .join(payments, payments.c.id == refunds.c.payment_id)
        .where(
            payments.c.library == library,
            payments.c.live.is_(True),
            refunds.c.state == RefundState.DONE,
            refunds.c.approved_by != refunds.c.asked_by,
        )
        .order_by(refunds.c.ended_at.desc())
        .limit(1)
    ).first()
