"""Export: closed days as a file for the treasury; each line in one file, each file kept to the byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ils_payment.domain import books as rules
from ils_payment.errors import ILSPaymentError
from ils_payment.flows.export_rows import ExportInWork, ledger_rows, remote_rows
from ils_payment.ports import PayingOut
from ils_payment.store import books, journal, reconciling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Actor
    from ils_payment.store.books import Kept
    from ils_payment.store.unit import Unit

LATE_PAYOUTS = timedelta(days=45)
"""At least so far before the first day a payout is still looked for that an earlier export could not have."""

_EMPTY = frozenset(hashlib.sha256(file.encode()).hexdigest() for file in rules.empty_files())
"""The digests of a file without any row."""


class ExportRefusedError(ILSPaymentError):
    """These days cannot be exported (again), or not yet."""


class BooksDifferError(ILSPaymentError):
    """The sums of the file are not those of the ledger or of the bank; nothing was kept."""

    def __init__(self, differences: Sequence[str], *, mend: str) -> None:
        """Keep what differs, one sentence each."""
        super().__init__(
            "The books do not add up:\n" + "\n".join(f"  {one}" for one in differences), mend=mend
        )
        self.differences = list(differences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The exports of a library, the oldest first, and the days (first, last) that no export has.

    Days count from the first payment on, until yesterday.
    """

    exports: list[Kept]
    gaps: list[tuple[date, date]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One export as it was kept, and what is in its file.

    ``repeated``: it had been made before. ``totals`` are by (day, currency, mode) in minor units,
    ``by_account`` also by cost centre and account.
    ``notes`` say what is not in the file, and why.
    """

    kept: Kept
    rows: int
    late: int
    repeated: bool
    totals: dict[rules.Key, dict[str, int]]
    by_account: dict[tuple[str, ...], dict[str, int]]
    notes: list[str]


def export(
    house: House, desk: Desk, actor: Actor, first: date, last: date, *, with_payouts: bool = True
) -> Exported:
    """Export the days *first* to *last* of a library, or hand out again what was exported before.

    Without *with_payouts* no provider is asked; its payouts come with a later export. Raises
    ExportRefusedError, BooksDifferError, RemoteError.
    """
    today = desk.day_of(house.world.now())
    if first > last:
        raise ExportRefusedError(f"{first} comes after {last}.", mend="Give the earlier day as the first.")
    if last >= today:
        raise ExportRefusedError(
            f"{last} is not over yet in {desk.settings.time_zone}.",
            mend=f"Export closed days only, until {today - timedelta(days=1)}.",
        )
    with house.store.read() as unit:
        earlier = books.kept(unit, desk.key)
        again = _same(earlier, first, last)
        if again is not None:
            again = books.load(unit, again.number)
        since = _payouts_since(unit, desk, first, earlier)
    if again is not None:
        return _handed_out(house, actor, again)
    work = ExportInWork(desk, first, last)
    if with_payouts:
        work.payouts_since = since
        _ask_payouts(work, since)
    else:
        work.notes.append("payouts and fees were left out on demand; they come with a later export")
    house.world.failpoint("export.asked")
    with house.store.unit() as unit:
        books.lock(unit)
        earlier = books.kept(unit, desk.key)
        again = _same(earlier, first, last)
        # Somebody else may have made it while the provider was asked.
        made = _make(unit, work, actor, earlier) if again is None else None
        if again is not None:
            again = books.load(unit, again.number)
    house.world.failpoint("export.kept")
    return _handed_out(house, actor, again) if again is not None else _exported(made, work)


def _same(earlier: Iterable[Kept], first: date, last: date) -> Kept | None:
    """Return the export of exactly these days; refuse days that overlap with another one.

    An export without any row, e.g. of a trial, does not stand in the way of more days around it.
    """
    for one in earlier:
        if (one.first_day, one.last_day) == (first, last):
            return one
        if one.sha256 in _EMPTY and first <= one.first_day and one.last_day <= last:
            continue
        if one.first_day <= last and first <= one.last_day:
            raise ExportRefusedError(
                f"Export {one.number} has the days {one.first_day} to {one.last_day} already.",
                mend="Choose days that no export has; exactly those days again give the same file.",
            )
    return None


def listed(house: House, library: str) -> Listed:
    """Return which days of a library are exported, and which are not."""
    zone = house.settings.libraries[library].zone
    today = house.world.now().astimezone(zone).date()
    with house.store.read() as unit:
        made = books.kept(unit, library)
        first = reconciling.first_payment(unit, library)
    gaps: list[tuple[date, date]] = []
    if first is not None:
        day = first.astimezone(zone).date()
        for one in sorted(made, key=lambda one: one.first_day):
            if day < one.first_day:
                gaps.append((day, one.first_day - timedelta(days=1)))
            day = max(day, one.last_day + timedelta(days=1))
        if day < today:
            gaps.append((day, today - timedelta(days=1)))
    return Listed(exports=made, gaps=gaps)


def _payouts_since(unit: Unit, desk: Desk, first: date, earlier: Sequence[Kept]) -> date:
    """Return from which day on payouts are asked for.

    So that those come which a provider listed late: the ones of the export before, and of a while. And those
    come which were left out of an export, however long ago, because nobody has asked for its days since.
    """
    before = max((one for one in earlier if one.last_day < first), key=lambda one: one.last_day, default=None)
    asked: list[tuple[str, str]] = []
    left = [first]
    for row in journal.newest(unit, what="export", library=desk.key, limit=None):
        days = row["facts"]["first_day"], row["facts"]["last_day"]
        # Rows of before do not tell it.
        since = row["facts"].get("payouts_since", days[0])
        if since is not None:
            asked.append((since, days[1]))
        elif not any(begin <= days[0] and days[1] <= end for begin, end in asked):
            left.append(date.fromisoformat(days[0]))
    return min(min(left) - LATE_PAYOUTS, before.first_day if before else first)


def _ask_payouts(work: ExportInWork, since: date) -> None:
    """Ask each provider what it paid out; the question stands outside of any transaction."""
    begin, end = work.span(since, work.last)
    for name, provider in work.desk.providers.items():
        if not provider.capabilities().payouts or not isinstance(provider, PayingOut):
            work.notes.append(f"{name} cannot list payouts: no rows of payouts and fees")
            continue
        listed = provider.payouts(begin, end)
        work.payouts[name] = sorted(listed, key=lambda one: (one.arrival, one.ref))


def _same_zone(unit: Unit, desk: Desk) -> None:
    """Refuse days of another time zone than before: they overlap, and a posting is in one export only."""
    now = desk.settings.time_zone
    for row in journal.newest(unit, what="export", library=desk.key, limit=1):
        # Rows of before do not tell it.
        before = row["facts"].get("time_zone", now)
        if before != now:
            raise ExportRefusedError(
                f"The exports of {desk.key} so far count days in {before}, and its time_zone is {now} now.",
                mend=f'Write time_zone = "{before}" in [libraries.{desk.key}] again.',
            )


def _make(unit: Unit, work: ExportInWork, actor: Actor, earlier: Sequence[Kept]) -> Kept:
    """Write rows and file, compare their sums with ledger and bank, and keep everything."""
    _same_zone(unit, work.desk)
    span = work.span(work.first, work.last)
    before = [work.span(one.first_day, one.last_day) for one in earlier if one.last_day < work.first]
    entries = books.entries(unit, work.desk.key, [*before, span], new=True)
    rows = ledger_rows(unit, work, entries, span[1])
    from_provider, payouts, gaps = remote_rows(unit, work, earlier)
    number = books.next_number(unit)
    in_order = sorted([*rows, *from_provider], key=lambda row: row.day)
    content = rules.write(rules.like(row, export=str(number)) for row in in_order)
    whole = books.entries(unit, work.desk.key, [span], new=False)
    ledger = rules.ledger_totals(entry.move(work.desk.settings.zone) for entry in whole)
    gaps = [*rules.differences(rules.totals(content, late=False), ledger), *gaps]
    if gaps:
        raise BooksDifferError(
            gaps,
            mend="Nothing was exported. Look at the payout at the provider (--without-payouts leaves payouts "
            "to a later export), and type: ils-payment verify",
        )
    made = books.Kept(
        number=number,
        library=work.desk.key,
        first_day=work.first,
        last_day=work.last,
        at=unit.now,
        content=content,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
    )
    books.keep(unit, made, [(entry.payment_id, entry.number) for entry in entries], payouts)
    facts = {
        "number": made.number,
        "first_day": made.first_day.isoformat(),
        "last_day": made.last_day.isoformat(),
        "sha256": made.sha256,
        "rows": len(rows) + len(from_provider),
        "postings": len(entries),
        "time_zone": work.desk.settings.time_zone,
        "payouts_since": work.payouts_since.isoformat() if work.payouts_since else None,
    }
    journal.append(unit, actor.name, "export", facts, work.desk.key)
    return made


def _exported(kept: Kept | None, work: ExportInWork) -> Exported:
    if kept is None:  # pragma: no cover - either it was there, or it was made
        raise LookupError
    return _told(kept, repeated=False, notes=work.notes)


def _handed_out(house: House, actor: Actor, kept: Kept) -> Exported:
    """Hand out a file that was kept, once more; a file that is not as it was kept is none."""
    if hashlib.sha256(kept.content.encode()).hexdigest() != kept.sha256:
        raise BooksDifferError(
            [f"export {kept.number} is not as it was made"], mend="Type: ils-payment verify"
        )
    with house.store.unit() as unit:
        facts = {"number": kept.number, "sha256": kept.sha256}
        journal.append(unit, actor.name, "export_again", facts, kept.library)
    return _told(kept, repeated=True, notes=[])


def _told(kept: Kept, *, repeated: bool, notes: list[str]) -> Exported:
    rows = rules.read(kept.content)
    if not rows:
        notes = [*notes, "nothing happened on these days; they may be a part of a later export of more days"]
    if lacking := rules.unbooked(kept.content):
        where = f"libraries.{kept.library}.fee_kinds or the tariff"
        notes = [
            *notes,
            f"without account or cost centre: {', '.join(lacking)}; write them into {where}",
        ]
    return Exported(
        kept=kept,
        rows=len(rows),
        late=sum(1 for row in rows if row["late"]),
        repeated=repeated,
        totals=rules.totals(kept.content),
        by_account=rules.account_totals(kept.content),
        notes=notes,
    )
