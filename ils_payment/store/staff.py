"""Staff accounts: who they are, how they prove it, and their sessions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from ils_payment.domain.roles import Role
from ils_payment.store.records import to_json
from ils_payment.store.staff_tables import (
    private_staff,
    private_staff_codes,
    private_staff_links,
    private_staff_sessions,
)
from ils_payment.store.tables import installation

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import Any

    from ils_payment.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One staff account; ``libraries`` None means all. ``local``: it signs in with password and code."""

    id: str
    name: str
    login: str | None
    role: Role
    libraries: tuple[str, ...] | None
    password: str | None = field(repr=False)
    totp: bytes | None = field(repr=False)
    totp_step: int
    created_at: datetime
    disabled_at: datetime | None

    @property
    def local(self) -> bool:
        """Tell whether the account signs in with its own password."""
        return self.login is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSession:
    """One session; ``id`` is the digest of what the browser holds."""

    id: str
    account: Account
    language: str
    seen_at: datetime
    ends_at: datetime
    fresh_at: datetime


def line_up(unit: Unit) -> None:
    """Wait for all others that make accounts: two that are made at once would be one too many."""
    unit.connection.execute(select(installation.c.id).with_for_update())


# --- accounts ----------------------------------------------------------------------------------


def add(
    unit: Unit,
    *,
    name: str,
    role: Role,
    libraries: Iterable[str] | None,
    login: str | None = None,
    subject: str | None = None,
) -> str:
    """Write a new account and return its random id; it cannot sign in with a password yet."""
    made = unit.world.new_id()
    unit.connection.execute(
        insert(private_staff).values(
            id=made,
            name=name,
            login=login,
            subject=subject,
            role=str(role),
            libraries=_libraries(libraries),
            totp_step=0,
            created_at=unit.now,
        )
    )
    return made


def change(unit: Unit, staff_id: str, *, name: str, role: Role, libraries: Iterable[str] | None) -> None:
    """Take over what an identity provider says about an account now."""
    values = {"name": name, "role": str(role), "libraries": _libraries(libraries)}
    unit.connection.execute(update(private_staff).where(private_staff.c.id == staff_id).values(**values))


def load(unit: Unit, staff_id: str) -> Account | None:
    """Return an account, None when there is none with this id."""
    return _one(unit, private_staff.c.id == staff_id)


def by_login(unit: Unit, login: str) -> Account | None:
    """Return the local account with this name, None when there is none."""
    return _one(unit, private_staff.c.login == login)


def by_subject(unit: Unit, subject: str) -> Account | None:
    """Return the account of this person of an identity provider, None at the first meeting."""
    return _one(unit, private_staff.c.subject == subject)


def listed(unit: Unit) -> list[Account]:
    """Return all accounts by name."""
    rows = unit.connection.execute(
        select(private_staff).order_by(func.lower(private_staff.c.name))
    ).mappings()
    return [_account(row) for row in rows]


def names(unit: Unit) -> dict[str, str]:
    """Return the names of all accounts by id."""
    rows = unit.connection.execute(select(private_staff.c.id, private_staff.c.name))
    return {row.id: row.name for row in rows}


def disable(unit: Unit, staff_id: str) -> None:
    """Let an account never come in again: its sessions, links and factors are deleted."""
    forget_factors(unit, staff_id)
    unit.connection.execute(
        update(private_staff)
        .where(private_staff.c.id == staff_id, private_staff.c.disabled_at.is_(None))
        .values(disabled_at=unit.now)
    )


def forget_factors(unit: Unit, staff_id: str) -> None:
    """Delete password, authenticator, recovery codes, links and sessions of an account."""
    # The account comes first: whoever signs in at this moment has it locked, and the session is seen then.
    unit.connection.execute(
        update(private_staff).where(private_staff.c.id == staff_id).values(password=None, totp=None)
    )
    for table in (private_staff_codes, private_staff_links, private_staff_sessions):
        unit.connection.execute(delete(table).where(table.c.staff_id == staff_id))


def enable(unit: Unit, staff_id: str) -> None:
    """Let a disabled account come in again, once it has proven itself anew."""
    unit.connection.execute(
        update(private_staff).where(private_staff.c.id == staff_id).values(disabled_at=None)
    )


# --- what an account proves itself with --------------------------------------------------------


def set_factors(unit: Unit, staff_id: str, password: str, totp: bytes, codes: Iterable[str]) -> None:
    """Write password (hashed), authenticator and recovery codes (digests) in place of what was there."""
    forget_factors(unit, staff_id)
    unit.connection.execute(
        update(private_staff)
        .where(private_staff.c.id == staff_id)
        .values(password=password, totp=totp, totp_step=0)
    )
    rows = [{"digest": digest, "staff_id": staff_id} for digest in codes]
    unit.connection.execute(insert(private_staff_codes), rows)


def still_proves(unit: Unit, account: Account) -> bool:
    """Tell whether an account has password and authenticator as it was read, and keep it so until the commit.

    A password takes long to compare, and meanwhile somebody may reset or disable the account.
    """
    now = _one(unit, private_staff.c.id == account.id, lock=True)
    said = (account.password, account.totp)
    return now is not None and now.disabled_at is None and (now.password, now.totp) == said


