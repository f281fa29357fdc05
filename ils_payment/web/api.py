"""The JSON API for OPACs that show fees and payments on pages of their own: ``/api/v1/{library}``."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ils_payment.flows import offer, pay, see, show
from ils_payment.flows.desk import Desk
from ils_payment.flows.house import House
from ils_payment.flows.views import Begun, CardView, NotBegun
from ils_payment.model import ContactData, PatronRef
from ils_payment.web import asking, handover, pages, render, sessions
from ils_payment.web.api_models import (
    BegunOut,
    CardOut,
    FeesOut,
    PaymentIn,
    PaymentOut,
    PaymentsOut,
    SessionOut,
    TokenIn,
    problems,
)
from ils_payment.web.arrival import spend
from ils_payment.web.choosing import lacks_contact
from ils_payment.web.refusals import API_PATH, problem
from ils_payment.web.sessions import DeskHere, HouseHere, SignInNeededError, Visit
from ils_payment.web.turns import TurnsHere

DESCRIPTION = """
For catalogues that show a patron's fees and payments on pages of their own.

Your **server** makes a signed hand-over token (docs/handing-over.md), exchanges it for a session and calls
the API with it. A token works once and for two minutes at most. Browsers never call this API.
Amounts are whole cents. Errors are `application/problem+json`; look at `code`.
"""

_STATUS = {
    "nothing_chosen": 422,
    "unknown_method": 422,
    "below_minimum": 422,
    "changed": 409,
    "not_payable": 409,
    "above_balance": 409,
    "already_running": 409,
    "not_renewable": 409,
    "fees_first": 409,
    "contact_unconfirmed": 422,
    "test_mode": 403,
    "provider_refused": 502,
    "paused": 503,
    "provider_unavailable": 503,
    "library_unavailable": 503,
}
"""How each code of ``flows.views.NOT_BEGUN`` is answered."""

log = structlog.get_logger(__name__)

_bearer = HTTPBearer(auto_error=False, scheme_name="session", description="The `access_token` of a session.")
_SIGNED_IN = problems(s401="session_ended", s404="not_found", s422="invalid")
_BODY = problems(s400="bad_request (not even JSON)", s413="too_large")
_REMOTE = problems(s503="library_unavailable, busy")

router = APIRouter(prefix=f"{API_PATH}/{{library}}")


def the_visit(
    house: HouseHere,
    desk: DeskHere,
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Visit:
    """Return the visit that the bearer opens; a page's cookie opens none here."""
    visit = sessions.find(house, desk, credentials.credentials, kind=sessions.API) if credentials else None
    if visit is None:
        raise SignInNeededError(desk.key)
    request.state.visit = visit
    return visit


_Visit = Annotated[Visit, Depends(the_visit)]
_PaymentId = Annotated[str, Path(min_length=1, max_length=40, pattern="^[0-9A-Z]+$")]


@router.post(
    "/sessions",
    status_code=201,
    response_model=SessionOut,
    responses=_BODY
    | problems(
        s403="token_refused, token_expired, token_used", s404="not_found", s422="invalid", s503="busy"
    ),
    tags=["session"],
)
def open_session(request: Request, house: HouseHere, desk: DeskHere, body: TokenIn) -> SessionOut | Response:
    """Exchange a hand-over token for a session. The token is used up by it."""
    now = house.world.now()
    try:
        handed = handover.verify(house, desk, body.token, now)
        value = spend(house, desk, handed, render.language(request), sessions.API)
    except handover.TokenError as error:
        log.warning(
            "arrival_refused", library=desk.key, kid=error.kid or None, reason=error.reason, door="api"
        )
        return problem(403, f"token_{error.code}", "The log of ils-payment says why.")
    log.info("signed_in", library=desk.key, by="token", kid=handed.kid, door="api")
    return SessionOut(
        access_token=value,
        expires_at=now + sessions.LONGEST,
        idle_seconds=int(sessions.IDLE.total_seconds()),
    )


@router.delete("/sessions/current", status_code=204, responses=_SIGNED_IN, tags=["session"])
def close_session(house: HouseHere, visit: _Visit) -> Response:
    """End the session; do so when the patron logs out of the catalogue."""
    sessions.close(house, visit.session_id)
    return Response(status_code=204)


