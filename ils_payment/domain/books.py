"""The books as the treasury gets them: which posting becomes which row, the file, and its totals.

Money that came in stands in ``gross``, money that went back in ``refund``, what the provider kept in
``fee``, what reached the bank in ``payout``, and what only changed its place in ``moved``; nothing is
ever netted. Amounts in another currency or of a test stand in rows of their own and in totals of
their own.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ils_payment.domain.ledger import Book
from ils_payment.money import minor_digits, to_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from ils_payment.model import Payout, PayoutEntry

BOM = "\ufeff"
DELIMITER = ";"
AMOUNTS = ("gross", "refund", "fee", "payout", "moved")

Key = tuple[str, str, str]
"""(day, currency, mode): amounts are only ever added up within one of these."""

STATES: Mapping[Book, str] = {
    Book.TO_SETTLE: "to_settle",
    Book.LIBRARY_SYSTEM: "settled",
    Book.BY_HAND: "by_hand",
    Book.CASE: "case",
    Book.TO_RETURN: "refund_under_way",
    Book.RETURNED: "refunded",
    Book.OUTSIDE: "refunded_outside",
}
"""What the export calls the account in which the cents of a line lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the export, in the order of its columns; amounts are minor units, 0 where none applies."""

    id: str
    type: str
    day: str
    late: str = ""
    mode: str = "live"
    receipt_number: str = ""
    marker: str = ""
    fee_kind: str = ""
    cost_centre: str = ""
    account: str = ""
    state: str = ""
    gross: int = 0
    refund: int = 0
    fee: int = 0
    payout: int = 0
    moved: int = 0
    currency: str
    method: str = ""
    provider: str = ""
    reference: str = ""
    tax_code: str = ""
    payout_id: str = ""
    export: str = ""


COLUMNS = tuple(field.name for field in fields(Row))
"""New ones are appended, so that whoever reads the file by the place of a column reads on."""

FORMER = tuple(COLUMNS[: COLUMNS.index(name)] for name in ("tax_code", "payout_id"))
"""The columns of files that earlier versions wrote, and that are handed out again as they were."""


def movement(source: Book, destination: Book, reversal: str = "refund") -> tuple[str, str] | None:
    """Return (type of the row, its column) for a posting; None when nothing for the treasury moved.

    *reversal* is ``refund`` or ``chargeback`` where money left at the provider.
    """
    if source is Book.PROVIDER:
        return "payment", "gross"
    if destination is Book.RETURNED:
        return reversal, "refund"
    if destination is Book.OUTSIDE:
        return "refund_outside", "refund"
    if source in {Book.RETURNED, Book.OUTSIDE}:
        return "money_back", "gross"
    if destination is Book.BY_HAND and source is not Book.TO_RETURN:
        return "by_hand", "moved"
    if destination is Book.LIBRARY_SYSTEM and source is not Book.TO_RETURN:
        return "settled", "moved"
    return None


def state_of(held: Mapping[Book, int]) -> str:
    """Return the state of a line whose cents lie in these accounts, e.g. ``settled+refunded``."""
    return "+".join(name for book, name in STATES.items() if held.get(book, 0) > 0)


def payout_rows(payout: Payout, entry_rows: Mapping[str, Row], base: Row) -> list[Row]:
    """Return the rows of one payout: each entry, what the provider kept of it, and the bank credit itself.

    What is ``moved`` less the ``fee`` is the bank credit. *base* has what all of them share; *entry_rows*
    names the payment of an entry by its reference.
    """
    rows: list[Row] = []
    for entry in payout.entries:
        about = entry_rows.get(entry.ref, base)
        for kind, column, cents in _parts(entry):
            if cents:
                # Entries of one payment repeat its reference, so the place in the payout is part of the id.
                number = f"{base.provider}:{payout.ref}:{len(rows) + 1}"
                rows.append(like(about, id=number, type=kind, reference=entry.ref, **{column: cents}))
    rows.append(like(base, id=f"{base.provider}:{payout.ref}", type="payout", payout=payout.cents))
    return rows


def _parts(entry: PayoutEntry) -> list[tuple[str, str, int]]:
    """Return (type of the row, its column, amount) of what an entry adds, and of what the provider kept.

    What came from payers and went back to them has rows of its own from the ledger, on an earlier day.
    """
    kept = {"fee": "fee", "other": "provider_other"}.get(entry.kind)
    own = (kept, "fee", -entry.cents) if kept else ("paid_out", "moved", entry.cents)
    return [own, ("fee", "fee", entry.fee)]


def like(row: Row, **changes: Any) -> Row:  # noqa: ANN401 - columns of a row
    """Return a row as *row* with some columns changed."""
    return replace(row, **changes)


def payout_gap(payout: Payout) -> int:
    """Return by how much the bank credit differs from the sum of its entries less their fees."""
    return payout.cents - sum(entry.cents - entry.fee for entry in payout.entries)


def empty_files() -> list[str]:
    """Return the files without any row, as this version and the earlier ones wrote them."""
    return [_file((), columns) for columns in (COLUMNS, *FORMER)]


def write(rows: Iterable[Row]) -> str:
    """Return the file: RFC 4180 with a semicolon, CRLF, a byte order mark, decimal comma, ISO dates."""
    return _file(rows, COLUMNS)


def _file(rows: Iterable[Row], columns: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    text.write(BOM)
    writer = csv.writer(text, delimiter=DELIMITER, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row, name) for name in columns])
    return text.getvalue()


def _cell(row: Row, name: str) -> str:
    value = getattr(row, name)
    if name in AMOUNTS:
        return str(to_decimal(value, row.currency)).replace(".", ",") if value else ""
    # A spreadsheet would run a text that begins like a formula.
    return f"'{value}" if str(value).startswith(("=", "+", "-", "@", "\t", "\r")) else str(value)


def read(content: str) -> list[dict[str, str]]:
    """Return the rows of a file as it was written, cell by cell."""
    text = io.StringIO(content.removeprefix(BOM), newline="")
    return list(csv.DictReader(text, delimiter=DELIMITER))


def totals(content: str, *, late: bool | None = None) -> dict[Key, dict[str, int]]:
    """Add up a file by day, currency and mode: ``{"payment.gross": cents, "refund.refund": cents, ...}``.

    Only rows that are *late*, or only those that are not; None: all of them.
    """
    rows = (row for row in read(content) if late is None or bool(row["late"]) is late)
    return {
        (day, currency, mode): part
        for (day, currency, mode), part in _added(rows, ("day", "currency", "mode")).items()
    }


def account_totals(content: str) -> dict[tuple[str, ...], dict[str, int]]:
    """Add up a file by day, currency, mode, cost centre and account, as the treasury books it."""
    return _added(read(content), ("day", "currency", "mode", "cost_centre", "account"))


def _added(rows: Iterable[Mapping[str, str]], by: Sequence[str]) -> dict[tuple[str, ...], dict[str, int]]:
    sums: dict[tuple[str, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for name in AMOUNTS:
            if row[name]:
                cents = cents_of(row[name], row["currency"])
                sums[tuple(row[one] for one in by)][f"{row['type']}.{name}"] += cents
    return {key: dict(part) for key, part in sums.items()}


def unbooked(content: str) -> list[str]:
    """Return the fee kinds of a file that have no account or no cost centre, which the treasury needs."""
    return sorted(
        {
            row["fee_kind"]
            for row in read(content)
            if row["fee_kind"] and not (row["account"] and row["cost_centre"])
        }
    )


def cents_of(cell: str, currency: str) -> int:
    """Return an amount of the file as minor units."""
    return int(Decimal(cell.replace(",", ".")).scaleb(minor_digits(currency)))


LEDGER_TYPES = ("payment", "refund", "chargeback", "money_back", "refund_outside", "by_hand")
"""The rows whose totals the ledger knows; a ``settled`` row depends on what was exported before."""


@dataclass(frozen=True, slots=True)
class Move:
    """One posting with its day: what totals of the ledger are made of."""

    day: date
    currency: str
    mode: str
    source: Book
    destination: Book
    cents: int
    reversal: str = "refund"


def mode(*, live: bool) -> str:
    """Return the word of the file for real money, or for a test."""
    return "live" if live else "test"


def ledger_totals(moves: Iterable[Move]) -> dict[Key, dict[str, int]]:
    """Add up postings as :func:`totals` adds up the file."""
    sums: dict[Key, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in moves:
        kind = movement(one.source, one.destination, one.reversal)
        if kind and kind[0] in LEDGER_TYPES:
            sums[one.day.isoformat(), one.currency, one.mode][".".join(kind)] += one.cents
    return {key: dict(part) for key, part in sums.items()}


def differences(
    file: Mapping[Key, Mapping[str, int]], ledger: Mapping[Key, Mapping[str, int]]
) -> Sequence[str]:
    """Say where the day totals of file and ledger differ; empty when they are the same."""
    told = []
    for key in sorted(set(file) | set(ledger)):
        day, currency, mode = key
        ours = {
            name: cents for name, cents in file.get(key, {}).items() if name.split(".")[0] in LEDGER_TYPES
        }
        theirs = ledger.get(key, {})
        told += [
            f"{day} {mode} {name.split('.')[0]}: the file says {to_decimal(ours.get(name, 0), currency)}, "
            f"the ledger {to_decimal(theirs.get(name, 0), currency)} {currency}"
            for name in sorted(set(ours) | set(theirs))
            if ours.get(name, 0) != theirs.get(name, 0)
        ]
    return told
