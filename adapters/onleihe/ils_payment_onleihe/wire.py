"""Translation between the Onleihe's words and ours; pure. Both sides come from strangers.

A question is a form with ``sno`` (card number) and ``pwd``; an answer is a small XML document with
``status``, ``fsk``, ``cardid`` and ``userid``, all four mandatory (read in code, not in a document).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Reply

if TYPE_CHECKING:
    from ils_payment.model import RawRequest

FORM = "application/x-www-form-urlencoded"
XML = "text/xml; charset=UTF-8"
LONGEST_CARD = 64
LONGEST_PIN = 128
_MOST_FIELDS = 20

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_ELEMENT = r"<\s*(?P<name>[a-z]{1,20})\s*>([^<>&]{0,200})</\s*(?P=name)\s*>|<\s*[a-z]{1,20}\s*/>"
_ANSWER = re.compile(
    rf"\ufeff?\s*(?:<\?xml[^<>]*\?>)?\s*<\s*response\s*>((?:\s*(?:{_ELEMENT}))*)\s*</\s*response\s*>\s*",
    re.IGNORECASE,
)
"""The only form of an answer that is read: no entities, no document type, nothing nested."""
_ONE = re.compile(_ELEMENT, re.IGNORECASE)
_STATUS = re.compile(r"-?[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Login:
    """Who wants to log in at the Onleihe."""

    card: str = field(repr=False)
    pin: str = field(repr=False)


def question(request: RawRequest) -> Login | None:
    """Return who is asked about; None for everything that is no plain question about one card."""
    declared = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if declared != FORM:
        return None
    try:
        fields = parse_qsl(
            request.body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        # Bytes or escapes that are no UTF-8, or more fields than anybody needs.
        return None
    cards = [value for name, value in fields if name == "sno"]
    pins = [value for name, value in fields if name == "pwd"]
    if len(cards) != 1 or len(pins) != 1:
        # Whoever names two cards wants one to be checked and the other one to be let in.
        return None
    card, pin = cards[0].strip(), pins[0]
    if not 0 < len(card) <= LONGEST_CARD or not 0 < len(pin) <= LONGEST_PIN or _CONTROL.search(card + pin):
        return None
    return Login(card, pin)


def answer(status: int, fsk: int = 0, card_id: str = "", user_id: str = "") -> Reply:
    """Return the answer; all four elements are there whatever the status, the ids empty for a stranger."""
    parts = {"status": str(status), "fsk": str(fsk), "cardid": card_id, "userid": user_id}
    inside = "".join(f"<{name}>{_text(value)}</{name}>" for name, value in parts.items())
    body = f'<?xml version="1.0" encoding="utf-8" ?><response>{inside}</response>'
    return Reply(status=200, body=body.encode(), headers=(("content-type", XML),))


def _text(value: str) -> str:
    return escape(_NOT_IN_XML.sub("", value), quote=False)


def status(body: bytes) -> int:
    """Return the status that a service answered; RemoteGarbledError for any other document.

    Services differ in case and white space. Of the other elements nothing is read.
    """
    # What is read is ASCII; as Latin-1 any bytes are some text.
    text = body.decode("latin-1").removeprefix("\xef\xbb\xbf")
    found = _ANSWER.fullmatch(text)
    parts = [(name.lower(), value.strip()) for name, value in _ONE.findall(found[1])] if found else []
    said = [value for name, value in parts if name == "status"]
    if len(said) != 1 or not _STATUS.fullmatch(said[0]):
        raise RemoteGarbledError(
            "The service that answers the Onleihe sent something else than one status.",
            mend="Does url lead to that service, and not to a page for people?",
        )
    return int(said[0])
