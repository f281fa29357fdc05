"""Our own side: the states of a payment, what can be learned about it, and what observers see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class State(StrEnum):
    """Where the money of a payment is. Whether a person is needed is the flag *held*."""

    CREATED = "created"
    OPEN = "open"
    PENDING = "pending"
    VOID = "void"
    PAID = "paid"
    SETTLING = "settling"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    RESOLVED = "resolved"


class Input(StrEnum):
    """What can be learned about a payment: the columns of the state table."""

    PENDING = "pending"
    PAID_RIGHT = "paid_right"
    PAID_WRONG = "paid_wrong"
    VOID_FINAL = "void_final"
    FEES_STAND = "fees_stand"
    FEES_DIFFER = "fees_differ"
    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNCLEAR = "unclear"
    MARKER_FOUND = "marker_found"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something that only staff may do; ``name`` is nothing personal.

    ``name`` is the random id of a staff account, ``cli:<operating system user>``, or ``system``.
    """

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledPayment:
    """What observers learn of a payment that has been settled: nothing personal."""

    payment_id: str
    library: str
    cents: int
    currency: str
    method: str
    provider: str
    settled_at: datetime
    live: bool
