"""The server's own reading and writing of messages; it has nothing in common with the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ils_payment_sip2.dialect import Dialect

REQUEST_FIXED = {"23": 21, "35": 18, "37": 25, "63": 31, "93": 2, "97": 0, "99": 8}
ENDS = {"CR": b"\r", "LF": b"\n", "CRLF": b"\r\n"}


class UnreadableError(Exception):
    """A request that the server answers with 96."""


def read(raw: bytes, dialect: Dialect) -> tuple[str, str, dict[str, str], str]:
    """Return code, fixed part, fields and sequence number ("" for none) of a request."""
    sequence = ""
    if dialect.error_detection and raw[:2] != b"97":
        if len(raw) < 11 or raw[-9:-7] != b"AY" or raw[-6:-4] != b"AZ":
            raise UnreadableError
        total = 0
        for byte in raw[:-4]:
            total += byte
        if f"{0x10000 - (total % 0x10000):04X}"[-4:] != raw[-4:].decode("ascii", "replace"):
            raise UnreadableError
        sequence = chr(raw[-7])
        raw = raw[:-9]
    text = raw.decode(dialect.charset)
    length = REQUEST_FIXED.get(text[:2])
    if length is None or len(text) < 2 + length:
        raise UnreadableError
    fields = {part[:2]: part[2:] for part in text[2 + length :].split(dialect.delimiter) if part}
    return text[:2], text[2 : 2 + length], fields, sequence


def write(code: str, fixed: str, fields: Iterable[tuple[str, str]], sequence: str, dialect: Dialect) -> bytes:
    """Return the bytes of an answer, without its terminator."""
    text = code + fixed + "".join(f"{name}{value}{dialect.delimiter}" for name, value in fields)
    raw = text.encode(dialect.charset)
    if dialect.error_detection and sequence:
        raw += f"AY{sequence}AZ".encode()
        total = 0
        for byte in raw:
            total += byte
        raw += f"{0x10000 - (total % 0x10000):04X}"[-4:].encode()
    return raw
