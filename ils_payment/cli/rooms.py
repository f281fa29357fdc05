"""Opens what commands need, and turns what a database says into an error with a mend."""

from __future__ import annotations

import os
import pwd
from contextlib import closing, contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from ils_payment.errors import ILSPaymentError, StoreBusyError
from ils_payment.flows.house import House, open_house, open_store
from ils_payment.loading import load_settings
from ils_payment.plugins import Plugins
from ils_payment.store import installation
from ils_payment.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from ils_payment.config import Settings
    from ils_payment.store.unit import Store


class DatabaseError(ILSPaymentError):
    """The database cannot be opened or does not answer."""


def zone_of(house: House, library: str | None = None) -> tzinfo:
    """Return a library's time zone, or the one that all libraries share; UTC where there is none."""
    known = house.settings.libraries
    if library is not None:
        return known[library].zone if library in known else UTC
    zones = {one.zone for one in known.values()}
    return zones.pop() if len(zones) == 1 else UTC


def known_library(settings: Settings, key: str | None) -> None:
    """Refuse a library that the configuration does not name: a mistyped key must never read as all clear."""
    if key is not None and key not in settings.libraries:
        raise click.UsageError(
            f"There is no library {key!r}; there is: {', '.join(sorted(settings.libraries))}."
        )


def world_of(settings: Settings) -> World:
    """Return the real world with what the configuration says about certificates and mail."""
    return World(ca_bundle=settings.server.ca_bundle, mail=settings.mail)


@contextmanager
def database_errors(settings: Settings) -> Iterator[None]:
    """Tell what a database driver complains of in a sentence."""
    try:
        yield
    except DBAPIError as error:
        # The driver's first line names the cause; a password is never part of it.
        raise _told(str(error.orig).strip().split("\n")[0], ledger_file(settings)) from error


def ledger_file(settings: Settings) -> Path | None:
    """Return the file of an SQLite ledger; None for PostgreSQL."""
    url = make_url(settings.server.database)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def prove_writable(store: Store, settings: Settings) -> None:
    """Write to the ledger and take it back; raise DatabaseError when it cannot be written.

    A ledger that can only be read shows every page, and fails at the first payment.
    """
    try:
        with database_errors(settings), store.unit() as unit:
            installation.pause(unit, paused=installation.is_paused(unit))
            unit.connection.rollback()
    except StoreBusyError as error:
        if not isinstance(error.__cause__, DBAPIError) or "locked" in str(error.__cause__.orig):
            raise
        raise _told(str(error.__cause__.orig), ledger_file(settings)) from error


def _told(cause: str, file: Path | None) -> DatabaseError:
    """Return the error for what a driver said; also where this user may not even look at the file."""
    try:
        return _explained(cause, file)
    except PermissionError:
        return DatabaseError(
            f"{file} cannot be reached by {_user(os.geteuid())}: {cause}.",
            mend="Run this as the user of the service; the folders above belong to others.",
        )


def _explained(cause: str, file: Path | None) -> DatabaseError:
    """Return the error for what a driver said, with the mend for each cause that a file can have."""
    if file is None:
        mend = "Look at server.database, and whether its user may read and write there."
    elif not file.parent.is_dir():
        return no_folder(file)
    elif "not a database" in cause:
        return DatabaseError(
            f"{file} is not a ledger: {cause}.",
            mend="Correct server.database, or restore the ledger from a backup (docs/operating.md).",
        )
    elif "readonly" in cause or "unable to open" in cause:
        return _not_writable(cause, file)
    else:
        mend = f"Look at {file}, its disk, and whether this user may read and write there."
    return DatabaseError(f"The database cannot be used: {cause}.", mend=mend)


def _not_writable(cause: str, file: Path) -> DatabaseError:
    """Return the error for a ledger, or for the folder of one that is not there yet, that others own."""
    user = _user(os.geteuid())
    mend = f"Run this as the user of the service; if it is that already: chown {user} {file.parent}"
    if not file.exists():
        return DatabaseError(
            f"No ledger can be made in {file.parent} by {user}: {cause}. "
            f"The folder belongs to {_owner(file.parent)}.",
            mend=mend,
        )
    return DatabaseError(
        f"{file} cannot be written by {user}: {cause}. It belongs to {_owner(file)}.", mend=f"{mend} {file}*"
    )


def no_folder(file: Path) -> DatabaseError:
    """Return the error for a ledger whose folder is not there."""
    return DatabaseError(
        f"There is no folder {file.parent} for the ledger.",
        mend=f"Type: install -d -m 700 -o ils-payment -g ils-payment {file.parent}",
    )


def _owner(path: Path) -> str:
    return _user(path.stat().st_uid)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


@contextmanager
def opened_store(config: Path | None) -> Iterator[Store]:
    """Open the database of the configuration, whatever its schema."""
    settings = load_settings(config)
    with database_errors(settings), closing(open_store(settings, world_of(settings))) as store:
        yield store


@contextmanager
def whole_house(config: Path | None) -> Iterator[House]:
    """Open the house with its plugins, for commands that ask a provider or the library system."""
    settings = load_settings(config)
    with database_errors(settings):
        house = open_house(settings, world_of(settings))
    with closing(house), database_errors(settings):
        yield house


@contextmanager
def ledger(config: Path | None) -> Iterator[House]:
    """Open the house without its plugins: enough to read and to pause, and no plugin's secret is needed."""
    settings = load_settings(config)
    world = world_of(settings)
    with database_errors(settings), closing(open_store(settings, world)) as store:
        store.check()
        with store.read() as unit:
            ours = installation.read(unit)
        yield House(settings, store, world, Plugins(()), {}, ours)
