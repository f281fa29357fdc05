"""What the staff pages list: cases, refunds and journal rows of the libraries that somebody works for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ils_payment.domain.refunds import RefundState
from ils_payment.store.case_tables import cases, refunds
from ils_payment.store.journal_tables import journal
from ils_payment.store.tables import notices, payments

if TYPE_CHECKING:
    from collections.abc import Collection

    from ils_payment.store.unit import Unit

OPEN = "open"
WAITING = "waiting"
CLOSED = "closed"
WHICH = (OPEN, WAITING, CLOSED)
"""Cases that wait for a decision, that wait for a second person, and that are closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which cases: of these libraries, of one kind or all, and one of :data:`WHICH`."""

    libraries: Collection[str]
    kind: str = ""
    which: str = OPEN


def case_ids(unit: Unit, wanted: Wanted, *, limit: int, offset: int = 0) -> list[str]:
    """Return the ids of cases: the open ones by age, the closed ones the newest first."""
    closed = wanted.which == CLOSED
    order = (cases.c.closed_at.desc(), cases.c.id) if closed else (cases.c.opened_at, cases.c.id)
    query = select(cases.c.id).where(*_conditions(wanted)).order_by(*order).limit(limit).offset(offset)
    return list(unit.connection.execute(query).scalars())


def case_ids_of(unit: Unit, payment_id: str) -> list[str]:
    """Return the ids of all cases of a payment, the oldest first."""
    query = select(cases.c.id).where(cases.c.payment_id == payment_id).order_by(cases.c.opened_at, cases.c.id)
    return list(unit.connection.execute(query).scalars())


def how_many(unit: Unit, wanted: Wanted) -> int:
    """Return how many cases there are of a sort."""
    query = select(func.count()).select_from(cases).where(*_conditions(wanted))
    return int(unit.connection.execute(query).scalar_one())


def kinds(unit: Unit, libraries: Collection[str]) -> list[str]:
    """Return the kinds of cases that there were so far."""
    query = select(cases.c.kind).where(cases.c.library.in_(libraries)).distinct().order_by(cases.c.kind)
    return list(unit.connection.execute(query).scalars())


def _conditions(wanted: Wanted) -> list[Any]:
    found: list[Any] = [cases.c.library.in_(wanted.libraries)]
    if wanted.kind:
        found.append(cases.c.kind == wanted.kind)
    found.append(cases.c.closed_at.is_not(None) if wanted.which == CLOSED else cases.c.closed_at.is_(None))
    if wanted.which == WAITING:
        asked = select(refunds.c.case_id).where(refunds.c.state == RefundState.ASKED)
        found.append(cases.c.id.in_(asked.where(refunds.c.case_id.is_not(None))))
    return found


def refunds_asked(unit: Unit, libraries: Collection[str]) -> int:
    """Return how many refunds wait for a second person."""
    query = (
        select(func.count())
        .select_from(refunds.join(payments, payments.c.id == refunds.c.payment_id))
        .where(refunds.c.state == RefundState.ASKED, payments.c.library.in_(libraries))
    )
    return int(unit.connection.execute(query).scalar_one())


def notices_waiting(unit: Unit) -> int:
    """Return how many webhook notices nobody has looked at yet."""
    query = select(func.count()).select_from(notices).where(notices.c.handled.is_(None))
    return int(unit.connection.execute(query).scalar_one())


def payments_due(unit: Unit) -> int:
    """Return how many payments are to be worked on by now."""
    query = select(func.count()).select_from(payments).where(payments.c.due_at <= unit.now)
    return int(unit.connection.execute(query).scalar_one())


def journal_rows(
    unit: Unit, libraries: Collection[str] | None, *, what: str, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return journal rows below the number *before*, the newest first; *libraries* None: all rows."""
    query = select(journal).order_by(journal.c.number.desc()).limit(limit)
    if libraries is not None:
        query = query.where(journal.c.library.in_(libraries))
    if what:
        query = query.where(journal.c.what == what)
    if before is not None:
        query = query.where(journal.c.number < before)
    rows = unit.connection.execute(query).mappings()
    return [{**row, "facts": json.loads(row["facts"])} for row in rows]


def journal_whats(unit: Unit) -> list[str]:
    """Return all that was ever done, by code."""
    return list(unit.connection.execute(select(journal.c.what).distinct().order_by(journal.c.what)).scalars())
