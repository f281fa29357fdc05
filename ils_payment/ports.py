"""The doors of the house: what a plugin implements and what it gets. This is the specification.

A plugin is a Python distribution with an entry point in the group ``ils_payment`` whose module
implements hooks (:mod:`ils_payment.hookspecs`). A hook hands over classes; the classes follow the
Protocols below. Rules for all of them:

* Constructors take ``(config, host)`` and do no I/O. ``config`` is an instance of the class's
  ``Config`` (the plugin's own table of the configuration, already validated; a plugin never sees
  another table). Plugins keep no state but caches that may be lost at any time (a token).
* Everything outside is reached through ``host``: HTTP, sockets, the clock. No ``requests.get``,
  no ``datetime.now()``, no threads: the simulator replaces the host and runs this very code.
* Amounts are integer minor units ("cents") of the library's currency. Floats never touch money.
* Questions that change nothing raise a :class:`~ils_payment.errors.RemoteError` when they cannot
  be answered: ``RemoteUnavailableError`` (down, slow: later), ``RemoteRefusedError`` (credentials,
  rights: the administrator), ``RemoteAbsentError`` (the patron is certainly not there any more: a
  payment that waits for this becomes a case at once), ``RemoteGarbledError`` (an answer against the
  specification). ``PinNeededError`` is a refusal, too: only the patron's PIN opens the answer. No
  exception of an SDK or transport crosses the door.
* Calls that move money never raise for anything the remote did: they *return* what is known,
  and **unclear is the default** for everything that is not classified as applied or as certainly
  not applied. They are never repeated inside a plugin; retries of SDK and transport are 0.
* No card number, name, e-mail address, title of a book or secret in an exception, a ``reason``,
  a log line or anything sent to a provider.
* Methods may be called from several threads at once.
* :class:`LibrarySystem`, :class:`PaymentProvider` and :class:`ELendingPlatform` are what every plugin
  has. What a class can do beyond them it declares in its capabilities and implements as a small Protocol
  of its own (:class:`Charging`, :class:`Renewing`, :class:`Lifting`, :class:`Expiring`, :class:`Pricing`,
  :class:`Contacting`, :class:`Evidencing`, :class:`Refunding`, :class:`FindingRefunds`, :class:`Listing`,
  :class:`PayingOut`, :class:`Serving`); a class that declares one and does not have its methods is refused at
  the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from ils_payment.secret import Secret

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    import requests

    from ils_payment.model import (
        Account,
        Answer,
        Attempt,
        Block,
        CannotTell,
        Card,
        CategoryFee,
        Charge,
        ChargeOrder,
        ContactData,
        Credit,
        CreditOrder,
        ELendingCapabilities,
        ExpiringCard,
        Fee,
        Finding,
        Forged,
        LiftOutcome,
        Notice,
        NoticeOutcome,
        Observation,
        PatronRef,
        PaymentPage,
        Payout,
        ProviderCapabilities,
        Question,
        RawRequest,
        Refunded,
        RefundOrder,
        RefundRefused,
        Refused,
        RenewOrder,
        RenewOutcome,
        Reply,
        Reversal,
        SettleOutcome,
        Started,
        StartRefused,
        SystemCapabilities,
        Unavailable,
        Unclear,
        Unreadable,
    )

__all__ = [
    "Charging",
    "FindingRefunds",
    "Host",
    "LibraryInfo",
    "LibrarySystem",
    "Listing",
    "PayingOut",
    "PaymentProvider",
    "PluginConfig",
    "Refunding",
    "Runner",
    "Secret",
]


class PluginConfig(BaseModel):
    """The base of every plugin's ``Config``: frozen, and an unknown key is an error.

    Field descriptions are shown by ``ils-payment init`` and in the documentation; a field with
    ``examples`` is written with its first one, every other optional field as a comment. A field of type
    :data:`~ils_payment.secret.Secret` can only be given as ``{ env = ... }`` or ``{ file = ... }``.
    ``first_method``, of a payment provider: the method that ``init`` writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_method: ClassVar[str] = "card"


