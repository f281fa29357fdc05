"""Who is visiting: sessions in the database, and the dependencies that every page declares.

The cookie holds 256 random bits, the database their SHA-256. A session belongs to one library,
ends after ten idle minutes and after two hours at the latest, and is replaced at every sign-in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import structlog
from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from ils_payment.errors import StoreBusyError
from ils_payment.flows.desk import Desk
from ils_payment.flows.house import House
from ils_payment.model import PatronRef
from ils_payment.store import patrons, sessions
from ils_payment.store.unit import Unit
from ils_payment.web import cookies

IDLE = timedelta(minutes=10)
LONGEST = timedelta(hours=2)
"""Long enough to be prolonged eleven times, one by one, at the very end (WCAG 2.2.1 asks for ten)."""
TOUCH_AFTER = timedelta(seconds=15)
"""A session is marked as used at most that often: each mark is a write."""

PAYMENT_ID = re.compile("[0-9A-Z]{26}")
"""A payment whose page was asked for before signing in, as its address has it."""

PAGE = "page"
API = "api"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A signed-in patron, as of this request.

    ``ends_at`` is when the session ends if nothing more happens. ``csrf`` goes into every form.
    """

    session_id: str
    library: str
    patron_id: str
    patron: PatronRef
    language: str
    csrf: str
    ends_at: datetime


class SignInNeededError(Exception):
    """Nobody is signed in (any more): the browser is sent to the start page, the API says 401."""

    def __init__(self, library: str) -> None:
        """Remember whose start page it is."""
        super().__init__(library)
        self.library = library


def open_session(
    unit: Unit, house: House, desk: Desk, patron: PatronRef, language: str, *, kind: str = PAGE
) -> tuple[str, datetime]:
    """Open a session; return its value (for the cookie or the bearer) and its latest end.

    The unit is the caller's: a token is used up in the same transaction.
    """
    value = cookies.new_value(house)
    ends_at = unit.now + LONGEST
    sessions.open_session(
        unit,
        digest=cookies.digest(kind, value),
        library=desk.key,
        patron_id=patrons.patron_id(unit, desk.patrons, patron),
        language=language,
        ends_at=ends_at,
    )
    return value, ends_at


def find(house: House, desk: Desk, value: str, *, kind: str = PAGE, touch: bool = True) -> Visit | None:
    """Return the visit that *value* opens at this library, None when it is unknown or over."""
    digest = cookies.digest(kind, value)
    with house.store.read() as unit:
        row = sessions.find_session(unit, digest, desk.key, desk.patrons)
        now = unit.now
    if row is None or now >= row.ends_at or now >= row.seen_at + IDLE:
        return None
    seen_at = row.seen_at
    if touch and now - seen_at >= TOUCH_AFTER:
        seen_at = _touch(house, digest, now) or seen_at
    return Visit(
        session_id=digest,
        library=row.library,
        patron_id=row.patron_id,
        patron=row.patron,
        language=row.language,
        csrf=cookies.csrf(house, value),
        ends_at=min(row.ends_at, seen_at + IDLE),
    )


def _touch(house: House, digest: str, now: datetime) -> datetime | None:
    """Mark the session as used; a busy database is no reason to refuse the page."""
    try:
        with house.store.unit() as unit:
            sessions.touch_session(unit, digest)
    except StoreBusyError:
        log.warning("session_not_prolonged")
        return None
    return now


def close(house: House, session_id: str) -> None:
    """End a session now."""
    with house.store.unit() as unit:
        sessions.close_session(unit, session_id)


def the_house(request: Request) -> House:
    """Return the house that this application serves."""
    house: House = request.app.state.house
    return house


async def desk_here(request: Request, library: str) -> Desk:
    """Return the library of the address; 404 for one that is not configured."""
    desk = the_house(request).libraries.get(library)
    if desk is None:
        raise HTTPException(404)
    request.state.desk = desk
    return desk


HouseHere = Annotated[House, Depends(the_house)]
DeskHere = Annotated[Desk, Depends(desk_here)]


def visit_if_any(request: Request, house: HouseHere, desk: DeskHere) -> Visit | None:
    """Return who is signed in at this library, or None.

    A page that follows its payment by itself (``?follow=1``) does not prolong the
    session: nobody may be sitting in front of it.
    """
    value = cookies.held(house, request, cookies.session(desk.key))
    visit = find(house, desk, value, touch="follow" not in request.query_params) if value else None
    request.state.visit = visit
    request.state.csrf = visit.csrf if visit else ""
    return visit


VisitMaybe = Annotated[Visit | None, Depends(visit_if_any)]


def visit_or_login(desk: DeskHere, visit: VisitMaybe) -> Visit:
    """Return who is signed in; nobody: raise SignInNeededError."""
    if visit is None:
        raise SignInNeededError(desk.key)
    return visit


VisitHere = Annotated[Visit, Depends(visit_or_login)]
