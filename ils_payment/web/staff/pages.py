"""What staff look at: overview, cases, payments, search, journal, system."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from ils_payment import __version__
from ils_payment.domain.roles import Right
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.errors import RemoteError
from ils_payment.flows import inbox, show
from ils_payment.flows.house import House
from ils_payment.flows.inbox import File, LibrarySide
from ils_payment.flows.views import CaseView, PaymentView
from ils_payment.model import State
from ils_payment.store import inbox as rows
from ils_payment.store import installation
from ils_payment.store.inbox import Wanted
from ils_payment.store.sessions import state_counts
from ils_payment.web.sessions import PAYMENT_ID, HouseHere
from ils_payment.web.staff import screens
from ils_payment.web.staff.sessions import (
    StaffVisit,
    WithCases,
    WithHealth,
    WithJournal,
    WithPatrons,
    WithPayments,
    desks,
)
from ils_payment.web.turns import Turns, TurnsHere

JOURNAL_ROWS = 100
_LONGEST_CARD = 64

router = APIRouter()

_Key = Annotated[str, Query(max_length=60)]
_Text = Annotated[str, Form(max_length=1000)]


# --- the overview and search -------------------------------------------------------------------


@router.get("/")
def overview(request: Request, house: HouseHere, visit: WithPayments) -> Response:
    """Show how much waits, and the ways to find something."""
    return _overview(request, house, visit)


def _overview(
    request: Request,
    house: House,
    visit: StaffVisit,
    *,
    status: int = 200,
    problem: str = "",
    typed: str = "",
) -> Response:
    mine = desks(house, visit)
    with house.store.read() as unit:
        counts = {
            "open": rows.how_many(unit, Wanted(libraries=tuple(mine))),
            "waiting": rows.refunds_asked(unit, tuple(mine)),
        }
        states = [one for one in state_counts(unit) if one.library in mine]
    unsettled = [one for one in states if one.state in PAID_UNSETTLED]
    oldest = min((one.oldest_paid_at for one in unsettled if one.oldest_paid_at), default=None)
    return screens.page(
        request,
        "overview.html",
        status,
        counts=counts,
        unsettled=sum(one.payments for one in unsettled),
        oldest=oldest,
        libraries=[(key, desk.settings.name) for key, desk in mine.items()],
        problem=problem,
        typed=typed,
    )


@router.post("/find/number")
def find_number(request: Request, house: HouseHere, visit: WithPayments, number: _Text = "") -> Response:
    """Lead to the payment with a receipt number, a marker or an id."""
    found = show.named(house, number.strip()) if number.strip() else None
    if found is None or not visit.sees(found.library):
        return _overview(request, house, visit, status=404, problem="no_number", typed=number)
    return RedirectResponse(f"/staff/payments/{found.payment_id}", 303)


@router.post("/find/card")
async def find_card(
    request: Request,
    house: HouseHere,
    visit: WithPatrons,
    turns: TurnsHere,
    card: _Text = "",
    library: _Text = "",
) -> Response:
    """Show the payments of a patron. The number stands in no address and is kept nowhere."""
    desk = desks(house, visit).get(library)
    card = card.strip()
    if desk is None or not card or len(card) > _LONGEST_CARD:
        return await run_in_threadpool(_overview, request, house, visit, status=422, problem="no_card")
    try:
        found = await turns.take(desk, inbox.of_card, house, desk, card)
    except RemoteError:
        return await run_in_threadpool(_overview, request, house, visit, status=503, problem="silent")
    facts = {"found": len(found or ())}
    await run_in_threadpool(inbox.note, house, visit.account.id, "card_searched", facts, library)
    if found is None:
        return await run_in_threadpool(_overview, request, house, visit, status=404, problem="no_card")
    return screens.page(request, "payments.html", payments=found, searched=True, states=(), chosen={})


# --- cases -------------------------------------------------------------------------------------


@router.get("/cases")
def cases(
    request: Request,
    house: HouseHere,
    visit: WithCases,
    library: _Key = "",
    kind: _Key = "",
    which: Literal["open", "waiting", "closed"] = "open",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """Show cases: open, waiting for a second person, or closed."""
    mine = desks(house, visit)
    wanted = Wanted(libraries=[key for key in mine if library in {"", key}], kind=kind, which=which)
    found, more = inbox.cases_of(house, wanted, page)
    with house.store.read() as unit:
        kinds = rows.kinds(unit, tuple(mine))
        counts = {
            one: rows.how_many(unit, Wanted(libraries=tuple(wanted.libraries), kind=kind, which=one))
            for one in rows.WHICH
        }
    return screens.cases(
        request,
        found,
        more=more,
        kinds=kinds,
        counts=counts,
        libraries=[(key, desk.settings.name) for key, desk in mine.items()],
        chosen={"library": library, "kind": kind, "which": which, "page": page},
    )


def own_case(house: House, visit: StaffVisit, case_id: str) -> CaseView:
    """Return a case of a library that the account works for; for all others there is no such page."""
    found = show.case(house, case_id) if PAYMENT_ID.fullmatch(case_id) else None
    if found is None or not visit.sees(found.library):
        raise HTTPException(404)
    return found


@router.get("/cases/{case_id}")
async def case(
    request: Request, house: HouseHere, visit: WithCases, turns: TurnsHere, case_id: str, done: _Key = ""
) -> Response:
    """Show one case with all that is known of it."""
    found = await run_in_threadpool(own_case, house, visit, case_id)
    return await show_case(request, house, visit, turns, found, note=done)


async def show_case(
    request: Request,
    house: House,
    visit: StaffVisit,
    turns: Turns,
    found: CaseView,
    *,
    form: screens.Form | None = None,
    note: str = "",
) -> Response:
    """Show a case as it is now; the look at it is written down."""
    in_zone_of(request, house, found.library)
    file, side = None, None
    if found.payment_id is not None:
        file = await run_in_threadpool(inbox.payment_file, house, found.payment_id, found.case_id)
        side = await ask_library(house, visit, turns, file)
    facts = {"case": found.case_id, "payment": found.payment_id}
    await run_in_threadpool(inbox.note, house, visit.account.id, "case_viewed", facts, found.library)
    reasons = await run_in_threadpool(inbox.said, house, found) if file is None else ()
    names = await run_in_threadpool(inbox.names, house)
    return screens.case(request, found, file, side, names=names, reasons=reasons, form=form, note=note)


async def ask_library(house: House, visit: StaffVisit, turns: Turns, file: File | None) -> LibrarySide | None:
    """Ask the library system for whose payment it is, for roles that may know."""
    if file is None or not visit.may(Right.PATRON):
        return None
    desk = house.libraries.get(file.payment.library)
    if desk is None:
        return LibrarySide(problem="silent")
    try:
        return await turns.take(desk, inbox.library_side, house, desk, file.payment.payment_id)
    except RemoteError:
        # No turn came in time; the page is worth seeing all the same.
        return LibrarySide(problem="silent")


def in_zone_of(request: Request, house: House, library: str) -> None:
    """Tell times as they are at the library that a page is about."""
    desk = house.libraries.get(library)
    if desk is not None:
        request.state.zone = desk.settings.zone


# --- payments ----------------------------------------------------------------------------------


@router.get("/payments")
def payments(
    request: Request, house: HouseHere, visit: WithPayments, library: _Key = "", state: _Key = ""
) -> Response:
    """Show the newest payments."""
    mine = desks(house, visit)
    states = [str(one) for one in State]
    keys = [key for key in mine if library in {"", key}]
    found = inbox.newest(house, keys, state if state in states else None)
    return screens.page(
        request,
        "payments.html",
        payments=found,
        searched=False,
        states=states,
        libraries=[(key, desk.settings.name) for key, desk in mine.items()],
        chosen={"library": library, "state": state},
    )


def own_payment(house: House, visit: StaffVisit, payment_id: str) -> PaymentView:
    """Return a payment of a library that the account works for; for all others there is no such page."""
    found = show.payment(house, payment_id) if PAYMENT_ID.fullmatch(payment_id) else None
    if found is None or not visit.sees(found.library):
        raise HTTPException(404)
    return found


@router.get("/payments/{payment_id}")
async def payment(
    request: Request,
    house: HouseHere,
    visit: WithPayments,
    turns: TurnsHere,
    payment_id: str,
    done: _Key = "",
) -> Response:
    """Show one payment with its time line."""
    await run_in_threadpool(own_payment, house, visit, payment_id)
    return await show_payment(request, house, visit, turns, payment_id, note=done)


async def show_payment(
    request: Request,
    house: House,
    visit: StaffVisit,
    turns: Turns,
    payment_id: str,
    *,
    form: screens.Form | None = None,
    note: str = "",
) -> Response:
    """Show a payment as it is now; whoever may see whose it is, is written down."""
    file = await run_in_threadpool(inbox.payment_file, house, payment_id)
    if file is None:
        raise HTTPException(404)
    library = file.payment.library
    in_zone_of(request, house, library)
    side = await ask_library(house, visit, turns, file)
    if side is not None:
        facts = {"payment": payment_id}
        await run_in_threadpool(inbox.note, house, visit.account.id, "payment_viewed", facts, library)
    names = await run_in_threadpool(inbox.names, house)
    return screens.payment(request, file, side, names=names, form=form, note=note)


# --- journal and system ------------------------------------------------------------------------


@router.get("/journal")
def journal(
    request: Request,
    house: HouseHere,
    visit: WithJournal,
    what: _Key = "",
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Show what staff and commands did."""
    with house.store.read() as unit:
        found = rows.journal_rows(
            unit, visit.account.libraries, what=what, before=before, limit=JOURNAL_ROWS + 1
        )
        whats = rows.journal_whats(unit)
    return screens.page(
        request,
        "journal.html",
        rows=found[:JOURNAL_ROWS],
        more=len(found) > JOURNAL_ROWS,
        whats=whats,
        what=what,
        names=inbox.names(house),
    )


@router.get("/system")
def system(request: Request, house: HouseHere, visit: WithHealth) -> Response:
    """Show queues and what is configured: nothing personal, no secret."""
    mine = desks(house, visit)
    with house.store.read() as unit:
        facts = {
            "paused": installation.is_paused(unit),
            "notices": rows.notices_waiting(unit),
            "due": rows.payments_due(unit),
        }
        states = [one for one in state_counts(unit) if one.library in mine]
    return screens.page(
        request,
        "system.html",
        version=__version__,
        database=house.store.engine.dialect.name,
        facts=facts,
        states=states,
        desks=mine,
    )
