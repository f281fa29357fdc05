"""Notices come in here, many in one statement.

The rows go to the database as one JSON text. A statement for each row would let go of the
interpreter's lock and wait for it again each time, while the event loop is busy with the next
requests; so the whole batch costs one.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, text

from ils_payment.store.tables import Instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import TextClause

    from ils_payment.model import Notice, Observation
    from ils_payment.store.unit import Unit

COLUMNS = ("library", "provider", "key", "kind", "session_ref", "reference", "observation")
Row = tuple[str | None, ...]
"""The values of :data:`COLUMNS`."""

_KIND_LENGTH = 100
_SQLITE = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(COLUMNS)))
_POSTGRESQL = ", ".join(f"value ->> {place}" for place in range(len(COLUMNS)))


def _insert(source: str) -> TextClause:
    """Return the INSERT that selects from *source*; its parts are our own column names."""
    columns = ", ".join((*COLUMNS, "received_at"))
    statement = f"INSERT INTO notices ({columns}) SELECT {source} ON CONFLICT DO NOTHING"
    return text(statement).bindparams(bindparam("now", type_=Instant()))


_STATEMENTS = {
    # "WHERE true" tells SQLite's parser that ON begins no join.
    "sqlite": _insert(f"{_SQLITE}, :now FROM json_each(:rows) WHERE true"),
    "postgresql": _insert(f"{_POSTGRESQL}, :now FROM json_array_elements(CAST(:rows AS json))"),
}


def row(library: str, provider: str, notice: Notice) -> Row:
    """Return *notice* as a row without its instant, which is that of the transaction."""
    return (
        library,
        provider,
        notice.key,
        notice.kind[:_KIND_LENGTH],
        notice.session_ref,
        notice.reference,
        None if notice.observation is None else _observation(notice.observation),
    )


def _observation(observation: Observation) -> str:
    return json.dumps(asdict(observation))


def store(unit: Unit, rows: Sequence[Row]) -> int:
    """Insert *rows*; return how many of them were new. A notice that is there already changes nothing."""
    values = {"rows": json.dumps(rows), "now": unit.now}
    statement = _STATEMENTS[unit.connection.dialect.name]
    return unit.connection.execute(statement, values).rowcount
