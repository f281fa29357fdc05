"""What staff decide: cases, refunds, and the second person's approval. Each form carries what was seen."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from ils_payment.domain.decisions import GIVES_BACK, Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.domain.roles import Right
from ils_payment.flows import decide, inbox
from ils_payment.flows import staff_accounts as accounts
from ils_payment.flows.decision import Decision
from ils_payment.flows.house import House
from ils_payment.model import Actor
from ils_payment.store.records import Refund
from ils_payment.web import limits
from ils_payment.web.sessions import PAYMENT_ID, HouseHere
from ils_payment.web.staff import entry, screens, sessions
from ils_payment.web.staff.pages import own_case, own_payment, show_case, show_payment
from ils_payment.web.staff.sessions import (
    NotAllowedError,
    StaffVisit,
    WithApprovals,
    WithCases,
    WithDecisions,
    WithRefunds,
    desks,
)
from ils_payment.web.turns import TurnsHere

router = APIRouter()

_Text = Annotated[str, Form(max_length=2000)]
ALL = "all"
"""Stands for the part of a payment that belongs to none of its lines."""


def actor(visit: StaffVisit) -> Actor:
    """Return who decides, as the chains know the person."""
    return Actor(name=visit.account.id, role=str(visit.account.role))


class Sent(BaseModel):
    """The fields of a decision's form; each choice uses some of them."""

    version: int = 0
    choice: Choice = Choice.REFUND
    reason: str = Field("", max_length=2000)
    reference: str = Field("", max_length=80)
    meaning: str = Field("", max_length=40)
    lines: list[str] = Field(default_factory=list, max_length=500)
    several: bool = False
    """Whether there was something to choose from."""
    code: str = Field("", max_length=100)

    def failed(self, problem: str) -> screens.Form:
        """Return what is shown again, and why."""
        return screens.Form(
            problem=problem,
            choice=str(self.choice),
            reason=self.reason,
            reference=self.reference,
            meaning=self.meaning,
            lines=tuple(self.lines),
        )


SentForm = Annotated[Sent, Form()]


@router.post("/cases/{case_id}/decide")
async def decide_case(
    request: Request, house: HouseHere, visit: WithDecisions, turns: TurnsHere, case_id: str, sent: SentForm
) -> Response:
    """Decide a case in the version that was seen; whoever comes second is told."""
    found = await run_in_threadpool(own_case, house, visit, case_id)
    problem = await _hindrance(request, house, visit, sent)
    if not problem:
        decision = _decision(sent)
        outcome = await run_in_threadpool(
            decide.resolve, house, actor(visit), case_id, sent.version, decision
        )
        if outcome.ok:
            return RedirectResponse(f"/staff/cases/{case_id}?done={outcome.code}", 303)
        problem = outcome.code
        found = await run_in_threadpool(own_case, house, visit, case_id)
    return await show_case(request, house, visit, turns, found, form=sent.failed(problem))


@router.post("/payments/{payment_id}/refund")
async def refund_payment(
    request: Request, house: HouseHere, visit: WithRefunds, turns: TurnsHere, payment_id: str, sent: SentForm
) -> Response:
    """Ask for a refund of a payment that has no case; the form's version is how many cases it has had."""
    await run_in_threadpool(own_payment, house, visit, payment_id)
    sent = sent.model_copy(update={"choice": Choice.REFUND})
    problem = await _hindrance(request, house, visit, sent)
    if not problem:
        decision = _decision(sent)
        outcome = await run_in_threadpool(
            decide.refund, house, actor(visit), payment_id, decision, seen=sent.version
        )
        if outcome.ok:
            return RedirectResponse(f"/staff/payments/{payment_id}?done={outcome.code}", 303)
        problem = outcome.code
    return await show_payment(request, house, visit, turns, payment_id, form=sent.failed(problem))


