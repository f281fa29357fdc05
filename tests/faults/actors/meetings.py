"""Meetings: what strikes at the one moment at which a wall of the settle protocol stands alone.

Each of them happens to libraries. But dice that are thrown one by one bring it about so seldom that the
wall could be missing for thousands of schedules, so here somebody waits for the moment.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator import NotPayableError

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, show
from ils_payment.flows.decision import Decision
from tests.faults.actors.office import CLERKS, TREASURER, Office
from tests.faults.reports import Truth
from tests.faults.switches import MEETING

if TYPE_CHECKING:
    from tests.faults.setting import Setting


def start(setting: Setting) -> None:
    """Wait behind whoever already waits at the failpoints."""
    if not MEETING & set(setting.mix.chance):
        return
    meetings, before = Meetings(setting), setting.world.ambush

    def ambush(name: str) -> None:
        before(name)
        if name == "settle.recorded" and not setting.mix.calm:
            meetings.come()

    setting.world.ambush = ambush


class Meetings:
    """Acts between a call and the look at what it did."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def come(self) -> None:
        """Act on the payment whose call has just been recorded, where that is surely known."""
        at_hand = self.setting.query(_AT_HAND)
        # Who stands still may meet another worker here, and with two calls nobody could say whose this is.
        if len(at_hand) != 1 or "stall" in self.setting.mix.chance:
            return
        (order,) = at_hand
        if order["outcome"] == "applied" and "ils_stale_read" not in self.setting.mix.chance:
            self._pay_twice(order["marker"])
        elif order["outcome"] == "unclear":
            self._decide_soon(order["payment_id"])

    def _pay_twice(self, marker: str) -> None:
        setting = self.setting
        tables = setting.koha.tables
        for credit in Truth(setting).of_marker(marker):
            paid = [one.debit_id for one in tables.offsets if one.credit_id == credit.line_id]
            closed = [one for one in paid if not tables.lines[one].outstanding]
            if credit.patron_id in tables.patrons and closed and setting.mix.strikes("fee_paid_twice"):
                cents = int(tables.lines[closed[0]].amount * 100)
                setting.koha.pay_at_desk(credit.patron_id, closed[0], cents)
                setting.paid_twice.add(marker)
                setting.scheduler.note(
                    f"clerk: takes cash for line {closed[0]}, which {marker} has just paid"
                )

    def _decide_soon(self, payment_id: str) -> None:
        """Let a part go back at the provider, which opens a case, and let the staff give the rest back."""
        stripe = self.setting.stripe
        session = next(
            (key for key, one in stripe.book.sessions.items() if one["metadata"]["payment"] == payment_id),
            None,
        )
        if session is None or not self.setting.mix.strikes("decided_while_unclear"):
            return
        self.setting.scheduler.note(f"provider: a cent of {payment_id} goes back")
        try:
            stripe.refund_in_dashboard(session, 1)
        except NotPayableError as error:
            self.setting.scheduler.note(f"provider: {error}")
            return
        self.setting.scheduler.spawn("office", partial(self._hurry, payment_id))

    def _hurry(self, payment_id: str) -> None:
        office = Office(self.setting)
        for _ in range(8):
            self.setting.scheduler.sleep(15)
            if self.setting.mix.calm:
                return
            self._decide(office, payment_id)
            self._approve(office)

    def _decide(self, office: Office, payment_id: str) -> None:
        mine = [one for one in office.ask("cases", show.case_list) or () if one.payment_id == payment_id]
        if not mine:
            return
        case = mine[0]
        decision = Decision(
            choice=Choice.REFUND, reason="the patron asks for it", reference="", meaning=Meaning.FEE_DROPPED
        )
        told: Any = office.ask(
            "decide", lambda house: decide.resolve(house, CLERKS[0], case.case_id, case.version, decision)
        )
        self.setting.scheduler.note(f"clerk in haste: {told.code if told else told}")

    def _approve(self, office: Office) -> None:
        for one in office.ask("refunds", show.refunds_asked) or ():
            office.ask("approve", partial(decide.approve, actor=TREASURER, refund_id=one.refund_id))


_AT_HAND = """
SELECT o.payment_id, o.marker, t.outcome FROM credit_orders o JOIN payments p ON p.id = o.payment_id
JOIN credit_tries t ON t.order_id = o.id
WHERE o.state = 'open' AND NOT p.held
AND t.number = (SELECT max(number) FROM credit_tries l WHERE l.order_id = o.id)
"""
