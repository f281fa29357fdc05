"""Deciding cases: each decision, its books, and two clerks at once."""

from __future__ import annotations

import json
import threading

import pytest
from sqlalchemy import select

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, show
from ils_payment.flows.decision import Decision
from ils_payment.model import State
from ils_payment.store import cases, chain, journal, payments
from ils_payment.store.case_tables import private_reasons
from tests.flows.decisions import (
    CLERK,
    TREASURER,
    books,
    case_of,
    held_payment,
    kinds,
    refund,
    refunded,
    resolve,
    settled_payment,
)
from tests.flows.truths import DUE, ending, hear, load, paid, settled

CREDIT = "credits.add"


def _unclear(town):
    """A payment whose settle call stayed unclear until a person has to look; nothing is booked."""
    payment_id = paid(town)
    # Without any earlier confirmed marker nothing proves that an absent one would be seen.
    town.koha.fail_next(1, operation=CREDIT)
    hear(town)
    town.run_for(hours=2, rounds=60)
    assert kinds(town, payment_id) == ["unclear"]
    return payment_id


def test_settle_again_writes_one_credit_under_a_new_marker(each_town):
    town = each_town
    payment_id = _unclear(town)
    assert town.credits() == []
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).code == "done"
    town.run()
    assert town.view(payment_id).state is State.SETTLED
    assert [one["amount"] for one in town.credits()] == [DUE]
    assert books(town, payment_id) == {"provider": -DUE, "library_system": DUE}
    assert kinds(town, payment_id) == []
    assert not load(town, payment_id).held


def test_settle_again_finds_a_credit_that_came_late_and_holds_instead_of_doubling(town):
    payment_id = paid(town)
    # The call takes effect, its answer is lost, and the marker cannot be seen for a day.
    town.koha.apply_late(7200)
    hear(town)
    town.run_for(minutes=70, rounds=60)
    assert kinds(town, payment_id) == ["unclear"]
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).code == "done"
    del town.world.remotes["koha.test"]
    town.run()
    town.world.pass_time(hours=3)
    town.world.remotes["koha.test"] = town.koha
    town.run_for(hours=2, rounds=20)
    assert [one["amount"] for one in town.credits()] == [DUE]
    assert kinds(town, payment_id) == ["marker_wrong"]


def test_a_case_can_be_closed_as_booked_by_hand_with_a_reference(each_town):
    town = each_town
    payment_id = held_payment(town)
    cents = load(town, payment_id).cents
    case = case_of(town, payment_id)
    assert resolve(town, case, Choice.BOOKED_BY_HAND).code == "no_reference"
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="Kasse 2026/117").code == "done"
    assert books(town, payment_id) == {"provider": -cents, "by_hand": cents}
    assert town.view(payment_id).state is State.RESOLVED
    town.run_for(hours=30, rounds=30)
    assert town.credits() == []
    assert kinds(town, payment_id) == []


def test_money_that_the_treasury_paid_out_bars_a_refund(town):
    payment_id = held_payment(town)
    cents = load(town, payment_id).cents
    case = case_of(town, payment_id)
    assert resolve(town, case, Choice.REFUNDED_OUTSIDE, reference="voucher 12").code == "done"
    assert books(town, payment_id) == {"provider": -cents, "outside": cents}
    assert refund(town, payment_id).code == "not_possible"
    assert town.view(payment_id).state is State.RESOLVED
    assert refunded(town) == 0


def test_one_line_that_was_paid_at_the_desk_is_given_back_and_the_rest_is_settled(town):
    payment_id = paid(town, only=2)
    first, second = load(town, payment_id).lines
    town.koha.pay_at_desk(town.koha.patron_ids["erika"], int(str(first.fee_ref)), first.cents)
    hear(town)
    case = case_of(town, payment_id)
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT, lines=(first.id,))
    assert asked.code == "second_person"
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    town.run()
    assert refunded(town) == first.cents
    left = case_of(town, payment_id)
    assert left.case_id == case.case_id
    # Koha tells whole seconds: in the same one, the desk's credit could not be told from a clash.
    town.world.pass_time(seconds=2)
    assert resolve(town, left, Choice.SETTLE_AGAIN).code == "done"
    town.run()
    total = first.cents + second.cents
    assert books(town, payment_id) == {
        "provider": -total,
        "returned": first.cents,
        "library_system": second.cents,
    }
    assert town.view(payment_id).state is State.SETTLED
    assert [one["amount"] for one in town.credits()] == [second.cents]


def test_a_wrong_amount_cannot_be_settled_again_only_given_back_or_booked_by_hand(town):
    payment_id = town.started()
    town.stripe.pay_other_amount(town.session_of(payment_id), 777)
    hear(town)
    assert set(decide.choices(town.house, payment_id)) == {
        Choice.BOOKED_BY_HAND,
        Choice.REFUND,
        Choice.REFUNDED_OUTSIDE,
    }
    case = case_of(town, payment_id)
    assert resolve(town, case, Choice.SETTLE_AGAIN).code == "not_possible"
    assert resolve(town, case, Choice.NO_ACTION).code == "not_possible"
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    decide.approve(town.house, TREASURER, str(asked.refund_id))
    town.run()
    assert refunded(town) == 777
    assert town.view(payment_id).state is State.RESOLVED


