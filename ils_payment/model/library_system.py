"""What passes the door to a library system: accounts, fees, cards, orders and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from ils_payment.model.shared import LocalText, Unclear

if TYPE_CHECKING:
    from datetime import date, datetime

PatronRef = NewType("PatronRef", str)
"""The library system's own, stable, opaque id of a patron (Koha: ``patron_id``). Never the card number."""

WHOLE_ACCOUNT = "account"
"""Claim key and kind of the one fee that stands for all where a library system gives fees no ids."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Card and PIN do not fit. Never says which of the two is wrong, nor whether a card exists."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The question could not be answered now; ``reason`` is for the log, without personal data."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """One open debit line of a patron.

    ``ref`` is the library system's id of the line, None where it lists none. ``claim_key`` is
    what no two open payments of this patron may share: the ref, or :data:`WHOLE_ACCOUNT` where there
    are no refs; then there is one fee at most, for the whole balance. ``cents`` is what is
    still open (> 0). ``kind`` is the library system's own code of the fee kind (Koha: debit type),
    ``status`` its own status code. ``growing`` is true while the amount can still rise by itself.
    ``payable`` is false when the library system could not settle this line; ``reason`` then says why,
    for the patron. ``since`` is the day the fee arose. ``item`` leads to the title (see
    ``LibrarySystem.titles``).
    """

    ref: str | None
    claim_key: str
    cents: int
    kind: str
    text: str
    status: str = ""
    growing: bool = False
    payable: bool = True
    reason: LocalText | None = None
    since: date | None = None
    item: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a patron owes, as the library system says at ``read_at`` (by its own clock, where it tells).

    ``balance`` is what is owed after open credit has been counted (may be negative);
    ``open_credit`` (>= 0) is credit that no fee has used yet. ``complete`` is false when the
    library system cut the list.
    """

    balance: int
    open_credit: int
    fees: tuple[Fee, ...]
    read_at: datetime
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Something that keeps the patron from borrowing.

    ``kind``: ``expired``, ``fees``, ``restriction``, ``lost_card``, ``address`` or the library
    system's own word. ``manual``: a person set it and only a person lifts it.
    """

    kind: str
    manual: bool = False
    liftable: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The patron's library card. ``number`` is personal: it is shown to the patron, never stored.

    ``category`` is the library system's own code. ``renewed_on`` is the day on which the library
    system itself renewed the card last, where it tells: another one means that a desk was faster.
    """

    number: str | None
    valid_until: date | None
    category: str = ""
    birth_date: date | None = None
    blocks: tuple[Block, ...] = ()
    renewed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands there is no day that can be relied on; ``reason`` is for the log, without personal data."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactData:
    """Where the library reaches a patron, as the library system has it: shown to the patron, never stored.

    ``address`` line by line as on a letter; what is not known is empty or None.
    """

    name: str = ""
    address: tuple[str, ...] = ()
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One fee to settle: at most ``cents`` of the line ``ref``."""

    ref: str | None
    claim_key: str
    cents: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditOrder:
    """What ``LibrarySystem.settle`` is to write: exactly ``cents`` on exactly these lines.

    ``marker`` (<= 30 characters, ``ILSP-XXXXXX-C``) is written with the credit and searched for
    afterwards. ``method`` is what the payer chose, for the library system's statistics. A plugin that
    has something to do before the call (a token to fetch) looks at the clock once more: after
    ``send_before`` it must not send, but answer ``NotApplied``.
    """

    patron: PatronRef
    marker: str
    cents: int
    currency: str
    method: str
    lines: tuple[OrderLine, ...]
    send_before: datetime | None = None


class ChargePurpose(StrEnum):
    """Why a debit is written: money went back and the fee stays, or a card was renewed."""

    REFUND = "refund"
    RENEWAL = "renewal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOrder:
    """A debit to write: a fee that stays though its money went back, or the fee of a card renewal.

    ``marker`` is written with the debit and searched for afterwards, as with a credit. ``kind`` is
    the fee kind of the line that is owed; ``settled_with`` is the number of the payment's receipt,
    for the text. ``purpose`` says which of the two it is.
    """

    patron: PatronRef
    marker: str
    cents: int
    currency: str
    kind: str
    settled_with: str
    send_before: datetime | None = None
    purpose: ChargePurpose = ChargePurpose.REFUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One debit that the library system shows in a patron's account (cents > 0)."""

    remote_ref: str
    marker: str | None
    cents: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The credit is in the library system: its id, what the fees took, what no fee took (both >= 0)."""

    remote_ref: str
    applied: int
    unapplied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplied:
    """The credit is certainly not there. ``permanent``: asking again cannot help, a person has to."""

    reason: str
    permanent: bool = False


SettleOutcome = Applied | NotApplied | Unclear


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewOrder:
    """What ``Renewing.renew_card`` is to do: the card that is valid until ``base`` gets a new expiry.

    ``base`` is what the card said when the core read it last (None: no expiry). ``until`` is the new
    expiry; None where the library system follows a rule of its own (``RenewSupport.BY_RULE``).
    ``marker`` is the payment's number, for library systems that can keep it. ``send_before`` is as in
    :class:`CreditOrder`.
    """

    patron: PatronRef
    marker: str
    base: date | None
    until: date | None
    send_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """The library system confirmed a new expiry; the core reads the card again all the same."""

    valid_until: date | None


RenewOutcome = Renewed | NotApplied | Unclear


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """The block is gone."""


LiftOutcome = Lifted | NotApplied | Unclear


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiringCard:
    """A card that ends soon, and where its patron wants mail (None: nowhere)."""

    patron: PatronRef
    valid_until: date
    category: str
    email: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryFee:
    """What the library system itself takes for a year in a patron category (cents >= 0), for comparison.

    ``months``: the period it grants; None where it is a fixed day or unknown.
    """

    category: str
    name: str
    cents: int
    months: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """One credit that the library system shows in a patron's account (cents >= 0)."""

    remote_ref: str
    marker: str | None
    cents: int
    unapplied: int
    at: datetime | None = None
