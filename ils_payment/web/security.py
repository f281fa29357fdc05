"""What protects every page: headers, the right host, and the proof that a form is ours."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from ils_payment.web import cookies

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ils_payment.flows.house import House

MAX_BODY = 64 * 1024
"""No form and no API call of ours is larger."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_Endpoint = TypeVar("_Endpoint", bound="Callable[..., object]")

log = structlog.get_logger(__name__)


# --- headers -----------------------------------------------------------------------------------

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
}
_UNLESS_SET = {"cache-control": "no-store"}
_TWO_YEARS = "max-age=63072000"


def content_policy(house: House, library: str | None = None) -> str:
    """Return the Content-Security-Policy of a library's pages (None: of all others).

    Chromium holds the redirect that answers a form against ``form-action``, so the origins of
    the library's providers stand there.
    """
    origins: set[str] = set()
    if library is not None:
        for provider in house.libraries[library].providers.values():
            origins.update(provider.capabilities().redirect_origins)
    forms = " ".join(["'self'", *sorted(origins)])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"font-src 'self'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'"
    )


class Headers:
    """Puts the protecting headers on every answer, also on those of the layers below that failed."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        """Prepare the policy of each library once."""
        self._app = app
        self._policies = {f"/{key}": content_policy(house, key) for key in house.libraries}
        self._plain = content_policy(house)
        self._always = dict(_ALWAYS)
        if cookies.encrypted(house):
            self._always["strict-transport-security"] = _TWO_YEARS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the headers of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        library = "/" + scope["path"].lstrip("/").partition("/")[0]
        optional = {**_UNLESS_SET, "content-security-policy": self._policies.get(library, self._plain)}

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._always.items():
                    headers[name] = value
                for name, value in optional.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, complete)


# --- the host ----------------------------------------------------------------------------------


class RightHost:
    """Answers only under the public address: a made-up Host header must not reach any page."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        """Take host and port from ``server.public_url``."""
        self._app = app
        self._host = urlsplit(house.settings.server.public_url).netloc.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse another host with 421."""
        if scope["type"] == "http":
            hosts = [value.lower() for name, value in scope["headers"] if name == b"host"]
            if hosts != [self._host]:
                log.warning(
                    "wrong_host",
                    mend="Use server.public_url; a web server in front must pass the Host header on.",
                )
                refusal = PlainTextResponse("This host name is not served here.\n", status_code=421)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


# --- forms -------------------------------------------------------------------------------------


def cross_site(endpoint: _Endpoint) -> _Endpoint:
    """Mark an endpoint whose POST rightly comes from another site (a hand-over, a provider's return)."""
    endpoint.cross_site = True  # type: ignore[attr-defined]  # a mark that same_site() looks for
    return endpoint


async def same_site(request: Request) -> None:
    """Let a form pass only if it is from a page of ours: a dependency of all pages.

    The form carries a token that belongs to the visitor's cookie, of the session or, before
    signing in, of the form itself. Browsers say besides where a form comes from.
    """
    if request.method in _SAFE or getattr(request.scope.get("endpoint"), "cross_site", False):
        return
    # Whose session has ended may still hold its cookie, and signs in again with the form's.
    await form_of(request, cookies.session(request.path_params.get("library", "")), cookies.FORM)


async def form_of(request: Request, *whats: str) -> None:
    """Raise 403 unless the form comes from here, with the token of one of these cookies."""
    house: House = request.app.state.house
    if not _from_here(house, request):
        log.warning("form_from_elsewhere", path=request.scope["route"].path)
        raise HTTPException(403)
    held = [cookies.held(house, request, what) for what in whats]
    form = await request.form(max_files=0, max_fields=500)
    given = form.get("csrf")
    expected = [cookies.csrf(house, value).encode() for value in held if value]
    if isinstance(given, str) and any(hmac.compare_digest(given.encode(), one) for one in expected):
        return
    log.warning("form_without_its_token", path=request.scope["route"].path)
    raise HTTPException(403)


def _from_here(house: House, request: Request) -> bool:
    """Tell whether browser and form agree that the form comes from our own pages.

    With ``Referrer-Policy: no-referrer`` a browser sends ``Origin: null`` even from our own page,
    so Sec-Fetch-Site decides where it is sent, and a *named* foreign origin always refuses.
    """
    origin = request.headers.get("origin", "null")
    if origin not in {"null", house.settings.server.public_url}:
        return False
    return request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
