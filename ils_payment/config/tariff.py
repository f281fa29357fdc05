"""The tables of a tariff file: a library's by-law, as the person who copies it writes it.

Amounts are texts like ``"10.00"``: a TOML number with a point would be a float. What each key means stands
in its description; ``docs/tariff.md`` lists them. Reading the file is in ``tariff_file.py``.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from ils_payment.config.fields import Table, Text, wrong_at
from ils_payment.domain.by_law import COMMON_YEAR
from ils_payment.money import MoneyError, as_configured, minor_digits, parse

Unit = Literal[
    "item", "started_week", "week", "day", "loan", "extension", "request", "page", "letter", "card"
]
"""What an amount is for each of."""


def _amount(value: str, info: ValidationInfo) -> str:
    """Refuse what is no amount of the tariff's currency, which the reader of the file passes as context."""
    as_configured(value)
    try:
        parse(value, (info.context or {}).get("currency", "EUR"))
    except MoneyError as error:
        raise ValueError(f"{error}; correct the amount, or the currency of the tariff") from None
    return value


Price = Annotated[str, AfterValidator(_amount)]
"""An amount in major units, e.g. ``"10.00"``."""


class PeriodTable(Table):
    """``[versions.period]``: for how long a card is renewed; exactly one of months, days and to."""

    months: int | None = Field(None, ge=1, le=120, description="So many months.", examples=[12])
    days: int | None = Field(None, ge=1, le=3660, description="So many days, the first one counted.")
    to: str | None = Field(
        None, description="To the next such day, month and day, e.g. 12-31.", examples=["12-31"]
    )
    start: Literal["later", "expiry", "today"] = Field(
        "later", description="From the old expiry, from today, or from the later of both."
    )

    @field_validator("to")
    @classmethod
    def _a_day(cls, value: str | None) -> str | None:
        if value is None:
            return value
        if not re.fullmatch(r"[0-9]{2}-[0-9]{2}", value):
            raise ValueError('is no day of the year; write month and day: "12-31"')
        if value == "02-29":
            raise ValueError('is a day that most years have not; write "02-28"')
        try:
            date(COMMON_YEAR, int(value[:2]), int(value[3:]))
        except ValueError:
            raise ValueError('is a day that no year has; write month and day: "12-31"') from None
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> PeriodTable:
        if sum(part is not None for part in (self.months, self.days, self.to)) != 1:
            raise ValueError("a period is months, days, or to a day; give exactly one of them")
        return self


class AgeTable(Table):
    """``[[versions.categories.KEY.ages]]``: the price from an age to another, both included."""

    age_from: int = Field(0, ge=0, le=150, description="From this age on, in whole years.")
    age_to: int | None = Field(None, ge=0, le=150, description="Up to this age; without it there is no end.")
    amount: Price | None = Field(None, description="What the card costs then.", examples=["10.00"])
    why: Text | None = Field(None, description="Instead of an amount: why it is not renewed online then.")

    @model_validator(mode="after")
    def _price_or_reason(self) -> AgeTable:
        if (self.amount is None) == (self.why is None):
            raise ValueError("an age has a price or a reason; give either amount or why")
        return self


class CategoryTable(Table):
    """``[versions.categories.KEY]``: a patron category and what its card costs."""

    label: Text = Field(description="Its name, as patrons know it.", examples=[{"de": "Erwachsene"}])
    codes: tuple[str, ...] = Field(
        (), description="The library system's own codes of it; without them, KEY itself.", examples=[["AD"]]
    )
    kind: str = Field("annual_fee", description="The fee kind under which it is booked.")
    amount: Price | None = Field(None, description="What the card costs at every age.", examples=["10.00"])
    ages: tuple[AgeTable, ...] = Field((), description="Instead of amount: prices by age.")
    period: PeriodTable | None = Field(None, description="Its own period, unlike that of the version.")
    lead_days: int | None = Field(None, ge=0, le=730, description="Its own lead time.")
    grace_days: int | None = Field(None, ge=0, le=36_500, description="Its own grace.")
    evidence: Literal["none", "category", "date"] = Field(
        "none",
        description="What a reduction needs: nothing; that the desk has put the patron into this category; "
        "or evidence that is good until a day.",
    )
    online: bool = Field(default=True, description="Whether such a card is renewed online.")
    why: Text | None = Field(None, description="Why not online, in plain words.")

    @model_validator(mode="after")
    def _one_way_to_price(self) -> CategoryTable:
        if self.amount is not None and self.ages:
            raise ValueError("a category has one amount or prices by age; remove amount or ages")
        if self.online and self.amount is None and not self.ages:
            raise ValueError("a card that is renewed online needs a price; give amount or ages")
        return self


