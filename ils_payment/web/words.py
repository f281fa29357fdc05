"""The shape of what a patron reads: a heading, what stands below it, and how it is meant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ils_payment.web.language import Tongue


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools know a text that is translated later
    """Mark *text* for translation."""
    return text


class Tone(StrEnum):
    """How a text is meant; pages show it by sign and words, never by colour alone."""

    GOOD = "good"
    WAIT = "wait"
    CALM = "calm"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Words:
    """A heading and what stands below it; ``way`` names the way on that the page offers."""

    title: str
    text: tuple[str, ...]
    tone: Tone = Tone.CALM
    way: str = ""

    def said(self, tongue: Tongue, **facts: str) -> Words:
        """Return the words in the reader's language, with the facts filled in."""
        say = tongue.gettext
        return replace(
            self, title=say(self.title) % facts, text=tuple(say(line) % facts for line in self.text)
        )
