"""The one place where templates become pages: brand, language, session clock, colours."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from ils_payment.web import cookies, messages, texts
from ils_payment.web.language import LANGUAGES, Tongue, accepted, translations
from ils_payment.web.words import N_

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.requests import Request

    from ils_payment import config
    from ils_payment.flows.desk import Desk
    from ils_payment.web.words import Words

LANGUAGE_COOKIE = "language"
WARN_BEFORE = 60
"""Seconds before the end of a session at which the reader is warned (WCAG 2.2.1 asks for 20 at least)."""

_KEPT = (
    "fee",
    "until",
    "renew",
    "method",
    "t",
    "to",
    "link",
    "library",
    "kind",
    "which",
    "what",
    "state",
    "number",
    "page",
)
"""The parameters that a page in another language still needs; an arrival token is not among them."""


@dataclass(frozen=True, slots=True)
class Wing:
    """A part of the house with a start page of its own and its own words for what goes wrong.

    A router names it in ``request.state.wing``; the pages of a library need none.
    """

    home: str
    """Path of its start page without the slash at the end; empty: of the library."""
    brand: str
    """What stands at the top where no library is known."""
    message_page: str
    messages: Mapping[str, Words]


_PATRONS = Wing("", N_("Pay library fees"), "message.html", messages.MESSAGES)


def page(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401 - what a template shows
    """Render the template *name* for the library, the language and the visit of *request*."""
    response = HTMLResponse(_html(request, name, context), status_code=status)
    wished = request.query_params.get("lang")
    if wished and wished == language(request):
        cookies.give(request.app.state.house, response, LANGUAGE_COOKIE, wished)
    return response


def message(request: Request, code: str, status: int, **context: Any) -> HTMLResponse:  # noqa: ANN401 - see page
    """Render one of :data:`messages.MESSAGES`: what happened, in plain words, and a way on."""
    wing = _wing(request)
    words = wing.messages[code].said(tongue(request))
    return page(request, wing.message_page, status, words=words, code=code, **context)


def language(request: Request) -> str:
    """Return the language: asked for, else chosen before, else of the visit, the browser, the library."""
    library = _library(request)
    offered = library.languages if library else tuple(LANGUAGES)
    visit = getattr(request.state, "visit", None)
    wishes = (
        request.query_params.get("lang"),
        cookies.held(request.app.state.house, request, LANGUAGE_COOKIE),
        visit.language if visit else None,
        accepted(request.headers.get("accept-language", ""), offered),
    )
    return next((wish for wish in wishes if wish in offered), offered[0])


def tongue(request: Request) -> Tongue:
    """Return language and time zone of the answer."""
    library = _library(request)
    zone = library.zone if library else getattr(request.state, "zone", ZoneInfo("Europe/Berlin"))
    return Tongue(language(request), zone)


def now(request: Request) -> datetime:
    """Return the instant by the house's clock."""
    instant: datetime = request.app.state.house.world.now()
    return instant


def seconds_left(request: Request, visit: AnyVisit) -> int:
    """Return for how many seconds the session of *visit* still lives if nothing more happens."""
    return max(0, int((visit.ends_at - now(request)).total_seconds()))


class AnyVisit(Protocol):
    """A session of a patron or of staff, as pages look at it."""

    @property
    def ends_at(self) -> datetime:
        """Return when it ends if nothing more happens."""


@cache
def fingerprint(file: str) -> str:
    """Return a short digest of a static file: a changed file has a new address."""
    content = (files("ils_payment.web") / "static" / file).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page needs around its content; the templates call it ``frame``."""

    home: str
    """Path of the library, e.g. ``/herrenberg``; empty where no library is known."""
    brand: str
    """What stands at the top and behind the title of the page."""
    library: config.Library | None
    live: bool
    signs_in: bool
    hands_over: bool
    explained: bool
    """Whether there is a page that explains the fees."""
    signed_in: bool
    csrf: str
    ends_in: int | None
    """Seconds until the session ends, or None."""
    languages: tuple[tuple[str, str, str], ...]
    """Code, own name and address of this page in each offered language."""
    theme: str | None
    """Address of the library's colours; the style sheet has colours of its own."""

    @property
    def csrf_field(self) -> Markup:
        """Return the hidden field that every form carries."""
        return Markup('<input type="hidden" name="csrf" value="{}">').format(self.csrf)


def _html(request: Request, name: str, context: dict[str, Any]) -> str:
    spoken = tongue(request)
    shown = {
        "frame": _frame(request, str(context.pop("csrf", ""))),
        "tongue": spoken,
        "texts": texts,
        "now": now(request),
        "visit": getattr(request.state, "visit", None),
        "warn_before": WARN_BEFORE,
        **context,
    }
    return _environment(spoken.code).get_template(name).render(shown)


def _frame(request: Request, csrf: str) -> Frame:
    desk: Desk | None = getattr(request.state, "desk", None)
    visit = getattr(request.state, "visit", None)
    library = desk.settings if desk else None
    accent = library.pages.accent if library and library.pages else ""
    return Frame(
        home=_home(request),
        brand=library.name if library else tongue(request).gettext(_wing(request).brand),
        library=library,
        live=desk.live if desk else True,
        signs_in=desk is not None and desk.signs_in,
        hands_over=desk is not None and desk.hands_over,
        explained=desk is not None and desk.tariff is not None,
        signed_in=visit is not None,
        csrf=csrf or (visit.csrf if visit else getattr(request.state, "csrf", "")),
        ends_in=seconds_left(request, visit) if visit else None,
        languages=_languages(request, library),
        theme=f"/static/theme/{desk.key}.css?v={accent.lstrip('#')}" if desk and accent else None,
    )


def _languages(request: Request, library: config.Library | None) -> tuple[tuple[str, str, str], ...]:
    """Return the language switch; the answer to a form leads back to the start, for it has no address."""
    offered = library.languages if library else tuple(LANGUAGES)
    path, kept = f"{_home(request)}/", []
    if request.method == "GET":
        # Two slashes at the beginning would lead to another host.
        path = "/" + request.url.path.lstrip("/")
        kept = [(key, value) for key, value in request.query_params.multi_items() if key in _KEPT]
    return tuple((code, LANGUAGES[code], f"{path}?{urlencode([*kept, ('lang', code)])}") for code in offered)


def _wing(request: Request) -> Wing:
    wing: Wing = getattr(request.state, "wing", _PATRONS)
    return wing


def _home(request: Request) -> str:
    """Return the path before the start page of the library, or of the wing, that the request is for."""
    desk: Desk | None = getattr(request.state, "desk", None)
    return f"/{desk.key}" if desk else _wing(request).home


def _library(request: Request) -> config.Library | None:
    desk: Desk | None = getattr(request.state, "desk", None)
    return desk.settings if desk else None


def _asset(file: str) -> str:
    return f"/static/{file}?v={fingerprint(file)}"


def _lines(value: str) -> Markup:
    """Write each line of a text of the configuration on a line of its own."""
    return Markup("<br>").join(escape(line) for line in value.splitlines())


def _tel(phone: str) -> str:
    """Return a telephone number as a ``tel:`` link has it: digits and a leading plus."""
    return "".join(sign for sign in phone.replace("(0)", "") if sign.isdigit() or sign == "+")


@cache
def _environment(code: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("ils_payment.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(translations(code), newstyle=True)  # type: ignore[attr-defined]  # the i18n extension adds it
    environment.globals["asset"] = _asset
    environment.filters["lines"] = _lines
    environment.filters["tel"] = _tel
    return environment
