"""What a tariff contradicts: itself, or what the library system takes in its own patron categories."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ils_payment.domain.by_law import Start
from ils_payment.model import Level

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from ils_payment.domain.by_law import Amount, Band, Category, FeeKind, Period, Tariff, Version

Key = tuple[str | int, ...]
"""Where it stands in the file, outermost first: ``("versions", 0, "categories", "adult", "ages")``."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One thing in a tariff that cannot be meant so: at which key, what it is, what to do.

    An ``error`` keeps the tariff from being used; a ``warning`` is worth a second look.
    """

    key: Key
    what: str
    mend: str
    level: Level = Level.ERROR


def contradictions(tariff: Tariff) -> list[Contradiction]:
    """Return everything in which *tariff* contradicts itself, in the order of the file."""
    found: list[Contradiction] = []
    seen: dict[date, int] = {}
    for number, version in enumerate(tariff.versions):
        here: Key = ("versions", number)
        if version.valid_from in seen:
            found.append(
                Contradiction(
                    (*here, "valid_from"),
                    f"version {seen[version.valid_from] + 1} begins on the same day, {version.valid_from}",
                    "Give each by-law its own first day, or merge the two versions.",
                )
            )
        seen.setdefault(version.valid_from, number)
        found += _kinds(version, here)
        found += _codes_twice({one.key: one.codes for one in version.categories}, (*here, "categories"))
        for category in version.categories:
            found += _category(version, category, (*here, "categories", category.key))
    return found + list(_dropped(tariff))


def _kinds(version: Version, here: Key) -> Iterator[Contradiction]:
    """Look at the fee kinds of one version."""
    known = {one.key: (one.key, *one.codes) for one in version.kinds.values()}
    yield from _codes_twice(known, (*here, "kinds"))
    weekly = any("started_week" in one.per or "week" in one.per for one in _all_amounts(version))
    for kind in version.kinds.values():
        at = (*here, "kinds", kind.key)
        yield from _reason(at, online=kind.online, why=kind.why is not None)
        yield from _weeks(kind, at, weekly=weekly)
    yield from _letters(version, (*here, "kinds"))


def _all_amounts(version: Version) -> Iterator[Amount]:
    return (amount for kind in version.kinds.values() for amount in kind.amounts)


def _codes_twice(codes: dict[str, tuple[str, ...]], here: Key) -> Iterator[Contradiction]:
    """Tell of each code that means two things: nobody could say which price counts."""
    seen: dict[str, str] = {}
    for key, own in codes.items():
        for code in dict.fromkeys(own):
            if code in seen:
                yield Contradiction(
                    (*here, key, "codes"),
                    f"{code!r} means {seen[code]} as well",
                    "Leave the code of the library system in one of the two.",
                )
            seen.setdefault(code, key)


def _reason(at: Key, *, online: bool, why: bool) -> Iterator[Contradiction]:
    if not online and not why:
        yield Contradiction(
            (*at, "online"), "is false without a reason", "Add why, in plain words for the patron."
        )
    if online and why:
        yield Contradiction(
            (*at, "why"),
            "says why not online, but online is not false",
            "Remove it, or write online = false.",
            Level.WARNING,
        )


def _letters(version: Version, here: Key) -> Iterator[Contradiction]:
    """Each reminder letter has one price, and none is left out; each may be a fee kind of its own."""
    numbers = sorted(one.letter for one in _all_amounts(version) if one.letter is not None)
    if numbers != list(range(1, len(numbers) + 1)):
        yield Contradiction(
            here,
            f"has the reminder letters {', '.join(map(str, numbers))}",
            "Give each letter once, from 1 on, without leaving one out.",
        )


def _weeks(kind: FeeKind, at: Key, *, weekly: bool) -> Iterator[Contradiction]:
    """Weeks count only where a week costs something."""
    for place, one in enumerate(kind.amounts):
        here = (*at, "amounts", place)
        if one.overdue_weeks is not None and one.letter is None:
            yield Contradiction(
                (*here, "overdue_weeks"), "belongs to a reminder letter", "Add letter, or remove it."
            )
        if one.overdue_weeks is not None and not weekly:
            yield Contradiction(
                (*here, "overdue_weeks"),
                "asks for overdue fees, but no fee kind costs something for each week",
                'Add the overdue fee with per = ["started_week"].',
            )
        if one.free_weeks and not {"started_week", "week"} & set(one.per):
            yield Contradiction(
                (*here, "free_weeks"),
                "leaves weeks free of an amount that is not for weeks",
                'Add per = ["started_week"], or remove it.',
            )


def _category(version: Version, category: Category, at: Key) -> Iterator[Contradiction]:
    """Look at one patron category."""
    kind = version.kinds.get(category.kind)
    if kind is None:
        known = ", ".join(sorted(version.kinds))
        yield Contradiction((*at, "kind"), f"there is no fee kind {category.kind!r}", f"There is: {known}.")
    elif category.online and not kind.online:
        yield Contradiction(
            (*at, "online"),
            f"the card is renewed online, but its fee kind {kind.key} is not paid online",
            "Let both be online, or neither.",
        )
    yield from _reason(at, online=category.online, why=category.why is not None)
    if category.bands:
        yield from _ages(category.bands, (*at, "ages"))
    if category.online:
        yield from _times(category, at)


def _ages(bands: tuple[Band, ...], at: Key) -> Iterator[Contradiction]:
    """Every age from birth on must have exactly one price or one reason."""
    for place, band in enumerate(bands):
        if band.to_age is not None and band.to_age < band.from_age:
            yield Contradiction(
                (*at, place), f"ends at {band.to_age}, before {band.from_age}", "Exchange the two ages."
            )
            return
    ordered = sorted(bands, key=lambda band: band.from_age)
    if ordered[0].from_age > 0:
        yield _gap(at, 0, ordered[0].from_age - 1)
    for younger, older in pairwise(ordered):
        if younger.to_age is None or younger.to_age >= older.from_age:
            end = older.to_age if younger.to_age is None else min(younger.to_age, older.to_age or 999)
            ages = f"{older.from_age} and older" if end is None else _ages_said(older.from_age, end)
            yield Contradiction(
                at, f"has two prices for the age {ages}", "Let one band end before the next begins."
            )
        elif younger.to_age + 1 < older.from_age:
            yield _gap(at, younger.to_age + 1, older.from_age - 1)
    last = max(bands, key=lambda band: 999 if band.to_age is None else band.to_age).to_age
    if last is not None:
        yield Contradiction(
            at, f"has no price for the age {last + 1} and older", "Leave age_to out of the last band."
        )


def _gap(at: Key, first: int, last: int) -> Contradiction:
    mend = "Add a band with an amount, or with a reason: why = ..."
    return Contradiction(at, f"has no price for the age {_ages_said(first, last)}", mend)


def _ages_said(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _times(category: Category, at: Key) -> Iterator[Contradiction]:
    """Look at lead time, grace and period together."""
    shortest, longest = _days_of(category.period)
    if category.period.start is Start.EXPIRY and (
        category.grace_days is None or category.grace_days >= longest
    ):
        yield Contradiction(
            (*at, "grace_days"),
            f"a period from the old expiry is over {longest} days after it, and the grace is longer: "
            + ("it has no end" if category.grace_days is None else f"{category.grace_days} days"),
            f'Write grace_days below {longest}, or start = "later" in the period.',
        )
    if category.period.start is not Start.TODAY and category.lead_days >= shortest:
        yield Contradiction(
            (*at, "lead_days"),
            f"a card of {shortest} days could be renewed again right after it was renewed, "
            f"{category.lead_days} days before its end",
            f"Write lead_days below {shortest} in the category {category.key}.",
            Level.WARNING,
        )


def _days_of(period: Period) -> tuple[int, int]:
    """Return how many days a period has at least and at most, as far as that does not hang on the day."""
    if period.months is not None:
        return period.months * 28, period.months * 31
    if period.days is not None:
        return period.days, period.days
    return 365, 366


def _dropped(tariff: Tariff) -> Iterator[Contradiction]:
    """Tell of categories that a later version does not know any more: their cards could not be renewed."""
    numbered = sorted(enumerate(tariff.versions), key=lambda one: one[1].valid_from)
    for (_, earlier), (number, later) in pairwise(numbered):
        codes = {code for one in later.categories for code in one.codes}
        for category in earlier.categories:
            gone = [code for code in category.codes if code not in codes]
            if gone:
                yield Contradiction(
                    ("versions", number, "categories"),
                    f"does not know {', '.join(gone)} any more, which the version before had",
                    "Add the category with online = false and a reason, unless nobody has such a card.",
                    Level.WARNING,
                )
