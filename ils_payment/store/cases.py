"""Cases: what a person must decide, in codes; opened with the move that holds a payment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from ils_payment.store.case_tables import cases
from ils_payment.store.records import Case, to_json

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.store.unit import Unit

_OPEN = (
    select(cases)
    .where(cases.c.payment_id == bindparam("payment"), cases.c.closed_at.is_(None))
    .order_by(cases.c.opened_at, cases.c.id)
)


def open_case(
    unit: Unit, library: str, payment_id: str | None, kind: str, facts: dict[str, Any], subject: str = ""
) -> bool:
    """Open a case of *kind*; False when it is open already, or was open before with this *subject*."""
    same = [cases.c.kind == kind, cases.c.subject == subject]
    if subject:
        same.append(cases.c.library == library)
    else:
        same += [cases.c.payment_id == payment_id, cases.c.closed_at.is_(None)]
    if unit.connection.execute(select(cases.c.id).where(*same)).first() is not None:
        return False
    try:
        with unit.connection.begin_nested():
            unit.connection.execute(
                insert(cases).values(
                    id=unit.world.new_id(),
                    library=library,
                    payment_id=payment_id,
                    kind=kind,
                    subject=subject,
                    facts=to_json(facts),
                    version=1,
                    opened_at=unit.now,
                )
            )
    except IntegrityError:
        # Another process has found the same at the same time.
        return False
    return True


def was_opened(unit: Unit, library: str, kind: str, subject: str) -> bool:
    """Tell whether there was ever a case of this *kind* about this *subject*."""
    same = (cases.c.library == library, cases.c.kind == kind, cases.c.subject == subject)
    return unit.connection.execute(select(cases.c.id).where(*same)).first() is not None


def was_decided(unit: Unit, library: str, kind: str, subject: str) -> bool:
    """Tell whether a person has closed a case of this *kind* about just this *subject* before."""
    if not subject:
        return False
    same = (cases.c.library == library, cases.c.kind == kind, cases.c.subject == subject)
    query = select(cases.c.id).where(*same, cases.c.closed_at.is_not(None))
    return unit.connection.execute(query).first() is not None


def change(unit: Unit, case: Case, *, by: str = "", resolution: str | None = None) -> bool:
    """Raise the version of an open case, and close it with *resolution*; False when somebody was first."""
    closing = {"closed_at": unit.now, "closed_by": by, "resolution": resolution} if resolution else {}
    done = unit.connection.execute(
        update(cases)
        .where(cases.c.id == case.id, cases.c.version == case.version, cases.c.closed_at.is_(None))
        .values(version=case.version + 1, **closing)
    )
    return bool(done.rowcount)


def open_of_payment(unit: Unit, payment_id: str) -> list[Case]:
    """Return the open cases of a payment, the oldest first."""
    rows = unit.connection.execute(_OPEN, {"payment": payment_id})
    return [_case(row) for row in rows.mappings()]


def listed(
    unit: Unit, *, open_only: bool, library: str | None = None, since: datetime | None = None
) -> list[Case]:
    """Return cases, the oldest first; *since*: only those opened from then on."""
    query = select(cases).order_by(cases.c.opened_at, cases.c.id)
    if open_only:
        query = query.where(cases.c.closed_at.is_(None))
    if library is not None:
        query = query.where(cases.c.library == library)
    if since is not None:
        query = query.where(cases.c.opened_at >= since)
    return [_case(row) for row in unit.connection.execute(query).mappings()]


def load(unit: Unit, case_id: str) -> Case | None:
    """Return one case, None when there is none with this id."""
    row = unit.connection.execute(select(cases).where(cases.c.id == case_id)).mappings().first()
    return _case(row) if row else None


def _case(row: Any) -> Case:  # noqa: ANN401 - a row mapping
    fields = {name: row[name] for name in Case.__dataclass_fields__ if name != "facts"}
    return Case(**fields, facts=json.loads(row["facts"]))
