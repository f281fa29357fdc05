"""Mails that wait to be sent; the address is deleted with the row as soon as the mail is out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, or_, select, update

from ils_payment.store.case_tables import cases
from ils_payment.store.records import to_json
from ils_payment.store.tables import audit, payments, private_mails

if TYPE_CHECKING:
    from ils_payment.store.unit import Unit

DAILY = timedelta(days=1)


def queue(
    unit: Unit, kind: str, recipient: str, payment_id: str | None, language: str, case_id: str | None = None
) -> None:
    """Queue one mail of *kind*: ``receipt``, ``case`` or ``unsettled``."""
    unit.connection.execute(
        insert(private_mails).values(
            id=unit.world.new_id(),
            kind=kind,
            recipient=recipient,
            payment_id=payment_id,
            case_id=case_id,
            language=language,
            created_at=unit.now,
            due_at=unit.now,
            tries=0,
        )
    )


def queue_reminder(unit: Unit, recipient: str, patron: str, language: str, facts: dict[str, Any]) -> None:
    """Queue the reminder of the patron with our id *patron*; *facts* are what the mail says of the card."""
    unit.connection.execute(
        insert(private_mails).values(
            id=unit.world.new_id(),
            kind="reminder",
            recipient=recipient,
            patron_id=patron,
            facts=to_json(facts),
            language=language,
            created_at=unit.now,
            due_at=unit.now,
            tries=0,
        )
    )


def due(unit: Unit, limit: int = 20) -> list[Any]:
    """Return mails that are due, the oldest first; reminders, which may be thousands, after all others."""
    return list(
        unit.connection.execute(
            select(private_mails)
            .where(private_mails.c.due_at <= unit.now)
            .order_by(private_mails.c.kind == "reminder", private_mails.c.due_at)
            .limit(limit)
        )
    )


def take(unit: Unit, mail: Any, wait: timedelta) -> bool:  # noqa: ANN401 - a row of private_mails
    """Count a try and put the next one off by *wait*, before sending; False when another process has it."""
    done = unit.connection.execute(
        update(private_mails)
        .where(private_mails.c.id == mail.id, private_mails.c.tries == mail.tries)
        .values(due_at=unit.now + wait, tries=mail.tries + 1)
    )
    return bool(done.rowcount)


def sent(unit: Unit, mail_id: str) -> None:
    """Forget a mail and its address."""
    unit.connection.execute(delete(private_mails).where(private_mails.c.id == mail_id))


def receipt_was_asked(unit: Unit, payment_id: str) -> bool:
    """Tell whether the receipt of a payment has been mailed, or waits for it."""
    return (
        unit.connection.execute(
            select(audit.c.number).where(audit.c.payment_id == payment_id, audit.c.what == "receipt_queued")
        ).first()
        is not None
    )


def untold_cases(unit: Unit) -> list[Any]:
    """Return open cases that staff was not told of today, with the library and the payment's number."""
    return list(
        unit.connection.execute(
            select(cases.c.id, cases.c.payment_id, cases.c.library).where(
                cases.c.closed_at.is_(None),
                or_(cases.c.told_at.is_(None), cases.c.told_at < unit.now - DAILY),
            )
        )
    )


def told(unit: Unit, case_id: str) -> bool:
    """Record that staff is being told of a case now; False when another process was faster."""
    done = unit.connection.execute(
        update(cases)
        .where(cases.c.id == case_id, or_(cases.c.told_at.is_(None), cases.c.told_at < unit.now - DAILY))
        .values(told_at=unit.now)
    )
    return bool(done.rowcount)


def alarmed(unit: Unit, payment_id: str) -> bool:
    """Record that staff is being told of a payment now; False when another process was faster."""
    done = unit.connection.execute(
        update(payments)
        .where(
            payments.c.id == payment_id,
            or_(payments.c.alarmed_at.is_(None), payments.c.alarmed_at < unit.now - DAILY),
        )
        .values(alarmed_at=unit.now)
    )
    return bool(done.rowcount)
