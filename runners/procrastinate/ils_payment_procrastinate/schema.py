"""Procrastinate's tables: created, brought up to date, and checked.

Procrastinate brings its schema as one script and the changes since as further ones, and keeps no
record of what a database has. So the names of the scripts that ran are kept in a table of our own.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, LiteralString

import psycopg
from procrastinate.schema import SchemaManager

from ils_payment.errors import SchemaError, StoreBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

_LOCK = 0x696C735F7061795F  # Any number will do that nobody else takes: "ils_pay_" in ASCII.
_MADE = "CREATE TABLE IF NOT EXISTS procrastinate_scripts (name text PRIMARY KEY, at timestamptz NOT NULL)"
_UPGRADE = "Type: ils-payment db upgrade"


def upgrade(address: str) -> None:
    """Create the tables, or run the scripts that the database has not seen; harmless when repeated.

    One transaction: a script that fails leaves everything as it was. Two upgrades at once take turns.
    """
    with _connected(address) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        seen = _seen(connection)
        if seen is None:
            _refuse_foreign(connection)
            connection.execute(SchemaManager.get_schema())
            connection.execute(_MADE)
            _record(connection, list(scripts()))
            return
        for name in sorted(scripts().keys() - seen):
            connection.execute(scripts()[name])
            _record(connection, [name])


def check(address: str) -> None:
    """Raise SchemaError unless the database has seen exactly the scripts that are installed."""
    with _connected(address) as connection:
        seen = _seen(connection)
    if seen is None:
        raise SchemaError("The database lacks the tables of the runner procrastinate.", mend=_UPGRADE)
    if seen < scripts().keys():
        raise SchemaError(
            "The tables of the runner procrastinate are older than this program.", mend=_UPGRADE
        )
    if seen != scripts().keys():
        raise SchemaError(
            "The tables of the runner procrastinate are newer than this program.",
            mend="Update the program on this host.",
        )


def scripts() -> dict[str, LiteralString]:
    """Return procrastinate's scripts by name, in the order in which they are to run."""
    folder = files("procrastinate.sql") / "migrations"
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".sql")), key=lambda one: one.name)
    return {one.name: one.read_text(encoding="utf-8") for one in found}


@contextmanager
def _connected(address: str) -> Iterator[Connection]:
    """Open one transaction; StoreBusyError when the database is away."""
    try:
        with psycopg.connect(address) as connection:
            yield connection
    except psycopg.OperationalError as error:
        cause = str(error).strip().split("\n")[0]
        raise StoreBusyError(
            f"The database could not be used: {cause}.", mend="Look at the database, then try again."
        ) from error


def _seen(connection: Connection) -> set[str] | None:
    """Return the names of the scripts that ran, None where we never created the tables."""
    [there] = connection.execute("SELECT to_regclass('procrastinate_scripts') IS NOT NULL").fetchone() or (
        False,
    )
    if not there:
        return None
    return {name for (name,) in connection.execute("SELECT name FROM procrastinate_scripts")}


def _refuse_foreign(connection: Connection) -> None:
    """Refuse tables that another program made: nobody knows which scripts they have seen."""
    [there] = connection.execute("SELECT to_regclass('procrastinate_jobs') IS NOT NULL").fetchone() or (
        False,
    )
    if there:
        raise SchemaError(
            "Another program keeps its procrastinate jobs in this database.",
            mend='Give ils-payment a database of its own, or set server.runner to "embedded".',
        )


def _record(connection: Connection, names: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO procrastinate_scripts (name, at) VALUES (%s, now())", [(name,) for name in names]
        )
