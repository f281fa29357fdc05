"""Notices come in here, many in one transaction."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

from ils_payment.store.tables import notices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.model import Notice, Observation
    from ils_payment.store.unit import Unit

Row = dict[str, Any]

_STATEMENTS = {
    "sqlite": sqlite.insert(notices).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(notices).on_conflict_do_nothing(),
}
_KIND_LENGTH = 100


def row(library: str, provider: str, notice: Notice) -> Row:
    """Return *notice* as a row without its instant, which is that of the transaction."""
    return {
        "library": library,
        "provider": provider,
        "key": notice.key,
        "kind": notice.kind[:_KIND_LENGTH],
        "session_ref": notice.session_ref,
        "reference": notice.reference,
        "observation": _observation(notice.observation),
    }


def _observation(observation: Observation | None) -> str | None:
    return None if observation is None else json.dumps(asdict(observation))


def store(unit: Unit, rows: Sequence[Row]) -> int:
    """Insert *rows*; return how many of them were new. A notice that is there already changes nothing."""
    now = unit.now
    statement = _STATEMENTS[unit.connection.dialect.name]
    result = unit.connection.execute(statement, [{**one, "received_at": now} for one in rows])
    return result.rowcount
