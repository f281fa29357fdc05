"""Who of the staff is here: sessions in the database, and the dependencies that every staff page declares.

As for patrons, the cookie holds 256 random bits and the database their SHA-256. A session ends after
fifteen idle minutes and after eight hours at the latest. The account is read with each request, so a
changed role or a disabled account counts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Annotated

import structlog
from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from ils_payment.domain.roles import Right, belongs, may
from ils_payment.errors import StoreBusyError
from ils_payment.flows.desk import Desk
from ils_payment.flows.house import House
from ils_payment.store import journal, staff
from ils_payment.store.staff import Account
from ils_payment.web import cookies, security
from ils_payment.web.render import Wing
from ils_payment.web.sessions import HouseHere
from ils_payment.web.staff import IDLE
from ils_payment.web.staff.words import MESSAGES
from ils_payment.web.words import N_

LONGEST = timedelta(hours=8)
FRESH = timedelta(minutes=5)
"""For so long after a person was proven, money may be sent away without proving it again."""
TOUCH_AFTER = timedelta(seconds=15)

SESSION = "staff"
FORM = "staff-form"
"""The cookie of a visitor who is not signed in: the sign-in form is bound to it."""
_KIND = "staff"

WING = Wing("/staff", N_("Library fees: staff"), "staff/message.html", MESSAGES)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffVisit:
    """A signed-in member of the staff, as of this request; ``csrf`` goes into every form."""

    session_id: str
    account: Account
    language: str
    csrf: str
    ends_at: datetime
    fresh: bool

    def may(self, right: str) -> bool:
        """Tell whether the account has *right* (also for templates, which know rights by their names)."""
        return may(self.account.role, Right(right))

    def sees(self, library: str | None) -> bool:
        """Tell whether the account works for *library*."""
        return belongs(self.account.libraries, library)


class StaffSignInNeededError(Exception):
    """Nobody is signed in (any more)."""


class NotAllowedError(Exception):
    """The account's role does not have the right that a page needs."""


def open_session(
    house: House, account: Account, language: str, *, way: str, before: str | None = None, fresh: bool = True
) -> str | None:
    """Open a session in place of the one *before*; return its value for the cookie.

    None when the account was reset or disabled since it was read. Not *fresh*: the identity provider
    remembered the person, who has proven nothing just now.
    """
    value = cookies.new_value(house)
    with house.store.unit() as unit:
        if not staff.still_proves(unit, account):
            return None
        if before is not None:
            staff.close_session(unit, before)
        staff.open_session(
            unit,
            digest=cookies.digest(_KIND, value),
            staff_id=account.id,
            language=language,
            ends_at=unit.now + LONGEST,
            fresh_at=unit.now if fresh else unit.now - FRESH,
        )
        journal.append(unit, account.id, "staff_signed_in", {"way": way})
    return value


def find(house: House, value: str, *, touch: bool = True) -> StaffVisit | None:
    """Return the visit that *value* opens, None when it is unknown or over."""
    digest = cookies.digest(_KIND, value)
    with house.store.read() as unit:
        row = staff.find_session(unit, digest)
        now = unit.now
    if row is None or now >= row.ends_at or now >= row.seen_at + IDLE:
        return None
    if not _comes_in_so(house, row.account):
        return None
    seen_at = row.seen_at
    if touch and now - seen_at >= TOUCH_AFTER:
        seen_at = _touch(house, digest, now) or seen_at
    return StaffVisit(
        session_id=digest,
        account=row.account,
        language=row.language,
        csrf=cookies.csrf(house, value),
        ends_at=min(row.ends_at, seen_at + IDLE),
        fresh=now < row.fresh_at + FRESH,
    )


def _comes_in_so(house: House, account: Account) -> bool:
    """Tell whether the configuration still has the way in which an account comes in."""
    ways = house.settings.staff
    return ways is not None and (ways.local_accounts if account.local else ways.oidc is not None)


def _touch(house: House, digest: str, now: datetime) -> datetime | None:
    """Mark the session as used; a busy database is no reason to refuse the page."""
    try:
        with house.store.unit() as unit:
            staff.touch_session(unit, digest)
    except StoreBusyError:
        log.warning("session_not_prolonged")
        return None
    return now


def refresh(house: House, visit: StaffVisit) -> None:
    """Note that the person was proven once more."""
    with house.store.unit() as unit:
        staff.touch_session(unit, visit.session_id, fresh=True)


def close(house: House, visit: StaffVisit) -> None:
    """End a session now."""
    with house.store.unit() as unit:
        staff.close_session(unit, visit.session_id)
        journal.append(unit, visit.account.id, "staff_signed_out", {})


# --- what the pages declare --------------------------------------------------------------------


async def enter(request: Request, house: HouseHere) -> None:
    """Let in from the allowed networks only: for all others the staff pages do not exist."""
    settings = house.settings.staff
    if settings is None or not _allowed(settings.allowed_networks, request):
        raise HTTPException(404)
    request.state.wing = WING
    # One zone for lists; a page about one payment takes that of its library.
    request.state.zone = next(iter(house.settings.libraries.values())).zone


def _allowed(networks: tuple[str, ...], request: Request) -> bool:
    if not networks:
        return True
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in ip_network(network, strict=False) for network in networks)


async def same_site(request: Request) -> None:
    """Let a form pass only if it is from a staff page of this browser."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        await security.form_of(request, SESSION, FORM)


def visit_if_any(request: Request, house: HouseHere) -> StaffVisit | None:
    """Return who is signed in, or None. ``?follow=1`` does not prolong the session."""
    value = cookies.held(house, request, SESSION)
    visit = find(house, value, touch="follow" not in request.query_params) if value else None
    request.state.visit = visit
    return visit


StaffMaybe = Annotated[StaffVisit | None, Depends(visit_if_any)]


def visit_or_login(visit: StaffMaybe) -> StaffVisit:
    """Return who is signed in; nobody: raise StaffSignInNeededError."""
    if visit is None:
        raise StaffSignInNeededError
    return visit


StaffHere = Annotated[StaffVisit, Depends(visit_or_login)]


def needs(*rights: Right) -> Callable[[StaffVisit], StaffVisit]:
    """Return a dependency that lets only accounts with one of *rights* pass."""

    def check(visit: StaffHere) -> StaffVisit:
        if not any(visit.may(right) for right in rights):
            raise NotAllowedError
        return visit

    return check


def desks(house: House, visit: StaffVisit) -> dict[str, Desk]:
    """Return the libraries that the account works for."""
    return {key: desk for key, desk in house.libraries.items() if visit.sees(key)}


WithCases = Annotated[StaffVisit, Depends(needs(Right.CASES))]
WithPayments = Annotated[StaffVisit, Depends(needs(Right.PAYMENTS))]
WithPatrons = Annotated[StaffVisit, Depends(needs(Right.PATRON))]
WithDecisions = Annotated[StaffVisit, Depends(needs(Right.DECIDE))]
WithRefunds = Annotated[StaffVisit, Depends(needs(Right.ASK_REFUND))]
WithApprovals = Annotated[StaffVisit, Depends(needs(Right.APPROVE_REFUND))]
WithJournal = Annotated[StaffVisit, Depends(needs(Right.JOURNAL))]
WithHealth = Annotated[StaffVisit, Depends(needs(Right.HEALTH))]
