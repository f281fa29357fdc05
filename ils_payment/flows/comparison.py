"""What the steps of one reconciliation share: its report, and how a difference becomes a case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ils_payment.store import cases, payments
from ils_payment.store import reconciling as rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that does not fit. ``new``: a case was opened for it now, not earlier."""

    kind: str
    subject: str
    payment_id: str | None
    facts: dict[str, Any]
    new: bool


@dataclass(slots=True)
class Report:
    """What one reconciliation compared and found.

    ``sides`` are what a program can compare here, ``beyond`` is what it never can, because a provider or
    the library system shows no lists: a person has to. ``gaps`` name what could not be compared this time.
    """

    library: str
    since: datetime
    until: datetime
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    sides: Sequence[str] = ()
    beyond: Sequence[str] = ()

    def count(self, what: str) -> None:
        """Count one thing that was compared."""
        self.counts[what] = self.counts.get(what, 0) + 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the steps of one reconciliation share."""

    house: House
    desk: Desk
    report: Report

    def differs(self, kind: str, subject: str, payment_id: str | None, facts: dict[str, Any]) -> None:
        """Open a case for a difference, unless there was one for just this before."""
        with self.house.store.unit() as unit:
            # What no payment here belongs to is one case for all libraries that share an account.
            known = rows.case_known(unit, self.desk.key if payment_id else None, kind, subject)
            if known:
                pass
            elif payment_id is None:
                cases.open_case(unit, self.desk.key, None, kind, facts, subject)
            else:
                payments.hold_late(unit, payment_id, kind, facts, what="reconciled", subject=subject)
        self.house.world.failpoint("reconcile.case")
        found = Difference(kind=kind, subject=subject, payment_id=payment_id, facts=facts, new=not known)
        self.report.differences.append(found)
