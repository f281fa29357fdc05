"""What passes the door to an eLending platform: the question whether it lends, and the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.model.library_system import Account, Card, PatronRef
    from ils_payment.model.shared import LocalText


HINDRANCE_KINDS = frozenset(
    {"expired", "fees", "restriction", "overdues", "address", "lost_card", "locked", "category", "other"}
)
LIFTERS = frozenset({"payment", "renewal", "return", "library", "time"})


class Verdict(StrEnum):
    """What a platform does with a patron now: lends, refuses, or nobody can tell."""

    OPEN = "open"
    BLOCKED = "blocked"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """One thing for which a platform refuses a patron: nothing personal, so that it may be kept.

    ``kind`` is one of :data:`HINDRANCE_KINDS`, ``lifted_by`` one of :data:`LIFTERS`: ``return`` is of items,
    ``library`` a person at the desk.
    """

    kind: str
    lifted_by: str
    text: LocalText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whom a platform is asked about, with account and card as they were just read.

    ``pin`` only while the patron has just entered it; it is neither kept nor logged.
    """

    patron: PatronRef
    account: Account
    card: Card
    pin: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a platform says, or would say, of a patron.

    ``asked``: the platform, or whatever it asks itself, was truly asked; otherwise the verdict was
    derived from the library system. ``code`` is the platform's own word (Onleihe: ``3``). ``hindrances``
    in the order in which the platform looks at them; all that are known, not just the first.
    """

    verdict: Verdict
    asked: bool
    as_of: datetime
    code: str = ""
    hindrances: tuple[Hindrance, ...] = ()
    reason: str = ""
