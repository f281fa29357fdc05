"""What a refund leaves to do: in the library system, and of the payment that it was about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide
from tests.flows.decisions import (
    TREASURER,
    approved,
    case_of,
    kinds,
    refund,
    refunded,
    resolve,
    settled_payment,
)
from tests.flows.test_renewals import pay_for
from tests.flows.test_renewals_rare_ways import credit_in_question
from tests.flows.truths import DUE, ending, hear, load, paid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import Town


def owed(town: Town) -> int:
    return int(town.koha_account("erika")["balance"])


def give_back(
    town: Town,
    payment_id: str,
    meaning: Meaning,
    *,
    kind: str | None = None,
    lines: Sequence[str] | None = None,
) -> None:
    """Two persons want the money of a case to go back, and it goes."""
    asked = resolve(town, case_of(town, payment_id, kind), Choice.REFUND, meaning=meaning, lines=lines)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=3, rounds=20)
    hear(town)


def fails_late(town: Town) -> None:
    (ref,) = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    hear(town)


# --- a fee that stays, and whose credit was in question ----------------------------------------------


@pytest.mark.parametrize("before", [Meaning.FEE_STAYS, Meaning.FEE_DROPPED])
def test_a_fee_that_stays_is_charged_by_a_person_when_its_first_refund_came_back_uncharged(town, before):
    payment_id = settled_payment(town)
    koha = town.world.remotes.pop("koha.test")  # A counter-debit has to wait.
    approved(town, payment_id, before)
    town.run()
    fails_late(town)
    assert kinds(town, payment_id) == ["came_back"]
    town.world.remotes["koha.test"] = koha
    give_back(town, payment_id, Meaning.FEE_STAYS)
    assert (refunded(town), kinds(town, payment_id)) == (DUE, ["charge_by_hand"])
    case = case_of(town, payment_id)
    assert (case.facts["cents"], case.facts.get("marker")) == (DUE, None)


def test_a_counter_debit_that_may_have_been_taken_back_is_named_to_who_charges_again(town):
    payment_id = settled_payment(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    fails_late(town)
    told = case_of(town, payment_id, "came_back").facts
    give_back(town, payment_id, Meaning.FEE_STAYS)
    case = case_of(town, payment_id, "charge_by_hand")
    assert case.facts["marker"] == told["marker"]


def test_a_fee_that_stays_is_charged_by_a_person_when_its_credit_was_in_question(town):
    payment_id = paid(town)
    credit_in_question(town, payment_id)
    town.world.pass_time(minutes=30)
    give_back(town, payment_id, Meaning.FEE_STAYS)
    assert (refunded(town), kinds(town, payment_id)) == (DUE, ["charge_by_hand"])
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).ok


# --- a fee that is dropped, and was never settled -----------------------------------------------------


@pytest.mark.parametrize(
    ("meaning", "told"),
    [(Meaning.FEE_DROPPED, ["waive_by_hand"]), (Meaning.FEE_STAYS, []), (Meaning.DOUBLE_PAYMENT, [])],
)
def test_a_fee_that_is_dropped_before_it_was_settled_is_to_be_waived_by_a_person(town, meaning, told):
    payment_id = paid(town)
    town.koha.database_down()
    hear(town)
    town.koha.database_down(down=False)
    before = owed(town)
    asked = refund(town, payment_id, meaning)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=3, rounds=20)
    assert (refunded(town), owed(town), kinds(town, payment_id)) == (DUE, before, told)


def test_a_card_that_was_never_renewed_leaves_no_fee_to_be_waived(renewing_town):
    town = renewing_town
    payment_id = town.sold()
    town.koha.database_down()
    pay_for(town, payment_id)
    town.koha.database_down(down=False)
    asked = refund(town, payment_id)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=3, rounds=20)
    assert kinds(town, payment_id) == []


# --- a free card beside a fee -------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["refund", "outside", "chargeback"])
def test_a_free_card_is_renewed_all_the_same_when_the_fee_beside_it_goes_back(renewing_town, how):
    town = renewing_town
    town.with_tariff(0)
    payment_id = town.sold(fees=True)
    fee, card = load(town, payment_id).lines
    assert (fee.cents, card.cents) == (150, 0)
    if how == "chargeback":
        town.stripe.pay(town.session_of(payment_id))
        koha = town.world.remotes.pop("koha.test")
        hear(town)
        town.stripe.dispute(town.session_of(payment_id))
        hear(town)
        town.world.remotes["koha.test"] = koha
        assert resolve(town, case_of(town, payment_id, "chargeback"), Choice.NO_ACTION).ok
    else:
        town.koha.pay_at_desk(int(town.jan), int(str(fee.fee_ref)), fee.cents)
        pay_for(town, payment_id)
        case = case_of(town, payment_id, "fees_differ")
        if how == "refund":
            give_back(town, payment_id, Meaning.DOUBLE_PAYMENT, lines=(fee.id,))
        else:
            assert resolve(town, case, Choice.REFUNDED_OUTSIDE, reference="7", lines=(fee.id,)).ok
    town.run_for(days=2, rounds=40)
    assert (town.expiry(), kinds(town, payment_id)) == (town.until.isoformat(), [])
    assert not load(town, payment_id).held


@pytest.mark.parametrize("how", ["refund", "by hand"])
def test_a_free_card_is_not_renewed_when_the_sum_beside_it_was_wrong(renewing_town, how):
    town = renewing_town
    town.with_tariff(0)
    before = town.expiry()
    payment_id = town.sold(fees=True)
    town.stripe.pay_other_amount(town.session_of(payment_id), 77)
    hear(town)
    if how == "refund":
        give_back(town, payment_id, Meaning.DOUBLE_PAYMENT, kind="paid_wrong")
    else:
        assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="K 7").ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["claims"], kinds(town, payment_id)) == ("resolved", 0, [])
    assert (town.expiry(), town.renewal(payment_id).state) == (before, "given_up")


# --- when a refund is stuck ---------------------------------------------------------------------------


def test_a_refund_that_waited_days_for_its_approval_is_not_stuck_when_it_is_sent(town):
    payment_id = town.started(method="instant_bank_transfer")
    town.stripe.pay(town.session_of(payment_id), "pay_by_bank")
    hear(town)
    asked = refund(town, payment_id)
    town.world.pass_time(days=5)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    assert kinds(town, payment_id) == []


def test_a_provider_that_was_taken_out_of_the_configuration_leaves_refunds_to_the_treasury(town):
    payment_id = settled_payment(town)
    town.house.libraries = {town.desk.key: replace(town.desk, providers={})}
    assert refund(town, payment_id).code == "treasury"
    assert kinds(town, payment_id) == ["treasury_pays"]
