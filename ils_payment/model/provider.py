"""What passes the door to a payment provider: attempts, observations, refunds, webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """What the payer sees on the provider's page: a text without personal data, and cents.

    ``cost_centre`` and ``account`` are where the tariff books this kind of fee ("" where it does not say):
    for providers that pass them on to the treasury.
    """

    text: str
    cents: int
    cost_centre: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to be paid.

    ``key`` is the idempotency key, ``reference`` our payment's id that comes back in every
    observation; ``number`` is the short form of it that people read out, also on the receipt (at most
    13 characters of A-Z, 0-9 and ``-``); ``installation`` is kept with it at the provider, so that the
    provider's own list tells the payments of one installation from another's. ``return_url`` and
    ``cancel_url`` are absolute. ``request`` is the exact request as ``prepare`` made it and the ledger
    stored it; empty before that.
    """

    key: str
    reference: str
    cents: int
    currency: str
    method: str
    lines: tuple[AttemptLine, ...]
    language: str
    return_url: str
    cancel_url: str
    created_at: datetime
    request: str = ""
    installation: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The payer's browser is sent to ``url``."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The provider has a session in which the payer can pay until ``expires_at`` (None: unknown)."""

    session_ref: str
    interaction: Redirect
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRefused:
    """There is certainly no session. ``reason`` is for the administrator."""

    reason: str


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The provider has no way of saying whether an attempt has a session."""

    reason: str


class PayState(StrEnum):
    """What a provider says about a session."""

    OPEN = "open"
    PENDING = "pending"
    PAID = "paid"
    VOID = "void"


class ReversalState(StrEnum):
    """How far a reversal is: on its way, gone, or not gone after all (failed, a chargeback won)."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Money that left again at the provider: a ``refund`` or a ``chargeback``.

    ``key`` is our refund's key where the provider carries it back; empty for what was made there
    alone. A reversal that failed stays in the list, so that what was booked for it can be undone.
    ``money_ref`` is the ``Observation.money_ref`` of what was only authorised and is given up: it counts
    only if that money counts. Empty where the provider says it of money that it took.
    """

    ref: str
    kind: str
    cents: int
    key: str = ""
    money_ref: str = ""
    state: ReversalState = ReversalState.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder:
    """What ``PaymentProvider.refund`` is to give back: exactly ``cents`` of one session's money.

    ``key`` is the idempotency key; the provider also keeps it with the refund (metadata, reference)
    so that ``find_refunds``, or the notice of it, can tell it. ``reference`` is the payment's id,
    ``money_ref`` the provider's id of the money ("" until a read or notice told it).
    """

    key: str
    session_ref: str
    reference: str
    cents: int
    currency: str
    money_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """The provider has taken the refund: ``pending`` is on its way, ``done`` has left."""

    ref: str
    state: ReversalState


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRefused:
    """There is certainly no refund. ``permanent``: asking again cannot help, a person has to."""

    reason: str
    permanent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPayment:
    """One payment in the provider's own list, ours or not.

    ``reference`` and ``installation`` are what the attempt carried ("" if nothing). ``captured``
    cents in ``currency``; ``reversed`` cents have left again. ``at`` is when the money was taken.
    """

    session_ref: str
    money_ref: str
    reference: str
    installation: str
    captured: int
    reversed: int
    currency: str
    live: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPage:
    """One page of the provider's list; ``cursor`` leads to the next one, None at the end."""

    payments: tuple[ListedPayment, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutEntry:
    """One line inside a payout: ``kind`` is ``payment``, ``refund``, ``chargeback``, ``fee`` or ``other``.

    ``cents`` is signed: what the line adds to the bank credit, without its own fee; ``fee`` (>= 0)
    is what the provider kept for it. ``money_ref`` leads to the payment, where there is one.
    """

    ref: str
    kind: str
    cents: int
    fee: int
    money_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """One credit on the city's bank account: ``cents`` is the sum of its entries less their fees."""

    ref: str
    cents: int
    currency: str
    arrival: date
    entries: tuple[PayoutEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the provider says is true now.

    ``captured`` cents were taken in ``currency`` into the provider account ``account``
    (empty: the provider does not tell). ``live`` is false for play money. ``reference`` is the
    payment id that the session carries. ``final``: a void session can never be paid any more.
    ``evidence`` is a short, non-personal note of what was read, kept in the audit trail.
    ``money_ref`` is the provider's id of the money itself, where it differs from the session's.
    """

    state: PayState
    captured: int
    currency: str
    account: str
    live: bool
    reference: str
    final: bool
    evidence: str
    reversals: tuple[Reversal, ...] = ()
    money_ref: str = ""

    @property
    def may_hold_money(self) -> bool:
        """Tell whether money has come or may be on its way: such a session is read, however wrong it is."""
        return self.state in {PayState.PAID, PayState.PENDING}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """An HTTP request as it came in. Header names are lower case; the body is untouched bytes."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer; header lines as pairs because a name may come more than once."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a webhook told us: a reason to read the provider.

    ``key`` is unique per provider account (a repeated delivery has the same key).
    ``session_ref`` (of the session or of its money) and ``reference`` lead to the payment,
    whichever the provider gives.
    ``observation`` is set only where ``notices_decide``: what this authenticated notice is evidence of.
    Its state ``open`` says nothing of the session, as in a notice of a reversal alone. It names the
    ``money_ref`` where money was taken, so that two of them are told apart.
    """

    key: str
    kind: str
    session_ref: str | None = None
    reference: str | None = None
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Forged:
    """The request is not from the provider; ``reason`` is for counters and logs."""

    reason: str


class NoticeOutcome(StrEnum):
    """What became of an incoming webhook, for ``PaymentProvider.reply``."""

    STORED = "stored"
    FORGED = "forged"
    BUSY = "busy"