class LibraryInfo(BaseModel):
    """What a plugin may know of the library it works for."""

    model_config = ConfigDict(frozen=True)

    key: str
    name: str
    currency: str
    languages: tuple[str, ...]
    time_zone: str


class Host(Protocol):
    """The world as a plugin sees it; one host for each library and plugin."""

    library: LibraryInfo

    def now(self) -> datetime:
        """Return the current instant (timezone-aware, UTC)."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back, for deadlines."""

    def session(
        self,
        *,
        deadline: float = 20.0,
        max_bytes: int = 5 * 1024 * 1024,
        certificate: tuple[str, str] | None = None,
    ) -> requests.Session:
        """Return a new HTTP session with the rules of the house.

        Every call ends within ``deadline`` seconds in all (connect, headers and body together;
        ``requests.Timeout`` otherwise) and reads at most ``max_bytes``. TLS is verified against
        the system's or the configured CA bundle; redirects are not followed; nothing is retried.
        *certificate*: the files (PEM) of our own certificate and its key, for remotes that ask for one.
        """

    def connect(self, address: tuple[str, int], *, deadline: float = 20.0) -> socket.socket:
        """Return a connected TCP socket, for protocols that are not HTTP; OSError otherwise."""

    def failpoint(self, name: str) -> None:
        """Mark a point at which a test may crash or delay the program; does nothing in real life."""


