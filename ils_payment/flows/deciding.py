"""Writing one decision down: postings, chain, case and journal together, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.domain import ledger
from ils_payment.domain import refunds as rules
from ils_payment.domain.decisions import Choice, needs_second_person, possible
from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import Meaning, RefundState
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.flows import case_money
from ils_payment.flows.choose import FREE
from ils_payment.flows.decision import Decided, Decision, RefusedError
from ils_payment.flows.work import quarantine
from ils_payment.model import RefundSupport, State
from ils_payment.store import cases, chain, journal, orders, payments, reasons, refunds, renewals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.desk import Desk
    from ils_payment.model import Actor
    from ils_payment.store.records import Case, Payment, Refund
    from ils_payment.store.unit import Unit


_NOT_GIVEN = frozenset({RefundState.WITHDRAWN, RefundState.FAILED, RefundState.EXTERNAL})

_WAITING = frozenset({Book.TO_SETTLE, Book.CASE, Book.TO_RETURN})
"""While anything lies here, a payment is not at its end."""

_SETTLED = frozenset({Book.LIBRARY_SYSTEM, Book.BY_HAND})
"""What lies here is paid in the library system."""


def possible_now(unit: Unit, desk: Desk | None, payment: Payment, case: Case | None = None) -> list[Choice]:
    """Return what can be decided about a payment now, as the answer to *case* if there is one.

    *desk* is None where its library is configured no longer.
    """
    postings = chain.read_postings(unit, payment.id)
    renewal, cents = renewals.of_payment(unit, payment), dict(payment.amounts())
    waiting = [
        one for one in refunds.of_payment(unit, payment.id) if one.state is RefundState.ASKED
    ] + refunds.running(unit, payment.id)
    return possible(
        payment.state,
        postings,
        cents,
        open_cases=len(cases.open_of_payment(unit, payment.id)),
        asked=bool(case_money.waiting(unit, payment, case, postings)),
        refunding=bool(waiting),
        stuck=renewal is not None and renewal.state == "given_up" and not cents[renewal.line_id],
        confirmed=case_money.confirmed(unit, desk, payment),
    )


def write(
    unit: Unit, desk: Desk, payment: Payment, actor: Actor, decision: Decision, case: Case | None
) -> Decided:
    """Write one decision: postings, chain, case and journal together."""
    if decision.choice not in possible_now(unit, desk, payment, case):
        return Decided(code="not_possible")
    if may_still_settle(unit, desk, payment):
        return Decided(code="too_early")
    if decision.choice is Choice.REFUND:
        return _ask(unit, desk, payment, actor, decision, case)
    postings = chain.read_postings(unit, payment.id)
    moved, goes_on = _moves(unit, desk, payment, decision, postings, case)
    waits = {book for book, _ in ledger.balances([*postings, *moved])} & _WAITING
    to = State.PAID if goes_on else None
    if to is None and payment.state in PAID_UNSETTLED and not waits:
        to = case_money.end_of(unit, payment, postings)
    closes = (
        to is not None
        or decision.choice is Choice.NO_ACTION
        or case_money.is_answered(unit, payment, case, [*postings, *moved])
    )
    orders.give_up(unit, payment.id)
    if case is not None:  # pragma: no branch - without a case only a refund can be asked for
        cases.change(unit, case, by=actor.name, resolution=str(decision.choice) if closes else None)
    still = payment.state in PAID_UNSETTLED and to is None and Book.TO_RETURN in waits
    held = not closes or still or bool(cases.open_of_payment(unit, payment.id))
    facts = _facts(unit, payment, actor, decision, case)
    if decision.choice is Choice.REFUNDED_OUTSIDE:
        facts["cents"] = sum(one.cents for one in moved)
    payments.move(unit, payment, str(decision.choice), to=to, facts=facts, postings=moved, held=held)
    journal.append(unit, actor.name, f"decided_{decision.choice}", _short(payment, case), payment.library)
    return Decided(code="done")


def _moves(  # what one decision of several moves
    unit: Unit,
    desk: Desk,
    payment: Payment,
    decision: Decision,
    postings: Sequence[ledger.Posting],
    case: Case | None,
) -> tuple[Sequence[ledger.Posting], bool]:
    """Return what a decision moves in the ledger, and whether the payment goes on by itself after it."""
    if decision.choice is Choice.SETTLE_AGAIN:
        moved = ledger.everything(postings, Book.CASE, Book.TO_SETTLE)
        renewals.reopen(unit, payment, {one.line_id for one in moved})
        return moved, True
    if decision.choice is Choice.BOOKED_BY_HAND:
        return case_money.by_hand(unit, desk, payment, postings, case)
    if decision.choice is Choice.REFUNDED_OUTSIDE:
        if decision.lines is None and case_money.must_be_named(unit, payment, case, postings):
            raise RefusedError(Decided(code="no_choice"))
        parts = case_money.chosen(unit, payment, decision, case, postings)
        if not parts:
            raise RefusedError(Decided(code="nothing_left"))
        return rules.outside(parts, rules.currency(postings, parts)), False
    return (), False


def _ask(
    unit: Unit, desk: Desk, payment: Payment, actor: Actor, decision: Decision, case: Case | None
) -> Decided:
    """Reserve and write a refund; below the configured amount it needs no second person."""
    postings = chain.read_postings(unit, payment.id)
    parts = case_money.chosen(unit, payment, decision, case, postings)
    if not parts:
        return Decided(code="nothing_left")
    if decision.meaning is Meaning.FEE_STAYS and _owes_nothing(unit, payment, parts):
        return Decided(code="no_debt")
    provider = desk.providers.get(payment.provider)
    support = provider.capabilities().refund if provider else RefundSupport.NONE
    cents = sum(part[2] for part in parts)
    if support is RefundSupport.NONE or (support is RefundSupport.FULL and cents != payment.captured):
        return Decided(code="provider_cannot")
    settled = any(book in _SETTLED for _, book, _ in parts)
    charges = settled and decision.meaning is Meaning.FEE_STAYS
    asked = refunds.add(
        unit,
        payment,
        parts,
        kind="refund",
        state=RefundState.ASKED,
        meaning=str(decision.meaning),
        asked_by=actor.name,
        case_id=case.id if case else None,
        charge_state="due" if charges else "none",
        charge_marker=orders.new_marker(unit) if charges else None,
    )
    facts = {
        **_facts(unit, payment, actor, decision, case, refund_id=asked.id),
        "refund": asked.id,
        "cents": asked.cents,
        "meaning": str(decision.meaning),
    }
    moved = rules.reserve(parts, rules.currency(postings, parts))
    payment = payments.move(unit, payment, "refund_asked", facts=facts, postings=moved)
    journal.append(unit, actor.name, "refund_asked", _short(payment, case), payment.library)
    if case is not None:
        cases.change(unit, case)
    # Many small refunds of one payment are one large one.
    wanted = sum(one.cents for one in refunds.of_payment(unit, payment.id) if one.state not in _NOT_GIVEN)
    if needs_second_person(wanted, desk.two_persons_from):
        return Decided(code="second_person", refund_id=asked.id)
    approve_refund(unit, payment, asked, actor)
    return Decided(code="done", refund_id=asked.id)


def gives_back(desk: Desk, payment: Payment) -> bool:
    """Tell whether the payment's provider can give anything back."""
    if payment.provider == FREE:
        return True  # There is nothing to give back.
    provider = desk.providers.get(payment.provider)
    # One that was taken out of the configuration cannot be told any more.
    return provider is not None and provider.capabilities().refund is not RefundSupport.NONE


