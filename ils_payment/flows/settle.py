"""Settle: write the paid fees into the library system.

At most one credit, and either one credit or a person who knows.

Measured on a model with crashes, late and lost answers, posting again after a failure credits
twice in more than a third of the schedules; this protocol in none. Its parts: one settle at a
time per patron; read before writing; the try is committed before the call; one call, sent at once
or not at all, never repeated by any layer below; an unclear answer is waited out and looked up by
its marker; read again afterwards. What no rule decides becomes a case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ils_payment.domain import ledger
from ils_payment.domain.ledger import Book
from ils_payment.domain.settling import Before, stand
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows import renew
from ils_payment.flows.hands import LEASE_SECONDS, backoff
from ils_payment.flows.readback import earlier_is_there, look_back, next_look, read_back
from ils_payment.flows.work import SEND_WITHIN, WHILE_SHUT, Work, hold, is_patient, quarantine, step
from ils_payment.model import Applied, CreditOrder, Input, NotApplied, Partial, Unclear
from ils_payment.store import cases, chain, installation, journal, orders, patrons, payments, renewals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import PatronRef, SettleOutcome
    from ils_payment.store.records import Order, Payment
    from ils_payment.store.unit import Unit

log = structlog.get_logger(__name__)

TIRED = 40.0
"""After so many seconds no further step is begun under the same lease; the payment is due again at once."""


def settle(house: House, desk: Desk, payment: Payment) -> datetime | None:
    """Settle what is due of a paid payment; return when to come back (None: nothing is left to do)."""
    owner = house.world.new_id()
    with house.store.unit() as unit:
        if installation.is_unreconciled(unit):
            # A restored ledger may lack what was settled since its backup.
            return unit.now + WHILE_SHUT
        patron = patrons.patron_ref(unit, payment.patron_id, desk.patrons)
        if patron is None:
            erased = patrons.met_at(unit, payment.patron_id)[0] is None
            what = "patron_erased" if erased else "patron_elsewhere"
            payments.move(unit, payment, what, case="unexpected")
            return None
        restored = _since_restore(unit, desk, payment)
        if restored and not cases.was_decided(unit, payment.library, "unclear", restored):
            reason = "the restored ledger may have forgotten a booking, and no marker can be looked for"
            facts = {"reason": reason}
            payments.move(unit, payment, "unclear", case="unclear", subject=restored, facts=facts)
            return None
        orders.give_up_held(unit, payment.patron_id, unit.now - quarantine(desk))
        other = orders.open_of_patron(unit, payment.patron_id)
        if other not in {None, payment.id} or not patrons.lease(
            unit, payment.patron_id, owner, LEASE_SECONDS
        ):
            return unit.now + backoff(house, payment)
        due_orders = _orders(unit, desk, payment)
        renewal = renewals.of_payment(unit, payment)
    house.world.failpoint("settle.leased")
    began = house.world.monotonic()
    charged = renewal.charge_ref if renewal else None
    payment, due = _settle_orders(house, desk, payment, patron, due_orders, charged)
    if due is None and not payment.held and renewal is not None and payment.state in PAID_UNSETTLED:
        payment, due = _renew(renew.RenewalInWork(house, desk, payment, patron, renewal), began)
    with house.store.unit() as unit:
        patrons.release(unit, payment.patron_id, owner)
    return None if payment.held else due


def _since_restore(unit: Unit, desk: Desk, payment: Payment) -> str:
    """Name the restore that may have lost that a payment was settled, where nobody can look; else empty.

    Where markers are readable, the comparison after the restore has found them.
    """
    restored = journal.last_restore(unit)
    if restored is None or restored < payment.created_at or desk.reads_markers:
        return ""
    return f"{payment.id}:restored:{restored.isoformat()}"


def _renew(work: renew.RenewalInWork, began: float) -> tuple[Payment, datetime | None]:
    """Renew the card when the fees are settled, then settle the debit that was charged for it."""
    clock = work.house.world
    if clock.monotonic() - began > TIRED:
        return work.payment, clock.now()
    due = renew.renew(work)
    if due is not None or work.payment.held or work.renewal.charge_state != "done":
        return work.payment, due
    if clock.monotonic() - began > TIRED:
        return work.payment, clock.now()
    with work.house.store.unit() as unit:
        due_orders = _orders(unit, work.desk, work.payment)
    charged = work.renewal.charge_ref
    return _settle_orders(work.house, work.desk, work.payment, work.patron, due_orders, charged)


def _settle_orders(
    house: House,
    desk: Desk,
    payment: Payment,
    patron: PatronRef,
    due_orders: Sequence[Order],
    charged: str | None,
) -> tuple[Payment, datetime | None]:
    """Bring every credit order as far as it gets; return the payment as it is then, and when to come back."""
    due = None
    for order in due_orders:
        if order.state in {"applied", "given_up"}:
            continue
        work = Work(house, desk, payment, patron, order, charged=charged)
        try:
            due = _settle_order(work)
        except RemoteError as error:
            # Only questions raise. The patron is let go by the caller: no call is on its way any more.
            due = _unanswered(work, error)
        payment = work.payment
        if payment.held or due is not None:
            break
    return payment, due


def _orders(unit: Unit, desk: Desk, payment: Payment) -> list[Order]:
    """Return the credit orders, with new ones for lines that wait and that no order covers any more.

    What the card costs has no order before its debit is there. A line that waits although its order was
    applied had its money given back, which has come back since: it is looked at like a new one.
    """
    known = orders.of_payment(unit, payment.id)
    covered = {line for order in known if order.state in {"due", "open"} for line in order.line_ids}
    renewal = renewals.of_payment(unit, payment)
    if renewal is not None and renewal.charge_state != "done":
        covered.add(renewal.line_id)
    held = ledger.balances(chain.read_postings(unit, payment.id))
    ids = [one.id for one in payment.lines if (Book.TO_SETTLE, one.id) in held and one.id not in covered]
    if not ids:
        return known
    groups = [ids] if desk.system.capabilities().batch else [[one] for one in ids]
    for position, group in enumerate(groups, len(known)):
        # The first marker is the number that the patron has: one number finds everything.
        number = payment.receipt_number if position == 0 else orders.new_marker(unit)
        orders.add(unit, payment, position, number, group)
    return orders.of_payment(unit, payment.id)


def _settle_order(work: Work) -> datetime | None:
    """Bring one order to an end, or say when to come back."""
    if work.order.tries:
        due, clear = look_back(work)
        if not clear:
            return due
    elif earlier_is_there(work):
        return None
    before = _before(work)
    partial = work.desk.system.capabilities().partial is not Partial.NONE
    if not stand(work.lines, before, partial=partial):
        step(work, Input.FEES_DIFFER, case="fees_differ", facts={"balance": before.balance})
        return None
    step(work, Input.FEES_STAND)
    if not _begin_try(work, before):
        # A case was opened while the account was read, or the patron's lease ran out and another went first.
        return work.now + backoff(work.house, work.payment)
    outcome = _call(work)
    _record(work, outcome)
    if isinstance(outcome, Applied):
        read_back(work, outcome)
        return None
    if isinstance(outcome, NotApplied):
        return _not_applied(work, outcome)
    step(work, Input.UNCLEAR, facts={"reason": outcome.reason})
    return next_look(work)


def _before(work: Work) -> Before:
    """Read the account before the call, where that needs no PIN.

    Without a look, the fees count as they were frozen: still at most one call is made, but a payment at the
    desk meanwhile is not seen.
    """
    if not work.desk.system.capabilities().unattended_read:
        return Before.unread(work.lines, work.now)
    return Before.of(work.desk.account(work.patron), work.lines)


def _begin_try(work: Work, before: Before) -> bool:
    """Commit the try before the call; False when it is held, or another payment of the patron goes first."""
    with work.house.store.unit() as unit:
        if payments.check_fence(unit, work.payment).held:
            # Somebody has found a question meanwhile: a held payment makes no outside writes.
            return False
        if not orders.begin_try(unit, work.order, work.payment.fence, before):
            return False
        work.order = orders.of_payment(unit, work.payment.id)[work.order.position]
    work.house.world.failpoint("settle.before_call")
    return True


def _call(work: Work) -> SettleOutcome:
    """Make the one call, unless it is too late for it."""
    send_before = work.order.tries[-1].started_at + SEND_WITHIN
    if work.now > send_before:
        return NotApplied(reason="not sent in time")
    outcome = work.desk.system.settle(
        CreditOrder(
            patron=work.patron,
            marker=work.order.marker,
            cents=work.order.cents,
            currency=work.payment.currency,
            method=work.payment.method,
            lines=work.lines,
            send_before=send_before,
        )
    )
    work.house.world.failpoint("settle.after_call")
    return outcome


def _record(work: Work, outcome: SettleOutcome) -> None:
    """Commit what the call answered before anything else is done with it, under whatever fence."""
    number = work.order.tries[-1].number
    reason = "" if isinstance(outcome, Applied) else outcome.reason
    name = {Applied: "applied", NotApplied: "not_applied", Unclear: "unclear"}[type(outcome)]
    with work.house.store.unit() as unit:
        # The audit row locks the payment, so nobody begins another try of the order meanwhile.
        payments.record(unit, work.payment, f"call_{name}", {"order": work.order.id, "try": number})
        known = orders.of_payment(unit, work.payment.id)[work.order.position]
        orders.end_try(unit, known, number, name, reason=reason)
        if isinstance(outcome, Applied) and (
            known.state == "given_up" or known.remote_ref not in {None, outcome.remote_ref}
        ):
            # Somebody else wrote a credit, too, or persons have decided without knowing of this one.
            facts = {"marker": work.order.marker, "first": known.remote_ref, "credit": outcome.remote_ref}
            payments.hold_late(unit, work.payment.id, "marker_wrong", facts)
    work.house.world.failpoint("settle.recorded")


def _not_applied(work: Work, outcome: NotApplied) -> datetime | None:
    """Try again for days, unless that cannot help."""
    retry = not outcome.permanent and is_patient(work.house, work.desk, work.payment)
    step(work, Input.NOT_APPLIED, condition=retry, case="not_applied", facts={"reason": outcome.reason})
    return work.house.world.now() + backoff(work.house, work.payment) if retry else None


def _unanswered(work: Work, error: RemoteError) -> datetime | None:
    """A question was not answered: ask again for days, unless that cannot help; then a person looks."""
    if is_patient(work.house, work.desk, work.payment) and not isinstance(error, RemoteAbsentError):
        log.warning("tried_in_vain", payment=work.payment.id, library=work.desk.key, reason=str(error))
        return work.house.world.now() + backoff(work.house, work.payment)
    doubtful = any(one.outcome != "not_applied" for one in work.order.tries)
    hold(work, "unclear" if doubtful else "not_applied", {"reason": error.what[:200]}, known=not doubtful)
    return None
