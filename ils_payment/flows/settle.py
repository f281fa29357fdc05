"""Settle: write the paid fees into the library system.

At most one credit, and either one credit or a person who knows.

Measured on a model with crashes, late and lost answers, posting again after a failure credits
twice in more than a third of the schedules; this protocol in none. Its parts: one settle at a
time per patron; read before writing; the try is committed before the call; one call, never
repeated by any layer below; an unclear answer is waited out and looked up by its marker; read
again afterwards. What no rule decides becomes a case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.domain import ledger, settling
from ils_payment.domain.states import decide
from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows.hands import LEASE_SECONDS, backoff
from ils_payment.model import (
    Applied,
    CreditOrder,
    Input,
    MarkerSupport,
    NotApplied,
    OrderLine,
    Partial,
    SettledPayment,
    State,
    Unclear,
)
from ils_payment.store import orders, patrons, payments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.flows.house import Desk, House
    from ils_payment.model import Account, Credit, PatronRef, SettleOutcome
    from ils_payment.store.records import Order, Payment
    from ils_payment.store.unit import Unit

log = structlog.get_logger(__name__)

MAX_UNCLEAR = 3
"""One call and at most two repetitions after unclear answers; then a person looks."""


@dataclass(slots=True)
class Work:
    """One order in work: what the steps below share."""

    house: House
    desk: Desk
    payment: Payment
    patron: PatronRef
    order: Order

    @property
    def lines(self) -> tuple[OrderLine, ...]:
        """Return the frozen lines of this order."""
        return tuple(
            OrderLine(ref=line.fee_ref, claim_key=line.claim_key, cents=line.cents, kind=line.kind)
            for line in self.payment.lines
            if line.id in self.order.line_ids
        )


def settle(house: House, desk: Desk, payment: Payment) -> datetime | None:
    """Settle what is due of a paid payment; return when to come back (None: nothing is left to do)."""
    owner = house.world.new_id()
    with house.store.unit() as unit:
        patron = patrons.patron_ref(unit, payment.patron_id)
        if patron is None:
            payments.move(unit, payment, "patron_erased", case="unexpected")
            return None
        other = orders.open_of_patron(unit, payment.patron_id)
        if other not in {None, payment.id} or not patrons.lease(
            unit, payment.patron_id, owner, LEASE_SECONDS
        ):
            return unit.now + backoff(house, payment)
        due_orders = _orders(unit, desk, payment)
    house.world.failpoint("settle.leased")
    for order in due_orders:
        if order.state == "applied":
            continue
        work = Work(house, desk, payment, patron, order)
        try:
            due = _settle_order(work)
        except RemoteError as error:
            # Only questions raise. The patron is let go below: no call is on its way any more.
            due = _unanswered(work, error)
        payment = work.payment
        if payment.held or due is not None:
            break
    else:
        due = None
    with house.store.unit() as unit:
        patrons.release(unit, payment.patron_id, owner)
    return None if payment.held else due


def _orders(unit: Unit, desk: Desk, payment: Payment) -> list[Order]:
    """Return the credit orders, written at the first time: one for all lines, or one for each."""
    known = orders.of_payment(unit, payment.id)
    if known:
        return known
    ids = [line.id for line in payment.lines]
    groups = [ids] if desk.system.capabilities().batch else [[one] for one in ids]
    for position, group in enumerate(groups):
        # The first marker is the number that the patron has: one number finds everything.
        number = payment.receipt_number if position == 0 else orders.new_marker(unit)
        orders.add(unit, payment, position, number, group)
    return orders.of_payment(unit, payment.id)


def _settle_order(work: Work) -> datetime | None:
    """Bring one order to an end, or say when to come back."""
    if work.order.tries:
        due, clear = _look_back(work)
        if not clear:
            return due
    before = work.desk.system.account(work.patron)
    partial = work.desk.system.capabilities().partial is not Partial.NONE
    if not settling.stand(work.lines, before, partial=partial):
        _step(work, Input.FEES_DIFFER, case="fees_differ", facts={"balance": before.balance})
        return None
    _step(work, Input.FEES_STAND)
    house = work.house
    with house.store.unit() as unit:
        payments.check_fence(unit, work.payment)
        if orders.open_of_patron(unit, work.payment.patron_id) not in {None, work.payment.id}:
            # The patron's lease ran out while the account was read, and another payment went first.
            return unit.now + backoff(house, work.payment)
        orders.begin_try(unit, work.order, work.payment.fence)
        work.order = orders.of_payment(unit, work.payment.id)[work.order.position]
    house.world.failpoint("settle.before_call")
    outcome = work.desk.system.settle(
        CreditOrder(
            patron=work.patron,
            marker=work.order.marker,
            cents=work.order.cents,
            currency=work.payment.currency,
            method=work.payment.method,
            lines=work.lines,
        )
    )
    house.world.failpoint("settle.after_call")
    _record(work, outcome)
    if isinstance(outcome, Applied):
        return _read_back(work, outcome, before)
    if isinstance(outcome, NotApplied):
        return _not_applied(work, outcome)
    _step(work, Input.UNCLEAR, facts={"reason": outcome.reason})
    return _next_look(work)


def _look_back(work: Work) -> tuple[datetime | None, bool]:
    """Before a repeated try: say (when to come back, whether calling again is right)."""
    doubtful = [one for one in work.order.tries if one.outcome != "not_applied"]
    readable = work.desk.system.capabilities().marker is MarkerSupport.READABLE
    if readable:
        there = work.desk.system.find_credits(work.patron, work.order.marker)
        if there:
            _found(work, there)
            return None, False
    if not doubtful:
        return None, True
    last = doubtful[-1]
    now = work.house.world.now()
    if work.payment.state is State.SETTLING:
        # A try without a result: whoever made the call crashed before it knew.
        _step(work, Input.UNCLEAR, facts={"reason": last.reason or "no result was recorded"})
    if not readable or not work.desk.system.capabilities().unattended_read:
        return _give_up(work, "the marker cannot be read back")
    if now < last.started_at + _quarantine(work):
        return _next_look(work), False
    if last.outcome == "applied":
        return _give_up(work, "it was confirmed, but its marker is not there")
    if sum(one.unclear for one in work.order.tries) >= MAX_UNCLEAR:
        return _give_up(work, "it stayed unclear after repetitions")
    if not _read_path_is_fresh(work):
        return _give_up(work, "nothing proves that an absent marker would be seen")
    return None, True


def _give_up(work: Work, reason: str) -> tuple[None, bool]:
    _hold(work, "unclear", {"reason": reason, "marker": work.order.marker})
    return None, False


def _quarantine(work: Work) -> timedelta:
    """Return how long a lost call may still take effect: the longer of configuration and declaration."""
    return max(work.desk.settings.settle.quarantine, work.desk.system.capabilities().late_apply_max)


def _next_look(work: Work) -> datetime:
    """Look for the marker soon, then less often, and at the end of the quarantine."""
    now = work.house.world.now()
    with work.house.store.read() as unit:
        last = orders.of_payment(unit, work.payment.id)[work.order.position].tries[-1]
    end = last.started_at + _quarantine(work)
    soon = now + max((now - last.started_at) / 2, timedelta(seconds=5))
    return min(soon, end) if end > now else soon


def _read_path_is_fresh(work: Work) -> bool:
    """Prove that an absent marker would be seen: the newest one that we confirmed is readable."""
    with work.house.store.read() as unit:
        newest = orders.newest_confirmed(unit, work.desk.key)
        ref = patrons.patron_ref(unit, newest[0]) if newest else None
    if newest is None or ref is None:
        return False
    try:
        return bool(work.desk.system.find_credits(ref, newest[1]))
    except RemoteAbsentError:
        # The patron of that marker is gone; this says nothing about the patron at hand.
        return False


def _found(work: Work, there: Sequence[Credit]) -> None:
    """Take a marker that is already there; it counts only once, with the same cents, all of it used."""
    one = there[0]
    if len(there) == 1 and one.cents == work.order.cents and one.unapplied == 0:
        _applied(work, Input.MARKER_FOUND, one.remote_ref)
        return
    facts = {
        "credits": len(there),
        "cents": one.cents,
        "unapplied": one.unapplied,
        "marker": work.order.marker,
    }
    _hold(work, "marker_wrong", facts)


def _record(work: Work, outcome: SettleOutcome) -> None:
    """Commit what the call answered before anything else is done with it."""
    number = work.order.tries[-1].number
    reason = "" if isinstance(outcome, Applied) else outcome.reason
    name = {Applied: "applied", NotApplied: "not_applied", Unclear: "unclear"}[type(outcome)]
    remote = outcome.remote_ref if isinstance(outcome, Applied) else None
    with work.house.store.unit() as unit:
        orders.end_try(unit, work.order, number, name, reason=reason, remote_ref=remote)
        payments.record(unit, work.payment, f"call_{name}", {"order": work.order.id, "try": number})
    work.house.world.failpoint("settle.recorded")


def _not_applied(work: Work, outcome: NotApplied) -> datetime | None:
    """Try again for days, unless that cannot help."""
    retry = not outcome.permanent and _is_patient(work)
    _step(work, Input.NOT_APPLIED, condition=retry, case="not_applied", facts={"reason": outcome.reason})
    return work.house.world.now() + backoff(work.house, work.payment) if retry else None


def _unanswered(work: Work, error: RemoteError) -> datetime | None:
    """A question was not answered: ask again for days, unless that cannot help; then a person looks."""
    if _is_patient(work) and not isinstance(error, RemoteAbsentError):
        log.warning("tried_in_vain", payment=work.payment.id, library=work.desk.key, reason=str(error))
        return work.house.world.now() + backoff(work.house, work.payment)
    doubtful = any(one.outcome != "not_applied" for one in work.order.tries)
    facts = {"reason": error.what[:200], "marker": work.order.marker}
    _hold(work, "unclear" if doubtful else "not_applied", facts)
    return None


def _is_patient(work: Work) -> bool:
    """Tell whether there is time left to try again by ourselves."""
    now = work.house.world.now()
    patience = timedelta(days=work.desk.settings.settle.give_up_days)
    return now - (work.payment.paid_at or now) < patience


def _read_back(work: Work, outcome: Applied, before: Account) -> datetime | None:
    """Read afterwards what the call did; anything but exactly that is a case."""
    after = work.desk.system.account(work.patron)
    wrong = settling.wrong_in_accounts(work.lines, outcome, before, after)
    if wrong is None and work.desk.system.capabilities().credit_list:
        recent = work.desk.system.recent_credits(work.patron, before.read_at)
        with work.house.store.read() as unit:
            ours = orders.markers_of_patron(unit, work.payment.patron_id)
        wrong = settling.wrong_in_credits(work.order.marker, work.order.cents, recent, ours)
    if wrong:
        _hold(work, "read_back", {"wrong": wrong, "marker": work.order.marker, "credit": outcome.remote_ref})
        return None
    _applied(work, Input.APPLIED, outcome.remote_ref)
    return None


def _applied(work: Work, what: Input, remote_ref: str) -> None:
    """Book an order as settled; the payment is settled with its last order."""
    line_ids = work.order.line_ids
    with work.house.store.unit() as unit:
        orders.confirm(unit, work.order, remote_ref)
        last = all(order.state == "applied" for order in orders.of_payment(unit, work.payment.id))
        to = decide(work.payment.state, what).to if last else None
        columns: dict[str, Any] = {"settled_at": unit.now} if last else {}
        work.payment = payments.move(
            unit,
            work.payment,
            str(what),
            to=to,
            facts={"order": work.order.id, "credit": remote_ref},
            postings=ledger.settled(work.payment.amounts(line_ids)),
            **columns,
        )
    work.house.world.failpoint("settle.applied")
    if last:
        tell_observers(work.house, work.payment)


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


def _step(
    work: Work,
    what: Input,
    *,
    condition: bool = True,
    case: str = "unexpected",
    facts: dict[str, Any] | None = None,
) -> None:
    """Take the state table's move for *what*."""
    step = decide(work.payment.state, what, condition=condition)
    if step.to is None and not step.hold:
        return
    with work.house.store.unit() as unit:
        work.payment = payments.move(
            unit,
            work.payment,
            str(what),
            to=step.to,
            case=case if step.hold else None,
            facts={"order": work.order.id, **(facts or {})},
        )
    work.house.world.failpoint(f"settle.{what}")


def _hold(work: Work, case: str, facts: dict[str, Any]) -> None:
    """Hold the payment with a case."""
    with work.house.store.unit() as unit:
        work.payment = payments.move(
            unit, work.payment, case, case=case, facts={"order": work.order.id, **facts}
        )
    work.house.world.failpoint("settle.held")
