"""Backup and restore: a copy while the program works, and a ledger that knows that it was restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.store import backup as copies
from ils_payment.store import installation, journal, reconciling, upgrade
from ils_payment.store.migrations import HEAD
from ils_payment.store.unit import newer

if TYPE_CHECKING:
    from pathlib import Path

    from ils_payment.model import Actor
    from ils_payment.store.backup import Copy
    from ils_payment.store.unit import Store


def backup(store: Store, actor: Actor, path: Path, *, password: str | None = None) -> Copy:
    """Copy the ledger to the new file *path* and record that; BackupError when it cannot be done."""
    made = (
        copies.copy_sqlite(store, path) if store.is_sqlite else copies.dump_postgresql(store, password, path)
    )
    if made.schema == HEAD:
        # An older ledger, before its upgrade, may have no journal yet.
        with store.unit() as unit:
            journal.append(unit, actor.name, "backup", _facts(made))
    return made


def restore(
    store: Store, ledger: Path | None, actor: Actor, path: Path, *, password: str | None = None
) -> Copy:
    """Put the backup *path* into an empty database (*ledger*: the file of an SQLite one).

    From its first moment on it takes no payments and writes nothing outside until it was reconciled.
    """
    made = (
        copies.restore_sqlite(ledger, path, HEAD)
        if ledger is not None
        else copies.restore_postgresql(store, password, path, HEAD)
    )
    store.check()
    with store.unit() as unit:
        journal.append(unit, actor.name, "restore", {**_facts(made), **reconciling.as_put_back(unit)})
    return made


def set_apart(store: Store, actor: Actor) -> None:
    """Do to a ledger that somebody else put back (a snapshot, point in time) what a restore does."""
    with store.unit() as unit:
        installation.pause(unit, paused=True)
        installation.set_unreconciled(unit, unreconciled=True)
        journal.append(unit, actor.name, "pause_until_reconciled", reconciling.as_put_back(unit))


def upgraded(store: Store, actor: Actor, *, kept: Path | None) -> tuple[str | None, str, Copy | None]:
    """Bring the ledger to this version's schema; return the schema before, the one after, and the copy.

    *kept*: where an SQLite ledger of an older schema is copied to first.
    """
    before = upgrade.revision(store)
    if before is not None and before > HEAD:
        raise newer(before)
    changes = before not in {None, HEAD}
    made = copies.copy_sqlite(store, kept) if changes and kept is not None else None
    after = upgrade.upgrade(store)
    store.check()
    if changes:
        facts = {"from": before, "to": after, "backup": made.sha256 if made else None}
        with store.unit() as unit:
            journal.append(unit, actor.name, "upgrade", facts)
    return before, after, made


def _facts(made: Copy) -> dict[str, object]:
    return {"sha256": made.sha256, "bytes": made.size, "schema": made.schema}
