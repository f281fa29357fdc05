"""Giving money back: whole and per line, before and after settling, with a provider that loses answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ils_payment_stripe.provider import StripeProvider

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, inbox, show
from ils_payment.model import RefundSupport, State
from tests.flows.decisions import (
    CLERK,
    TREASURER,
    approved,
    books,
    cannot_charge,
    case_of,
    held_payment,
    kinds,
    only_refund,
    refund,
    refunded,
    resolve,
    settled_payment,
    took,
)
from tests.flows.truths import DUE, hear, load, paid, trail

REFUNDS = "refunds.create"


def _drain(town, **span):
    hear(town)
    town.run_for(rounds=60, **(span or {"hours": 30}))
    hear(town)


def test_a_settled_payment_is_given_back_and_the_fee_is_dropped(each_town):
    town = each_town
    payment_id = settled_payment(town)
    approved(town, payment_id)
    town.run()
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert refunded(town) == DUE
    assert only_refund(town, payment_id).state == "done"
    assert town.view(payment_id).state is State.SETTLED
    assert not town.view(payment_id).held
    assert kinds(town, payment_id) == []
    _drain(town)
    assert kinds(town, payment_id) == []
    assert refunded(town) == DUE


def test_one_line_is_given_back_and_the_rest_stays_settled(town):
    payment_id = settled_payment(town)
    line = show.line_ids(town.house, payment_id)[0]
    cents = load(town, payment_id).lines[0].cents
    approved(town, payment_id, lines=(line,))
    town.run()
    assert books(town, payment_id) == {"provider": -DUE, "returned": cents, "library_system": DUE - cents}
    assert refunded(town) == cents
    rest = approved(town, payment_id)
    town.run()
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert rest


def test_a_fee_that_stays_is_charged_again_once_with_a_marker(each_town):
    town = each_town
    payment_id = settled_payment(town)
    before = set(town.koha_account()["fees"])
    approved(town, payment_id, Meaning.FEE_STAYS)
    _drain(town)
    new = [one for line, one in town.koha_account()["fees"].items() if line not in before]
    assert [one["outstanding"] for one in new] == [DUE]
    assert only_refund(town, payment_id).charge_state == "done"
    assert kinds(town, payment_id) == []


@pytest.mark.parametrize("after_effect", [True, False])
def test_a_counter_debit_whose_answer_was_lost_is_looked_up_and_never_doubled(town, after_effect):
    payment_id = settled_payment(town)
    before = set(town.koha_account()["fees"])
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.koha.fail_next(1, operation="debits.add", after_effect=after_effect)
    _drain(town)
    new = [one for line, one in town.koha_account()["fees"].items() if line not in before]
    assert [one["outstanding"] for one in new] == [DUE]
    assert only_refund(town, payment_id).charge_state == "done"


def test_a_library_system_that_cannot_charge_leaves_a_case_that_says_what_to_do(town, monkeypatch):
    payment_id = settled_payment(town)
    cannot_charge(monkeypatch)
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    assert refunded(town) == DUE
    case = case_of(town, payment_id)
    assert case.kind == "charge_by_hand"
    assert case.facts["cents"] == DUE
    assert resolve(town, case, Choice.NO_ACTION).code == "done"
    assert not town.view(payment_id).held


def test_money_that_was_never_settled_is_given_back_and_the_payment_is_resolved(each_town):
    town = each_town
    payment_id = held_payment(town)
    cents = load(town, payment_id).cents
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    assert asked.code == "second_person"
    assert books(town, payment_id) == {"provider": -cents, "to_return": cents}
    assert kinds(town, payment_id) == ["fees_differ"]
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    _drain(town)
    assert books(town, payment_id) == {"provider": -cents, "returned": cents}
    assert town.view(payment_id).state is State.RESOLVED
    assert not town.view(payment_id).held
    assert town.credits() == []
    assert kinds(town, payment_id) == []


def test_a_payment_without_a_case_is_held_for_its_refund_and_never_settled(town):
    payment_id = paid(town)
    del town.world.remotes["koha.test"]
    hear(town)
    asked = refund(town, payment_id)
    assert asked.code == "second_person"
    town.world.remotes["koha.test"] = town.koha
    town.run_for(hours=2, rounds=20)
    assert town.credits() == []
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    _drain(town)
    assert refunded(town) == DUE
    assert town.credits() == []
    assert town.view(payment_id).state is State.RESOLVED


def test_a_second_person_is_needed_and_must_be_another_one(town):
    payment_id = settled_payment(town)
    asked = refund(town, payment_id)
    assert decide.approve(town.house, CLERK, str(asked.refund_id)).code == "same_person"
    town.run()
    assert refunded(town) == 0
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "conflict"


def test_below_the_configured_amount_one_person_is_enough(tmp_path):
    from tests.conftest import Town

    town = Town(f"sqlite:///{tmp_path}/ledger.db", two_persons_from="20.00")
    payment_id = settled_payment(town)
    assert refund(town, payment_id).code == "done"
    town.run()
    assert refunded(town) == DUE
    town.close()


def test_a_withdrawn_refund_frees_its_cents_and_nothing_is_sent(town):
    payment_id = settled_payment(town)
    asked = refund(town, payment_id)
    assert refund(town, payment_id).code == "not_possible"
    assert decide.withdraw(town.house, TREASURER, str(asked.refund_id), "").code == "no_reason"
    assert decide.withdraw(town.house, TREASURER, str(asked.refund_id), "not agreed").code == "done"
    assert books(town, payment_id) == {"provider": -DUE, "library_system": DUE}
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "conflict"
    _drain(town)
    assert refunded(town) == 0
    approved(town, payment_id)


def test_no_more_is_given_back_than_is_left_and_not_twice(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    assert refund(town, payment_id).code == "not_possible"
    town.run()
    assert refund(town, payment_id).code == "not_possible"
    assert refunded(town) == DUE


def test_a_line_of_a_foreign_payment_cannot_be_given_back(town):
    payment_id = settled_payment(town)
    assert refund(town, payment_id, lines=("no-line-of-this-payment",)).code == "nothing_left"
    assert books(town, payment_id) == {"provider": -DUE, "library_system": DUE}


def test_an_unknown_payment_or_refund_is_an_error_that_changes_nothing(town):
    with pytest.raises(LookupError):
        refund(town, "nothing")
    with pytest.raises(LookupError):
        decide.approve(town.house, TREASURER, "nothing")


@pytest.mark.parametrize("fault", ["answer", "503 after", "request", "500"])
def test_a_refund_whose_answer_was_lost_is_found_again_and_never_doubled(town, fault):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    faults = town.stripe.faults
    match fault:
        case "answer":
            faults.lose_answer(1, only=REFUNDS)
        case "503 after":
            faults.fail_next(1, status=503, after_effect=True, only=REFUNDS)
        case "request":
            faults.lose_request(1, only=REFUNDS)
        case _:
            faults.fail_next(1, status=500, only=REFUNDS)
    _drain(town)
    assert refunded(town) == DUE
    assert len(town.stripe.truth()["refunds"]) == 1
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}


def test_a_refund_is_looked_up_also_after_the_provider_forgot_its_key(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    town.stripe.faults.lose_answer(1, only=REFUNDS)
    town.run()
    town.world.pass_time(days=3)
    town.run()
    assert len(town.stripe.truth()["refunds"]) == 1
    assert only_refund(town, payment_id).state == "done"


def test_with_the_provider_down_nothing_is_lost_and_the_refund_waits(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    stripe = town.world.remotes.pop("127.0.0.1:12111")
    town.run_for(hours=3, rounds=20)
    assert books(town, payment_id) == {"provider": -DUE, "to_return": DUE}
    town.world.remotes["127.0.0.1:12111"] = stripe
    _drain(town)
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert refunded(town) == DUE


def test_a_refund_that_the_provider_refuses_is_undone_and_a_case(town):
    payment_id = settled_payment(town)
    asked = refund(town, payment_id)
    (session,) = town.stripe.truth()["sessions"].values()
    town.stripe.webhooks.drop = True
    town.stripe.refund_in_dashboard(session["id"])
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    _drain(town)
    assert "refund_failed" in kinds(town, payment_id)
    assert refunded(town) == DUE
    case = case_of(town, payment_id, "refund_failed")
    assert "charge_already_refunded" in case.facts["reason"]
    states = {one.state for one in show.refunds_of(town.house, payment_id)}
    assert states == {"failed", "external"}
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}


def test_a_pending_refund_is_followed_until_it_has_left(town):
    payment_id = town.started(method="instant_bank_transfer")
    town.stripe.pay(town.session_of(payment_id), "pay_by_bank")
    hear(town)
    approved(town, payment_id)
    town.run()
    assert only_refund(town, payment_id).state == "pending"
    assert books(town, payment_id) == {"provider": -DUE, "to_return": DUE}
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref)
    _drain(town, days=2)
    assert only_refund(town, payment_id).state == "done"
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}


def test_a_refund_that_fails_days_later_is_money_that_came_back(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    town.run()
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    assert kinds(town, payment_id) == ["came_back"]
    assert books(town, payment_id) == {"provider": -DUE, "case": DUE}


@pytest.mark.parametrize("known", [True, False])
def test_money_that_came_back_after_its_counter_debit_names_what_is_to_be_taken_back(town, known):
    payment_id = settled_payment(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    if not known:
        town.koha.fail_next(1, operation="debits.add", after_effect=True)
    town.run()
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    case = case_of(town, payment_id)
    assert case.kind == "came_back"
    (debit,) = town.desk.system.find_charges(town.erika, str(case.facts["marker"]))
    assert case.facts["charge"] == (debit.remote_ref if known else None)
    _drain(town)
    assert only_refund(town, payment_id).charge_state == ("done" if known else "tried")


def test_a_refund_made_at_the_provider_alone_is_found_and_becomes_an_object(each_town):
    town = each_town
    payment_id = settled_payment(town)
    (session,) = town.stripe.truth()["sessions"].values()
    town.stripe.refund_in_dashboard(session["id"], 300)
    hear(town)
    found = only_refund(town, payment_id)
    assert (found.state, found.kind, found.cents) == ("external", "refund", 300)
    assert books(town, payment_id) == {"provider": -DUE, "returned": 300, "library_system": DUE - 300}
    assert kinds(town, payment_id) == ["reversed"]
    _drain(town)
    assert kinds(town, payment_id) == ["reversed"]
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).code == "done"
    assert trail(town, payment_id).count("reversed") == 1


def test_money_that_went_back_at_the_provider_is_not_paid_out_again_by_a_word_about_its_case(town):
    payment_id = settled_payment(town)
    (session,) = town.stripe.truth()["sessions"].values()
    town.stripe.refund_in_dashboard(session["id"], 300)
    hear(town)
    case = case_of(town, payment_id, "reversed")
    assert case.cents == 300
    before = books(town, payment_id)
    vague = resolve(town, case, Choice.REFUNDED_OUTSIDE, reference="re_1")
    assert (vague.code, books(town, payment_id)) == ("no_choice", before)
    line = load(town, payment_id).lines[-1]
    named = resolve(town, case, Choice.REFUNDED_OUTSIDE, reference="voucher 7", lines=(line.id,))
    assert named.code == "done"
    assert books(town, payment_id)["outside"] == line.cents
    file = inbox.payment_file(town.house, payment_id)
    assert file is not None
    assert file.steps[-1].facts["cents"] == line.cents


def test_a_chargeback_is_an_object_and_a_case_and_one_that_is_won_comes_back(town):
    payment_id = settled_payment(town)
    (session,) = town.stripe.truth()["sessions"].values()
    town.stripe.dispute(session["id"])
    hear(town)
    found = only_refund(town, payment_id)
    assert (found.state, found.kind, found.cents) == ("external", "chargeback", DUE)
    assert kinds(town, payment_id) == ["chargeback"]
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    (dispute,) = town.stripe.truth()["disputes"]
    town.stripe.close_dispute(dispute, won=True)
    hear(town)
    assert sorted(kinds(town, payment_id)) == ["came_back", "chargeback"]
    # What the provider did alone is undone as if it had not been.
    assert books(town, payment_id) == {"provider": -DUE, "library_system": DUE}


def test_a_refund_of_a_disputed_payment_never_exceeds_what_was_taken(town):
    payment_id = settled_payment(town)
    (session,) = town.stripe.truth()["sessions"].values()
    town.stripe.dispute(session["id"])
    hear(town)
    assert refund(town, payment_id).code == "not_possible"


def test_who_names_no_lines_gives_back_the_whole_payment_and_not_only_what_a_case_is_about(town):
    payment_id = settled_payment(town)
    cents = load(town, payment_id).cents
    took(town, payment_id, 2 * cents)
    assert kinds(town, payment_id) == ["paid_wrong"]
    refund(town, payment_id, Meaning.FEE_DROPPED)
    assert books(town, payment_id)["to_return"] == 2 * cents


def test_the_voucher_of_the_treasury_closes_the_lines_that_were_asked_for_and_no_others(town, monkeypatch):
    can = StripeProvider.capabilities
    monkeypatch.setattr(
        StripeProvider, "capabilities", lambda one: replace(can(one), refund=RefundSupport.NONE)
    )
    payment_id = paid(town, only=2)
    town.koha.database_down()
    hear(town)
    town.koha.database_down(down=False)
    back, stays = load(town, payment_id).lines
    assert refund(town, payment_id, Meaning.FEE_DROPPED, lines=(back.id,)).code == "treasury"
    case = case_of(town, payment_id, "treasury_pays")
    assert case.facts["lines"] == [back.id]
    assert resolve(town, case, Choice.REFUNDED_OUTSIDE, reference="voucher 7").ok
    assert books(town, payment_id) == {
        "provider": -back.cents - stays.cents,
        "outside": back.cents,
        "case": stays.cents,
    }
    # The other fee still waits for somebody: it is settled again.
    case = case_of(town, payment_id, "treasury_pays")
    assert resolve(town, case, Choice.SETTLE_AGAIN).ok
    hear(town)
    assert books(town, payment_id)["library_system"] == stays.cents
    assert town.view(payment_id).state is State.SETTLED
