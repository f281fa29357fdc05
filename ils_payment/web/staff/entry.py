"""How staff come in and go: name, password and code; the one-time link; the way out."""

from __future__ import annotations

import re
from typing import Annotated

import anyio
import segno
from anyio import to_thread
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from ils_payment.flows import factors
from ils_payment.flows import staff_accounts as accounts
from ils_payment.flows.house import House
from ils_payment.store.staff import Account
from ils_payment.web import arrival, cookies, limits, render
from ils_payment.web.sessions import HouseHere
from ils_payment.web.staff import sessions
from ils_payment.web.staff.sessions import FORM, SESSION, StaffMaybe

MOST = {"card": 5, "name": 30, "address": 20, "network": 60}
"""Failed sign-ins within an hour: with one name from one network, with the name from anywhere, from an
address, from a network. A stranger elsewhere can hardly lock a person out."""

_LONGEST = 200
_PLACE = re.compile(r"/staff/(cases|payments|refunds|journal|system)(/[0-9A-Z]{26})?")
"""Where a sign-in may lead."""

router = APIRouter()

_Text = Annotated[str, Form(max_length=1000)]


# --- name, password and code -------------------------------------------------------------------


async def local_accounts(house: HouseHere) -> None:
    """Let pass where accounts with a password may come in; elsewhere there are no pages for them."""
    if house.settings.staff is None or not house.settings.staff.local_accounts:
        raise HTTPException(404)


