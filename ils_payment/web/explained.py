"""The page "Fees explained": the by-law in plain words, made from the tariff alone. Public, no login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from ils_payment.domain.by_law import Evidence
from ils_payment.web import render
from ils_payment.web.sessions import DeskHere, HouseHere, visit_if_any
from ils_payment.web.words import N_

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from ils_payment.domain.by_law import Amount, Band, Category, FeeKind, Period, Tariff, Version
    from ils_payment.model import LocalText
    from ils_payment.web.language import Tongue

router = APIRouter(prefix="/{library}", include_in_schema=False)

UNITS = {
    "item": N_("item"),
    "started_week": N_("started week"),
    "week": N_("week"),
    "day": N_("day"),
    "loan": N_("loan"),
    "extension": N_("extension"),
    "request": N_("request"),
    "page": N_("page"),
    "letter": N_("letter"),
    "card": N_("card"),
}
"""What an amount is for each of; every unit of the tariff file has a word."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One card or fee: its name, its prices, what else is to be known, and why not online."""

    name: str
    prices: tuple[str, ...]
    notes: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What one version of the tariff says; ``coming``: it is not in force yet."""

    begins: date
    coming: bool
    by_law: str
    lead: str
    cards: tuple[Entry, ...]
    fees: tuple[Entry, ...]


@router.get("/fees-explained", dependencies=[Depends(visit_if_any)])
def fees_explained(request: Request, house: HouseHere, desk: DeskHere) -> Response:
    """Show what cards and fees cost; there is no such page without a tariff."""
    if desk.tariff is None:
        raise HTTPException(404)
    return page(request, desk.tariff, desk.day_of(house.world.now()))


def page(request: Request, tariff: Tariff, today: date) -> Response:
    """Show the version in force, and those that come."""
    return render.page(
        request, "explained.html", sections=sections(tariff, today, render.tongue(request)), here="explained"
    )


def sections(tariff: Tariff, today: date, tongue: Tongue) -> tuple[Section, ...]:
    """Return the version in force, then those that come, the next one first."""
    current = tariff.at(today)
    coming = sorted(
        (one for one in tariff.versions if one.valid_from > today), key=lambda one: one.valid_from
    )
    shown = [*([current] if current else []), *coming]
    said = _Said(tongue, tariff.currency)
    return tuple(said.section(one, coming=one.valid_from > today) for one in shown)


@dataclass(frozen=True, slots=True)
class _Said:
    """Says a tariff in one language."""

    tongue: Tongue
    currency: str

    def section(self, version: Version, *, coming: bool) -> Section:
        return Section(
            begins=version.valid_from,
            coming=coming,
            by_law=self._local(version.by_law),
            lead=self._lead(version),
            cards=tuple(self._card(one) for one in version.categories),
            fees=tuple(self._fee(one) for one in version.kinds.values() if one.amounts),
        )

    def _lead(self, version: Version) -> str:
        """Say from when on cards are renewed online; nothing where that is not the same for all."""
        days = {one.lead_days for one in version.categories if one.online}
        if len(days) != 1:
            return ""
        [number] = days
        return self._("You can renew a card online from %(days)s days before it ends.") % {"days": number}

    def _card(self, category: Category) -> Entry:
        priced = [band for band in category.bands if band.cents is not None]
        refused = [band for band in category.bands if band.why is not None]
        notes = [self._period(category.period)]
        if category.evidence is not Evidence.NONE:
            notes.append(self._("With valid evidence; the card ends with it."))
        reasons = [f"{self._ages(band)}: {self._local(band.why)}" for band in refused]
        if not category.online:
            reasons = [self._local(category.why)]
        return Entry(
            name=self._local(category.label),
            prices=tuple(self._band(band, alone=not category.by_age) for band in priced),
            notes=tuple(notes),
            reasons=tuple(reasons),
        )

    def _band(self, band: Band, *, alone: bool) -> str:
        price = self._price(band.cents or 0)
        return price if alone else f"{self._ages(band)}: {price}"

    def _price(self, cents: int) -> str:
        return self.tongue.money(cents, self.currency) if cents else self._("free")

    def _ages(self, band: Band) -> str:
        facts = {"first": band.from_age, "last": band.to_age}
        if band.to_age is None:
            return (self._("from %(first)s years on") if band.from_age else self._("at every age")) % facts
        if band.from_age == 0:
            return self._("up to %(last)s years") % facts
        return self._("%(first)s to %(last)s years") % facts

    def _period(self, period: Period) -> str:
        if period.to is not None:
            return self._("Valid until the next %(day)s.") % {"day": self.tongue.day_of_year(*period.to)}
        number, one, many = (
            (period.days, self._("Valid for one day."), self._("Valid for %(number)s days."))
            if period.days is not None
            else (period.months, self._("Valid for one month."), self._("Valid for %(number)s months."))
        )
        if period.months == 12:
            return self._("Valid for one year.")
        return one if number == 1 else many % {"number": number}

    def _fee(self, kind: FeeKind) -> Entry:
        return Entry(
            name=self._local(kind.label),
            prices=tuple(self._amount(one) for one in kind.amounts),
            notes=(self._local(kind.note),) if kind.note else (),
            reasons=() if kind.online else (self._local(kind.why),),
        )

    def _amount(self, amount: Amount) -> str:
        price = self._("what it really costs") if amount.actual_cost else self._price(amount.cents or 0)
        said = " ".join([price, *self._for_what(amount)])
        if amount.letter is not None:
            said = self._("letter %(number)s: %(price)s") % {"number": amount.letter, "price": said}
        return said

    def _for_what(self, amount: Amount) -> Iterator[str]:
        """Say what the amount is for, piece by piece."""
        if amount.per:
            units = self._(" and ").join(self._(UNITS[unit]) for unit in amount.per)
            yield self._("per %(units)s") % {"units": units}
        if amount.text:
            yield self._local(amount.text)
        if amount.after_weeks:
            said = self._("after one week") if amount.after_weeks == 1 else self._("after %(weeks)s weeks")
            yield said % {"weeks": amount.after_weeks}
        if amount.overdue_weeks:
            one = amount.overdue_weeks == 1
            plus = self._("plus the overdue fees of one week")
            said = plus if one else self._("plus the overdue fees of %(weeks)s weeks")
            yield said % {"weeks": amount.overdue_weeks}
        if amount.free_weeks:
            first = self._("(the first week is free)")
            said = first if amount.free_weeks == 1 else self._("(the first %(weeks)s weeks are free)")
            yield said % {"weeks": amount.free_weeks}

    def _(self, text: str) -> str:
        return self.tongue.gettext(text)

    def _local(self, text: LocalText | None) -> str:
        return self.tongue.local(text) if text else ""
