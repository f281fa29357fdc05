"""The patron's payments: what became of each, the list of them, the receipt; and the clock of the session."""

from __future__ import annotations

import re
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, RedirectResponse, Response

from ils_payment.domain.states import UNPAID
from ils_payment.errors import RemoteError
from ils_payment.flows import links, pay, see, show, tell
from ils_payment.flows.desk import Desk
from ils_payment.flows.house import House
from ils_payment.flows.views import PaymentView
from ils_payment.model import State
from ils_payment.store import mails
from ils_payment.web import asking, render, screens
from ils_payment.web.sessions import DeskHere, HouseHere, Visit, VisitHere, VisitMaybe
from ils_payment.web.turns import Turns, TurnsHere

router = APIRouter(prefix="/{library}", include_in_schema=False)
log = structlog.get_logger(__name__)

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAIL = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})+")
"""What mail servers take without quoting or UTF-8; anything else in a header is an attempt at something."""
_LONGEST_MAIL = 254
_OURS = frozenset({"t", "follow", "cancelled"})
"""What we put into the address for the way back ourselves."""
_MOST_ADDED, _LONGEST_ADDED = 8, 4000


class _Asked(BaseModel):
    """The form that asks an eLending platform: its name in the configuration, and the PIN."""

    model_config = ConfigDict(frozen=True)

    platform: str = Field("", max_length=60)
    pin: str = Field("", max_length=1000, repr=False)


# --- a payment ---------------------------------------------------------------------------------


def _own(house: House, desk: Desk, visit: Visit, payment_id: str) -> PaymentView:
    """Return the patron's own payment; for all others there is no such page."""
    if not show.belongs_to(house, desk, payment_id, visit.patron):
        log.warning("not_their_payment", library=desk.key)
        raise HTTPException(404)
    return _payment(house, desk, payment_id)


def _payment(house: House, desk: Desk, payment_id: str) -> PaymentView:
    payment = show.payment(house, payment_id)
    if payment is None or payment.library != desk.key:
        raise HTTPException(404)
    return payment


def address(desk: Desk, payment_id: str) -> str:
    """Return the path of a payment's page."""
    return f"/{desk.key}/payments/{payment_id}"


@router.get("/payments")
def history(request: Request, house: HouseHere, desk: DeskHere, visit: VisitHere) -> Response:
    """Show the patron's payments, the newest first."""
    return screens.history(request, show.history(house, desk, visit.patron))


@router.get("/payments/{payment_id}")
def status(request: Request, house: HouseHere, desk: DeskHere, visit: VisitHere, payment_id: str) -> Response:
    """Show where a payment stands. Who opens the page wants to know: an unpaid one is read again soon."""
    payment = _own(house, desk, visit, payment_id)
    if payment.state in UNPAID and "follow" not in request.query_params:
        house.make_due(payment_id)
    return asking.page(request, house, desk, payment)


@router.post("/payments/{payment_id}/ask")
async def ask(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitHere,
    turns: TurnsHere,
    payment_id: str,
    wish: Annotated[_Asked, Form()],
) -> Response:
    """Ask an eLending platform with the patron's PIN whether it is open again; the PIN is kept nowhere."""
    payment = await run_in_threadpool(_own, house, desk, visit, payment_id)
    view = await run_in_threadpool(asking.view_of, house, payment, wish.platform)
    if view is None:
        raise HTTPException(404)
    address = request.client.host if request.client else ""
    heard = await asking.ask(house, desk, turns, visit.patron, view, wish.pin, address)
    if isinstance(heard, str):
        return asking.page(request, house, desk, payment, problem=heard)
    return asking.page(request, house, desk, payment, answered=heard)


