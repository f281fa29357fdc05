"""Seals: the journal's rows that cover the heads of all payments' chains, one after the other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, insert, select

from ils_payment.store import journal
from ils_payment.store.journal_tables import journal as rows_of_the_journal
from ils_payment.store.journal_tables import sealed_heads
from ils_payment.store.records import to_json
from ils_payment.store.tables import audit, installation, micros

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ils_payment.store.unit import Unit

AT_MOST = 5_000
"""So many payments are sealed at once, so that no writer waits long; the rest follows in the next round."""

OVERLAP = timedelta(hours=1)
"""A row is looked for again that long: its transaction may have ended after the seal was made."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal: the number of its journal row, that row's hash, and how many heads it covers."""

    number: int
    hash: str
    heads: int
    whole: bool


def lock(unit: Unit) -> None:
    """Keep the other processes' sealers out until the end of the transaction."""
    unit.connection.execute(select(installation.c.id).with_for_update())


def last(unit: Unit) -> Any:  # noqa: ANN401 - a row of the journal
    """Return the journal's row of the last seal, None before the first."""
    return unit.connection.execute(
        select(rows_of_the_journal)
        .where(rows_of_the_journal.c.what == "seal")
        .order_by(rows_of_the_journal.c.number.desc())
        .limit(1)
    ).first()


def journal_rows(unit: Unit) -> int:
    """Return how many rows the journal has."""
    return int(unit.connection.execute(select(installation.c.journal_rows)).scalar_one())


def new_heads(unit: Unit, since: datetime | None) -> list[Any]:
    """Return the last rows of payments that changed since *since* (None: ever) and are not sealed."""
    later = audit.alias()
    query = (
        select(*audit.c["payment_id", "number", "hash", "at"])
        .where(
            ~exists().where(later.c.payment_id == audit.c.payment_id, later.c.number == audit.c.number + 1),
            ~exists().where(
                sealed_heads.c.payment_id == audit.c.payment_id, sealed_heads.c.number == audit.c.number
            ),
        )
        .order_by(audit.c.at, audit.c.payment_id)
        .limit(AT_MOST)
    )
    if since is not None:
        query = query.where(audit.c.at >= since - OVERLAP)
    return list(unit.connection.execute(query))


def through(row: Any) -> datetime | None:  # noqa: ANN401 - a row of the journal
    """Return until when the payments' rows were looked at for a seal; None before the first."""
    if row is None:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=json.loads(row.facts)["through"])


def add(unit: Unit, heads: list[Any], previous: Any) -> Seal:  # noqa: ANN401 - rows of audit and journal
    """Write a seal over *heads* and the seal before it."""
    whole = len(heads) < AT_MOST
    facts = {
        "heads": len(heads),
        "digest": digest(
            previous.hash if previous else journal.GENESIS,
            [(head.payment_id, head.number, head.hash) for head in heads],
        ),
        "previous": previous.number if previous else 0,
        "through": micros(unit.now if whole else heads[-1].at),
    }
    number = journal.append(unit, "system", "seal", facts)
    if heads:
        unit.connection.execute(
            insert(sealed_heads),
            [
                {"payment_id": head.payment_id, "number": head.number, "hash": head.hash, "seal": number}
                for head in heads
            ],
        )
    made = last(unit)
    return Seal(number, made.hash, len(heads), whole)


def digest(previous: str, heads: Iterable[tuple[str, int, str]]) -> str:
    """Return what a seal says of its heads (payment, row, hash) and of the seal before it."""
    return hashlib.sha256(to_json([previous, sorted(heads)]).encode()).hexdigest()
