"""Scenarios of the treasury and of the law: closed days are exported, ledgers sealed, persons forgotten."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial

from ils_payment.domain.refunds import Meaning
from ils_payment.flows import seal, subject
from ils_payment.flows.export import export
from tests.faults.failpoints_clerks import approve, ask_refund
from tests.faults.failpoints_stage import Stage
from tests.faults.scenarios import scenario
from tests.faults.scenarios_deciding import CHARGE
from tests.flows.decisions import CLERK
from tests.flows.truths import of


def _settled(s: Stage, patron: str = "jan") -> None:
    s.begin(patron)
    s.pay()
    s.hear()


@scenario("settled")
def closed_days_exported(s: Stage) -> None:
    """The day of a payment is exported, and handed out again: the same to the byte."""
    _settled(s)
    s.later(days=2)
    day = (s.world.now() - timedelta(days=2)).date()
    step = partial(export, s.town.house, s.town.desk, CLERK, day, day)
    made = s.program(step) or s.program(partial(export, s.town.house, s.town.desk, CLERK, day, day))
    again = s.program(partial(export, s.town.house, s.town.desk, CLERK, day, day))
    if made is not None and again is not None and made.kept.content != again.kept.content:
        raise AssertionError("the repeated export differs")


@scenario("settled")
def ledger_sealed(s: Stage) -> None:
    """The ledger is sealed after a payment, and again after a refund."""
    _settled(s)
    s.program(lambda: seal.seal(s.town.house))
    ask_refund(s)
    approve(s)
    s.later(hours=1)
    s.program(lambda: seal.seal(s.town.house))


@scenario("settled")
def private_data_forgotten(s: Stage) -> None:
    """What belongs to persons goes after the time that the library keeps it."""
    _settled(s)
    s.later(days=500)
    s.program(lambda: subject.forget_old(s.town.house))
    s.program(lambda: subject.forget_old(s.town.house))


@scenario("settled")
def person_erased(s: Stage) -> None:
    """A patron asks to be forgotten after a payment."""
    _settled(s)
    s.later(days=1)
    s.program(partial(_erase, s))


def _erase(s: Stage) -> None:
    # Nothing is known of a patron whose payment died before it was written down.
    with suppress(subject.UnknownPersonError):
        subject.erase(s.town.house, s.town.desk, CLERK, of(s.town, "jan"))


@scenario("settled held")
def refund_that_fails_late(s: Stage) -> None:
    """The bank cannot give the money back: the reservation is undone, and a person decides anew."""
    s.stripe.account.pending_refunds = ("card", "pay_by_bank")
    _settled(s)
    ask_refund(s)
    approve(s)
    s.hear()
    for refund_id, one in list(s.stripe.book.refunds.items()):
        if one["status"] == "pending":
            s.stripe.finish_refund(refund_id, success=False)
    s.later(hours=1)


@scenario("settled held")
def counter_debit_never_works(s: Stage) -> None:
    """Koha fails each time the fee is to be charged again: a person does it by hand."""
    _settled(s)
    s.koha.fail_next(9, operation=CHARGE)
    ask_refund(s, Meaning.FEE_STAYS)
    approve(s)
    s.hear()
    for _ in range(5):
        s.later(minutes=20)
