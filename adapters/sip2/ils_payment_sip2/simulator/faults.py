"""How the simulated server behaves, and what a test makes go wrong with one coming message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What happens to the answer of one message; unless it says otherwise, the message takes effect."""

    LOST = "the connection is closed instead of an answer"
    NEVER_DONE = "the connection is closed, and the message has no effect"
    SILENT = "no answer comes, and the connection stays"
    CUT = "half of the answer comes, then the connection is closed"
    DAMAGED = "one byte of the answer is another; message 97 gets it right"
    DAMAGED_FOR_EVER = "the same, and message 97 gets it damaged again"
    WRONG_SEQUENCE = "the answer has another sequence number"
    STALE = "an answer to an earlier message comes first"
    TWICE = "the answer comes twice"
    OTHER_PATRON = "the answer is about another patron"
    OTHER_CODE = "the answer is one to another message"
    GARBAGE = "something that is no message comes; message 97 gets the answer"
    REFUSED = "the message is refused, and has no effect"
    NEITHER = "the answer says neither yes nor no"
    RESEND = "the server asks for the message once more (96), and it had no effect"
    LATE = "no answer comes, and the message takes effect only later"


@dataclass(kw_only=True)
class Habits:
    """Manners of one server; they may be changed while it runs.

    ``bx``: what it says of the messages it knows, None to derive it, "" to say nothing. ``judges_pins`` false
    leaves CQ out; ``takes_any_pin`` calls every PIN right. ``shows_sum`` false leaves BV out.
    ``denies_expired``: BL says N of a patron whose card has expired.
    """

    online: bool = True
    bx: str | None = None
    judges_pins: bool = True
    takes_any_pin: bool = False
    shows_sum: bool = True
    denies_expired: bool = False
    currency: str = "EUR"
    refuses_surplus: bool = True
