"""Credit orders and their tries: what is committed before and after each settle call."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ils_payment.domain import marker
from ils_payment.domain.settling import Before
from ils_payment.store.case_tables import refunds
from ils_payment.store.records import Order, Try, to_json
from ils_payment.store.renewal_tables import renewals
from ils_payment.store.tables import credit_orders, credit_tries, payments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.store.records import Payment
    from ils_payment.store.unit import Unit

# Each step of a payment reads these: building them anew takes longer than executing them.
_OF_PAYMENT = (
    select(credit_orders)
    .where(credit_orders.c.payment_id == bindparam("payment"))
    .order_by(credit_orders.c.position)
)
_TRIES = (
    select(credit_tries).where(credit_tries.c.order_id == bindparam("order")).order_by(credit_tries.c.number)
)


def new_marker(unit: Unit) -> str:
    """Return a marker that nothing here has; the unique constraints guard the rest."""
    while True:
        made = marker.make(unit.world.random_text(6))
        taken = select(payments.c.id).where(payments.c.receipt_number == made)
        ordered = select(credit_orders.c.id).where(credit_orders.c.marker == made)
        charged = select(refunds.c.id).where(refunds.c.charge_marker == made)
        sold = select(renewals.c.payment_id).where(renewals.c.charge_marker == made)
        if unit.connection.execute(taken.union(ordered, charged, sold)).first() is None:
            return made


def add(unit: Unit, payment: Payment, position: int, number: str, line_ids: Sequence[str]) -> None:
    """Write one credit order; nothing has been tried."""
    cents = sum(line.cents for line in payment.lines if line.id in set(line_ids))
    unit.connection.execute(
        insert(credit_orders).values(
            id=unit.world.new_id(),
            payment_id=payment.id,
            patron_id=payment.patron_id,
            position=position,
            marker=number,
            line_ids=to_json(list(line_ids)),
            cents=cents,
            state="due",
        )
    )


def of_payment(unit: Unit, payment_id: str) -> list[Order]:
    """Return the credit orders of a payment in order."""
    rows = unit.connection.execute(_OF_PAYMENT, {"payment": payment_id}).mappings()
    return [_order(unit, row) for row in rows]


def _order(unit: Unit, row: Any) -> Order:  # noqa: ANN401 - a row mapping
    tries = unit.connection.execute(_TRIES, {"order": row["id"]})
    return Order(
        id=row["id"],
        payment_id=row["payment_id"],
        patron_id=row["patron_id"],
        position=row["position"],
        marker=row["marker"],
        line_ids=tuple(json.loads(row["line_ids"])),
        cents=row["cents"],
        state=row["state"],
        remote_ref=row["remote_ref"],
        tries=tuple(
            Try(
                number=t.number,
                started_at=t.started_at,
                outcome=t.outcome,
                reason=t.reason,
                before=_snapshot(t.before),
            )
            for t in tries
        ),
    )


def _snapshot(text: str) -> Before:
    kept = json.loads(text)
    return Before(kept["open"], kept["balance"], datetime.fromisoformat(kept["read_at"]))


def open_of_patron(unit: Unit, patron_id: str) -> str | None:
    """Return the payment whose credit order is tried and unresolved, if the patron has one."""
    return unit.connection.execute(
        select(credit_orders.c.payment_id).where(
            credit_orders.c.patron_id == patron_id, credit_orders.c.state == "open"
        )
    ).scalar()


def give_up_held(unit: Unit, patron_id: str, before: datetime) -> None:
    """Give up the patron's open orders that wait for a person and whose last try began before *before*.

    No call of theirs can take effect any more, so they need not keep the patron's other payments waiting.
    """
    last_try = (
        select(func.max(credit_tries.c.started_at))
        .where(credit_tries.c.order_id == credit_orders.c.id)
        .scalar_subquery()
    )
    held = select(payments.c.id).where(payments.c.id == credit_orders.c.payment_id, payments.c.held)
    unit.connection.execute(
        update(credit_orders)
        .where(
            credit_orders.c.patron_id == patron_id,
            credit_orders.c.state == "open",
            held.exists(),
            last_try < before,
        )
        .values(state="given_up")
    )


def give_up(unit: Unit, payment_id: str) -> None:
    """Give up what is unresolved of a payment: a person has decided."""
    unit.connection.execute(
        update(credit_orders)
        .where(credit_orders.c.payment_id == payment_id, credit_orders.c.state.in_(["due", "open"]))
        .values(state="given_up")
    )


def by_marker(unit: Unit, marker_text: str) -> Order | None:
    """Return the credit order with this marker, None when there is none."""
    row = (
        unit.connection.execute(select(credit_orders).where(credit_orders.c.marker == marker_text))
        .mappings()
        .first()
    )
    return _order(unit, row) if row else None


def begin_try(unit: Unit, order: Order, fence: int, before: Before) -> bool:
    """Commit a try before the call: from now on nobody knows until its result is recorded.

    False, and nothing is written, when another order of the patron is tried and unresolved.
    """
    try:
        with unit.connection.begin_nested():
            set_state(unit, order, "open")
    except IntegrityError:
        return False
    unit.connection.execute(
        insert(credit_tries).values(
            order_id=order.id,
            number=len(order.tries) + 1,
            fence=fence,
            started_at=unit.now,
            before=to_json(
                {
                    "open": dict(before.open_cents),
                    "balance": before.balance,
                    "read_at": before.read_at.isoformat(),
                }
            ),
        )
    )
    return True


def end_try(unit: Unit, order: Order, number: int, outcome: str, *, reason: str = "") -> None:
    """Record the result of a try; an open order none of whose tries can have taken effect is due again.

    *order* is read in this unit, after its payment was locked: a result may come so late that another
    try, or a person, has gone on meanwhile.
    """
    unit.connection.execute(
        update(credit_tries)
        .where(credit_tries.c.order_id == order.id, credit_tries.c.number == number)
        .values(outcome=outcome, reason=reason[:200], finished_at=unit.now)
    )
    others = (other for other in order.tries if other.number != number)
    if outcome == "not_applied" and order.state == "open" and all(one.outcome == outcome for one in others):
        set_state(unit, order, "due")


def set_state(unit: Unit, order: Order, state: str) -> None:
    """Change an order's state: ``due``, ``open`` or ``given_up``."""
    unit.connection.execute(update(credit_orders).where(credit_orders.c.id == order.id).values(state=state))


def confirm(unit: Unit, order: Order, remote_ref: str) -> None:
    """Record that the library system has the credit and that its marker was read there."""
    unit.connection.execute(
        update(credit_orders)
        .where(credit_orders.c.id == order.id)
        .values(state="applied", remote_ref=remote_ref, confirmed_at=unit.now)
    )


def newest_confirmed(unit: Unit, library: str) -> tuple[str, str] | None:
    """Return (patron id, marker) of the credit seen last in a library: the canary of the read path."""
    row = unit.connection.execute(
        select(credit_orders.c.patron_id, credit_orders.c.marker)
        .join(payments, payments.c.id == credit_orders.c.payment_id)
        .where(payments.c.library == library, credit_orders.c.confirmed_at.is_not(None))
        .order_by(credit_orders.c.confirmed_at.desc())
        .limit(1)
    ).first()
    return (row.patron_id, row.marker) if row else None


def markers_of_patron(unit: Unit, patron_id: str) -> set[str]:
    """Return every marker that we have ever used for a patron."""
    return set(
        unit.connection.execute(
            select(credit_orders.c.marker).where(credit_orders.c.patron_id == patron_id)
        ).scalars()
    )
