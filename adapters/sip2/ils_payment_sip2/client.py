"""Transport to a SIP2 server: TLS, login, a small pool of connections, and what a failed call means.

A connection is used again only when it has answered everything, nothing has come unasked, and it has just
given a sign of life (message 99, where the dialect has it). So a payment is not sent into a connection that
the server has left meanwhile: its loss would be a case for a person.
"""

from __future__ import annotations

import ssl
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ils_payment.errors import (
    RemoteError,
    RemoteRefusedError,
    RemoteUnavailableError,
    why_unreachable,
)
from ils_payment_sip2 import wire
from ils_payment_sip2.connection import Connection, Deadline

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ils_payment.ports import Host
    from ils_payment_sip2.config import SIP2Config
    from ils_payment_sip2.wire import Message

_PROTOCOL = "2.00"
_FRESH_SECONDS = 2.0
"""A connection that has answered so recently needs no sign of life."""

Field = tuple[str, str]


class NotSentError(RemoteUnavailableError):
    """The message was never sent: the server certainly knows nothing of it."""


class SIP2Client:
    """Calls of one library's SIP2 server. Keeps nothing but connections, which may be lost at any time."""

    def __init__(self, config: SIP2Config, host: Host) -> None:
        """Keep *config* and *host*; no I/O."""
        self._config = config
        self._host = host
        self._idle: deque[Connection] = deque()
        self._slots = threading.BoundedSemaphore(config.connections)

    def ask_patron(self, card: str, pin: str | None) -> Message:
        """Read a patron with message 63 or 23; raise RemoteError. The answer may be about somebody else."""
        dialect = self._config.spoken
        fields = [("AO", self._config.institution), ("AA", card), *self._terminal()]
        if pin is not None:
            fields.append(("AD", pin))
        fixed, wanted = dialect.language + self._stamp(), "24"
        if dialect.read_with == "63":
            summary = "".join("Y" if place == dialect.summary else " " for place in range(10))
            fixed, wanted = fixed + summary, "64"
            # Without bounds some servers list only the first few fees.
            fields += [("BP", "1"), ("BQ", "9999")]
        deadline = Deadline(self._host, self._config.deadline_seconds)
        with self._connection(deadline) as connection:
            answer = connection.exchange(dialect.read_with, fixed, fields, wanted, deadline)
            self._done_with(card, connection, deadline)
            return answer

    def pay(self, card: str, fixed: str, fields: Iterable[Field], send_before: datetime | None) -> Message:
        """Send message 37 exactly once: **money moves here**. *fixed* follows the date.

        Raises NotSentError when the server certainly got nothing; any other RemoteError leaves it open.
        """
        deadline = Deadline(self._host, self._config.deadline_seconds)
        everything = [("AO", self._config.institution), ("AA", card), *self._terminal(), *fields]
        sending = False
        try:
            with self._connection(deadline, fresh=0.0) as connection:
                self._host.failpoint("sip2.settle.before")
                if send_before is not None and self._host.now() > send_before:
                    raise NotSentError("Connecting took so long that nothing was sent any more.")
                sending = True
                answer = connection.exchange("37", self._stamp() + fixed, everything, "38", deadline)
                self._host.failpoint("sip2.settle.after")
                self._done_with(card, connection, deadline)
                return answer
        except RemoteError as error:
            if sending:
                raise
            raise NotSentError(error.what, mend=error.mend) from None

    def greet(self) -> Message | None:
        """Connect and log in anew, and return the server's status (98), None where the dialect has none."""
        deadline = Deadline(self._host, self._config.deadline_seconds)
        self.close_idle()
        with self._connection(deadline) as connection:
            return self._status(connection, deadline) if self._config.spoken.status else None

    def close_idle(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self, deadline: Deadline, *, fresh: float = _FRESH_SECONDS) -> Iterator[Connection]:
        """Lend a connection that is logged in; it comes back to the pool only when it is clean.

        One that was last used more than *fresh* seconds ago gives a sign of life first.
        """
        if not self._slots.acquire(timeout=deadline.left):
            raise RemoteUnavailableError(
                "All connections to the SIP2 server are in use.",
                mend="Raise connections, if the server is licensed for more.",
            )
        connection = None
        try:
            connection = self._healthy(deadline, fresh) or self._opened(deadline)
            yield connection
        finally:
            if connection is not None:
                if connection.clean:
                    self._idle.append(connection)
                else:
                    connection.close()
            self._slots.release()

    def _healthy(self, deadline: Deadline, fresh: float) -> Connection | None:
        """Return an idle connection that certainly still stands; the others are closed."""
        while self._idle:
            connection = self._idle.pop()
            idle = self._host.monotonic() - connection.used_at
            if idle <= self._config.idle_seconds and connection.is_quiet():
                if idle < fresh or not self._config.spoken.status:
                    return connection
                try:
                    if wire.is_online(self._status(connection, deadline)):
                        return connection
                except RemoteError:
                    # A new connection will say what is wrong, if anything is.
                    pass
            connection.close()
        return None

    def _opened(self, deadline: Deadline) -> Connection:
        """Connect, encrypt, log in, ask for the status; raise RemoteError with the mend."""
        connection = Connection(self._connected(deadline), self._host, self._config.spoken)
        try:
            if self._config.spoken.login:
                self._log_in(connection, deadline)
            is_online = not self._config.spoken.status or wire.is_online(self._status(connection, deadline))
        except RemoteError:
            connection.close()
            raise
        if not is_online:
            connection.close()
            raise RemoteUnavailableError(
                "The SIP2 server says that its library system is offline.",
                mend="Wait for the end of its maintenance, or start the library system.",
            )
        return connection

    def _connected(self, deadline: Deadline) -> socket.socket:
        config = self._config
        try:
            plain = self._host.connect((config.host, config.port), deadline=deadline.left)
            if config.security == "tunnel":
                return plain
            try:
                plain.settimeout(deadline.left)
                context = ssl.create_default_context(cafile=config.ca_file)
                return context.wrap_socket(plain, server_hostname=config.host)
            except (OSError, ValueError):
                plain.close()
                raise
        except (OSError, UnicodeError) as error:
            why, mend = why_unreachable(error, tcp=True)
            raise RemoteUnavailableError(
                f"The SIP2 server cannot be reached: {why or 'the connection failed'} "
                f"({type(error).__name__}).",
                mend=mend,
            ) from None

    def _log_in(self, connection: Connection, deadline: Deadline) -> None:
        config = self._config
        password = config.password.get_secret_value() if config.password else ""
        fields = [("CN", config.user), ("CO", password)]
        if config.location:
            fields.append(("CP", config.location))
        # Both algorithms 0: user and password are not encrypted by SIP2 itself.
        if connection.exchange("93", "00", fields, "94", deadline).fixed != "1":
            raise RemoteRefusedError(
                "The SIP2 server refuses the login.",
                mend="Correct user, password and location, or let the server know this terminal.",
            )

    def _status(self, connection: Connection, deadline: Deadline) -> Message:
        """Ask for the server's status: code 0 (all is well), a paper width of 80, our version."""
        return connection.exchange("99", f"0080{_PROTOCOL}", (), "98", deadline)

    def _done_with(self, card: str, connection: Connection, deadline: Deadline) -> None:
        """End the patron's session where the dialect wants it; its failure only costs the connection."""
        if not self._config.spoken.end_session or not connection.clean:
            return
        fields = [("AO", self._config.institution), ("AA", card), *self._terminal()]
        try:
            connection.exchange("35", self._stamp(), fields, "36", deadline)
        except RemoteError:
            return

    def _terminal(self) -> list[Field]:
        secret = self._config.terminal_password
        return [("AC", secret.get_secret_value() if secret else "")]

    def _stamp(self) -> str:
        return wire.stamp(self._host.now(), ZoneInfo(self._host.library.time_zone), self._config.spoken)
