"""The audit trail and the postings of a payment: append-only, hash-chained.

Each audit row's hash covers the row before it, itself, and the postings that were made with it,
so a changed, deleted or inserted row shows. The rows hold random ids, cents and codes only.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select

from ils_payment.domain.ledger import Book, Posting
from ils_payment.errors import InvariantError
from ils_payment.store.records import to_json
from ils_payment.store.tables import audit, payments, postings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.model import State
    from ils_payment.store.unit import Unit

GENESIS = "0" * 64

# Each step of a payment needs these: building them anew takes longer than executing them.
_LAST = (
    select(audit.c.number, audit.c.hash)
    .where(audit.c.payment_id == bindparam("payment"))
    .order_by(audit.c.number.desc())
    .limit(1)
)
_APPEND = insert(audit)
_HIGHEST = select(func.coalesce(func.max(postings.c.number), 0)).where(
    postings.c.payment_id == bindparam("payment")
)
_POST = insert(postings)
_POSTINGS = select(postings).where(postings.c.payment_id == bindparam("payment")).order_by(postings.c.number)


def append(
    unit: Unit,
    payment_id: str,
    what: str,
    state: State,
    facts: dict[str, Any] | None = None,
    moved: Sequence[Posting] = (),
) -> None:
    """Append one audit row with its postings. The caller holds the payment's row in this unit."""
    last = unit.connection.execute(_LAST, {"payment": payment_id}).first()
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
    unit.connection.execute(_APPEND, {**row, "hash": digest(row, moved)})
    if not moved:
        return
    first = unit.connection.execute(_HIGHEST, {"payment": payment_id}).scalar_one()
    unit.connection.execute(
        _POST,
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
    return [posting(row) for row in unit.connection.execute(_POSTINGS, {"payment": payment_id})]


def posting(row: Any) -> Posting:  # noqa: ANN401 - a row
    """Return a row of ``postings`` as the ledger knows it."""
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
    return any(facts.items() <= row.items() for row in said(unit, payment_id, what))


def said(unit: Unit, payment_id: str, what: str) -> list[dict[str, Any]]:
    """Return the facts of every row *what* of the trail, in order."""
    rows = unit.connection.execute(
        select(audit.c.facts)
        .where(audit.c.payment_id == payment_id, audit.c.what == what)
        .order_by(audit.c.number)
    ).scalars()
    return [json.loads(row) for row in rows]


def first_said(unit: Unit, payment_id: str, what: str, facts: dict[str, Any]) -> datetime | None:
    """Return when the first row *what* with at least these *facts* was written, None if there is none."""
    rows = unit.connection.execute(
        select(audit.c.at, audit.c.facts)
        .where(audit.c.payment_id == payment_id, audit.c.what == what)
        .order_by(audit.c.number)
    )
    return next((row.at for row in rows if facts.items() <= json.loads(row.facts).items()), None)


def broken_at(unit: Unit, payment_id: str) -> int | None:
    """Return the number of the first audit row that does not fit the chain, None when all fit.

    The last row has to tell the payment's present state, so that an end that was cut off shows, too;
    its number is then that of the first row that is missing. 0: a posting is out of its order, or
    belongs to no row.
    """
    moved = unit.connection.execute(_POSTINGS, {"payment": payment_id}).all()
    state = unit.connection.execute(select(payments.c.state).where(payments.c.id == payment_id)).scalar()
    return broken_in(read_audit(unit, payment_id), moved, state)


def broken_in(trail: Sequence[dict[str, Any]], moved: Sequence[Any], state: str | None) -> int | None:
    """Do as :func:`broken_at` with the rows of ``audit`` and ``postings`` that were read already."""
    of_row: dict[int, list[Any]] = defaultdict(list)
    for row in moved:
        of_row[row.audit_number].append(row)
    previous = GENESIS
    for place, found in enumerate(trail, 1):
        row = dict(found)
        claimed = row.pop("hash")
        made_with = of_row.pop(row["number"], [])
        if row["number"] != place or row["previous"] != previous:
            return place
        try:
            whole = digest(row, [posting(one) for one in made_with]) == claimed
        except (ValueError, InvariantError):
            # No account of the ledger, or an amount that no posting may have.
            whole = False
        # The day of a posting is that of its row.
        if not whole or any(one.at != row["at"] for one in made_with):
            return place
        previous = claimed
    if not trail or trail[-1]["state"] != state:
        return len(trail) + 1
    in_order = [row.number for row in moved] == list(range(1, len(moved) + 1))
    return None if in_order and not of_row else 0


def frozen(row: Any, lines: Sequence[Any]) -> str:  # noqa: ANN401 - rows, or what becomes rows
    """Return a digest of what a payment and its lines never change: the first row of the trail has it."""
    content = {
        **{name: row[name] for name in _FROZEN},
        "lines": [_frozen_line(line) for line in lines],
    }
    return hashlib.sha256(to_json(content).encode()).hexdigest()


def _frozen_line(line: Any) -> list[Any]:  # noqa: ANN401 - a row, or what becomes one
    """Return what a line never changes. An empty tax code adds nothing: older ones have none."""
    return [*(line[name] for name in _FROZEN_LINE), *([line["tax_code"]] if line["tax_code"] else [])]


_FROZEN = ("library", "patron_id", "cents", "currency", "method", "provider", "live", "receipt_number")
_FROZEN_LINE = ("id", "kind", "claim_key", "fee_ref", "cents", "cost_centre", "account")
