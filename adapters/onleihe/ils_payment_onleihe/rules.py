"""What the Onleihe is told of a patron: the status and the age rating, from account and card alone.

The words and their order were read in the code of a library system that has answered the Onleihe for years
(Koha as LMSCloud ships it). They were not compared with a document of the divibib, nor with a live Onleihe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ils_payment.model import Hindrance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from ils_payment.model import Account, Card, LocalText

VALID = 3
WRONG_CREDENTIALS = -1
WRONG_PASSWORD = -2
"""Some services tell a wrong password from an unknown card; we never do, and take both alike."""
DELETED = 0
TEST_USER = 2
NOT_ALLOWED = -4
EXPIRED = -3
BLOCKED = 1
FEES = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the order: what hinders, the status for it, and who lifts it."""

    kind: str
    status: int
    lifted_by: str


ORDER = (
    Row("category", NOT_ALLOWED, "library"),
    Row("overdues", BLOCKED, "return"),
    Row("restriction", BLOCKED, "library"),
    Row("other", BLOCKED, "library"),
    Row("expired", EXPIRED, "renewal"),
    Row("address", BLOCKED, "library"),
    Row("lost_card", BLOCKED, "library"),
    Row("fees", FEES, "payment"),
    Row("locked", BLOCKED, "library"),
)
"""The first row that applies gives the status, so an expired card hides that fees are open.

``other`` is a block in words that only the library system knows; it counts like a restriction.
"""
KINDS = frozenset(row.kind for row in ORDER)

_AGES = ((18, 18), (16, 16), (12, 12), (6, 6))
"""From which age on which rating; younger patrons have 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the library has configured; amounts in cents."""

    fee_limit: int
    fee_limits: Mapping[str, int] = field(default_factory=dict)
    fee_kinds_not_counted: frozenset[str] = frozenset()
    categories_not_allowed: frozenset[str] = frozenset()
    fsk_unknown: int = 18
    fsk_age_zero: int = 0
    texts: Mapping[str, LocalText] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a patron stands: the status, and everything that hinders in the order of the rows."""

    status: int
    hindrances: tuple[Hindrance, ...]


def standing(account: Account, card: Card, rules: Rules, today: date) -> Standing:
    """Judge a patron whose card and PIN are right; *today* is the library's own day."""
    kinds = {block.kind if block.kind in KINDS else "other" for block in card.blocks}
    manual = {block.kind for block in card.blocks if block.manual}
    if card.category in rules.categories_not_allowed:
        kinds.add("category")
    if card.valid_until is not None and card.valid_until < today:
        kinds.add("expired")
    if owed(account, rules) > rules.fee_limits.get(card.category, rules.fee_limit):
        kinds.add("fees")
    rows = [row for row in ORDER if row.kind in kinds]
    return Standing(
        rows[0].status if rows else VALID,
        tuple(
            Hindrance(
                kind=row.kind,
                lifted_by="library" if row.kind in manual else row.lifted_by,
                text=rules.texts.get(row.kind),
            )
            for row in rows
        ),
    )


def owed(account: Account, rules: Rules) -> int:
    """Return the cents of open fees that count; credit that no fee has used yet is not set against them."""
    return sum(fee.cents for fee in account.fees if fee.kind not in rules.fee_kinds_not_counted)


def fsk(birth_date: date | None, rules: Rules, today: date) -> int:
    """Return the age rating; a birth date in the future is unknown."""
    if birth_date is None or birth_date > today:
        return rules.fsk_unknown
    age = today.year - birth_date.year - ((today.month, today.day) < (birth_date.month, birth_date.day))
    if age == 0:
        return rules.fsk_age_zero
    return next((rating for least, rating in _AGES if age >= least), 0)


def first_with(status: int) -> Row | None:
    """Return the first row that has *status*; None for a status that no row gives."""
    return next((row for row in ORDER if row.status == status), None)
