"""Refunds of money that was never settled, and reversals that come twice, early or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, show
from ils_payment.flows.decision import Decision
from ils_payment.flows.readback import MAX_UNCLEAR
from ils_payment.flows.refund import LONGEST_PENDING
from ils_payment.model import (
    Credit,
    NotApplied,
    Refunded,
    RefundSupport,
    Reversal,
    ReversalState,
    State,
    Unclear,
)
from ils_payment.store import attempts, cases, orders, refunds
from ils_payment.store.tables import private_patrons
from tests.flows.decisions import (
    CLERK,
    TREASURER,
    approved,
    books,
    case_of,
    kinds,
    only_refund,
    refund,
    refunded,
    resolve,
    settled_payment,
)
from tests.flows.test_decisions import _unclear
from tests.flows.test_refunds_odd_answers import library_answers, provider_answers, put_in_place
from tests.flows.truths import DUE, ending, hear, load, paid, trail


def wanted_back(town: Any, payment_id: str) -> str:
    """Two persons decide the payment's case: the money goes back. It has not been sent."""
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    assert asked.refund_id
    assert decide.approve(town.house, TREASURER, asked.refund_id).ok
    return asked.refund_id


def test_a_credit_that_is_there_after_all_stops_the_refund_and_a_person_decides_anew(town):
    payment_id = _unclear(town)
    wanted_back(town, payment_id)
    marker = load(town, payment_id).receipt_number
    library_answers(town, find_credits=[Credit(remote_ref="9", marker=marker, cents=DUE, unapplied=0)])
    town.run()
    assert refunded(town) == 0
    assert only_refund(town, payment_id).state == "failed"
    facts = case_of(town, payment_id, "refund_failed").facts
    assert facts["reason"] == "the credit is in the library system after all"
    assert facts["found"] == marker
    assert books(town, payment_id) == {"provider": -DUE, "case": DUE}
    assert load(town, payment_id).held


def test_whose_money_goes_back_has_no_order_left_that_could_be_settled(town):
    payment_id = _unclear(town)
    wanted_back(town, payment_id)
    with town.house.store.read() as unit:
        assert [one.state for one in orders.of_payment(unit, payment_id)] == ["given_up"]


def test_a_refund_waits_until_no_call_can_take_effect_any_more(town):
    """The quarantine was made longer after the refund had been asked for."""
    payment_id = _unclear(town)
    settings = town.desk.settings
    patient = settings.settle.model_copy(update={"quarantine_minutes": 60 * 24})
    wanted_back(town, payment_id)
    town.desk = replace(town.desk, settings=settings.model_copy(update={"settle": patient}))
    put_in_place(town, town.desk.system)
    town.run_for(hours=20, rounds=20)
    assert (refunded(town), only_refund(town, payment_id).state) == (0, "due")
    town.run_for(hours=6, rounds=20)
    assert refunded(town) == DUE
    assert ending(town, payment_id)["state"] == "resolved"


def test_money_whose_call_certainly_failed_goes_back_without_waiting(town):
    payment_id = paid(town)
    asked = library_answers(town, settle=NotApplied(reason="refused", permanent=True), find_credits=[])
    hear(town)
    assert kinds(town, payment_id) == ["not_applied"]
    looked = len(asked.asked["find_credits"])
    wanted_back(town, payment_id)
    town.run()
    assert refunded(town) == DUE
    assert len(asked.asked["find_credits"]) == looked, "what certainly failed needs no search"


def test_a_patron_who_was_erased_meanwhile_gets_the_money_back_all_the_same(town):
    payment_id = _unclear(town)
    wanted_back(town, payment_id)
    with town.house.store.unit() as unit:
        unit.connection.execute(update(private_patrons).values(patron_ref=None))
    town.run()
    assert refunded(town) == DUE


def test_a_paid_payment_whose_patron_was_erased_is_a_case_and_no_call(town):
    payment_id = paid(town)
    with town.house.store.unit() as unit:
        unit.connection.execute(update(private_patrons).values(patron_ref=None))
    hear(town)
    assert kinds(town, payment_id) == ["unexpected"]
    assert "patron_erased" in trail(town, payment_id)
    assert books(town, payment_id) == {"provider": -DUE, "case": DUE}


