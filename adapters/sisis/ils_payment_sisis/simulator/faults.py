"""How the simulated SISIS behaves, and what a test makes go wrong with one coming question."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What happens to one answer; unless it says otherwise, a command takes effect."""

    LOST = "the connection is closed instead of an answer"
    NEVER_DONE = "the connection is closed, and the command has no effect"
    LATE = "no answer comes, and the command takes effect only later"
    SILENT = "no answer comes, and the connection stays"
    CUT = "half of the answer comes, then the connection is closed"
    ENDLESS = "the answer has no end"
    OTHER_PATRON = "the answer is about another patron"
    OTHER_COMMAND = "the answer is one to another command"
    GARBAGE = "something else than an answer comes"
    BOMB = "an answer with entities that grow comes (NCIP2SLNP)"
    REFUSED = "the command is refused with an id that nobody knows"
    BROKEN = "the server says that it failed"


@dataclass(kw_only=True)
class Habits:
    """Manners of one installation; they may be changed while it runs.

    ``speaks``: the character set of the answers, which ``greets_with`` may contradict ("" names none).
    ``names_the_card`` false leaves the card number out of SLNP's answers; ``ends_with`` ends lines.
    ``shows_positions`` false lets NCIP2SLNP give the balance alone.
    """

    speaks: str = "utf-8"
    greets_with: str = "utf-8"
    names_the_card: bool = True
    ends_with: str = "\r\n"
    shows_positions: bool = True