class AmountTable(Table):
    """``[[versions.kinds.KEY.amounts]]``: one amount of a fee kind."""

    amount: Price | None = Field(None, description="So much ...", examples=["0.50"])
    per: tuple[Unit, ...] = Field((), description="... for each of these.", examples=[["started_week"]])
    actual_cost: bool = Field(
        default=False, description="Instead of an amount: what it really costs (replacement)."
    )
    free_weeks: int = Field(0, ge=0, le=52, description="So many weeks cost nothing at first.")
    letter: int | None = Field(None, ge=1, le=9, description="For which reminder letter it is.", examples=[1])
    overdue_weeks: int | None = Field(
        None, ge=1, le=52, description="The letter asks for the overdue fees of so many weeks as well."
    )
    after_weeks: int | None = Field(None, ge=1, le=52, description="Falls due after so many weeks.")
    text: Text | None = Field(None, description="A few words more for the page.")

    @model_validator(mode="after")
    def _amount_or_cost(self) -> AmountTable:
        if (self.amount is not None) == self.actual_cost:
            raise ValueError("a line has an amount or the actual cost; give either amount or actual_cost")
        return self


class KindTable(Table):
    """``[versions.kinds.KEY]``: a fee kind of the by-law."""

    label: Text = Field(description="Its name on pages and receipts.", examples=[{"de": "Jahresgebühr"}])
    codes: tuple[str, ...] = Field(
        (), description="The library system's own fee kinds that are this one (Koha: debit types)."
    )
    cost_centre: str = Field("", description="Cost centre (Kostenstelle, Haushaltsstelle) for the books.")
    account: str = Field("", description="Account (Sachkonto, Objektnummer) for the books.")
    tax_code: str = Field("", description="Tax code (Steuerschlüssel) of your treasury.")
    online: bool = Field(default=True, description="Whether it may be paid online.")
    why: Text | None = Field(None, description="Why not online, in plain words.")
    amounts: tuple[AmountTable, ...] = Field((), description="What it costs; prices of cards stand there.")
    note: Text | None = Field(None, description="A sentence below it on the page.")


class VersionTable(Table):
    """``[[versions]]``: the tariff from one day on, until the next version begins."""

    valid_from: date = Field(description="First day of the by-law.", examples=[date(2026, 1, 1)])
    by_law: Text | None = Field(None, description="Name and date of the by-law, for the page.")
    who_helps: Text | None = Field(
        None, description="Who helps where something cannot be done online; ends every refusal."
    )
    lead_days: int = Field(60, ge=0, le=730, description="So many days before its end a card can be renewed.")
    grace_days: int | None = Field(
        None, ge=0, le=36_500, description="So many days after its end it still can; without it, at any time."
    )
    period: PeriodTable | None = Field(
        None, description="For how long a card is renewed; without it each category needs its own."
    )
    kinds: dict[str, KindTable] = Field(min_length=1, description="The fee kinds.")
    categories: dict[str, CategoryTable] = Field(min_length=1, description="The patron categories.")

    @model_validator(mode="after")
    def _a_period_for_each(self) -> VersionTable:
        """Refuse cards of unknown length: a period that nobody wrote would be given to patrons unnoticed."""
        without = [key for key, one in self.categories.items() if one.period is None]
        if self.period is None and without:
            raise wrong_at(
                "period",
                f"nothing says for how long a card is renewed ({', '.join(without)}); "
                'write it below valid_from, e.g. period = { months = 12, start = "later" }, '
                "or give each category its own",
            )
        return self


class TariffTable(Table):
    """The whole tariff file."""

    currency: str = Field("EUR", description="ISO 4217 code; the same as that of the library.")
    versions: tuple[VersionTable, ...] = Field(min_length=1, description="The by-law, by its first days.")

    @field_validator("currency")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            minor_digits(value)
        except MoneyError as error:
            raise ValueError(str(error)) from None
        return value
