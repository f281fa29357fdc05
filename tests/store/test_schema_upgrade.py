"""Making and checking the schema: upgrade from nothing, again, and every reason to refuse to start."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from ils_payment.errors import ConfigurationError, SchemaError
from ils_payment.store import triggers
from ils_payment.store.migrations import HEAD
from ils_payment.store.schema import metadata
from ils_payment.store.tables import installation
from ils_payment.store.unit import Store
from ils_payment.store.upgrade import revision, upgrade
from ils_payment.testing.world import SimulatedWorld


@pytest.fixture
def bare(bare_database_url):
    """A database without any tables."""
    store = Store(bare_database_url, SimulatedWorld())
    yield store
    store.close()


@pytest.fixture
def store(bare):
    upgrade(bare)
    return bare


def _execute(store, *statements):
    with store.unit() as unit:
        for statement in statements:
            unit.connection.execute(text(statement))


def test_upgrade_makes_everything_from_nothing(bare):
    assert revision(bare) is None
    assert upgrade(bare) == HEAD == revision(bare)
    bare.check()


def test_the_head_that_the_program_needs_is_that_of_the_scripts():
    config = Config()
    config.set_main_option("script_location", str(files("ils_payment.store.migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_upgrade_again_changes_nothing_and_keeps_the_installation(store):
    with store.read() as unit:
        before = unit.connection.execute(select(installation)).all()
    assert upgrade(store) == HEAD
    with store.read() as unit:
        assert unit.connection.execute(select(installation)).all() == before
    assert len(before) == 1
    assert len(before[0].secret) == 32


def test_the_migrations_make_exactly_the_tables_that_the_program_uses(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_comparison_would_find_a_difference(store):
    _execute(store, "DROP INDEX ix_payments_due")
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [change[0] for change in compare_metadata(context, metadata)] == ["add_index"]


def _refused(store):
    with pytest.raises(SchemaError) as refused:
        store.check()
    assert "ils-payment db upgrade" in refused.value.mend
    return refused.value.what


def test_a_database_without_tables_is_refused(bare):
    bare.engine.connect().close()
    assert "no tables" in _refused(bare)


def test_an_older_schema_is_refused(store):
    _execute(store, "UPDATE alembic_version SET version_num = '0000'")
    what = _refused(store)
    assert "0000" in what
    assert HEAD in what


def test_a_newer_schema_is_refused_without_advice_that_cannot_help(store):
    _execute(store, "UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(SchemaError, match=r"0099.*newer version of ils-payment") as refused:
        store.check()
    assert "db upgrade" not in refused.value.mend
    assert "Install that version" in refused.value.mend


def test_a_half_made_schema_is_refused(store):
    _execute(store, "DELETE FROM alembic_version")
    assert HEAD in _refused(store)


def test_a_missing_table_is_refused(store):
    _execute(store, "DROP TABLE claims")
    assert "claims" in _refused(store)


def test_each_missing_trigger_is_refused_and_upgrade_makes_it_again(store):
    names = triggers.names(store.engine.dialect.name)
    assert len(names) == (14 if store.is_sqlite else 21)
    for name in names:
        table = name.partition("_no_")[0]
        _execute(store, f"DROP TRIGGER {name}" + ("" if store.is_sqlite else f" ON {table}"))
        assert name in _refused(store)
        upgrade(store)
        store.check()


@pytest.mark.parametrize("how", ["DISABLE TRIGGER", "ENABLE REPLICA TRIGGER"])
def test_a_trigger_that_never_fires_counts_as_missing(bare_postgresql_url, how):
    with closing(Store(bare_postgresql_url, SimulatedWorld())) as store:
        upgrade(store)
        _execute(store, f"ALTER TABLE audit {how} audit_no_update")
        assert "audit_no_update" in _refused(store)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://user@host/name"])
def test_an_address_that_cannot_hold_a_ledger_is_refused(url):
    with pytest.raises(ConfigurationError, match="no database that can hold a ledger"):
        Store(url, SimulatedWorld())


def test_every_commit_on_sqlite_reaches_the_disk(tmp_path):
    names = ("synchronous", "journal_mode", "foreign_keys")
    with closing(Store(f"sqlite:///{tmp_path}/l.db", SimulatedWorld())) as store, store.read() as unit:
        pragmas = {name: unit.connection.execute(text(f"PRAGMA {name}")).scalar() for name in names}
    assert pragmas == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}


def test_a_new_ledger_is_for_its_owner_alone_and_one_that_is_there_keeps_its_mode(tmp_path):
    file = tmp_path / "l.db"
    before = os.umask(0o022)
    try:
        with closing(Store(f"sqlite:///{file}", SimulatedWorld())) as store:
            upgrade(store)
            modes = {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
        file.chmod(0o640)
        with closing(Store(f"sqlite:///{file}", SimulatedWorld())) as store:
            store.check()
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