@router.get("/login")
def form(
    request: Request, house: HouseHere, visit: StaffMaybe, to: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Show the sign-in form, or the start page to whom is signed in already."""
    if visit is not None:
        return RedirectResponse(first(to), 303)
    return show_form(request, house, 200, None, to=to)


def first(to: str) -> str:
    """Return the address that a person sees first: *to* if it may be one, else the start page."""
    return to if _PLACE.fullmatch(to) else "/staff/"


def show_form(
    request: Request, house: House, status: int, problem: str | None, name: str = "", *, to: str = ""
) -> Response:
    """Show the sign-in form; after a failure it still has the name, never password or code."""
    settings = house.settings.staff
    return _with_form(
        request,
        house,
        "staff/login.html",
        status,
        problem=problem,
        typed=name,
        to=to if _PLACE.fullmatch(to) else "",
        local=settings is not None and settings.local_accounts,
        oidc=settings.oidc if settings else None,
    )


def _with_form(request: Request, house: House, page: str, status: int, **context: object) -> Response:
    """Show a page with a form for somebody who is not signed in: it is bound to a cookie of its own."""
    held = cookies.held(house, request, FORM)
    value = held or cookies.new_value(house)
    response = render.page(request, page, status, csrf=cookies.csrf(house, value), **context)
    if held is None:
        cookies.give(house, response, FORM, value, strict=True)
    return response


@router.post("/login", dependencies=[Depends(local_accounts)])
async def sign_in(
    request: Request,
    house: HouseHere,
    visit: StaffMaybe,
    name: _Text = "",
    password: _Text = "",
    code: _Text = "",
    to: _Text = "",
) -> Response:
    """Sign in. Whatever is wrong, and whether it was one too many, gets one answer after one time."""
    name, code = name.strip(), code.strip()
    if not (name and password and code):
        return show_form(request, house, 422, "empty", name, to=to)
    started = house.world.monotonic()
    attempt = await run_in_threadpool(counted, house, accounts.tidy(name), request)
    account = value = None
    if attempt is not None and max(len(name), len(password), len(code)) <= _LONGEST:
        hashing: anyio.CapacityLimiter = request.app.state.hashing
        account = await to_thread.run_sync(accounts.proven, house, name, password, code, limiter=hashing)
    if account is not None:
        value = await run_in_threadpool(begin, house, account, render.language(request), visit, "password")
    if attempt is None or value is None:
        before = attempt.before if attempt else MOST["card"]
        await anyio.sleep(arrival.pause_of(house.world.monotonic() - started, before))
        return show_form(request, house, 403, "refused", name, to=to)
    await run_in_threadpool(limits.taken_back, house, attempt)
    response = RedirectResponse(first(to), 303)
    come_in(house, response, value)
    return response


def counted(house: House, name: str, request: Request) -> limits.Attempt | None:
    """Count an attempt under *name* before it is tried; None when there were too many."""
    single, network = limits.networks(request.client.host if request.client else "")
    values = {
        "card": f"staff:{name}@{network}",
        "name": f"staff:{name}",
        "address": f"staff:{single}",
        "network": f"staff:{network}",
        "library": "staff:",
    }
    buckets = {what: limits.name_of(house, what, value) for what, value in values.items()}
    return limits.reserve_counted(house, "staff", buckets, MOST)


def begin(
    house: House, account: Account, language: str, visit: sessions.StaffVisit | None, way: str
) -> str | None:
    """Open a session, a new one at each sign-in; None when the account was changed since it was proven."""
    before = visit.session_id if visit else None
    return sessions.open_session(house, account, language, way=way, before=before)


def come_in(house: House, response: Response, value: str) -> None:
    """Give the browser its session."""
    cookies.give(house, response, SESSION, value, strict=True)
    cookies.take_back(house, response, FORM)


# --- the one-time link -------------------------------------------------------------------------


@router.get("/enrol", dependencies=[Depends(local_accounts)])
def enrol(request: Request, house: HouseHere, link: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Let the owner of a new or reset account choose a password and set the authenticator up."""
    account = accounts.of_link(house, link)
    if account is None:
        return render.message(request, "link_refused", 403)
    return _enrolment(request, house, account, link, 200, None)


def _enrolment(
    request: Request, house: House, account: Account, link: str, status: int, problem: str | None
) -> Response:
    shared = factors.enrolment_secret(house.installation.secret, link)
    issuer = next(iter(house.settings.libraries.values())).name
    address = factors.address(shared, account.login or account.name, issuer)
    drawn = segno.make(address, error="m", micro=False).svg_inline(light="#fff", border=4, omitsize=True)
    written = factors.written(shared)
    return _with_form(
        request,
        house,
        "staff/enrol.html",
        status,
        account=account,
        link=link,
        qr=drawn,
        secret=" ".join(written[place : place + 4] for place in range(0, len(written), 4)),
        address=address,
        problem=problem,
        shortest=factors.SHORTEST_PASSWORD,
    )


@router.post("/enrol", dependencies=[Depends(local_accounts)])
async def set_up(
    request: Request,
    house: HouseHere,
    link: _Text = "",
    password: _Text = "",
    again: _Text = "",
    code: _Text = "",
) -> Response:
    """Use the link up; show the recovery codes, this once."""
    account = await run_in_threadpool(accounts.of_link, house, link)
    if account is None:
        return render.message(request, "link_refused", 403)
    problem: str | None = None
    if password != again:
        problem = "differ"
    else:
        hashing: anyio.CapacityLimiter = request.app.state.hashing
        try:
            codes = await to_thread.run_sync(accounts.enrol, house, link, password, code, limiter=hashing)
        except accounts.PasswordError as error:
            problem = str(error)
        except accounts.StaffAccountError:
            return render.message(request, "link_refused", 403)
        else:
            if codes is not None:
                return render.page(request, "staff/codes.html", codes=codes)
            problem = "code"
    return _enrolment(request, house, account, link, 422, problem)


# --- the way out, and the clock of the session -------------------------------------------------


@router.post("/logout")
def log_out(house: HouseHere, visit: StaffMaybe) -> Response:
    """End the session, here and in the database."""
    if visit is not None:
        sessions.close(house, visit)
    response = RedirectResponse("/staff/goodbye", 303)
    cookies.take_back(house, response, SESSION)
    return response


@router.get("/goodbye")
def goodbye(request: Request, visit: StaffMaybe) -> Response:
    """Say that nobody is signed in any more."""
    return render.message(request, "logged_out" if visit is None else "signed_in", 200)


@router.get("/stay")
def stay(request: Request, visit: StaffMaybe) -> Response:
    """Prolong the session (not with ``?follow=1``) and say how many seconds it has."""
    if visit is None:
        return JSONResponse({"ends_in": 0}, 401)
    return JSONResponse({"ends_in": render.seconds_left(request, visit)})


@router.get("/idle", dependencies=[Depends(sessions.visit_or_login)])
def idle(request: Request) -> Response:
    """Ask a reader without JavaScript whether somebody is there; pages lead here before the end."""
    return render.page(request, "staff/idle.html")


@router.get("/ended")
def ended(request: Request, visit: StaffMaybe) -> Response:
    """Say that the session is over; while it is not (another tab is in use), ask again."""
    if visit is not None:
        return RedirectResponse("/staff/idle?follow=1", 303)
    return render.message(request, "ended", 200)
