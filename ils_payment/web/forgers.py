"""Who sends forged webhooks: after too many within a minute, what comes from there is not even read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ils_payment.web.limits import networks

if TYPE_CHECKING:
    from starlette.types import Scope

    from ils_payment.flows.house import House

MOST = 30
"""Forged requests from one address (IPv6: its /64) within a minute."""
MOST_SOURCES = 10_000
"""So many addresses are remembered within a minute: a flood from all over must not fill the memory."""
MINUTE = 60.0
TRUSTED = 86_400.0
"""Seconds for which an address is read in any case that has sent something signed."""


class Forgers:
    """The senders of forged requests of this minute, each with how many there were.

    An address that has sent signed notices is never among them: any other customer of the provider can
    let it send us notices with a signature of theirs. Where the web server in front does not say who is
    behind it, nobody is refused; all would look the same.
    """

    def __init__(self, house: House) -> None:
        """Remember nobody yet."""
        self._monotonic = house.world.monotonic
        self._since = self._monotonic()
        self._counts: dict[str, int] = {}
        self._signers: dict[str, float] = {}
        self._proxies = ProxyHeadersMiddleware(
            _nobody, trusted_hosts=list(house.settings.server.trusted_proxies)
        )

    def __bool__(self) -> bool:
        """Tell whether anybody is remembered: on a quiet day nothing else is asked."""
        return bool(self._counts)

    async def add(self, scope: Scope) -> None:
        """Count a forged request."""
        self._forget()
        source = await self._source(scope)
        if source and (source in self._counts or len(self._counts) < MOST_SOURCES):
            self._counts[source] = self._counts.get(source, 0) + 1

    async def signed(self, scope: Scope) -> None:
        """Note that a request was signed."""
        source = await self._source(scope)
        if source and (source in self._signers or len(self._signers) < MOST_SOURCES):
            self._signers[source] = self._monotonic()

    async def has(self, scope: Scope) -> bool:
        """Tell whether too many forged requests came from where this one comes from."""
        self._forget()
        source = await self._source(scope)
        trusted = self._monotonic() - self._signers.get(source, -TRUSTED) < TRUSTED
        return self._counts.get(source, 0) >= MOST and not trusted

    def _forget(self) -> None:
        now = self._monotonic()
        if now - self._since >= MINUTE:
            self._since = now
            self._counts.clear()

    async def _source(self, scope: Scope) -> str:
        """Return the address that the request comes from, "" where it cannot be known."""
        asked = dict(scope)
        await self._proxies(asked, _nobody, _nobody)  # type: ignore[arg-type]  # uvicorn spells the ASGI types in its own way
        client = asked.get("client")
        if not client or client[0] in self._proxies.trusted_hosts:
            return ""
        return networks(client[0])[0]


async def _nobody(*_: object) -> None:
    """Stand where the middleware wants an application and its ends: the scope is all that matters here."""
