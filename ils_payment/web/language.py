"""What is said and how it is written: translations, money, dates and times.

The texts stand in English in the code and the templates; ``locale/<language>/LC_MESSAGES/
messages.po`` holds the other languages. The catalogues are compiled in memory when they are
first used, so there is no build step that could be forgotten. After a change of texts::

    pybabel extract -F pyproject.toml -k N_ --no-location -o messages.pot .
    pybabel update --no-fuzzy-matching -i messages.pot -d ils_payment/web/locale

A test says which translations are missing then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING

from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from babel.support import NullTranslations, Translations

from ils_payment.money import to_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from zoneinfo import ZoneInfo

    from ils_payment.model import LocalText

SOURCE = "en"
"""The language of the texts in the code."""

LANGUAGES = {"de": "Deutsch", "en": "English"}
"""What the pages can speak, each in its own name."""

# English as it is read in Europe: the day comes before the month, the clock has 24 hours.
_LOCALES = {"de": "de_DE", "en": "en_GB"}


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language at one place: says texts, and writes money and instants as people do there."""

    code: str
    zone: ZoneInfo

    @property
    def gettext(self) -> Callable[[str], str]:
        """Return the function that translates a text."""
        return translations(self.code).gettext

    @property
    def ngettext(self) -> Callable[[str, str, int], str]:
        """Return the function that translates a text with a number."""
        return translations(self.code).ngettext

    def local(self, text: LocalText) -> str:
        """Return *text* in this language, else in its first."""
        return text.get(self.code) or next(iter(text.values()), "")

    def money(self, cents: int, currency: str) -> str:
        """Write minor units: ``12,50 €`` in German, ``€12.50`` in English."""
        return format_currency(to_decimal(cents, currency), currency, locale=self._locale)

    def day(self, value: date) -> str:
        """Write the day (of an instant: the day at the library) in full: ``21. November 2026``."""
        return format_date(self._there(value), "long", locale=self._locale)

    def short_day(self, value: date) -> str:
        """Write a day shortly, for lists: ``21.11.2026``, ``21 Nov 2026``."""
        pattern = "dd.MM.yyyy" if self.code == "de" else "d MMM yyyy"
        return format_date(self._there(value), pattern, locale=self._locale)

    def day_of_year(self, month: int, day: int) -> str:
        """Write a day of every year: ``31. Dezember``."""
        pattern = "d. MMMM" if self.code == "de" else "d MMMM"
        return format_date(date(2000, month, day), pattern, locale=self._locale)

    def clock(self, value: datetime) -> str:
        """Write the time of day at the library: ``19:42 Uhr``."""
        pattern = "HH:mm 'Uhr'" if self.code == "de" else "HH:mm"
        return format_time(value, pattern, tzinfo=self.zone, locale=self._locale)

    def since(self, value: datetime, now: datetime) -> str:
        """Write the time of day, with the day before it when that is another day than today's."""
        same = self._there(value) == self._there(now)
        return self.clock(value) if same else f"{self.short_day(value)}, {self.clock(value)}"

    @property
    def _locale(self) -> str:
        return _LOCALES[self.code]

    def _there(self, value: date) -> date:
        return value.astimezone(self.zone).date() if isinstance(value, datetime) else value


@cache
def translations(code: str) -> NullTranslations:
    """Return the catalogue of a language; the source language needs none."""
    if code == SOURCE:
        return NullTranslations()
    source = files("ils_payment.web") / "locale" / code / "LC_MESSAGES" / "messages.po"
    with source.open("rb") as file:
        catalog = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


def accepted(header: str, offered: Iterable[str]) -> str | None:
    """Return the offered language that an ``Accept-Language`` header likes best, or None."""
    wishes: list[tuple[float, str]] = []
    for part in header.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            wishes.append((float(quality or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    wishes.sort(key=lambda wish: -wish[0])
    return next((tag for quality, tag in wishes if quality > 0 and tag in set(offered)), None)
