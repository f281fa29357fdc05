"""``/health`` for whoever watches the service, ``/metrics`` for Prometheus. Nothing personal in either."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import TYPE_CHECKING

import structlog
from anyio import CapacityLimiter, to_thread
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.errors import StoreBusyError
from ils_payment.store import doors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric
    from starlette.requests import Request

    from ils_payment.flows.house import House
    from ils_payment.web.intake import Intake

# A request that a proxy passed on carries one of these; it is not from this host even if the proxy is.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")

log = structlog.get_logger(__name__)


class Metrics:
    """What is counted in this process, and what is read from the ledger when somebody asks."""

    def __init__(self, house: House, intake: Intake) -> None:
        """Register everything in a registry of its own."""
        self._registry = CollectorRegistry()
        self._children: dict[tuple[str, str, str], Counter] = {}
        self._notices = Counter(
            "ils_payment_webhook_requests",
            "Webhook requests by outcome: stored, unneeded, forged, refused, busy, failed, too_large.",
            ("library", "provider", "outcome"),
            registry=self._registry,
        )
        Gauge(
            "ils_payment_notice_queue",
            "Webhook requests that wait for their commit.",
            registry=self._registry,
        ).set_function(lambda: intake.depth)
        Gauge(
            "ils_payment_notices_repeated", "Notices that had come before.", registry=self._registry
        ).set_function(lambda: intake.repeated)
        self._registry.register(_Ledger(house))

    def notice(self, library: str, provider: str, outcome: str) -> None:
        """Count one webhook request; only configured names come here, so the table stays small."""
        child = self._children.get((library, provider, outcome))
        if child is None:
            child = self._notices.labels(library, provider, outcome)
            self._children[library, provider, outcome] = child
        child.inc()

    def text(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self._registry)


class _Ledger(Collector):
    """Payments by state, and how long the oldest paid one has been waiting to be settled."""

    def __init__(self, house: House) -> None:
        self._house = house

    def describe(self) -> list[Metric]:
        """Name nothing in advance: the ledger is read when somebody asks, not at the start."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the ledger."""
        with self._house.store.read() as unit:
            found = doors.state_counts(unit)
            now = unit.now
        states = GaugeMetricFamily("ils_payment_payments", "Payments by state.", labels=("library", "state"))
        held = GaugeMetricFamily(
            "ils_payment_payments_held", "Payments that wait for a person.", labels=("library",)
        )
        oldest = GaugeMetricFamily(
            "ils_payment_oldest_unsettled_seconds",
            "Age of the oldest payment that is paid and not settled.",
            labels=("library",),
        )
        for library in self._house.libraries:
            mine = [row for row in found if row.library == library]
            waiting = [
                row.oldest_paid_at for row in mine if row.state in PAID_UNSETTLED and row.oldest_paid_at
            ]
            held.add_metric((library,), sum(row.held for row in mine))
            oldest.add_metric((library,), max(((now - at).total_seconds() for at in waiting), default=0))
            for row in mine:
                states.add_metric((library, row.state), row.payments)
        yield from (states, held, oldest)


class Health:
    """The two addresses."""

    def __init__(self, house: House, metrics: Metrics) -> None:
        """Keep what both need."""
        self._house = house
        self._metrics = metrics
        # Threads of their own: however busy the pages are, the watchman gets an answer.
        self._watchman, self._scraper = CapacityLimiter(2), CapacityLimiter(1)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/health", self.health), Route("/metrics", self.metrics)]

    async def health(self, request: Request) -> Response:
        """Answer 200 when this process lives and can read its database, 503 otherwise."""
        readable = await to_thread.run_sync(self._readable, limiter=self._watchman)
        status = "ok" if readable else "database unreadable"
        return JSONResponse({"status": status}, 200 if readable else 503, {"cache-control": "no-store"})

    def _readable(self) -> bool:
        try:
            with self._house.store.read() as unit:
                unit.connection.execute(text("SELECT id FROM installation")).scalar_one()
        except (SQLAlchemyError, StoreBusyError) as error:
            log.error("database_unreadable", reason=type(error).__name__)  # noqa: TRY400 - a probe every few seconds would fill the log
            return False
        return True

    async def metrics(self, request: Request) -> Response:
        """Answer this host, and whoever has the configured token."""
        if not self._may_read(request):
            return PlainTextResponse("Not for you.\n", 403)
        try:
            body = await to_thread.run_sync(self._metrics.text, limiter=self._scraper)
        except StoreBusyError:
            return PlainTextResponse("The database cannot be read now.\n", 503)
        return Response(body, media_type=CONTENT_TYPE_LATEST, headers={"cache-control": "no-store"})

    def _may_read(self, request: Request) -> bool:
        token = self._house.settings.server.metrics_token
        given = request.headers.get("authorization", "").encode()
        if token is not None and hmac.compare_digest(given, f"Bearer {token.get_secret_value()}".encode()):
            return True
        return _is_this_host(request)


def _is_this_host(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
