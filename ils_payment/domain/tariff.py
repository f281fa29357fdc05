"""What a library card costs whom, when: the quote from a library's by-law (:mod:`ils_payment.domain.by_law`).

Which day decides what: the version of the tariff in force *today* prices, whenever the new period begins.
The age is that on the first day of the new period, so who turns eighteen before it pays as an adult. A
card is renewed to a later day than it had and never to a day that is past; where no such day comes out,
there is no quote.

Of the evidence for a reduced fee (student, trainee) only the day is evaluated to which it is good, and
only when the caller knows one; what the evidence says is for the desk, which gave the card its category.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ils_payment.domain import tariff_words as words
from ils_payment.domain.by_law import Category, Evidence, Period, Start, Tariff, Version

if TYPE_CHECKING:
    from ils_payment.model import Card, LocalText

__all__ = ["NoQuote", "Quote", "Tariff", "age_on", "new_period", "quote", "refusal"]

FOREVER_YEARS = 50
"""A card that is valid longer than that has no expiry: library systems write it as the year 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What renewing a card costs today.

    ``kind`` is the tariff's fee kind, ``cents`` >= 0 (0: free), ``base`` the card's expiry as read, ``until``
    the new one, ``version`` the first day of the tariff's version (ISO 8601), ``label`` the name of the fee.
    """

    kind: str
    cents: int
    category: str
    base: date | None
    until: date
    version: str
    label: LocalText
    cost_centre: str
    account: str
    tax_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoQuote:
    """Why a card cannot be renewed online, for the patron: ``text`` ends with who helps.

    ``code`` is one of :data:`ils_payment.domain.tariff_words.WHY_NOT`. ``from_day``: when it can (too early).
    """

    code: str
    text: LocalText
    from_day: date | None = None


def quote(
    tariff: Tariff,
    card: Card,
    today: date,
    *,
    ignore_lead: bool = False,
    evidence_until: date | None = None,
) -> Quote | NoQuote:
    """Say what renewing *card* costs *today*, or why it cannot be renewed online.

    ``ignore_lead`` lets a card be renewed however early, for who renews it anyway. ``evidence_until``: the
    last day of the patron's evidence, where it is known; the new period never goes beyond it.
    """
    version = tariff.at(today)
    if version is None:
        return refusal("no_tariff")
    category = version.category(card.category)
    if category is None:
        return refusal("unknown_category", version)
    if not category.online:
        return refusal("not_online", version, category.why)
    early_or_late = _in_time(version, category, card.valid_until, today, ignore_lead=ignore_lead)
    if early_or_late is not None:
        return early_or_late
    first, until = new_period(category.period, card.valid_until or today, today)
    cents = _price(version, category, card.birth_date, first, today)
    if isinstance(cents, NoQuote):
        return cents
    ending = _end(version, category, card.valid_until or today, until, today, evidence_until)
    if isinstance(ending, NoQuote):
        return ending
    kind = version.kinds[category.kind]
    return Quote(
        kind=kind.key,
        cents=cents,
        category=card.category,
        base=card.valid_until,
        until=ending,
        version=version.name,
        label=kind.label,
        cost_centre=kind.cost_centre,
        account=kind.account,
        tax_code=kind.tax_code,
    )


def refusal(
    code: str, version: Version | None = None, why: LocalText | None = None, from_day: date | None = None
) -> NoQuote:
    """Return the refusal *code* in plain words: the tariff's own, else ours, and who helps."""
    helps = version.helps if version else words.HELPS
    return NoQuote(code=code, text=words.joined(why or words.WHY_NOT[code], helps), from_day=from_day)


def _in_time(
    version: Version, category: Category, base: date | None, today: date, *, ignore_lead: bool
) -> NoQuote | None:
    """Refuse a card without an expiry, too early, or after the grace; counted in days, as they overflow."""
    if base is None or base.year > today.year + FOREVER_YEARS:
        return refusal("no_expiry", version)
    if not ignore_lead and (base - today).days > category.lead_days:
        return refusal("too_early", version, from_day=base - timedelta(days=category.lead_days))
    if category.grace_days is not None and (today - base).days > category.grace_days:
        return refusal("grace_over", version)
    return None


def new_period(period: Period, base: date, today: date) -> tuple[date, date]:
    """Return the first and the last day of the period that follows a card that was good until *base*."""
    after_expiry = period.start is Start.EXPIRY or (period.start is Start.LATER and base >= today)
    counted_from = base if after_expiry else today
    first = base + timedelta(days=1) if after_expiry else today
    if period.to is not None:
        this_year = date(counted_from.year, *period.to)
        next_year = date(counted_from.year + 1, *period.to)
        return first, this_year if this_year > counted_from else next_year
    if period.days is not None:
        return first, first + timedelta(days=period.days - 1)
    return first, _months_later(counted_from, period.months or 0)


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def age_on(day: date, born: date) -> int:
    """Return the whole years of somebody on *day*; who was born on 29 February waits for 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _price(
    version: Version, category: Category, born: date | None, first: date, today: date
) -> int | NoQuote:
    """Return what the category costs somebody of this age on the first day of the new period."""
    age = 0
    if category.by_age:
        if born is None:
            return refusal("no_birth_date", version)
        if born > today:
            return refusal("birth_date_in_future", version)
        age = max(age_on(first, born), 0)
    band = next((one for one in category.bands if one.fits(age)), None)
    if band is None or band.cents is None:
        return refusal("not_at_this_age", version, band.why if band else None)
    return band.cents


def _end(
    version: Version, category: Category, base: date, until: date, today: date, evidence_until: date | None
) -> date | NoQuote:
    """Return the last day of the new period, cut at the evidence; never backwards, never in the past."""
    if category.evidence is Evidence.DATE:
        if evidence_until is None:
            return refusal("needs_evidence", version)
        if evidence_until <= base or evidence_until < today:
            return refusal("evidence_over", version)
        until = min(until, evidence_until)
    if until < today:
        return refusal("grace_over", version)
    if until <= base:
        return refusal("too_early", version, from_day=_gains_from(category.period, base, today))
    return until


def _gains_from(period: Period, base: date, today: date) -> date:
    """Return the first day after *today* on which a period from that day ends later than *base*."""
    ahead = ((today + timedelta(days=number)) for number in range(1, (base - today).days + 2))
    return next(day for day in ahead if new_period(period, base, day)[1] > base)
