"""Which of a payment's money a decision is about, and which lines go on by themselves after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ils_payment.domain import ledger
from ils_payment.domain import refunds as rules
from ils_payment.domain.decisions import TELLS, about
from ils_payment.domain.ledger import Book
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.model import State
from ils_payment.store import cases, orders, renewals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.domain.ledger import Posting
    from ils_payment.flows.decision import Decision
    from ils_payment.flows.desk import Desk
    from ils_payment.store.records import Case, Payment
    from ils_payment.store.unit import Unit


def confirmed(unit: Unit, desk: Desk | None, payment: Payment) -> set[str]:
    """Return the lines that were called booked, where no marker can be looked for before the next call."""
    if desk is not None and desk.reads_markers:
        return set()
    return {
        line
        for order in orders.of_payment(unit, payment.id)
        if any(a_try.outcome == "applied" for a_try in order.tries)
        for line in order.line_ids
    }


def is_answered(unit: Unit, payment: Payment, case: Case | None, postings: Sequence[Posting]) -> bool:
    """Tell whether nothing that a case is about waits for a person; the last one is about all that waits."""
    return not waiting(unit, payment, case, postings)


def waiting(unit: Unit, payment: Payment, case: Case | None, postings: Sequence[Posting]) -> set[str | None]:
    """Return the lines whose money waits for the answer to a case; without one, all that wait."""
    lines = {line for book, line in ledger.balances(postings) if book is Book.CASE}
    tells = case is not None and case.kind in TELLS and "lines" not in case.facts
    if tells and not _is_last(unit, payment):
        return set()
    return _lines_of(unit, payment, case, lines)


def chosen(
    unit: Unit, payment: Payment, decision: Decision, case: Case | None, postings: Sequence[Posting]
) -> Sequence[rules.Part]:
    """Return the parts of the payment that a decision gives back; empty when nothing is left of them."""
    left = {line for line, _, _ in rules.left(postings)}
    if decision.lines is None:
        return rules.choose(postings, _lines_of(unit, payment, case, left))
    return rules.choose(postings, decision.lines)


def must_be_named(unit: Unit, payment: Payment, case: Case | None, postings: Sequence[Posting]) -> bool:
    """Tell whether nothing of a case waits: then only a person can say what was given back outside.

    Such a case tells of money that moved by itself: at the provider, or in the library system.
    """
    waits = waiting(unit, payment, case, postings)
    return not waits and (case is None or "lines" not in case.facts)


def by_hand(
    unit: Unit, desk: Desk, payment: Payment, postings: Sequence[Posting], case: Case | None
) -> tuple[Sequence[Posting], bool]:
    """Return what moves when a person has booked what was asked about, and whether the payment goes on.

    The card that waits, and the fees that have calls of their own, still to come, are still carried out.
    Unless their money is not whole, or the payment was at its end before: then the person has seen to
    them, too. Where nobody can look whether they are paid already, these fees stay with the case.
    """
    everything = ledger.everything(postings, Book.CASE, Book.BY_HAND)
    wanted = waiting(unit, payment, case, postings)
    later = _not_tried(unit, payment, case)
    if not desk.system.capabilities().unattended_read:
        wanted, later = wanted - later, set()
    moved = [one for one in everything if one.line_id in wanted]
    card = renewals.waiting_line(unit, payment)
    amounts = dict(payment.amounts())
    not_begun = later | ({card} if card is not None else set())
    cents = {line: sum(one.cents for one in moved if one.line_id == line) for line in not_begun}
    goes_on = {line for line in not_begun if cents[line] == amounts[line]}
    if payment.state not in PAID_UNSETTLED or not _paid_right(postings):
        goes_on = set()
    if card is not None and card not in goes_on:
        renewals.give_up(unit, payment)
    still = [replace(one, destination=Book.TO_SETTLE) if one.line_id in goes_on else one for one in moved]
    return still, bool(goes_on)


def end_of(unit: Unit, payment: Payment, postings: Sequence[Posting]) -> State:
    """Return the state of a payment of which nothing waits for settling, for a person or for a refund.

    A free card is renewed all the same where the fees beside it were paid as they were asked for. Else it is
    given up with them: nothing is lost, and the patron can begin anew.
    """
    if not renewals.free_waits(unit, payment):
        return State.RESOLVED
    if _paid_right(postings):
        return State.PAID
    renewals.give_up(unit, payment)
    return State.RESOLVED


def _paid_right(postings: Sequence[Posting]) -> bool:
    """Tell whether the lines were paid as they were asked for; another sum belongs to none of them."""
    return any(one.source is Book.PROVIDER and one.line_id is not None for one in postings)


def _is_last(unit: Unit, payment: Payment) -> bool:
    return len(cases.open_of_payment(unit, payment.id)) <= 1


def _lines_of(unit: Unit, payment: Payment, case: Case | None, lines: set[str | None]) -> set[str | None]:
    """Return which of *lines* a decision is about that names none: those of its case.

    All of them without a case, and where the case names none of them and no other one is open.
    """
    if case is None:
        return lines
    named = about(case.kind, case.subject, case.facts, lines)
    return named or (lines if _is_last(unit, payment) else set())


def _not_tried(unit: Unit, payment: Payment, case: Case | None) -> set[str]:
    """Return the lines whose calls are still to come after the one that *case* is about."""
    asked = case.facts.get("order") if case else None
    return {
        line
        for order in orders.of_payment(unit, payment.id)
        if asked is not None and order.id != asked and order.state == "due" and not order.tries
        for line in order.line_ids
    }
