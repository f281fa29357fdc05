"""Starts whose outcome is not known, providers that cannot look them up, and sessions that stay open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ils_payment.flows import pay
from ils_payment.flows.observe import POLL
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import CannotTell, PayState, State
from tests.flows.test_refunds_odd_answers import Answers, provider_answers
from tests.flows.truths import ending, hear, load, sessions, settled, trail, void


def lost_start(town: Any) -> str:
    """A payment whose start arrived, and whose answer was lost."""
    town.stripe.faults.lose_answer(1)
    unclear = town.begin()
    assert isinstance(unclear, NotBegun)
    assert unclear.payment_id
    return unclear.payment_id


def can(town: Any, **less: Any) -> Answers:
    return provider_answers(town, capabilities=replace(town.desk.providers["stripe"].capabilities(), **less))


def test_where_a_start_cannot_be_looked_up_its_fees_stay_claimed_and_a_notice_tells_the_rest(town):
    payment_id = lost_start(town)
    provider = can(town, find=False)
    town.run_for(hours=1, rounds=20)
    assert town.view(payment_id).state is State.CREATED
    assert ending(town, payment_id)["claims"] == 4
    assert pay.cancel(town.house, payment_id).state is State.CREATED, "nobody knows what could be closed"
    del provider.answers["capabilities"]
    town.run_for(days=2, rounds=30)
    assert town.view(payment_id).state is not State.CREATED


def test_a_start_without_an_answer_stands_in_the_history(town):
    assert "start_unclear" in trail(town, lost_start(town))


def test_where_no_notice_would_tell_an_open_page_is_read_every_quarter_of_an_hour(town):
    payment_id = town.started()
    can(town, notices=False)
    for _ in range(2):
        due = load(town, payment_id).due_at
        assert due is not None
        town.world.pass_time(seconds=(due - town.world.now()).total_seconds())
        town.run()
    again = load(town, payment_id).due_at
    assert again is not None
    assert again - town.world.now() == POLL, "with notices it would be an hour after the beginning"


def test_a_provider_that_cannot_tell_is_asked_again_later(town):
    payment_id = lost_start(town)
    provider = provider_answers(town, find=CannotTell(reason="the list is late"))
    town.run_for(minutes=9, rounds=20)
    assert len(provider.asked["find"]) > 1
    assert town.view(payment_id).state is State.CREATED
    del provider.answers["find"]
    town.run_for(minutes=10, rounds=20)
    assert (town.view(payment_id).state, len(sessions(town))) == (State.OPEN, 1)
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    assert ending(town, payment_id) == settled()


def test_a_refused_start_is_not_looked_up_for_ever(town):
    town.stripe.faults.fail_next(status=400)
    refused = town.begin()
    assert isinstance(refused, NotBegun)
    provider = provider_answers(town, find=None)
    assert town.house.make_due(str(refused.payment_id))
    town.run()
    assert ending(town, str(refused.payment_id)) == void("refused")
    assert provider.asked["find"] == []


def test_a_session_that_is_open_although_its_payment_was_given_up_is_closed(town):
    payment_id = town.started()
    pay.cancel(town.house, payment_id)
    assert town.view(payment_id).state is State.VOID
    provider = provider_answers(town)
    seen = provider.real.read(town.session_of(payment_id))
    provider.answers["read"] = replace(seen, state=PayState.OPEN, final=False)
    provider.answers["close"] = seen
    provider.asked |= {"read": [], "close": []}
    town.house.make_due(payment_id)
    town.run()
    assert provider.asked["close"] == [(town.session_of(payment_id),)]
    assert ending(town, payment_id) == void("cancelled")
    assert isinstance(town.begin(), Begun), "its fees are free"


def test_with_live_keys_no_card_has_to_be_named(town):
    can(town, live=True)
    town.desk = replace(town.desk, settings=town.desk.settings.model_copy(update={"test_cards": ()}))
    town.house.libraries["lindental"] = town.desk
    assert isinstance(town.begin(), Begun)


def test_cancelling_while_no_session_can_be_found_changes_nothing(town):
    payment_id = lost_start(town)
    town.stripe.faults.lose_request(1)
    before = load(town, payment_id)
    assert pay.cancel(town.house, payment_id).state is before.state
    assert ending(town, payment_id)["claims"] == 4
