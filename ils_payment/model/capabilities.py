"""What plugins declare that they can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class MarkerSupport(StrEnum):
    """Whether a marker can be written with a credit and found again."""

    READABLE = "readable"
    WRITE_ONLY = "write_only"
    NONE = "none"


class Binding(StrEnum):
    """How a credit hangs on fees: refused when paid, directed at lines, or a lump sum."""

    REFUSED_WHEN_PAID = "refused_when_paid"
    DIRECTED = "directed"
    LUMP = "lump"


class Partial(StrEnum):
    """Whether less than a whole fee can be settled: never, for a line, or for the sum only."""

    NONE = "none"
    LINE = "line"
    SUM = "sum"


class RenewSupport(StrEnum):
    """Whether a card can be renewed: not at all, to a day that we name, or by the system's own rule."""

    NO = "no"
    GIVEN_DATE = "given_date"
    BY_RULE = "by_rule"


class Surplus(StrEnum):
    """What the library system does with more than is owed: refuses, flows on, or keeps a credit."""

    REFUSED = "refused"
    FLOWS = "flows"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemCapabilities:
    """What a library system can do. The core never calls a method whose capability is absent.

    ``unattended_read``: reading needs no PIN. Without it, ``account`` and ``card`` show what was read at the
    sign-in and raise PinNeededError when that is too long ago, and nobody looks before and after a settle
    call: its own answer counts. ``late_apply_max``: the longest time after which a
    call that seemed lost may still take effect. ``parallel_calls``: how many calls at once it
    bears. ``min_cents``: no smaller credit can be written. ``identity``: the same text for two
    libraries says that they share one library system, so that a fee is claimed for both; no secret
    may be in it. ``handed_over``: an OPAC can name a patron as this system's PatronRef does; not where the
    plugin encrypts card numbers into references, which nobody else can make.
    """

    unattended_read: bool
    fee_ids: bool
    marker: MarkerSupport
    bound: Binding
    batch: bool
    partial: Partial
    surplus: Surplus
    credit_list: bool
    late_apply_max: timedelta
    sign_in: bool = False
    handed_over: bool = True
    can_charge: bool = False
    can_renew: RenewSupport = RenewSupport.NO
    can_lift: bool = False
    lists_expiring: bool = False
    prices_categories: bool = False
    titles: bool = False
    shows_contact: bool = False
    shows_evidence: bool = False
    repeat_is_same_answer: bool = False
    min_cents: int = 1
    parallel_calls: int = 4
    identity: str = ""


class ReadSupport(StrEnum):
    """Whether a session can be read at any time, only with the return parameters, or never."""

    FULL = "full"
    WITH_RETURN = "with_return"
    NONE = "none"


class RefundSupport(StrEnum):
    """Whether money can be given back: not at all, only the whole, or any part."""

    NONE = "none"
    FULL = "full"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCapabilities:
    """What a provider can do. The core never calls a method whose capability is absent.

    ``live``: the configured credentials move real money. ``key_lifetime``: how long a repeated
    key gets the first answer again. ``longest_pending``: how long a pending payment may take.
    ``currencies``: a library whose own is not among them cannot be opened with this provider's methods.
    ``redirect_origins`` join the ``form-action`` of our pages' Content-Security-Policy.
    ``refund``: whether it can give money back, and less than the whole. ``listing``: ``payments``;
    ``payouts``: ``payouts``. ``notices_decide``: an authenticated notice is evidence by itself, where
    reading tells less than that or cannot be done; the core compares it as it compares what it reads.
    ``finds_refunds``: ``find_refunds``; without it notices tell what became of a refund, and one that is
    unclear is repeated only within ``key_lifetime``. ``account``: where the money must arrive, in the
    provider's own word ("" where observations do not tell). ``line_accounts``: which of ``cost_centre`` and
    ``account`` it passes on with each line, so that ``check`` can tell where no fee kind has them.
    ``smallest``: it takes no sum below, in minor units of the library's currency (0: nobody says so).
    """

    live: bool
    read: ReadSupport
    notices: bool
    close: bool
    find: bool
    key_lifetime: timedelta
    longest_pending: timedelta
    redirect_origins: tuple[str, ...]
    currencies: tuple[str, ...]
    refund: RefundSupport = RefundSupport.NONE
    listing: bool = False
    payouts: bool = False
    notices_decide: bool = False
    finds_refunds: bool = True
    account: str = ""
    line_accounts: tuple[str, ...] = ()
    smallest: int = 0


class Freshness(StrEnum):
    """How soon a platform follows the library system: at each login, after a while, or nobody knows."""

    LIVE = "live"
    DELAYED = "delayed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ELendingCapabilities:
    """What an eLending platform can do.

    ``freshness``, and ``delay`` at most where it is delayed. ``inbound``: the platform asks us at each
    login (:class:`ils_payment.ports.Serving`), so that our own answer is the truth. ``needs_pin``: asking
    is possible only while the patron's PIN is at hand, never unattended.
    """

    name: str
    freshness: Freshness
    delay: timedelta | None = None
    inbound: bool = False
    needs_pin: bool = False
