"""Decide: what a person does with a case, a refund that was asked for, or a payment without a case.

Every decision names its actor and a reason, stands in the payment's chain and in the journal, and
fits the case's version: of two persons who decide at the same time, the second one is told.
The payment is taken in hands for it, so that no worker writes meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ils_payment.domain import ledger
from ils_payment.domain import refunds as rules
from ils_payment.domain.decisions import NEEDS_REFERENCE, Choice
from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import RefundState
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.flows.deciding import (
    approve_refund,
    gives_back,
    may_still_settle,
    order_treasury,
    possible_now,
    write,
)
from ils_payment.flows.decision import Decided, Decision, RefusedError
from ils_payment.flows.hands import in_hands
from ils_payment.flows.reversals import catch_up
from ils_payment.store import cases, chain, inbox, journal, orders, payments, reasons, refunds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Actor
    from ils_payment.store.records import Case, Payment
    from ils_payment.store.unit import Unit


ORPHAN_CHOICES = (Choice.BOOKED_BY_HAND, Choice.REFUNDED_OUTSIDE, Choice.NO_ACTION)
"""What can be decided about something that no payment here belongs to."""


def resolve(house: House, actor: Actor, case_id: str, version: int, decision: Decision) -> Decided:
    """Decide an open case in the *version* that the person has seen. LookupError: there is no such case."""
    with house.store.read() as unit:
        case = cases.load(unit, case_id)
    if case is None:
        raise LookupError(case_id)
    problem = _incomplete(decision)
    if problem is not None:
        return problem
    if case.version != version or case.closed_at is not None:
        return Decided(code="conflict")
    if case.payment_id is None:
        return _close_orphan(house, actor, case, decision)

    def work(unit: Unit, desk: Desk, payment: Payment) -> Decided:
        current = cases.load(unit, case_id)
        if current is None or current.version != version or current.closed_at is not None:
            return Decided(code="conflict")
        return write(unit, desk, payment, actor, decision, current)

    return _with(house, case.payment_id, work)


def refund(
    house: House, actor: Actor, payment_id: str, decision: Decision, *, seen: int | None = None
) -> Decided:
    """Ask for a refund of a payment that has no case. LookupError: there is no such payment.

    *seen* is how many cases of it, all closed, the person has seen: one that came since is not decided
    unseen, nor what somebody decided about it overlooked. None: whoever asks has seen no page.
    """
    if decision.choice is not Choice.REFUND:
        return Decided(code="not_possible")
    problem = _incomplete(decision)
    if problem is not None:
        return problem

    def work(unit: Unit, desk: Desk, payment: Payment) -> Decided:
        if seen is not None and (
            seen != len(inbox.case_ids_of(unit, payment.id)) or cases.open_of_payment(unit, payment.id)
        ):
            return Decided(code="conflict")
        if payment.state in PAID_UNSETTLED and not payment.held:
            tried = [one for one in orders.of_payment(unit, payment.id) if one.state == "open"]
            if tried:
                # A settle call may be on its way: what it did has to be known first.
                return Decided(code="busy")
            if not gives_back(desk, payment):
                return order_treasury(unit, desk, payment, actor, decision)
            payment = payments.move(unit, payment, "refund_wanted", case="refund_wanted", facts={})
        elif not payment.held and not gives_back(desk, payment):
            return order_treasury(unit, desk, payment, actor, decision)
        known = cases.open_of_payment(unit, payment.id)
        # Who names no lines means the whole payment, and not only what a case is about.
        left = [line for line, _, _ in rules.left(chain.read_postings(unit, payment.id))]
        whole = replace(decision, lines=tuple(left)) if decision.lines is None else decision
        # The one question that is open about it is answered by this, too.
        return write(unit, desk, payment, actor, whole, known[0] if len(known) == 1 else None)

    return _with(house, payment_id, work)


def approve(house: House, actor: Actor, refund_id: str) -> Decided:
    """Approve a refund that somebody else asked for; it is sent at once. LookupError: there is none."""

    def work(unit: Unit, desk: Desk, payment: Payment) -> Decided:
        asked = refunds.get(unit, refund_id)
        if asked.state is not RefundState.ASKED:
            return Decided(code="conflict")
        if asked.asked_by == actor.name:
            return Decided(code="same_person")
        if may_still_settle(unit, desk, payment):
            return Decided(code="too_early")
        approve_refund(unit, payment, asked, actor)
        return Decided(code="done", refund_id=refund_id)

    return _with(house, _payment_of(house, refund_id), work)


def withdraw(house: House, actor: Actor, refund_id: str, reason: str) -> Decided:
    """Take back, or do not approve, a refund that waits for a second person: its cents are free again."""
    if not reason.strip():
        return Decided(code="no_reason")

    def work(unit: Unit, _desk: Desk, payment: Payment) -> Decided:
        asked = refunds.get(unit, refund_id)
        changed = asked.state is RefundState.ASKED and refunds.change(
            unit,
            asked,
            state=RefundState.WITHDRAWN,
            ended_at=unit.now,
            approved_by=actor.name,
            charge_state="none",
        )
        if not changed:
            return Decided(code="conflict")
        why = reasons.keep(unit, actor, reason, payment_id=payment.id, refund_id=refund_id)
        facts = {"refund": refund_id, "actor": actor.name, "reason_digest": why}
        postings = rules.undo(asked.parts, rules.currency(chain.read_postings(unit, payment.id), asked.parts))
        payment = payments.move(unit, payment, "refund_withdrawn", facts=facts, postings=postings)
        payment = catch_up(unit, payment)
        journal.append(unit, actor.name, "refund_withdrawn", {"refund": refund_id}, payment.library)
        held = ledger.balances(chain.read_postings(unit, payment.id))
        if all(book is not Book.CASE for book, _ in held) or cases.open_of_payment(unit, payment.id):
            return Decided(code="done", refund_id=refund_id)
        # The money lies in the account of cases again, and no case says so yet.
        payments.move(unit, payment, "refund_withdrawn", case="refund_wanted", facts={"refund": refund_id})
        return Decided(code="done", refund_id=refund_id)

    return _with(house, _payment_of(house, refund_id), work)


def choices(house: House, payment_id: str, case_id: str | None = None) -> list[Choice]:
    """Return what can be decided about a payment now, as the answer to a case, for forms and commands."""
    with house.store.read() as unit:
        payment = payments.load(unit, payment_id)
        if payment is None:
            raise LookupError(payment_id)
        desk = house.libraries.get(payment.library)
        can = possible_now(unit, desk, payment, cases.load(unit, case_id) if case_id else None)
        if payment.held and desk is not None and not gives_back(desk, payment):
            # Without a case this choice orders the treasury; a case that is there is closed by its voucher.
            return [one for one in can if one is not Choice.REFUND]
        return can


def _incomplete(decision: Decision) -> Decided | None:
    if not decision.reason.strip():
        return Decided(code="no_reason")
    if decision.choice in NEEDS_REFERENCE and not decision.reference.strip():
        return Decided(code="no_reference")
    if decision.choice is Choice.REFUND and decision.meaning is None:
        return Decided(code="no_meaning")
    return None


def _with(house: House, payment_id: str, work: Callable[[Unit, Desk, Payment], Decided]) -> Decided:
    """Do *work* in one transaction on a payment that nobody else has in hands."""
    answer = Decided(code="busy")

    def in_hand(payment: Payment) -> datetime | None:
        nonlocal answer
        desk = house.libraries.get(payment.library)
        if desk is None:
            answer = Decided(code="not_possible")
            return payment.due_at
        try:
            with house.store.unit() as unit:
                current = payments.load(unit, payment.id, lock=True) or payment
                made = _accepted(work(unit, desk, current))
                due = _due(unit, current.id)
                if due is not None and due <= unit.now:
                    # In the same transaction: a death before the payment is given back loses no decision.
                    payments.make_due(unit, current.id)
        except RefusedError as refused:
            answer = refused.decided
            return payment.due_at
        # Only what is committed has happened.
        answer = made
        house.world.failpoint("decide.done")
        return due

    with house.store.read() as unit:
        if payments.load(unit, payment_id) is None:
            raise LookupError(payment_id)
    in_hands(house, payment_id, in_hand)
    house.wake()
    return answer


def _accepted(decided: Decided) -> Decided:
    """Return a decision that counts; what was refused leaves nothing behind."""
    if not decided.ok:
        raise RefusedError(decided)
    return decided


def _due(unit: Unit, payment_id: str) -> datetime | None:
    """Say when the payment is due after a decision: at once if there is something to do."""
    payment = payments.load(unit, payment_id)
    if payment is None:  # pragma: no cover - payments are never deleted
        return None
    waits = payment.state in PAID_UNSETTLED and not payment.held
    return unit.now if waits or refunds.running(unit, payment_id) else payment.due_at


def _close_orphan(house: House, actor: Actor, case: Case, decision: Decision) -> Decided:
    """Close a case that no payment here belongs to: it can only be looked at, or be booked elsewhere."""
    if decision.choice not in ORPHAN_CHOICES:
        return Decided(code="not_possible")
    with house.store.unit() as unit:
        if not cases.change(unit, case, by=actor.name, resolution=str(decision.choice)):
            return Decided(code="conflict")
        why = reasons.keep(unit, actor, decision.reason, case_id=case.id)
        facts = {"case": case.id, "reason_digest": why, "reference": decision.reference[:80]}
        journal.append(unit, actor.name, f"decided_{decision.choice}", facts, case.library)
    return Decided(code="done")


def _payment_of(house: House, refund_id: str) -> str:
    with house.store.read() as unit:
        return refunds.get(unit, refund_id).payment_id
