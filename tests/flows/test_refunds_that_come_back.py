"""A fee's money goes back, the card goes on, and then the bank sends the fee's money back to us."""

from __future__ import annotations

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide
from ils_payment.flows.hands import LEASE_SECONDS
from ils_payment.flows.verify import verify
from ils_payment.testing.world import Crash
from tests.flows.decisions import TREASURER, case_of, kinds, resolve
from tests.flows.renewing import YEAR
from tests.flows.test_renewals import pay_for
from tests.flows.test_renewals_rare_ways import ask_a_person, once
from tests.flows.truths import ending, hear, load

FEE = 150


@pytest.fixture
def town(renewing_town):
    return renewing_town


def goes_back(town, payment_id, line):
    asked = resolve(
        town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT, lines=(line,)
    )
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()


def card_line(town, payment_id):
    line = load(town, payment_id).renewal_line
    assert line is not None
    return line.id


def fee_comes_back(town, *, asked_at, dies_at):
    """Fee and card are paid, a person gives the fee back, the worker dies over the card, the refund fails."""
    payment_id = town.sold(fees=True)
    with once(town, asked_at, lambda: ask_a_person(town, payment_id)):
        pay_for(town, payment_id)
    (fee,) = (line.id for line in load(town, payment_id).lines if line.id != card_line(town, payment_id))
    goes_back(town, payment_id, fee)
    (ref,) = town.stripe.truth()["refunds"]

    def die():
        raise Crash(dies_at)

    town.world.pass_time(minutes=5)
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    with once(town, dies_at, die), pytest.raises(Crash):
        town.run()
    town.world.pass_time(seconds=LEASE_SECONDS + 1)
    town.stripe.finish_refund(ref, success=False)
    hear(town)
    assert kinds(town, payment_id) == ["came_back"]
    town.world.pass_time(minutes=30)
    return payment_id


@pytest.mark.parametrize(
    ("dies_at", "owed"), [("renew.renewed", 0), ("charge.before_call", 0), ("charge.done", YEAR)]
)
def test_a_card_whose_money_went_back_is_charged_for_no_more_and_the_fee_ends_the_payment(
    town, dies_at, owed
):
    payment_id = fee_comes_back(town, asked_at="settle.leased", dies_at=dies_at)
    goes_back(town, payment_id, card_line(town, payment_id))
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run_for(hours=3, rounds=20)
    end = ending(town, payment_id)
    assert end["books"] == {"provider": -YEAR - FEE, "returned": YEAR, "library_system": FEE}
    assert (end["state"], end["claims"], end["credits"]) == ("settled", 0, [(FEE, 0)])
    # Where the debit was there already, the clerk who dropped the fee takes it off.
    assert town.koha_account("jan")["balance"] == owed
    assert verify(town.house).findings == []


def test_a_fee_that_was_credited_before_its_money_came_back_is_a_question_and_not_settled_twice(town):
    payment_id = fee_comes_back(town, asked_at="settle.applied", dies_at="renew.renewed")
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run_for(hours=3, rounds=20)
    end = ending(town, payment_id)
    assert (end["held"], end["cases"]) == (True, ["fees_differ"])
    assert end["credits"] == [(FEE, 0)]
    assert end["books"] == {"provider": -YEAR - FEE, "case": YEAR + FEE}
    assert verify(town.house).findings == []
