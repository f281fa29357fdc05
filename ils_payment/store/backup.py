"""Backups: a copy of an SQLite ledger while it is written to, and PostgreSQL's own tools.

A backup is whole or not there: it is written beside its place, brought to the disk, and then renamed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import inspect, text
from sqlalchemy.engine import URL

from ils_payment.errors import ILSPaymentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.store.unit import Store

SET_APART = "UPDATE installation SET paused = {true}, unreconciled = {true}"
"""What a restored ledger says of itself before anybody can use it."""

_SQLITE = b"SQLite format 3\x00"
_POSTGRESQL = b"PGDMP"

_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What comes out of a damaged SQLite file; the text of SQLite's own error can hold bytes of it."""


class BackupError(ILSPaymentError):
    """A backup cannot be made or restored; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One backup: its file, size in bytes and digest, and the schema that the ledger in it has."""

    path: Path
    size: int
    sha256: str
    schema: str


def copy_sqlite(store: Store, path: Path) -> Copy:
    """Copy an SQLite ledger to *path* while others go on writing, and look whether the copy is whole."""
    part = _begun(path)
    try:
        with store.told(sqlite3.Error), store.engine.connect() as connection:
            source: Any = connection.connection.driver_connection
            with closing(sqlite3.connect(part)) as target:
                source.backup(target)
                # One file, which needs no others beside it.
                target.execute("PRAGMA journal_mode = DELETE")
                schema = _sound(target, path)
        return _finished(part, path, schema)
    except OSError as error:
        raise _not_written(path, error) from None
    finally:
        part.unlink(missing_ok=True)


