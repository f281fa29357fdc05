"""Before paying: open fees and the library card, what is chosen of both, and the confirmation."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from ils_payment.flows import offer, pay, show
from ils_payment.flows.desk import Desk
from ils_payment.flows.views import Begun, CardView, FeeLine, FeesView, NotBegun
from ils_payment.model import ContactData, State
from ils_payment.web import render, screens
from ils_payment.web.pages import address
from ils_payment.web.sessions import DeskHere, HouseHere, VisitHere
from ils_payment.web.turns import TurnsHere

router = APIRouter(prefix="/{library}", include_in_schema=False)

SILENT = frozenset({"provider_unavailable", "library_unavailable"})
"""Why nothing was started though nobody refused: some service did not answer."""


class Choice(BaseModel):
    """What a patron chose: fees by their keys, the card renewed until a day (None: not), the method."""

    model_config = ConfigDict(frozen=True)

    fee: list[str] = Field(default_factory=list, max_length=500)
    until: date | None = None
    method: str = Field("", max_length=60)


class Confirmed(Choice):
    """What the confirmation sends: the choice, the sum that was shown, and the tick at the contact data."""

    expected: int
    correct: str = Field("", max_length=10)


async def _open_fees(
    house: HouseHere, desk: DeskHere, visit: VisitHere, turns: TurnsHere
) -> tuple[FeesView, CardView | None]:
    return await turns.take(desk, offer.fees_and_card, house, desk, visit.patron)


async def _card(
    house: HouseHere, desk: DeskHere, visit: VisitHere, turns: TurnsHere
) -> tuple[CardView, FeesView | None]:
    return await turns.take(desk, offer.card_and_fees, house, desk, visit.patron)


async def _contact(
    desk: DeskHere, visit: VisitHere, turns: TurnsHere, until: Annotated[date | None, Query()] = None
) -> ContactData | None:
    return await turns.take(desk, offer.contact, desk, visit.patron) if until else None


_OpenFees = Annotated[tuple[FeesView, CardView | None], Depends(_open_fees)]
_Card = Annotated[tuple[CardView, FeesView | None], Depends(_card)]
_Contact = Annotated[ContactData | None, Depends(_contact)]


@router.get("/fees")
def fees(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitHere,
    seen: _OpenFees,
    fee: Annotated[list[str] | None, Query(max_length=500)] = None,
) -> Response:
    """Show every open fee, read fresh from the library system, and the renewal of the card beside them.

    ``?cancelled=1`` after a cancelled payment; ``?renew=1`` when the patron has asked for the renewal;
    ``?fee=`` once for each fee that the patron ticked in the catalogue, which is ticked here then.
    """
    cancelled = False
    if "cancelled" in request.query_params:
        # The address may be opened again later, when it is not the last payment any more.
        last = next(iter(show.history(house, desk, visit.patron)), None)
        cancelled = last is not None and last.state is State.VOID and not last.held
    view, its_card = seen
    until = its_card.quote.until if its_card and its_card.quote and "renew" in request.query_params else None
    return screens.fees(request, view, its_card, chosen=fee, cancelled=cancelled, until=until)


@router.get("/card")
def card(request: Request, seen: _Card) -> Response:
    """Show until when the card is valid, and what renewing it costs or why it cannot be renewed here."""
    return screens.card(request, *seen)


@router.get("/confirm")
def confirm(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitHere,
    seen: _OpenFees,
    contact: _Contact,
    choice: Annotated[Choice, Query()],
) -> Response:
    """Show exactly what is about to be paid. It has an address, so "back" and the language switch work."""
    view, its_card = seen
    fee, until, method = choice.fee, choice.until, choice.method
    lines = [line for line in view.lines if line.key in set(fee)]
    problem = hindrance(view, its_card, lines, choice)
    gone = problem in {"changed", "not_renewable"}
    if gone and (paid := show.paid_with(house, desk, visit.patron, fee, until)):
        # "Back" after paying: the fees are gone because of the patron's own payment.
        return RedirectResponse(address(desk, paid), 303)
    if problem is not None and its_card is not None and until and not fee:
        return screens.card(request, its_card, view, method=method, problem=problem)
    if problem is not None:
        return screens.fees(request, view, its_card, chosen=fee, method=method, until=until, problem=problem)
    quote = its_card.quote if its_card and until else None
    return screens.confirm(request, view, lines, method, quote=quote, contact=contact)


def hindrance(view: FeesView, card: CardView | None, lines: list[FeeLine], choice: Choice) -> str | None:
    """Say in advance why ``pay.begin`` would refuse this choice: one of ``views.NOT_BEGUN``, or None."""
    if view.paused:
        return "paused"
    if not choice.fee and choice.until is None:
        return "nothing_chosen"
    if len(lines) != len(set(choice.fee)):
        return "changed"
    if any(line.running for line in lines):
        return "already_running"
    if not all(line.payable for line in lines):
        return "not_payable"
    problem = _card_hindrance(view, card, lines, choice.until) if choice.until else None
    return problem or _sum_hindrance(view, card, lines, choice)


def _card_hindrance(view: FeesView, card: CardView | None, lines: list[FeeLine], until: date) -> str | None:
    if card is not None and card.running:
        return "already_running"
    if card is None or card.quote is None:
        return "not_renewable"
    if card.quote.until != until:
        return "changed"
    return "fees_first" if card.fees_first and len(lines) < len(view.lines) else None


def _sum_hindrance(view: FeesView, card: CardView | None, lines: list[FeeLine], choice: Choice) -> str | None:
    """Hold the sum against what is owed and against the method; nothing to pay needs no method."""
    owed = sum(line.cents for line in lines)
    total = owed + (card.quote.cents if card and card.quote and choice.until else 0)
    if total == 0:
        return None
    method = next((one for one in view.methods if one.method == choice.method), None)
    if method is None:
        return "unknown_method"
    if owed > view.limit_cents:
        return "above_balance"
    return "below_minimum" if total < method.minimum_cents else None


@router.post("/pay")
async def begin(
    request: Request,
    house: HouseHere,
    desk: DeskHere,
    visit: VisitHere,
    turns: TurnsHere,
    form: Annotated[Confirmed, Form()],
) -> Response:
    """Freeze what was confirmed, open the provider session, and send the payer there."""
    if lacks_contact(desk, form.until, confirmed=form.correct == "yes"):
        return render.message(request, "contact_unconfirmed", 422)

    def start() -> Begun | NotBegun:
        return pay.begin(
            house, desk, visit.patron, form.fee, form.method, language, form.expected, until=form.until
        )

    language = render.language(request)
    outcome = await turns.take(desk, start)
    if isinstance(outcome, Begun):
        return RedirectResponse(outcome.url, 303)
    if outcome.code in {"changed", "not_renewable"}:
        paid = await run_in_threadpool(
            show.paid_with, house, desk, visit.patron, form.fee, form.until, cents=form.expected
        )
        if paid is not None:
            return RedirectResponse(address(desk, paid), 303)
    status = 503 if outcome.code in SILENT else 409
    return render.message(request, outcome.code, status, payment_id=outcome.payment_id)


def lacks_contact(desk: Desk, until: date | None, *, confirmed: bool) -> bool:
    """Tell whether contact data should have been confirmed for this renewal and were not."""
    return until is not None and desk.settings.renewal.confirm_contact and not confirmed
