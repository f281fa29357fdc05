"""What a test makes go wrong with one coming call, and how answers are damaged."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """What happens to one call; unless it says otherwise, the call takes effect."""

    LOST = "the connection is closed instead of an answer"
    NEVER_DONE = "the connection is closed, and the call has no effect"
    LATE = "the web server gives up (504), and the call takes effect only later"
    FAULT_AFTER = "a SOAP fault that nobody knows"
    FAULT_BEFORE = "the same, and the call has no effect"
    SESSION = "the session has ended, and the call has no effect"
    HTML = "a page of the web server (503)"
    HTML_200 = "a page, as if all were well"
    EMPTY = "an empty answer (200)"
    CUT = "half of the answer"
    CHARSET = "an answer in another character set than it says"
    OTHER_PATRON = "an answer about another patron"
    NO_WORDS = "the right element, and nothing in it"
    DTD = "a document type before the answer"
    BOMB = "entities that would grow to gigabytes"
    EXTERNAL = "an entity from a file of the machine"
    DEEP = "elements within elements without end"


_BOMB = b'<!DOCTYPE x [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + place, b"&%c;" % (97 + place) * 20) for place in range(9)
)
_IN_FRONT = {
    Fault.DTD: b"<!DOCTYPE x>",
    Fault.BOMB: _BOMB + b"]>",
    Fault.EXTERNAL: b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>',
}
_REFERENCE = {Fault.BOMB: b"&j;", Fault.EXTERNAL: b"&e;"}


def damaged(fault: Fault | None, body: bytes) -> tuple[int, bytes]:
    """Return the status and what becomes of a whole answer under *fault*."""
    if fault in {Fault.HTML, Fault.HTML_200}:
        return (503 if fault is Fault.HTML else 200), b"<html><body><p>Wartung<br></body></html>"
    if fault is Fault.EMPTY:
        return 200, b""
    if fault is Fault.CUT:
        return 200, body[: len(body) // 2]
    if fault is Fault.CHARSET:
        # Behind the declaration, which goes on promising UTF-8.
        declared, rest = body.split(b"?>", 1)
        name, attributes = rest.strip().rsplit(b"</", 1)
        return 200, declared + b"?>" + name + b"<hinweis>Geb\xfchr</hinweis></" + attributes
    if fault is Fault.DEEP:
        declared, _ = body.split(b"?>", 1)
        return 200, declared + b"?>" + b"<x>" * 5000 + b"</x>" * 5000
    if fault in _IN_FRONT:
        declared, rest = body.split(b"?>", 1)
        first, behind = rest.split(b">", 1)
        return 200, declared + b"?>" + _IN_FRONT[fault] + first + b">" + _REFERENCE.get(fault, b"") + behind
    return 200, body
