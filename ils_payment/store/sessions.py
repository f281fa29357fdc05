"""What coming in leaves behind: sessions, what was good once and is used, and counters of failed sign-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from ils_payment.model import PatronRef
from ils_payment.store.renewal_tables import private_reminders
from ils_payment.store.tables import (
    counters,
    patron_leases,
    payments,
    private_patrons,
    private_sessions,
    used_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from ils_payment.store.unit import Unit


def _counting(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    return insert.on_conflict_do_update(
        index_elements=[counters.c.bucket, counters.c.window],
        set_={"count": counters.c.count + 1, "expires_at": insert.excluded.expires_at},
    )


# Each sign-in needs these several times: building them anew takes longer than executing them.
_COUNT = {
    "sqlite": _counting(sqlite.insert(counters)),
    "postgresql": _counting(postgresql.insert(counters)),
}
_UNCOUNT = (
    update(counters)
    .where(
        counters.c.bucket == bindparam("of"), counters.c.window == bindparam("begin"), counters.c.count > 0
    )
    .values(count=counters.c.count - 1)
)
_COUNTED = (
    select(counters.c.bucket, func.sum(counters.c.count).label("total"))
    .where(counters.c.bucket.in_(bindparam("of", expanding=True)), counters.c.window >= bindparam("since"))
    .group_by(counters.c.bucket)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session; ``id`` is the digest of what the browser holds."""

    id: str
    library: str
    patron_id: str
    patron: PatronRef
    language: str
    seen_at: datetime
    ends_at: datetime


def _insert(unit: Unit, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the INSERT of this database, which knows ON CONFLICT."""
    if unit.connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def open_session(
    unit: Unit, *, digest: str, library: str, patron_id: str, language: str, ends_at: datetime
) -> None:
    """Write a new session of *patron*."""
    unit.connection.execute(
        private_sessions.insert().values(
            id=digest,
            library=library,
            patron_id=patron_id,
            language=language,
            created_at=unit.now,
            seen_at=unit.now,
            ends_at=ends_at,
        )
    )


def find_session(unit: Unit, digest: str, library: str, library_system: str) -> SessionRow | None:
    """Return the session of *library* with this digest; a session of another library does not count.

    Nor does one from before the library had the library system of this name: its patron is a stranger here.
    """
    row = unit.connection.execute(
        select(private_sessions, private_patrons.c.patron_ref)
        .join(private_patrons, private_patrons.c.id == private_sessions.c.patron_id)
        .where(private_sessions.c.id == digest, private_sessions.c.library == library)
        .where(private_patrons.c.library == library_system, private_patrons.c.patron_ref.is_not(None))
    ).first()
    if row is None:
        return None
    return SessionRow(
        id=row.id,
        library=row.library,
        patron_id=row.patron_id,
        patron=PatronRef(row.patron_ref),
        language=row.language,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
    )


def touch_session(unit: Unit, digest: str) -> None:
    """Note that the session was used just now."""
    unit.connection.execute(
        update(private_sessions).where(private_sessions.c.id == digest).values(seen_at=unit.now)
    )


def close_session(unit: Unit, digest: str) -> None:
    """Delete a session; harmless when it is gone already."""
    unit.connection.execute(delete(private_sessions).where(private_sessions.c.id == digest))


def use_token(unit: Unit, digest: str, expires_at: datetime) -> bool:
    """Use up what is good once; False when it was used before (also by a request at the same time)."""
    used = unit.connection.execute(
        _insert(unit, used_tokens)
        .values(digest=digest, expires_at=expires_at)
        .on_conflict_do_nothing()
        # On PostgreSQL the row count of such an INSERT is unknown (-1); what it returns is not.
        .returning(used_tokens.c.digest)
    )
    return used.first() is not None


def count(unit: Unit, buckets: Sequence[str], window: int, expires_at: datetime) -> None:
    """Add one to each of *buckets*, in their order, in the window that begins at *window* (epoch seconds)."""
    rows = [{"bucket": one, "window": window, "count": 1, "expires_at": expires_at} for one in buckets]
    unit.connection.execute(_COUNT[unit.connection.dialect.name], rows)


def uncount(unit: Unit, buckets: Sequence[str], window: int) -> None:
    """Take one away from each of *buckets* again."""
    unit.connection.execute(_UNCOUNT, [{"of": one, "begin": window} for one in buckets])


def counted(unit: Unit, buckets: Sequence[str], since: int) -> dict[str, int]:
    """Return the sum of each of *buckets* over the windows that begin at *since* or later."""
    found = unit.connection.execute(_COUNTED, {"of": list(buckets), "since": since})
    return {**dict.fromkeys(buckets, 0), **{row.bucket: int(row.total) for row in found}}


def purge(unit: Unit, idle_since: datetime) -> None:
    """Delete what has expired: sessions (also those unused since *idle_since*), tokens, counters."""
    dead = (private_sessions.c.ends_at <= unit.now) | (private_sessions.c.seen_at <= idle_since)
    unit.connection.execute(delete(private_sessions).where(dead))
    unit.connection.execute(delete(used_tokens).where(used_tokens.c.expires_at <= unit.now))
    # Who only looked, and paid nothing, is not kept.
    unused = (
        ~exists().where(payments.c.patron_id == private_patrons.c.id),
        ~exists().where(private_sessions.c.patron_id == private_patrons.c.id),
        ~exists().where(patron_leases.c.patron_id == private_patrons.c.id),
        # A pay link names who was reminded.
        ~exists().where(private_reminders.c.patron_id == private_patrons.c.id),
    )
    alone = select(private_patrons.c.id).where(*unused).with_for_update(skip_locked=True)
    unit.connection.execute(delete(private_patrons).where(private_patrons.c.id.in_(alone)))
    # A row that is being written just now is left for the next time: waiting for it while holding
    # others would be waiting in a circle. (SQLite has one writer and knows no such clause.)
    key = (counters.c.bucket, counters.c.window)
    old = select(*key).where(counters.c.expires_at <= unit.now).with_for_update(skip_locked=True)
    unit.connection.execute(delete(counters).where(tuple_(*key).in_(old)))


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many payments of a library are in a state, how many of them held, and the oldest paid instant."""

    library: str
    state: str
    payments: int
    held: int
    oldest_paid_at: datetime | None


def state_counts(unit: Unit) -> list[StateCount]:
    """Return the payments by library and state."""
    query = select(
        payments.c.library,
        payments.c.state,
        func.count().label("payments"),
        func.sum(case((payments.c.held, 1), else_=0)).label("held"),
        func.min(payments.c.paid_at).label("oldest"),
    ).group_by(payments.c.library, payments.c.state)
    return [
        StateCount(row.library, row.state, row.payments, int(row.held), row.oldest)
        for row in unit.connection.execute(query)
    ]
