"""Simulated remotes that speak over a plain TCP connection: in process, and over a real socket.

As with :mod:`ils_payment.testing.simulator`, the simulator itself is a state machine without thread or clock
of its own; here it is given a connection to a test's world, or a port of this machine.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


class Conversation(Protocol):
    """One connection as the remote sees it."""

    over: bool
    """True when the remote has closed it; what it said before still arrives."""

    def greet(self) -> bytes:
        """Return what the remote says before it was asked anything."""

    def hear(self, data: bytes) -> bytes:
        """Take what came in, in pieces of any size, and return what is said to it; may take time."""


class StreamSimulator(Protocol):
    """One simulated remote that is reached over TCP."""

    def open(self) -> Conversation:
        """Accept one connection; called from many threads."""

    def truth(self) -> dict[str, Any]:
        """Return the whole state as JSON types: what tests and the demo compare with."""


class InProcessSocket:
    """The few methods of a socket that a client needs, with the simulator at the other end.

    A remote that stays silent costs the whole time-out of simulated time, and then is a ``TimeoutError``.
    """

    def __init__(self, simulator: StreamSimulator, pause: Callable[[float], None]) -> None:
        self._conversation = simulator.open()
        self._pause = pause
        self._arrived = self._conversation.greet()
        self._timeout: float | None = None
        self._closed = False

    def settimeout(self, seconds: float | None) -> None:
        """Wait at most so long from now on."""
        self._timeout = seconds

    def sendall(self, data: bytes) -> None:
        """Send everything; the remote hears it at once."""
        if self._closed or self._conversation.over:
            raise BrokenPipeError("the remote has closed the connection")
        self._arrived += self._conversation.hear(data)

    def recv(self, size: int) -> bytes:
        """Return what has arrived, ``b""`` at the end."""
        if self._arrived:
            taken, self._arrived = self._arrived[:size], self._arrived[size:]
            return taken
        if self._closed or self._conversation.over:
            return b""
        if self._timeout == 0:
            raise BlockingIOError("nothing has arrived")
        self._pause(self._timeout or 0.0)
        raise TimeoutError("nothing has arrived in time")

    def close(self) -> None:
        """Close this end."""
        self._closed = True


@contextmanager
def serve_stream(
    simulator: StreamSimulator, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, int]]:
    """Serve *simulator* over TCP in threads of this process; yield its address.

    ``port=0`` takes a free one. Leaving the context stops the server and closes every connection.
    """
    connections: set[socket.socket] = set()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # A client that goes away in the middle is nothing to tell anybody.
            with contextlib.suppress(OSError):
                link = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                connections.add(link)
                _converse(simulator.open(), link)
                link.close()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server((host, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield host, int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join(timeout=10)
            for link in connections:
                with contextlib.suppress(OSError):
                    # Closing alone would not wake the thread that reads from it.
                    link.shutdown(socket.SHUT_RDWR)


def _converse(conversation: Conversation, link: socket.socket) -> None:
    link.sendall(conversation.greet())
    while not conversation.over:
        data = link.recv(64 * 1024)
        if not data:
            return
        link.sendall(conversation.hear(data))