@runtime_checkable
class LibrarySystem(Protocol):
    """A library system (ILS) of one library.

    The core calls ``check`` from ``ils-payment check``; ``sign_in``, ``find_patron``, ``account``,
    ``card`` and ``titles`` while a patron looks at pages; ``account``, ``settle``, ``find_credits``
    and ``recent_credits`` in the settle protocol, unattended, at any hour.
    """

    Config: ClassVar[type[PluginConfig]]

    def __init__(self, config: Any, host: Host) -> None:  # noqa: ANN401 - each plugin has its own Config
        """Keep *config* (an instance of ``Config``) and *host*. No I/O here."""

    def capabilities(self) -> SystemCapabilities:
        """Return what this library system can do, from configuration alone, without I/O."""

    def check(self) -> list[Finding]:
        """Test address, credentials, version and every right; money may not move here.

        Called by ``ils-payment check`` only. Never raises for what the remote does: each problem
        is a finding with its cause and its mend. Warns of rights that are not needed.
        """

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Tell who signs in with card number and PIN. Money may not move here.

        Needs the capability ``sign_in``. An expired or blocked patron is signed in like any
        other. ``Refused`` for every wrong combination alike; ``Unavailable`` when the library
        system does not answer the question (also for an expired PIN). The PIN is neither kept
        nor logged. The core limits the number of calls so that a stranger cannot lock a card.
        """

    def find_patron(self, card: str) -> PatronRef | None:
        """Return the patron whose card number is exactly *card*, or None. Raises RemoteError."""

    def account(self, patron: PatronRef) -> Account:
        """Read fees and balance fresh. Money may not move here. Raises RemoteError.

        Without ``unattended_read`` this is what was read with the PIN at the sign-in, a few minutes ago at
        most and from before any settle call; PinNeededError where there is none. ``read_at`` says when.
        Called before a patron sees fees, before the fees are frozen, and before and after every
        settle call. Every open debit line is listed, also those that cannot be settled
        (``payable=False`` with a ``reason``). Amounts that have more decimals than the currency
        make the answer garbled rather than being rounded.
        """

    def card(self, patron: PatronRef) -> Card:
        """Read card number, expiry, category and blocks. Money may not move. Raises RemoteError."""

    def titles(self, fees: Sequence[Fee]) -> Mapping[str, str]:
        """Return the titles of the items behind *fees*, by ``Fee.item``. Money may not move here.

        Needs the capability ``titles``. An item that is gone is left out; the page shows the
        fee's text then. Titles are shown to the patron only; they are never stored.
        """

    def settle(self, order: CreditOrder) -> SettleOutcome:
        """Write the order's fees as paid: **money moves here.** Called once for each try.

        Write exactly ``order.cents`` to exactly ``order.lines``, with ``order.marker`` where the
        library system can keep it. If the library system does not check that the lines belong to
        the patron, the core has read the patron's own account just before and passes only lines
        from it; the plugin refuses (``NotApplied``) what it can see to be wrong without a call.

        ``Applied`` only when the library system confirmed the credit; ``NotApplied`` only for
        answers known to be given before anything is written; everything else, and any exception
        of the transport after sending began, is ``Unclear``. Ends within the session's deadline.
        """

    def find_credits(self, patron: PatronRef, marker: str) -> Sequence[Credit]:
        """Return every credit of the patron that carries *marker*. Raises RemoteError.

        Needs ``marker=READABLE``. An empty answer must mean "not there (yet)", never "could not
        look". Money may not move here.
        """

    def recent_credits(self, patron: PatronRef, since: datetime) -> Sequence[Credit]:
        """Return the credits of the patron made at or after *since*, the newest first.

        Needs ``credit_list``. Used after a settle call to see our marker once and no foreign
        credit. Instants of the library system may have whole-second precision: include the
        second of *since*. Money may not move here. Raises RemoteError.
        """


@runtime_checkable
class Charging(Protocol):
    """A library system that can make a patron owe again; needs the capability ``can_charge``."""

    def charge(self, order: ChargeOrder) -> SettleOutcome:
        """Write one debit: the patron owes the order's cents again. **Money moves here**, against the patron.

        Called after a refund whose fee stays, once for each try, with the same
        rules and outcomes as ``settle``; ``Applied.remote_ref`` is the debit's id, ``applied`` its cents.
        """

    def find_charges(self, patron: PatronRef, marker: str) -> Sequence[Charge]:
        """Return every debit of the patron that carries *marker*. Raises RemoteError.

        As with ``find_credits``, an empty answer means "not there (yet)".
        """


@runtime_checkable
class Renewing(Protocol):
    """A library system that can renew a card; needs the capability ``can_renew``."""

    def renew_card(self, order: RenewOrder) -> RenewOutcome:
        """Write the card's new expiry. Money may not move here: the fee is charged and settled apart.

        Called once for each try, after the money was taken and the card was read (it still said
        ``order.base``), and the core reads the card again afterwards. The plugin changes nothing but the
        expiry, and never moves it backwards: where the card no longer says ``order.base`` it answers
        ``NotApplied``. The same outcomes as with ``settle``: ``Renewed`` only when confirmed,
        ``NotApplied`` only for answers known to be given before anything is written, else ``Unclear``.
        """


@runtime_checkable
class Lifting(Protocol):
    """A library system that can lift blocks; needs the capability ``can_lift``."""

    def lift_block(self, patron: PatronRef, block: Block) -> LiftOutcome:
        """Lift one block that is ``liftable`` and not ``manual``; harmless when repeated. Money may not move.

        Called after a payment or renewal, only for blocks that hang on fees or expiry alone and when
        neither is left.
        """


@runtime_checkable
class Expiring(Protocol):
    """A library system that can list cards by their expiry; needs the capability ``lists_expiring``."""

    def expiring(self, since: date, until: date) -> Sequence[ExpiringCard]:
        """Return the cards whose last day lies from *since* to *until* (both inclusive). Raises RemoteError.

        Called once a day for reminders, and only if these are switched on. Money may not move here.
        """


@runtime_checkable
class Pricing(Protocol):
    """A library system that shows what its patron categories cost; needs ``prices_categories``."""

    def category_fees(self) -> Sequence[CategoryFee]:
        """Return every patron category with its own fee, to compare the tariff with. Raises RemoteError."""


@runtime_checkable
class Contacting(Protocol):
    """A library system that shows where it reaches a patron; needs the capability ``shows_contact``."""

    def contact(self, patron: PatronRef) -> ContactData:
        """Read name, address, e-mail and telephone. Raises RemoteError. Money may not move here.

        Called while the patron is signed in, and only where the library wants them confirmed before a
        card is renewed. The core shows the answer to the patron and keeps nothing of it.
        """


@runtime_checkable
class Evidencing(Protocol):
    """A library system that knows how long evidence for a reduced fee is good; needs ``shows_evidence``."""

    def evidence_until(self, patron: PatronRef) -> date | Unreadable | None:
        """Return the last day of the patron's evidence, None where there is none. Raises RemoteError.

        Called only where the tariff renews a card to that day at most. ``Unreadable`` for whatever is no
        single day beyond doubt: the card is then renewed at the desk. Money may not move here.
        """


class LibraryReader(Protocol):
    """The library system as an eLending platform may see it: questions only, limited by the core."""

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Ask as :meth:`LibrarySystem.sign_in`; after too many wrong PINs ``Refused`` without asking."""

    def account(self, patron: PatronRef) -> Account:
        """Read fees and balance fresh. Raises RemoteError."""

    def card(self, patron: PatronRef) -> Card:
        """Read the card fresh. Raises RemoteError."""


