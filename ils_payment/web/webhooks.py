"""Where providers tell us that something happened: ``/webhooks/{library}/{provider}``.

A plain route beside the pages' application. The raw bytes are verified before anything is
parsed; a notice is answered after it is on the disk; what it means is read from the provider
later, by the runner.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ils_payment.model import Forged, NoticeOutcome, RawRequest
from ils_payment.store import intake as rows
from ils_payment.web.intake import Intake, Outcome

if TYPE_CHECKING:
    from starlette.requests import Request

    from ils_payment.flows.house import House
    from ils_payment.model import Reply
    from ils_payment.web.health import Metrics

MAX_BODY = 256 * 1024
BODY_SECONDS = 10.0
LOG_FORGED_EVERY = 60.0

log = structlog.get_logger(__name__)


class Webhooks:
    """The endpoint of all providers of all libraries."""

    def __init__(self, house: House, intake: Intake, metrics: Metrics) -> None:
        """Keep what every request needs."""
        self._house = house
        self._intake = intake
        self._metrics = metrics
        self._logged: dict[tuple[str, str], float] = {}

    def route(self) -> Route:
        """Return the route."""
        return Route("/webhooks/{library}/{provider}", self.receive, methods=["GET", "POST"])

    async def receive(self, request: Request) -> Response:
        """Verify, store, answer."""
        library, name = request.path_params["library"], request.path_params["provider"]
        desk = self._house.libraries.get(library)
        provider = desk.providers.get(name) if desk else None
        if provider is None:
            return PlainTextResponse("No such webhook.\n", 404)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("The body did not come in time.\n", 408)
        if body is None:
            self._metrics.notice(library, name, "too_large")
            return PlainTextResponse("The body is too large.\n", 413)
        outcome = await self._take(library, name, _raw(request, body))
        return _response(provider.reply(outcome))

    async def _take(self, library: str, name: str, raw: RawRequest) -> NoticeOutcome:
        provider = self._house.libraries[library].providers[name]
        try:
            found = provider.notice(raw, self._house.world.now())
        except Exception:  # a plugin's mistake is ours: the provider shall come again
            log.exception("notice_not_understood", library=library, provider=name)
            self._metrics.notice(library, name, "failed")
            return NoticeOutcome.BUSY
        if isinstance(found, Forged):
            self._metrics.notice(library, name, "forged")
            self._log_forged(library, name, found)
            return NoticeOutcome.FORGED
        if not found:
            self._metrics.notice(library, name, "unneeded")
            return NoticeOutcome.STORED
        stored = await self._intake.put([rows.row(library, name, notice) for notice in found])
        self._metrics.notice(library, name, stored)
        return NoticeOutcome.STORED if stored is Outcome.STORED else NoticeOutcome.BUSY

    def _log_forged(self, library: str, name: str, forged: Forged) -> None:
        """Log a forgery, at most once a minute for each provider: strangers must not fill the disk."""
        now = self._house.world.monotonic()
        if now - self._logged.get((library, name), -LOG_FORGED_EVERY) >= LOG_FORGED_EVERY:
            self._logged[library, name] = now
            log.warning("webhook_forged", library=library, provider=name, reason=forged.reason)


async def _body(request: Request) -> bytes | None:
    """Return the raw body, None as soon as it is too large."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_BODY:
        return None
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _raw(request: Request, body: bytes) -> RawRequest:
    return RawRequest(
        method=request.method,
        path=request.scope["path"],
        query=request.scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]},
        body=body,
    )


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    for name, value in reply.headers:
        response.headers.append(name, value)
    return response
