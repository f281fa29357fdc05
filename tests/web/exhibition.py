"""Every state of every page, shown from made-up views: browser tests and text tests walk through it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from ils_payment.config import Library
from ils_payment.config.tariff_file import load_tariff
from ils_payment.domain.tariff import NoQuote, Quote
from ils_payment.flows.desk import Desk
from ils_payment.flows.paylink import LinkView
from ils_payment.flows.views import (
    NOT_BEGUN,
    CardView,
    ELendingView,
    FeeLine,
    FeesView,
    MethodChoice,
    PaidLine,
    PaymentView,
    RenewalView,
)
from ils_payment.model import Block, ContactData, Freshness, Hindrance, State, Verdict
from ils_payment.web import assets, explained, messages, paylinks, render, screens, security

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

NOW = datetime(2026, 11, 21, 18, 42, tzinfo=UTC)

LIBRARY = Library.model_validate(
    {
        "name": "Stadtbücherei Lindental",
        "library_system": {"plugin": "koha"},
        "providers": {"stripe": {}},
        "staff_email": "staff@lindental.example",
        "methods": [
            {"method": "card", "provider": "stripe", "minimum_amount": "1.00"},
            {"method": "instant_bank_transfer", "provider": "stripe"},
        ],
        "arrival": {"opac_url": "https://opac.example"},
        "contact": {
            "phone": "03944 555 0123",
            "mail": "buecherei@lindental.example",
            "hours": {
                "de": "Di bis Fr 10 bis 18 Uhr\nSa 10 bis 14 Uhr",
                "en": "Tue to Fri 10 to 18\nSat 10 to 14",
            },
        },
        "pages": {
            "imprint_url": "https://library.example/imprint",
            "privacy_url": "https://library.example/privacy",
            "accessibility_url": "https://library.example/accessibility",
            "accent": "#0b6e4f",
        },
        "receipt": {
            "authority": "Stadt Lindental",
            "address": ["Marktplatz 3", "38899 Lindental"],
            "tax_note": {
                "de": "Gebühr nach öffentlichem Recht; keine Umsatzsteuer.",
                "en": "Fee under public law; no VAT is charged.",
            },
        },
    }
)

OVERDUE = {"de": "Säumnisgebühr", "en": "Overdue fine"}
LINES = (
    FeeLine(
        key="101",
        kind="OVERDUE",
        label=OVERDUE,
        text="",
        title="Der Sommer am Wehr",
        cents=450,
        since=date(2026, 10, 2),
        payable=True,
    ),
    FeeLine(
        key="102",
        kind="RESERVE",
        label={"de": "Vormerkgebühr", "en": "Reservation fee"},
        text="",
        title="Kochen für Freunde: zweihundert Rezepte aus aller Welt, die immer gelingen",
        cents=100,
        since=date(2026, 11, 3),
        payable=True,
    ),
    FeeLine(
        key="103",
        kind="ACCOUNT",
        label={"de": "Jahresgebühr", "en": "Annual fee"},
        text="",
        title=None,
        cents=700,
        since=date(2026, 11, 15),
        payable=True,
    ),
)
FORBIDDEN = FeeLine(
    key="104",
    kind="LOST",
    label={"de": "Ersatz für ein verlorenes Buch", "en": "Replacement of a lost book"},
    text="Der große Atlas",
    title=None,
    cents=3900,
    since=date(2025, 1, 9),
    payable=False,
    reason={
        "de": "An die Stadtkasse abgegeben: bitte zahlen Sie dort.",
        "en": "Handed over to the city treasury: please pay there.",
    },
)
PAYMENT = PaymentView(
    payment_id="4N7KTPZ0Q8XW2M5R9BVC3DHYEA",
    number="ILSP-7K3M9Q-4",
    library="lindental",
    state=State.OPEN,
    void_reason=None,
    held=False,
    cents=1250,
    currency="EUR",
    method="card",
    provider="stripe",
    lines=tuple(
        PaidLine(
            kind=line.kind,
            label=line.label,
            text=line.text,
            cents=line.cents,
            cost_centre="",
            account="",
            tax_code="",
        )
        for line in LINES
    ),
    created_at=NOW - timedelta(minutes=3),
    paid_at=None,
    settled_at=None,
    receipt_number=None,
    marker=None,
    can_cancel=True,
    continue_url="https://pay.example/session",
    looking=False,
    test=False,
)
FEES = FeesView(
    currency="EUR",
    lines=(*LINES, FORBIDDEN),
    open_credit=0,
    payable_cents=1250,
    limit_cents=5150,
    methods=(
        MethodChoice(method="card", minimum_cents=100),
        MethodChoice(method="instant_bank_transfer", minimum_cents=0),
    ),
    running=(),
    paused=False,
    test_mode=False,
    read_at=NOW,
)

WHOLE = FeeLine(
    key="account",
    kind="account",
    label={"de": "Alle offenen Gebühren", "en": "All open fees"},
    text="Säumnisgebühr 8,50 EUR; Vormerkung 4,00 EUR",
    title=None,
    cents=1250,
    since=None,
    payable=True,
)

TARIFFS = Path(__file__).parents[2] / "examples" / "tariffs"
TOWN = load_tariff(TARIFFS / "town-library.toml")
CITY = load_tariff(TARIFFS / "city-library.toml")
CHANGING = replace(TOWN, versions=(*TOWN.versions, replace(CITY.versions[0], valid_from=date(2027, 1, 1))))


QUOTE = Quote(
    kind="annual_fee",
    cents=1000,
    category="ERW",
    base=date(2026, 11, 15),
    until=date(2027, 11, 21),
    version="2026-01-01",
    label={"de": "Jahresgebühr", "en": "Annual fee"},
    cost_centre="",
    account="",
    tax_code="",
)
CARD = CardView(
    number="21234000012345",
    valid_until=date(2026, 11, 15),
    expired=True,
    blocks=(Block(kind="expired"),),
    currency="EUR",
    quote=QUOTE,
    why_not=None,
    running=None,
    fees_first=False,
)
NO_QUOTE = NoQuote(
    code="too_early",
    text={
        "de": "Ihr Ausweis ist noch länger gültig. Ihre Bibliothek hilft Ihnen gern weiter.",
        "en": "Your card is still valid for some time. Your library will be glad to help.",
    },
    from_day=date(2027, 10, 16),
)
CONTACT = ContactData(
    name="Erika Mustermann",
    address=("Am langen Wehr hinter der alten Mühle 127", "38899 Lindental"),
    email="erika.mustermann.mit.langem.namen@mail.example",
)
LINK = LinkView(
    state="payable",
    number="•••• 2345",
    currency="EUR",
    quote=QUOTE,
    methods=(
        MethodChoice(method="card", minimum_cents=100),
        MethodChoice(method="instant_bank_transfer", minimum_cents=0),
    ),
)
PLATFORM = ELendingView(
    platform="onleihe",
    name="Onleihe",
    verdict=Verdict.OPEN,
    asked=True,
    looking=False,
    code="3",
    hindrances=(),
    as_of=NOW,
    freshness=Freshness.LIVE,
    delay=None,
)
PLATFORMS = {
    "fees": replace(
        PLATFORM,
        verdict=Verdict.BLOCKED,
        hindrances=(
            Hindrance(
                kind="fees",
                lifted_by="payment",
                text={"de": "Es sind noch Gebühren offen.", "en": "There are still open fees."},
            ),
        ),
    ),
    "open": PLATFORM,
    "probably": replace(PLATFORM, asked=False),
    "soon": replace(PLATFORM, freshness=Freshness.DELAYED, delay=timedelta(minutes=15)),
    "looking": replace(PLATFORM, verdict=Verdict.CANNOT_TELL, asked=False, looking=True),
    "unknown": replace(PLATFORM, verdict=Verdict.CANNOT_TELL, asked=False),
    "blocked": replace(
        PLATFORM,
        verdict=Verdict.BLOCKED,
        hindrances=(
            Hindrance(
                kind="overdues",
                lifted_by="return",
                text={"de": "Es sind Medien überfällig.", "en": "Items are overdue."},
            ),
            Hindrance(
                kind="restriction",
                lifted_by="library",
                text={"de": "Ihr Konto ist gesperrt.", "en": "Your account is blocked."},
            ),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One page in one state: how it is drawn, with or without a visit, live or in test mode."""

    draw: Callable[[Request], Response]
    visit: bool = True
    live: bool = True
    signs_in: bool = True