@router.get(
    "/fees",
    response_model=FeesOut,
    responses=_SIGNED_IN | _REMOTE | problems(s404="not_found, patron_unknown (the session ends)"),
    tags=["fees"],
)
async def open_fees(house: HouseHere, desk: DeskHere, visit: _Visit, turns: TurnsHere) -> FeesOut:
    """Return the open fees, read fresh from the library system."""
    return FeesOut.of(await turns.take(desk, see.fees, house, desk, visit.patron))


@router.get(
    "/card",
    response_model=CardOut,
    responses=_SIGNED_IN | _REMOTE | problems(s404="not_found, patron_unknown (the session ends)"),
    tags=["card"],
)
async def library_card(house: HouseHere, desk: DeskHere, visit: _Visit, turns: TurnsHere) -> CardOut:
    """Return until when the card is valid and what renewing it costs, read fresh from the library system."""
    return CardOut.of(*await turns.take(desk, _card, house, desk, visit.patron))


def _card(house: House, desk: Desk, patron: PatronRef) -> tuple[CardView, ContactData | None]:
    view = offer.card(house, desk, patron)
    return view, offer.contact(desk, patron) if view.quote else None


@router.post(
    "/payments",
    status_code=201,
    response_model=BegunOut,
    responses=_SIGNED_IN
    | _BODY
    | problems(
        s403="test_mode",
        s409="changed, not_payable, above_balance, already_running, not_renewable, fees_first",
        s422="invalid, below_minimum, unknown_method, nothing_chosen, contact_unconfirmed",
        s502="provider_refused",
        s503="paused, library_unavailable, provider_unavailable, busy",
    ),
    tags=["payments"],
)
async def start_payment(
    house: HouseHere, desk: DeskHere, visit: _Visit, turns: TurnsHere, body: PaymentIn
) -> BegunOut | Response:
    """Start a payment for fees, and perhaps the card, as confirmed; then redirect to `redirect_url`."""
    if body.currency != desk.settings.currency:
        return problem(422, "invalid", f"The library's currency is {desk.settings.currency}.")
    language = body.language if body.language in desk.settings.languages else visit.language
    if lacks_contact(desk, body.renew_until, confirmed=body.contact_confirmed):
        return problem(_STATUS["contact_unconfirmed"], "contact_unconfirmed")

    def start() -> Begun | NotBegun:
        return pay.begin(
            house,
            desk,
            visit.patron,
            body.fees,
            body.method,
            language,
            body.cents,
            until=body.renew_until,
        )

    begun = await turns.take(desk, start)
    if isinstance(begun, NotBegun):
        if begun.payment_id is None:
            return problem(_STATUS[begun.code], begun.code)
        return problem(_STATUS[begun.code], begun.code, payment_id=begun.payment_id)
    return BegunOut(payment_id=begun.payment_id, redirect_url=begun.url)


@router.get("/payments", response_model=PaymentsOut, responses=_SIGNED_IN, tags=["payments"])
def list_payments(house: HouseHere, desk: DeskHere, visit: _Visit) -> PaymentsOut:
    """Return the patron's payments, the newest first."""
    found = show.history(house, desk, visit.patron)
    return PaymentsOut(payments=[PaymentOut.of(view) for view in found])


@router.get("/payments/{payment_id}", response_model=PaymentOut, responses=_SIGNED_IN, tags=["payments"])
def show_payment(
    house: HouseHere, desk: DeskHere, visit: _Visit, payment_id: _PaymentId
) -> PaymentOut | Response:
    """Say where a payment stands. Ask again every few seconds until it is `settled` or `held`."""
    view = show.payment(house, payment_id)
    if view is None or not show.belongs_to(house, desk, payment_id, visit.patron):
        return problem(404, "not_found")
    return PaymentOut.of(view, asking.platforms(house, view))


@router.post(
    "/payments/{payment_id}/cancel",
    response_model=PaymentOut,
    responses=_SIGNED_IN | _REMOTE,
    tags=["payments"],
)
async def cancel_payment(
    house: HouseHere, desk: DeskHere, visit: _Visit, turns: TurnsHere, payment_id: _PaymentId
) -> PaymentOut | Response:
    """Close the payment page and free the fees; if it was paid meanwhile, the answer says so."""
    if not await run_in_threadpool(show.belongs_to, house, desk, payment_id, visit.patron):
        return problem(404, "not_found")
    return PaymentOut.of(await pages.close(house, desk, turns, payment_id))