def order_treasury(unit: Unit, desk: Desk, payment: Payment, actor: Actor, decision: Decision) -> Decided:
    """Open a case about what the treasury has to pay out, because the provider gives nothing back.

    Nothing is reserved in the ledger: the case is closed as refunded outside, with the voucher's number.
    """
    postings = chain.read_postings(unit, payment.id)
    # Opening the case moves what waits for settling to the account of cases.
    parts = rules.choose([*postings, *ledger.to_case(postings)], decision.lines)
    if not parts:
        return Decided(code="nothing_left")
    if may_still_settle(unit, desk, payment):
        return Decided(code="too_early")
    if decision.meaning is Meaning.FEE_STAYS and _owes_nothing(unit, payment, parts):
        return Decided(code="no_debt")
    facts = {
        "cents": sum(part[2] for part in parts),
        "meaning": str(decision.meaning),
        "lines": [line for line, _, _ in parts],
    }
    payment = payments.move(
        unit, payment, "treasury_pays", case="treasury_pays", facts=facts, subject=unit.world.new_id()
    )
    case = next(one for one in cases.open_of_payment(unit, payment.id) if one.kind == "treasury_pays")
    payments.record(unit, payment, "refund_asked", {**_facts(unit, payment, actor, decision, case), **facts})
    journal.append(unit, actor.name, "refund_asked", _short(payment, case), payment.library)
    return Decided(code="treasury")


