"""``db upgrade``: runs the migrations that are missing and creates the triggers anew."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, text

from ils_payment.store import triggers
from ils_payment.store.tables import installation

if TYPE_CHECKING:
    from ils_payment.store.unit import Store


def upgrade(store: Store) -> str:
    """Bring the database to this version's schema; return the revision. Harmless when repeated."""
    # alembic takes long to import and is needed here only.
    from alembic import command  # noqa: PLC0415 - see the sentence above
    from alembic.config import Config  # noqa: PLC0415 - see the sentence above

    config = Config()
    config.set_main_option("script_location", str(files("ils_payment.store.migrations")))
    with store.unit() as unit:
        config.attributes["connection"] = unit.connection
        command.upgrade(config, "head")
        triggers.create(unit.connection)
        if unit.connection.execute(installation.select()).first() is None:
            unit.connection.execute(
                insert(installation).values(
                    id=1,
                    name=store.world.new_id(),
                    secret=store.world.random_bytes(32),
                    paused=False,
                    created_at=unit.now,
                )
            )
        return str(unit.connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def revision(store: Store) -> str | None:
    """Return the schema revision of the database, None when it has no tables. Makes an SQLite file."""
    with store.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())
