"""The tables of the simulated Koha as plain dataclasses.

Amounts are decimals with six places, as in Koha's ``decimal(28,6)`` columns. Everything is
guarded by ``Tables.lock``, which is never held while the world's time passes.
"""

from __future__ import annotations

import threading
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymarc import Record

SMALLEST = Decimal("0.000001")
LARGEST = Decimal("9999999999999999999999.999999")

CREDIT_TYPES = (
    "CANCELLATION", "CREDIT", "DISCOUNT", "FORGIVEN", "LOST_FOUND", "OVERPAYMENT", "PAYMENT",
    "PROCESSING_FOUND", "PURCHASE", "REFUND", "WRITEOFF",
)  # fmt: skip
DEBIT_TYPES = (
    "ACCOUNT", "ACCOUNT_RENEW", "ARTICLE_REQUEST", "LOST", "MANUAL", "NEW_CARD", "OVERDUE", "PAYOUT",
    "PROCESSING", "RENT", "RENT_DAILY", "RENT_DAILY_RENEW", "RENT_RENEW", "RESERVE", "RESERVE_EXPIRED",
    "VOID",
)  # fmt: skip


def stored(amount: Decimal) -> Decimal:
    """Return *amount* as the database keeps it: six places, cut to what the column holds (seen with 1e30)."""
    return max(-LARGEST, min(LARGEST, amount)).quantize(SMALLEST, rounding=ROUND_HALF_UP)


@dataclass(kw_only=True)
class Line:
    """One account line: a debit (``amount`` > 0) or a credit (``amount`` <= 0)."""

    line_id: int
    patron_id: int
    amount: Decimal
    outstanding: Decimal
    date: datetime
    timestamp: datetime
    debit_type: str | None = None
    credit_type: str | None = None
    credit_number: str | None = None
    description: str = ""
    note: str = ""
    status: str | None = None
    payment_type: str | None = None
    library_id: str | None = None
    item_id: int | None = None
    user_id: int | None = None
    interface: str = "api"


@dataclass(frozen=True, kw_only=True)
class Offset:
    """How much of a credit went to which debit; a row of 0 is written for a debit that was already paid."""

    credit_id: int
    debit_id: int
    amount: Decimal


@dataclass(kw_only=True)
class Patron:
    """One borrower: ``record`` holds the fields that the API shows, by their API names.

    ``rights`` holds module names (the whole permission) and ``module:part`` names;
    ``superlibrarian`` has all.
    """

    patron_id: int
    record: dict[str, Any]
    password: str
    rights: frozenset[str] = frozenset()
    password_expired: bool = False
    attributes: list[tuple[int, str, str | None]] = field(default_factory=list)
    """Extended attributes: their id, the code of their type, their value."""

    @property
    def login_attempts(self) -> int:
        """How many wrong passwords were given since the last right one."""
        return int(self.record["login_attempts"])


@dataclass(frozen=True, kw_only=True)
class ExpiryChange:
    """One new expiry of a patron: when, by whom (``api``, ``desk`` or ``self``), from what to what."""

    patron_id: int
    at: datetime
    by: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Category:
    """A patron category with its enrolment fee; it lasts for *months*, or *until* a day for everybody."""

    category_id: str
    fee: Decimal
    name: str = ""
    months: int = 12
    until: date | None = None

    def expiry(self, base: date) -> date:
        """Return the last day of a card that begins on *base*; a month that is too short ends on its last."""
        if self.until is not None:
            return self.until
        year, month = divmod(base.year * 12 + base.month - 1 + self.months, 12)
        return date(year, month + 1, min(base.day, monthrange(year, month + 1)[1]))


@dataclass(frozen=True, kw_only=True)
class Item:
    """One copy of a record."""

    item_id: int
    biblio_id: int
    barcode: str
    library_id: str
    callnumber: str
    price: Decimal
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Biblio:
    """One bibliographic record."""

    biblio_id: int
    record: Record
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Client:
    """An API key: the OAuth2 client acts as the patron it belongs to."""

    client_id: str
    secret: str
    patron_id: int


@dataclass(kw_only=True)
class Token:
    """A bearer token that was handed out."""

    client_id: str
    expires: datetime


@dataclass
class Tables:
    """Everything that the simulated Koha keeps."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    patrons: dict[int, Patron] = field(default_factory=dict)
    lines: dict[int, Line] = field(default_factory=dict)
    offsets: list[Offset] = field(default_factory=list)
    categories: dict[str, Category] = field(default_factory=dict)
    libraries: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    biblios: dict[int, Biblio] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    expiry_changes: list[ExpiryChange] = field(default_factory=list)
    credit_types: list[str] = field(default_factory=lambda: list(CREDIT_TYPES))
    next_line_id: int = 1
    last_credit_number: int = 0

    def take_line_id(self) -> int:
        """Return the next id; as in InnoDB it is used up even when the row is then refused (seen)."""
        line_id = self.next_line_id
        self.next_line_id += 1
        return line_id

    def change_patron(self, patron_id: int, fields: Mapping[str, Any], *, by: str, at: datetime) -> None:
        """Set *fields* of a patron's record, over whatever stands there; a new expiry is noted."""
        record = self.patrons[patron_id].record
        before = record["expiry_date"]
        record.update(fields)
        after = record["expiry_date"]
        if before != after:
            self.expiry_changes.append(
                ExpiryChange(patron_id=patron_id, at=at, by=by, before=before, after=after)
            )

    def lines_of(self, patron_id: int) -> list[Line]:
        """Return a patron's account lines, oldest first: as they were added."""
        return [line for line in self.lines.values() if line.patron_id == patron_id]

    def clear_old_tokens(self, now: datetime) -> None:
        """Forget tokens that expired more than a day ago, so that a long run does not collect them."""
        old = [key for key, token in self.tokens.items() if token.expires < now - timedelta(days=1)]
        for key in old:
            del self.tokens[key]
