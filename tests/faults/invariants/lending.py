"""E1: what patrons are told of eLending was asked, and nothing is lifted that no payment mends."""

from __future__ import annotations

from ils_payment.flows.unblock import MOST_TRIES
from tests.faults.invariants.base import Invariant
from tests.faults.lending import NAME


class LendingIsAskedAndTold(Invariant):
    """E1: "open" is said only where the platform said so; it is asked after each payment, not for ever."""

    name = "E1"

    def after_step(self) -> None:
        lending = self.setting.lending
        if lending is not None:
            self.hold(lending.problem is None, str(lending.problem))

    def at_end(self) -> None:
        lending = self.setting.lending
        if lending is None:
            return
        for row in self.setting.query(_ANSWERS, NAME):
            if row["verdict"] == "open":
                said = row["patron_ref"] is None or row["patron_ref"] in lending.opened
                self.hold(row["asked"] and said, f"{row['id']}: eLending counts as open, and never was")
            if row["state"] != "settled" or row["due_at"] is not None or row["patron_ref"] is None:
                continue
            # What a backup did not have is not known any more, and nobody asks about it again.
            told = row["verdict"] not in {None, "cannot_tell"} or row["tries"] == MOST_TRIES
            self.hold(told or self.setting.lost, f"{row['id']}: nobody asked the platform, {row['verdict']}")


_ANSWERS = """
SELECT p.id, p.state, p.due_at, o.patron_ref, e.verdict, e.asked, e.tries FROM payments p
JOIN private_patrons o ON o.id = p.patron_id
LEFT JOIN elending_answers e ON e.payment_id = p.id AND e.platform = ?
"""
