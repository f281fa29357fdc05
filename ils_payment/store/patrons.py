"""Patrons: a random id for everything else, and the lease that lets one worker settle at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ils_payment.domain.refunds import RESERVED
from ils_payment.domain.states import ENDED
from ils_payment.model import PatronRef
from ils_payment.store.case_tables import refunds
from ils_payment.store.tables import attempts, patron_leases, payments, private_patrons

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from ils_payment.store.unit import Unit

_KNOWN = select(private_patrons.c.id).where(
    private_patrons.c.library == bindparam("at"), private_patrons.c.patron_ref == bindparam("ref")
)
_MET = _KNOWN.with_for_update(key_share=True)
_MET_AT = select(private_patrons.c.library, private_patrons.c.patron_ref).where(
    private_patrons.c.id == bindparam("patron"), private_patrons.c.patron_ref.is_not(None)
)


def patron_id(unit: Unit, library: str, ref: PatronRef) -> str:
    """Return our random id of a patron, a new one at the first meeting; the row stays until the commit."""
    dialect = sqlite if unit.connection.dialect.name == "sqlite" else postgresql
    while True:
        unit.connection.execute(
            dialect.insert(private_patrons)
            .values(id=unit.world.new_id(), library=library, patron_ref=ref)
            .on_conflict_do_nothing()
        )
        # The lock keeps the purge away, which may have taken the row just before it.
        found = unit.connection.execute(_MET, {"at": library, "ref": ref}).scalar()
        if found is not None:
            return str(found)


def known_id(unit: Unit, library: str, ref: PatronRef) -> str | None:
    """Return our id of a patron that was met before, None otherwise."""
    found: str | None = unit.connection.execute(_KNOWN, {"at": library, "ref": ref}).scalar()
    return found


def patron_ref(unit: Unit, patron: str, library_system: str) -> PatronRef | None:
    """Return the id under which the library system of this name knows a patron, None once it has been erased.

    None as well where another library system knows the patron: in this one, the id names somebody else.
    """
    system, ref = met_at(unit, patron)
    return ref if system == library_system else None


def met_at(unit: Unit, patron: str) -> tuple[str, PatronRef] | tuple[None, None]:
    """Return the name of the library system that knows a patron, and its id there; twice None once erased."""
    found = unit.connection.execute(_MET_AT, {"patron": patron}).first()
    return (found.library, PatronRef(found.patron_ref)) if found else (None, None)


def known_as(unit: Unit, library: str) -> list[str]:
    """Return the names of the library systems whose patrons have payments of *library* that go on."""
    found = unit.connection.execute(
        select(private_patrons.c.library)
        .join(payments, payments.c.patron_id == private_patrons.c.id)
        .where(payments.c.library == library, _goes_on(), private_patrons.c.patron_ref.is_not(None))
        .distinct()
    )
    return sorted(found.scalars())


def libraries(unit: Unit, *, going_on: bool) -> list[str]:
    """Return the keys of the libraries that have payments, or only of those with payments that go on."""
    query = select(payments.c.library).distinct()
    return sorted(unit.connection.execute(query.where(_goes_on()) if going_on else query).scalars())


def providers(unit: Unit, *, going_on: bool) -> list[tuple[str, str]]:
    """Return (library, provider) of the payments, or only of those that go on; what was free has none."""
    query = select(payments.c.library, attempts.c.provider).distinct()
    query = query.join(attempts, attempts.c.payment_id == payments.c.id)
    found = unit.connection.execute(query.where(_goes_on()) if going_on else query)
    return sorted((row.library, row.provider) for row in found)


def _goes_on() -> ColumnElement[bool]:
    """Select the payments with which something may still be done by itself."""
    returning = select(refunds.c.payment_id).where(
        refunds.c.state.in_(RESERVED) | refunds.c.charge_state.in_(["due", "tried"])
    )
    return payments.c.state.not_in(ENDED) | payments.c.held | payments.c.id.in_(returning)


def lease(unit: Unit, patron: str, owner: str, seconds: float) -> bool:
    """Take the patron for *owner*: one settle at a time per patron, over all hosts; False when taken."""
    now = unit.lease_clock()
    until = now + int(seconds * 1_000_000)
    taken = unit.connection.execute(
        update(patron_leases)
        .where(
            patron_leases.c.patron_id == patron,
            (patron_leases.c.until < now) | (patron_leases.c.owner == owner),
        )
        .values(owner=owner, fence=patron_leases.c.fence + 1, until=until)
    )
    if taken.rowcount:
        return True
    dialect = sqlite if unit.connection.dialect.name == "sqlite" else postgresql
    made = unit.connection.execute(
        dialect.insert(patron_leases)
        .values(patron_id=patron, owner=owner, fence=1, until=until)
        .on_conflict_do_nothing()
        # On PostgreSQL the row count of such an INSERT is unknown (-1); what it returns is not.
        .returning(patron_leases.c.patron_id)
    )
    return made.first() is not None


def release(unit: Unit, patron: str, owner: str) -> None:
    """Let the patron go, if *owner* still has it."""
    unit.connection.execute(
        update(patron_leases)
        .where(patron_leases.c.patron_id == patron, patron_leases.c.owner == owner)
        .values(until=0)
    )