def test_a_counter_debit_whose_outcome_is_unclear_waits_out_the_quarantine(town):
    payment_id = settled_payment(town)
    asked = library_answers(town, charge=Unclear(reason="no answer"))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run_for(minutes=14, rounds=30)
    assert len(asked.asked["charge"]) == 1
    assert only_refund(town, payment_id).charge_state == "tried"
    town.run_for(hours=2, rounds=30)
    assert len(asked.asked["charge"]) == MAX_UNCLEAR
    assert kinds(town, payment_id) == ["charge_by_hand"]


def test_a_pending_refund_is_waited_for_also_while_the_list_does_not_show_it(town):
    payment_id = settled_payment(town)
    ours = Refunded(ref="re_1", state=ReversalState.PENDING)
    provider = provider_answers(town, refund=ours, find_refunds=[])
    approved(town, payment_id)
    town.run_for(hours=5, rounds=30)
    assert only_refund(town, payment_id).state == "pending"
    foreign = Reversal(ref="re_0", kind="refund", cents=1, key="of somebody else")
    pending = Reversal(ref="re_1", kind="refund", cents=DUE, state=ReversalState.PENDING)
    provider.answers["find_refunds"] = [foreign, pending]
    town.run_for(hours=5, rounds=30)
    assert only_refund(town, payment_id).state == "pending"
    assert trail(town, payment_id).count("refund_pending") == 1, "the same again is no news"
    provider.answers["find_refunds"] = [foreign, replace(pending, state=ReversalState.DONE)]
    town.run_for(hours=5, rounds=30)
    assert only_refund(town, payment_id).state == "done"
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert kinds(town, payment_id) == []


def test_a_refund_that_stays_pending_for_two_weeks_is_told_once_and_followed_on(town):
    payment_id = settled_payment(town)
    provider = provider_answers(
        town, refund=Refunded(ref="re_1", state=ReversalState.PENDING), find_refunds=[]
    )
    approved(town, payment_id)
    town.run_for(days=LONGEST_PENDING.days - 1, rounds=60)
    assert kinds(town, payment_id) == []
    town.run_for(days=3, rounds=60)
    assert kinds(town, payment_id) == ["refund_stuck"]
    provider.answers["find_refunds"] = [Reversal(ref="re_1", kind="refund", cents=DUE)]
    town.run_for(days=1, rounds=30)
    assert only_refund(town, payment_id).state == "done"


@pytest.mark.parametrize(
    ("support", "line", "code"),
    [
        (RefundSupport.NONE, None, "treasury"),
        (RefundSupport.FULL, 0, "provider_cannot"),
        (RefundSupport.FULL, None, "second_person"),
        (RefundSupport.PARTIAL, 0, "second_person"),
    ],
)
def test_what_the_provider_cannot_give_back_is_said_when_it_is_asked_for(town, support, line, code):
    payment_id = settled_payment(town)
    known = town.desk.providers["stripe"].capabilities()
    provider_answers(town, capabilities=replace(known, refund=support))
    lines = None if line is None else (show.line_ids(town.house, payment_id)[line],)
    assert refund(town, payment_id, lines=lines).code == code
    reserved = show.refunds_of(town.house, payment_id)
    assert len(reserved) == (code == "second_person")


# --- what the provider did alone -----------------------------------------------------------------


def test_a_refund_in_the_dashboard_that_failed_before_anybody_saw_it_is_nothing(town):
    payment_id = settled_payment(town)
    before = books(town, payment_id)
    town.stripe.refund_in_dashboard(town.session_of(payment_id), 300)
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    assert show.refunds_of(town.house, payment_id) == ()
    assert kinds(town, payment_id) == []
    assert books(town, payment_id) == before


def test_more_than_was_taken_and_left_at_the_provider_is_told_and_never_posted(town):
    """A refund was reserved here while the whole sum left there, and the bank took it once more."""
    payment_id = settled_payment(town)
    asked = refund(town, payment_id, lines=(show.line_ids(town.house, payment_id)[0],))
    session = town.session_of(payment_id)
    town.stripe.refund_in_dashboard(session, DUE)
    hear(town)
    seen = town.desk.providers["stripe"].read(session)
    twice = Reversal(ref="dp_1", kind="chargeback", cents=DUE)
    provider_answers(town, read=replace(seen, reversals=(*seen.reversals, twice)))
    town.house.make_due(payment_id)
    town.run()
    assert case_of(town, payment_id, "chargeback").facts["beyond"] == DUE
    assert decide.withdraw(town.house, TREASURER, str(asked.refund_id), "it has left already").ok
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    external = [one.cents for one in show.refunds_of(town.house, payment_id) if one.state == "external"]
    assert external == [DUE, DUE]


