"""The doors of a library system: what every one has, and what some can do beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from ils_payment.model import (
        Account,
        Block,
        Card,
        CategoryFee,
        Charge,
        ChargeOrder,
        ContactData,
        Credit,
        CreditOrder,
        ExpiringCard,
        Fee,
        Finding,
        LiftOutcome,
        PatronRef,
        Refused,
        RenewOrder,
        RenewOutcome,
        SettleOutcome,
        SystemCapabilities,
        Unavailable,
        Unreadable,
    )
    from ils_payment.ports.host import Host, PluginConfig


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
