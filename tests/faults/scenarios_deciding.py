"""Scenarios after the happy end, or instead of it: refunds, decisions of clerks, comparing the books."""

from __future__ import annotations

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from tests.conftest import KOHA, STRIPE
from tests.faults.failpoints_clerks import approve, ask_refund, compare, resolve, withdraw
from tests.faults.failpoints_stage import CREDIT, Stage
from tests.faults.scenarios import scenario

CHARGE = "debits.add"
REFUND = "refunds.create"


def _settled(s: Stage, patron: str = "jan") -> None:
    s.begin(patron)
    s.pay()
    s.hear()


def _held(s: Stage) -> None:
    s.begin()
    s.pay()
    s.desk("waive")
    s.hear()


def _refund(s: Stage, meaning: Meaning = Meaning.FEE_DROPPED, *, lines: int | None = None) -> None:
    ask_refund(s, meaning, lines=lines)
    approve(s)
    s.hear()


@scenario("settled")
def refund_of_a_dropped_fee(s: Stage) -> None:
    """Two persons give a settled payment back; nothing is owed any more."""
    _settled(s)
    _refund(s)


@scenario("settled")
def refund_of_a_fee_that_stays(s: Stage) -> None:
    """Two persons give a settled payment back; the fee is charged again in Koha, once."""
    _settled(s)
    _refund(s, Meaning.FEE_STAYS)
    s.later(minutes=1)


@scenario("settled")
def refund_of_one_line(s: Stage) -> None:
    """One of four lines is given back, then another."""
    _settled(s, "erika")
    _refund(s, lines=1)
    _refund(s, Meaning.DOUBLE_PAYMENT)


@scenario("settled")
def refund_whose_answer_is_lost(s: Stage) -> None:
    """The provider gives the money back, and its answer is lost."""
    _settled(s)
    s.stripe.faults.lose_answer(1, only=REFUND)
    _refund(s)
    s.later(minutes=2)


@scenario("settled")
def refund_whose_request_is_lost(s: Stage) -> None:
    """The provider never hears of the refund; it is sent again under its key."""
    _settled(s)
    s.stripe.faults.lose_request(1, only=REFUND)
    _refund(s)
    s.later(minutes=2)


@scenario("settled")
def refund_while_the_provider_is_away(s: Stage) -> None:
    """The provider is away for hours when a refund is approved."""
    _settled(s)
    s.leave(STRIPE)
    _refund(s)
    s.later(hours=2)
    s.come_back()
    s.later(hours=2)


@scenario("settled")
def counter_debit_whose_answer_is_lost(s: Stage) -> None:
    """Koha charges the fee again and answers with an error: it is looked up, not charged twice."""
    _settled(s)
    s.koha.fail_next(1, operation=CHARGE, after_effect=True)
    _refund(s, Meaning.FEE_STAYS)
    for minutes in (1, 5, 15):
        s.later(minutes=minutes)


@scenario("settled")
def counter_debit_while_koha_is_away(s: Stage) -> None:
    """Koha is away when the fee is to be charged again."""
    _settled(s)
    s.leave(KOHA)
    _refund(s, Meaning.FEE_STAYS)
    s.later(minutes=30)
    s.come_back()
    s.later(hours=1)


@scenario("settled")
def refund_withdrawn(s: Stage) -> None:
    """The second person does not approve; the payment stays as it was."""
    _settled(s)
    ask_refund(s)
    withdraw(s)


@scenario("settled held")
def refund_also_made_in_the_dashboard(s: Stage) -> None:
    """Somebody gives the money back at the provider while the refund waits for the second person."""
    _settled(s)
    ask_refund(s)
    s.each_paid(lambda key: None if key in s.earlier_sessions else s.stripe.refund_in_dashboard(key))
    approve(s)
    s.hear()


@scenario("resolved")
def refund_instead_of_settling(s: Stage) -> None:
    """The fee is gone; the clerk gives the money back."""
    _held(s)
    resolve(s, Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    approve(s)
    s.later(minutes=1)


@scenario("resolved held")
def refund_before_settling(s: Stage) -> None:
    """The patron wants the money back while Koha is away; somebody has to waive the fee there."""
    s.begin()
    s.pay()
    s.leave(KOHA)
    s.hear()
    ask_refund(s)
    approve(s)
    s.come_back()
    s.later(minutes=20)


@scenario("resolved")
def booked_by_hand(s: Stage) -> None:
    """A dead credit: the clerk books it in Koha and writes the number down."""
    s.koha.deadlock_next()
    s.begin()
    s.pay()
    s.hear()
    s.later(minutes=20)
    resolve(s, Choice.BOOKED_BY_HAND, reference="Quittung 17")


@scenario("resolved")
def refunded_in_cash(s: Stage) -> None:
    """The fee is gone; the treasury gives cash, and nobody can refund again."""
    _held(s)
    resolve(s, Choice.REFUNDED_OUTSIDE, reference="Beleg 4")
    ask_refund(s)
    approve(s)


@scenario("settled")
def settled_again_by_a_clerk(s: Stage) -> None:
    """Koha fails three times; the clerk looks and lets it be settled again."""
    s.koha.fail_next(3, operation=CREDIT)
    s.begin()
    s.pay()
    s.hear()
    for _ in range(4):
        for minutes in (1, 4, 6, 6):
            s.later(minutes=minutes)
    resolve(s, Choice.SETTLE_AGAIN)
    s.later(minutes=1)


@scenario("settled")
def chargeback_looked_at(s: Stage) -> None:
    """The payer's bank takes the money back; the clerk has seen it."""
    _settled(s)
    s.each_paid(lambda key: None if key in s.earlier_sessions else s.stripe.dispute(key))
    s.hear()
    resolve(s, Choice.NO_ACTION)


@scenario("settled")
def books_compared(s: Stage) -> None:
    """The books are compared with both sides; nothing differs."""
    _settled(s)
    s.later(hours=2)
    compare(s)


@scenario("settled held")
def books_compared_after_a_silent_refund(s: Stage) -> None:
    """Money went back at the provider and no notice came; comparing the books finds it."""
    _settled(s)
    s.later(hours=2)
    s.stripe.webhooks.drop = True
    s.each_paid(lambda key: None if key in s.earlier_sessions else s.stripe.refund_in_dashboard(key))
    s.later(hours=2)
    compare(s)
    compare(s)


@scenario("settled held")
def books_compared_after_a_lost_credit(s: Stage) -> None:
    """Somebody deletes our credit in Koha; comparing the books finds it, once."""
    _settled(s)
    s.later(hours=2)
    tables = s.koha.tables
    for line in list(tables.lines_of(s.koha.patron_ids["jan"])):
        if line.credit_type is not None and line.note.startswith("ILSP-"):
            line.note = ""
    compare(s)
    compare(s)
