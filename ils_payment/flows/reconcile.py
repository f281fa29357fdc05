"""Reconcile: provider's list <-> ledger <-> markers in the library system, for one library and some days.

What differs is a case, each difference once for ever; money is never corrected by itself. A payment
that the provider took and the ledger has not noticed is read again first, like after a notice: that
is looking, not correcting. A question that was not answered makes the report incomplete, never clean.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ils_payment.errors import RemoteError
from ils_payment.flows.comparison import Comparison, Report
from ils_payment.flows.reconcile_library import compare_library_system
from ils_payment.flows.reconcile_provider import compare_provider, listing_of
from ils_payment.store import installation, journal
from ils_payment.store import reconciling as rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Actor
    from ils_payment.store.unit import Unit


def reach(desk: Desk) -> tuple[list[str], list[str]]:
    """Return the sides that a program can compare with the ledger here, and why it cannot the others."""
    sides = [f"provider {name}" for name in desk.providers if listing_of(desk, name)]
    beyond = [
        f"provider {name} cannot list its payments" for name in desk.providers if not listing_of(desk, name)
    ]
    if desk.reads_markers:
        sides.append("library system")
    else:
        beyond.append("the library system's markers cannot be read")
    return sides, beyond


def reconcile(house: House, desk: Desk, since: datetime, until: datetime, actor: Actor) -> Report:
    """Compare one library's books from *since* to *until* (exclusive) with both other sides."""
    sides, beyond = reach(desk)
    report = Report(desk.key, since, until, sides=sides, beyond=beyond)
    work = Comparison(house, desk, report)
    for name in desk.providers:
        try:
            compare_provider(work, name)
        except RemoteError as error:
            report.gaps.append(f"provider {name}: {error}")
    compare_library_system(work)
    with house.store.unit() as unit:
        covered = _covered(unit, desk.key)
        facts = {
            "since": since.isoformat(),
            "until": until.isoformat(),
            # What begins later leaves days between that nobody has compared.
            "covered": (max(covered, until) if since <= covered else covered).isoformat(),
            "differences": len(report.differences),
            "new": sum(one.new for one in report.differences),
            "gaps": len(report.gaps),
            "sides": len(report.sides),
            "not_comparable": len(report.beyond),
            **report.counts,
        }
        what = "reconcile_incomplete" if report.gaps else "reconciled"
        journal.append(unit, actor.name, what, facts, desk.key)
    house.world.failpoint("reconcile.done")
    house.wake()
    return report


def begin(house: House, desk: Desk, days: int) -> datetime:
    """Return from when on to compare: *days* before the end of what was compared without a gap so far.

    After a restore: from the backup on, and from the oldest payment that was not at its end then.
    """
    with house.store.read() as unit:
        if installation.is_unreconciled(unit):
            return rows.unsettled_since(unit, desk.key) - timedelta(days=days)
        return _covered(unit, desk.key) - timedelta(days=days)


def _covered(unit: Unit, library: str) -> datetime:
    """Return until when a library was compared without a gap, from its first payment on."""
    for row in journal.newest(unit, what="reconciled", library=library, limit=1):
        # Rows of before do not tell it: then everything is compared once.
        if covered := row["facts"].get("covered"):
            return datetime.fromisoformat(covered)
    return rows.first_payment(unit, library) or unit.now


def release(house: House, reports: Sequence[Report], actor: Actor, *, by_hand: str = "") -> bool:
    """After a restore: let the program write outside again once every library was compared without a gap.

    A comparison counts only if it begins before anything that the lost ledger may have changed. *by_hand* is
    what a person says of having compared what no program can; it stands in the journal.
    """
    with house.store.read() as unit:
        needed = {key: rows.unsettled_since(unit, key) for key in house.libraries}
        restored = journal.last_restore(unit)
    complete = {
        report.library
        for report in reports
        if not report.gaps
        and (by_hand or not report.beyond)
        and report.since <= needed[report.library]
        and (restored is None or report.until >= restored)
    }
    if complete != set(house.libraries):
        return False
    with house.store.unit() as unit:
        if installation.is_unreconciled(unit):
            installation.set_unreconciled(unit, unreconciled=False)
            facts = {"by_hand": by_hand[:200]} if by_hand else {}
            journal.append(unit, actor.name, "restored_ledger_compared", facts)
    house.wake()
    return True


def is_shut(house: House) -> bool:
    """Tell whether a restored ledger still waits for being compared."""
    with house.store.read() as unit:
        return installation.is_unreconciled(unit)
