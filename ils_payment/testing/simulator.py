"""Simulated remotes: what every plugin's ``simulator.py`` is, and how it is served over real HTTP.

A simulator is a synchronous state machine with no clock, thread or randomness of its own, so
that a deterministic test can drive it in process and ``ils-payment demo`` can serve it on a
port. It imitates the remote's bad habits, and shows its ground truth to tests.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from ils_payment.model import RawRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

TRUTH_PATH = "/_simulator/truth"
DROPPED = 0
"""A reply with this status is none: the connection is closed, and the client cannot know what happened."""


class SimulatorWorld(Protocol):
    """What a simulator may use of the world outside of itself."""

    def now(self) -> datetime:
        """Return the current instant (UTC)."""

    def pause(self, name: str, seconds: float) -> None:
        """Let time pass at the named point; other requests may run meanwhile."""


class RealWorld:
    """The world of a simulator that is served over HTTP: real clock, real waiting."""

    def now(self) -> datetime:
        """Return the real time."""
        return datetime.now(UTC)

    def pause(self, name: str, seconds: float) -> None:
        """Really wait, if there is anything to wait for."""
        if seconds > 0:
            time.sleep(seconds)


class Simulator(Protocol):
    """One simulated remote."""

    def handle(self, request: RawRequest) -> Reply:
        """Answer one request as the remote would, or drop it (:data:`DROPPED`); called from many threads."""

    def truth(self) -> dict[str, Any]:
        """Return the whole state as JSON types: what tests and the demo compare with."""


def answer(simulator: Simulator, request: RawRequest) -> Reply:
    """Answer *request*, with the ground truth under :data:`TRUTH_PATH` beside the remote's own paths."""
    if request.path == TRUTH_PATH:
        body = json.dumps(simulator.truth(), default=str).encode()
        return Reply(status=200, body=body, headers=(("content-type", "application/json"),))
    return simulator.handle(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTLS:
    """How a simulator is served over HTTPS: files (PEM) of its own certificate and key.

    ``client_authority``: clients must have a certificate of this authority, or are not let in.
    """

    certificate: str
    key: str
    client_authority: str


@contextmanager
def serve(
    simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0, tls: ServerTLS | None = None
) -> Iterator[str]:
    """Serve *simulator* over HTTP in a thread of this process; yield its base address.

    ``port=0`` takes a free one; *tls* makes it HTTPS. Leaving the context stops the server.
    """
    # uvicorn and starlette are imported here so that simulators can be used without a server.
    import socket  # noqa: PLC0415 - see above
    import ssl  # noqa: PLC0415 - see above

    import uvicorn  # noqa: PLC0415 - see above
    from starlette.concurrency import run_in_threadpool  # noqa: PLC0415 - see above
    from starlette.requests import Request  # noqa: PLC0415 - see above
    from starlette.responses import Response  # noqa: PLC0415 - see above

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        raw = RawRequest(
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
        )
        reply = await run_in_threadpool(answer, simulator, raw)
        if reply.status == DROPPED:
            # Uvicorn's send belongs to the connection; ASGI itself has no word for closing one unanswered.
            send.__self__.transport.abort()  # type: ignore[attr-defined]  # any callable, to the type checker
            # Uvicorn has to learn of the loss first, or it would complain that nothing was sent.
            await receive()
            return
        response = Response(reply.body, status_code=reply.status)
        for name, value in reply.headers:
            response.headers.append(name, value)
        await response(scope, receive, send)

    listener = socket.create_server((host, port))
    secured: dict[str, Any] = {}
    if tls is not None:
        secured = {
            "ssl_certfile": tls.certificate,
            "ssl_keyfile": tls.key,
            "ssl_ca_certs": tls.client_authority,
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
        }
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False, **secured)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 15
        while not server.started:
            if time.monotonic() > deadline:  # pragma: no cover - only on a broken machine
                raise RuntimeError("the simulator did not start within 15 s")
            time.sleep(0.01)
        yield f"http{'s' if tls else ''}://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
