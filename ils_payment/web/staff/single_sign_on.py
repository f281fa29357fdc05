"""Sign-in through the identity provider: away to it, and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from ils_payment.config import Oidc
from ils_payment.flows import staff_accounts as accounts
from ils_payment.flows.house import House
from ils_payment.store import journal
from ils_payment.store.sessions import use_token
from ils_payment.web import cookies, limits, render
from ils_payment.web.sessions import HouseHere
from ils_payment.web.staff import entry, oidc, sessions
from ils_payment.web.staff.sessions import StaffMaybe

COOKIE = "staff-oidc"
_AGAIN = "staff-again"
"""Held by a browser whose person is to be proven once more; where it goes afterwards."""

_JUST_NOW = 120
"""Seconds since the identity provider proved the person, within which money may be sent away."""
_MOST = {"card": entry.MOST["address"], "network": entry.MOST["network"]}
"""Failed answers of the identity provider within an hour, from an address and from a network."""

router = APIRouter(prefix="/oidc")
log = structlog.get_logger(__name__)


def _settings(house: House) -> Oidc:
    staff = house.settings.staff
    if staff is None or staff.oidc is None:  # pragma: no cover - there is no router then
        raise LookupError("staff.oidc")
    return staff.oidc


def _discovery(request: Request) -> oidc.Discovery:
    discovery: oidc.Discovery = request.app.state.discovery
    return discovery


@router.get("")
def leave(
    request: Request,
    house: HouseHere,
    visit: StaffMaybe,
    to: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Send the browser to the identity provider; who is signed in here is to be proven once more."""
    if visit is None and not limits.may_leave(house, request.client.host if request.client else ""):
        return render.message(request, "too_many", 429)
    cookie = oidc.new_cookie(house, cookies.new_value(house))
    settings = _settings(house)
    try:
        metadata = _discovery(request).read(house, settings)
        address = oidc.authorization_address(house, settings, metadata, cookie, again=visit is not None)
    except oidc.OidcError as error:
        log.error("staff_oidc_failed", reason=str(error))  # noqa: TRY400 - the reason says it all
        return render.message(request, "oidc_unavailable", 503)
    response = RedirectResponse(address, 303)
    # Lax: the way back comes from another site. Strict cookies are not sent then.
    cookies.give(house, response, COOKIE, cookie)
    cookies.give(house, response, _AGAIN, entry.first(to), strict=True)
    return response


@router.get("/return")
def come_back(request: Request, house: HouseHere) -> Response:
    """Meet the browser that comes back, and open a session.

    The strict cookies did not come along, so who was signed in before is not known here; the page that
    follows leads on within this site, and with it they are sent again.
    """
    cookie = cookies.held(house, request, COOKIE)
    if cookie is None:
        return _refused(request, house, "the browser did not leave from here")
    answer = dict(request.query_params)
    try:
        oidc.check_state(house, cookie, answer)
    except oidc.OidcError as error:
        return _refused(request, house, str(error))
    if not _is_first(house, cookie):
        return _refused(request, house, "it was answered before")
    attempt = _counted(house, request)
    if attempt is None:
        return _refused(request, house, "too many from there were refused")
    settings = _settings(house)
    try:
        person = oidc.person(house, settings, _discovery(request).read(house, settings), cookie, answer)
    except oidc.OidcError as error:
        return _failed(request, house, str(error))
    account = accounts.welcomed(
        house, person.subject, name=person.name, role=person.role, libraries=person.libraries
    )
    if account is None:
        return _failed(request, house, "the account is disabled")
    limits.taken_back(house, attempt)
    fresh = person.proven_at is not None and house.world.now().timestamp() - person.proven_at < _JUST_NOW
    value = sessions.open_session(house, account, render.language(request), way="oidc", fresh=fresh)
    if value is None:
        return _failed(request, house, "the account was disabled just now")
    response = render.page(request, "staff/onward.html", url="/staff/oidc/done")
    cookies.take_back(house, response, COOKIE)
    entry.come_in(house, response, value)
    return response


def _is_first(house: House, cookie: str) -> bool:
    """Tell whether this is the first answer for *cookie*: each one costs a call to the identity provider."""
    with house.store.unit() as unit:
        forget_at = unit.now + timedelta(seconds=oidc.LONGEST_WAY)
        return use_token(unit, cookies.digest(COOKIE, cookie), forget_at)


def _counted(house: House, request: Request) -> limits.Attempt | None:
    """Count an answer before it is believed; None when there were too many from where it comes from."""
    single, network = limits.networks(request.client.host if request.client else "")
    # Nobody has a name before the answer is believed: the address stands for it.
    values = {"card": f"staff-oidc:{single}", "network": f"staff-oidc:{network}", "library": "staff:"}
    buckets = {what: limits.name_of(house, what, value) for what, value in values.items()}
    return limits.reserve_counted(house, "staff", buckets, _MOST)


def _failed(request: Request, house: House, reason: str) -> Response:
    with house.store.unit() as unit:
        journal.append(unit, accounts.NOBODY, "staff_sign_in_failed", {"way": "oidc"})
    return _refused(request, house, reason)


def _refused(request: Request, house: House, reason: str) -> Response:
    """Refuse without a row in the journal: nothing could ever delete what a stranger makes it write."""
    log.warning("staff_oidc_refused", reason=reason)
    response = render.message(request, "oidc_refused", 403)
    cookies.take_back(house, response, COOKIE)
    return response


@router.get("/done")
def arrive(request: Request, house: HouseHere) -> Response:
    """Lead to where the person wanted to go: now the strict cookies are here."""
    to = cookies.held(house, request, _AGAIN) or ""
    response = RedirectResponse(entry.first(to), 303)
    cookies.take_back(house, response, _AGAIN)
    return response