def _owes_nothing(unit: Unit, payment: Payment, parts: Sequence[rules.Part]) -> bool:
    """Tell whether a renewal is among *parts* for which the library system has no debit, open or paid.

    A fee of the library system stays open by itself until it is settled; the fee of a card is owed only
    once its debit is there.
    """
    renewal = renewals.of_payment(unit, payment)
    if renewal is None or renewal.charge_state == "done":
        return False
    return any(line == renewal.line_id and book not in _SETTLED for line, book, _ in parts)


def approve_refund(unit: Unit, payment: Payment, asked: Refund, actor: Actor) -> None:
    """Let an approved refund go to the provider; its case closes when nothing else waits in it."""
    refunds.change(unit, asked, state=RefundState.DUE, approved_by=actor.name)
    if payment.held:
        # Of one that goes on, other lines are still to be settled, by the orders that they have.
        orders.give_up(unit, payment.id)
    postings = chain.read_postings(unit, payment.id)
    case = cases.load(unit, asked.case_id) if asked.case_id else None
    if case is not None and case.closed_at is None:
        closes = case_money.is_answered(unit, payment, case, postings)
        cases.change(unit, case, by=actor.name, resolution=str(Choice.REFUND) if closes else None)
    facts = {"refund": asked.id, "actor": actor.name}
    # An unsettled payment stays held until the refund is through: nobody shall settle it meanwhile.
    columns: dict[str, Any] = {}
    if payment.state not in PAID_UNSETTLED:
        columns["held"] = bool(cases.open_of_payment(unit, payment.id))
    payments.move(unit, payment, "refund_approved", facts=facts, **columns)
    journal.append(unit, actor.name, "refund_approved", facts, payment.library)


def may_still_settle(unit: Unit, desk: Desk, payment: Payment) -> bool:
    """Tell whether a settle or renew call whose outcome nobody knows may still take effect."""
    renewal = renewals.of_payment(unit, payment)
    if renewal is not None and unit.now < renewals.doubtful_until(renewal, quarantine(desk)):
        return True
    return any(
        a_try.unclear and unit.now < a_try.started_at + quarantine(desk)
        for order in orders.of_payment(unit, payment.id)
        if order.state != "applied"
        for a_try in order.tries
    )


def _facts(
    unit: Unit,
    payment: Payment,
    actor: Actor,
    decision: Decision,
    case: Case | None,
    refund_id: str | None = None,
) -> dict[str, Any]:
    """Return what the chain keeps of a decision; the reason itself is private."""
    why = reasons.keep(
        unit,
        actor,
        decision.reason,
        payment_id=payment.id,
        case_id=case.id if case else None,
        refund_id=refund_id,
    )
    facts = {"actor": actor.name, "role": actor.role, "reason_digest": why}
    if decision.reference:
        facts["reference"] = decision.reference.strip()[:80]
    if case is not None:
        facts["decided"] = case.id
    return facts


def _short(payment: Payment, case: Case | None) -> dict[str, Any]:
    return {"payment": payment.id, "case": case.id if case else None}
