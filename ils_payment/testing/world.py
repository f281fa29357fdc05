"""A world for tests: a clock that stands still until it is moved, seeded chance, remotes in process.

The plugins' and the core's own code runs unchanged on it; only what ``ils_payment.world`` does in
reality is replaced.
"""

from __future__ import annotations

import random  # noqa: TID251 - this is where a test's seeded chance comes from
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import NewConnectionError, ProtocolError

from ils_payment.model import RawRequest
from ils_payment.testing.simulator import answer
from ils_payment.testing.streams import InProcessSocket
from ils_payment.world import World

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from ils_payment.testing.simulator import Simulator
    from ils_payment.testing.streams import StreamSimulator

START = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


class Crash(BaseException):
    """The program dies here. A BaseException, so that no handler can survive it."""


class SimulatedWorld(World):
    """Clock, chance, HTTP and mail of a test.

    ``remotes`` maps ``host:port`` of an address to a simulator; an address that is not there
    refuses connections; ``streams`` does the same for plain TCP. ``on_failpoint`` is called with every
    failpoint's name and may raise :class:`Crash`; ``failpoints`` lists the names that were passed.
    ``mails`` keeps what was sent.
    """

    database_clock = False

    def __init__(self, *, seed: int = 0, start: datetime = START) -> None:
        super().__init__()
        self._instant = start
        self._random = random.Random(seed)
        self.remotes: dict[str, Simulator] = {}
        self.streams: dict[str, StreamSimulator] = {}
        self.failpoints: list[str] = []
        self.on_failpoint: Callable[[str], None] | None = None
        self.mails: list[tuple[str, str, str]] = []
        self.mail_works = True
        self.requests: list[tuple[str, str]] = []

    def now(self) -> datetime:
        """Return the simulated instant."""
        return self._instant

    def monotonic(self) -> float:
        """Return the simulated seconds."""
        return (self._instant - START).total_seconds()

    def pass_time(self, **parts: float) -> None:
        """Move the clock, e.g. ``pass_time(minutes=15)``."""
        self._instant += timedelta(**parts)

    def pause(self, name: str, seconds: float) -> None:
        """Let simulated time pass (``SimulatorWorld``)."""
        self.pass_time(seconds=seconds)

    def random_bytes(self, count: int) -> bytes:
        """Return seeded bytes."""
        return self._random.randbytes(count)

    def failpoint(self, name: str) -> None:
        """Note the failpoint, and do what the test wants there."""
        self.failpoints.append(name)
        if self.on_failpoint is not None:
            self.on_failpoint(name)

    def session(self, *, deadline: float, max_bytes: int) -> requests.Session:
        """Return a session whose requests end in the simulators."""
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", _InProcess(self, deadline))
        session.mount("http://", _InProcess(self, deadline))
        return session

    def connect(self, address: tuple[str, int], *, deadline: float) -> socket.socket:
        """Return a connection that ends in a simulator, or refuse it."""
        remote = self.streams.get(f"{address[0]}:{address[1]}")
        if remote is None:
            raise ConnectionRefusedError("connection refused")
        # As much of a socket as a client needs.
        return cast("socket.socket", InProcessSocket(remote, lambda seconds: self.pass_time(seconds=seconds)))

    @property
    def can_mail(self) -> bool:
        """Mail is always configured here."""
        return True

    def send_mail(self, recipient: str, subject: str, body: str) -> None:
        """Keep the mail, or fail like a mail server that is away."""
        if not self.mail_works:
            raise OSError("the mail server is away")
        self.mails.append((recipient, subject, body))


class _InProcess(BaseAdapter):
    """Hands a request to a simulator in this process, and its reply back as ``requests`` knows it."""

    def __init__(self, world: SimulatedWorld, deadline: float = float("inf")) -> None:
        super().__init__()
        self._world = world
        self._deadline = deadline

    def send(self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own signature
        """Answer one request; status 0 is a connection that broke after the request was read."""
        parts = urlsplit(request.url or "")
        remote = self._world.remotes.get(parts.netloc)
        if remote is None:
            raise requests.ConnectionError(
                NewConnectionError(None, "connection refused"),  # type: ignore[arg-type]  # the pool is not needed
                request=request,
            )
        body = request.body or b""
        raw = RawRequest(
            method=str(request.method),
            path=parts.path,
            query=parts.query,
            headers={name.lower(): str(value) for name, value in request.headers.items()},
            body=body.encode() if isinstance(body, str) else bytes(body),
        )
        self._world.requests.append((raw.method, raw.path))
        started = self._world.monotonic()
        reply = answer(remote, raw)
        if self._world.monotonic() - started > self._deadline:
            raise requests.ReadTimeout("no answer in time", request=request)
        if reply.status == 0:
            raise requests.ConnectionError(ProtocolError("Connection aborted."), request=request)
        raw_response = HTTPResponse(
            body=BytesIO(reply.body),
            headers=HTTPHeaderDict(reply.headers),
            status=reply.status,
            preload_content=False,
        )
        response = requests.adapters.HTTPAdapter().build_response(request, raw_response)
        response._content = reply.body  # noqa: SLF001 - the whole body is here already
        return response

    def close(self) -> None:
        """Nothing is open."""
