"""Where providers tell us that something happened: ``/webhooks/{library}/{provider}``.

A plain ASGI endpoint beside the pages' application. The raw bytes are verified before anything
is parsed; a notice is answered after it is on the disk; what it means is read from the provider
later, by the runner.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from starlette.routing import Route

from ils_payment.model import Forged, NoticeOutcome, RawRequest, Reply
from ils_payment.store import intake as rows
from ils_payment.web.forgers import Forgers
from ils_payment.web.intake import Intake, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from ils_payment.flows.house import House
    from ils_payment.model import Notice
    from ils_payment.ports import PaymentProvider
    from ils_payment.web.metrics import Metrics

MAX_BODY = 256 * 1024
BODY_SECONDS = 10.0
LOG_FORGED_EVERY = 60.0

_NOT_ALLOWED = Reply(status=405, headers=(("allow", "GET, POST"),))
_TOO_MANY = Reply(status=429, headers=(("retry-after", "60"), ("connection", "close")))
_NOT_FOUND = Reply(status=404, body=b"No such webhook.\n")
_TOO_SLOW = Reply(status=408, body=b"The body did not come in time.\n", headers=(("connection", "close"),))
_TOO_LARGE = Reply(status=413, body=b"The body is too large.\n", headers=(("connection", "close"),))

# Nobody shall look at an answer of a webhook, but whoever does finds nothing that a browser would run.
_ALWAYS = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"cache-control", b"no-store"),
)

log = structlog.get_logger(__name__)


class _TooLargeError(Exception):
    """The body has more than :data:`MAX_BODY` bytes, or says that it will have."""


class Webhooks:
    """The endpoint of all providers of all libraries: an ASGI application."""

    def __init__(self, house: House, intake: Intake, metrics: Metrics) -> None:
        """Keep what every request needs."""
        self._house = house
        self._intake = intake
        self._metrics = metrics
        self._logged: dict[tuple[str, str], float] = {}
        self._forgers = Forgers(house)

    def route(self) -> Route:
        """Return the route."""
        return Route("/webhooks/{library}/{provider}", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await _send(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        if scope["method"] not in {"GET", "POST"}:  # Most providers POST, some GET.
            return _NOT_ALLOWED
        library, name = scope["path_params"]["library"], scope["path_params"]["provider"]
        desk = self._house.libraries.get(library)
        provider = desk.providers.get(name) if desk else None
        if provider is None:
            return _NOT_FOUND
        if self._forgers and await self._forgers.has(scope):
            self._metrics.notice(library, name, "refused")
            return _TOO_MANY
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body = await _body(headers, receive)
        except TimeoutError:
            return _TOO_SLOW
        except _TooLargeError:
            self._metrics.notice(library, name, "too_large")
            return _TOO_LARGE
        raw = RawRequest(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
        )
        outcome = await self._take(library, name, provider, raw)
        if outcome is NoticeOutcome.FORGED:
            await self._forgers.add(scope)
        elif outcome is NoticeOutcome.STORED:
            await self._forgers.signed(scope)
        return provider.reply(outcome)

    async def _take(
        self, library: str, name: str, provider: PaymentProvider, raw: RawRequest
    ) -> NoticeOutcome:
        try:
            found: Sequence[Notice] | Forged = provider.notice(raw, self._house.world.now())
        except Exception as error:  # noqa: BLE001 - a plugin's mistake is ours: the provider shall come again
            reason = type(error).__name__
            log.error("notice_not_understood", library=library, provider=name, reason=reason)  # noqa: TRY400 - a traceback may show the payer
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


async def _body(headers: dict[str, str], receive: Receive) -> bytes:
    """Return the raw body. TimeoutError when it does not come, or when the sender has gone."""
    declared = headers.get("content-length", "0")
    # Not every digit of Unicode is one for int(), nor is a number of thousands of digits.
    if declared.isascii() and declared.isdigit() and (len(declared) > 9 or int(declared) > MAX_BODY):
        raise _TooLargeError
    chunks: list[bytes] = []
    left = MAX_BODY
    async with asyncio.timeout(BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise TimeoutError
            chunk = message.get("body", b"")
            left -= len(chunk)
            if left < 0:
                raise _TooLargeError
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)


async def _send(send: Send, reply: Reply) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    given = {name for name, _ in headers}
    headers += [one for one in _ALWAYS if one[0] not in given]
    headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
