"""The doors of a payment provider: what every one has, and what some can do beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ils_payment.model import (
        Attempt,
        CannotTell,
        Finding,
        Forged,
        Notice,
        NoticeOutcome,
        Observation,
        PaymentPage,
        Payout,
        ProviderCapabilities,
        RawRequest,
        Refunded,
        RefundOrder,
        RefundRefused,
        Reply,
        Reversal,
        Started,
        StartRefused,
        Unclear,
    )
    from ils_payment.ports.host import Host, PluginConfig


@runtime_checkable
class PaymentProvider(Protocol):
    """A payment provider account of one library.

    A provider *returns* what it saw; the core decides what follows. The order of calls for one
    payment: ``prepare`` -> (committed) -> ``start`` -> ``read`` (any number of times, from the
    return page, after a notice, and from the sweep) -> perhaps ``close``; later perhaps ``refund``.
    """

    Config: ClassVar[type[PluginConfig]]

    def __init__(self, config: Any, host: Host) -> None:  # noqa: ANN401 - each plugin has its own Config
        """Keep *config* (an instance of ``Config``) and *host*. No I/O here."""

    def capabilities(self) -> ProviderCapabilities:
        """Return what this account can do, from configuration alone, without I/O."""

    def methods(self) -> Sequence[str]:
        """Return the methods it can offer, in the core's words.

        ``card``, ``instant_bank_transfer``, and ``payment_page`` where only the provider's page asks how.
        """

    def check(self) -> list[Finding]:
        """Test credentials, mode and every right and method; money may not move here."""

    def prepare(self, attempt: Attempt) -> str:
        """Return the exact request for *attempt* as JSON text. Pure: no I/O, money may not move.

        The core commits the text with the attempt before ``start`` and passes it unchanged in
        ``attempt.request`` on every repetition, so nothing in it may be computed again later.
        """

    def start(self, attempt: Attempt) -> Started | StartRefused | Unclear:
        """Open the provider session from ``attempt.request`` under ``attempt.key``.

        The payer has confirmed; money moves only when the payer pays on the provider's page.
        ``StartRefused`` only when there is certainly no session; ``Unclear`` otherwise: the core
        looks it up with ``find`` and never starts the same payment under a new key meanwhile.
        """

    def find(self, attempt: Attempt) -> Started | CannotTell | None:
        """Look up the session of an attempt whose start was unclear. Raises RemoteError.

        ``None``: there is certainly none (and the key can be used again). May repeat the stored
        request under the same key only within ``key_lifetime``. A session that is not as asked for, and
        was paid all the same, counts as started: reading it tells what came. Money may not move here.
        """

    def read(self, session_ref: str, return_params: Mapping[str, str] | None = None) -> Observation:
        """Say what is true of a session now; this answer decides. Raises RemoteError.

        Called with *return_params* (what the provider added to the way back) where a session can be read
        ``with_return`` only. ``paid`` only when the money has been captured (or will be without any
        further doubt by the provider's own words); a completed page with an unpaid amount is ``pending``.
        ``final`` only when the session can never be paid any more.
        """

    def close(self, session_ref: str) -> Observation:
        """Make the session unpayable if it is not paid, and say what is true then.

        Needs ``close``. A session that was paid meanwhile answers ``paid``: nobody gets lost.
        Raises RemoteError. Money may not move here.
        """

    def notice(self, request: RawRequest, now: datetime) -> Sequence[Notice] | Forged:
        """Verify a webhook's raw bytes and translate it; no I/O, changes nothing.

        Try every configured secret, compare in constant time, check the time (where one is signed) in both
        directions and the mode. An authentic notice of a kind that is not needed is an empty list. Where
        ``notices_decide``, each notice carries what it is evidence of, the mode and account that it names
        included: the core compares them.
        """

    def reply(self, outcome: NoticeOutcome) -> Reply:
        """Return the HTTP answer that makes the provider do the right thing (repeat or not)."""


@runtime_checkable
class Refunding(Protocol):
    """A provider that can give money back; needs the capability ``refund``."""

    def refund(self, order: RefundOrder) -> Refunded | RefundRefused | Unclear:
        """Give money back to the payer: **money moves here.** Called once for each try.

        Sent under ``order.key``, and with the key kept in the refund itself, because
        providers forget idempotency keys. ``RefundRefused`` only when there is certainly no refund;
        everything that is not classified is ``Unclear``: the core looks with ``find_refunds`` before
        it repeats, under the same key; without that it repeats only while the provider keeps the key.
        """


@runtime_checkable
class FindingRefunds(Protocol):
    """A provider that can list what left of a session's money; needs ``refund`` and ``finds_refunds``."""

    def find_refunds(self, session_ref: str) -> Sequence[Reversal]:
        """Return everything that left again of a session's money, failed refunds too. Raises RemoteError.

        An empty answer must mean that there is none. Money may not move here.
        """


@runtime_checkable
class Listing(Protocol):
    """A provider that can list what it took; needs the capability ``listing``."""

    def payments(self, since: datetime, until: datetime, cursor: str | None = None) -> PaymentPage:
        """List the money that the account took from *since* (inclusive) to *until* (exclusive).

        Called by the reconciliation; a page at a time. Raises RemoteError.
        """


@runtime_checkable
class PayingOut(Protocol):
    """A provider that can list what it paid out; needs the capability ``payouts``."""

    def payouts(self, since: datetime, until: datetime) -> Sequence[Payout]:
        """List the payouts that arrive at the bank from *since* to *until*, with all their entries.

        Called by the export. Raises RemoteError.
        """
