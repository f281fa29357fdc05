"""Notices come in here, many in one statement.

The rows go to the database as one JSON text. A statement for each row would let go of the
interpreter's lock and wait for it again each time, while the event loop is busy with the next
requests; so the whole batch costs one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from ils_payment.store import evidence
from ils_payment.store.tables import Instant, micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import TextClause

    from ils_payment.model import Notice
    from ils_payment.store.unit import Store, Unit

COLUMNS = ("library", "provider", "key", "kind", "session_ref", "reference", "observation")
Row = tuple[str | None, ...]
"""The values of :data:`COLUMNS`."""

_KIND_LENGTH = 100
_KEY_PARTS = 3
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
        None if notice.observation is None else evidence.as_json(notice.observation),
    )


def store(unit: Unit, rows: Sequence[Row]) -> int:
    """Insert *rows*; return how many of them were new. A notice that is there already changes nothing."""
    statement = _STATEMENTS[unit.connection.dialect.name]
    return unit.connection.execute(statement, {"rows": _as_text(rows), "now": unit.now}).rowcount


def _as_text(rows: Sequence[Row]) -> str:
    """Return *rows* as one JSON text, in the order of their keys.

    Two programs may get copies of the same notices at once. Each waits for the other's row if it is
    there first; in one order for all they never wait in a circle.
    """
    return json.dumps(sorted(rows, key=lambda row: [str(part) for part in row[:_KEY_PARTS]]))


class Writer:
    """What the one thread that writes notices holds; not for several threads at once.

    On PostgreSQL it keeps a connection of its own, on which the statement is prepared and a transaction
    by itself: one round trip where a unit takes four (is the connection alive, begin, insert, commit).
    Each of them hands the interpreter's lock to the event loop and takes it back.
    """

    def __init__(self, ledger: Store) -> None:
        """Connect to nothing yet."""
        self._ledger = ledger
        self._connection: Any = None

    def write(self, rows: Sequence[Row]) -> int:
        """Insert *rows* in one transaction; return how many were new. Raises StoreBusyError."""
        if self._ledger.is_sqlite:
            with self._ledger.unit() as unit:
                return store(unit, rows)
        dbapi: Any = self._ledger.engine.dialect.dbapi
        gone = (dbapi.OperationalError, dbapi.InterfaceError)
        with self._ledger.told(*gone):
            try:
                return self._execute(rows)
            except gone:
                # The connection may be one of a database that was started anew meanwhile. Rows that were
                # stored without our hearing of it are not stored twice.
                self.close()
            try:
                return self._execute(rows)
            except gone:
                self.close()
                raise

    def _execute(self, rows: Sequence[Row]) -> int:
        if self._connection is None:
            self._connect()
        parameters = {"rows": _as_text(rows), "now": micros(self._ledger.world.now())}
        count: int = self._cursor.execute(self._statement, parameters, prepare=True).rowcount
        return count

    def _connect(self) -> None:
        """Take a connection out of the pool's hands, and make each statement a transaction."""
        engine = self._ledger.engine
        taken = engine.raw_connection()
        self._connection = taken.driver_connection
        taken.detach()
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._statement = str(_STATEMENTS["postgresql"].compile(engine))

    def close(self) -> None:
        """Close what was opened; the writer can be used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
