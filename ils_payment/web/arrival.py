"""How patrons come in: handed over by the OPAC with a signed token, or with card and PIN."""

from __future__ import annotations

import math
from typing import Annotated
from urllib.parse import urlencode

import anyio
import structlog
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from ils_payment.errors import RemoteError
from ils_payment.flows import offer
from ils_payment.flows.desk import Desk
from ils_payment.flows.house import House
from ils_payment.model import PatronRef, Refused, Unavailable
from ils_payment.store.sessions import close_session, use_token
from ils_payment.web import cookies, handover, limits, render, sessions
from ils_payment.web.security import cross_site, same_site
from ils_payment.web.sessions import DeskHere, HouseHere, VisitMaybe
from ils_payment.web.turns import Turns, TurnsHere

SHORTEST_ANSWER = 1.0
"""Seconds: every failed sign-in takes at least so long, whoever found it to be wrong."""
SLOWEST_ANSWER = 4.0
CROWDED = 2.0
"""Seconds that every sign-in waits while a library gets more wrong PINs than its patrons type."""
_LONGEST_CARD = 64
_LONGEST_PIN = 128

router = APIRouter(prefix="/{library}", include_in_schema=False, dependencies=[Depends(same_site)])
log = structlog.get_logger(__name__)

_Text = Annotated[str, Form()]


# --- by a signed token -------------------------------------------------------------------------


@router.get("/arrive")
@cross_site
def arrive(
    request: Request, house: HouseHere, desk: DeskHere, visit: VisitMaybe, token: Annotated[str, Query()] = ""
) -> Response:
    """Let a patron in whom the OPAC hands over in a link."""
    if request.headers.get("sec-purpose", "").startswith("prefetch"):
        # The browser only guesses that the link may be wanted; the token is good once.
        return Response(status_code=503)
    return _let_in(request, house, desk, visit, token)


@router.post("/arrive")
@cross_site
def arrive_by_form(
    request: Request, house: HouseHere, desk: DeskHere, visit: VisitMaybe, token: _Text = ""
) -> Response:
    """Let a patron in whom the OPAC hands over in a form: the token stands in no address then."""
    return _let_in(request, house, desk, visit, token)


def _let_in(request: Request, house: House, desk: Desk, visit: sessions.Visit | None, token: str) -> Response:
    handed = None
    try:
        handed = handover.verify(house, desk, token, house.world.now())
        value = spend(house, desk, handed, render.language(request), sessions.PAGE, visit)
    except handover.TokenError as error:
        log.warning("arrival_refused", library=desk.key, kid=error.kid or None, reason=error.reason)
        if visit is not None and handed is not None and handed.patron == visit.patron:
            # Most likely a double click, or "back": who is signed in stays so.
            return RedirectResponse(f"/{desk.key}/fees", 303)
        return _turned_away(request, house, desk, visit, error.code)
    log.info("signed_in", library=desk.key, by="token", kid=handed.kid)
    response = _welcome(house, desk, value, _first(desk, fees=handed.fees))
    if handed.language is not None:
        # The catalogue knows the language of now better than a cookie from yesterday.
        cookies.take_back(house, response, render.LANGUAGE_COOKIE)
    return response


def _turned_away(
    request: Request, house: House, desk: Desk, visit: sessions.Visit | None, code: str
) -> Response:
    """Refuse, and end the session that was there: on a shared computer it may be of the patron before."""
    if visit is not None:
        sessions.close(house, visit.session_id)
        request.state.visit = None
    response = render.message(request, f"token_{code}", 403)
    cookies.take_back(house, response, cookies.session(desk.key))
    return response


def spend(  # the one transaction in which a token becomes a session
    house: House,
    desk: Desk,
    handed: handover.HandedOver,
    language: str,
    kind: str,
    visit: sessions.Visit | None = None,
) -> str:
    """Use the token up and open a session; return its value. TokenError when it was used before."""
    with house.store.unit() as unit:
        if not use_token(unit, handed.digest, handed.forget_at):
            raise handover.TokenError("used", "it was used before", handed.kid)
        if visit is not None:
            close_session(unit, visit.session_id)
        return sessions.open_session(
            unit, house, desk, handed.patron, handed.language or language, kind=kind
        )[0]


def _welcome(house: House, desk: Desk, value: str, address: str) -> RedirectResponse:
    """Send a patron who has just come in to *address*, which carries no token."""
    response = RedirectResponse(address, 303)
    cookies.give(house, response, cookies.session(desk.key), value)
    cookies.take_back(house, response, cookies.FORM)
    return response


# --- by card and PIN ---------------------------------------------------------------------------