def payment(
    state: State, *, held: bool = False, test: bool = False, void_reason: str | None = None
) -> PaymentView:
    """Return the payment as it would be in *state*."""
    paid = state in {State.PAID, State.SETTLING, State.UNKNOWN, State.SETTLED, State.RESOLVED}
    waiting = state in {State.CREATED, State.OPEN}
    return replace(
        PAYMENT,
        state=state,
        held=held,
        test=test,
        void_reason=void_reason,
        paid_at=NOW - timedelta(seconds=20) if paid else None,
        settled_at=NOW - timedelta(seconds=9) if state is State.SETTLED else None,
        receipt_number="ILSP-7K3M9Q-4" if paid else None,
        can_cancel=waiting,
        continue_url=PAYMENT.continue_url if state is State.OPEN else None,
    )


VOID_REASONS = (None, "cancelled", "expired", "refused", "not_started")
PAYMENTS = {
    f"{state}{'-held' if held else ''}{'-test' if test else ''}": payment(state, held=held, test=test)
    for state, held, test in product(State, (False, True), (False, True))
} | {f"void-{reason}": payment(State.VOID, void_reason=reason) for reason in VOID_REASONS if reason}
PAYMENTS["open-looking"] = replace(PAYMENTS["open"], looking=True)
PAYMENTS["paid-long"] = replace(PAYMENTS["paid"], paid_at=NOW - timedelta(minutes=9))


