"""The page behind a pay link: renew one card without signing in. It opens no session and looks at none."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from ils_payment.flows import pay, paylink
from ils_payment.flows.paylink import LinkView
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.web import cookies, limits, render
from ils_payment.web.choosing import SILENT
from ils_payment.web.sessions import DeskHere, HouseHere
from ils_payment.web.turns import TurnsHere
from ils_payment.web.words import N_, Tone, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter(prefix="/{library}", include_in_schema=False)
log = structlog.get_logger(__name__)

STATES: Mapping[str, Words] = {
    "altered": Words(
        N_("This link does not work"),
        (N_("Perhaps a part of it is missing. Please open it again from the mail or the letter."),),
        Tone.LOOK,
    ),
    "over": Words(
        N_("This link has run out"),
        (N_("For your protection it was good for a limited time only. Nothing was charged."),),
    ),
    "renewed": Words(
        N_("This card is renewed already"),
        (
            N_("It is valid until %(day)s. Thank you!"),
            N_("There is nothing more to pay with this link."),
        ),
        Tone.GOOD,
    ),
    "running": Words(
        N_("The renewal of this card is running"),
        (
            N_("Somebody has started the payment already. Please do not pay twice."),
            N_("When it is done, this page says until when the card is valid."),
        ),
        Tone.WAIT,
    ),
    "early": Words(
        N_("This card cannot be renewed yet"),
        (N_("From %(day)s on you can pay with this link. Nothing was charged."),),
    ),
    "refused": Words(
        N_("This card cannot be renewed with this link"),
        (N_("Nothing was charged. Your library will gladly help you."),),
        Tone.LOOK,
    ),
}
"""What is said for each state of ``paylink.LinkView`` but ``payable``."""

_STATUS = {"altered": 403, "over": 410}
_AGAIN = frozenset({"changed", "not_renewable", "fees_first", "already_running"})
"""What the link itself explains best, looked at once more."""


class Wish(BaseModel):
    """What the payer saw and confirms: the sum in cents, the new expiry, the way to pay."""

    model_config = ConfigDict(frozen=True)

    expected: int
    until: date
    method: str = Field("", max_length=60)


async def _look(request: Request, house: HouseHere, desk: DeskHere, turns: TurnsHere, token: str) -> LinkView:
    """Look at the link when it is its turn; 429 when that was done too often."""
    if paylink.read(house, desk.key, token) is None:
        log.warning("paylink_refused", library=desk.key)
        return LinkView(state="altered")
    address = request.client.host if request.client else ""
    if not await run_in_threadpool(limits.may_look, house, desk.key, token, address):
        raise HTTPException(429)
    return await turns.take(desk, paylink.look, house, desk, token)


_Look = Annotated[LinkView, Depends(_look)]


@router.get("/renew/{token}")  # noqa: FAST003 - _look takes the token
def show(request: Request, house: HouseHere, view: _Look) -> Response:
    """Show what the renewal costs and until when the card is valid then; or what became of the link."""
    return page(request, house, view)


@router.post("/renew/{token}")
async def begin(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    turns: TurnsHere,
    token: str,
    view: _Look,
    wish: Annotated[Wish, Form()],
) -> Response:
    """Pay for the renewal as it was shown; what has changed meanwhile is shown again and costs nothing."""
    patron = view.patron
    if view.state != "payable" or patron is None:
        return page(request, house, view)
    language = render.language(request)

    def start() -> Begun | NotBegun:
        return pay.begin(house, desk, patron, [], wish.method, language, wish.expected, until=wish.until)

    outcome = await turns.take(desk, start)
    if isinstance(outcome, Begun):
        log.info("paylink_used", library=desk.key, payment=outcome.payment_id)
        return RedirectResponse(outcome.url, 303)
    if outcome.code in _AGAIN:
        now = await turns.take(desk, paylink.look, house, desk, token)
        return page(request, house, now, changed=True)
    return render.message(request, outcome.code, 503 if outcome.code in SILENT else 409)


def page(request: Request, house: HouseHere, view: LinkView, *, changed: bool = False) -> Response:
    """Show the link; *changed*: what was confirmed is not true any more."""
    tongue = render.tongue(request)
    words = STATES.get(view.state)
    day = tongue.day(view.day) if view.day else ""
    held = cookies.held(house, request, cookies.FORM)
    value = held or cookies.new_value(house)
    status = 409 if changed and view.state == "payable" else _STATUS.get(view.state, 200)
    response = render.page(
        request,
        "renew.html",
        status,
        view=view,
        words=words.said(tongue, day=day) if words else None,
        changed=changed,
        csrf=cookies.csrf(house, value),
    )
    if held is None:
        cookies.give(house, response, cookies.FORM, value)
    return response
