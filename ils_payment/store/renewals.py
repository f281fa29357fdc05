"""Card renewals: what was sold with a payment, and how far it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from ils_payment.store.records import Renewal
from ils_payment.store.renewal_tables import renewals

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, timedelta

    from ils_payment.store.records import Payment
    from ils_payment.store.unit import Unit

_OF_PAYMENT = select(renewals).where(renewals.c.payment_id == bindparam("payment"))


def add(
    unit: Unit,
    payment: Payment,
    line_id: str,
    *,
    tariff: str,
    base: date | None,
    until: date,
    renewed_on: date | None,
    charge_marker: str | None,
) -> None:
    """Write the renewal of a payment that was just created; with *charge_marker* its fee is to be charged."""
    unit.connection.execute(
        insert(renewals).values(
            payment_id=payment.id,
            line_id=line_id,
            tariff=tariff,
            base=base,
            until=until,
            renewed_on=renewed_on,
            state="due",
            tries=0,
            refused=0,
            doubts=0,
            charge_state="due" if charge_marker else "none",
            charge_marker=charge_marker,
            charge_tries=0,
        )
    )


def of_payment(unit: Unit, payment: Payment) -> Renewal | None:
    """Return the renewal of a payment, None when it has none."""
    if payment.renewal_line is None:
        return None
    row = unit.connection.execute(_OF_PAYMENT, {"payment": payment.id}).mappings().first()
    return Renewal(**row) if row else None


def change(unit: Unit, renewal: Renewal, **columns: Any) -> Renewal | None:  # noqa: ANN401 - columns of renewals
    """Change a renewal that is still as it was read; None when somebody else was faster."""
    done = unit.connection.execute(
        update(renewals)
        .where(
            renewals.c.payment_id == renewal.payment_id,
            renewals.c.state == renewal.state,
            renewals.c.tries == renewal.tries,
            renewals.c.charge_state == renewal.charge_state,
            renewals.c.charge_tries == renewal.charge_tries,
        )
        .values(**columns)
        .returning(*renewals.c)
    )
    row = done.mappings().first()
    return Renewal(**row) if row else None


def reopen(unit: Unit, payment: Payment, paid: Collection[str | None]) -> None:
    """Let a renewal that was given up begin anew: a person has decided, and no call can come late any more.

    A debit that was left to a person is looked for and charged under its old marker. *paid* are the lines
    whose money is to be settled: a renewal whose money went back is not carried out any more.
    """
    renewal, line = of_payment(unit, payment), payment.renewal_line
    if renewal is None or line is None:
        return
    if line.cents and line.id not in paid:
        give_up(unit, payment)
    elif renewal.state == "given_up":
        change(unit, renewal, state="again", doubts=0)
    elif renewal.charge_state == "by_hand":
        change(unit, renewal, charge_state="due", charge_tries=0)


def waiting_line(unit: Unit, payment: Payment) -> str | None:
    """Return the line of a renewal that was neither carried out nor given up; None if there is none."""
    renewal = of_payment(unit, payment)
    return renewal.line_id if renewal is not None and renewal.state not in {"renewed", "given_up"} else None


def free_waits(unit: Unit, payment: Payment) -> bool:
    """Tell whether a renewal that costs nothing waits to be carried out."""
    line = waiting_line(unit, payment)
    return line is not None and not dict(payment.amounts())[line]


def give_up(unit: Unit, payment: Payment) -> None:
    """Carry out no more of a renewal: a person has seen to the card, or its money is gone.

    A card that has its new day keeps it; what was not charged for it by now never is.
    """
    renewal = of_payment(unit, payment)
    if renewal is None:  # pragma: no cover - who asks for it has seen one
        return
    if renewal.state != "renewed":
        change(unit, renewal, state="given_up", charge_state="none")
    elif renewal.charge_state in {"due", "tried"}:
        change(unit, renewal, charge_state="none")


def doubtful_until(renewal: Renewal, quarantine: timedelta) -> datetime:
    """Return until when a call that was never answered may still renew the card, or charge for it.

    Long ago where there is none.
    """
    tried = [
        at
        for at, doubt in (
            (renewal.tried_at, renewal.doubts > 0),
            (renewal.charge_tried_at, renewal.charge_state == "tried"),
        )
        if at is not None and doubt
    ]
    return max(tried) + quarantine if tried else datetime.min.replace(tzinfo=UTC)