RENEWAL_LINE = PaidLine(
    kind="annual_fee",
    label=None,
    text="Jahresgebühr",
    cents=1000,
    cost_centre="",
    account="",
    tax_code="",
    renews=True,
)


def renewing(name: str, *, what: str = "card", state: str = "renewed") -> PaymentView:
    """Return the payment *name* as one of a card: alone, with fees (``both``), or ``free``."""
    one = PAYMENTS[name]
    cents = 0 if what == "free" else 1000
    line = replace(RENEWAL_LINE, cents=cents)
    fees = one.lines if what == "both" else ()
    return replace(
        one,
        lines=(*fees, line),
        cents=cents + sum(fee.cents for fee in fees),
        method="none" if what == "free" else one.method,
        renewal=RenewalView(
            base=QUOTE.base, until=QUOTE.until, state=state, tariff=QUOTE.version, cents=cents
        ),
    )


RENEWALS = {
    **{f"{what}-settled": renewing("settled", what=what) for what in ("card", "both", "free")},
    **{f"{what}-paid": renewing("paid", what=what, state="due") for what in ("card", "both", "free")},
    "free-long": renewing("paid-long", what="free", state="tried"),
    **{
        f"{what}-paid-held": renewing("paid-held", what=what, state="given_up")
        for what in ("card", "both", "free")
    },
    **{f"{what}-settled-held": renewing("settled-held", what=what) for what in ("card", "free")},
    "free-resolved": renewing("resolved", what="free", state="given_up"),
    "card-open": renewing("open", state="due"),
    "card-open-held": renewing("open-held", state="due"),
    **{f"card-{name}": renewing(name, state="due") for name in ("void", "void-cancelled", "void-expired")},
}
LINKS = {
    "payable": LINK,
    "free": replace(LINK, quote=replace(QUOTE, cents=0)),
    "paused": replace(LINK, paused=True),
    "small": replace(LINK, methods=()),
    "running": LinkView(state="running", number=LINK.number, continue_url="https://pay.example/session"),
    **{
        state: LinkView(
            state=state, number="" if state in {"altered", "over"} else LINK.number, day=QUOTE.until
        )
        for state in paylinks.STATES
        if state != "running"
    },
}


def _card(problem: str | None = None, beside: FeesView | None = None, **changes: object) -> Exhibit:
    view = replace(CARD, **changes)  # type: ignore[arg-type]  # each caller knows the fields
    fees = beside or (FEES if view.quote else None)
    return Exhibit(lambda request: screens.card(request, view, fees, problem=problem))


def _link(name: str) -> Exhibit:
    view = LINKS[name]
    return Exhibit(
        lambda request: paylinks.page(
            request, request.app.state.house, view, changed=name == "payable" and "en" in str(request.url)
        ),
        visit=False,
    )


def _renewed(name: str, *, full: bool = True) -> Exhibit:
    one = RENEWALS[name]
    return Exhibit(lambda request: screens.status(request, one, full=full), visit=full)


def _elending(name: str) -> Exhibit:
    one, platform = RENEWALS["both-settled"], PLATFORMS[name]
    askable = [platform] if name in {"probably", "unknown"} else []
    problem = "refused" if name == "unknown" else None
    return Exhibit(
        lambda request: screens.status(
            request, one, full=True, platforms=[platform], askable=askable, problem=problem
        )
    )


def _status(name: str, *, full: bool = True) -> Exhibit:
    one = PAYMENTS[name]
    return Exhibit(lambda request: screens.status(request, one, full=full), visit=full, live=not one.test)


def _fees(**changes: object) -> Exhibit:
    view = replace(FEES, **changes)  # type: ignore[arg-type]  # each caller knows the fields
    return Exhibit(lambda request: screens.fees(request, view))


