"""Renewals about which persons decide meanwhile: by hand, by the treasury, or for the money to go back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide
from ils_payment.flows.advance import advance
from ils_payment.flows.hands import LEASE_SECONDS
from ils_payment.model import RefundSupport, State
from ils_payment.testing.world import Crash
from tests.flows.decisions import (
    TREASURER,
    books,
    cannot_charge,
    case_of,
    kinds,
    only_refund,
    refund,
    refunded,
    resolve,
)
from tests.flows.renewing import YEAR
from tests.flows.test_refunds_odd_answers import provider_answers, put_in_place
from tests.flows.test_renewals import DEBIT, PUT, pay_for, renewed
from tests.flows.test_renewals_rare_ways import ask_a_person, once
from tests.flows.truths import ending, hear, load, marked, trail


@pytest.fixture
def town(renewing_town):
    return renewing_town


def gives_nothing_back(town):
    can = town.desk.providers["stripe"].capabilities()
    provider_answers(town, capabilities=replace(can, refund=RefundSupport.NONE))


def test_fees_that_were_booked_by_hand_leave_the_card_to_be_renewed(town):
    payment_id = town.sold(fees=True)
    (fee,) = (line for line in load(town, payment_id).lines if line.fee_ref)
    town.koha.pay_at_desk(int(town.jan), int(str(fee.fee_ref)), fee.cents)
    pay_for(town, payment_id)
    assert kinds(town, payment_id) == ["fees_differ"]
    assert town.writes() == []
    town.world.pass_time(minutes=5)  # Else the desk's credit could have come between ours and our look.
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="Kasse 7").ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["held"], end["cases"], end["claims"]) == ("settled", False, [], 0)
    assert end["books"] == {"provider": -YEAR - 150, "by_hand": 150, "library_system": YEAR}
    assert end["credits"] == [(YEAR, 0)]
    assert town.expiry() == town.until.isoformat()


def test_fees_whose_credit_is_there_and_was_called_booked_do_not_stop_the_card(town):
    """The desk took another fee during our call: two fees, two credits, and a clerk who has looked."""
    payment_id = town.sold(fees=True)
    jan = int(town.jan)
    other = town.koha.add_fee(jan, 300)
    with once(town, "koha.settle.after", lambda: town.koha.pay_at_desk(jan, other, 300)):
        pay_for(town, payment_id)
    assert kinds(town, payment_id) == ["read_back"]
    town.world.pass_time(minutes=5)
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="Kasse 7").ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["cases"], end["credits"]) == ("settled", [], [(150, 0), (YEAR, 0)])
    assert (town.expiry(), town.koha_account("jan")["balance"]) == (town.until.isoformat(), 0)


def test_the_treasury_is_told_of_nothing_while_a_lost_call_may_still_renew_the_card(town):
    gives_nothing_back(town)
    payment_id = town.sold()
    town.koha.lose_answer(operation=PUT)
    town.stripe.pay(town.session_of(payment_id))
    with once(town, "renew.recorded", town.koha.database_down):
        hear(town)
    assert refund(town, payment_id).code == "too_early"
    assert kinds(town, payment_id) == []
    town.koha.database_down(down=False)
    town.run_for(hours=1, rounds=10)
    renewed(town, payment_id)


def test_the_treasury_pays_out_no_fee_that_stays_for_a_card_that_was_never_charged(town):
    gives_nothing_back(town)
    payment_id = town.sold()
    town.koha.database_down()
    pay_for(town, payment_id)
    assert refund(town, payment_id, Meaning.FEE_STAYS).code == "no_debt"
    assert kinds(town, payment_id) == []
    assert refund(town, payment_id, Meaning.FEE_DROPPED).code == "treasury"
    assert kinds(town, payment_id) == ["treasury_pays"]


def test_the_money_of_a_card_waits_until_a_lost_call_cannot_renew_it_any_more(town):
    """The quarantine was made longer after the refund had been asked for."""
    payment_id = town.sold()
    town.koha.fail_next(1, operation=PUT, status=0)
    with once(town, "renew.recorded", town.koha.database_down):
        pay_for(town, payment_id)
    town.run_for(minutes=20, rounds=10)
    asked = refund(town, payment_id)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.koha.database_down(down=False)
    settings = town.desk.settings
    patient = settings.settle.model_copy(update={"quarantine_minutes": 60 * 24})
    town.desk = replace(town.desk, settings=settings.model_copy(update={"settle": patient}))
    put_in_place(town, town.desk.system)
    town.run()
    tried_at = town.renewal(payment_id).tried_at
    assert load(town, payment_id).due_at == tried_at + timedelta(days=1)
    town.run_for(hours=23, rounds=10)
    assert refunded(town) == 0
    town.run_for(hours=2, rounds=10)
    assert refunded(town) == YEAR
    assert books(town, payment_id) == {"provider": -YEAR, "returned": YEAR}
    assert town.writes() == []


def test_a_debit_that_is_there_twice_stops_the_refund_once_and_is_left_to_a_person(town):
    payment_id = town.sold()
    town.koha.lose_answer(operation=DEBIT)
    with once(town, "charge.after_call", town.koha.database_down):
        pay_for(town, payment_id)
    town.run_for(minutes=20, rounds=10)
    town.koha.add_fee(int(town.jan), YEAR, "ACCOUNT_RENEW", note=town.renewal(payment_id).charge_marker)
    asked = refund(town, payment_id)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.koha.database_down(down=False)
    town.run_for(hours=1, rounds=10)
    case = case_of(town, payment_id)
    assert (case.kind, refunded(town)) == ("refund_failed", 0)
    assert (town.renewal(payment_id).charge_state, town.renewal(payment_id).charge_ref) == ("by_hand", None)
    # Which of the two is the one that is owed, nobody here can say.
    assert resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_STAYS).code == "no_debt"
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    assert books(town, payment_id) == {"provider": -YEAR, "returned": YEAR}


# --- a fee whose refund comes back from the bank -----------------------------------------------------


def line_of(town, payment_id, cents):
    (line,) = (one for one in load(town, payment_id).lines if one.cents == cents)
    return line.id


def given_back(town, payment_id, cents):
    """Persons want the line of *cents* back, and the provider gives it; return the provider's refund."""
    before = set(town.stripe.truth()["refunds"])
    lines, twice = (line_of(town, payment_id, cents),), Meaning.DOUBLE_PAYMENT
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=twice, lines=lines)
    if asked.code == "second_person":
        assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    (ref,) = set(town.stripe.truth()["refunds"]) - before
    return ref


