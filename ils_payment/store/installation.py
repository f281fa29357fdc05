"""The one row that is this installation: its name, its secret, and whether it takes new payments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from ils_payment.store.tables import installation

if TYPE_CHECKING:
    from ils_payment.store.unit import Unit

_READ = select(installation)
_LOCK = select(installation.c.id).with_for_update()
_PAUSED = select(installation.c.paused)
_UNRECONCILED = select(installation.c.unreconciled)


@dataclass(frozen=True, slots=True)
class Installation:
    """The random name of this installation and the secret that signs sessions and links."""

    name: str
    secret: bytes = field(repr=False)


def read(unit: Unit) -> Installation:
    """Return the installation; ``db upgrade`` has made it."""
    row = unit.connection.execute(_READ).one()
    return Installation(row.name, bytes(row.secret))


def lock(unit: Unit) -> None:
    """Let everybody else who does this, or writes into the journal, wait until the end of the transaction."""
    unit.connection.execute(_LOCK)


def is_paused(unit: Unit) -> bool:
    """Tell whether no new payments are accepted."""
    return bool(unit.connection.execute(_PAUSED).scalar())


def is_unreconciled(unit: Unit) -> bool:
    """Tell whether the ledger was restored and not compared since: nothing is written outside meanwhile."""
    return bool(unit.connection.execute(_UNRECONCILED).scalar())


def set_unreconciled(unit: Unit, *, unreconciled: bool) -> None:
    """Say that the ledger has to be compared with provider and library system, or that it was."""
    unit.connection.execute(update(installation).values(unreconciled=unreconciled))


def pause(unit: Unit, *, paused: bool) -> None:
    """Accept no new payments, or accept them again."""
    unit.connection.execute(update(installation).values(paused=paused))
