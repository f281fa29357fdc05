"""A worker that sleeps over its lease while another one goes on: nothing happens twice, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ils_payment.domain.refunds import Meaning
from ils_payment.flows import pay
from ils_payment.flows.advance import advance
from ils_payment.flows.hands import LEASE_SECONDS, in_hands
from ils_payment.flows.work import SEND_WITHIN
from ils_payment.model import Applied, NotApplied, RefundRefused, State
from ils_payment.store import payments, refunds
from tests.conftest import KOHA
from tests.flows.decisions import (
    approved,
    books,
    case_of,
    kinds,
    only_refund,
    refunded,
    settled_payment,
)
from tests.flows.test_refunds_odd_answers import library_answers, provider_answers
from tests.flows.truths import DUE, ending, hear, load, of, paid, pay_calls, settled, trail


def sleeps_at(town: Any, name: str, payment_id: str, **span: float) -> list[str]:
    """The first worker that comes to *name* sleeps so long, and another one works on meanwhile."""
    slept: list[str] = []

    def sleep(reached: str) -> None:
        if reached == name and not slept:
            slept.append(reached)
            town.world.pass_time(**(span or {"seconds": LEASE_SECONDS + 1}))
            advance(town.house, payment_id)

    town.world.on_failpoint = sleep
    return slept


def test_a_worker_whose_reading_took_too_long_leaves_settling_to_the_one_who_did_it(town):
    payment_id = paid(town)
    remote = town.world.remotes.pop(KOHA)
    hear(town)
    town.world.remotes[KOHA] = remote
    town.world.pass_time(minutes=1)
    slept = sleeps_at(town, "observe.after_read", payment_id)
    town.run()
    assert slept
    assert ending(town, payment_id) == settled()
    assert pay_calls(town) == 1
    assert trail(town, payment_id).count("call_applied") == 1


def test_cancelling_that_took_too_long_writes_nothing_into_the_hands_of_another_worker(town):
    payment_id = town.started()

    def sleep(reached):
        if reached == "pay.after_close":
            town.world.pass_time(seconds=LEASE_SECONDS + 1)
            with town.house.store.unit() as unit:
                assert payments.lease(unit, payment_id, "another", LEASE_SECONDS)

    town.world.on_failpoint = sleep
    pay.cancel(town.house, payment_id)
    assert trail(town, payment_id)[-1] == "started"
    town.world.on_failpoint = None
    town.run_for(hours=1, rounds=10)
    assert town.view(payment_id).state is State.VOID


def test_a_counter_debit_that_another_worker_has_booked_is_booked_once(town):
    payment_id = settled_payment(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    slept = sleeps_at(town, "charge.after_call", payment_id)
    town.run()
    assert slept
    assert only_refund(town, payment_id).charge_state == "done"
    assert trail(town, payment_id).count("charged") == 1
    assert kinds(town, payment_id) == []


def test_a_refused_counter_debit_is_told_to_a_person_once(town):
    payment_id = settled_payment(town)
    asked = library_answers(town, charge=NotApplied(reason="the card is locked", permanent=True))
    approved(town, payment_id, Meaning.FEE_STAYS)
    slept = sleeps_at(town, "charge.after_call", payment_id, hours=1)
    town.run()
    assert slept
    assert len(asked.asked["charge"]) == 2, "the second one asked anew after the quarantine"
    assert kinds(town, payment_id) == ["charge_by_hand"]
    assert trail(town, payment_id).count("charge_by_hand") == 1


def test_a_refund_that_another_worker_has_found_is_booked_once(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    slept = sleeps_at(town, "refund.after_call", payment_id)
    town.run()
    assert slept
    assert refunded(town) == DUE
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert trail(town, payment_id).count("refunded") == 1


def test_a_refund_that_another_worker_saw_refused_fails_once_and_its_cents_come_back_once(town):
    payment_id = settled_payment(town)
    before = books(town, payment_id)
    provider_answers(town, refund=RefundRefused(reason="too old", permanent=True))
    approved(town, payment_id)
    slept = sleeps_at(town, "refund.after_call", payment_id)
    town.run()
    assert slept
    assert books(town, payment_id) == before
    assert trail(town, payment_id).count("refund_failed") == 1
    assert kinds(town, payment_id) == ["refund_failed"]


@pytest.mark.parametrize(("too_long", "calls"), [(True, 0), (False, 1)])
def test_a_host_that_slept_between_try_and_call_does_not_send_the_refund(town, too_long, calls):
    """Another host may have made the call instead; the try is looked up and made again under its key."""
    payment_id = settled_payment(town)
    approved(town, payment_id)
    provider = provider_answers(town)
    sent: list[Any] = []

    def send(order: Any) -> Any:
        sent.append(order.key)
        return provider.real.refund(order)

    provider.refund = send  # type: ignore[attr-defined]  # in front of the real one
    slept: list[str] = []

    def sleep(name: str) -> None:
        if name == "refund.before_call" and not slept:
            slept.append(name)
            town.world.pass_time(seconds=SEND_WITHIN.total_seconds() + too_long)

    town.world.on_failpoint = sleep
    advance(town.house, payment_id)
    assert len(sent) == calls
    town.run_for(minutes=30, rounds=10)
    assert len(sent) == 1
    assert refunded(town) == DUE
    with town.house.store.read() as unit:
        (one,) = refunds.of_payment(unit, payment_id)
    assert (one.state, one.tries, sent) == ("done", 1 + too_long, [one.key])


def test_two_credits_by_two_workers_are_a_case_that_names_both(town):
    """The first call was thought lost and took effect after all, after another worker had settled."""
    # Another patron's confirmed marker proves that an absent one would be seen.
    paid(town, patron=of(town, "jan"))
    hear(town)
    payment_id = paid(town)
    asked = library_answers(town)
    calls: list[Any] = []

    def settle(order: Any) -> Any:
        calls.append(order)
        if len(calls) == 1:
            for _ in range(40):
                town.world.pass_time(minutes=1)
                advance(town.house, payment_id)
            assert town.view(payment_id).state is State.SETTLED
            return Applied(remote_ref="99999", applied=order.cents, unapplied=0)
        return asked.real.settle(order)

    asked.settle = settle  # type: ignore[attr-defined]  # in front of the real one
    hear(town)
    assert len(calls) == 2
    facts = case_of(town, payment_id, "marker_wrong").facts
    (credit,) = [one for one in town.credits() if one["marker"] == load(town, payment_id).receipt_number]
    assert facts["credit"] == "99999"
    assert facts["first"] not in {None, facts["credit"]}
    assert credit["amount"] == DUE


def test_a_worker_that_fails_after_another_one_took_over_holds_nothing(town):
    payment_id = town.started()

    def fails(_payment: Any) -> None:
        town.world.pass_time(seconds=LEASE_SECONDS + 1)
        assert in_hands(town.house, payment_id, _rests(timedelta(hours=1), town))
        raise RuntimeError("a rule was broken")

    assert in_hands(town.house, payment_id, fails)
    assert not load(town, payment_id).held
    assert kinds(town, payment_id) == []
    assert load(town, payment_id).due_at == town.world.now() + timedelta(hours=1)


def _rests(span: timedelta, town: Any) -> Callable[[Any], Any]:
    return lambda _payment: town.world.now() + span
