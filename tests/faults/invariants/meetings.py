"""Walls that only a meeting of two rare things shows: see ``actors/meetings.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tests.conftest import STRIPE
from tests.faults.invariants.base import Invariant

if TYPE_CHECKING:
    from ils_payment.model import RawRequest, Reply
    from tests.faults.setting import Setting

QUARANTINE = 15 * 60
"""Seconds for which a call without an answer may still be booked."""


class PaidTwiceIsTold(Invariant):
    """Cash that was taken for a fee between our credit and our look at the account has a case (I4)."""

    name = "I4 paid twice"

    def at_end(self) -> None:
        lost = self.setting.lost.markers if self.setting.lost is not None else set()
        for marker in sorted(self.setting.paid_twice - lost):
            told = self.setting.query(_CASE, marker)
            self.hold(told, f"the fee of {marker} was paid at the desk, too, and nobody was told")


class NothingLeavesInDoubt(Invariant):
    """No refund leaves for the provider while a settle call of its payment may still be booked (I8)."""

    name = "I8 in doubt"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.problem: str | None = None
        gate = setting.gates[STRIPE]
        inner = gate.handle

        def handle(raw: RawRequest) -> Reply | None:
            arrives = setting.scheduler.seconds >= gate.outage.until
            if arrives and raw.method == "POST" and raw.path == "/v1/refunds":
                self._look(*parse_qs(raw.body.decode()).get("metadata[refund]", [""]))
            return inner(raw)

        gate.handle = handle  # it is only watched

    def after_step(self) -> None:
        self.hold(self.problem is None, str(self.problem))

    def _look(self, key: str) -> None:
        since = int((self.setting.world.now().timestamp() - QUARANTINE) * 1_000_000)
        for row in self.setting.query(_IN_DOUBT, key, since):
            self.problem = f"the refund {key} leaves, and {row['marker']} may still be booked"


_CASE = """
SELECT 1 FROM cases c JOIN credit_orders o ON o.payment_id = c.payment_id WHERE o.marker = ?
"""
_IN_DOUBT = """
SELECT o.marker FROM refunds r JOIN credit_orders o ON o.payment_id = r.payment_id
JOIN credit_tries t ON t.order_id = o.id
WHERE r.key = ? AND o.state <> 'applied' AND coalesce(t.outcome, 'unclear') = 'unclear' AND t.started_at > ?
"""

MEETINGS: tuple[type[Invariant], ...] = (PaidTwiceIsTold, NothingLeavesInDoubt)