def use_step(unit: Unit, staff_id: str, step: int) -> bool:
    """Use a time step of the authenticator up; False when it or a later one was used before."""
    used = unit.connection.execute(
        update(private_staff)
        .where(private_staff.c.id == staff_id, private_staff.c.totp_step < step)
        .values(totp_step=step)
    )
    return bool(used.rowcount)


def use_code(unit: Unit, staff_id: str, digest: str) -> bool:
    """Use a recovery code up; False when there is no such code (any more)."""
    mine = (private_staff_codes.c.digest == digest, private_staff_codes.c.staff_id == staff_id)
    return bool(unit.connection.execute(delete(private_staff_codes).where(*mine)).rowcount)


def codes_left(unit: Unit, staff_id: str) -> int:
    """Return how many recovery codes are left."""
    query = select(func.count()).where(private_staff_codes.c.staff_id == staff_id)
    return int(unit.connection.execute(query).scalar_one())


def add_link(unit: Unit, staff_id: str, digest: str, expires_at: datetime) -> None:
    """Write a one-time link in place of those before."""
    unit.connection.execute(delete(private_staff_links).where(private_staff_links.c.staff_id == staff_id))
    unit.connection.execute(
        insert(private_staff_links).values(digest=digest, staff_id=staff_id, expires_at=expires_at)
    )


def of_link(unit: Unit, digest: str) -> Account | None:
    """Return the account that a link is for, None when it is unknown, used or too old."""
    row = (
        unit.connection.execute(
            select(private_staff)
            .join(private_staff_links, private_staff_links.c.staff_id == private_staff.c.id)
            .where(private_staff_links.c.digest == digest, private_staff_links.c.expires_at > unit.now)
            .where(private_staff.c.disabled_at.is_(None))
        )
        .mappings()
        .first()
    )
    return _account(row) if row else None


def use_link(unit: Unit, digest: str) -> bool:
    """Use a link up; False when somebody else just did."""
    found = delete(private_staff_links).where(
        private_staff_links.c.digest == digest, private_staff_links.c.expires_at > unit.now
    )
    return bool(unit.connection.execute(found).rowcount)


# --- sessions ----------------------------------------------------------------------------------


def open_session(
    unit: Unit, *, digest: str, staff_id: str, language: str, ends_at: datetime, fresh_at: datetime
) -> None:
    """Write a new session of an account that proved itself at *fresh_at*."""
    now = unit.now
    unit.connection.execute(
        insert(private_staff_sessions).values(
            id=digest,
            staff_id=staff_id,
            language=language,
            created_at=now,
            seen_at=now,
            ends_at=ends_at,
            fresh_at=fresh_at,
        )
    )


def find_session(unit: Unit, digest: str) -> StaffSession | None:
    """Return the session with this digest of an account that may still come in."""
    row = unit.connection.execute(
        select(private_staff_sessions).where(private_staff_sessions.c.id == digest)
    ).first()
    account = load(unit, row.staff_id) if row else None
    if row is None or account is None or account.disabled_at is not None:
        return None
    return StaffSession(
        id=row.id,
        account=account,
        language=row.language,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
        fresh_at=row.fresh_at,
    )


def touch_session(unit: Unit, digest: str, *, fresh: bool = False) -> None:
    """Note that the session was used just now; *fresh*: and that the person was proven once more."""
    values = {"seen_at": unit.now, **({"fresh_at": unit.now} if fresh else {})}
    unit.connection.execute(
        update(private_staff_sessions).where(private_staff_sessions.c.id == digest).values(**values)
    )


def close_session(unit: Unit, digest: str) -> None:
    """Delete a session; harmless when it is gone already."""
    unit.connection.execute(delete(private_staff_sessions).where(private_staff_sessions.c.id == digest))


def purge(unit: Unit, idle_since: datetime) -> None:
    """Delete what has ended: sessions (also those unused since *idle_since*) and links."""
    ended = (private_staff_sessions.c.ends_at <= unit.now) | (private_staff_sessions.c.seen_at <= idle_since)
    unit.connection.execute(delete(private_staff_sessions).where(ended))
    unit.connection.execute(delete(private_staff_links).where(private_staff_links.c.expires_at <= unit.now))


def _one(unit: Unit, condition: Any, *, lock: bool = False) -> Account | None:  # noqa: ANN401 - an SQL expression
    query = select(private_staff).where(condition)
    row = unit.connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _account(row) if row else None


def _account(row: Any) -> Account:  # noqa: ANN401 - a row mapping
    fields = {name: row[name] for name in Account.__dataclass_fields__ if name not in {"role", "libraries"}}
    libraries = tuple(json.loads(row["libraries"])) if row["libraries"] is not None else None
    return Account(**fields, role=Role(row["role"]), libraries=libraries)


def _libraries(libraries: Iterable[str] | None) -> str | None:
    return None if libraries is None else to_json(sorted(set(libraries)))
