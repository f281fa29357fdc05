"""What the metrics read of the ledger: numbers and instants, nothing about anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ils_payment.store.case_tables import cases, refunds
from ils_payment.store.installation import is_paused, is_unreconciled
from ils_payment.store.journal_tables import journal
from ils_payment.store.sessions import StateCount, state_counts
from ils_payment.store.tables import notices, payments, private_mails

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from sqlalchemy import Select

    from ils_payment.store.unit import Unit

JOURNALLED = ("reconciled", "backup", "export")
"""What is done regularly, and is written into the journal when it has been done."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many of a kind wait, and since when the oldest; *names* say which kind."""

    names: tuple[str, ...]
    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The ledger at one instant."""

    at: datetime
    paused: bool
    unreconciled: bool
    states: list[StateCount]
    cases: list[Waiting]
    """By library and kind."""
    notices: list[Waiting]
    """By library and provider."""
    mails: list[Waiting]
    """By kind."""
    refunds: list[Waiting]
    """By library and state."""
    overdue: list[Waiting]
    """Payments whose next look was due in the past, by library."""
    done: dict[tuple[str, str], datetime]
    """When something was done last, by what and library; the library is empty for the whole installation."""


def see(unit: Unit) -> Seen:
    """Read everything; a handful of short queries over indexes and open rows."""
    done = select(
        journal.c.what, func.coalesce(journal.c.library, "").label("library"), func.max(journal.c.at)
    )
    done = done.where(journal.c.what.in_(JOURNALLED)).group_by(journal.c.what, "library")
    return Seen(
        at=unit.now,
        paused=is_paused(unit),
        unreconciled=is_unreconciled(unit),
        states=state_counts(unit),
        cases=_waiting(
            unit,
            select(cases.c.library, cases.c.kind, func.count(), func.min(cases.c.opened_at))
            .where(cases.c.closed_at.is_(None))
            .group_by(cases.c.library, cases.c.kind),
        ),
        notices=_waiting(
            unit,
            select(notices.c.library, notices.c.provider, func.count(), func.min(notices.c.received_at))
            .where(notices.c.handled.is_(None))
            .group_by(notices.c.library, notices.c.provider),
        ),
        mails=_waiting(
            unit,
            select(private_mails.c.kind, func.count(), func.min(private_mails.c.created_at)).group_by(
                private_mails.c.kind
            ),
        ),
        refunds=_waiting(
            unit,
            select(payments.c.library, refunds.c.state, func.count(), func.min(refunds.c.asked_at))
            .join(payments, payments.c.id == refunds.c.payment_id)
            .where(refunds.c.ended_at.is_(None))
            .group_by(payments.c.library, refunds.c.state),
        ),
        overdue=_waiting(
            unit,
            select(payments.c.library, func.count(), func.min(payments.c.due_at))
            .where(payments.c.due_at <= unit.now)
            .group_by(payments.c.library),
        ),
        done={(what, library): at for what, library, at in unit.connection.execute(done)},
    )


def _waiting(unit: Unit, query: Select[Any]) -> list[Waiting]:
    """Return the rows of *query*, whose last two columns are a count and an instant."""
    return [Waiting(tuple(row[:-2]), row[-2], row[-1]) for row in unit.connection.execute(query)]
