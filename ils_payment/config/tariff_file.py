"""Reads a tariff file; every way in which it can be wrong has a message with key, line and mend."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ils_payment.config.tariff import AmountTable, CategoryTable, KindTable, TariffTable
from ils_payment.domain.by_law import (
    Amount,
    Band,
    Category,
    Evidence,
    FeeKind,
    Period,
    Start,
    Tariff,
    Version,
)
from ils_payment.domain.tariff_check import contradictions
from ils_payment.domain.tariff_words import HELPS
from ils_payment.errors import ConfigurationError
from ils_payment.model import Level
from ils_payment.money import MoneyError, minor_digits, parse
from ils_payment.problems import Problem, Source, not_told, raise_all, translate, wrong_types
from ils_payment.toml_text import key_lines, toml_mend

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ils_payment.config.tariff import PeriodTable, VersionTable
    from ils_payment.domain.tariff_check import Contradiction

PAGE = "docs/tariff.md"


@dataclass(frozen=True, slots=True)
class TariffFile:
    """A tariff that could be read, and where each key of it stands; it may still contradict itself."""

    tariff: Tariff
    source: Source

    def placed(self, found: Contradiction) -> Problem:
        """Return *found* at a key that somebody wrote: a category may take its days from the version."""
        key, last = found.key, found.key[-1]
        if last not in {"lead_days", "grace_days"} or key in self.source.lines:
            return Problem(key, found.what, found.mend)
        of_version = (*key[:2], last)
        if of_version in self.source.lines:
            return Problem(of_version, f"{found.what}; the category {key[3]} takes it from here", found.mend)
        return Problem(key[:-1], f"{found.what}; {last} is not written, this is its default", found.mend)


def load_tariff(path: Path) -> Tariff:
    """Return the tariff in *path*; raise ConfigurationError with all that is wrong, contradictions too."""
    read = read_tariff(path)
    wrong = [read.placed(one) for one in contradictions(read.tariff) if one.level is Level.ERROR]
    raise_all(wrong, read.source, page=PAGE)
    return read.tariff


def read_tariff(path: Path) -> TariffFile:
    """Read *path* as far as one can without looking for contradictions; raise ConfigurationError."""
    text = _text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path} is not valid TOML: {error}.",
            mend=toml_mend(error),
        ) from None
    source = Source(path, key_lines(text))
    currency = str(data.get("currency", "EUR"))
    wrong = wrong_types(data, TariffTable)
    try:
        table = TariffTable.model_validate(data, context={"currency": _known(currency)})
    except ValidationError as error:
        told = translate(error, TariffTable)
        raise_all(told + not_told(wrong, told), source, page=PAGE)
        raise  # Only a validation error without any detail would come here.
    raise_all(wrong, source, page=PAGE)
    return TariffFile(_tariff(table), source)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no tariff file {path}.", mend=f"Correct the path, or write the file; see {PAGE}."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text.", mend="Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}).", mend="Let the user of the service read it."
        ) from None


def _known(currency: str) -> str:
    """Return *currency*, or the euro for one that is told to be wrong anyway."""
    try:
        minor_digits(currency)
    except MoneyError:
        return "EUR"
    return currency


def _tariff(table: TariffTable) -> Tariff:
    return Tariff(
        currency=table.currency,
        versions=tuple(_version(version, table.currency) for version in table.versions),
    )


def _version(table: VersionTable, currency: str) -> Version:
    return Version(
        valid_from=table.valid_from,
        by_law=table.by_law,
        helps=table.who_helps or HELPS,
        kinds={key: _kind(key, kind, currency) for key, kind in table.kinds.items()},
        categories=tuple(_category(key, one, table, currency) for key, one in table.categories.items()),
    )


def _category(key: str, table: CategoryTable, version: VersionTable, currency: str) -> Category:
    bands = tuple(
        Band(from_age=one.age_from, to_age=one.age_to, cents=_cents(one.amount, currency), why=one.why)
        for one in table.ages
    )
    if table.amount is not None:
        bands = (Band(cents=_cents(table.amount, currency)),)
    return Category(
        key=key,
        codes=table.codes or (key,),
        label=table.label,
        kind=table.kind,
        bands=bands,
        # A version without a period is refused where a category has none either.
        period=_period(cast("PeriodTable", table.period or version.period)),
        lead_days=version.lead_days if table.lead_days is None else table.lead_days,
        grace_days=version.grace_days if table.grace_days is None else table.grace_days,
        evidence=Evidence(table.evidence),
        online=table.online,
        why=table.why,
    )


def _period(table: PeriodTable) -> Period:
    day = (int(table.to[:2]), int(table.to[3:])) if table.to else None
    return Period(months=table.months, days=table.days, to=day, start=Start(table.start))


def _kind(key: str, table: KindTable, currency: str) -> FeeKind:
    same = _shared(table, "amounts")
    return FeeKind(key=key, amounts=tuple(_amount(one, currency) for one in table.amounts), **same)


def _amount(table: AmountTable, currency: str) -> Amount:
    return Amount(cents=_cents(table.amount, currency), **_shared(table, "amount"))


def _shared(table: KindTable | AmountTable, but: str) -> Mapping[str, Any]:
    """Return the fields that the table and its rule have in common, by the same names."""
    return {name: getattr(table, name) for name in type(table).model_fields if name != but}


def _cents(amount: str | None, currency: str) -> int | None:
    return None if amount is None else parse(amount, currency)