@router.get("/payments/{payment_id}/return")
async def come_back(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitMaybe,
    turns: TurnsHere,
    payment_id: str,
    t: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Meet the payer who comes back from the provider, in this browser or in another one.

    The patron goes on to the whole page; whoever has only the token sees state, amount and number.
    """
    if visit is not None and await run_in_threadpool(show.belongs_to, house, desk, payment_id, visit.patron):
        await _look(house, desk, turns, payment_id, _added(request))
        return RedirectResponse(address(desk, payment_id), 303)
    if not links.is_good(house, payment_id, t):
        return render.message(request, "return_refused", 403)
    payment = await run_in_threadpool(_payment, house, desk, payment_id)
    if "follow" not in request.query_params:
        await _look(house, desk, turns, payment_id, _added(request))
    return screens.status(request, payment, full=False)


async def _look(house: House, desk: Desk, turns: Turns, payment_id: str, added: dict[str, str]) -> None:
    """Look at the payment of a payer who came back; without a turn at the provider the runner does it."""
    try:
        await turns.at_provider(desk, pay.come_back, house, payment_id, added)
    except RemoteError:
        await run_in_threadpool(house.make_due, payment_id)


def _added(request: Request) -> dict[str, str]:
    """Return what the provider added to the address that it was told for the way back."""
    found = {name: value for name, value in request.query_params.items() if name not in _OURS}
    small = len(found) <= _MOST_ADDED and all(
        len(name) + len(value) <= _LONGEST_ADDED for name, value in found.items()
    )
    return found if small else {}


@router.post("/payments/{payment_id}/cancel")
async def cancel(
    request: Request, house: HouseHere, desk: DeskHere, visit: VisitHere, turns: TurnsHere, payment_id: str
) -> Response:
    """Close the provider session first; only then are the fees free for a new start."""
    await run_in_threadpool(_own, house, desk, visit, payment_id)
    payment = await close(house, desk, turns, payment_id)
    if payment.state is State.VOID:
        return RedirectResponse(f"/{desk.key}/fees?cancelled=1", 303)
    if payment.state in {State.CREATED, State.OPEN}:
        return render.message(request, "not_cancelled", 503, payment_id=payment_id)
    return RedirectResponse(address(desk, payment_id), 303)


async def close(house: House, desk: Desk, turns: Turns, payment_id: str) -> PaymentView:
    """Close the provider session; without a turn at the provider the payment stays as it is."""
    try:
        return await turns.at_provider(desk, pay.cancel, house, payment_id)
    except RemoteError:
        return await run_in_threadpool(_payment, house, desk, payment_id)


# --- the receipt -------------------------------------------------------------------------------


def _with_receipt(house: House, desk: Desk, visit: Visit, payment_id: str) -> PaymentView:
    payment = _own(house, desk, visit, payment_id)
    if payment.receipt_number is None or desk.settings.receipt is None:
        raise HTTPException(404)
    return payment


def _can_mail(house: House, payment_id: str) -> bool:
    """Tell whether the receipt can be mailed: there is a mail server, and it was not asked for before."""
    if not house.world.can_mail:
        return False
    with house.store.read() as unit:
        return not mails.receipt_was_asked(unit, payment_id)


async def _payer(desk: Desk, turns: Turns, visit: Visit) -> str | None:
    """Return the end of the card number; a receipt does without it when the library system is slow."""
    try:
        return await turns.take(desk, see.payer, desk, visit.patron)
    except RemoteError as error:
        log.warning("payer_left_out", library=desk.key, reason=str(error))
        return None


@router.get("/payments/{payment_id}/receipt")
async def receipt(
    request: Request, house: HouseHere, desk: DeskHere, visit: VisitHere, turns: TurnsHere, payment_id: str
) -> Response:
    """Show the receipt for printing."""
    payment = await run_in_threadpool(_with_receipt, house, desk, visit, payment_id)
    payer = await _payer(desk, turns, visit)
    mail = await run_in_threadpool(_can_mail, house, payment_id)
    return screens.receipt(request, payment, payer=payer, mail=mail)


@router.post("/payments/{payment_id}/receipt")
async def mail_receipt(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitHere,
    turns: TurnsHere,
    payment_id: str,
    email: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Queue the receipt for the typed address, once; the address is deleted after sending."""
    payment = await run_in_threadpool(_with_receipt, house, desk, visit, payment_id)
    recipient = email.strip()
    if not await run_in_threadpool(_can_mail, house, payment_id):
        return render.message(request, "mail_refused", 409, payment_id=payment_id)
    if len(recipient) > _LONGEST_MAIL or not _MAIL.fullmatch(recipient):
        payer = await _payer(desk, turns, visit)
        return screens.receipt(request, payment, payer=payer, mail=True, email=recipient, wrong_email=True)
    language = render.language(request)
    queued = await run_in_threadpool(tell.queue_receipt, house, payment_id, recipient, language)
    if not queued:
        return render.message(request, "mail_refused", 409, payment_id=payment_id)
    return render.message(request, "mail_queued", 200, payment_id=payment_id)


# --- the clock of the session ------------------------------------------------------------------


@router.get("/stay")
def stay(request: Request, visit: VisitMaybe) -> Response:
    """Prolong the session (not with ``?follow=1``) and say how many seconds it has."""
    if visit is None:
        return JSONResponse({"ends_in": 0}, 401)
    return JSONResponse({"ends_in": render.seconds_left(request, visit)})


@router.get("/idle")
def idle(request: Request, desk: DeskHere, visit: VisitMaybe) -> Response:
    """Ask a reader without JavaScript whether somebody is there; pages lead here before the end."""
    if visit is None:
        return RedirectResponse(f"/{desk.key}/ended", 303)
    return render.page(request, "idle.html")


@router.get("/ended")
def ended(request: Request, desk: DeskHere, visit: VisitMaybe) -> Response:
    """Say that the session is over; while it is not (another tab is in use), ask again."""
    if visit is not None:
        return RedirectResponse(f"/{desk.key}/idle?follow=1", 303)
    return render.message(request, "ended", 200)
