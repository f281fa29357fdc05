"""A real SQLite connection that loses itself at commits, finds the disk full, or stays locked."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from tests.faults.fault_world import COMMIT_AFTER, COMMIT_BEFORE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.faults.mix import Mix
    from tests.faults.scheduler import Scheduler


class Strings:
    """What the connections of one operating system process hang on: the schedule that is played now."""

    def __init__(self) -> None:
        self.mix: Mix | None = None
        self.scheduler: Scheduler | None = None
        self.changed = True
        """Whether anything was committed since somebody last looked."""
        self.commits = 0
        """How often anything was committed."""
        self.failpoint: Callable[[str], None] = lambda _name: None

    def strikes(self, name: str) -> bool:
        """Roll the dice, for tasks of the program only."""
        if self.mix is None or self.scheduler is None:
            return False
        task = self.scheduler.current
        if task is None or task.instance is None or not self.mix.strikes(name):
            return False
        self.scheduler.note(f"{task.name}: {name}")
        return True

    def writing(self, *, begun: bool) -> None:
        """Note that the present task is inside of a write transaction, or not any more."""
        task = self.scheduler.current if self.scheduler is not None else None
        if task is not None:
            task.writing = begun

    def commit(self, commit: Callable[[], None], rollback: Callable[[], None]) -> None:
        """Commit a write transaction, or not; the program may die before and after."""
        self.failpoint(COMMIT_BEFORE)
        if self.strikes("commit_lost_before"):
            rollback()
            raise sqlite3.OperationalError("disk I/O error")
        commit()
        self.changed = True
        self.commits += 1
        if self.strikes("commit_lost_after"):
            self.writing(begun=False)
            raise sqlite3.OperationalError("disk I/O error")
        # The lock of the store is still held, so nobody else may go on here; but the process may die.
        self.failpoint(COMMIT_AFTER)
        self.writing(begun=False)


class _Cursor(sqlite3.Cursor):
    strings: Strings

    def execute(self, sql: str, parameters: Any = (), /) -> _Cursor:
        if sql == "BEGIN IMMEDIATE":
            if self.connection.strings.strikes("lock_timeout"):  # type: ignore[attr-defined]  # see below
                raise sqlite3.OperationalError("database is locked")
            self.connection.strings.writing(begun=True)  # type: ignore[attr-defined]  # see below
        elif sql.startswith(("INSERT", "UPDATE")):
            if self.connection.strings.strikes("disk_full"):  # type: ignore[attr-defined]  # see below
                raise sqlite3.OperationalError("database or disk is full")
            if self.connection.strings.strikes("read_only"):  # type: ignore[attr-defined]  # see below
                raise sqlite3.OperationalError("attempt to write a readonly database")
        super().execute(sql, parameters)
        return self


class _Connection(sqlite3.Connection):
    strings: Strings
    wrote = False

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(_Cursor)

    def commit(self) -> None:
        task = self.strings.scheduler.current if self.strings.scheduler is not None else None
        if task is not None and task.writing:
            self.strings.commit(super().commit, super().rollback)
        else:
            super().commit()

    def rollback(self) -> None:
        super().rollback()
        self.strings.writing(begun=False)


def pull(engine: Engine, strings: Strings) -> None:
    """Let *engine* connect by faulty connections that hang on *strings*; and fsync nothing."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, cargs: Any, cparams: dict[str, Any]) -> _Connection:
        made: _Connection = sqlite3.connect(
            *cargs, **{**cparams, "factory": _Connection, "cached_statements": 512}
        )
        made.strings = strings
        return made

    @event.listens_for(engine, "connect")
    def _fast(connection: Any, _record: object) -> None:
        # Crashes here kill greenlets, never the operating system: nothing on the disk can get lost.
        connection.execute("PRAGMA synchronous=OFF")