# --- decisions that do not count -------------------------------------------------------------------


def test_a_wish_that_is_no_refund_is_no_way_around_a_case(town):
    payment_id = settled_payment(town)
    wish = Decision(choice=Choice.BOOKED_BY_HAND, reason="x", reference="4711")
    assert decide.refund(town.house, CLERK, payment_id, wish).code == "not_possible"
    assert (
        decide.refund(town.house, CLERK, payment_id, Decision(choice=Choice.REFUND, reason="x")).code
        == "no_meaning"
    )
    assert trail(town, payment_id)[-1] != "booked_by_hand"


def test_a_refund_cannot_be_asked_for_while_a_settle_call_may_be_on_its_way(town):
    payment_id = paid(town)
    town.koha.lose_answer()
    hear(town)
    assert town.view(payment_id).state is State.UNKNOWN
    assert refund(town, payment_id).code == "busy"
    assert kinds(town, payment_id) == []
    town.run_for(hours=1, rounds=20)
    assert town.view(payment_id).state is State.SETTLED


def test_the_second_of_two_clerks_who_was_told_nothing_at_the_door_is_told_in_the_room(town):
    """Both read the open case; the first decides while the second is being let in."""
    payment_id = _unclear(town)
    case = case_of(town, payment_id)
    acted: list[str] = []

    def first(name: str) -> None:
        if name == "hands.taken" and not acted:
            acted.append(name)
            with town.house.store.unit() as unit:
                found = cases.load(unit, case.case_id)
                assert found is not None
                cases.change(unit, found)

    town.world.on_failpoint = first
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="4711").code == "conflict"
    town.world.on_failpoint = None
    assert acted
    assert books(town, payment_id) == {"provider": -DUE, "case": DUE}


def test_of_two_who_close_a_case_about_nothing_of_ours_the_second_is_told(town, monkeypatch):
    with town.house.store.unit() as unit:
        cases.open_case(unit, "lindental", None, "not_in_ledger", {"cents": 5}, "stripe:pi_1")
    case = case_of(town, None)
    assert resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_DROPPED).code == "not_possible"

    with monkeypatch.context() as somebody:
        somebody.setattr(cases, "change", lambda *_, **__: False)
        assert resolve(town, case, Choice.NO_ACTION).code == "conflict"
    assert resolve(town, case, Choice.NO_ACTION).code == "done"
    assert resolve(town, case, Choice.NO_ACTION).code == "conflict"


def test_the_treasury_cannot_have_paid_out_a_line_of_another_payment(town):
    payment_id = settled_payment(town)
    town.stripe.refund_in_dashboard(town.session_of(payment_id), 300)
    hear(town)
    before = books(town, payment_id)
    voucher = {"reference": "voucher 12", "lines": ("a line of another payment",)}
    again = resolve(town, case_of(town, payment_id), Choice.REFUNDED_OUTSIDE, **voucher)
    assert again.code == "nothing_left"
    assert kinds(town, payment_id) == ["reversed"]
    assert books(town, payment_id) == before


def test_nothing_is_decided_for_a_library_that_is_not_configured_any_more(town):
    payment_id = settled_payment(town)
    desk = town.house.libraries.pop("lindental")
    assert refund(town, payment_id).code == "not_possible"
    town.house.libraries["lindental"] = desk
    assert show.refunds_of(town.house, payment_id) == ()


def test_choices_of_a_payment_that_does_not_exist_are_a_lookup_error(town):
    with pytest.raises(LookupError):
        decide.choices(town.house, "nothing")
    with pytest.raises(LookupError):
        refund(town, "nothing")


def test_a_refund_is_sent_in_the_session_that_took_the_money(town):
    payment_id = settled_payment(town)
    provider = provider_answers(town, refund=Refunded(ref="re_1", state=ReversalState.DONE))
    approved(town, payment_id)
    town.run()
    ((order,),) = provider.asked["refund"]
    with town.house.store.read() as unit:
        attempt = attempts.latest(unit, payment_id)
        (one,) = refunds.of_payment(unit, payment_id)
    assert attempt is not None
    assert (order.session_ref, order.reference, order.cents, order.currency, order.key) == (
        attempt.session_ref,
        payment_id,
        DUE,
        "EUR",
        one.key,
    )
    assert one.ended_at is not None
    assert one.ended_at <= town.world.now()
