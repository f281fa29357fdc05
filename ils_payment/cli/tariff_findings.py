"""What ``ils-payment tariff check`` finds: in the file, and beside the library and its library system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment.domain.by_law import Evidence
from ils_payment.domain.tariff_check import contradictions
from ils_payment.domain.tariff_compare import differs
from ils_payment.domain.tariff_words import HELPS
from ils_payment.errors import RemoteError
from ils_payment.model import Level
from ils_payment.money import to_decimal
from ils_payment.problems import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from ils_payment.config.tariff_file import TariffFile
    from ils_payment.domain.by_law import Tariff, Version
    from ils_payment.domain.tariff_compare import Difference
    from ils_payment.flows.desk import Desk
    from ils_payment.model import LocalText


@dataclass(frozen=True, slots=True)
class Row:
    """One finding: where in the file it stands (line 0: nowhere), what was seen, what to do."""

    level: Level
    line: int
    key: str
    seen: str
    mend: str = ""


def of_file(read: TariffFile, today: date) -> list[Row]:
    """Return every contradiction of the file, and which version prices today."""
    placed = [(one.level, read.placed(one)) for one in contradictions(read.tariff)]
    found = [
        Row(level, read.source.line(one.key), dotted(one.key), one.what, one.mend) for level, one in placed
    ]
    found.sort(key=lambda row: row.line)
    version = read.tariff.at(today)
    if version is None:
        first = min(one.valid_from for one in read.tariff.versions)
        seen = f"no version is in force on {today}; the first begins on {first}"
        return [*found, Row(Level.WARNING, 0, "versions", seen, "Until then no card can be renewed online.")]
    return [*found, *_in_force(version, today)]


def _in_force(version: Version, today: date) -> Iterator[Row]:
    """Say how many categories are renewed online, and which only where their evidence can be asked for."""
    waiting = [one.key for one in version.categories if one.online and one.evidence is Evidence.DATE]
    online = sum(one.online for one in version.categories) - len(waiting)
    seen = (
        f"the version of {version.name} is in force on {today}: {len(version.categories)} categories, "
        f"{online} of them renewed online, {len(version.kinds)} fee kinds"
    )
    yield Row(Level.OK, 0, "versions", seen)
    if waiting:
        seen = (
            f'{", ".join(waiting)}: evidence = "date" sends these cards to the desk, unless the library '
            "system tells the last day of the evidence (Koha: evidence_attribute)"
        )
        yield Row(Level.OK, 0, "categories", seen)


def without_praise(rows: list[Row]) -> list[Row]:
    """Leave out what is well where something is wrong: the last line must not read as if all were."""
    wrong = any(row.level is Level.ERROR for row in rows)
    return [row for row in rows if not wrong or row.level is not Level.OK]


def compared(tariff: Tariff, desk: Desk, today: date) -> list[Row]:
    """Return where the tariff does not fit the library, or where its library system takes another price."""
    lacking = _lacking(_texts(tariff), desk.settings.languages)
    return [*_fits(tariff, desk), *lacking, *_dated(tariff, desk, today), *_priced(tariff, desk, today)]


def _dated(tariff: Tariff, desk: Desk, today: date) -> Iterator[Row]:
    """Say whether cards that need evidence until a day can be renewed online at this library."""
    version = tariff.at(today)
    dated = (
        [one.key for one in version.categories if one.online and one.evidence is Evidence.DATE]
        if version
        else []
    )
    if dated and desk.evidencing:
        seen = f"{', '.join(dated)}: the library system tells the last day of the evidence"
        yield Row(Level.OK, 0, "categories", seen)


def uneven(tariff: Tariff) -> list[Row]:
    """Return the languages in which some texts of the file are written and others are not."""
    texts = list(_texts(tariff))
    return list(_lacking(texts, sorted({language for _, text in texts for language in text})))


def _fits(tariff: Tariff, desk: Desk) -> Iterator[Row]:
    if tariff.currency != desk.settings.currency:
        seen = f"is {tariff.currency}, but libraries.{desk.key}.currency is {desk.settings.currency}"
        yield Row(Level.ERROR, 0, "currency", seen, "Let both be the same.")


def _texts(tariff: Tariff) -> Iterator[tuple[str, LocalText]]:
    """Yield each text that the file has for patrons, with its key."""
    for number, version in enumerate(tariff.versions):
        # Where the file does not say who helps, a sentence of this program does, which has every language.
        helps = None if version.helps == HELPS else version.helps
        texts: list[tuple[str, LocalText | None]] = [("who_helps", helps), ("by_law", version.by_law)]
        for one in version.categories:
            texts += [(f"categories.{one.key}.label", one.label), (f"categories.{one.key}.why", one.why)]
            texts += [(f"categories.{one.key}.ages", band.why) for band in one.bands]
        for kind in version.kinds.values():
            texts += [(f"kinds.{kind.key}.{name}", getattr(kind, name)) for name in ("label", "why", "note")]
            texts += [(f"kinds.{kind.key}.amounts", one.text) for one in kind.amounts]
        for key, text in texts:
            if text:
                yield f"versions[{number}].{key}", text


def _lacking(texts: Iterable[tuple[str, LocalText]], languages: Iterable[str]) -> Iterator[Row]:
    """Tell of texts that patrons of one of *languages* could not read."""
    missing: dict[str, list[str]] = {}
    for key, text in texts:
        for language in languages:
            if language not in text:
                missing.setdefault(language, []).append(key)
    for lacking, keys in missing.items():
        seen = f"{len(keys)} text(s) are not there in {lacking!r}, e.g. {keys[0]}"
        mend = f'Write them as {{ {lacking} = "..." }}; until then another language is shown.'
        yield Row(Level.WARNING, 0, keys[0], seen, mend)


def _priced(tariff: Tariff, desk: Desk, today: date) -> Iterator[Row]:
    """Compare with what the library system takes itself, where it tells."""
    if desk.category_fees is None:
        seen = "the library system does not tell what its categories cost; nothing was compared"
        yield Row(Level.WARNING, 0, "", seen, "Compare its categories with the tariff by eye.")
        return
    try:
        fees = desk.category_fees.get()
    except RemoteError as error:
        yield Row(Level.ERROR, 0, "", error.what, error.mend)
        return
    differences = differs(tariff, fees, today)
    for one in differences:
        yield Row(Level.ERROR, 0, f"category {one.category}", _said(one, tariff.currency), _MEND)
    version = tariff.at(today)
    known = {fee.category for fee in fees}
    ours = [code for one in (version.categories if version else ()) for code in one.codes]
    unknown = [code for code in ours if code not in known]
    if unknown:
        seen = f"the library system does not know these categories: {', '.join(unknown)}"
        yield Row(Level.WARNING, 0, "categories", seen, "Correct codes; nobody has such a card.")
    strange = [code for code in sorted(known) if version and version.category(code) is None]
    if strange:
        seen = f"the tariff does not know these categories of the library system: {', '.join(strange)}"
        yield Row(
            Level.WARNING, 0, "categories", seen, "Add them, with online = false and a reason if need be."
        )
    if not differences:
        seen = f"{len(known) - len(strange)} categories cost the same in the library system"
        yield Row(Level.OK, 0, "categories", seen)


_MEND = "There is one price: correct the tariff or the library system. Until then it is not renewed online."


def _said(one: Difference, currency: str) -> str:
    parts = []
    if one.in_price:
        ours = " or ".join(str(to_decimal(cents, currency)) for cents in one.ours)
        theirs = to_decimal(one.theirs, currency)
        parts.append(f"costs {ours} {currency} here and {theirs} {currency} in the library system")
    if one.in_period:
        ours = f"{one.our_months} months" if one.our_months else "no whole months"
        parts.append(f"is renewed for {ours} here and for {one.their_months} months in the library system")
    return "; ".join(parts)
