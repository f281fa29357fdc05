"""Two cases of one payment at once: each answer is about its own question, and its own money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide
from ils_payment.store import payments
from tests.flows.decisions import (
    approved,
    books,
    cannot_charge,
    case_of,
    kinds,
    refund,
    resolve,
    settled_payment,
    took,
)
from tests.flows.truths import DUE, hear, paid

if TYPE_CHECKING:
    from tests.conftest import Town


def missing(town: Town, payment_id: str) -> None:
    """The nightly comparison finds that a confirmed credit has vanished."""
    with town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "marker_missing", {"marker": "x"}, subject="x:0:0")


def second_sum_and_missing_credit(town: Town) -> str:
    payment_id = settled_payment(town)
    took(town, payment_id, 2 * DUE)
    missing(town, payment_id)
    assert sorted(kinds(town, payment_id)) == ["marker_missing", "paid_wrong"]
    return payment_id


def test_a_credit_written_anew_by_hand_does_not_take_the_second_sum_along(town):
    payment_id = second_sum_and_missing_credit(town)
    case = case_of(town, payment_id, "marker_missing")
    assert Choice.BOOKED_BY_HAND not in decide.choices(town.house, payment_id, case.case_id)
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="K 7").code == "not_possible"
    assert resolve(town, case, Choice.NO_ACTION).ok
    assert (kinds(town, payment_id), books(town, payment_id)["case"]) == (["paid_wrong"], DUE)


def test_a_question_about_money_is_not_closed_as_looked_at(town):
    payment_id = second_sum_and_missing_credit(town)
    case = case_of(town, payment_id, "paid_wrong")
    assert Choice.NO_ACTION not in decide.choices(town.house, payment_id, case.case_id)
    assert resolve(town, case, Choice.NO_ACTION).code == "not_possible"


def test_a_word_about_money_that_went_back_pays_nothing_out_of_a_second_sum(town):
    payment_id = settled_payment(town)
    town.stripe.refund_in_dashboard(town.session_of(payment_id), 300)
    hear(town)
    took(town, payment_id, 2 * DUE)
    before = books(town, payment_id)
    vague = resolve(town, case_of(town, payment_id, "reversed"), Choice.REFUNDED_OUTSIDE, reference="re_1")
    assert (vague.code, books(town, payment_id)) == ("no_choice", before)


def test_a_fee_that_was_charged_by_hand_leaves_the_money_that_came_back_to_its_own_case(town, monkeypatch):
    payment_id = settled_payment(town)
    cannot_charge(monkeypatch)
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    charged = case_of(town, payment_id, "charge_by_hand")
    assert case_of(town, payment_id, "came_back").facts["marker"] == charged.facts["marker"]
    assert resolve(town, charged, Choice.NO_ACTION).ok
    assert (kinds(town, payment_id), books(town, payment_id)["case"]) == (["came_back"], DUE)


def test_a_payment_whose_dispute_was_won_before_it_was_settled_is_settled_after_all(town):
    payment_id = paid(town)
    koha = town.world.remotes.pop("koha.test")
    hear(town)
    town.stripe.dispute(town.session_of(payment_id))
    hear(town)
    (dispute,) = town.stripe.truth()["disputes"]
    town.stripe.close_dispute(dispute, won=True)
    hear(town)
    town.world.remotes["koha.test"] = koha
    assert sorted(kinds(town, payment_id)) == ["came_back", "chargeback"]
    assert resolve(town, case_of(town, payment_id, "chargeback"), Choice.NO_ACTION).ok
    assert resolve(town, case_of(town, payment_id, "came_back"), Choice.SETTLE_AGAIN).ok
    town.run()
    assert books(town, payment_id) == {"provider": -DUE, "library_system": DUE}


def test_money_that_a_bank_has_taken_on_top_is_not_told_to_be_with_us_again(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    town.run()
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.dispute(town.session_of(payment_id))  # The bank takes what went back already.
    hear(town)
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert kinds(town, payment_id) == ["chargeback"]


def test_money_that_is_only_promised_is_not_called_gone_twice_when_the_bank_takes_it(town):
    payment_id = settled_payment(town)
    assert refund(town, payment_id).code == "second_person"
    town.stripe.dispute(town.session_of(payment_id))
    hear(town)
    told = case_of(town, payment_id, "chargeback").facts
    assert (told["beyond"], told["promised"]) == (0, DUE)
