"""SIP2 messages, pure: bytes to messages and back, with nothing but the dialect to go by.

The formats are those of the protocol's version 2.00. Lengths and checksums are counted over bytes. No text of
an error here holds anything of the message itself: it may be a card number, a PIN or a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from ils_payment.errors import RemoteGarbledError
from ils_payment_sip2.dialect import TERMINATORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from ils_payment_sip2.dialect import Dialect

MAX_BYTES = 256 * 1024
"""No answer about one patron is longer."""

FIXED = {"24": 35, "36": 19, "38": 19, "64": 59, "94": 1, "96": 0, "98": 34}
"""How many characters stand between an answer's code and its first field."""

SUPPORTED = ("23", "11", "09", "01", "99", "93", "97", "63", "35", "37", "17", "19", "25", "15", "29", "65")
"""Which message each flag of BX in message 98 is about, in order."""

_TAIL = re.compile(rb"AY([0-9])(?:AZ([0-9A-Fa-f]{1,4}))?\Z")


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """One message: its code, its fixed part, its fields in order, and its sequence number (None: none)."""

    code: str
    fixed: str
    fields: tuple[tuple[str, str], ...]
    sequence: int | None = None

    def __repr__(self) -> str:
        """Tell the code alone: the rest may be personal or secret."""
        return f"Message({self.code})"

    def first(self, name: str) -> str | None:
        """Return the first field *name*, None when there is none."""
        return next((value for known, value in self.fields if known == name), None)

    def every(self, name: str) -> tuple[str, ...]:
        """Return all fields *name*, in order."""
        return tuple(value for known, value in self.fields if known == name)


class ChecksumError(RemoteGarbledError):
    """An answer was damaged on its way; the server can be asked to send it again (message 97)."""


def checksum(text: bytes) -> bytes:
    """Return the four hexadecimal digits that make the sum of all bytes, ``AZ`` included, zero."""
    return b"%04X" % (-sum(text) & 0xFFFF)


def is_safe(value: str, dialect: Dialect) -> bool:
    """Tell whether *value* can stand in a field: it must not end the field, nor the message."""
    if not value.isprintable() or dialect.delimiter in value:
        return False
    try:
        value.encode(dialect.charset)
    except UnicodeEncodeError:
        return False
    return True


def encode(
    code: str, fixed: str, fields: Iterable[tuple[str, str]], dialect: Dialect, sequence: int | None
) -> bytes:
    """Return the bytes of a message, with its terminator. ValueError for a value that cannot stand in it."""
    text = code + fixed
    for name, value in fields:
        if not is_safe(value, dialect):
            # The value may be a PIN, so only the field is named.
            raise ValueError(f"the field {name} holds a character that a message cannot carry")
        text += f"{name}{value}{dialect.delimiter}"
    raw = text.encode(dialect.charset)
    if dialect.error_detection and sequence is not None:
        raw += b"AY%dAZ" % sequence
        raw += checksum(raw)
    return raw + TERMINATORS[dialect.terminator]


def decode(raw: bytes, dialect: Dialect) -> Message:
    """Return the message in *raw*, which has no terminator any more.

    RemoteGarbledError for what is none; ChecksumError when it was damaged. A byte that the character set does
    not know becomes a replacement character: it stands in a name or a text, and these must hinder nothing.
    """
    body, sequence = _checked(raw, dialect)
    text = body.decode(dialect.charset, errors="replace")
    code = text[:2]
    length = FIXED.get(code)
    if length is None:
        raise RemoteGarbledError(
            "The SIP2 server answered with a message that was not asked for.",
            mend="Is this the port of a SIP2 server, and the dialect right?",
        )
    # The fixed part is ASCII, so characters and bytes count alike here.
    fixed, rest = text[2 : 2 + length], text[2 + length :]
    if len(fixed) < length:
        raise RemoteGarbledError(f"The SIP2 server's message {code} is cut short.")
    fields = []
    for part in rest.split(dialect.delimiter):
        if not part:
            continue
        if len(part) < 2:
            raise RemoteGarbledError(f"The SIP2 server's message {code} has a field without a name.")
        fields.append((part[:2], part[2:]))
    return Message(code, fixed, tuple(fields), sequence)


def _checked(raw: bytes, dialect: Dialect) -> tuple[bytes, int | None]:
    """Return *raw* without sequence number and checksum, both verified where the dialect has them."""
    found = _TAIL.search(raw)
    if not dialect.error_detection:
        return (raw[: found.start()] if found else raw), None
    if raw[:2] == b"96" and found is None:
        # The server could not read what it got, and so has no number to answer with.
        return raw, None
    if found is None or found[2] is None:
        raise ChecksumError(
            "The SIP2 server's answer has no checksum.",
            mend="Let the server use error detection, or write dialect = { error_detection = false }.",
        )
    if (sum(raw[: found.start(2)]) + int(found[2], 16)) & 0xFFFF:
        raise ChecksumError("The checksum of the SIP2 server's answer is wrong.")
    return raw[: found.start()], int(found[1])


def stamp(now: datetime, zone: ZoneInfo, dialect: Dialect) -> str:
    """Return an instant as ``YYYYMMDDZZZZHHMMSS``: eighteen characters, four of them for the time zone."""
    if dialect.time_zone == "utc":
        return f"{now.astimezone(UTC):%Y%m%d   Z%H%M%S}"
    return f"{now.astimezone(zone):%Y%m%d    %H%M%S}"


def supported(message: Message) -> frozenset[str] | None:
    """Return which messages the server says in a 98 that it knows; None when it does not tell."""
    flags = message.first("BX")
    if not flags:
        return None
    return frozenset(code for code, flag in zip(SUPPORTED, flags, strict=False) if flag == "Y")


def is_online(message: Message) -> bool:
    """Tell whether a 98 says that the server's library system is there."""
    return message.fixed[:1] == "Y"


def groups(message: Message, names: Sequence[str]) -> list[dict[str, str]]:
    """Return the repeated group of fields *names*: a name that is there already begins the next one."""
    found: list[dict[str, str]] = []
    for name, value in message.fields:
        if name not in names:
            continue
        if not found or name in found[-1]:
            found.append({})
        found[-1][name] = value
    return found