def fee_given_back(town, cents=150):
    """A paid payment of which one fee went back before anything was settled; its case is still open."""
    payment_id = town.sold(fees=True)
    with once(town, "settle.leased", lambda: ask_a_person(town, payment_id)):
        pay_for(town, payment_id)
    return payment_id, given_back(town, payment_id, cents)


def test_a_fee_that_came_back_is_settled_alone_when_the_renewed_card_was_paid_back(town, monkeypatch):
    cannot_charge(monkeypatch)
    payment_id, ref = fee_given_back(town)

    def die():
        raise Crash

    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    with once(town, "renew.renewed", die), pytest.raises(Crash):
        town.run()
    town.world.pass_time(seconds=LEASE_SECONDS + 1)
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    assert kinds(town, payment_id) == ["came_back"]
    given_back(town, payment_id, YEAR)
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["held"], end["cases"], end["credits"]) == ("settled", False, [], [(150, 0)])
    assert end["books"] == {"provider": -YEAR - 150, "returned": YEAR, "library_system": 150}
    assert town.renewal(payment_id).state == "renewed", "what was done is not given up"
    assert [to for _, to in town.writes()] == [town.until.isoformat()]


def test_a_sleeping_worker_does_not_end_a_payment_one_of_whose_fees_is_just_being_settled(town):
    town.koha.change(int(town.jan), category_id="KIND")
    town.koha.add_fee(int(town.jan), 300)
    payment_id, ref = fee_given_back(town, cents=300)

    def come_back():
        town.world.pass_time(seconds=LEASE_SECONDS + 1)
        town.stripe.finish_refund(ref, success=False)
        town.deliver_webhooks()
        advance(town.house, payment_id)
        assert kinds(town, payment_id) == ["came_back"]
        assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
        town.koha.lose_answer()
        advance(town.house, payment_id)
        assert ending(town, payment_id)["state"] == "unknown"

    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    with once(town, "renew.renewed", come_back):
        advance(town.house, payment_id)
    assert ending(town, payment_id)["state"] == "unknown"
    assert "renewal_settled" not in trail(town, payment_id)
    town.run_for(hours=1, rounds=20)
    end = ending(town, payment_id)
    assert (end["state"], end["cases"]) == ("settled", [])
    assert end["books"] == {"provider": -450, "library_system": 450}
    assert sorted(end["credits"]) == [(150, 0), (300, 0)]
    assert town.expiry() == town.until.isoformat()


def test_a_card_whose_money_all_went_back_at_the_provider_cannot_be_settled_again(town):
    payment_id = town.sold()
    town.koha.renew_account(int(town.jan))
    pay_for(town, payment_id)
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    town.stripe.refund_in_dashboard(town.session_of(payment_id))
    town.stripe.faults.lose_request(1, only="refunds.create")
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    hear(town)
    assert resolve(town, case_of(town, payment_id, "reversed"), Choice.NO_ACTION).ok
    town.run_for(hours=2, rounds=10)
    assert kinds(town, payment_id) == ["refund_failed"]
    assert books(town, payment_id) == {"provider": -YEAR, "returned": YEAR}
    assert Choice.SETTLE_AGAIN not in decide.choices(town.house, payment_id)
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).ok
    town.run()
    assert ending(town, payment_id)["state"] == "resolved"


def test_a_refund_is_not_approved_while_another_line_may_still_be_booked(renewing_town):
    """The card's credit is on its way late; approving the refund of a fee must not send it anew."""
    town = renewing_town
    payment_id = town.sold(fees=True)
    with once(town, "settle.leased", lambda: ask_a_person(town, payment_id)):
        pay_for(town, payment_id)
    fee, _card = load(town, payment_id).lines
    asked = resolve(
        town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.FEE_STAYS, lines=(fee.id,)
    )
    town.koha.apply_late(240)
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="x").ok
    town.run()
    assert (load(town, payment_id).state, load(town, payment_id).held) == (State.UNKNOWN, False)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "too_early"
    town.run_for(hours=3, rounds=60)
    assert len(marked(town, payment_id)) == 1
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=3, rounds=60)
    assert len(marked(town, payment_id)) == 1
    assert only_refund(town, payment_id).state == "done"
