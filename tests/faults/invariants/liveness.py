"""I9 and I10: everything comes to an end by itself, or a person knows."""

from __future__ import annotations

from typing import Any

from tests.faults.invariants.base import Invariant


class EverythingEnds(Invariant):
    """Without faults, each payment ends in bounded time, whatever mail or anything beside money does."""

    name = "I9"

    def paid_ended(self) -> None:
        self._hold({"paid", "settling", "unknown"})

    def at_end(self) -> None:
        self._hold({"created", "open", "pending", "paid", "settling", "unknown"})
        claims = self.setting.query(
            "SELECT p.id FROM claims c JOIN payments p ON p.id = c.payment_id "
            "WHERE p.state IN ('void', 'settled', 'resolved') AND NOT p.held"
        )
        self.hold(not claims, f"fees stay claimed by payments that have ended: {[row[0] for row in claims]}")

    def _hold(self, waiting: set[str]) -> None:
        payments = self.payments()
        for payment in payments:
            if payment["state"] not in waiting or payment["held"]:
                continue
            self.hold(self._waits_for_person(payment, payments), f"{payment['id']} stays {payment['state']}")

    def _waits_for_person(self, payment: dict[str, Any], payments: list[dict[str, Any]]) -> bool:
        """Tell whether another payment of the patron, which a person has to decide, is in front of it."""
        return payment["state"] in {"paid", "settling"} and any(
            one["held"] and one["patron_id"] == payment["patron_id"] for one in payments
        )
