"""Every state of every staff page, drawn by the real program over a real ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request, Response

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, inbox, show
from ils_payment.flows import staff_accounts as accounts
from ils_payment.flows.decision import Decision
from ils_payment.flows.inbox import LibrarySide, Said
from ils_payment.model import Actor
from ils_payment.store import staff
from ils_payment.store.inbox import Wanted
from ils_payment.web import render, security
from ils_payment.web.app import browser_app
from ils_payment.web.staff import entry, pages, screens, sessions
from ils_payment.web.staff.sessions import StaffVisit
from ils_payment.web.staff.words import MESSAGES

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tests.web.test_staff_pages import Office

REASON = "Die Theke hat die Gebühr am Samstag bar kassiert.\nDie Quittung liegt bei uns."


class Exhibition:
    """Draws ``/staff/show/<exhibit>``; ``EXHIBITS`` names them all."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.house = office.house
        server = self.house.settings.server.model_copy(update={"public_url": "http://127.0.0.1"})
        self.house.settings = self.house.settings.model_copy(update={"server": server})
        self.clerk = office.colleague("ada.berger", "clerk")
        self.treasurer = office.colleague("eva", "treasurer")
        for login, role in (("auditor", "auditor"), ("technician", "technician")):
            office.colleague(login, role)
        self.link = office.link_for("new.colleague")
        self._decided()
        self.second_sum = self._paid_twice()

    def _decided(self) -> None:
        """A case that is closed, and a refund that waits."""
        house, office = self.house, self.office
        self.open_payment, self.open_case = office.held, office.case
        refund = Decision(choice=Choice.REFUND, reason=REASON, meaning=Meaning.DOUBLE_PAYMENT)
        actor = Actor(self.clerk.id, "clerk")
        assert decide.refund(house, actor, office.settled, refund).code == "second_person"
        payment, self.closed_case = office.with_case()
        by_hand = Decision(choice=Choice.BOOKED_BY_HAND, reason=REASON, reference="Kasse 17")
        assert decide.resolve(house, actor, self.closed_case, 1, by_hand).ok
        for what in ("case_viewed", "payment_viewed"):
            inbox.note(
                house, self.clerk.id, what, {"case": self.closed_case, "payment": payment}, "lindental"
            )

    def _paid_twice(self) -> str:
        """The case of a payment whose page was paid once more after it was settled."""
        payment_id = self.office.paid(only=1)
        self.office.pays_again(payment_id)
        of_it = (one for one in show.case_list(self.house) if one.payment_id == payment_id)
        return next(one.case_id for one in of_it if one.kind == "paid_wrong")

    def visit(self, login: str, *, fresh: bool = True) -> StaffVisit:
        with self.house.store.read() as unit:
            account = staff.by_login(unit, login)
        assert account is not None
        now = self.house.world.now()
        return StaffVisit(
            session_id="",
            account=account,
            language="de",
            csrf="token",
            ends_at=now + timedelta(minutes=10),
            fresh=fresh,
        )

    # --- what is drawn -------------------------------------------------------------------------

    def login(self, request: Request, problem: str | None = None) -> Response:
        return entry.show_form(request, self.house, 200, problem, "ada.berger" if problem else "")

    def enrol(self, request: Request, problem: str | None = None) -> Response:
        account = accounts.of_link(self.house, self.link)
        assert account is not None
        return entry._enrolment(request, self.house, account, self.link, 200, problem)

    def overview(self, request: Request, problem: str = "") -> Response:
        return pages._overview(request, self.house, request.state.visit, problem=problem)

    def cases(
        self, request: Request, which: str = "open", libraries: tuple[str, ...] = ("lindental",)
    ) -> Response:
        found, _ = inbox.cases_of(self.house, Wanted(libraries=libraries, which=which), 1)
        return screens.cases(
            request,
            found,
            more=True,
            kinds=["fees_differ", "unclear"],
            counts={"open": 12, "waiting": 1, "closed": 108},
            libraries=[("lindental", "Stadtbücherei Lindental"), ("seehausen", "Bücherei Seehausen")],
            chosen={"library": "", "kind": "", "which": which, "page": 2},
        )

    def case(self, request: Request, case_id: str, side: LibrarySide | None = None, **more: Any) -> Response:
        found = show.case(self.house, case_id)
        assert found is not None
        assert found.payment_id is not None
        file = inbox.payment_file(self.house, found.payment_id, case_id)
        desk = self.house.libraries["lindental"]
        asked = side or inbox.library_side(self.house, desk, found.payment_id)
        return screens.case(request, found, file, asked, names=inbox.names(self.house), **more)

    def orphan(self, request: Request) -> Response:
        found = show.case(self.house, self.open_case)
        assert found is not None
        facts: dict[str, Any] = {"cents": 1250, "at_provider": "pi_3Q8XW2M5R9BVC3DHYEA", "reason": "orphaned"}
        lonely = replace(
            found, payment_id=None, state=None, kind="unexpected", cents=1250, currency="EUR", facts=facts
        )
        reasons = [Said(actor="eva", at=self.house.world.now(), reason=REASON, reference="Kasse 17")]
        return screens.case(request, lonely, None, None, names={}, reasons=reasons)

    def payment(self, request: Request, payment_id: str, *, private: bool = True, **more: Any) -> Response:
        file = inbox.payment_file(self.house, payment_id)
        assert file is not None
        desk = self.house.libraries["lindental"]
        side = inbox.library_side(self.house, desk, payment_id) if private else None
        return screens.payment(request, file, side, names=inbox.names(self.house), **more)

    def payments(self, request: Request, *, searched: bool = False, none: bool = False) -> Response:
        found = () if none else inbox.newest(self.house, ["lindental"], None)
        return screens.page(
            request,
            "payments.html",
            payments=found,
            searched=searched,
            states=["paid", "settled"],
            libraries=[("lindental", "Stadtbücherei Lindental"), ("seehausen", "Bücherei Seehausen")],
            chosen={"library": "", "state": ""},
        )

    def refunds(self, request: Request, **more: Any) -> Response:
        waiting = inbox.asked(self.house, ["lindental"])
        assert waiting
        at = waiting[0][0].id if more.get("problem") else ""
        return screens.refunds(request, waiting, names=inbox.names(self.house), problem_at=at, **more)


