"""SLNP, pure: commands to bytes and lines to answers, as far as the protocol is publicly known.

OCLC does not publish SLNP. Framing, codes and the few commands below were read in four public programs
(``docs/sisis.md`` names what was seen where); nothing was compared with a running server. Some answers carry
a patron's PIN in clear text: an :class:`Answer` holds the keys that were asked for and nothing else, and
never one that looks like a PIN or a password. No text of an error here holds a value.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment.errors import RemoteError, RemoteGarbledError, RemoteRefusedError, RemoteUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MAX_BYTES = 256 * 1024
"""No answer about one patron is longer."""

CHECK_PIN = "SLNPOpacBenutzerPruefung"
SHORT_ACCOUNT = "SLNPBenutzerKurzKonto"
WHOLE_RECORD = "SLNPAlleBenutzerDaten"
"""Its answer was seen to hold the PIN (``OpacPin``)."""
INIT, STAFF_LOGIN, EXIT, QUIT = "SLNPServerInit", "SLNPSysParam", "SLNPServerExit", "SLNPQuit"
END = "SLNPEndCommand"

WRONG_PIN = "OpsBenutzerPinFalsch"

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""The form of a command, a key and an error's id."""

_SECRET = re.compile(r"pin|kennwort|passw", re.IGNORECASE)
_LINE = re.compile(r"([0-9]{3})(?: (.*))?", re.DOTALL)
_CHARSET = re.compile(r"@charset:([^@\s]+)", re.IGNORECASE)

_DATA, _BETWEEN, _IN_UNIT, _BEGIN, _END_UNIT, _ECHO = "601", "602", "603", "604", "605", "600"
_DONE = ("240", "250")


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What a command answered: the data beside any unit, and the units, with the wanted keys alone."""

    data: tuple[tuple[str, str], ...] = ()
    units: tuple[Mapping[str, str], ...] = ()

    def __repr__(self) -> str:
        """Tell the numbers alone: the rest is personal."""
        return f"Answer({len(self.data)}, {len(self.units)})"

    def one(self, key: str) -> str | None:
        """Return the value of *key*, None without one; RemoteGarbledError where it has two different ones."""
        values = {value for name, value in self.data if name == key}
        if len(values) > 1:
            raise RemoteGarbledError(f"The SLNP server's answer has two values of {key}.")
        return values.pop() if values else None


class OpsError(RemoteRefusedError):
    """The application behind the server refused a command (code 510); ``ops_id`` is its own word for why."""

    def __init__(self, ops_id: str) -> None:
        """Keep *ops_id*, which has the form of a name, so that nothing personal is in it."""
        super().__init__(
            f"SISIS refused the command: {ops_id}.",
            mend="If the id means that there is no such card, add it to absent_errors; else ask your SISIS "
            "administrator.",
        )
        self.ops_id = ops_id


class UnknownCommandError(RemoteRefusedError):
    """The server certainly did not carry the command out: it does not know it, or cannot read it."""


def charset_of(greeting: bytes, fallback: str) -> str:
    """Return the character set that *greeting* names, else *fallback*; RemoteGarbledError for no greeting."""
    text = greeting.decode("latin-1")
    if not text.startswith("220 SLNP"):
        raise RemoteGarbledError(
            "What answers there is no SLNP server: it does not greet as one.",
            mend="Are host and port those of the SLNP server, and security right?",
        )
    found = _CHARSET.search(text)
    name = found[1] if found else fallback
    if not is_charset(name):
        raise RemoteGarbledError("The SLNP server's greeting names a character set that is not known here.")
    return codecs.lookup(name).name


def is_charset(name: str) -> bool:
    """Tell whether *name* is a character set that leaves ASCII as it is: framing is counted in it."""
    try:
        return "SLNP 601\\".encode(name) == b"SLNP 601\\"
    except (LookupError, UnicodeError, ValueError):
        return False


def encode(command: str, parameters: Iterable[tuple[str, str]], charset: str) -> bytes:
    """Return the lines of a command. ValueError, without the value, for one that cannot stand in a line."""
    lines = [command]
    for key, value in parameters:
        # Backslash first: else the one that an escaped newline brings along would be doubled.
        escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
        if not escaped.isprintable():
            raise ValueError(f"the parameter {key} holds a character that a line cannot carry")
        lines.append(f"{key}:{escaped}")
    try:
        return "".join(f"{line}\r\n" for line in [*lines, END]).encode(charset)
    except UnicodeEncodeError:
        raise ValueError("a parameter holds a character that the server's character set lacks") from None


def is_last(line: bytes) -> bool:
    """Tell whether *line* ends an answer: codes of two and five hundred do, and what is no line of one."""
    return re.match(rb"6[0-9]{2}(?: |\Z)", line) is None


def decode(lines: Iterable[bytes], command: str, wanted: Collection[str], charset: str) -> Answer:
    """Return what *lines* answer to *command*, with the keys in *wanted* alone. Raises RemoteError.

    A byte that the character set does not know becomes a replacement character: it stands in a name or a
    text, and these must hinder nothing.
    """
    data: list[tuple[str, str]] = []
    units: list[dict[str, str]] = [{}]
    for raw in lines:
        code, text = _parts(raw.decode(charset, errors="replace"))
        if code[0] in "25":
            _judge(code, text)
            return Answer(tuple(data), tuple(unit for unit in units if unit))
        if code in (_BETWEEN, _BEGIN, _END_UNIT):
            units.append({})
        elif code == _ECHO and NAME.fullmatch(text.strip()) and text.strip() != command:
            raise RemoteGarbledError("The SLNP server answered another command.")
        elif code in (_DATA, _IN_UNIT):
            key, _, value = text.partition(":")
            if key not in wanted or _SECRET.search(key):
                continue
            if code == _DATA:
                data.append((key, _unescaped(value)))
            elif units[-1].setdefault(key, _unescaped(value)) != _unescaped(value):
                raise RemoteGarbledError(f"The SLNP server's answer has two values of {key}.")
    raise RemoteGarbledError("The SLNP server's answer is cut short.")


def _parts(line: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None or found[1][0] not in "256":
        raise RemoteGarbledError("The SLNP server sent a line that has no known code.")
    return found[1], found[2] or ""


def _unescaped(value: str) -> str:
    return re.sub(r"\\(\\|n)", lambda found: "\n" if found[1] == "n" else "\\", value)


def _judge(code: str, text: str) -> None:
    """Raise what an end marker stands for, nothing for success; the codes are those that were seen."""
    if code in _DONE:
        return
    # What follows the id may quote what was sent.
    first = re.match(r"[\s:]*([A-Za-z][A-Za-z0-9_]{0,63})", text)
    name = first[1] if first else "no id"
    if code == "510":
        raise OpsError(name)
    if code == "520" and name in {"SlnpRequestError", "SlnpLookupError"}:
        raise UnknownCommandError(
            f"The SLNP server does not accept the command ({name}).",
            mend="Is the command in your licence, and spelled as your SISIS administrator says?",
        )
    raise _failure(code)


def _failure(code: str) -> RemoteError:
    if code[0] == "2":
        return RemoteGarbledError(f"The SLNP server ended its answer with {code}.")
    return RemoteUnavailableError(
        f"The SLNP server failed (code {code}).", mend="Look at the log of the SLNP server."
    )


def is_secret(key: str) -> bool:
    """Tell whether *key* looks like one of a PIN or password, which no answer here ever holds."""
    return _SECRET.search(key) is not None
