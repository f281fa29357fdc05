"""A Koha adapter against a simulated Koha that is served over real HTTP, in a world with its own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from ils_payment_koha.adapter import KohaSystem
from ils_payment_koha.config import KohaConfig
from ils_payment_koha.simulator import KohaSimulator
from pydantic import SecretStr

from ils_payment.model import RawRequest, Reply
from ils_payment.ports import LibraryInfo
from ils_payment.testing.simulator import Simulator, serve
from ils_payment.world import PluginHost, World


class ShiftedWorld(World):
    """The real world, with a clock that a test moves on, and with failpoints that a test can listen to."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = 0.0
        self.failpoints: list[str] = []

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.shift)

    def monotonic(self) -> float:
        return super().monotonic() + self.shift

    def failpoint(self, name: str) -> None:
        self.failpoints.append(name)


class Canned:
    """A remote that keeps every request and gives the same answer to each, but lends out a token."""

    def __init__(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.reply = Reply(status=status, body=body, headers=headers)
        self.seen: list[RawRequest] = []

    def handle(self, request: RawRequest) -> Reply:
        self.seen.append(request)
        if request.path.endswith("/oauth/token"):
            return Reply(status=200, body=b'{"access_token": "t", "expires_in": 3600}')
        return self.reply

    def truth(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def world() -> ShiftedWorld:
    return ShiftedWorld()


@pytest.fixture
def koha() -> KohaSimulator:
    return KohaSimulator.demo()


class Street:
    """Many remotes behind one server, since each server takes a moment to stop: /1/api/v1, /2/api/v1."""

    def __init__(self) -> None:
        self.remotes: list[Simulator] = []

    def add(self, remote: Simulator) -> str:
        self.remotes.append(remote)
        return f"/{len(self.remotes)}"

    def handle(self, request: RawRequest) -> Reply:
        number, path = request.path.removeprefix("/").split("/", 1)
        return self.remotes[int(number) - 1].handle(replace(request, path=f"/{path}"))

    def truth(self) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="session")
def street() -> Iterator[tuple[Street, str]]:
    remotes = Street()
    with serve(remotes) as address:
        yield remotes, address


@pytest.fixture
def connect(world: ShiftedWorld, street: tuple[Street, str]) -> Callable[..., KohaSystem]:
    """Return an adapter for a simulator, which is served, or for an address; keywords configure it."""
    remotes, server = street

    def connected(remote: Simulator | str, **changes: Any) -> KohaSystem:
        address = remote if isinstance(remote, str) else server + remotes.add(remote)
        return _system(world, address, **changes)

    return connected


@pytest.fixture
def canned() -> type[Canned]:
    """The class of remotes that always answer the same."""
    return Canned


@pytest.fixture
def adapter(koha: KohaSimulator, connect: Callable[..., KohaSystem]) -> KohaSystem:
    return connect(koha)


def _system(world: World, address: str, **changes: Any) -> KohaSystem:
    library = LibraryInfo(
        key="lindental", name="Lindental", currency="EUR", languages=("de",), time_zone="Europe/Berlin"
    )
    fields = {
        "url": f"{address}/api/v1",
        "client_id": "ils-payment",
        "client_secret": SecretStr("demo-secret"),
    }
    deadline = changes.pop("deadline_seconds", None)
    config = KohaConfig(**(fields | changes))
    if deadline is not None:
        # Shorter than an administrator may choose, so that a test need not wait.
        config = config.model_copy(update={"deadline_seconds": deadline})
    return KohaSystem(config, PluginHost(world, library))
