"""Refunds and chargebacks: asked, approved, sent, done, or found at the provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from ils_payment.domain import marker
from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import RUNNING, Part, RefundState
from ils_payment.store.case_tables import refunds
from ils_payment.store.records import Refund, to_json
from ils_payment.store.tables import payments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.store.records import Payment
    from ils_payment.store.unit import Unit

_OF_PAYMENT = select(refunds).where(refunds.c.payment_id == bindparam("payment")).order_by(refunds.c.number)
_LOAD = select(refunds).where(refunds.c.id == bindparam("refund"))


def add(
    unit: Unit,
    payment: Payment,
    parts: Sequence[Part],
    **columns: Any,  # noqa: ANN401 - columns of refunds
) -> Refund:
    """Write a refund of *parts*; the caller holds the payment's row and posts what it reserves."""
    query = select(func.count()).select_from(refunds).where(refunds.c.payment_id == payment.id)
    values = {
        "id": unit.world.new_id(),
        "payment_id": payment.id,
        "number": unit.connection.execute(query).scalar_one() + 1,
        "meaning": "",
        "cents": sum(cents for _, _, cents in parts),
        "parts": to_json(parts),
        "key": marker.join(unit.world.new_id(), columns.get("charge_marker")),
        "tries": 0,
        "asked_at": unit.now,
        "charge_state": "none",
        "charge_tries": 0,
        **columns,
    }
    unit.connection.execute(insert(refunds).values(**values))
    return get(unit, values["id"])


def load(unit: Unit, refund_id: str) -> Refund | None:
    """Return one refund, None when there is none with this id."""
    row = unit.connection.execute(_LOAD, {"refund": refund_id}).mappings().first()
    return _refund(row) if row else None


def get(unit: Unit, refund_id: str) -> Refund:
    """Return one refund that is known to exist; LookupError otherwise."""
    found = load(unit, refund_id)
    if found is None:
        raise LookupError(refund_id)
    return found


def of_payment(unit: Unit, payment_id: str) -> list[Refund]:
    """Return the refunds and chargebacks of a payment in order."""
    rows = unit.connection.execute(_OF_PAYMENT, {"payment": payment_id}).mappings()
    return [_refund(row) for row in rows]


def running(unit: Unit, payment_id: str) -> list[Refund]:
    """Return the refunds of a payment that are approved and not at an end, their counter-debits included."""
    return [
        one
        for one in of_payment(unit, payment_id)
        if one.state in RUNNING or (one.state is RefundState.DONE and one.charge_state in {"due", "tried"})
    ]


def asked(unit: Unit, *, library: str | None = None) -> list[Refund]:
    """Return the refunds that wait for a second person, the oldest first."""
    query = (
        select(refunds)
        .join(payments, payments.c.id == refunds.c.payment_id)
        .where(refunds.c.state == RefundState.ASKED)
        .order_by(refunds.c.asked_at)
    )
    if library is not None:
        query = query.where(payments.c.library == library)
    return [_refund(row) for row in unit.connection.execute(query).mappings()]


def change(unit: Unit, refund: Refund, **columns: Any) -> Refund | None:  # noqa: ANN401 - columns of refunds
    """Change a refund that is still as it was read; None when somebody else was faster."""
    done = unit.connection.execute(
        update(refunds)
        .where(
            refunds.c.id == refund.id,
            refunds.c.state == refund.state,
            refunds.c.tries == refund.tries,
            refunds.c.charge_state == refund.charge_state,
            refunds.c.charge_tries == refund.charge_tries,
        )
        .values(**columns)
    )
    return get(unit, refund.id) if done.rowcount else None


def _refund(row: Any) -> Refund:  # noqa: ANN401 - a row mapping
    fields = {name: row[name] for name in Refund.__dataclass_fields__ if name not in {"state", "parts"}}
    parts = tuple((line, Book(book), int(cents)) for line, book, cents in json.loads(row["parts"]))
    return Refund(**fields, state=RefundState(row["state"]), parts=parts)