def test_a_decision_needs_a_reason_and_a_refund_a_meaning(town):
    payment_id = held_payment(town)
    case = case_of(town, payment_id)
    bare = Decision(choice=Choice.BOOKED_BY_HAND, reason="  ", reference="x")
    assert decide.resolve(town.house, CLERK, case.case_id, case.version, bare).code == "no_reason"
    assert resolve(town, case, Choice.REFUND).code == "no_meaning"
    assert kinds(town, payment_id) == ["fees_differ"]


def test_the_second_clerk_is_told_that_somebody_was_first(each_town):
    town = each_town
    payment_id = held_payment(town)
    case = case_of(town, payment_id)
    barrier = threading.Barrier(2)
    answers = []

    def decide_now(reference):
        barrier.wait()
        answers.append(resolve(town, case, Choice.BOOKED_BY_HAND, reference=reference).code)

    clerks = [threading.Thread(target=decide_now, args=(name,)) for name in ("desk A", "desk B")]
    for one in clerks:
        one.start()
    for one in clerks:
        one.join()
    assert sorted(answers) in (["busy", "done"], ["conflict", "done"])
    cents = load(town, payment_id).cents
    assert books(town, payment_id) == {"provider": -cents, "by_hand": cents}
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="desk C").code == "conflict"


def test_reasons_stay_out_of_chain_and_journal(town):
    payment_id = held_payment(town)
    resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="K 1")
    with town.house.store.read() as unit:
        written = json.dumps([str(row) for row in chain.read_audit(unit, payment_id)])
        rows = journal.newest(unit)
        texts = list(unit.connection.execute(select(private_reasons.c.text)).scalars())
        assert journal.broken_at(unit) is None
    assert texts == ["looked at both sides"]
    assert "looked at both sides" not in written + json.dumps([str(row) for row in rows])
    assert [row["what"] for row in rows] == ["decided_booked_by_hand"]
    assert rows[0]["actor"] == CLERK.name


def test_nobody_decides_while_a_settle_call_may_still_take_effect(town):
    payment_id = paid(town)
    town.koha.fail_next(1, operation=CREDIT)
    hear(town)
    assert town.view(payment_id).state is State.UNKNOWN
    with town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "unexpected", {})
    case = case_of(town, payment_id)
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="x").code == "too_early"
    assert refund(town, payment_id).code == "too_early"
    town.world.pass_time(minutes=16)
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="x").code == "done"


def test_a_hold_is_not_lost_to_a_worker_that_read_the_payment_before(town):
    payment_id = paid(town)
    before = load(town, payment_id)
    with town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "unexpected", {})
    with town.house.store.unit() as unit:
        payments.move(unit, before, "looked")
    assert load(town, payment_id).held


def test_a_case_about_nothing_of_ours_is_closed_with_a_reason(town):
    with town.house.store.unit() as unit:
        assert cases.open_case(unit, "lindental", None, "not_in_ledger", {"cents": 100}, "stripe:pi_1")
        assert not cases.open_case(unit, "lindental", None, "not_in_ledger", {"cents": 100}, "stripe:pi_1")
    case = case_of(town, None)
    assert resolve(town, case, Choice.SETTLE_AGAIN).code == "not_possible"
    assert resolve(town, case, Choice.NO_ACTION).code == "done"
    assert resolve(town, case, Choice.NO_ACTION).code == "conflict"
    with town.house.store.unit() as unit:
        assert not cases.open_case(unit, "lindental", None, "not_in_ledger", {"cents": 100}, "stripe:pi_1")


def test_a_settled_payment_ends_as_it_was_after_a_case_without_action(town):
    payment_id = settled_payment(town)
    with town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "unexpected", {})
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).code == "done"
    assert ending(town, payment_id) == settled()


def test_an_unpaid_payment_stays_claimed_after_a_case_without_action(town):
    payment_id = town.started()
    with town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "broken_rule", {})
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).code == "done"
    assert town.view(payment_id).state is State.OPEN
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    assert ending(town, payment_id) == settled()


def test_what_does_not_exist_is_a_lookup_error(town):
    with pytest.raises(LookupError):
        decide.resolve(town.house, CLERK, "nothing", 1, Decision(choice=Choice.NO_ACTION, reason="x"))
    with pytest.raises(LookupError):
        decide.withdraw(town.house, CLERK, "nothing", "x")


def test_every_choice_is_offered_only_where_it_fits(town):
    payment_id = settled_payment(town)
    assert set(decide.choices(town.house, payment_id)) == {
        Choice.REFUND,
        Choice.REFUNDED_OUTSIDE,
        Choice.NO_ACTION,
    }
    assert show.refunds_of(town.house, payment_id) == ()


def test_a_line_of_which_a_part_left_at_the_provider_is_not_settled_again(town):
    payment_id = paid(town)
    town.stripe.refund_in_dashboard(town.session_of(payment_id), 300)
    hear(town)
    assert kinds(town, payment_id) == ["reversed"]
    assert books(town, payment_id) == {"provider": -DUE, "returned": 300, "case": DUE - 300}
    assert Choice.SETTLE_AGAIN not in decide.choices(town.house, payment_id)
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    town.run()
    assert refunded(town) == DUE
    assert town.view(payment_id).state is State.RESOLVED
    assert town.credits() == []