def _login(problem: str | None) -> Exhibit:
    return Exhibit(
        lambda request: render.page(
            request, "login.html", 401 if problem else 200, problem=problem, csrf="c", renews=problem is None
        ),
        visit=False,
    )


def _message(code: str, *, visit: bool) -> Exhibit:
    return Exhibit(
        lambda request: render.message(request, code, 200, payment_id=PAYMENT.payment_id), visit=visit
    )


RUNNING = tuple(replace(line, payable=False, running=PAYMENT.payment_id) for line in LINES)
EXHIBITS: dict[str, Exhibit] = {
    "fees": _fees(),
    "fees-running": _fees(lines=(*RUNNING[:2], LINES[2], FORBIDDEN), running=(PAYMENT,), payable_cents=700),
    "fees-all-running": _fees(lines=RUNNING, running=(PAYMENTS["pending"],), payable_cents=0),
    "fees-held": _fees(
        lines=(*RUNNING[:2], LINES[2], FORBIDDEN),
        running=(replace(PAYMENTS["paid-held"], created_at=NOW - timedelta(days=3)),),
        payable_cents=700,
    ),
    "fees-credit": _fees(lines=LINES, open_credit=300, limit_cents=950),
    "fees-credit-too-small": _fees(lines=LINES[2:], open_credit=300, payable_cents=700, limit_cents=400),
    "fees-credit-covers": _fees(lines=LINES, open_credit=2000, limit_cents=0),
    "fees-whole": _fees(lines=(WHOLE,), whole=True),
    "fees-none": _fees(lines=(), payable_cents=0, limit_cents=0),
    "fees-paused": _fees(paused=True),
    "fees-small": _fees(
        lines=(replace(LINES[1], cents=40),),
        payable_cents=40,
        limit_cents=40,
        methods=(MethodChoice(method="card", minimum_cents=100),),
    ),
    "fees-one-method": _fees(methods=(MethodChoice(method="card", minimum_cents=100),)),
    "fees-only-forbidden": _fees(lines=(FORBIDDEN,), payable_cents=0),
    "fees-test": replace(_fees(test_mode=True), live=False),
    "fees-problem": Exhibit(lambda request: screens.fees(request, FEES, chosen=(), problem="nothing_chosen")),
    "fees-cancelled": Exhibit(lambda request: screens.fees(request, FEES, cancelled=True)),
    "confirm": Exhibit(lambda request: screens.confirm(request, FEES, LINES, "card")),
    "confirm-test": Exhibit(lambda request: screens.confirm(request, FEES, LINES, "card"), live=False),
    "card": _card(),
    "card-valid": _card(expired=False, valid_until=date(2027, 11, 15), quote=None, why_not=NO_QUOTE),
    "card-blocked": _card(blocks=(Block(kind="lost_card", manual=True),)),
    "card-free": _card(quote=replace(QUOTE, cents=0)),
    "card-running": _card(running=PAYMENT.payment_id),
    "card-fees-first": _card(fees_first=True),
    "card-without-end": _card(valid_until=None, expired=False, quote=None, why_not=NO_QUOTE),
    "card-paused": _card(beside=replace(FEES, paused=True)),
    "card-small": _card(quote=replace(QUOTE, cents=50), beside=replace(FEES, methods=FEES.methods[:1])),
    "card-problem": _card("unknown_method"),
    "fees-with-card": Exhibit(lambda request: screens.fees(request, FEES, CARD)),
    "fees-with-card-wished": Exhibit(
        lambda request: screens.fees(
            request, FEES, replace(CARD, fees_first=True, expired=False), until=QUOTE.until
        )
    ),
    "fees-none-with-card": Exhibit(
        lambda request: screens.fees(request, replace(FEES, lines=(), payable_cents=0, limit_cents=0), CARD)
    ),
    "fees-renewal-running": Exhibit(
        lambda request: screens.fees(
            request, replace(FEES, running=(RENEWALS["card-open"], RENEWALS["card-paid-held"])), CARD
        )
    ),
    "confirm-long": Exhibit(
        lambda request: screens.confirm(
            request,
            FEES,
            (replace(LINES[0], label={"de": "Fernleihbestellungsbenutzungsgebühr", "en": "Fee"}),),
            "card",
            quote=replace(QUOTE, label={"de": "Jahresbenutzungsgebührenzuschlag", "en": "Annual fee"}),
        )
    ),
    "fees-long": _fees(
        lines=(
            replace(LINES[0], label={"de": "Fernleihbestellungsbenutzungsgebühr", "en": "Fee"}),
            *LINES[1:],
        )
    ),
    "confirm-both": Exhibit(lambda request: screens.confirm(request, FEES, LINES, "card", quote=QUOTE)),
    "confirm-card": Exhibit(
        lambda request: screens.confirm(request, FEES, (), "card", quote=QUOTE, contact=CONTACT)
    ),
    "confirm-free": Exhibit(
        lambda request: screens.confirm(
            request, FEES, (), "", quote=replace(QUOTE, cents=0), contact=ContactData()
        )
    ),
    "history-renewals": Exhibit(lambda request: screens.history(request, tuple(RENEWALS.values()))),
    "receipt-renewal": Exhibit(
        lambda request: screens.receipt(request, RENEWALS["both-settled"], mail=False)
    ),
    **{f"link-{name}": _link(name) for name in LINKS},
    **{f"renewal-{name}": _renewed(name) for name in RENEWALS},
    "renewal-return": _renewed("card-settled", full=False),
    **{f"elending-{name}": _elending(name) for name in PLATFORMS},
    "history": Exhibit(lambda request: screens.history(request, tuple(PAYMENTS.values()))),
    "history-none": Exhibit(lambda request: screens.history(request, ())),
    "receipt": Exhibit(lambda request: screens.receipt(request, PAYMENTS["settled"], mail=True)),
    "receipt-test": Exhibit(
        lambda request: screens.receipt(request, PAYMENTS["settled-test"], mail=False), live=False
    ),
    "receipt-problem": Exhibit(
        lambda request: screens.receipt(request, PAYMENTS["paid"], mail=True, email="ada@", wrong_email=True)
    ),
    "libraries": Exhibit(
        lambda request: render.page(
            request, "libraries.html", libraries=[("a", "Stadtbibliothek A"), ("b", "B")]
        ),
        visit=False,
    ),
    "explained": Exhibit(lambda request: explained.page(request, TOWN, NOW.date()), visit=False),
    "explained-signed-in": Exhibit(lambda request: explained.page(request, CITY, NOW.date())),
    "explained-coming": Exhibit(lambda request: explained.page(request, CHANGING, NOW.date()), visit=False),
    "explained-none": Exhibit(lambda request: explained.page(request, TOWN, date(2020, 1, 1)), visit=False),
    "idle": Exhibit(lambda request: render.page(request, "idle.html")),
    **{
        f"login-{problem or 'fresh'}": _login(problem)
        for problem in (None, "empty", "refused", "unavailable")
    },
    "login-elsewhere": replace(_login(None), signs_in=False),
    **{f"status-{name}": _status(name) for name in PAYMENTS},
    **{
        f"return-{name}": _status(name, full=False)
        for name in ("open", "unknown", "settled-test", "void-cancelled")
    },
    **{f"message-{code}": _message(code, visit=code in NOT_BEGUN) for code in messages.MESSAGES},
}


