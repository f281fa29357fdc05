"""The journal: what staff and commands did, append-only and hash-chained over the whole installation."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from ils_payment.store.journal_tables import journal
from ils_payment.store.records import to_json
from ils_payment.store.tables import installation

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.store.unit import Unit

GENESIS = "0" * 64

_PUT_BACK = ("restore", "pause_until_reconciled")
"""What is written down when a ledger was put back: by our command, or by the database's own."""

# What each entry needs is built once: building takes longer than executing.
_TAKE_TURN = select(installation.c.id).with_for_update()
_LAST = select(journal.c.number, journal.c.hash).order_by(journal.c.number.desc()).limit(1)
_APPEND = insert(journal)
_COUNT = update(installation).values(journal_rows=bindparam("number"))


def append(unit: Unit, actor: str, what: str, facts: dict[str, Any], library: str | None = None) -> int:
    """Append one row and return its number; *facts* hold ids, cents and codes only.

    Concurrent writers wait for each other at the installation's row, so the chain has no fork.
    """
    unit.connection.execute(_TAKE_TURN)
    last = unit.connection.execute(_LAST).first()
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    row = {
        "number": number,
        "at": unit.now,
        "library": library,
        "actor": actor,
        "what": what,
        "facts": to_json(facts),
        "previous": previous,
    }
    unit.connection.execute(_APPEND, {**row, "hash": digest(row)})
    unit.connection.execute(_COUNT, {"number": number})
    return int(number)


def digest(row: dict[str, Any]) -> str:
    """Return the hash of a journal row (without its ``hash``)."""
    return hashlib.sha256(to_json({**row, "at": row["at"].isoformat()}).encode()).hexdigest()


def broken_at(unit: Unit) -> int | None:
    """Return the number of the first row that does not fit the chain, None when all fit."""
    previous = GENESIS
    rows = unit.connection.execute(select(journal).order_by(journal.c.number)).mappings()
    for place, found in enumerate(rows, 1):
        row = dict(found)
        claimed = row.pop("hash")
        if row["number"] != place or row["previous"] != previous or digest(row) != claimed:
            return place
        previous = claimed
    return None


def newest(
    unit: Unit, *, what: str | None = None, library: str | None = None, limit: int | None = 100
) -> list[dict[str, Any]]:
    """Return the newest rows first, with their facts read; without a *limit* all of them."""
    query = select(journal).order_by(journal.c.number.desc()).limit(limit)
    if what is not None:
        query = query.where(journal.c.what == what)
    if library is not None:
        query = query.where(journal.c.library == library)
    rows = unit.connection.execute(query).mappings()
    return [{**row, "facts": json.loads(row["facts"])} for row in rows]


def last_at(unit: Unit, *what: str) -> datetime | None:
    """Return when any of *what* was done last."""
    return unit.connection.execute(
        select(journal.c.at).where(journal.c.what.in_(what)).order_by(journal.c.number.desc()).limit(1)
    ).scalar()


def last_restore(unit: Unit) -> datetime | None:
    """Return when this ledger was put back last, by our command or by the database's own."""
    return last_at(unit, *_PUT_BACK)


def put_back(unit: Unit) -> list[dict[str, Any]]:
    """Return the rows that say that this ledger was put back and was not compared since, the newest first."""
    compared = select(func.coalesce(func.max(journal.c.number), 0)).where(
        journal.c.what == "restored_ledger_compared"
    )
    query = select(journal).where(
        journal.c.what.in_(_PUT_BACK), journal.c.number > compared.scalar_subquery()
    )
    rows = unit.connection.execute(query.order_by(journal.c.number.desc())).mappings()
    return [{**row, "facts": json.loads(row["facts"])} for row in rows]
