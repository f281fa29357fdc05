"""Claims: the fees that payments hold until they end, and whether a patron has paid anything meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, or_, select
from sqlalchemy.exc import IntegrityError

from ils_payment.domain.ledger import Book
from ils_payment.domain.renewing import CARD
from ils_payment.errors import StoreBusyError
from ils_payment.model import State
from ils_payment.store.tables import claims, payment_lines, payments, postings, private_patrons

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from ils_payment.store.records import Payment
    from ils_payment.store.unit import Unit

_HOLD_PATRON = (
    select(private_patrons.c.id).where(private_patrons.c.id == bindparam("patron")).with_for_update()
)
_CENTS = select(func.coalesce(func.sum(payment_lines.c.cents), 0)).where(
    payment_lines.c.payment_id.in_(
        select(claims.c.payment_id).where(claims.c.patron_id == bindparam("patron"))
    ),
    payment_lines.c.claim_key != CARD,
    # Of a payment with a call for each fee, some may be off the balance already.
    ~select(postings.c.number)
    .where(
        postings.c.payment_id == payment_lines.c.payment_id,
        postings.c.line_id == payment_lines.c.id,
        postings.c.destination.in_((Book.LIBRARY_SYSTEM, Book.BY_HAND)),
    )
    .exists(),
)


_TAKEN = "23505"
"""PostgreSQL's code for a key that another row has; another row can vanish there until it is looked for."""


class AlreadyClaimedError(Exception):
    """Another open payment holds one of the fees; ``payment_id`` names it."""

    def __init__(self, payment_id: str) -> None:
        super().__init__(payment_id)
        self.payment_id = payment_id


def take(unit: Unit, payment_id: str, patron: str, keys: Iterable[str]) -> None:
    """Claim fees for a payment; AlreadyClaimedError when another one holds any of them.

    StoreBusyError where each time that one of them is taken it is free again as soon as somebody looks.
    """
    rows = [{"patron_id": patron, "claim_key": key, "payment_id": payment_id} for key in keys]
    for _ in range(2):
        try:
            with unit.connection.begin_nested():
                unit.connection.execute(insert(claims), rows)
        except IntegrityError as error:
            wanted = [row["claim_key"] for row in rows]
            query = select(claims.c.payment_id).where(
                claims.c.patron_id == patron, claims.c.claim_key.in_(wanted)
            )
            holder = unit.connection.execute(query).scalar()
            if holder is not None:
                raise AlreadyClaimedError(holder) from None
            if getattr(error.orig, "sqlstate", None) != _TAKEN:
                raise
        else:
            return
    raise StoreBusyError("Another payment of the patron was ending.", mend="It is tried again.")


def free(unit: Unit, payment_id: str) -> None:
    """Let a payment that has ended hold nothing any more."""
    unit.connection.execute(delete(claims).where(claims.c.payment_id == payment_id))


def of_patron(unit: Unit, patron: str) -> dict[str, str]:
    """Return which of the patron's fees are held, by claim key, and by which payment."""
    rows = unit.connection.execute(
        select(claims.c.claim_key, claims.c.payment_id).where(claims.c.patron_id == patron)
    )
    return {row.claim_key: row.payment_id for row in rows}


def cents(unit: Unit, patron: str, *, lock: bool = False) -> int:
    """Return what the patron's open payments will take off the balance.

    What a renewal costs is not owed yet. *lock* holds the patron's row until commit: two tabs that freeze
    at the same time wait for each other here.
    """
    if lock:
        unit.connection.execute(_HOLD_PATRON, {"patron": patron})
    return int(unit.connection.execute(_CENTS, {"patron": patron}).scalar_one())


def any_since(unit: Unit, patron: str, at: datetime, *, besides: str) -> bool:
    """Tell whether a payment of the patron *besides* this one was begun or booked at or after *at*.

    Void ones do not count.
    """
    later = select(payments.c.id).where(
        payments.c.patron_id == patron,
        payments.c.id != besides,
        payments.c.state != State.VOID,
        or_(payments.c.created_at >= at, _booked_since(at)),
    )
    return unit.connection.execute(later.limit(1)).first() is not None


def booked_since(unit: Unit, patron: str, at: datetime) -> bool:
    """Tell whether a payment of the patron was booked in the library system after *at*."""
    after = at + timedelta(microseconds=1)
    later = select(payments.c.id).where(payments.c.patron_id == patron, _booked_since(after))
    return unit.connection.execute(later.limit(1)).first() is not None


def _booked_since(at: datetime) -> ColumnElement[bool]:
    """Select the payments that reached the library system at or after *at*: by our calls, or by a person."""
    reached = select(postings.c.number).where(
        postings.c.payment_id == payments.c.id,
        postings.c.destination.in_((Book.LIBRARY_SYSTEM, Book.BY_HAND)),
        postings.c.at >= at,
    )
    # What was free has no postings.
    return or_(payments.c.settled_at >= at, reached.exists())


def booked_meanwhile(unit: Unit, payment: Payment) -> bool:
    """Tell whether another payment has paid one of the same fees since this one was frozen."""
    keys = [line.claim_key for line in payment.lines]
    other = (
        select(payments.c.id)
        .join(payment_lines, payment_lines.c.payment_id == payments.c.id)
        .where(
            payments.c.patron_id == payment.patron_id,
            payments.c.id != payment.id,
            _booked_since(payment.created_at),
            payment_lines.c.claim_key.in_(keys),
        )
    )
    return unit.connection.execute(other.limit(1)).first() is not None
