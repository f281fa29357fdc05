"""The rows of an export: postings of the ledger, and what providers paid out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ils_payment.domain import books as rules
from ils_payment.domain.books import Row
from ils_payment.money import to_decimal
from ils_payment.store import books

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.desk import Desk
    from ils_payment.model import Payout, PayoutEntry
    from ils_payment.store.books import Entry, Kept, Span
    from ils_payment.store.unit import Unit


@dataclass(slots=True)
class ExportInWork:
    """One export in the making; ``payouts`` by the provider's name, asked for from ``payouts_since`` on.

    None: they were left out.
    """

    desk: Desk
    first: date
    last: date
    payouts: dict[str, Sequence[Payout]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    payouts_since: date | None = None

    def span(self, first: date, last: date) -> Span:
        """Return the instants of whole days in the library's time zone."""
        zone = self.desk.settings.zone
        return (
            datetime.combine(first, time.min, zone).astimezone(UTC),
            datetime.combine(last + timedelta(days=1), time.min, zone).astimezone(UTC),
        )


def ledger_rows(unit: Unit, work: ExportInWork, entries: Sequence[Entry], end: datetime) -> list[Row]:
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
        day = work.desk.day_of(entry.at)
        row = Row(
            id=f"{entry.payment_id}-{entry.number}",
            type=kind[0],
            day=day.isoformat(),
            late="late" if day < work.first else "",
            mode=entry.mode,
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
        )
        rows.append(rules.like(row, **{kind[1]: entry.cents}))
    return rows


def remote_rows(
    unit: Unit, work: ExportInWork, earlier: Sequence[Kept]
) -> tuple[list[Row], list[tuple[str, str]], list[str]]:
    """Return rows and references of the payouts that belong here, and what does not add up in them."""
    rows: list[Row] = []
    payouts: list[tuple[str, str]] = []
    gaps: list[str] = []
    done = books.remotes(unit, work.desk.key)
    for name, listed in work.payouts.items():
        mode = rules.mode(live=work.desk.providers[name].capabilities().live)
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
                payout_id=payout.ref,
            )
            abouts, wrong = _about(unit, work, base, payout.entries)
            gaps += wrong
            if gap := rules.payout_gap(payout):
                gaps.append(
                    f"payout {payout.ref} of {name} on {payout.arrival}: the bank credit differs from the "
                    f"sum of its entries by {to_decimal(gap, payout.currency)} {payout.currency}"
                )
            rows += [_booked(work, row) for row in rules.payout_rows(payout, abouts, base)]
            payouts.append((name, payout.ref))
    return rows, payouts, gaps


def _booked(work: ExportInWork, row: Row) -> Row:
    """Return a row of a payout with the accounts that the configuration has for it."""
    own = work.desk.settings.export
    if row.type == "fee":
        return rules.like(row, cost_centre=own.fee_cost_centre, account=own.fee_account)
    return row if row.type == "provider_other" else rules.like(row, account=own.payout_account)


def _about(
    unit: Unit, work: ExportInWork, base: Row, entries: Sequence[PayoutEntry]
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
