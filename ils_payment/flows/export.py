"""Export: closed days as a file for the treasury; each line in one file, each file kept to the byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ils_payment.domain import books as rules
from ils_payment.domain.books import Move, Row
from ils_payment.errors import ILSPaymentError
from ils_payment.money import to_decimal
from ils_payment.ports import PayingOut
from ils_payment.store import books, journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ils_payment.flows.house import Desk, House
    from ils_payment.model import Actor, Payout, PayoutEntry
    from ils_payment.store.books import Entry, Kept, Span
    from ils_payment.store.unit import Unit

LATE_PAYOUTS = timedelta(days=45)
"""So far before the first day a payout is still looked for that an earlier export could not have."""

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
class Exported:
    """One export: its file to the byte, and what is in it.

    ``repeated``: it had been made before. ``totals`` are by (day, currency, mode) in minor units.
    ``notes`` say what is not in the file, and why.
    """

    number: int
    library: str
    first_day: date
    last_day: date
    at: datetime
    content: str
    sha256: str
    rows: int
    late: int
    repeated: bool
    totals: dict[rules.Key, dict[str, int]]
    notes: list[str]


def export(
    house: House, desk: Desk, actor: Actor, first: date, last: date, *, with_payouts: bool = True
) -> Exported:
    """Export the days *first* to *last* of a library, or hand out again what was exported before.

    Without *with_payouts* no provider is asked; its payouts come with a later export. Raises
    ExportRefusedError, BooksDifferError, RemoteError.
    """
    today = house.world.now().astimezone(desk.settings.zone).date()
    if first > last:
        raise ExportRefusedError(f"{first} comes after {last}.", mend="Give the earlier day as the first.")
    if last >= today:
        raise ExportRefusedError(
            f"{last} is not over yet in {desk.settings.time_zone}.",
            mend=f"Export closed days only, until {today - timedelta(days=1)}.",
        )
    with house.store.read() as unit:
        again = _same(books.kept(unit, desk.key), first, last)
        if again is not None:
            again = books.load(unit, again.number)
    if again is not None:
        return _handed_out(house, actor, again)
    work = Work(desk, first, last)
    if with_payouts:
        _ask_payouts(work)
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


@dataclass(slots=True)
class Work:
    """One export in the making; ``payouts`` by the provider's name."""

    desk: Desk
    first: date
    last: date
    payouts: dict[str, Sequence[Payout]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def span(self, first: date, last: date) -> Span:
        """Return the instants of whole days in the library's time zone."""
        zone = self.desk.settings.zone
        return (
            datetime.combine(first, time.min, zone).astimezone(UTC),
            datetime.combine(last + timedelta(days=1), time.min, zone).astimezone(UTC),
        )

    def day(self, instant: datetime) -> date:
        """Return the day of an instant in the library's time zone."""
        return instant.astimezone(self.desk.settings.zone).date()


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


def _ask_payouts(work: Work) -> None:
    """Ask each provider what it paid out; the question stands outside of any transaction."""
    first, end = work.span(work.first, work.last)
    for name, provider in work.desk.providers.items():
        if not provider.capabilities().payouts or not isinstance(provider, PayingOut):
            work.notes.append(f"{name} cannot list payouts: no rows of payouts and fees")
            continue
        listed = provider.payouts(first - LATE_PAYOUTS, end)
        work.payouts[name] = sorted(listed, key=lambda one: (one.arrival, one.ref))


def _make(unit: Unit, work: Work, actor: Actor, earlier: Sequence[Kept]) -> Kept:
    """Write rows and file, compare their sums with ledger and bank, and keep everything."""
    span = work.span(work.first, work.last)
    before = [work.span(one.first_day, one.last_day) for one in earlier if one.last_day < work.first]
    entries = books.entries(unit, work.desk.key, [*before, span], new=True)
    rows = _ledger_rows(unit, work, entries, span[1])
    remote_rows, payouts, gaps = _remote_rows(unit, work, earlier)
    content = rules.write(sorted([*rows, *remote_rows], key=lambda row: row.day))
    whole = books.entries(unit, work.desk.key, [span], new=False)
    ledger = rules.ledger_totals(_move(work, entry) for entry in whole)
    gaps = [*rules.differences(rules.totals(content, late=False), ledger), *gaps]
    if gaps:
        raise BooksDifferError(
            gaps,
            mend="Nothing was exported. Look at the payout at the provider (--without-payouts leaves payouts "
            "to a later export), and type: ils-payment verify",
        )
    made = books.Kept(
        number=books.next_number(unit),
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
        "rows": len(rows) + len(remote_rows),
        "postings": len(entries),
    }
    journal.append(unit, actor.name, "export", facts, work.desk.key)
    return made


def _move(work: Work, entry: Entry) -> Move:
    return Move(
        day=work.day(entry.at),
        currency=entry.currency,
        mode=_mode(live=entry.live),
        source=entry.source,
        destination=entry.destination,
        cents=entry.cents,
        reversal=entry.reversal,
    )


def _mode(*, live: bool) -> str:
    return "live" if live else "test"


def _ledger_rows(unit: Unit, work: Work, entries: Sequence[Entry], end: datetime) -> list[Row]:
    """Return one row for each posting that means something to the treasury."""
    ids = {entry.payment_id for entry in entries}
    held = books.balances(unit, ids, end)
    markers = books.markers(unit, ids)
    fresh = books.paid_in_this(unit, ids, {(entry.payment_id, entry.number) for entry in entries})
    rows = []
    for entry in entries:
        kind = rules.movement(entry.source, entry.destination, entry.reversal)
        line = (entry.payment_id, entry.line_id)
        # The row of the payment says already that the line is settled.
        if kind is None or (kind[0] == "settled" and line in fresh):
            continue
        day = work.day(entry.at)
        rows.append(
            Row(
                id=f"{entry.payment_id}-{entry.number}",
                type=kind[0],
                day=day.isoformat(),
                late="late" if day < work.first else "",
                mode=_mode(live=entry.live),
                receipt_number=entry.receipt_number,
                marker=markers.get((entry.payment_id, entry.line_id or ""), ""),
                fee_kind=entry.kind,
                cost_centre=entry.cost_centre,
                account=entry.account,
                tax_code=entry.tax_code,
                state=rules.state_of(held[line]),
                currency=entry.currency,
                method=entry.method,
                provider=entry.provider,
                reference=entry.reference,
                **{kind[1]: entry.cents},
            )
        )
    return rows


def _remote_rows(
    unit: Unit, work: Work, earlier: Sequence[Kept]
) -> tuple[list[Row], list[tuple[str, str]], list[str]]:
    """Return rows and references of the payouts that belong here, and what does not add up in them."""
    rows: list[Row] = []
    payouts: list[tuple[str, str]] = []
    gaps: list[str] = []
    done = books.remotes(unit, work.desk.key)
    for name, listed in work.payouts.items():
        mode = _mode(live=work.desk.providers[name].capabilities().live)
        for payout in listed:
            inside = work.first <= payout.arrival <= work.last
            late = not inside and any(one.first_day <= payout.arrival <= one.last_day for one in earlier)
            if (name, payout.ref) in done or not (inside or late):
                continue
            base = Row(
                id="",
                type="",
                day=payout.arrival.isoformat(),
                late="late" if late else "",
                mode=mode,
                currency=payout.currency,
                provider=name,
                reference=payout.ref,
            )
            abouts, wrong = _about(unit, work, base, payout.entries)
            gaps += wrong
            if gap := rules.payout_gap(payout):
                gaps.append(
                    f"payout {payout.ref} of {name} on {payout.arrival}: the bank credit differs from the "
                    f"sum of its entries by {to_decimal(gap, payout.currency)} {payout.currency}"
                )
            rows += rules.payout_rows(payout, abouts, base)
            payouts.append((name, payout.ref))
    return rows, payouts, gaps


def _about(
    unit: Unit, work: Work, base: Row, entries: Sequence[PayoutEntry]
) -> tuple[dict[str, Row], list[str]]:
    """Return a row that names the payment of each entry, and which amounts are not the ledger's."""
    ours = books.money(unit, base.provider, {entry.money_ref for entry in entries if entry.money_ref})
    known = books.receipts(unit, work.desk.key, ours.values())
    abouts: dict[str, Row] = {}
    wrong: list[str] = []
    for entry in entries:
        payment = known.get(ours.get(entry.money_ref, ""))
        if payment is None:
            continue
        abouts[entry.ref] = rules.like(
            base, receipt_number=payment.receipt_number or "", method=payment.method
        )
        same = base.currency == payment.currency
        if entry.kind == "payment" and same and entry.cents != payment.captured:
            wrong.append(
                f"payout {base.reference} of {base.provider}: it has "
                f"{to_decimal(entry.cents, base.currency)} for {payment.receipt_number}, the ledger "
                f"{to_decimal(payment.captured, base.currency)} {base.currency}"
            )
    return abouts, wrong


def _exported(kept: Kept | None, work: Work) -> Exported:
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
    return Exported(
        number=kept.number,
        library=kept.library,
        first_day=kept.first_day,
        last_day=kept.last_day,
        at=kept.at,
        content=kept.content,
        sha256=kept.sha256,
        rows=len(rows),
        late=sum(1 for row in rows if row["late"]),
        repeated=repeated,
        totals=rules.totals(kept.content),
        notes=notes,
    )