def dump_postgresql(store: Store, password: str | None, path: Path) -> Copy:
    """Copy a PostgreSQL ledger to *path* with ``pg_dump`` in its own (custom) format."""
    tool = _tool("pg_dump", store)
    with store.read() as unit:
        schema = str(unit.connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    part = _begun(path)
    try:
        command = [tool, "--format=custom", "--no-owner", "--no-privileges", f"--file={part}"]
        done = subprocess.run(  # noqa: S603 - the tool that was found, and the configured database
            [*command, f"--dbname={_address(store)}"],
            env=_environment(password),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise BackupError(
                f"pg_dump could not copy the database: {_last_line(done.stderr)}",
                mend="Look at the disk, and whether server.database and its user are right.",
            )
        return _finished(part, path, schema)
    except OSError as error:
        raise _not_written(path, error) from None
    finally:
        part.unlink(missing_ok=True)


def _begun(path: Path) -> Path:
    """Make an empty file beside *path* that only its owner may read."""
    if path.exists():
        raise BackupError(f"{path} is there already.", mend="Name another file, or move it away.")
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise _not_written(path, error) from None
    return part


def _finished(part: Path, path: Path, schema: str) -> Copy:
    """Bring a copy to the disk under its name."""
    made = Copy(path, part.stat().st_size, sha256_of(part), schema)
    _to_disk(part)
    part.rename(path)
    _to_disk(path.parent)
    return made


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sound(connection: sqlite3.Connection, path: Path) -> str:
    """Return the schema of a ledger in an SQLite file; BackupError when it is damaged, or is none."""
    damaged = "Take another backup; do not delete this one before another one is known to be whole."
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        if found != ["ok"]:
            raise BackupError(f"{path} is damaged: {found[0]}.", mend=damaged)
        schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("SELECT name FROM installation").fetchone()
    except _DAMAGED as error:
        raise BackupError(f"{path} is damaged, or no ledger: {error}.", mend=damaged) from None
    if schema is None:
        raise BackupError(f"{path} holds no ledger.", mend=damaged)
    return str(schema[0])


def restore_sqlite(ledger: Path, path: Path, needed: str) -> Copy:
    """Put a backup in the place of an SQLite *ledger* that is not there; it says that it was restored."""
    # What SQLite had not written into a lost ledger yet would be taken for a part of the restored one.
    there = [one for one in (ledger, Path(f"{ledger}-wal")) if one.exists() and one.stat().st_size]
    if there:
        raise BackupError(
            f"{there[0]} is there already.",
            mend=f"Look what it is. If it is to be given up: mkdir {ledger.parent}/before && "
            f"mv {ledger}* {ledger.parent}/before/",
        )
    _is_kind(path, _SQLITE, "an SQLite ledger")
    part = ledger.with_name(f"{ledger.name}.restoring")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(part)) as connection:
            _copied(path, connection)
            schema = _sound(connection, path)
            _is_schema(path, schema, needed)
            connection.execute(SET_APART.format(true="1"))
            connection.commit()
        made = Copy(path, path.stat().st_size, sha256_of(path), schema)
        _to_disk(part)
        part.rename(ledger)
        _to_disk(ledger.parent)
    except OSError as error:
        raise _not_written(ledger, error) from None
    finally:
        part.unlink(missing_ok=True)
    return made


def _copied(path: Path, target: sqlite3.Connection) -> None:
    """Copy an SQLite file page by page, with what lies beside it and belongs to it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    except _DAMAGED as error:
        raise BackupError(f"{path} is damaged: {error}.", mend="Take another backup.") from None


def restore_postgresql(store: Store, password: str | None, path: Path, needed: str) -> Copy:
    """Put a backup into an empty PostgreSQL database, in one transaction; it says that it was restored."""
    _is_kind(path, _POSTGRESQL, "a PostgreSQL backup in pg_dump's own format")
    with store.read() as unit:
        tables = inspect(unit.connection).get_table_names()
    if tables:
        raise BackupError(
            f"The database is not empty: it has {len(tables)} table(s), {min(tables)} among them.",
            mend="Restore into a new database: createdb NAME, and name it in server.database.",
        )
    pg_restore, psql = _tool("pg_restore", store), _tool("psql", store)
    schema = _schema_in(pg_restore, path)
    _is_schema(path, schema, needed)
    into = [psql, "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    reading = subprocess.Popen(  # noqa: S603 - the tool that was found, and the file of the command
        [pg_restore, "--no-owner", "--no-privileges", "--file=-", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    writing = subprocess.Popen(  # noqa: S603 - the tool that was found, and the configured database
        [*into, f"--dbname={_address(store)}"],
        env=_environment(password),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with reading, writing:
        problem = _poured(reading, writing)
    if problem:
        raise BackupError(
            f"{path} could not be restored: {problem}",
            mend="Nothing was changed. Is the file whole, and made by the same version of PostgreSQL?",
        )
    return Copy(path, path.stat().st_size, sha256_of(path), schema)


def _poured(reading: subprocess.Popen[bytes], writing: subprocess.Popen[bytes]) -> str:
    """Hand the statements on, add ours, and commit only if all of them came; return what went wrong."""
    source, target = reading.stdout, writing.stdin
    if source is None or target is None:  # pragma: no cover - both were asked for
        raise RuntimeError("no pipe")
    try:
        shutil.copyfileobj(source, target)
        if reading.wait():
            writing.kill()
            return _last_line(_rest(reading))
        # pg_dump leaves no schema to search in.
        apart = SET_APART.format(true="true").replace("installation", "public.installation")
        target.write(f"\n{apart};\n".encode())
        target.close()
    except BrokenPipeError:
        # psql has said what it did not like, and nothing is committed.
        reading.kill()
    finally:
        # What it has not taken yet is given up with it.
        with suppress(BrokenPipeError):
            target.close()
    return _last_line(_rest(writing)) if writing.wait() else ""


def _rest(process: subprocess.Popen[bytes]) -> bytes:
    return process.stderr.read() if process.stderr else b""


def _schema_in(pg_restore: str, path: Path) -> str:
    """Return the schema of the ledger in a backup of PostgreSQL."""
    done = subprocess.run(  # noqa: S603 - the tool that was found, and the file of the command
        [pg_restore, "--data-only", "--table=alembic_version", "--file=-", str(path)],
        capture_output=True,
        check=False,
    )
    found = re.search(rb"^COPY .*alembic_version.*\n(\w+)\n", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise BackupError(
            f"{path} is damaged, or holds no ledger: {_last_line(done.stderr) or 'no schema in it'}",
            mend="Take another backup.",
        )
    return found[1].decode()


def _is_kind(path: Path, magic: bytes, kind: str) -> None:
    try:
        with path.open("rb") as file:
            begins = file.read(len(magic))
    except OSError as error:
        raise BackupError(
            f"{path} cannot be read ({error.strerror}).", mend="Name the backup's file."
        ) from None
    if begins != magic:
        raise BackupError(
            f"{path} is not {kind}, which server.database needs.",
            mend="Name another file, or the database that it was made of.",
        )


def _is_schema(path: Path, schema: str, needed: str) -> None:
    if schema != needed:
        raise BackupError(
            f"{path} is at schema {schema}, and this program needs {needed}.",
            mend="Install the version of ils-payment that made it, restore with that one, and upgrade then.",
        )


def _tool(name: str, store: Store) -> str:
    """Return a client tool of the server's own major version."""
    with store.read() as unit:
        number = unit.connection.execute(text("SHOW server_version_num")).scalar_one()
    major = int(number) // 10_000
    seen = []
    for place in _places(name, major):
        done = subprocess.run([place, "--version"], capture_output=True, check=False)  # noqa: S603 - a found tool
        version = re.search(rb"(\d+)(?:\.\d+)*", done.stdout)
        if version and int(version[1]) == major:
            return place
        seen.append(f"{place} is {version[1].decode() if version else 'no PostgreSQL tool'}")
    raise BackupError(
        f"The database is PostgreSQL {major}, and there is no {name} of that version"
        f"{' (' + ', '.join(seen) + ')' if seen else ''}.",
        mend=f"Install the client tools, e.g. apt install postgresql-client-{major}, or put them on PATH.",
    )


def _places(name: str, major: int) -> Iterator[str]:
    on_path = shutil.which(name)
    if on_path:
        yield on_path
    for root in (f"/usr/lib/postgresql/{major}/bin", f"/usr/pgsql-{major}/bin"):
        if (Path(root) / name).is_file():
            yield f"{root}/{name}"


def _address(store: Store) -> str:
    """Return the database's address as the tools know it, without its password."""
    url = store.engine.url
    bare = URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    )
    return bare.render_as_string()


def _environment(password: str | None) -> dict[str, str]:
    return {**os.environ, **({"PGPASSWORD": password} if password else {})}


def _last_line(told_by_the_tool: bytes) -> str:
    lines = told_by_the_tool.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _not_written(path: Path, error: OSError) -> BackupError:
    return BackupError(
        f"{path} cannot be written: {error.strerror or error}.",
        mend="Choose a place where this user may write and that has room.",
    )