def _form(problem: str) -> screens.Form:
    return screens.Form(problem=problem, choice="refund", reason=REASON, meaning="fee_stays", lines=("x",))


EXHIBITS: dict[str, tuple[str, Any]] = {
    "login": ("", lambda e, r: e.login(r)),
    "login-refused": ("", lambda e, r: e.login(r, "refused")),
    "enrol": ("", lambda e, r: e.enrol(r)),
    "enrol-code": ("", lambda e, r: e.enrol(r, "code")),
    "enrol-short": ("", lambda e, r: e.enrol(r, "short")),
    "codes": (
        "",
        lambda _, r: render.page(r, "staff/codes.html", codes=["7K3M-9QXA-01BC-DEFG-HJKM-NPQR"] * 10),
    ),
    "onward": ("", lambda _, r: render.page(r, "staff/onward.html", url="/staff/show/idle")),
    "idle": ("ada.berger", lambda _, r: render.page(r, "staff/idle.html")),
    "overview": ("ada.berger", lambda e, r: e.overview(r)),
    "overview-problem": ("ada.berger", lambda e, r: e.overview(r, "no_number")),
    "overview-technician": ("technician", lambda e, r: e.overview(r)),
    "cases": ("ada.berger", lambda e, r: e.cases(r)),
    "cases-closed": ("ada.berger", lambda e, r: e.cases(r, "closed")),
    "cases-none": ("ada.berger", lambda e, r: e.cases(r, libraries=("seehausen",))),
    "case": ("ada.berger", lambda e, r: e.case(r, e.open_case)),
    "case-refund-problem": ("ada.berger~", lambda e, r: e.case(r, e.open_case, form=_form("code"))),
    "case-conflict": ("ada.berger", lambda e, r: e.case(r, e.closed_case, form=_form("conflict"))),
    "case-closed": ("auditor", lambda e, r: e.case(r, e.closed_case, note="done")),
    "case-second-sum": ("eva", lambda e, r: e.case(r, e.second_sum)),
    "case-silent": ("ada.berger", lambda e, r: e.case(r, e.open_case, LibrarySide(problem="silent"))),
    "case-orphan": ("ada.berger", lambda e, r: e.orphan(r)),
    "case-orphan-treasurer": ("eva", lambda e, r: e.orphan(r)),
    "payment": ("ada.berger", lambda e, r: e.payment(r, e.office.settled)),
    "payment-technician": ("technician", lambda e, r: e.payment(r, e.open_payment, private=False)),
    "payment-problem": (
        "ada.berger~",
        lambda e, r: e.payment(r, e.office.settled, form=_form("no_meaning")),
    ),
    "payments": ("ada.berger", lambda e, r: e.payments(r)),
    "payments-searched": ("ada.berger", lambda e, r: e.payments(r, searched=True)),
    "payments-none": ("ada.berger", lambda e, r: e.payments(r, none=True)),
    "refunds": ("eva", lambda e, r: e.refunds(r)),
    "refunds-code": ("eva~", lambda e, r: e.refunds(r, problem="code")),
    "refunds-own": ("ada.berger", lambda e, r: e.refunds(r, note="second_person")),
    "journal": ("auditor", lambda e, r: pages.journal(r, e.house, r.state.visit)),
    "system": ("technician", lambda e, r: pages.system(r, e.house, r.state.visit)),
}


def _message_exhibit(code: str) -> Any:
    return lambda _, request: render.message(request, code, 200)


EXHIBITS |= {f"message-{code}": ("eva", _message_exhibit(code)) for code in MESSAGES}


def application(exhibition: Exhibition) -> ASGIApp:
    """Return the program with one more route that shows the exhibits, under the real headers."""
    app = browser_app(exhibition.house)

    @app.get("/staff/show/{name}", dependencies=[Depends(sessions.enter)])
    def shown(name: str, request: Request) -> Response:
        login, draw = EXHIBITS[name]
        who = login.removesuffix("~")
        request.state.visit = exhibition.visit(who, fresh=not login.endswith("~")) if who else None
        answer: Response = draw(exhibition, request)
        return answer

    # The routes of the program know /staff/... and /{library}/... already; this one goes first.
    app.router.routes.insert(0, app.router.routes.pop())
    return security.Headers(app, exhibition.house)
