"""Opens what commands need, and turns what a database says into an error with a mend."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from ils_payment.errors import ILSPaymentError
from ils_payment.flows.house import House, open_store
from ils_payment.loading import load_settings
from ils_payment.plugins import Plugins
from ils_payment.store import installation
from ils_payment.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ils_payment.config import Settings
    from ils_payment.store.unit import Store


class DatabaseError(ILSPaymentError):
    """The database cannot be opened or does not answer."""


def world_of(settings: Settings) -> World:
    """Return the real world with what the configuration says about certificates and mail."""
    return World(ca_bundle=settings.server.ca_bundle, mail=settings.mail)


@contextmanager
def database_errors() -> Iterator[None]:
    """Tell what a database driver complains of in a sentence."""
    try:
        yield
    except DBAPIError as error:
        # The driver's first line names the cause; a password is never part of it.
        cause = str(error.orig).strip().split("\n")[0]
        raise DatabaseError(
            f"The database cannot be used: {cause}.",
            mend="Look at server.database, and whether this user may read and write there.",
        ) from error


@contextmanager
def opened_store(config: Path | None) -> Iterator[Store]:
    """Open the database of the configuration, whatever its schema."""
    settings = load_settings(config)
    with database_errors(), closing(open_store(settings, world_of(settings))) as store:
        yield store


@contextmanager
def ledger(config: Path | None) -> Iterator[House]:
    """Open the house without its plugins: enough to read and to pause, and no plugin's secret is needed."""
    settings = load_settings(config)
    world = world_of(settings)
    with database_errors(), closing(open_store(settings, world)) as store:
        store.check()
        with store.read() as unit:
            ours = installation.read(unit)
        yield House(settings, store, world, Plugins(()), {}, ours)
