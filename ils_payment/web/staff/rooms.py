"""All routers of the staff pages, and what is answered when one of them refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import structlog
from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from ils_payment.web import cookies, render
from ils_payment.web.staff import decisions, entry, oidc, pages, single_sign_on
from ils_payment.web.staff.sessions import (
    SESSION,
    NotAllowedError,
    StaffSignInNeededError,
    enter,
    same_site,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ils_payment.flows.house import House

HASHINGS = 2
"""Passwords that are hashed at once: each takes 46 MiB, and patrons need the processor too."""

log = structlog.get_logger(__name__)


def install(app: FastAPI, house: House) -> None:
    """Add routers and handlers."""
    app.state.hashing = anyio.CapacityLimiter(HASHINGS)
    app.add_exception_handler(StaffSignInNeededError, _sign_in)
    app.add_exception_handler(NotAllowedError, _not_allowed)
    staff = APIRouter(
        prefix="/staff", include_in_schema=False, dependencies=[Depends(enter), Depends(same_site)]
    )
    for router in (entry.router, pages.router, decisions.router):
        staff.include_router(router)
    if house.settings.staff is not None and house.settings.staff.oidc is not None:
        app.state.discovery = oidc.Discovery()
        staff.include_router(single_sign_on.router)
    app.include_router(staff)


async def _sign_in(request: Request, _error: Exception) -> Response:
    """Lead to the sign-in form. Who comes from a mail did not bring the strict cookie: ask once more."""
    house: House = request.app.state.house
    if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        query = f"?{request.url.query}" if request.url.query else ""
        return render.page(request, "staff/onward.html", url=f"{request.url.path}{query}")
    if cookies.held(house, request, SESSION):
        response = RedirectResponse("/staff/ended", 303)
        cookies.take_back(house, response, SESSION)
        return response
    to = request.url.path if request.method == "GET" and request.url.path != "/staff/" else ""
    return RedirectResponse(f"/staff/login{f'?to={quote(to)}' if to else ''}", 303)


async def _not_allowed(request: Request, _error: Exception) -> Response:
    log.warning("staff_not_allowed", path=getattr(request.scope.get("route"), "path", ""))
    return render.message(request, "not_allowed", 403)