@router.get("/")
def start(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitMaybe,
    to: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """Show the sign-in form, or the fees to whom is signed in already; *to* is the payment to show then."""
    if visit is not None:
        return RedirectResponse(_first(desk, to), 303)
    return _form(request, house, 200, None, to=to)


def _first(desk: Desk, to: str = "", fees: tuple[str, ...] = ()) -> str:
    """Return the address that a patron sees first: of the payment *to* if it may be one, else of the fees.

    *fees* are ticked there; their ids stand in the address, as they do when the choice is sent on.
    """
    if sessions.PAYMENT_ID.fullmatch(to):
        return f"/{desk.key}/payments/{to}"
    return f"/{desk.key}/fees" + ("?" + urlencode({"fee": fees}, doseq=True) if fees else "")


def _form(
    request: Request, house: House, status: int, problem: str | None, card: str = "", *, to: str
) -> Response:
    """Show the sign-in form. After a failure it still has what was typed as *card*, never the PIN."""
    held = cookies.held(house, request, cookies.FORM)
    value = held or cookies.new_value(house)
    form = cookies.csrf(house, value)
    to = to if sessions.PAYMENT_ID.fullmatch(to) else ""
    renews = offer.renews(request.state.desk)
    shown = {"problem": problem, "card": card, "to": to, "csrf": form, "renews": renews}
    response = render.page(request, "login.html", status, **shown)
    if held is None:
        cookies.give(house, response, cookies.FORM, value)
    return response


@router.post("/login")
async def sign_in(  # what a dependency brings, and the form
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitMaybe,
    turns: TurnsHere,
    card: _Text = "",
    pin: _Text = "",
    to: _Text = "",
) -> Response:
    """Sign a patron in with card and PIN.

    An unknown card, a wrong PIN and too many attempts get the same answer after the same time.
    """
    if not desk.signs_in:
        return render.message(request, "not_found", 404)
    card = card.strip()
    if not card or not pin:
        return _form(request, house, 422, "empty", card, to=to)
    started = house.world.monotonic()
    attempt = await run_in_threadpool(limits.reserve, house, desk.key, card, _address(request))
    if attempt is not None and attempt.crowded:
        await anyio.sleep(CROWDED)
    answer: PatronRef | Refused | Unavailable = Refused()
    if attempt is not None and len(card) <= _LONGEST_CARD and len(pin) <= _LONGEST_PIN:
        answer = await _ask(house, turns, desk, attempt, card, pin)
    if isinstance(answer, Refused):
        before = attempt.before if attempt else limits.MOST["card"]
        log.info("sign_in_refused", library=desk.key, wrong_before=before)
        await anyio.sleep(pause_of(house.world.monotonic() - started, before))
        return _form(request, house, 403, "refused", card, to=to)
    if isinstance(answer, Unavailable):
        log.warning("sign_in_unavailable", library=desk.key, reason=answer.reason)
        return _form(request, house, 503, "unavailable", card, to=to)
    value = await run_in_threadpool(_begin, house, desk, answer, render.language(request), visit)
    log.info("signed_in", library=desk.key, by="card_and_pin")
    return _welcome(house, desk, value, _first(desk, to))


async def _ask(
    house: House, turns: Turns, desk: Desk, attempt: limits.Attempt, card: str, pin: str
) -> PatronRef | Refused | Unavailable:
    """Ask the library system when it is its turn; take the attempt back unless it was a wrong PIN."""
    try:
        answer = await turns.take(desk, _answer, desk, card, pin, sign_in=True)
    except RemoteError as error:
        # No turn came: nobody was asked.
        await run_in_threadpool(limits.taken_back, house, attempt)
        return Unavailable(error.what)
    if isinstance(answer, Unavailable):
        await run_in_threadpool(limits.unanswered, house, attempt)
    elif not isinstance(answer, Refused):
        await run_in_threadpool(limits.taken_back, house, attempt)
    return answer


def _answer(desk: Desk, card: str, pin: str) -> PatronRef | Refused | Unavailable:
    """Whatever goes wrong at the library system, the patron is not told that the PIN is wrong."""
    try:
        return desk.system.sign_in(card, pin)
    except RemoteError as error:
        return Unavailable(error.what)


def _begin(house: House, desk: Desk, patron: PatronRef, language: str, visit: sessions.Visit | None) -> str:
    with house.store.unit() as unit:
        if visit is not None:
            close_session(unit, visit.session_id)
        return sessions.open_session(unit, house, desk, patron, language)[0]


def pause_of(passed: float, before: int) -> float:
    """Return how long to wait with a refusal: longer after each wrong PIN, and in whole steps.

    The steps hide whether the library system had looked a PIN up or not even found the card.
    """
    shortest: float = min(SHORTEST_ANSWER * 2**before, SLOWEST_ANSWER)
    step = SHORTEST_ANSWER / 2
    return max(shortest, math.ceil(passed / step) * step) - passed


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


# --- the way out -------------------------------------------------------------------------------


@router.post("/logout")
def log_out(house: HouseHere, desk: DeskHere, visit: VisitMaybe) -> Response:
    """End the session, here and in the database."""
    if visit is not None:
        sessions.close(house, visit.session_id)
        log.info("signed_out", library=desk.key)
    response = RedirectResponse(f"/{desk.key}/goodbye", 303)
    cookies.take_back(house, response, cookies.session(desk.key))
    return response


@router.get("/goodbye")
def goodbye(request: Request, visit: VisitMaybe) -> Response:
    """Say that nobody is signed in any more."""
    return render.message(request, "logged_out" if visit is None else "ended", 200)
