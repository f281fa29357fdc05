"""What every kind of plugin has: texts, findings of ``check``, and the answer that nobody can be sure of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LocalText = dict[str, str]
"""A text by language code, e.g. ``{"de": "...", "en": "..."}``; pages fall back to the first."""


class Level(StrEnum):
    """How bad a finding is: an ``error`` keeps the part from working, a ``warning`` does not."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``ils-payment check``: what was looked at, what was seen, what to do."""

    level: Level
    subject: str
    seen: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """Nobody can tell whether it happened: the default for every answer that is not classified."""

    reason: str
