"""``/health`` for whoever watches the service, ``/metrics`` for Prometheus. Nothing personal in either."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import structlog
from anyio import CapacityLimiter, to_thread
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ils_payment.errors import StoreBusyError
from ils_payment.store.installation import is_paused
from ils_payment.store.migrations import HEAD
from ils_payment.transport import is_loopback

if TYPE_CHECKING:
    from starlette.requests import Request

    from ils_payment.flows.house import House
    from ils_payment.web.metrics import Metrics

# A request that a proxy passed on carries one of these; it is not from this host even if the proxy is.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")

log = structlog.get_logger(__name__)


class Health:
    """The three addresses."""

    def __init__(self, house: House, metrics: Metrics) -> None:
        """Keep what all of them need."""
        self._house = house
        self._metrics = metrics
        # Threads of their own: however busy the pages are, the watchman gets an answer.
        self._watchman, self._scraper = CapacityLimiter(2), CapacityLimiter(1)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/health", self.health),
            Route("/health/live", self.live),
            Route("/metrics", self.metrics),
        ]

    async def live(self, request: Request) -> Response:
        """Answer 200 as long as this process answers at all: whoever gets none may start it anew."""
        return _said({"status": "ok"})

    async def health(self, request: Request) -> Response:
        """Answer 200 when requests may be sent here: the database can be read and has the right schema.

        A paused program is well: it shows its pages, takes webhooks and settles.
        """
        said = await to_thread.run_sync(self._state, limiter=self._watchman)
        return _said(said, 200 if said["status"] == "ok" else 503)

    def _state(self) -> dict[str, str | bool]:
        try:
            with self._house.store.read() as unit:
                schema = unit.connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
                if schema == HEAD:
                    unit.connection.execute(text("SELECT id FROM installation")).scalar_one()
                    return {"status": "ok", "paused": is_paused(unit)}
        except (SQLAlchemyError, StoreBusyError) as error:
            log.error("database_unreadable", reason=type(error).__name__)  # noqa: TRY400 - a probe every few seconds would fill the log
            return {"status": "database unreadable"}
        log.error("database_of_another_version", found=schema, needed=HEAD)
        return {"status": "database of another version"}

    async def metrics(self, request: Request) -> Response:
        """Answer this host, and whoever has the configured token."""
        if not self._may_read(request):
            return PlainTextResponse("Not for you.\n", 403)
        body = await to_thread.run_sync(self._metrics.text, limiter=self._scraper)
        return Response(body, media_type=CONTENT_TYPE_LATEST, headers={"cache-control": "no-store"})

    def _may_read(self, request: Request) -> bool:
        token = self._house.settings.server.metrics_token
        given = request.headers.get("authorization", "").encode()
        if token is not None and hmac.compare_digest(given, f"Bearer {token.get_secret_value()}".encode()):
            return True
        return _is_this_host(request)


def _said(what: dict[str, str | bool], status: int = 200) -> Response:
    return JSONResponse(what, status, {"cache-control": "no-store"})


def _is_this_host(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return is_loopback(request.client.host)
