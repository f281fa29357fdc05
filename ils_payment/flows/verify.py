"""Verify: derive every balance and every chain anew from the rows, and name what does not fit.

Nothing is asked outside, nothing is written, and the program may go on working meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ils_payment.domain import books as books_rules
from ils_payment.domain import proof as rules
from ils_payment.errors import InvariantError
from ils_payment.store import books, journal, proof, seals

if TYPE_CHECKING:
    from ils_payment.flows.house import House
    from ils_payment.store.unit import Unit


UNREADABLE = (ValueError, LookupError, TypeError, InvariantError)
"""What reading a row may raise that somebody else has written: it is a finding like any other."""


@dataclass(slots=True)
class Report:
    """What was looked at, what every account holds by (account, currency, mode), and what is wrong.

    ``sealed_at`` is when the seal that was asked for had been made; None where it was not found.
    """

    payments: int = 0
    history_rows: int = 0
    postings: int = 0
    journal_rows: int = 0
    seals: int = 0
    exports: int = 0
    unsealed: int = 0
    balances: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    findings: list[str] = field(default_factory=list)
    sealed_at: datetime | None = None
    seal_number: int | None = None


@dataclass(slots=True)
class _Journal:
    """What the journal says of seals and exports, by their numbers."""

    seals: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    exports: dict[int, dict[str, Any]] = field(default_factory=dict)


def verify(house: House, *, seal: str | None = None) -> Report:
    """Verify the whole ledger as it stands at this moment.

    *seal* is the hash of a seal that was kept outside: it has to stand in the journal.
    """
    with house.store.snapshot() as unit:
        return examine(house, unit, seal=seal)


def examine(house: House, unit: Unit, *, seal: str | None = None) -> Report:
    """Do as :func:`verify` with what *unit* sees."""
    report = Report()
    told = _journal(unit, report, seal)
    _payments(unit, report)
    report.findings += [f"payment {one} was deleted" for one in sorted(set(proof.deleted(unit)))]
    _seals(unit, report, told)
    _exports(house, unit, report, told)
    report.findings += [f"the text of reason {one} was changed" for one in proof.reasons_of_no_payment(unit)]
    report.unsealed = proof.unsealed(unit)
    if seal is not None and report.sealed_at is None:
        report.findings.append(
            f"the seal {seal} is not in the journal: rows were changed or cut off since it was made, or this "
            "ledger was restored from a backup that is older"
        )
    return report


def _journal(unit: Unit, report: Report, seal: str | None) -> _Journal:
    """Follow the journal's chain to its end."""
    told = _Journal()
    previous = journal.GENESIS
    sound = True
    for place, row in enumerate(proof.trail_of_the_house(unit), 1):
        claimed = row.pop("hash")
        fits = row["number"] == place and row["previous"] == previous and journal.digest(row) == claimed
        if sound and not fits:
            sound = False
            report.findings.append(f"the journal was changed at row {place}")
        previous = claimed
        report.journal_rows = row["number"]
        if row["what"] == "seal":
            told.seals[row["number"]] = (claimed, _facts(row))
            report.seals += 1
            if sound and claimed == seal:
                report.sealed_at, report.seal_number = row["at"], row["number"]
        elif row["what"] == "export":
            facts = _facts(row)
            told.exports[facts.get("number", 0)] = {**facts, "library": row["library"]}
    counted = seals.journal_rows(unit)
    if counted != report.journal_rows:
        report.findings.append(
            f"the journal ends with row {report.journal_rows} of {counted}: its tail was cut off"
        )
    return told


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """Read the facts of a row, which may be anything where somebody else has written them."""
    try:
        return dict(json.loads(row["facts"]))
    except (ValueError, TypeError):
        return {}


def _payments(unit: Unit, report: Report) -> None:
    for batch in proof.batches(unit):
        for rows in batch:
            report.payments += 1
            report.history_rows += len(rows.trail)
            report.postings += len(rows.postings)
            wrong: list[str] = []
            try:
                wrong += rows.broken()
                wrong += rules.findings(rows.facts)
            except UNREADABLE as error:
                wrong.append(f"it has a row that no program wrote ({type(error).__name__})")
            name = f"payment {rows.payment['id']} ({rows.payment['receipt_number']})"
            report.findings += [f"{name}: {one}" for one in wrong]
            _add_up(report, rows)


def _add_up(report: Report, rows: proof.Rows) -> None:
    mode = books_rules.mode(live=rows.payment["live"])
    for row in rows.postings:
        currency = row.currency or rows.payment["currency"]
        report.balances[row.source, currency, mode] -= row.cents
        report.balances[row.destination, currency, mode] += row.cents


def _seals(unit: Unit, report: Report, told: _Journal) -> None:
    """Compare each seal with the heads it covers, and each of them with the seal before it."""
    heads = {}
    for number, covered in proof.heads_by_seal(unit):
        if number not in told.seals:
            report.findings.append(f"seal {number} is gone from the journal, and its heads are there")
        else:
            heads[number] = seals.digest(_hash_before(told, number), covered)
    before = 0
    for number, (_, facts) in sorted(told.seals.items()):
        if facts.get("previous") != before:
            report.findings.append(f"seal {number} does not follow seal {before}")
        before = number
        empty = seals.digest(_hash_before(told, number), [])
        if heads.get(number, empty) != facts.get("digest"):
            report.findings.append(f"seal {number} does not fit the rows that it covers")


def _hash_before(told: _Journal, number: int) -> str:
    previous = told.seals[number][1].get("previous")
    return told.seals[previous][0] if previous in told.seals else journal.GENESIS


def _exports(house: House, unit: Unit, report: Report, told: _Journal) -> None:
    """Compare each export with the journal, and its sums with the postings that it covers."""
    seen = set()
    for row, covered in proof.kept_exports(unit):
        report.exports += 1
        seen.add(row.number)
        facts = told.exports.get(row.number)
        name = f"export {row.number}"
        if facts is None:
            report.findings.append(f"{name} is not in the journal")
            continue
        if not hashlib.sha256(row.content.encode()).hexdigest() == row.sha256 == facts.get("sha256"):
            report.findings.append(f"{name}: the file is not as it was made")
            continue
        if row.library != facts["library"]:
            report.findings.append(f"{name} is of another library than the journal says")
        if covered != facts.get("postings"):
            report.findings.append(f"{name} covered {facts.get('postings')} posting(s), {covered} are marked")
        # Rows of before do not tell the zone: then the library's present one counts, if it has one.
        library = house.settings.libraries.get(row.library)
        zone = facts.get("time_zone") or (library.time_zone if library else None)
        if zone is None:
            continue
        try:
            entries = books.entries_of_export(unit, row.number)
            sums = books_rules.ledger_totals(entry.move(ZoneInfo(zone)) for entry in entries)
            gaps = books_rules.differences(books_rules.totals(row.content), sums)
        except UNREADABLE:
            gaps = ["it covers a posting that is none"]
        report.findings += [f"{name}: {gap}" for gap in gaps]
    report.findings += [f"export {number} was deleted" for number in sorted(set(told.exports) - seen)]
