"""Giving money back at Stripe: the call, what its answers mean, and how a refund is found again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
import stripe
from ils_payment_stripe import refunding
from ils_payment_stripe.client import NoAnswerError

from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import (
    Refunded,
    RefundOrder,
    RefundRefused,
    RefundSupport,
    Reversal,
    ReversalState,
    Unclear,
)
from ils_payment.ports import Refunding

CREATE = "refunds.create"


def order(session, cents=250, **changes):
    fields = {"key": "R-1", "session_ref": session, "reference": "PAY1", "cents": cents, "currency": "EUR"}
    return RefundOrder(**(fields | changes))


def refunds(simulator):
    return list(simulator.truth()["refunds"].values())


def left(simulator):
    """What Stripe has taken and not given back, in cents."""
    truth = simulator.truth()
    return truth["captured"].get("eur", 0) - truth["refunded"].get("eur", 0)


# --- the journey --------------------------------------------------------------------------------


def test_stripe_declares_what_it_implements(house):
    assert house.capabilities().refund is RefundSupport.PARTIAL
    assert isinstance(house, Refunding)


def test_a_part_and_then_the_rest_go_back(house, simulator, take, house_world):
    session = take()
    house_world.passed.clear()
    first = house.refund(order(session))
    assert isinstance(first, Refunded)
    assert first.state is ReversalState.DONE
    assert house_world.passed[-4:] == [
        "stripe.refund.before",
        "stripe.before_call",
        "stripe.after_call",
        "stripe.refund.after",
    ]
    second = house.refund(order(session, 1000, key="R-2"))
    assert isinstance(second, Refunded)
    assert set(house.find_refunds(session)) == {
        Reversal(ref=first.ref, kind="refund", cents=250, key="R-1"),
        Reversal(ref=second.ref, kind="refund", cents=1000, key="R-2"),
    }
    assert left(simulator) == 0


def test_nothing_about_the_payer_goes_to_stripe(house, simulator, take):
    house.refund(order(take()))
    assert refunds(simulator)[0]["metadata"] == {"refund": "R-1", "payment": "PAY1"}


def test_the_moneys_own_id_leads_to_it_as_well(house, simulator, take):
    session = take()
    money = house.read(session).money_ref
    assert isinstance(house.refund(order(money)), Refunded)
    assert house.find_refunds(money) == house.find_refunds(session)


def test_a_refund_that_needs_time_is_pending_until_the_bank_has_it(house, simulator, take):
    session = take(method="instant_bank_transfer")
    made = house.refund(order(session))
    assert made.state is ReversalState.PENDING
    simulator.finish_refund(made.ref)
    assert [one.state for one in house.find_refunds(session)] == [ReversalState.DONE]
    assert house.read(session).reversals == house.find_refunds(session)


def test_a_refund_can_fail_days_after_it_was_done(house, simulator, take, clock):
    session = take()
    made = house.refund(order(session, 1250))
    clock.instant += timedelta(days=5)
    simulator.finish_refund(made.ref, success=False)
    expected = Reversal(ref=made.ref, kind="refund", cents=1250, key="R-1", state=ReversalState.FAILED)
    assert house.find_refunds(session) == (expected,)
    assert house.read(session).reversals == (expected,)
    assert left(simulator) == 1250
    assert isinstance(house.refund(order(session, 1250, key="R-2")), Refunded), "the money is there again"


def test_pending_refunds_end_by_themselves_where_the_account_says_so(house, simulator, take, clock):
    simulator.account.refund_seconds = 10
    session = take(method="instant_bank_transfer")
    house.refund(order(session))
    clock.instant += timedelta(seconds=11)
    assert [one.state for one in house.find_refunds(session)] == [ReversalState.DONE]


def test_more_refunds_than_one_page_are_found_and_a_dispute_with_them(house, simulator, take):
    session = take(cents=10_000)
    made = {simulator.refund_in_dashboard(session, 1) for _ in range(123)}
    dispute = simulator.dispute(session)
    found = house.find_refunds(session)
    assert {one.ref for one in found} == made | {dispute}
    assert len(found) == 124
    assert {one.key for one in found} == {""}
    simulator.close_dispute(dispute, won=True)
    (fought,) = [one for one in house.find_refunds(session) if one.kind == "chargeback"]
    assert fought.state is ReversalState.FAILED


def test_a_session_that_nobody_paid_has_no_refunds(house, simulator, sessions, wish):
    assert house.find_refunds(sessions.create(wish()).id) == ()


# --- answers that are lost, late or wrong -------------------------------------------------------


def test_a_lost_answer_is_unclear_and_the_same_key_gives_it_again(house, simulator, take):
    session = take()
    simulator.faults.lose_answer(only=CREATE)
    assert isinstance(house.refund(order(session)), Unclear)
    (found,) = house.find_refunds(session)
    assert (found.key, found.cents) == ("R-1", 250)
    again = house.refund(order(session))
    assert again == Refunded(ref=found.ref, state=ReversalState.DONE)
    assert len(refunds(simulator)) == 1


def test_a_key_that_stripe_has_forgotten_makes_another_refund_so_the_look_comes_first(
    house, simulator, take, clock
):
    session = take()
    simulator.faults.lose_answer(only=CREATE)
    house.refund(order(session))
    clock.instant += timedelta(hours=25)
    assert [one.key for one in house.find_refunds(session)] == ["R-1"], "this is what the core sees"
    house.refund(order(session))
    assert len(refunds(simulator)) == 2


def test_already_refunded_by_this_very_refund_is_no_refusal(house, simulator, take, clock):
    session = take()
    simulator.faults.lose_answer(only=CREATE)
    house.refund(order(session, 1250))
    clock.instant += timedelta(hours=25)
    assert house.refund(order(session, 1250)) == Refunded(
        ref=refunds(simulator)[0]["id"], state=ReversalState.DONE
    )
    assert len(refunds(simulator)) == 1


def test_a_refusal_that_cannot_be_held_against_the_list_is_unclear(house, simulator, take):
    session = take()
    simulator.refund_in_dashboard(session)
    simulator.faults.fail_next(status=503, only="refunds.list")
    outcome = house.refund(order(session))
    assert isinstance(outcome, Unclear)
    assert "charge_already_refunded" in outcome.reason


@pytest.mark.parametrize("status", [409, 429, 500, 502, 503])
@pytest.mark.parametrize("after_effect", [False, True])
def test_what_does_not_say_what_happened_is_unclear(house, simulator, take, status, after_effect):
    session = take()
    simulator.faults.fail_next(status=status, after_effect=after_effect, only=CREATE)
    assert isinstance(house.refund(order(session)), Unclear)
    assert simulator.truth()["requests"][CREATE] == 1
    assert len(house.find_refunds(session)) == (1 if after_effect else 0)


@pytest.mark.parametrize(
    ("before", "cents", "said"),
    [
        (lambda stripe_, session: stripe_.refund_in_dashboard(session), 250, "charge_already_refunded"),
        (lambda stripe_, session: stripe_.dispute(session), 250, "charge_disputed"),
        (lambda stripe_, session: stripe_.refund_in_dashboard(session, 1), 1250, "greater than"),
    ],
)
def test_what_stripe_will_never_refund_is_refused_for_good(house, simulator, take, before, cents, said):
    session = take()
    before(simulator, session)
    gone = left(simulator)
    outcome = house.refund(order(session, cents))
    assert isinstance(outcome, RefundRefused)
    assert outcome.permanent
    assert said in outcome.reason
    assert left(simulator) == gone


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reference": "PAY2"}, "another payment"),
        ({"currency": "CHF"}, "another currency"),
        ({"cents": 0}, "no amount"),
        ({"cents": -5}, "no amount"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_not_sent(house, simulator, take, changes, said):
    outcome = house.refund(order(take(), **changes))
    assert isinstance(outcome, RefundRefused)
    assert outcome.permanent
    assert said in outcome.reason
    assert CREATE not in simulator.truth()["requests"]


def test_an_unpaid_session_has_nothing_to_refund(house, simulator, sessions, wish):
    outcome = house.refund(order(sessions.create(wish()).id))
    assert outcome == RefundRefused(reason="no money was taken in this session")


def test_before_anything_is_sent_a_failure_refuses_for_now_only(house, simulator, take):
    session = take()
    simulator.faults.fail_next(status=503, only="checkout.sessions.retrieve")
    outcome = house.refund(order(session))
    assert isinstance(outcome, RefundRefused)
    assert not outcome.permanent
    assert refunds(simulator) == []


def test_looking_never_says_nothing_when_it_could_not_look(house, simulator, take):
    session = take()
    for question in ("refunds.list", "disputes.list", "checkout.sessions.retrieve"):
        simulator.faults.fail_next(status=500, only=question)
        with pytest.raises(RemoteUnavailableError):
            house.find_refunds(session)


# --- classification as data ---------------------------------------------------------------------


def refusal(kind, status, code=None):
    body = {"error": {"type": "invalid_request_error", "message": "no", "code": code}}
    make = getattr(stripe, kind)
    if kind == "InvalidRequestError":
        return make("no", None, code=code, http_status=status, json_body=body)
    return make("no", http_status=status, json_body=body)


class Nobody:
    """A client whose lists are empty."""

    def __getattr__(self, name):
        return self

    def __call__(self, *_args, **_kwargs):
        return self

    def auto_paging_iter(self):
        return iter(())

    def to_dict(self):
        return {"id": "pi_1", "object": "payment_intent"}


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (refusal("InvalidRequestError", 400, "charge_already_refunded"), True),
        (refusal("InvalidRequestError", 400, "charge_disputed"), True),
        (refusal("InvalidRequestError", 400, "refund_disputed_payment"), True),
        (refusal("InvalidRequestError", 400, "charge_not_refundable"), True),
        (refusal("InvalidRequestError", 400, "amount_too_large"), True),
        (refusal("InvalidRequestError", 400), True),
        (refusal("InvalidRequestError", 404, "resource_missing"), True),
        (refusal("InvalidRequestError", 400, "balance_insufficient"), False),
        (refusal("InvalidRequestError", 400, "insufficient_funds"), False),
        (refusal("AuthenticationError", 401), False),
        (refusal("PermissionError", 403), False),
        (refusal("InvalidRequestError", 409, "lock_timeout"), None),
        (refusal("IdempotencyError", 400), None),
        (refusal("RateLimitError", 429), None),
        (refusal("APIError", 500), None),
        (refusal("StripeError", 402), None),
        (NoAnswerError(requests.Timeout(), "api.stripe.com"), None),
        (KeyError("id"), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_error_says_what_it_means(error, permanent):
    client: Any = Nobody()
    outcome = refunding._after_error(client, order("pi_1"), error)
    if permanent is None:
        assert isinstance(outcome, Unclear)
    else:
        assert isinstance(outcome, RefundRefused)
        assert outcome.permanent is permanent


ANSWER = {"id": "re_1", "amount": 250, "currency": "eur", "payment_intent": "pi_1", "status": "succeeded"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Refunded(ref="re_1", state=ReversalState.DONE)),
        ({"status": "pending"}, Refunded(ref="re_1", state=ReversalState.PENDING)),
        ({"status": "requires_action"}, Refunded(ref="re_1", state=ReversalState.PENDING)),
        ({"status": "failed"}, RefundRefused),
        ({"status": "canceled"}, RefundRefused),
        ({"status": "a word of next year"}, Unclear),
        ({"status": None}, Unclear),
        ({"id": None}, Unclear),
        ({"amount": 251}, Unclear),
        ({"currency": "usd"}, Unclear),
        ({"payment_intent": "pi_2"}, Unclear),
    ],
)
def test_each_answer_says_what_it_means(changes, expected):
    outcome = refunding._outcome(ANSWER | changes, {"payment_intent": "pi_1"}, order("pi_1"))
    assert outcome == expected if isinstance(expected, Refunded) else isinstance(outcome, expected)
