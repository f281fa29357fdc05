"""The triggers that make the ledger append-only, from one list, for both databases.

They are created again after each migration, and the program does not start when one is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

APPEND_ONLY = ("audit", "postings", "journal", "sealed_heads", "exports", "exported", "exported_remotes")


def names(dialect: str) -> list[str]:
    """Return the names of all triggers that must exist on *dialect* (``sqlite`` or ``postgresql``)."""
    actions = ("update", "delete", "truncate") if dialect == "postgresql" else ("update", "delete")
    return [f"{table}_no_{action}" for table in APPEND_ONLY for action in actions]


def create(connection: Connection) -> None:
    """Create every trigger anew."""
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION ils_payment_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
            )
        )
    for name in names(connection.dialect.name):
        table, _, action = name.partition("_no_")
        if connection.dialect.name == "postgresql":
            level = "STATEMENT" if action == "truncate" else "ROW"
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name} ON {table}"))
            connection.execute(
                text(
                    f"CREATE TRIGGER {name} BEFORE {action.upper()} ON {table} "
                    f"FOR EACH {level} EXECUTE FUNCTION ils_payment_append_only()"
                )
            )
        else:
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
            connection.execute(
                text(
                    f"CREATE TRIGGER {name} BEFORE {action.upper()} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
                )
            )


def missing(connection: Connection) -> list[str]:
    """Return the names of triggers that should be there and are not (or are switched off)."""
    if connection.dialect.name == "postgresql":
        # O and A fire in an ordinary session; D and R never do.
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    present = set(connection.execute(text(query)).scalars())
    return [name for name in names(connection.dialect.name) if name not in present]