@runtime_checkable
class ELendingPlatform(Protocol):
    """An eLending platform of one library: tells whether it lends to a patron now. Money never moves here."""

    Config: ClassVar[type[PluginConfig]]

    def __init__(self, config: Any, host: Host) -> None:  # noqa: ANN401 - each plugin has its own Config
        """Keep *config* (an instance of ``Config``) and *host*. No I/O here."""

    def capabilities(self) -> ELendingCapabilities:
        """Return what this platform can do, from configuration alone, without I/O."""

    def check(self) -> list[Finding]:
        """Test what can be tested without a patron; called by ``ils-payment check`` only."""

    def ask(self, question: Question) -> Answer:
        """Say what the platform says of this patron, or would say. Raises RemoteError.

        Called after a payment was settled or a card renewed, unattended (no PIN), and from the page
        while the patron has just entered the PIN. ``asked`` only when the platform, or what it asks
        itself, gave the answer.
        """


@runtime_checkable
class Serving(Protocol):
    """A platform that asks us at each login; needs the capability ``inbound``."""

    def serve(self, request: RawRequest, source: str, reader: LibraryReader) -> Reply:
        """Answer the platform's question, posted to ``/elending/{library}/{name}``.

        Never raises for bad input. *source* is the asking address, after trusted proxies. Nothing
        personal may be logged or kept.
        """


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
        request under the same key only within ``key_lifetime``. Money may not move here.
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


class Runner(Protocol):
    """Who calls ``advance`` for payments that are due, in each process of ``serve`` and ``worker``.

    The embedded one is a few threads; a plugin's one works together with those of other hosts. What
    is due stands in the ledger, so a call of ``advance`` may be lost as long as ``due`` is asked
    again every few seconds, and may be doubled: a payment is in one pair of hands at a time.
    """

    def __init__(self, database: str) -> None:
        """Keep the ledger's address (an SQLAlchemy URL, its password included: never log it). No I/O here."""

    def upgrade(self) -> None:
        """Create the runner's own tables, or bring them up to date; ``db upgrade`` calls this.

        Harmless when repeated, and while another host does the same.
        """

    def check(self) -> None:
        """Raise SchemaError unless the runner's own tables are as this version needs them."""

    def start(self, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]) -> None:
        """Begin to call ``advance(payment_id)`` for what ``due(limit)`` names, until ``stop``.

        In threads of its own; returns at once. Both callables may be called from several threads.
        A database that goes away for a while ends nothing.
        """

    def wake(self) -> None:
        """Say that something became due; may be called from any thread, is allowed to be lost."""

    def stop(self) -> None:
        """Finish what is being advanced and return."""
