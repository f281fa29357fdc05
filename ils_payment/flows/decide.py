"""Decide: what a person does with a case, a refund that was asked for, or a payment without a case.

Every decision names its actor and a reason, stands in the payment's chain and in the journal, and
fits the case's version: of two persons who decide at the same time, the second one is told.
The payment is taken in hands for it, so that no worker writes meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ils_payment.domain import ledger
from ils_payment.domain import refunds as rules
from ils_payment.domain.decisions import NEEDS_REFERENCE, Choice, needs_second_person, possible
from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import Meaning, RefundState
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.flows.hands import in_hands
from ils_payment.flows.reversals import catch_up
from ils_payment.flows.work import quarantine
from ils_payment.model import RefundSupport, State
from ils_payment.store import cases, chain, journal, orders, payments, reasons, refunds, renewals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ils_payment.flows.house import Desk, House
    from ils_payment.model import Actor
    from ils_payment.store.records import Case, Payment, Refund
    from ils_payment.store.unit import Unit


ORPHAN_CHOICES = (Choice.BOOKED_BY_HAND, Choice.REFUNDED_OUTSIDE, Choice.NO_ACTION)
"""What can be decided about something that no payment here belongs to."""

_NOT_GIVEN = frozenset({RefundState.WITHDRAWN, RefundState.FAILED, RefundState.EXTERNAL})

_WAITING = frozenset({Book.TO_SETTLE, Book.CASE, Book.TO_RETURN})
"""While anything lies here, a payment is not at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decides, and why.

    ``lines`` (payment line ids; None: all that is left) and ``meaning`` are for refunds;
    ``reference`` names the booking or voucher where it is written down elsewhere.
    """

    choice: Choice
    reason: str
    reference: str = ""
    meaning: Meaning | None = None
    lines: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of a decision: one of :data:`CODES`; ``refund_id`` names a refund that came of it."""

    code: str
    refund_id: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the decision counts."""
        return self.code in {"done", "second_person", "treasury"}


CODES = (
    "done",  # It was done, or is on its way.
    "second_person",  # The refund is reserved and waits for a second person's approval.
    "treasury",  # The provider gives nothing back: a case says what the treasury has to pay out.
    "conflict",  # Somebody else decided first: look again.
    "too_early",  # A settle call may still take effect: wait until the quarantine is over.
    "busy",  # The payment is being worked on: try again in a moment.
    "not_possible",  # This decision does not fit the payment as it stands.
    "no_reason",  # A decision needs a reason.
    "no_reference",  # This decision needs the number of a booking or voucher.
    "no_meaning",  # A refund needs to say what becomes of the fee.
    "nothing_left",  # Nothing (more) of these lines can be given back.
    "provider_cannot",  # The provider cannot give back, or only the whole.
    "same_person",  # Who asked for a refund cannot approve it.
)


class _RefusedError(Exception):
    """A decision was refused: the transaction is undone."""

    def __init__(self, decided: Decided) -> None:
        super().__init__(decided.code)
        self.decided = decided


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
        return _decide(unit, desk, payment, actor, decision, current)

    return _with(house, case.payment_id, work)


def refund(house: House, actor: Actor, payment_id: str, decision: Decision) -> Decided:
    """Ask for a refund of a payment that has no case. LookupError: there is no such payment."""
    if decision.choice is not Choice.REFUND:
        return Decided(code="not_possible")
    problem = _incomplete(decision)
    if problem is not None:
        return problem

    def work(unit: Unit, desk: Desk, payment: Payment) -> Decided:
        if payment.state in PAID_UNSETTLED and not payment.held:
            tried = [one for one in orders.of_payment(unit, payment.id) if one.state == "open"]
            if tried:
                # A settle call may be on its way: what it did has to be known first.
                return Decided(code="busy")
            if not _gives_back(desk, payment):
                return _order(unit, payment, actor, decision)
            payment = payments.move(unit, payment, "refund_wanted", case="refund_wanted", facts={})
        elif not payment.held and not _gives_back(desk, payment):
            return _order(unit, payment, actor, decision)
        known = cases.open_of_payment(unit, payment.id)
        # The one question that is open about it is answered by this, too.
        return _decide(unit, desk, payment, actor, decision, known[0] if len(known) == 1 else None)

    return _with(house, payment_id, work)


def _gives_back(desk: Desk, payment: Payment) -> bool:
    return desk.providers[payment.provider].capabilities().refund is not RefundSupport.NONE


def _order(unit: Unit, payment: Payment, actor: Actor, decision: Decision) -> Decided:
    """Open a case about what the treasury has to pay out, because the provider gives nothing back.

    Nothing is reserved in the ledger: the case is closed as refunded outside, with the voucher's number.
    """
    postings = chain.read_postings(unit, payment.id)
    # Opening the case moves what waits for settling to the account of cases.
    parts = rules.choose([*postings, *ledger.to_case(postings)], decision.lines)
    if not parts:
        return Decided(code="nothing_left")
    facts = {"cents": sum(part[2] for part in parts), "meaning": str(decision.meaning)}
    payment = payments.move(
        unit, payment, "treasury_pays", case="treasury_pays", facts=facts, subject=unit.world.new_id()
    )
    case = next(one for one in cases.open_of_payment(unit, payment.id) if one.kind == "treasury_pays")
    payments.record(unit, payment, "refund_asked", {**_facts(unit, payment, actor, decision, case), **facts})
    journal.append(unit, actor.name, "refund_asked", _short(payment, case), payment.library)
    return Decided(code="treasury")


def approve(house: House, actor: Actor, refund_id: str) -> Decided:
    """Approve a refund that somebody else asked for; it is sent at once. LookupError: there is none."""

    def work(unit: Unit, _desk: Desk, payment: Payment) -> Decided:
        asked = refunds.get(unit, refund_id)
        if asked.state is not RefundState.ASKED:
            return Decided(code="conflict")
        if asked.asked_by == actor.name:
            return Decided(code="same_person")
        _release(unit, payment, asked, actor)
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
        postings = rules.undo(asked.parts, _currency(unit, payment, asked.parts))
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


def choices(house: House, payment_id: str) -> list[Choice]:
    """Return what can be decided about a payment now, for forms and the command line."""
    with house.store.read() as unit:
        payment = payments.load(unit, payment_id)
        if payment is None:
            raise LookupError(payment_id)
        return _possible(unit, payment)


def _possible(unit: Unit, payment: Payment) -> list[Choice]:
    renewal = renewals.of_payment(unit, payment)
    waiting = [
        one for one in refunds.of_payment(unit, payment.id) if one.state is RefundState.ASKED
    ] + refunds.running(unit, payment.id)
    return possible(
        payment.state,
        chain.read_postings(unit, payment.id),
        dict(payment.amounts()),
        open_cases=len(cases.open_of_payment(unit, payment.id)),
        refunding=bool(waiting),
        stuck=renewal is not None and (renewal.state == "given_up" or renewal.charge_state == "by_hand"),
    )


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
        except _RefusedError as refused:
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
        raise _RefusedError(decided)
    return decided


def _due(unit: Unit, payment_id: str) -> datetime | None:
    """Say when the payment is due after a decision: at once if there is something to do."""
    payment = payments.load(unit, payment_id)
    if payment is None:  # pragma: no cover - payments are never deleted
        return None
    waits = payment.state in PAID_UNSETTLED and not payment.held
    return unit.now if waits or refunds.running(unit, payment_id) else payment.due_at


def _decide(
    unit: Unit, desk: Desk, payment: Payment, actor: Actor, decision: Decision, case: Case | None
) -> Decided:
    """Write one decision: postings, chain, case and journal together."""
    if decision.choice not in _possible(unit, payment):
        return Decided(code="not_possible")
    if _may_still_settle(unit, desk, payment):
        return Decided(code="too_early")
    if decision.choice is Choice.REFUND:
        return _ask(unit, desk, payment, actor, decision, case)
    postings = chain.read_postings(unit, payment.id)
    moved, goes_on = _moves(unit, payment, decision, postings)
    waits = {book for book, _ in ledger.balances([*postings, *moved])} & _WAITING
    to = State.PAID if goes_on else None
    if to is None and payment.state in PAID_UNSETTLED and not waits:
        to = State.RESOLVED
    closes = to is not None or decision.choice is Choice.NO_ACTION or Book.CASE not in waits
    orders.give_up(unit, payment.id)
    if case is not None:  # pragma: no branch - without a case only a refund can be asked for
        cases.change(unit, case, by=actor.name, resolution=str(decision.choice) if closes else None)
    still = payment.state in PAID_UNSETTLED and to is None and Book.TO_RETURN in waits
    held = not closes or still or bool(cases.open_of_payment(unit, payment.id))
    facts = _facts(unit, payment, actor, decision, case)
    payments.move(unit, payment, str(decision.choice), to=to, facts=facts, postings=moved, held=held)
    journal.append(unit, actor.name, f"decided_{decision.choice}", _short(payment, case), payment.library)
    return Decided(code="done")


def _moves(
    unit: Unit, payment: Payment, decision: Decision, postings: Sequence[ledger.Posting]
) -> tuple[Sequence[ledger.Posting], bool]:
    """Return what a decision moves in the ledger, and whether the payment goes on by itself after it."""
    if decision.choice is Choice.SETTLE_AGAIN:
        moved = ledger.everything(postings, Book.CASE, Book.TO_SETTLE)
        renewals.reopen(unit, payment, {one.line_id for one in moved})
        return moved, True
    if decision.choice is Choice.BOOKED_BY_HAND:
        return _by_hand(unit, payment, ledger.everything(postings, Book.CASE, Book.BY_HAND))
    if decision.choice is Choice.REFUNDED_OUTSIDE:
        parts = rules.choose(postings, decision.lines)
        if not parts:
            raise _RefusedError(Decided(code="nothing_left"))
        return rules.outside(parts, _currency(unit, payment, parts)), False
    return (), False


def _by_hand(
    unit: Unit, payment: Payment, moved: Sequence[ledger.Posting]
) -> tuple[Sequence[ledger.Posting], bool]:
    """Fees were booked by hand; a card that nobody has asked about is still to be renewed.

    Unless its money is not whole, or not its own, or the payment was at its end before: then the person has
    seen to the card, too.
    """
    line = renewals.waiting_line(unit, payment)
    if line is None:
        return moved, False
    fees = [one for one in moved if one.line_id != line]
    card = [replace(one, destination=Book.TO_SETTLE) for one in moved if one.line_id == line]
    whole = sum(one.cents for one in card) == dict(payment.amounts())[line]
    if not whole or payment.state not in PAID_UNSETTLED:
        renewals.give_up(unit, payment)
        return moved, False
    return [*fees, *card], True


def _ask(
    unit: Unit, desk: Desk, payment: Payment, actor: Actor, decision: Decision, case: Case | None
) -> Decided:
    """Reserve and write a refund; below the configured amount it needs no second person."""
    postings = chain.read_postings(unit, payment.id)
    parts = rules.choose(postings, decision.lines)
    if not parts:
        return Decided(code="nothing_left")
    support = desk.providers[payment.provider].capabilities().refund
    cents = sum(part[2] for part in parts)
    if support is RefundSupport.NONE or (support is RefundSupport.FULL and cents != payment.captured):
        return Decided(code="provider_cannot")
    settled = any(book in {Book.LIBRARY_SYSTEM, Book.BY_HAND} for _, book, _ in parts)
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
    moved = rules.reserve(parts, _currency(unit, payment, parts))
    payment = payments.move(unit, payment, "refund_asked", facts=facts, postings=moved)
    journal.append(unit, actor.name, "refund_asked", _short(payment, case), payment.library)
    if case is not None:
        cases.change(unit, case)
    # Many small refunds of one payment are one large one.
    wanted = sum(one.cents for one in refunds.of_payment(unit, payment.id) if one.state not in _NOT_GIVEN)
    if needs_second_person(wanted, desk.two_persons_from):
        return Decided(code="second_person", refund_id=asked.id)
    _release(unit, payment, asked, actor)
    return Decided(code="done", refund_id=asked.id)


def _release(unit: Unit, payment: Payment, asked: Refund, actor: Actor) -> None:
    """Let an approved refund go to the provider; its case closes when nothing else waits in it."""
    refunds.change(unit, asked, state=RefundState.DUE, approved_by=actor.name)
    orders.give_up(unit, payment.id)
    held = ledger.balances(chain.read_postings(unit, payment.id))
    case = cases.load(unit, asked.case_id) if asked.case_id else None
    if case is not None and case.closed_at is None:
        closes = all(book is not Book.CASE for book, _ in held)
        cases.change(unit, case, by=actor.name, resolution=str(Choice.REFUND) if closes else None)
    facts = {"refund": asked.id, "actor": actor.name}
    # An unsettled payment stays held until the refund is through: nobody shall settle it meanwhile.
    columns: dict[str, Any] = {}
    if payment.state not in PAID_UNSETTLED:
        columns["held"] = bool(cases.open_of_payment(unit, payment.id))
    payments.move(unit, payment, "refund_approved", facts=facts, **columns)
    journal.append(unit, actor.name, "refund_approved", facts, payment.library)


def _may_still_settle(unit: Unit, desk: Desk, payment: Payment) -> bool:
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


def _currency(unit: Unit, payment: Payment, parts: Sequence[rules.Part]) -> str:
    return ledger.currency_of(chain.read_postings(unit, payment.id), {line for line, _, _ in parts})


def _payment_of(house: House, refund_id: str) -> str:
    with house.store.read() as unit:
        return refunds.get(unit, refund_id).payment_id
