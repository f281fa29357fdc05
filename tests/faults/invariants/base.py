"""What all invariants share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.setting import Setting


class Broken(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.what = what


class Invariant:
    """One rule; each method is called at its moment and raises Broken when the rule does not hold."""

    name = ""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def after_step(self) -> None:
        """Called after each step of any task; has to be cheap."""

    def after_posting(self) -> None:
        """Called after each commit that has moved money in the ledger."""

    def paid_ended(self) -> None:
        """Called when every paid payment has had the time to end."""

    def at_end(self) -> None:
        """Called when everything has come to rest."""

    def hold(self, condition: object, what: str) -> None:
        if not condition:
            raise Broken(self.name, what)

    def payments(self) -> list[dict[str, Any]]:
        """Return the rows of all payments, with the markers, and whether a case is or was open."""
        return [dict(row) for row in self.setting.query(_PAYMENTS)]

    def books(self) -> dict[str, dict[str, int]]:
        """Return what each account holds of each payment."""
        sums: dict[str, dict[str, int]] = {}
        for row in self.setting.query("SELECT payment_id, source, destination, cents FROM postings"):
            of = sums.setdefault(row["payment_id"], {})
            of[row["source"]] = of.get(row["source"], 0) - row["cents"]
            of[row["destination"]] = of.get(row["destination"], 0) + row["cents"]
        return sums

    def credited(self) -> dict[str, int]:
        """Return the cents of each payment that the ledger ever booked as settled by a credit."""
        rows = self.setting.query(
            "SELECT payment_id, sum(cents) FROM postings WHERE destination = 'library_system' "
            "AND source = 'to_settle' GROUP BY payment_id"
        )
        return {row[0]: row[1] for row in rows}


_PAYMENTS = """
SELECT p.*, (SELECT group_concat(marker) FROM credit_orders o WHERE o.payment_id = p.id) AS markers,
       EXISTS (SELECT 1 FROM cases c WHERE c.payment_id = p.id AND c.closed_at IS NULL) AS open_case,
       EXISTS (SELECT 1 FROM cases c WHERE c.payment_id = p.id) AS any_case,
       EXISTS (SELECT 1 FROM cases c WHERE c.payment_id = p.id AND c.closed_at IS NOT NULL)
         OR EXISTS (SELECT 1 FROM refunds r WHERE r.payment_id = p.id AND r.kind = 'refund'
                    AND r.asked_by <> 'provider') AS decided,
       EXISTS (SELECT 1 FROM refunds r WHERE r.payment_id = p.id
               AND r.state IN ('asked', 'due', 'tried', 'pending')) AS refunding
FROM payments p ORDER BY p.created_at, p.id
"""
