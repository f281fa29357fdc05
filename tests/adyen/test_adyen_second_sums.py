"""Money that comes on top of a payment: in the books at once, a case of its own, and nobody's fee."""

from __future__ import annotations

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, verify
from ils_payment.flows.advance import advance
from ils_payment.model import State
from ils_payment.store import payments
from tests.adyen.conftest import AdyenTown
from tests.adyen.test_adyen_journeys import DUE, settled
from tests.flows.decisions import TREASURER, approved, books, case_of, kinds, only_refund, resolve
from tests.flows.restoring import Keeper
from tests.flows.truths import load

VOUCHER = {"reference": "voucher 7"}


def second_sum(town):
    """A settled payment whose page was paid once more."""
    payment_id = settled(town)
    town.adyen.book.pay(town.session_of(payment_id), twice=True)
    town.hear()
    return payment_id


def waiting(town, *, days=0):
    """Paid twice while Koha is down: neither sum is settled."""
    payment_id = town.started(only=1)
    town.koha.database_down()
    town.adyen.book.pay(town.session_of(payment_id))
    town.hear()
    town.run_for(days=days, rounds=60)
    town.adyen.book.pay(town.session_of(payment_id), twice=True)
    town.hear()
    town.koha.database_down(down=False)
    return payment_id


def test_the_second_money_after_settling_is_a_case_too_and_stands_in_the_books(adyen_town):
    payment_id = settled(adyen_town)
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id), twice=True)
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["paid_wrong"]
    assert len(adyen_town.credits()) == 1
    assert books(adyen_town, payment_id) == {"provider": -2 * DUE, "library_system": DUE, "case": DUE}
    assert verify.verify(adyen_town.house).findings == []
    # Hearing the same again adds nothing.
    advance(adyen_town.house, payment_id)
    assert kinds(adyen_town, payment_id) == ["paid_wrong"]
    assert books(adyen_town, payment_id)["provider"] == -2 * DUE


def test_the_second_money_is_given_back_from_its_case(adyen_town):
    payment_id = settled(adyen_town)
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id), twice=True)
    adyen_town.hear()
    case = case_of(adyen_town, payment_id, "paid_wrong")
    assert case.cents == DUE, "its own amount, not both"
    voucher = "voucher 7"
    assert resolve(adyen_town, case, Choice.REFUNDED_OUTSIDE, reference=voucher, lines=(None,)).ok
    assert books(adyen_town, payment_id) == {"provider": -2 * DUE, "library_system": DUE, "outside": DUE}
    assert kinds(adyen_town, payment_id) == []
    assert not load(adyen_town, payment_id).held


def test_the_second_money_is_a_case_beside_another_open_question(adyen_town):
    payment_id = settled(adyen_town)
    with adyen_town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "marker_missing", {"marker": "x"}, what="reconciled")
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id), twice=True)
    adyen_town.hear()
    assert sorted(kinds(adyen_town, payment_id)) == ["marker_missing", "paid_wrong"]
    other = case_of(adyen_town, payment_id, "paid_wrong")
    assert resolve(adyen_town, other, Choice.REFUNDED_OUTSIDE, reference="voucher 7", lines=(None,)).ok
    assert kinds(adyen_town, payment_id) == ["marker_missing"]


def test_the_second_money_is_a_case_while_the_first_waits_for_a_clerk(adyen_town):
    payment_id = adyen_town.started(only=1)
    (line,) = load(adyen_town, payment_id).lines
    adyen_town.koha.pay_at_desk(adyen_town.koha.patron_ids["erika"], int(str(line.fee_ref)), line.cents)
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id))
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["fees_differ"]
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id), twice=True)
    adyen_town.hear()
    assert sorted(kinds(adyen_town, payment_id)) == ["fees_differ", "paid_wrong"]
    for kind in ("fees_differ", "paid_wrong"):
        assert case_of(adyen_town, payment_id, kind).cents == line.cents
    assert books(adyen_town, payment_id) == {"provider": -2 * line.cents, "case": 2 * line.cents}


