"""Renewals in orders that nobody plans: what the fault schedules found, one short story each."""

from __future__ import annotations

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.flows import show
from ils_payment.model import State
from tests.flows.decisions import case_of, resolve
from tests.flows.renewing import YEAR, RenewingTown
from tests.flows.truths import ending, hear, load, trail

DEBIT = "debits.add"
PUT = "patrons.put"


@pytest.fixture
def each_town(database_url):
    built = RenewingTown(database_url)
    yield built
    built.close()


def cases_of(town, payment_id):
    return [one for one in show.case_list(town.house) if one.payment_id == payment_id]


def pay_for(town, payment_id):
    town.stripe.pay(town.session_of(payment_id))
    hear(town)


def test_a_debit_of_a_card_that_its_owner_began_to_pay_elsewhere_is_settled_with_the_card(each_town):
    town = each_town
    payment_id = town.sold()
    town.koha.lose_answer(operation=DEBIT)
    pay_for(town, payment_id)
    # The debit stands in the account, and we do not know of it yet: the patron finds it among the fees.
    other = town.started(patron=town.jan)
    town.run_for(minutes=30, rounds=30)
    end = ending(town, payment_id)
    assert (end["state"], end["cases"], end["credits"]) == ("settled", [], [(YEAR, 0)])
    pay_for(town, other)
    town.run_for(minutes=30, rounds=30)
    assert ending(town, other)["cases"] == ["fees_differ"]
    assert town.koha_account("jan")["balance"] == 150


def test_a_renewed_card_whose_owner_was_deleted_is_not_looked_at_for_ever(each_town):
    town = each_town
    payment_id = town.sold()
    town.koha.lose_answer(operation=PUT)
    pay_for(town, payment_id)
    town.run_for(minutes=2, rounds=10)
    assert town.renewal(payment_id).doubts == 1
    town.koha.tables.patrons.pop(int(town.jan))
    town.run_for(hours=2, rounds=30)
    assert town.renewal(payment_id).doubts == 0
    assert load(town, payment_id).due_at is None
    assert trail(town, payment_id)[-1] == "renewed_patron_gone"


def test_a_free_card_that_a_late_call_had_renewed_is_settled_when_it_begins_again(each_town):
    town = each_town
    town.koha.change(int(town.jan), category_id="KIND")
    payment_id = town.sold()
    # Written after twelve minutes; no other call gets through.
    town.koha.apply_late(720, operation=PUT)
    town.koha.fail_next(20, operation=PUT, status=0)
    town.run_for(minutes=30, rounds=60)
    assert case_of(town, payment_id).kind == "renewal_unclear"
    assert town.expiry() == town.until.isoformat()
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["cases"], end["claims"], end["books"]) == ("settled", [], 0, {})


def test_a_renewal_that_a_clerk_booked_by_hand_because_its_money_was_not_right_is_not_carried_out(each_town):
    town = each_town
    payment_id = town.sold()
    town.stripe.pay_other_amount(town.session_of(payment_id), 777)
    hear(town)
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="Kasse 7").ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["cases"]) == ("resolved", [])
    assert end["books"] == {"provider": -777, "by_hand": 777}
    assert town.renewal(payment_id).state == "given_up"
    assert town.writes() == []


def test_a_renewal_whose_money_went_and_came_back_after_its_end_is_not_begun_anew_by_a_booking(each_town):
    town = each_town
    payment_id = town.sold()
    session = town.session_of(payment_id)
    town.stripe.pay(session)
    refund_id = town.stripe.refund_in_dashboard(session)
    hear(town)
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).ok
    assert load(town, payment_id).state is State.RESOLVED
    town.stripe.finish_refund(refund_id, success=False)
    hear(town)
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="Kasse 8").ok
    town.run()
    assert load(town, payment_id).state is State.RESOLVED
    assert ending(town, payment_id)["books"] == {"provider": -YEAR, "by_hand": YEAR}
    assert town.writes() == []


def test_money_that_comes_back_after_a_renewal_was_paid_out_renews_nothing_any_more(each_town):
    town = each_town
    payment_id = town.sold()
    # Another amount was paid, so a person decides; a cent of it is given back at the provider alone.
    town.stripe.pay_other_amount(town.session_of(payment_id), 77777)
    one_cent = town.stripe.refund_in_dashboard(town.session_of(payment_id), 1)
    hear(town)
    town.run_for(minutes=5, rounds=5)
    for case in list(cases_of(town, payment_id)):
        resolve(town, case, Choice.REFUNDED_OUTSIDE, reference="Kasse 117")
    assert ending(town, payment_id)["state"] == "resolved"
    town.stripe.finish_refund(one_cent, success=False)
    hear(town)
    assert resolve(town, case_of(town, payment_id, "came_back"), Choice.BOOKED_BY_HAND, reference="8").ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["claims"]) == ("resolved", 0)
    assert town.writes() == []
