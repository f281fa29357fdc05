"""Who was reminded of a card's end, and when: so that nobody is reminded twice, on whatever host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ils_payment.store.renewal_tables import private_reminders

if TYPE_CHECKING:
    from datetime import date, datetime

    from ils_payment.store.unit import Unit

LETTER = -1
"""In the place of the days before: a pay link was printed for a letter. The row keeps whom it is for."""


def note(unit: Unit, patron: str, valid_until: date, days_before: int) -> bool:
    """Note a reminder of the patron with our id *patron*; False when it was noted before, by whomever."""
    dialect = sqlite if unit.connection.dialect.name == "sqlite" else postgresql
    made = unit.connection.execute(
        dialect.insert(private_reminders)
        .values(patron_id=patron, valid_until=valid_until, days_before=days_before, at=unit.now)
        .on_conflict_do_nothing()
        .returning(private_reminders.c.patron_id)
    )
    return made.first() is not None


def keep(unit: Unit, patron: str, valid_until: date) -> None:
    """Note a printed link, also anew: the patron is known here for as long as it is good."""
    unit.connection.execute(
        delete(private_reminders).where(
            private_reminders.c.patron_id == patron,
            private_reminders.c.valid_until == valid_until,
            private_reminders.c.days_before == LETTER,
        )
    )
    note(unit, patron, valid_until, LETTER)


def was_noted(unit: Unit, patron: str, valid_until: date, days_before: int) -> bool:
    """Tell whether this very reminder was noted before."""
    query = select(private_reminders.c.at).where(
        private_reminders.c.patron_id == patron,
        private_reminders.c.valid_until == valid_until,
        private_reminders.c.days_before == days_before,
    )
    return unit.connection.execute(query).first() is not None


def forget(unit: Unit, *, noted_before: datetime, ended_before: date) -> int:
    """Delete the notes that no link and no later reminder needs any more; return how many."""
    done = unit.connection.execute(
        delete(private_reminders).where(
            private_reminders.c.at < noted_before, private_reminders.c.valid_until < ended_before
        )
    )
    return int(done.rowcount)
