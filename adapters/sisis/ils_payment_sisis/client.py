"""Transport to an SLNP server: one connection for one piece of work, within a deadline.

Nothing is kept open: an answer can then only be one to what was asked just now.
"""

from __future__ import annotations

import contextlib
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ils_payment.errors import RemoteGarbledError, RemoteRefusedError, RemoteUnavailableError, why_unreachable
from ils_payment_sisis import wire

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterable, Iterator

    from ils_payment.ports import Host
    from ils_payment_sisis.config import SLNPTable
    from ils_payment_sisis.wire import Answer


class UnsayableError(RemoteRefusedError):
    """A card number or PIN that no line of the protocol can carry: nothing was sent."""


class Talk:
    """A connection that has greeted and, where the site wants it, logged in."""

    def __init__(self, link: socket.socket, table: SLNPTable, host: Host, seconds: float) -> None:
        self._link = link
        self._table = table
        self._host = host
        self._end = host.monotonic() + seconds
        self._buffer = b""
        self._charset = "ascii"
        self._always: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Read the greeting, and log in as the site wants it. Raises RemoteError."""
        table = self._table
        self._charset = wire.charset_of(self._line(), table.charset)
        if table.login == "opac":
            self.ask(wire.INIT, [("Kennung", table.user), ("Datenbank", table.database)])
        if table.login == "staff":
            secret = table.password.get_secret_value() if table.password else ""
            own = [("LoginKennung", table.user), ("ZweigStelle", table.branch)]
            self.ask(wire.STAFF_LOGIN, [*own, ("ParTyp", "BiblAllgemein"), ("SIASPasswort", secret)])
            self._always = own

    def ask(
        self, command: str, parameters: Iterable[tuple[str, str]], wanted: Collection[str] = ()
    ) -> Answer:
        """Send a command once and return the *wanted* keys of its answer. Raises RemoteError."""
        try:
            raw = wire.encode(command, [*self._always, *parameters], self._charset)
        except ValueError as error:
            raise UnsayableError(f"The command {command} was not sent: {error}.") from None
        self._send(raw)
        lines = [self._line()]
        while not wire.is_last(lines[-1]):
            lines.append(self._line())
        return wire.decode(lines, command, wanted, self._charset)

    def end(self) -> None:
        """Say goodbye, without waiting for what is said to it."""
        with contextlib.suppress(RemoteUnavailableError):
            self._send(wire.encode(wire.EXIT if self._table.login == "opac" else wire.QUIT, (), "ascii"))

    def _left(self) -> float:
        left = self._end - self._host.monotonic()
        if left <= 0:
            raise _slow()
        return left

    def _send(self, raw: bytes) -> None:
        try:
            self._link.settimeout(self._left())
            self._link.sendall(raw)
        except OSError as error:
            raise _lost(error) from None

    def _line(self) -> bytes:
        """Return the next line without its end, which is CRLF or LF."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > wire.MAX_BYTES:
                raise RemoteGarbledError("The SLNP server's answer does not end.")
            try:
                self._link.settimeout(self._left())
                chunk = self._link.recv(64 * 1024)
            except OSError as error:
                raise _lost(error) from None
            if not chunk:
                raise RemoteUnavailableError("The SLNP server closed the connection instead of answering.")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.removesuffix(b"\r")


@contextmanager
def talk(table: SLNPTable, host: Host, seconds: float) -> Iterator[Talk]:
    """Connect and log in, lend the connection, close it. Raises RemoteError."""
    link = _connected(table, host, seconds)
    try:
        talking = Talk(link, table, host, seconds)
        talking.begin()
        yield talking
        talking.end()
    finally:
        with contextlib.suppress(OSError):
            link.close()


def _connected(table: SLNPTable, host: Host, seconds: float) -> socket.socket:
    try:
        plain = host.connect((table.host, table.port), deadline=seconds)
        if table.security == "tunnel":
            return plain
        try:
            plain.settimeout(seconds)
            context = ssl.create_default_context(cafile=table.ca_file)
            return context.wrap_socket(plain, server_hostname=table.host)
        except (OSError, ValueError):
            plain.close()
            raise
    except (OSError, UnicodeError) as error:
        why, mend = why_unreachable(error, tcp=True)
        raise RemoteUnavailableError(
            f"The SLNP server cannot be reached: {why or 'the connection failed'} ({type(error).__name__}).",
            mend=mend,
        ) from None


def _slow() -> RemoteUnavailableError:
    return RemoteUnavailableError(
        "The SLNP server took too long to answer.",
        mend="Look at its load and its log; deadline_seconds says how long is waited.",
    )


def _lost(error: OSError) -> RemoteUnavailableError:
    if isinstance(error, TimeoutError):
        return _slow()
    return RemoteUnavailableError(f"The connection to the SLNP server broke ({type(error).__name__}).")
