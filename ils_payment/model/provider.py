"""What passes the door to a payment provider: attempts, observations, webhooks, capabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ils_payment.model.library_system import Partial

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """What the payer sees on the provider's page: a text without personal data, and cents."""

    text: str
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to be paid.

    ``key`` is the idempotency key, ``reference`` our payment's id that comes back in every
    observation. ``return_url`` and ``cancel_url`` are absolute. ``request`` is the exact request
    as ``prepare`` made it and the ledger stored it; empty before that.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Money that left again at the provider: a ``refund`` or a ``chargeback``."""

    ref: str
    kind: str
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the provider says is true now.

    ``captured`` cents were taken in ``currency`` into the provider account ``account``
    (empty: the provider does not tell). ``live`` is false for play money. ``reference`` is the
    payment id that the session carries. ``final``: a void session can never be paid any more.
    ``evidence`` is a short, non-personal note of what was read, kept in the audit trail.
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
    ``session_ref`` and ``reference`` lead to the payment, whichever the provider gives.
    ``observation`` is set only by providers that cannot be read.
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


class ReadSupport(StrEnum):
    """Whether a session can be read at any time, only with the return parameters, or never."""

    FULL = "full"
    WITH_RETURN = "with_return"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCapabilities:
    """What a provider can do. The core never calls a method whose capability is absent.

    ``live``: the configured credentials move real money. ``key_lifetime``: how long a repeated
    key gets the first answer again. ``longest_pending``: how long a pending payment may take.
    ``redirect_origins`` join the ``form-action`` of our pages' Content-Security-Policy.
    """

    live: bool
    read: ReadSupport
    notices: bool
    close: bool
    find: bool
    key_lifetime: timedelta
    longest_pending: timedelta
    text_limit: int
    redirect_origins: tuple[str, ...]
    currencies: tuple[str, ...]
    refund: Partial = Partial.NONE
    listing: bool = False