class _Provider:
    def __init__(self, *, live: bool) -> None:
        self._live = live

    def capabilities(self) -> SimpleNamespace:
        return SimpleNamespace(live=self._live, redirect_origins=("https://pay.example",))


def desk(*, live: bool, library: Library = LIBRARY, signs_in: bool = True) -> Desk:
    """Return the library's desk; only what pages look at is there."""
    system = SimpleNamespace(capabilities=lambda: SimpleNamespace(sign_in=signs_in))
    return Desk("lindental", library, system, {"stripe": _Provider(live=live)}, TOWN)  # type: ignore[arg-type, dict-item]  # pages look at nothing else


def application(library: Library = LIBRARY) -> ASGIApp:
    """Return an application that shows ``/lindental/show/<exhibit>`` with the real headers."""
    app = FastAPI(openapi_url=None)
    house: Any = SimpleNamespace(
        settings=SimpleNamespace(server=SimpleNamespace(public_url="http://127.0.0.1")),
        world=SimpleNamespace(now=lambda: NOW, can_mail=True, random_bytes=lambda count: b"x" * count),
        installation=SimpleNamespace(secret=b"secret"),
        libraries={"lindental": desk(live=True, library=library)},
    )
    app.state.house = house
    app.include_router(assets.router)

    @app.get("/lindental/show/{name}")
    def show(name: str, request: Request) -> Response:
        exhibit = EXHIBITS[name]
        request.state.desk = desk(live=exhibit.live, library=library, signs_in=exhibit.signs_in)
        ends_at = NOW + timedelta(minutes=10)
        request.state.visit = (
            SimpleNamespace(csrf="token", language="de", ends_at=ends_at) if exhibit.visit else None
        )
        return exhibit.draw(request)

    return security.Headers(app, house)
