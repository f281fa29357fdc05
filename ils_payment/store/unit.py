"""The database: one engine, units of work, and the check that it is as this version needs it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, cast, create_engine, event, func, inspect, literal, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ils_payment.errors import ConfigurationError, SchemaError, StoreBusyError, installing
from ils_payment.store import triggers
from ils_payment.store.migrations import HEAD
from ils_payment.store.schema import metadata
from ils_payment.store.tables import micros

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine

    from ils_payment.world import World

BUSY_SECONDS = 10.0
"""For so long a writer waits for the others before it says that the database is busy."""

STANDING_SECONDS = 60.0
"""PostgreSQL gives up a transaction that asks nothing for so long, and frees its rows for the other hosts.

A machine that was put to sleep in the middle of one would hold them for ever. No transaction of ours
computes for that long between two statements, not even the export of a year.
"""

_LOCKED, _STOOD_STILL = "55P03", "25P03"
"""PostgreSQL's codes for a row that was not free in time, and for a transaction that it gave up."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One transaction: its connection, its instant, and the world for ids."""

    connection: Connection
    now: datetime
    world: World

    def lease_clock(self) -> ColumnElement[int]:
        """Return microseconds of the clock that leases follow: the database's own where hosts share it."""
        if self.connection.dialect.name == "postgresql" and self.world.database_clock:
            return cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
        return literal(micros(self.now), BigInteger)


class Store:
    """The ledger's database. Writing units on SQLite queue behind one lock in this process."""

    def __init__(self, url: str, world: World, *, password: str | None = None) -> None:
        """Connect lazily to *url* (``sqlite:////path`` or ``postgresql://...``)."""
        self.world = world
        self.engine = _engine(url, password)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.writer = threading.Lock()
        self.failures = 0
        """How often the database could not be used, for the metrics."""

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Open one write transaction; commit at the end, roll back on an exception. No I/O inside it."""
        with self.told(), self._writing() as connection:
            yield Unit(connection, self.world.now(), self.world)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                # For each transaction anew: poolers such as PgBouncer refuse a connection with such options.
                connection.exec_driver_sql(
                    f"SET LOCAL lock_timeout = {BUSY_SECONDS * 1000:.0f}; "
                    f"SET LOCAL idle_in_transaction_session_timeout = {STANDING_SECONDS * 1000:.0f}"
                )
                yield connection
            return
        if not self.writer.acquire(timeout=BUSY_SECONDS):
            raise _busy()
        try:
            with (
                self.engine.connect().execution_options(ils_payment_write=True) as connection,
                connection.begin(),
            ):
                yield connection
        finally:
            self.writer.release()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """Open one read-only view of the database."""
        with self.told(), self.engine.connect() as connection:
            yield Unit(connection, self.world.now(), self.world)

    @contextmanager
    def snapshot(self) -> Iterator[Unit]:
        """Open one read-only view that stands still while others go on writing, for long readings."""
        with self.told(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield Unit(connection, self.world.now(), self.world)

    def must_exist(self) -> None:
        """Raise SchemaError where there is no SQLite ledger: to be called before connecting only to read."""
        file = Path(str(self.engine.url.database))
        try:
            is_lost = self.is_sqlite and file.parent.is_dir() and not file.exists()
        except PermissionError:
            # Nobody can tell from outside of a closed folder; connecting fails there and makes nothing.
            return
        if is_lost:
            # Connecting would make an empty file, which looks like a ledger and has forgotten everything.
            raise SchemaError(
                f"There is no ledger at {file}.",
                mend="At the first installation: ils-payment db upgrade. If there was one, do not go on: "
                "find it, or restore a backup (docs/operating.md).",
            )

    def check(self) -> None:
        """Raise SchemaError unless the schema is this version's and every table and trigger is there."""
        upgrade = "Type: ils-payment db upgrade"
        self.must_exist()
        with self.engine.connect() as connection:
            if not self.engine.dialect.has_table(connection, "alembic_version"):
                raise SchemaError("The database has no tables yet.", mend=upgrade)
            version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            if version is not None and version > HEAD:
                raise newer(version)
            if version != HEAD:
                raise SchemaError(
                    f"The database is at schema {version}, this program needs {HEAD}.",
                    mend=f"{upgrade} (or install the program version that fits the database).",
                )
            if lost := sorted(set(metadata.tables) - set(inspect(connection).get_table_names())):
                raise SchemaError(
                    f"The database has lost tables: {', '.join(lost)}.",
                    mend="Restore it from a backup; ils-payment db upgrade cannot make their rows again.",
                )
            if gone := triggers.missing(connection):
                raise SchemaError(
                    f"The database lacks the triggers that protect the ledger: {', '.join(gone)}.",
                    mend=f"Find out who removed them. {upgrade} creates them again.",
                )

    @contextmanager
    def told(self, *more: type[Exception]) -> Iterator[None]:
        """Let a database that is away, locked, full or deadlocked be something that passes: try again later.

        *more* are the errors of a driver that is used without SQLAlchemy.
        """
        passing: tuple[type[Exception], ...] = (
            OperationalError,
            InterfaceError,
            InternalError,
            PoolTimeoutError,
            *more,
        )
        try:
            yield
        except passing as error:
            code = getattr(getattr(error, "orig", None), "sqlstate", None)
            if isinstance(error, InternalError) and code != _STOOD_STILL:
                raise
            self.failures += 1
            if code == _LOCKED:
                raise _busy() from error
            cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise StoreBusyError(
                f"The database could not be used: {cause}.",
                mend="It is tried again; look at the database and its disk if this stays.",
            ) from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _busy() -> StoreBusyError:
    """Return the error for a lock that was not free in time."""
    return StoreBusyError(
        "The database was busy for too long.",
        mend="It is tried again. If this stays: look for a program that locks it, or a host that stands.",
    )


def newer(version: str) -> SchemaError:
    """Return the error for a database that a newer version of the program made: no command leads back."""
    return SchemaError(
        f"The database is at schema {version}, which a newer version of ils-payment made; "
        f"this one knows schema {HEAD}.",
        mend="Install that version, or restore the backup made before the upgrade (docs/operating.md). "
        "Nothing was changed.",
    )


def _engine(address: str, password: str | None) -> Engine:
    """Create the engine with the settings that money needs: fsync on every commit, foreign keys on."""
    url = make_url(address)
    if password is not None:
        url = url.set(password=password)
    if url.get_backend_name() == "postgresql":
        try:
            return create_engine(
                url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, hide_parameters=True
            )
        except ModuleNotFoundError:
            raise ConfigurationError(
                "server.database names PostgreSQL, but its driver is not installed.",
                mend=installing("postgresql"),
            ) from None
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise ConfigurationError(
            f"server.database names no database that can hold a ledger: {url.render_as_string()}",
            mend="Write sqlite:////absolute/path/ledger.db or postgresql://user@host/name.",
        )
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(engine, "do_connect")
    def _for_its_owner(*_: object) -> None:
        # SQLite would make an absent ledger with the mode that the umask leaves. One that is there is not
        # opened, for closing it would drop the locks of this process; what cannot be made, SQLite tells.
        with suppress(OSError):
            os.close(os.open(str(url.database), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3 or anything like it
        # The driver must not begin transactions by itself: writing ones start with BEGIN IMMEDIATE.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("ils_payment_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