def test_what_completes_a_wrong_sum_is_a_case_of_its_own(adyen_town):
    payment_id = adyen_town.started()
    ref = adyen_town.session_of(payment_id)
    adyen_town.adyen.book.pay(ref, cents=500)
    adyen_town.hear()
    adyen_town.adyen.book.pay(ref, cents=DUE - 500, twice=True)
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["paid_wrong", "paid_wrong"]
    assert books(adyen_town, payment_id) == {"provider": -DUE, "case": DUE}
    assert adyen_town.credits() == []


@pytest.mark.parametrize("way", ["outside", "provider"])
def test_a_second_sum_that_went_back_is_no_case_at_the_next_look(adyen_town, way):
    town, payment_id = adyen_town, second_sum(adyen_town)
    case = case_of(town, payment_id, "paid_wrong")
    if way == "outside":
        assert resolve(town, case, Choice.REFUNDED_OUTSIDE, **VOUCHER).ok
    else:
        asked = resolve(town, case, Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
        assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
        town.run_for(hours=2, rounds=10)
        town.hear()
    advance(town.house, payment_id)
    assert kinds(town, payment_id) == []
    assert books(town, payment_id)["library_system"] == DUE
    assert verify.verify(town.house).findings == []


def test_both_sums_of_one_page_go_back_the_second_one_at_the_provider_itself(adyen_town):
    """What is refunded from here is taken from the first money, and Adyen refuses once that is used up."""
    town, payment_id = adyen_town, second_sum(adyen_town)
    town.adyen.book.refund_seconds = 0
    asked = resolve(
        town, case_of(town, payment_id, "paid_wrong"), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT
    )
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=1, rounds=5)
    town.hear()
    assert books(town, payment_id) == {"provider": -2 * DUE, "returned": DUE, "library_system": DUE}
    approved(town, payment_id)
    town.run_for(hours=1, rounds=5)
    town.hear()
    assert kinds(town, payment_id) == ["refund_failed"]
    _first, second = town.adyen.book.payments
    town.adyen.book.finish_refund(town.adyen.book.refund(second, DUE, ""))
    town.hear()
    assert books(town, payment_id) == {"provider": -2 * DUE, "returned": 2 * DUE}
    assert sorted(kinds(town, payment_id)) == ["refund_failed", "reversed"]


def test_a_fee_that_waits_is_settled_when_the_second_sum_was_given_back(adyen_town):
    town, payment_id = adyen_town, waiting(adyen_town)
    cents = load(town, payment_id).cents
    assert resolve(town, case_of(town, payment_id), Choice.REFUNDED_OUTSIDE, **VOUCHER).ok
    assert books(town, payment_id) == {"provider": -2 * cents, "outside": cents, "case": cents}
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run_for(hours=1, rounds=5)
    assert load(town, payment_id).state is State.SETTLED
    assert [one["amount"] for one in town.credits()] == [cents]


def test_a_second_sum_that_was_booked_by_hand_takes_no_fee_along(adyen_town):
    town, payment_id = adyen_town, waiting(adyen_town)
    cents = load(town, payment_id).cents
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="credit 7").ok
    assert books(town, payment_id) == {"provider": -2 * cents, "by_hand": cents, "case": cents}
    assert kinds(town, payment_id) == ["paid_wrong"]


def test_of_two_questions_each_is_closed_by_its_own_answer(adyen_town):
    town, payment_id = adyen_town, waiting(adyen_town, days=30)
    assert sorted(kinds(town, payment_id)) == ["not_applied", "paid_wrong"]
    assert resolve(town, case_of(town, payment_id, "paid_wrong"), Choice.REFUNDED_OUTSIDE, **VOUCHER).ok
    assert kinds(town, payment_id) == ["not_applied"]
    assert Choice.SETTLE_AGAIN in decide.choices(town.house, payment_id)


