"""One connection to a SIP2 server: bytes out, one message back, within a deadline.

A connection is used for one exchange at a time. It is *clean* when every message that was sent has got its
answer and nothing else has come; only a clean one is ever used again.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

from ils_payment.errors import RemoteGarbledError, RemoteUnavailableError
from ils_payment_sip2 import wire

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from ils_payment.ports import Host
    from ils_payment_sip2.dialect import Dialect
    from ils_payment_sip2.wire import Message

_STALE_ANSWERS = 3
"""So many answers to earlier messages are passed over before the connection is given up."""


class Deadline:
    """The end of an operation, by the host's clock."""

    def __init__(self, host: Host, seconds: float) -> None:
        self._host = host
        self._end = host.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left; RemoteUnavailableError when there are none."""
        left = self._end - self._host.monotonic()
        if left <= 0:
            raise RemoteUnavailableError(
                "The SIP2 server took too long to answer.",
                mend="Look at its load and its log; deadline_seconds says how long is waited.",
            )
        return left


class Connection:
    """A connected, perhaps encrypted, socket and what is left over from reading it."""

    def __init__(self, sock: socket.socket, host: Host, dialect: Dialect) -> None:
        self._socket = sock
        self._host = host
        self._dialect = dialect
        self._buffer = b""
        self._sequence = -1
        self.clean = True
        self.used_at = host.monotonic()

    def __del__(self) -> None:
        # Nobody tells a plugin that it is not needed any more, so its connections end with it.
        self.close()

    def exchange(
        self, code: str, fixed: str, fields: Iterable[tuple[str, str]], wanted: str, deadline: Deadline
    ) -> Message:
        """Send one message, exactly once, and return its answer, which has the code *wanted*.

        A damaged answer is asked for once more with message 97, which makes the server repeat what it said,
        and not what it did. RemoteError for everything else; ValueError, before anything is sent, for a value
        that no message can carry.
        """
        self._sequence = (self._sequence + 1) % 10
        raw = wire.encode(code, fixed, fields, self._dialect, self._sequence)
        self.clean = False
        self._send(raw, deadline)
        try:
            answer = self._answer(deadline)
        except wire.ChecksumError:
            # Message 97 has no sequence number, and the answer repeats the number that it had.
            again = wire.encode(
                "97", "", (), self._dialect.model_copy(update={"error_detection": False}), None
            )
            self._send(again, deadline)
            answer = self._answer(deadline)
        if answer.code != wanted:
            raise RemoteGarbledError(
                f"The SIP2 server answered message {code} with {answer.code}.",
                mend="Does the server support this message? ils-payment check says what it tells of itself."
                if answer.code != "96"
                else "It could not read the message: is error_detection in the dialect right?",
            )
        # What came beside the answer belongs to no question.
        self.clean = not self._buffer.strip(b"\r\n\0 ")
        self.used_at = self._host.monotonic()
        return answer

    def is_quiet(self) -> bool:
        """Tell whether the connection still stands and nothing has come unasked."""
        if not self.clean:
            return False
        try:
            self._socket.settimeout(0.0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the socket; what the other side makes of it is of no interest."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send(self, raw: bytes, deadline: Deadline) -> None:
        try:
            self._socket.settimeout(deadline.left)
            self._socket.sendall(raw)
        except OSError as error:
            raise _lost(error) from None

    def _answer(self, deadline: Deadline) -> Message:
        """Return the next message that answers the last one; answers to earlier ones are passed over."""
        for _ in range(_STALE_ANSWERS + 1):
            message = wire.decode(self._line(deadline), self._dialect)
            if message.sequence is None or message.sequence == self._sequence:
                return message
        raise RemoteGarbledError(
            "The SIP2 server answers with other sequence numbers than those that were sent.",
            mend="If it always does, write dialect = { error_detection = false }.",
        )

    def _line(self, deadline: Deadline) -> bytes:
        """Return the bytes up to the next terminator, whichever of the three it is."""
        while True:
            self._buffer = self._buffer.lstrip(b"\r\n\0 ")
            ends = [end for mark in (b"\r", b"\n") if (end := self._buffer.find(mark)) >= 0]
            if ends:
                line, self._buffer = self._buffer[: min(ends)], self._buffer[min(ends) + 1 :]
                return line
            if len(self._buffer) > wire.MAX_BYTES:
                raise RemoteGarbledError("The SIP2 server's answer does not end.")
            try:
                self._socket.settimeout(deadline.left)
                chunk = self._socket.recv(64 * 1024)
            except OSError as error:
                raise _lost(error) from None
            if not chunk:
                raise RemoteUnavailableError("The SIP2 server closed the connection instead of answering.")
            self._buffer += chunk


def _lost(error: OSError) -> RemoteUnavailableError:
    if isinstance(error, TimeoutError):
        return RemoteUnavailableError(
            "The SIP2 server took too long to answer.",
            mend="Look at its load and its log; deadline_seconds says how long is waited.",
        )
    return RemoteUnavailableError(f"The connection to the SIP2 server broke ({type(error).__name__}).")
