"""Scenarios with the people and machines around: the desk, the payer's bank, mail, other workers."""

from __future__ import annotations

from functools import partial

from tests.faults.failpoints_stage import Stage
from tests.faults.scenarios import scenario


def _paid(s: Stage, patron: str = "jan") -> None:
    s.begin(patron)
    s.pay()


@scenario("paid held", money=True)
def paid_at_the_desk_meanwhile(s: Stage) -> None:
    """The patron pays the same fee at the desk before it is settled."""
    _paid(s)
    s.desk("pay_at_desk")
    s.hear()


@scenario("settling held")
def paid_at_the_desk_in_the_same_second(s: Stage) -> None:
    """A clerk takes cash for the fee between reading and calling: found, not prevented."""
    _paid(s)
    s.at("koha.settle.before", lambda: s.desk("pay_at_desk"))
    s.hear()


@scenario("paid held")
def waived_meanwhile(s: Stage) -> None:
    """A clerk writes the fee off before it is settled."""
    _paid(s)
    s.desk("waive")
    s.hear()


@scenario("paid held")
def waived_in_part_meanwhile(s: Stage) -> None:
    """A clerk writes a cent of the fee off."""
    _paid(s)
    s.desk("waive", cents=1)
    s.hear()


@scenario("settled")
def grown_meanwhile(s: Stage) -> None:
    """The fee grows: the frozen cents are settled, the rest stays open."""
    _paid(s)
    for line in s.koha.tables.lines_of(s.koha.patron_ids["jan"]):
        if line.amount > 0 and line.outstanding > 0:
            s.koha.grow_fee(line.line_id, 50)
    s.hear()


@scenario("settled")
def another_fee_meanwhile(s: Stage) -> None:
    """A new fee is charged beside the frozen one."""
    _paid(s)
    s.fee(990)
    s.hear()


@scenario("paid held")
def open_credit_meanwhile(s: Stage) -> None:
    """A credit that appeared covers the fee."""
    _paid(s)
    s.koha.add_open_credit(s.koha.patron_ids["jan"], 4000)
    s.hear()


@scenario("paid held")
def one_of_several_lines_is_gone(s: Stage) -> None:
    """One of four frozen fees is paid at the desk."""
    _paid(s, "erika")
    s.koha.pay_at_desk(s.koha.patron_ids["erika"], 2, 450)
    s.hear()


@scenario("paid held")
def refunded_before_settling(s: Stage) -> None:
    """The library gives the money back at the provider before it is settled."""
    _paid(s)
    s.each_paid(s.stripe.refund_in_dashboard)
    s.hear()


@scenario("settled held")
def refunded_after_settling(s: Stage) -> None:
    """The library gives the money back at the provider alone, after settling."""
    _paid(s)
    s.hear()
    s.later(hours=1)
    s.each_paid(_jans_only(s, s.stripe.refund_in_dashboard))
    s.hear()


@scenario("settled held")
def refunded_in_part_after_settling(s: Stage) -> None:
    """A part is given back at the provider alone, then another."""
    _paid(s)
    s.hear()
    s.each_paid(_jans_only(s, s.stripe.refund_in_dashboard, 50))
    s.hear()
    s.each_paid(_jans_only(s, s.stripe.refund_in_dashboard, 30))
    s.hear()


@scenario("settled held")
def charged_back_after_settling(s: Stage) -> None:
    """The payer's bank takes the money back weeks later."""
    _paid(s)
    s.hear()
    s.later(days=20)
    s.each_paid(_jans_only(s, s.stripe.dispute))
    s.hear()


@scenario("paid held")
def charged_back_before_settling(s: Stage) -> None:
    """The payer's bank takes the money back at once."""
    _paid(s)
    s.each_paid(s.stripe.dispute)
    s.hear()


def _jans_only(s: Stage, act, *more):
    """Leave the session of whoever paid before the scenario began alone."""

    def one(key):
        if key not in s.earlier_sessions:
            act(key, *more)

    return one


@scenario("settled")
def mail_server_away(s: Stage) -> None:
    """Mails cannot be sent; money moves all the same, and the receipt comes later."""
    from ils_payment.flows import tell
    from tests.flows.truths import every_id

    s.world.mail_works = False
    _paid(s)
    s.hear()
    for payment_id in every_id(s.town):
        s.program(partial(tell.queue_receipt, s.town.house, payment_id, "jan@post.example", "de"))
    s.later(minutes=1)
    s.later(hours=3)
    s.world.mail_works = True
    s.later(hours=3)


@scenario("paid held")
def case_while_the_mail_server_is_away(s: Stage) -> None:
    """A case opens while no mail gets through; staff is told when it does."""
    s.world.mail_works = False
    _paid(s)
    s.desk("waive")
    s.hear()
    s.later(hours=1)
    s.later(days=1)
    s.world.mail_works = True
    s.later(days=2)


@scenario("settled")
def two_workers(s: Stage) -> None:
    """Whenever a worker has a payment in hands, another one tries to get it."""
    _paid(s)
    for name in ("hands.taken", "settle.leased", "settle.recorded"):
        s.at(name, s.advance_all)
    s.hear()