def test_money_of_no_fee_is_given_back_without_a_debit(adyen_town):
    town, payment_id = adyen_town, waiting(adyen_town)
    with town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "unclear", {"marker": "x"})
    other = case_of(town, payment_id, "unclear")
    assert resolve(town, other, Choice.BOOKED_BY_HAND, reference="desk 7").ok
    assert kinds(town, payment_id) == ["paid_wrong"]
    asked = resolve(town, case_of(town, payment_id, "paid_wrong"), Choice.REFUND, meaning=Meaning.FEE_STAYS)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=3, rounds=20)
    assert only_refund(town, payment_id).charge_state == "none"


def test_a_refund_that_a_restored_ledger_and_adyen_have_forgotten_is_not_sent_again(tmp_path):
    town = AdyenTown(f"sqlite:///{tmp_path}/ledger.db", checkout="links")
    keeper = Keeper(town, tmp_path)
    payment_id = settled(town)
    line = load(town, payment_id).lines[0]
    approved(town, payment_id, lines=(line.id,))
    keeper.keep()
    town.run_for(hours=2, rounds=10)
    town.hear()
    assert town.adyen.book.refunded() == line.cents
    town.world.pass_time(days=8)
    town.adyen._api.forget_keys()
    keeper.put_back()
    keeper.compare(by_hand="compared with Adyen's list")
    refunded, found = town.adyen.book.refunded(), kinds(town, payment_id)
    town.close()
    assert refunded == line.cents
    assert found == ["refund_failed"]


def test_what_was_booked_by_hand_for_no_fee_of_the_payment_is_owed_again_by_hand(adyen_town):
    payment_id = adyen_town.started()
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id), cents=500)
    adyen_town.hear()
    case = case_of(adyen_town, payment_id, "paid_wrong")
    assert resolve(adyen_town, case, Choice.BOOKED_BY_HAND, reference="desk 7").ok
    approved(adyen_town, payment_id, Meaning.FEE_STAYS)
    adyen_town.run_for(hours=2, rounds=10)
    adyen_town.hear()
    assert only_refund(adyen_town, payment_id).charge_state == "by_hand"
    case = case_of(adyen_town, payment_id)
    assert (case.kind, case.facts["cents"]) == ("charge_by_hand", 500)


@pytest.mark.parametrize("code", ["CANCELLATION", "TECHNICAL_CANCEL", "EXPIRE"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_try_that_was_refused_and_given_up_takes_nothing_from_the_one_that_was_paid(adyen_town, code, when):
    town, payment_id = adyen_town, adyen_town.started()
    ref = town.session_of(payment_id)
    refused = town.adyen.book.decline(ref)
    if when == "before":
        town.adyen.book.tell(code, "CANCEL1", refused)
        town.hear()
    town.adyen.book.pay(ref)
    town.hear()
    if when == "after":
        town.adyen.book.tell(code, "CANCEL1", refused)
        town.hear()
    assert town.view(payment_id).state is State.SETTLED
    assert books(town, payment_id) == {"provider": -DUE, "library_system": DUE}
    assert kinds(town, payment_id) == []


def test_a_second_sum_is_given_back_beside_a_credit_that_came_late(adyen_town):
    town = adyen_town
    payment_id = town.started(only=1)
    town.koha.apply_late(1200)
    town.adyen.book.pay(town.session_of(payment_id))
    town.hear()
    town.run_for(hours=1, rounds=20)
    town.adyen.book.pay(town.session_of(payment_id), twice=True)
    town.hear()
    by_hand = resolve(town, case_of(town, payment_id, "unclear"), Choice.BOOKED_BY_HAND, reference="there")
    assert by_hand.ok
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=2, rounds=10)
    town.hear()
    assert town.adyen.book.refunded() == load(town, payment_id).cents
    assert only_refund(town, payment_id).state == "done"
