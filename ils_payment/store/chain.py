"""The audit trail and the postings of a payment: append-only, hash-chained.

Each audit row's hash covers the row before it, itself, and the postings that were made with it,
so a changed, deleted or inserted row shows. The rows hold random ids, cents and codes only.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from ils_payment.domain.ledger import Book, Posting
from ils_payment.store.records import to_json
from ils_payment.store.tables import audit, payments, postings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.model import State
    from ils_payment.store.unit import Unit

GENESIS = "0" * 64


def append(
    unit: Unit,
    payment_id: str,
    what: str,
    state: State,
    facts: dict[str, Any] | None = None,
    moved: Sequence[Posting] = (),
) -> None:
    """Append one audit row with its postings. The caller holds the payment's row in this unit."""
    last = unit.connection.execute(
        select(audit.c.number, audit.c.hash)
        .where(audit.c.payment_id == payment_id)
        .order_by(audit.c.number.desc())
        .limit(1)
    ).first()
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    text = to_json(facts or {})
    row = {
        "payment_id": payment_id,
        "number": number,
        "at": unit.now,
        "what": what,
        "state": str(state),
        "facts": text,
        "previous": previous,
    }
    unit.connection.execute(insert(audit).values(**row, hash=digest(row, moved)))
    if not moved:
        return
    first = unit.connection.execute(
        select(func.coalesce(func.max(postings.c.number), 0)).where(postings.c.payment_id == payment_id)
    ).scalar_one()
    unit.connection.execute(
        insert(postings),
        [
            {
                "payment_id": payment_id,
                "number": first + place,
                "audit_number": number,
                "line_id": posting.line_id,
                "source": str(posting.source),
                "destination": str(posting.destination),
                "cents": posting.cents,
                "currency": posting.currency,
                "at": unit.now,
            }
            for place, posting in enumerate(moved, 1)
        ],
    )


def digest(row: dict[str, Any], moved: Sequence[Posting]) -> str:
    """Return the hash of an audit row (without its ``hash``) and the postings made with it."""
    content = {
        **row,
        "at": row["at"].isoformat(),
        # A posting in the payment's own currency hashes as it did before there were others.
        "postings": [
            [p.line_id, str(p.source), str(p.destination), p.cents, *([p.currency] if p.currency else [])]
            for p in moved
        ],
    }
    return hashlib.sha256(to_json(content).encode()).hexdigest()


def read_postings(unit: Unit, payment_id: str) -> list[Posting]:
    """Return the postings of a payment in order."""
    rows = unit.connection.execute(
        select(postings).where(postings.c.payment_id == payment_id).order_by(postings.c.number)
    )
    return [_posting(row) for row in rows]


def _posting(row: Any) -> Posting:  # noqa: ANN401 - a row
    return Posting(
        line_id=row.line_id,
        source=Book(row.source),
        destination=Book(row.destination),
        cents=row.cents,
        currency=row.currency,
    )


def read_audit(unit: Unit, payment_id: str) -> list[dict[str, Any]]:
    """Return the audit rows of a payment in order."""
    rows = unit.connection.execute(
        select(audit).where(audit.c.payment_id == payment_id).order_by(audit.c.number)
    )
    return [dict(row) for row in rows.mappings()]


def has_said(unit: Unit, payment_id: str, what: str, facts: dict[str, Any]) -> bool:
    """Tell whether a row *what* with at least these *facts* stands in the trail."""
    rows = unit.connection.execute(
        select(audit.c.facts).where(audit.c.payment_id == payment_id, audit.c.what == what)
    ).scalars()
    return any(facts.items() <= json.loads(row).items() for row in rows)


def broken_at(unit: Unit, payment_id: str) -> int | None:
    """Return the number of the first audit row that does not fit the chain, None when all fit.

    The last row has to tell the payment's present state, so that an end that was cut off shows, too;
    its number is then that of the first row that is missing.
    """
    previous = GENESIS
    covered = 0
    rows_of_payment = read_audit(unit, payment_id)
    for place, row in enumerate(rows_of_payment, 1):
        rows = unit.connection.execute(
            select(postings)
            .where(postings.c.payment_id == payment_id, postings.c.audit_number == row["number"])
            .order_by(postings.c.number)
        ).all()
        moved = [_posting(one) for one in rows]
        covered += len(rows)
        claimed = row.pop("hash")
        if row["number"] != place or row["previous"] != previous or digest(row, moved) != claimed:
            return place
        previous = claimed
    state = unit.connection.execute(select(payments.c.state).where(payments.c.id == payment_id)).scalar()
    if not rows_of_payment or rows_of_payment[-1]["state"] != state:
        return len(rows_of_payment) + 1
    return None if covered == len(read_postings(unit, payment_id)) else 0
