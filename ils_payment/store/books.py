"""What the export reads and keeps: postings by day, and which of them stand in which file."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, insert, or_, select

from ils_payment.domain import books as rules
from ils_payment.domain.ledger import Book
from ils_payment.store.case_tables import refunds
from ils_payment.store.journal_tables import exported, exported_remotes, exports
from ils_payment.store.tables import (
    attempts,
    audit,
    credit_orders,
    installation,
    payment_lines,
    payments,
    postings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from sqlalchemy import Select

    from ils_payment.store.unit import Unit

Span = tuple["datetime", "datetime"]
"""From the first instant to the one that no longer belongs to it."""

_CHUNK = 500
"""So many ids stand in one question: SQLite takes a bounded number of parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One posting with what the treasury wants to know of its line and payment."""

    payment_id: str
    number: int
    line_id: str | None
    source: Book
    destination: Book
    cents: int
    currency: str
    at: datetime
    live: bool
    receipt_number: str
    method: str
    provider: str
    kind: str
    cost_centre: str
    account: str
    tax_code: str
    reversal: str = "refund"
    reference: str = ""

    @property
    def mode(self) -> str:
        """Return whether real money moved, in the word of the file."""
        return rules.mode(live=self.live)

    def move(self, zone: ZoneInfo) -> rules.Move:
        """Return what totals are made of; *zone* is the library's."""
        return rules.Move(
            day=self.at.astimezone(zone).date(),
            currency=self.currency,
            mode=self.mode,
            source=self.source,
            destination=self.destination,
            cents=self.cents,
            reversal=self.reversal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One export as it was kept."""

    number: int
    library: str
    first_day: date
    last_day: date
    at: datetime
    content: str
    sha256: str


def lock(unit: Unit) -> None:
    """Keep every other export out until the end of the transaction; the journal's row is the same."""
    unit.connection.execute(select(installation.c.id).with_for_update())


def kept(unit: Unit, library: str) -> list[Kept]:
    """Return the exports of a library without their content, the oldest first."""
    columns = [exports.c[name] for name in Kept.__dataclass_fields__ if name != "content"]
    rows = unit.connection.execute(
        select(*columns).where(exports.c.library == library).order_by(exports.c.number)
    )
    return [Kept(**row, content="") for row in rows.mappings()]


def load(unit: Unit, number: int) -> Kept:
    """Return one export that is there with its content."""
    return Kept(**unit.connection.execute(select(exports).where(exports.c.number == number)).mappings().one())


def entries(unit: Unit, library: str, spans: Sequence[Span], *, new: bool) -> list[Entry]:
    """Return the postings of *spans* in a fixed order; with *new* only those that no export has."""
    when = or_(*(and_(postings.c.at >= first, postings.c.at < end) for first, end in _joined(spans)))
    query = _entries().where(payments.c.library == library, when)
    if new:
        done = exists().where(
            exported.c.payment_id == postings.c.payment_id, exported.c.number == postings.c.number
        )
        query = query.where(~done)
    return _read(unit, query)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Return the same time in as few spans as can be: a database takes no thousand of them."""
    joined: list[Span] = []
    for first, end in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((first, end))
    return joined


def entries_of_export(unit: Unit, number: int) -> list[Entry]:
    """Return the postings that an export covers."""
    covered = and_(exported.c.payment_id == postings.c.payment_id, exported.c.number == postings.c.number)
    return _read(unit, _entries().join(exported, covered).where(exported.c.export == number))


def _entries() -> Select[Any]:
    return (
        select(
            *postings.c["payment_id", "number", "line_id", "source", "destination", "cents", "at"],
            postings.c.currency.label("other_currency"),
            *payments.c["currency", "live", "receipt_number", "method", "provider"],
            *payment_lines.c["kind", "cost_centre", "account", "tax_code"],
            audit.c.facts,
        )
        .join(payments, payments.c.id == postings.c.payment_id)
        .join(
            audit,
            and_(audit.c.payment_id == postings.c.payment_id, audit.c.number == postings.c.audit_number),
        )
        .outerjoin(payment_lines, payment_lines.c.id == postings.c.line_id)
        .order_by(postings.c.at, payments.c.receipt_number, postings.c.number)
    )


def _read(unit: Unit, query: Select[Any]) -> list[Entry]:
    rows = unit.connection.execute(query).all()
    reversals = _reversals(unit, {row.payment_id for row in rows})
    return [_told(_entry(row), row.facts, reversals[row.payment_id]) for row in rows]


def _entry(row: Any) -> Entry:  # noqa: ANN401 - a row
    return Entry(
        payment_id=row.payment_id,
        number=row.number,
        line_id=row.line_id,
        source=Book(row.source),
        destination=Book(row.destination),
        cents=row.cents,
        currency=row.other_currency or row.currency,
        at=row.at,
        live=row.live,
        receipt_number=row.receipt_number or "",
        method=row.method,
        provider=row.provider,
        kind=row.kind or "",
        cost_centre=row.cost_centre or "",
        account=row.account or "",
        tax_code=row.tax_code or "",
    )


def _reversals(unit: Unit, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the refunds and chargebacks of payments by payment, each under its id and the provider's."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for some in chunks(ids):
        for row in unit.connection.execute(select(refunds).where(refunds.c.payment_id.in_(some))):
            found[row.payment_id][row.id] = row
            if row.provider_ref:
                found[row.payment_id][row.provider_ref] = row
    return found


def _told(entry: Entry, facts: str, known: dict[str, Any]) -> Entry:
    """Name what a posting belongs to, which stands in the facts of its audit row."""
    said = json.loads(facts)
    refund = next((known[one] for one in said.values() if isinstance(one, str) and one in known), None)
    if refund is None:
        # A booking by hand, or a voucher: where a person wrote it down.
        return replace(entry, reference=str(said.get("reference", "")))
    return replace(entry, reversal=refund.kind, reference=refund.provider_ref or "")


def balances(
    unit: Unit, ids: Iterable[str], before: datetime
) -> dict[tuple[str, str | None], dict[Book, int]]:
    """Return what each account holds of each (payment, line) at the instant *before*."""
    sums: dict[tuple[str, str | None], dict[Book, int]] = defaultdict(lambda: defaultdict(int))
    for some in chunks(ids):
        query = select(postings).where(postings.c.payment_id.in_(some), postings.c.at < before)
        for row in unit.connection.execute(query):
            held = sums[row.payment_id, row.line_id]
            held[Book(row.source)] -= row.cents
            held[Book(row.destination)] += row.cents
    return sums


def markers(unit: Unit, ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the marker under which each (payment, line) is or will be booked in the library system."""
    found = {}
    for some in chunks(ids):
        for row in unit.connection.execute(select(credit_orders).where(credit_orders.c.payment_id.in_(some))):
            found.update({(row.payment_id, line): row.marker for line in json.loads(row.line_ids)})
    return found


def paid_in_this(unit: Unit, ids: Iterable[str], numbers: set[tuple[str, int]]) -> set[tuple[str, str]]:
    """Return the (payment, line) whose incoming money is among the postings *numbers*."""
    found = set()
    for some in chunks(ids):
        query = select(*postings.c["payment_id", "number", "line_id"]).where(
            postings.c.payment_id.in_(some), postings.c.source == Book.PROVIDER
        )
        for row in unit.connection.execute(query):
            if (row.payment_id, row.number) in numbers:
                found.add((row.payment_id, row.line_id))
    return found


def money(unit: Unit, provider: str, refs: Iterable[str]) -> dict[str, str]:
    """Return which of our payments the provider's ids of money or sessions belong to."""
    found = {}
    for some in chunks(refs):
        for column in (attempts.c.session_ref, attempts.c.money_ref):
            query = select(column, attempts.c.payment_id).where(
                attempts.c.provider == provider, column.in_(some)
            )
            found.update({row[0]: row.payment_id for row in unit.connection.execute(query)})
    return found


def receipts(unit: Unit, library: str, ids: Iterable[str]) -> dict[str, Any]:
    """Return receipt number, method, mode, currency and captured cents of payments by id."""
    found = {}
    for some in chunks(ids):
        query = select(*payments.c["id", "receipt_number", "method", "live", "currency", "captured"]).where(
            payments.c.library == library, payments.c.id.in_(some)
        )
        found.update({row.id: row for row in unit.connection.execute(query)})
    return found


def paid_kinds(unit: Unit, library: str) -> set[str]:
    """Return the fee kinds that were ever paid in a library."""
    query = (
        select(payment_lines.c.kind)
        .join(payments, payments.c.id == payment_lines.c.payment_id)
        .where(payments.c.library == library, payments.c.captured > 0)
        .distinct()
    )
    return {row.kind for row in unit.connection.execute(query)}


def remotes(unit: Unit, library: str) -> set[tuple[str, str]]:
    """Return (provider, ref) of every payout that stands in an export."""
    query = select(*exported_remotes.c["provider", "ref"]).where(exported_remotes.c.library == library)
    return {(row.provider, row.ref) for row in unit.connection.execute(query)}


def keep(
    unit: Unit, export: Kept, covered: Sequence[tuple[str, int]], payouts: Sequence[tuple[str, str]]
) -> None:
    """Keep an export to the byte, with the postings and payouts that it covers."""
    unit.connection.execute(
        insert(exports).values(**{name: getattr(export, name) for name in Kept.__dataclass_fields__})
    )
    rows = [{"payment_id": one, "number": number, "export": export.number} for one, number in covered]
    for start in range(0, len(rows), _CHUNK):
        unit.connection.execute(insert(exported), rows[start : start + _CHUNK])
    if payouts:
        unit.connection.execute(
            insert(exported_remotes),
            [
                {"library": export.library, "provider": provider, "ref": ref, "export": export.number}
                for provider, ref in payouts
            ],
        )


def next_number(unit: Unit) -> int:
    """Return the number of the next export; the caller holds the lock."""
    return int(unit.connection.execute(select(func.coalesce(func.max(exports.c.number), 0))).scalar_one()) + 1


def chunks(ids: Iterable[str]) -> list[list[str]]:
    """Cut ids into lists that fit into one question, in a fixed order."""
    known = sorted(set(ids))
    return [known[start : start + _CHUNK] for start in range(0, len(known), _CHUNK)]
