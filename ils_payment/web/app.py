"""The web application, put together: webhooks and health outside, pages and API inside of the protection.

Webhooks, health and metrics are plain routes beside the FastAPI application: they need none of
what protects a browser, and a provider that calls a thousand times a second should not pay for it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Mount, Router
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ils_payment import __version__
from ils_payment.errors import StoreBusyError
from ils_payment.store import staff as staff_accounts
from ils_payment.store.sessions import purge
from ils_payment.web import (
    api,
    api_docs,
    arrival,
    assets,
    choosing,
    elending,
    explained,
    pages,
    paylinks,
    refusals,
    render,
    security,
    sessions,
    staff,
)
from ils_payment.web.health import Health
from ils_payment.web.intake import Intake
from ils_payment.web.metrics import Metrics
from ils_payment.web.staff import IDLE as STAFF_IDLE
from ils_payment.web.turns import Turns
from ils_payment.web.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.routing import BaseRoute, Route
    from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

    from ils_payment.flows.house import House

PURGE_EVERY = 60.0
# FastAPI would hand addresses, and the tokens in them, to whatever OpenTelemetry finds in the environment.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}

log = structlog.get_logger(__name__)


def create_app(house: House) -> Starlette:
    """Return the ASGI application that serves *house*. Its lifespan must be run: it owns the intake."""
    intake = Intake(house)
    metrics = Metrics(house, intake)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        intake.start()
        purging = asyncio.create_task(_purge_now_and_then(house))
        yield
        purging.cancel()
        await intake.stop()

    webhook = Webhooks(house, intake, metrics).route()
    browsers = browser_app(house)
    routes: list[BaseRoute] = [*Health(house, metrics).routes()]
    if elending.is_needed(house):
        asked = elending.ELending(house, browsers.state.turns)
        routes.append(Mount("/elending", app=_believing(asked.router(), house)))
    others = Router([*routes, Mount("/", app=_believing(browsers, house))])
    return Application(webhook, routes=[Mount("/", security.Headers(others, house))], lifespan=lifespan)


class Application(Starlette):
    """Asks the webhooks' route before Starlette's own layers, which cost as much as the route itself."""

    def __init__(self, webhook: Route, *, routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette]) -> None:
        """Keep the route apart from the others."""
        super().__init__(routes=routes, lifespan=lifespan)
        self._webhook = webhook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            match, found = self._webhook.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                await self._webhook.handle(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def browser_app(house: House) -> FastAPI:
    """Return pages and API, unprotected."""
    app = FastAPI(
        title="ils-payment",
        version=__version__,
        description=api.DESCRIPTION,
        openapi_url=f"{refusals.API_PATH}/openapi.json",
        docs_url=None,
        redoc_url=None,
        max_body_size=security.MAX_BODY,
        telemetry=_NO_TELEMETRY,
    )
    app.state.house = house
    app.state.turns = Turns()
    refusals.install(app)
    app.add_api_route("/", _front, methods=["GET", "HEAD"], include_in_schema=False)
    for router in (arrival.router, choosing.router, explained.router, pages.router, paylinks.router):
        _answer_head(router)
    staff.install(app, house)
    app.include_router(assets.router)
    app.include_router(api_docs.router)
    app.include_router(api.router)
    app.include_router(arrival.router)
    app.include_router(explained.router)
    for router in (choosing.router, pages.router, paylinks.router):
        app.include_router(router, dependencies=[Depends(security.same_site)])
    return app


def _believing(app: ASGIApp, house: House) -> ASGIApp:
    """Let pages and API see the right host only, and the sender as the web server in front says it."""
    proxies = list(house.settings.server.trusted_proxies)
    believing: ASGIApp = ProxyHeadersMiddleware(app, trusted_hosts=proxies)  # type: ignore[assignment, arg-type]  # uvicorn spells the ASGI types in its own way
    return security.RightHost(believing, house)


def _answer_head(router: APIRouter) -> None:
    """Let pages be asked for their head only, as link checkers do, save where it would use a token up."""
    for route in router.routes:
        if not isinstance(route, APIRoute) or getattr(route.endpoint, "cross_site", False):
            continue
        if route.methods and "GET" in route.methods:
            route.methods.add("HEAD")


async def _front(request: Request) -> Response:
    """Lead to the only library, or let the visitor choose."""
    libraries = sessions.the_house(request).libraries
    if len(libraries) == 1:
        return RedirectResponse(f"/{next(iter(libraries))}/", 303)
    names = [(key, desk.settings.name) for key, desk in libraries.items()]
    return render.page(request, "libraries.html", libraries=names)


async def _purge_now_and_then(house: House) -> None:
    """Delete ended sessions, used tokens and counters soon after they have expired."""
    while True:
        try:
            await run_in_threadpool(_purge, house)
        except Exception as error:  # noqa: BLE001 - the next round may succeed, if there is one
            log.error("purge_failed", reason=type(error).__name__)  # noqa: TRY400 - a line every minute is enough
        await asyncio.sleep(PURGE_EVERY)


def _purge(house: House) -> None:
    try:
        with house.store.unit() as unit:
            purge(unit, unit.now - sessions.IDLE)
            staff_accounts.purge(unit, unit.now - STAFF_IDLE)
    except StoreBusyError as error:
        log.warning("purge_postponed", reason=error.what)
