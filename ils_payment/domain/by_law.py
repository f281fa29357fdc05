"""The by-law of one library as data: versions by date, patron categories with prices, fee kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from ils_payment.domain import tariff_words as words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import LocalText

COMMON_YEAR = 2001
"""A year without 29 February: a period to that day would end in one year of four only."""


class Start(StrEnum):
    """From which day a new period counts: the old expiry, today, or the later of both."""

    EXPIRY = "expiry"
    TODAY = "today"
    LATER = "later"


class Evidence(StrEnum):
    """What a reduced fee needs: nothing, the category in the library system, or evidence good until a day."""

    NONE = "none"
    CATEGORY = "category"
    DATE = "date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """For how long a card is renewed: exactly one of ``months``, ``days``, and ``to`` (month, day).

    Months count as library systems do: 25 November plus twelve is 25 November, 31 January plus one the
    last of February. ``to`` is the next such day after the start. ``days`` count the first one.
    """

    months: int | None = None
    days: int | None = None
    to: tuple[int, int] | None = None
    start: Start = Start.LATER

    def __post_init__(self) -> None:
        """Refuse what is no period (ValueError)."""
        if sum(part is not None for part in (self.months, self.days, self.to)) != 1:
            raise ValueError("a period is months, days, or to a day: exactly one of them")
        if any(part is not None and part < 1 for part in (self.months, self.days)):
            raise ValueError("a period is at least a day long")
        if self.to is not None:
            date(COMMON_YEAR, *self.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The price in cents from an age to another, both included (None: no end), or ``why`` there is none."""

    from_age: int = 0
    to_age: int | None = None
    cents: int | None = None
    why: LocalText | None = None

    def fits(self, age: int) -> bool:
        """Tell whether somebody of *age* whole years pays this."""
        return self.from_age <= age and (self.to_age is None or age <= self.to_age)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A patron category: what its card costs, for how long, and whether it is renewed online.

    ``codes`` are the library system's own. ``lead_days``: so many days before the expiry one may renew.
    ``grace_days``: so many days after it (None: at any time). ``why`` says why not ``online``.
    """

    key: str
    codes: tuple[str, ...]
    label: LocalText
    kind: str
    bands: tuple[Band, ...]
    period: Period
    lead_days: int
    grace_days: int | None = None
    evidence: Evidence = Evidence.NONE
    online: bool = True
    why: LocalText | None = None

    @property
    def by_age(self) -> bool:
        """Tell whether the price hangs on the age, so that a birth date is needed."""
        return any(band.from_age > 0 or band.to_age is not None for band in self.bands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """One amount of a fee kind: ``cents`` for each of ``per``, or the ``actual_cost`` (then cents is None).

    ``free_weeks``: the first weeks cost nothing. ``letter``: which reminder letter it is for.
    ``overdue_weeks``: the letter asks for the overdue fees of so many weeks as well. ``after_weeks``: falls
    due when so many weeks have gone. ``text`` says more, for the page.
    """

    cents: int | None = None
    per: tuple[str, ...] = ()
    actual_cost: bool = False
    free_weeks: int = 0
    letter: int | None = None
    overdue_weeks: int | None = None
    after_weeks: int | None = None
    text: LocalText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeKind:
    """A fee kind of the by-law: its name, where it is booked, whether it is paid online, what it costs.

    ``codes`` are the library system's own fee kinds (Koha: debit types) that are this one.
    """

    key: str
    label: LocalText
    codes: tuple[str, ...] = ()
    cost_centre: str = ""
    account: str = ""
    tax_code: str = ""
    online: bool = True
    why: LocalText | None = None
    amounts: tuple[Amount, ...] = ()
    note: LocalText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The tariff from one day on, until the next version begins. ``helps`` says who helps further."""

    valid_from: date
    kinds: Mapping[str, FeeKind]
    categories: tuple[Category, ...]
    by_law: LocalText | None = None
    helps: LocalText = field(default_factory=lambda: dict(words.HELPS))

    @property
    def name(self) -> str:
        """Return what payments keep of it."""
        return self.valid_from.isoformat()

    def category(self, code: str) -> Category | None:
        """Return the category that the library system calls *code*."""
        return next((one for one in self.categories if code in one.codes), None)

    def kind(self, code: str) -> FeeKind | None:
        """Return the fee kind that the library system calls *code*, else the one of that name here."""
        named = next((one for one in self.kinds.values() if code in one.codes), None)
        return named or self.kinds.get(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A library's whole file: its versions in the order of the file."""

    currency: str
    versions: tuple[Version, ...]

    def at(self, day: date) -> Version | None:
        """Return the version in force on *day*; None before the first one."""
        begun = [one for one in self.versions if one.valid_from <= day]
        return max(begun, key=lambda one: one.valid_from, default=None)
