"""Decisions, refunds and comparisons in orders that nobody plans: what a hostile reader thought of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.errors import StoreBusyError
from ils_payment.flows import decide, show
from ils_payment.flows.reconcile import begin, reconcile, release
from ils_payment.flows.verify import verify
from ils_payment.model import Actor, State
from ils_payment.store import installation, payments
from tests.conftest import STRIPE, Town
from tests.flows.decisions import (
    CLERK,
    TREASURER,
    approved,
    books,
    case_of,
    held_payment,
    kinds,
    refund,
    refunded,
    resolve,
    settled_payment,
)
from tests.flows.truths import DUE, hear, load, paid, pay_calls

NIGHTLY = Actor("system", "system")


def _compare(town, **span):
    now = town.world.now()
    return reconcile(town.house, town.desk, now - timedelta(**span), now + timedelta(hours=1), NIGHTLY)


def _let_pass(town, **span):
    hear(town)
    town.run_for(rounds=40, **span)
    hear(town)


def test_a_refund_that_waits_is_sent_also_when_its_case_was_closed_meanwhile(town):
    payment_id = held_payment(town)
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).code == "done"
    assert load(town, payment_id).held
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    _let_pass(town, hours=2)
    assert refunded(town) == load(town, payment_id).cents
    assert town.view(payment_id).state is State.RESOLVED
    assert verify(town.house).findings == []


@pytest.mark.parametrize("where", ["settle.leased", "koha.settle.before", "koha.settle.after"])
def test_a_case_that_comes_during_a_settle_call_never_doubles_the_cents(town, where):
    payment_id = paid(town)
    town.deliver_webhooks()

    def hold(name):
        if name == where and not load(town, payment_id).held:
            with town.house.store.unit() as unit:
                payments.hold_late(unit, payment_id, "other_amount", {}, subject="x")

    town.world.on_failpoint = hold
    town.run()
    sums = books(town, payment_id)
    assert sum(cents for book, cents in sums.items() if book != "provider") == DUE, sums
    if where == "settle.leased":
        assert pay_calls(town) == 0
        assert sums == {"provider": -DUE, "case": DUE}
    else:
        assert sums == {"provider": -DUE, "library_system": DUE}


def test_what_was_not_committed_is_not_called_done(town, monkeypatch):
    payment_id = held_payment(town)
    case = case_of(town, payment_id)

    def full(*_arguments, **_more):
        raise StoreBusyError("The database could not be used: disk full.", mend="Make room.")

    with monkeypatch.context() as patched:
        patched.setattr("ils_payment.store.journal.append", full)
        assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="K 1").code == "busy"
    assert case_of(town, payment_id).version == case.version
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="K 1").code == "done"


def test_a_refused_wish_for_a_refund_leaves_nothing_behind(town):
    payment_id = paid(town)
    koha = town.world.remotes.pop("koha.test")
    hear(town)
    assert refund(town, payment_id, lines=("no-line",)).code == "nothing_left"
    assert kinds(town, payment_id) == []
    assert not load(town, payment_id).held
    town.world.remotes["koha.test"] = koha
    _let_pass(town, hours=1)
    assert town.view(payment_id).state is State.SETTLED


def test_a_wrong_amount_that_was_given_back_does_not_come_back_as_a_case(town):
    payment_id = town.started()
    town.stripe.pay_other_amount(town.session_of(payment_id), 777)
    hear(town)
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    decide.approve(town.house, TREASURER, str(asked.refund_id))
    _let_pass(town, hours=30)
    assert town.view(payment_id).state is State.RESOLVED
    assert kinds(town, payment_id) == []


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_a_late_reversal_without_a_notice_is_found_by_the_nightly_comparison(town, what):
    payment_id = settled_payment(town)
    town.world.pass_time(days=20)
    town.stripe.webhooks.drop = True
    session = town.session_of(payment_id)
    if what == "refund":
        town.stripe.refund_in_dashboard(session, 300)
    else:
        town.stripe.dispute(session)
    town.world.pass_time(hours=2)
    _compare(town, days=3)
    assert kinds(town, payment_id) == ["reversed" if what == "refund" else "chargeback"]


def test_a_fee_that_was_paid_at_the_desk_during_the_call_can_be_refunded_from_its_case(town):
    payment_id = paid(town, only=1)
    (line,) = load(town, payment_id).lines
    at_desk: list[int] = []

    def pay_at_the_desk(name):
        if name == "settle.before_call" and not at_desk:
            at_desk.append(
                town.koha.pay_at_desk(town.koha.patron_ids["erika"], int(str(line.fee_ref)), line.cents)
            )

    town.world.on_failpoint = pay_at_the_desk
    hear(town)
    town.world.on_failpoint = None
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    _let_pass(town, hours=2)
    assert refunded(town) == line.cents
    assert kinds(town, payment_id) == []


def test_many_small_refunds_of_one_payment_need_the_second_person_that_a_large_one_needs(tmp_path):
    town = Town(f"sqlite:///{tmp_path}/ledger.db", two_persons_from="9.00")
    payment_id = settled_payment(town)
    codes = [refund(town, payment_id, lines=(line.id,)).code for line in load(town, payment_id).lines]
    assert "second_person" in codes
    town.run()
    assert refunded(town) < 900
    town.close()


def test_a_counter_debit_covers_what_was_settled_and_nothing_else(town):
    payment_id = settled_payment(town)
    first = load(town, payment_id).lines[0]
    before = set(town.koha_account()["fees"])
    approved(town, payment_id, Meaning.FEE_STAYS, lines=(first.id,))
    town.run()
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    case, every = case_of(town, payment_id, "came_back"), show.line_ids(town.house, payment_id)
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_STAYS, lines=every)
    decide.approve(town.house, TREASURER, str(asked.refund_id))
    _let_pass(town, hours=2)
    told = case_of(town, payment_id, "charge_by_hand").facts
    assert (told["cents"], told["marker"]) == (first.cents, case.facts["marker"])
    new = [fee["outstanding"] for line, fee in town.koha_account()["fees"].items() if line not in before]
    assert sum(new) == DUE


def test_a_refund_that_does_not_come_to_its_end_is_told_once(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    del town.world.remotes[STRIPE]
    town.run_for(days=12, rounds=60)
    assert kinds(town, payment_id) == ["refund_stuck"]
    town.world.remotes[STRIPE] = town.stripe
    _let_pass(town, days=2)
    assert refunded(town) == DUE
    assert kinds(town, payment_id) == ["refund_stuck"]


def test_a_refund_that_somebody_enlarged_in_the_database_is_not_sent_and_verify_names_it(town):
    payment_id = settled_payment(town)
    line = load(town, payment_id).lines[0]
    refund(town, payment_id, lines=(line.id,))
    with town.house.store.unit() as unit:
        unit.connection.execute(text(f"UPDATE refunds SET state = 'due', cents = {DUE}"))
        payments.make_due(unit, payment_id)
    assert any("refund 1" in str(one) for one in verify(town.house).findings)
    town.run()
    assert refunded(town) == 0
    assert kinds(town, payment_id) == ["broken_rule"]


def test_a_short_comparison_does_not_release_a_restored_ledger(town):
    settled_payment(town)
    town.world.pass_time(days=30)
    with town.house.store.unit() as unit:
        installation.set_unreconciled(unit, unreconciled=True)
    assert not release(town.house, [_compare(town, hours=1)], NIGHTLY)
    since = begin(town.house, town.desk, 3)
    report = reconcile(town.house, town.desk, since, town.world.now(), NIGHTLY)
    assert release(town.house, [report], NIGHTLY)


def test_days_that_were_not_compared_are_compared_the_next_time(town):
    settled_payment(town)
    _compare(town, days=1)
    covered = town.world.now()
    town.world.pass_time(days=20)
    _compare(town, hours=2)
    assert begin(town.house, town.desk, 3) <= covered


def test_a_withdrawn_refund_of_money_that_came_back_is_a_case_again(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    town.run()
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    case = case_of(town, payment_id)
    resolve(town, case, Choice.NO_ACTION)
    assert decide.withdraw(town.house, TREASURER, str(asked.refund_id), "not agreed").code == "done"
    assert books(town, payment_id) == {"provider": -DUE, "case": DUE}
    assert kinds(town, payment_id) == ["refund_wanted"]
    assert show.refunds_of(town.house, payment_id)[-1].state == "withdrawn"
    assert CLERK.name == show.refunds_of(town.house, payment_id)[-1].asked_by
