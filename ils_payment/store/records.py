"""What the store hands to the flows: rows as frozen dataclasses, with enums for codes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import RefundState
from ils_payment.domain.renewing import CARD
from ils_payment.domain.settling import Before
from ils_payment.model import State

if TYPE_CHECKING:
    from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One frozen line of a payment."""

    id: str
    kind: str
    claim_key: str
    fee_ref: str | None
    cents: int
    cost_centre: str
    account: str
    tax_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment as it stood when it was read; ``fence`` must still fit when it is written.

    ``left`` is set by the lease only: the worker before never gave the payment back.
    """

    id: str
    library: str
    patron_id: str
    state: State
    void_reason: str | None
    held: bool
    cents: int
    captured: int
    currency: str
    method: str
    provider: str
    live: bool
    language: str
    receipt_number: str
    created_at: datetime
    paid_at: datetime | None
    settled_at: datetime | None
    due_at: datetime | None
    fence: int
    lines: tuple[Line, ...]
    left: bool = False

    @property
    def renewal_line(self) -> Line | None:
        """Return the line that renews the card, if this payment has one."""
        return next((line for line in self.lines if line.claim_key == CARD), None)

    def amounts(self, ids: tuple[str, ...] | None = None) -> list[tuple[str, int]]:
        """Return (line id, cents) of all lines, or of those in *ids*."""
        return [(line.id, line.cents) for line in self.lines if ids is None or line.id in ids]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One try to be paid; ``outcome`` is ``unclear`` until a session is known or surely absent."""

    key: str
    payment_id: str
    number: int
    request: str
    session_ref: str | None
    url: str | None
    expires_at: datetime | None
    outcome: str
    created_at: datetime
    money_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One settle call; ``outcome`` None means that nobody knows what became of it."""

    number: int
    started_at: datetime
    outcome: str | None
    reason: str | None
    before: Before

    @property
    def unclear(self) -> bool:
        """Tell whether the call may or may not have taken effect."""
        return self.outcome in {None, "unclear"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One credit order: lines, cents, one marker, and its tries so far."""

    id: str
    payment_id: str
    patron_id: str
    position: int
    marker: str
    line_ids: tuple[str, ...]
    cents: int
    state: str
    remote_ref: str | None
    tries: tuple[Try, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case: codes only. ``payment_id`` is None for what no payment here belongs to."""

    id: str
    library: str
    payment_id: str | None
    kind: str
    subject: str
    facts: dict[str, Any]
    version: int
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    resolution: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund or chargeback; ``parts`` are (line id or None, account it was taken from, cents)."""

    id: str
    payment_id: str
    number: int
    kind: str
    state: RefundState
    meaning: str
    cents: int
    parts: tuple[tuple[str | None, Book, int], ...]
    key: str
    provider_ref: str | None
    tries: int
    tried_at: datetime | None
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    ended_at: datetime | None
    case_id: str | None
    charge_state: str
    charge_marker: str | None
    charge_ref: str | None
    charge_tries: int
    charge_tried_at: datetime | None

    @property
    def charge_cents(self) -> int:
        """Return what the patron owes again where the fee stays: what had been settled, nothing else."""
        settled = {Book.LIBRARY_SYSTEM, Book.BY_HAND}
        return sum(cents for _, book, cents in self.parts if book in settled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """The card renewal that a payment pays for: what was sold, and how far it is.

    ``base`` and ``renewed_on`` are what the card said when it was quoted, ``until`` is the expiry that
    was sold. ``doubts`` counts the tries that were never answered, ``refused`` those that did nothing.
    """

    payment_id: str
    line_id: str
    tariff: str
    base: date | None
    until: date
    renewed_on: date | None
    state: str
    tries: int
    refused: int
    doubts: int
    tried_at: datetime | None
    renewed_at: datetime | None
    charge_state: str
    charge_marker: str | None
    charge_ref: str | None
    charge_tries: int
    charge_tried_at: datetime | None

    @property
    def tried(self) -> bool:
        """Tell whether a call of ours has changed the card, or may have: not every try was refused."""
        return self.tries > self.refused

    @property
    def ended(self) -> bool:
        """Tell whether nothing is left to do but to settle the debit that was charged for it."""
        return self.state in {"renewed", "given_up"} and self.charge_state not in {"due", "tried"}


def to_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return canonical JSON: the same value is always the same text, so that hashes can cover it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
