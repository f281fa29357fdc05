"""One credit order in work: what the steps of settling share, and the moves they make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ils_payment.domain import ledger
from ils_payment.domain.ledger import Book
from ils_payment.domain.renewing import CARD
from ils_payment.domain.states import decide
from ils_payment.model import Input, OrderLine, SettledPayment
from ils_payment.store import chain, orders, payments, renewals

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import PatronRef
    from ils_payment.store.records import Line, Order, Payment
    from ils_payment.store.unit import Unit


SEND_WITHIN = timedelta(seconds=60)
"""A call that is not on its way so long after its try was committed is not made any more.

A host may sleep between the two; much later, somebody else may have made the call instead.
"""

WHILE_SHUT = timedelta(minutes=5)
"""So long a payment waits, again and again, until a restored ledger was compared: a person may take days."""


@dataclass(slots=True)
class Work:
    """One order in work; payment and order are replaced whenever they change."""

    house: House
    desk: Desk
    payment: Payment
    patron: PatronRef
    order: Order

    charged: str | None = None
    """The library system's id of the debit that was charged for the renewal in this payment."""

    @property
    def lines(self) -> tuple[OrderLine, ...]:
        """Return the frozen lines of this order; a renewal's is the debit that was charged for it."""
        return tuple(self._line(line) for line in self.payment.lines if line.id in self.order.line_ids)

    def _line(self, line: Line) -> OrderLine:
        if line.claim_key == CARD and self.charged is not None:
            return OrderLine(ref=self.charged, claim_key=self.charged, cents=line.cents, kind=line.kind)
        return OrderLine(ref=line.fee_ref, claim_key=line.claim_key, cents=line.cents, kind=line.kind)

    @property
    def now(self) -> datetime:
        """Return the current instant."""
        return self.house.world.now()

    def reread_order(self) -> None:
        """Take the order as the ledger has it now."""
        with self.house.store.read() as unit:
            self.order = orders.of_payment(unit, self.payment.id)[self.order.position]


def quarantine(desk: Desk) -> timedelta:
    """Return how long a lost call may still take effect: the longer of configuration and declaration."""
    return max(desk.settings.settle.quarantine, desk.system.capabilities().late_apply_max)


def step(
    work: Work,
    what: Input,
    *,
    condition: bool = True,
    case: str = "unexpected",
    facts: dict[str, Any] | None = None,
) -> None:
    """Take the state table's move for *what*."""
    move = decide(work.payment.state, what, condition=condition)
    if move.to is None and not move.hold:
        return
    with work.house.store.unit() as unit:
        work.payment = payments.move(
            unit,
            work.payment,
            str(what),
            to=move.to,
            case=case if move.hold else None,
            facts={"order": work.order.id, **(facts or {})},
        )
    work.house.world.failpoint(f"settle.{what}")


def hold(work: Work, case: str, facts: dict[str, Any], *, known: bool = True) -> None:
    """Hold the payment with a case; *known*: no call of this order can take effect any more.

    An order that is known to be over no longer keeps the patron's other payments waiting.
    """
    with work.house.store.unit() as unit:
        if known:
            orders.set_state(unit, work.order, "given_up")
        facts = {"order": work.order.id, "marker": work.order.marker, **facts}
        work.payment = payments.move(unit, work.payment, case, case=case, facts=facts)
    work.house.world.failpoint("settle.held")


def applied(work: Work, what: Input, remote_ref: str) -> None:
    """Book an order as settled; the payment is settled with its last order."""
    line_ids = work.order.line_ids
    with work.house.store.unit() as unit:
        orders.confirm(unit, work.order, remote_ref)
        last = is_last(unit, work.payment)
        columns: dict[str, Any] = {"settled_at": unit.now} if last else {}
        work.payment = payments.move(
            unit,
            work.payment,
            str(what),
            to=decide(work.payment.state, what).to if last else None,
            facts={"order": work.order.id, "credit": remote_ref},
            postings=ledger.settled(
                work.payment.amounts(line_ids), chain.read_postings(unit, work.payment.id)
            ),
            **columns,
        )
    work.house.world.failpoint("settle.applied")
    if last:
        tell_observers(work.house, work.payment)


def is_last(unit: Unit, payment: Payment) -> bool:
    """Tell whether nothing of a payment waits for the library system: no order, and no renewal."""
    renewal = renewals.of_payment(unit, payment)
    known = orders.of_payment(unit, payment.id)
    if renewal is not None:
        ordered = any(renewal.line_id in order.line_ids for order in known)
        held = ledger.balances(chain.read_postings(unit, payment.id))
        # The debit of a card whose money went back is nothing of ours any more.
        waits = any((book, renewal.line_id) in held for book in (Book.TO_SETTLE, Book.CASE))
        if not renewal.ended or (renewal.charge_state == "done" and not ordered and waits):
            return False
    return all(order.state in {"applied", "given_up"} for order in known)


def is_patient(house: House, desk: Desk, payment: Payment) -> bool:
    """Tell whether there is time left to try again by ourselves."""
    now = house.world.now()
    return now - (payment.paid_at or now) < timedelta(days=desk.settings.settle.give_up_days)


def tell_observers(house: House, payment: Payment) -> None:
    """Tell plugins that a payment was settled."""
    house.plugins.payment_settled(
        SettledPayment(
            payment_id=payment.id,
            library=payment.library,
            cents=payment.cents,
            currency=payment.currency,
            method=payment.method,
            provider=payment.provider,
            settled_at=payment.settled_at or house.world.now(),
            live=payment.live,
        )
    )
