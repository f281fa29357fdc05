"""Cases: what a person must decide, in codes; opened with the move that holds a payment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from ils_payment.store.records import Case, to_json
from ils_payment.store.tables import cases

if TYPE_CHECKING:
    from ils_payment.store.unit import Unit


def open_case(unit: Unit, payment_id: str, kind: str, facts: dict[str, Any]) -> None:
    """Open a case of *kind* unless one is open already."""
    known = unit.connection.execute(
        select(cases.c.id).where(
            cases.c.payment_id == payment_id, cases.c.kind == kind, cases.c.closed_at.is_(None)
        )
    ).first()
    if known is None:
        unit.connection.execute(
            insert(cases).values(
                id=unit.world.new_id(),
                payment_id=payment_id,
                kind=kind,
                facts=to_json(facts),
                version=1,
                opened_at=unit.now,
            )
        )


def listed(unit: Unit, *, open_only: bool) -> list[Case]:
    """Return cases, the oldest first."""
    query = select(cases).order_by(cases.c.opened_at)
    if open_only:
        query = query.where(cases.c.closed_at.is_(None))
    return [_case(row) for row in unit.connection.execute(query).mappings()]


def load(unit: Unit, case_id: str) -> Case | None:
    """Return one case, None when there is none with this id."""
    row = unit.connection.execute(select(cases).where(cases.c.id == case_id)).mappings().first()
    return _case(row) if row else None


def _case(row: Any) -> Case:  # noqa: ANN401 - a row mapping
    fields = {name: row[name] for name in Case.__dataclass_fields__ if name != "facts"}
    return Case(**fields, facts=json.loads(row["facts"]))
