"""What eLending says after a payment, on its page; and asking a platform once more with the patron's PIN."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool

from ils_payment.errors import RemoteError
from ils_payment.flows import unblock
from ils_payment.model import State, Verdict
from ils_payment.web import limits, screens

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.flows.views import ELendingView, PaymentView
    from ils_payment.model import Answer, PatronRef
    from ils_payment.web.turns import Turns

LONGEST_PIN = 128

log = structlog.get_logger(__name__)


def page(
    request: Request,
    house: House,
    desk: Desk,
    payment: PaymentView,
    *,
    answered: ELendingView | None = None,
    problem: str | None = None,
) -> Response:
    """Show the patron's own payment with what eLending says; *answered*: what one platform has just said."""
    shown = platforms(house, payment)
    if answered is not None:
        shown = tuple(answered if one.platform == answered.platform else one for one in shown)
    return screens.status(
        request,
        payment,
        full=True,
        platforms=shown,
        askable=[one for one in shown if not one.asked and _needs_pin(desk, one.platform)],
        problem=problem,
    )


def platforms(house: House, payment: PaymentView) -> tuple[ELendingView, ...]:
    """Return what is known of the platforms; none before everything is settled that may block there."""
    settled = payment.state is State.SETTLED and not payment.held
    return unblock.answers(house, payment.payment_id) if settled else ()


def _needs_pin(desk: Desk, platform: str) -> bool:
    return desk.elending[platform].capabilities().needs_pin


def view_of(house: House, payment: PaymentView, platform: str) -> ELendingView | None:
    """Return what is known of a platform that could be asked for this payment, else None."""
    return next((one for one in platforms(house, payment) if one.platform == platform), None)


async def ask(
    house: House, desk: Desk, turns: Turns, patron: PatronRef, view: ELendingView, pin: str, address: str
) -> ELendingView | str:
    """Ask the platform with *pin*; return what it says, or a key of ``texts.ASKING_FAILED``.

    Counted like a sign-in, before anybody is asked: whoever sits at a forgotten session tries no PINs here.
    """
    try:
        number = (await turns.take(desk, desk.system.card, patron)).number
    except RemoteError as error:
        return _silent(desk, view, error)
    attempt = await run_in_threadpool(limits.reserve, house, desk.key, number or str(patron), address)
    if attempt is None or not pin or len(pin) > LONGEST_PIN:
        return "refused"
    try:
        answer = await turns.take(
            desk, unblock.ask_now, house, desk, patron, view.platform, pin, sign_in=True
        )
    except RemoteError as error:
        await run_in_threadpool(limits.unanswered, house, attempt)
        return _silent(desk, view, error)
    if answer.verdict is Verdict.CANNOT_TELL:
        return "refused"
    await run_in_threadpool(limits.taken_back, house, attempt)
    return _heard(view, answer)


def _silent(desk: Desk, view: ELendingView, error: RemoteError) -> str:
    log.warning("elending_not_asked", library=desk.key, platform=view.platform, reason=str(error))
    return "unavailable"


def _heard(view: ELendingView, answer: Answer) -> ELendingView:
    return replace(
        view,
        verdict=answer.verdict,
        asked=answer.asked,
        looking=False,
        code=answer.code,
        hindrances=answer.hindrances,
        as_of=answer.as_of,
    )
