"""Where eLending platforms ask about patrons at each login: ``/elending/{library}/{name}``, POST only.

There is no such address unless a platform that asks is configured. What it posts holds a card number and a
PIN: neither is logged or kept, and nothing of an answer is remembered, so that the next one is current the
moment a payment settles.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import structlog
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from ils_payment.errors import RemoteError
from ils_payment.model import RawRequest, Refused, Reply, Unavailable
from ils_payment.ports import Serving
from ils_payment.web import arrival, limits

if TYPE_CHECKING:
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Account, Card, PatronRef
    from ils_payment.web.turns import Turns

MAX_BODY = 8 * 1024
"""Bytes of a question: a card number and a PIN are far shorter."""
BODY_SECONDS = 10.0

_NOT_FOUND = Reply(status=404, body=b"No such platform.\n")
_TOO_LARGE = Reply(status=413, body=b"The question is too large.\n")
_BUSY = Reply(status=503, headers=(("retry-after", "60"),))

log = structlog.get_logger(__name__)


def is_needed(house: House) -> bool:
    """Tell whether any library has a platform that asks."""
    return any(
        platform.capabilities().inbound
        for desk in house.libraries.values()
        for platform in desk.elending.values()
    )


class ELending:
    """The answers to all platforms of all libraries, below ``/elending``."""

    def __init__(self, house: House, turns: Turns) -> None:
        """Keep the house and the turns at its library systems, which pages take too."""
        self._house = house
        self._turns = turns

    def router(self) -> Router:
        """Return the one route."""
        return Router([Route("/{library}/{name}", self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> Response:
        """Answer one question."""
        reply, granted = await self._reply(request)
        # That a PIN was right is written down when the answer is on its way: the Onleihe need not wait.
        later = BackgroundTask(limits.taken_back, self._house, granted) if granted else None
        return Response(reply.body, reply.status, headers=dict(reply.headers), background=later)

    async def _reply(self, request: Request) -> tuple[Reply, limits.Attempt | None]:
        library, name = request.path_params["library"], request.path_params["name"]
        found = self._find(library, name)
        if found is None:
            return _NOT_FOUND, None
        desk, platform = found
        body = await _body(request)
        if body is None:
            return _TOO_LARGE, None
        raw = RawRequest(
            method=request.method,
            path=f"/elending/{library}/{name}",
            query=request.url.query,
            headers={key.lower(): value for key, value in request.headers.items()},
            body=body,
        )
        source = request.client.host if request.client else ""
        reader = Reader(self._house, desk, source, self._turns)
        started = self._house.world.monotonic()
        try:
            reply = await self._turns.between(platform.serve, raw, source, reader)
        except RemoteError as error:
            log.warning("elending_not_answered", library=library, platform=name, reason=error.what)
            return _BUSY, reader.granted
        except Exception as error:  # noqa: BLE001 - a stranger's plugin; a traceback may show the card
            log.error("elending_failed", library=library, platform=name, reason=type(error).__name__)  # noqa: TRY400 - as above
            return _BUSY, reader.granted
        if reader.refused:
            # How long the library system took would tell whether there is such a card.
            await anyio.sleep(arrival.pause_of(self._house.world.monotonic() - started, 0))
        return reply, reader.granted

    def _find(self, library: str, name: str) -> tuple[Desk, Serving] | None:
        """Return the platform with its desk; None for one that does not ask us."""
        desk = self._house.libraries.get(library)
        platform: object = desk.elending.get(name) if desk else None
        if desk is None or not isinstance(platform, Serving):
            return None
        return (desk, platform) if desk.elending[name].capabilities().inbound else None


async def _body(request: Request) -> bytes | None:
    """Return the body; None when it is too large, too slow, or its sender has gone."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    return None
    except (TimeoutError, ClientDisconnect):
        return None
    return body


class Reader:
    """The library system as a platform may see it, for one question: a ``LibraryReader``.

    A sign-in counts with those of the pages against the same card, so that both together stay below the
    number at which the library system locks it. Each question takes a turn of its own: who only waits for
    the account keeps nobody from signing in.
    """

    def __init__(self, house: House, desk: Desk, source: str, turns: Turns) -> None:
        """Read at *desk* for the platform that asks from *source*."""
        self._house = house
        self._desk = desk
        self._source = source
        self._turns = turns
        self.refused = False
        self.granted: limits.Attempt | None = None
        """The sign-in that was right, for whoever takes it back from the count."""

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Ask the library system; ``Refused`` without asking it after too many wrong PINs."""
        attempt = limits.reserve_asked(self._house, self._desk.key, card, self._source)
        if attempt is None:
            self.refused = True
            return Refused()
        try:
            with self._turns.held(self._desk, sign_in=True):
                found = self._desk.system.sign_in(card, pin)
        except RemoteError as error:
            found = Unavailable(error.what)
        if isinstance(found, Unavailable):
            limits.unanswered(self._house, attempt)
        elif isinstance(found, Refused):
            self.refused = True
            log.info("elending_refused", library=self._desk.key, wrong_before=attempt.before)
        else:
            self.granted = attempt
        return found

    def account(self, patron: PatronRef) -> Account:
        """Read fees and balance fresh. Raises RemoteError."""
        with self._turns.held(self._desk):
            return self._desk.account(patron)

    def card(self, patron: PatronRef) -> Card:
        """Read the card fresh. Raises RemoteError."""
        with self._turns.held(self._desk):
            return self._desk.system.card(patron)