async def _hindrance(request: Request, house: House, visit: StaffVisit, form: Sent) -> str:
    """Say why the form cannot go on yet: a key of ``story.PROBLEMS``, or nothing.

    The code comes last, for it is used up.
    """
    if not form.reason.strip():
        return "no_reason"
    if form.choice is Choice.REFUNDED_OUTSIDE:
        # Who may pay out in cash is not who may let any clerk do so: a treasurer, proven just now.
        if not visit.may(Right.APPROVE_REFUND):
            raise NotAllowedError
        if form.several and not form.lines:
            return "no_choice"
        return await prove(request, house, visit, form.code)
    if form.choice is not Choice.REFUND:
        return ""
    if not visit.may(Right.ASK_REFUND):
        raise NotAllowedError
    if form.meaning not in set(Meaning):
        return "no_meaning"
    if not form.lines:
        return "no_choice"
    return await prove(request, house, visit, form.code)


async def prove(request: Request, house: House, visit: StaffVisit, code: str) -> str:
    """Let money go only for somebody who was proven just now: ``code`` or ``fresh`` says what is missing."""
    if visit.fresh:
        return ""
    account = visit.account
    if not account.local:
        return "fresh"
    if not code.strip():
        return "code"
    attempt = await run_in_threadpool(entry.counted, house, account.id, request)
    if attempt is None or not await run_in_threadpool(accounts.confirmed, house, account, code):
        return "code"
    await run_in_threadpool(limits.taken_back, house, attempt)
    await run_in_threadpool(sessions.refresh, house, visit)
    return ""


def _decision(form: Sent) -> Decision:
    """Turn a form into a decision."""
    wanted = tuple(None if one == ALL else one for one in sorted(set(form.lines)))
    return Decision(
        choice=form.choice,
        reason=form.reason.strip(),
        reference=form.reference.strip(),
        meaning=Meaning(form.meaning) if form.choice is Choice.REFUND else None,
        lines=wanted if wanted and form.choice in GIVES_BACK else None,
    )


# --- the second person -------------------------------------------------------------------------


@router.get("/refunds")
def refunds(request: Request, house: HouseHere, visit: WithCases, done: str = "") -> Response:
    """Show the refunds that wait for a second person."""
    return _refunds(request, house, visit, note=done)


def _refunds(request: Request, house: House, visit: StaffVisit, **more: Any) -> Response:  # noqa: ANN401 - of screens
    waiting = inbox.asked(house, tuple(desks(house, visit)))
    return screens.refunds(request, waiting, names=inbox.names(house), **more)


def _own_refund(house: House, visit: StaffVisit, refund_id: str) -> Refund:
    found = inbox.refund(house, refund_id) if PAYMENT_ID.fullmatch(refund_id) else None
    if found is None or not visit.sees(found[1].library):
        raise HTTPException(404)
    return found[0]


@router.post("/refunds/{refund_id}/approve")
async def approve(
    request: Request, house: HouseHere, visit: WithApprovals, refund_id: str, code: _Text = ""
) -> Response:
    """Let a refund go that somebody else asked for."""
    await run_in_threadpool(_own_refund, house, visit, refund_id)
    problem = await prove(request, house, visit, code)
    if not problem:
        outcome = await run_in_threadpool(decide.approve, house, actor(visit), refund_id)
        if outcome.ok:
            return RedirectResponse("/staff/refunds?done=approved", 303)
        problem = outcome.code
    return await run_in_threadpool(_refunds, request, house, visit, problem=problem, problem_at=refund_id)


@router.post("/refunds/{refund_id}/reject")
async def reject(
    request: Request, house: HouseHere, visit: WithRefunds, refund_id: str, reason: _Text = ""
) -> Response:
    """Do not approve a refund, or take one's own back; the reason stays with the payment."""
    found = await run_in_threadpool(_own_refund, house, visit, refund_id)
    if not visit.may(Right.APPROVE_REFUND) and found.asked_by != visit.account.id:
        raise NotAllowedError
    outcome = await run_in_threadpool(decide.withdraw, house, actor(visit), refund_id, reason.strip())
    if outcome.ok:
        return RedirectResponse("/staff/refunds?done=withdrawn", 303)
    return await run_in_threadpool(
        _refunds, request, house, visit, problem=outcome.code, problem_at=refund_id
    )
