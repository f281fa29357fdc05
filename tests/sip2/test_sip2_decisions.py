"""What a person decides where each fee has a call of its own, or no marker can be read again."""

from __future__ import annotations

import pytest
from ils_payment_sip2.simulator import Fault, Habits

from ils_payment.domain.decisions import Choice
from ils_payment.errors import PinNeededError
from ils_payment.flows import decide, pay, see
from ils_payment.model import State
from tests.flows.decisions import books, case_of, kinds, resolve, took
from tests.flows.truths import load
from tests.sip2.conftest import CARD
from tests.sip2.test_sip2_journeys import GOSSIP


def _second_call_is_lost(town):
    calls = []

    def passed(name):
        if name == "settle.before_call":
            calls.append(name)
            if len(calls) == 2:
                town.server.go_wrong(Fault.LOST)

    payment_id = town.started()
    town.world.on_failpoint = passed
    town.pay(payment_id)
    town.run_for(hours=2, rounds=20)
    town.world.on_failpoint = None
    return payment_id


def test_fees_whose_calls_were_still_to_come_are_settled_when_one_was_found_booked(built):
    town = built(**GOSSIP)
    payment_id = _second_call_is_lost(town)
    first, second, *others = load(town, payment_id).lines
    assert len(others) == 2
    case = case_of(town, payment_id, "unclear")
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="found in the account").ok
    town.run_for(hours=2, rounds=20)
    assert town.books()["balance"] == 0
    assert sorted(one["amount"] for one in town.booked()) == sorted(
        line.cents for line in (first, second, *others)
    )
    assert town.view(payment_id).state is State.SETTLED
    through_us = load(town, payment_id).cents - second.cents
    assert books(town, payment_id) == {
        "provider": -load(town, payment_id).cents,
        "by_hand": second.cents,
        "library_system": through_us,
    }
    assert kinds(town, payment_id) == []


@pytest.mark.parametrize("preset", ["generic", "koha"])
def test_what_was_called_booked_is_not_written_again_where_no_marker_can_be_read(built, preset):
    town = built(preset=preset)
    payment_id = town.started()

    def a_new_fee(name):
        if name == "settle.after_call":
            town.world.on_failpoint = None
            town.server.books.add_fee(CARD, 1250, "verloren", since=town.world.now().date())

    town.world.on_failpoint = a_new_fee
    town.pay(payment_id)
    case = case_of(town, payment_id, "read_back")
    assert Choice.SETTLE_AGAIN not in decide.choices(town.house, payment_id)
    town.world.pass_time(hours=1)
    assert resolve(town, case, Choice.SETTLE_AGAIN).code == "not_possible"
    town.run()
    assert [one["amount"] for one in town.booked()] == [1250]
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="seen").ok
    assert town.view(payment_id).state is State.RESOLVED


def test_where_nobody_can_look_the_fees_that_were_not_tried_stay_with_the_case(built):
    """The clerk may have booked them all: without a look they would be written again."""
    town = built(preset="gossip", dialect={}, habits=Habits(refuses_surplus=False))
    payment_id = _second_call_is_lost(town)
    booked = [one["amount"] for one in town.booked()]
    case = case_of(town, payment_id, "unclear")
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="found in the account").ok
    town.run_for(hours=2, rounds=20)
    assert [one["amount"] for one in town.booked()] == booked
    assert kinds(town, payment_id) == ["unclear"]
    rest = books(town, payment_id)["case"]
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="all of them").ok
    assert books(town, payment_id)["by_hand"] >= rest
    assert town.view(payment_id).state is State.RESOLVED


def refused(town, payment_id):
    """It is paid, and the server refuses the call."""
    town.server.go_wrong(Fault.REFUSED)
    town.pay(payment_id)


def booked_by_hand(town, payment_id):
    """A clerk books the fee, and says so."""
    town.server.books.pay(CARD, 1250, at=town.world.now())
    case = case_of(town, payment_id, "not_applied")
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="desk 7").ok


def test_an_account_that_was_kept_while_a_clerk_booked_by_hand_pays_no_fee_again(built):
    town = built(dialect={}, habits=Habits(refuses_surplus=False))
    payment_id = town.started()
    town.world.pass_time(minutes=1)
    refused(town, payment_id)
    patron = town.erika
    (fees,) = see.fees(town.house, town.desk, patron).lines
    town.world.pass_time(minutes=1)
    booked_by_hand(town, payment_id)
    town.world.pass_time(minutes=1)
    with pytest.raises(PinNeededError, match="before the patron's last payment"):
        pay.begin(town.house, town.desk, patron, [fees.key], "card", "de", fees.cents)


def test_money_that_comes_after_the_fee_was_booked_by_hand_for_another_payment_is_a_case(built):
    town = built(dialect={}, habits=Habits(refuses_surplus=False))
    late = town.started()
    pay.cancel(town.house, late)
    town.world.pass_time(minutes=1)
    other = town.started()
    refused(town, other)
    booked_by_hand(town, other)
    took(town, late, 1250)
    town.run()
    assert (load(town, late).held, len(kinds(town, late))) == (True, 1)
    assert town.books()["balance"] == 0
