"""Settling against everything a library system may do: one credit, or a person who knows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest

from ils_payment.flows.advance import advance
from ils_payment.flows.hands import LEASE_SECONDS
from ils_payment.model import State
from ils_payment.store import orders
from tests.conftest import KOHA
from tests.flows.truths import (
    DUE,
    ending,
    hear,
    held,
    load,
    of,
    open_cents,
    paid,
    pay_calls,
    settled,
    trail,
)

CREDIT = "credits.add"
CREDITED = [(DUE, 0)]


def _erika(town):
    return town.koha.patron_ids["erika"]


def _confirm_a_marker(town):
    """Settle Jan's payment, so that a confirmed marker can prove that the read path is fresh."""
    other = paid(town, patron=of(town, "jan"))
    hear(town)
    assert town.view(other).state is State.SETTLED


@contextmanager
def _at(town, name, action):
    """Do *action* whenever the failpoint *name* is passed, until the end of the block."""
    town.world.on_failpoint = lambda passed: action() if passed == name else None
    yield
    town.world.on_failpoint = None


def _koha_leaves(town):
    town.world.remotes.pop(KOHA, None)


def _koha_returns(town):
    town.world.remotes[KOHA] = town.koha


# --- the fees are not as they were frozen ------------------------------------------------------


def test_a_fee_paid_at_the_desk_meanwhile_is_a_case_without_any_call(each_town):
    payment_id = paid(each_town)
    each_town.koha.pay_at_desk(_erika(each_town), 2, 450)
    hear(each_town)
    assert ending(each_town, payment_id) == held("paid", "fees_differ")
    each_town.run_for(rounds=20, days=10)
    advance(each_town.house, payment_id)
    assert ending(each_town, payment_id) == held("paid", "fees_differ")
    assert pay_calls(each_town) == 0


def test_a_fee_waived_in_part_is_a_case_without_any_call(town):
    payment_id = paid(town)
    town.koha.waive(_erika(town), 5, 1)
    hear(town)
    assert ending(town, payment_id) == held("paid", "fees_differ")
    assert pay_calls(town) == 0


def test_a_fee_that_has_grown_is_settled_with_the_frozen_cents(town):
    payment_id = paid(town)
    town.koha.grow_fee(2, 100)
    hear(town)
    assert ending(town, payment_id) == settled()
    # Koha fills the lines in its own order, so that the last one bears the rest.
    assert open_cents(town) == [3500, 0, 0, 0, 100, 220]


def test_open_credit_that_appeared_and_covers_the_fees_is_a_case(town):
    payment_id = paid(town)
    town.koha.add_open_credit(_erika(town), 4000)
    hear(town)
    assert ending(town, payment_id) == held("paid", "fees_differ")
    assert pay_calls(town) == 0


def test_a_new_fee_beside_the_frozen_ones_changes_nothing(town):
    payment_id = paid(town)
    town.koha.add_fee(_erika(town), 90)
    hear(town)
    assert ending(town, payment_id) == settled()
    assert open_cents(town)[-1] == 90


# --- unclear answers ---------------------------------------------------------------------------


def test_unclear_and_absent_without_proof_of_a_fresh_read_path_is_a_case(each_town):
    payment_id = paid(each_town)
    each_town.koha.fail_next(1, operation=CREDIT)
    hear(each_town)
    assert each_town.view(payment_id).state is State.UNKNOWN
    each_town.run_for(rounds=30, minutes=14.9)
    assert not each_town.view(payment_id).held, "the quarantine is not over"
    each_town.run_for(rounds=2, minutes=0.2)
    assert ending(each_town, payment_id) == held("unknown", "unclear")
    assert pay_calls(each_town) == 1


def test_unclear_and_surely_absent_is_posted_again_once_under_the_same_marker(each_town):
    _confirm_a_marker(each_town)
    payment_id = paid(each_town)
    each_town.koha.fail_next(1, operation=CREDIT)
    hear(each_town)
    calls = pay_calls(each_town)
    each_town.run_for(rounds=30, minutes=14.9)
    assert pay_calls(each_town) == calls, "nothing is posted within the quarantine"
    each_town.run_for(rounds=2, minutes=0.2)
    assert ending(each_town, payment_id) == settled()
    assert pay_calls(each_town) == calls + 1
    assert each_town.credits()[0]["marker"] == each_town.view(payment_id).receipt_number


def test_after_two_repetitions_that_stay_unclear_a_person_looks(town):
    _confirm_a_marker(town)
    payment_id = paid(town)
    town.koha.fail_next(9, operation=CREDIT)
    calls = pay_calls(town)
    hear(town)
    town.run_for(rounds=400, hours=3)
    assert ending(town, payment_id) == held("unknown", "unclear")
    assert pay_calls(town) == calls + 3


@pytest.mark.parametrize("how", ["error after the effect", "answer lost", "gateway"])
def test_an_unclear_call_that_was_booked_is_found_by_its_marker(each_town, how):
    payment_id = paid(each_town)
    if how == "answer lost":
        each_town.koha.lose_answer()
    else:
        status = 500 if how == "error after the effect" else 504
        each_town.koha.fail_next(1, status=status, operation=CREDIT, after_effect=True)
    hear(each_town)
    assert each_town.view(payment_id).state is State.UNKNOWN
    each_town.run_for(rounds=2, seconds=10)
    assert ending(each_town, payment_id) == settled()
    assert pay_calls(each_town) == 1


def test_a_deadlock_that_leaves_an_unapplied_credit_is_a_case_and_never_posted_again(each_town):
    _confirm_a_marker(each_town)
    payment_id = paid(each_town)
    each_town.koha.deadlock_next()
    calls = pay_calls(each_town)
    hear(each_town)
    each_town.run_for(rounds=60, hours=2)
    assert ending(each_town, payment_id) == held("unknown", "marker_wrong", credits=[(DUE, DUE)])
    assert pay_calls(each_town) == calls + 1


@pytest.mark.parametrize("seconds", [3, 300, 890])
def test_a_call_that_takes_effect_late_within_the_quarantine_is_one_credit(town, seconds):
    _confirm_a_marker(town)
    payment_id = paid(town)
    calls = pay_calls(town)
    town.koha.apply_late(seconds)
    hear(town)
    town.run_for(rounds=60, minutes=30)
    assert ending(town, payment_id) == settled()
    assert pay_calls(town) == calls + 1


def test_the_marker_twice_in_the_account_is_a_case(town):
    payment_id = paid(town)
    town.koha.lose_answer()
    hear(town)
    account = town.koha.accounts
    for line in list(town.koha.tables.lines.values()):
        if line.note.startswith("ILSP-"):
            account.pay(_erika(town), -line.amount, [], credit_type="PAYMENT", note=line.note)
    town.run_for(rounds=10, minutes=5)
    assert ending(town, payment_id)["cases"] == ["marker_wrong"]
    assert pay_calls(town) == 1


# --- certainly not applied ---------------------------------------------------------------------


def _without_right(town):
    town.koha.set_rights(_api_user(town), ["borrowers", "catalogue"])


def _with_right(town):
    town.koha.set_rights(_api_user(town), ["borrowers", "updatecharges:remaining_permissions", "catalogue"])


def _api_user(town):
    return town.koha.tables.clients["ils-payment"].patron_id


@pytest.mark.parametrize("how", ["401", "403", "refused connection"])
def test_a_call_that_certainly_failed_is_tried_again_and_settles_once_mended(each_town, how):
    breaks = {
        "401": each_town.koha.tables.tokens.clear,
        "403": lambda: _without_right(each_town),
        "refused connection": lambda: _koha_leaves(each_town),
    }[how]
    payment_id = paid(each_town)
    with _at(each_town, "koha.settle.before", breaks):
        hear(each_town)
    assert each_town.view(payment_id).state is State.PAID
    assert trail(each_town, payment_id)[-2:] == ["call_not_applied", "not_applied"]
    _with_right(each_town)
    _koha_returns(each_town)
    each_town.run_for(rounds=3, seconds=15)
    assert ending(each_town, payment_id) == settled()


def test_what_certainly_fails_is_tried_for_four_days_and_then_a_case(town):
    payment_id = paid(town)

    def switch(name):
        if name == "koha.settle.before":
            _without_right(town)
        if name == "settle.after_call":
            _with_right(town)

    town.world.on_failpoint = switch
    hear(town)
    town.run_for(rounds=95, hours=95)
    assert town.view(payment_id).state is State.PAID
    assert not town.view(payment_id).held
    assert 20 < pay_calls(town) < 150, "often at first, then about once an hour"
    town.run_for(rounds=4, hours=4)
    assert ending(town, payment_id) == held("settling", "not_applied")
    calls = pay_calls(town)
    town.run_for(rounds=10, days=10)
    assert pay_calls(town) == calls


@pytest.mark.parametrize("when", ["before the account is read", "before the call"])
def test_a_patron_who_is_gone_is_a_case_at_once(town, when):
    payment_id = paid(town)
    name = "settle.leased" if when == "before the account is read" else "koha.settle.before"
    with _at(town, name, lambda: town.koha.tables.patrons.pop(_erika(town))):
        hear(town)
    state = "paid" if when == "before the account is read" else "settling"
    assert ending(town, payment_id) == held(state, "not_applied")


def test_one_refused_payment_does_not_hold_up_the_patrons_next_one(town):
    """Certainly not applied is resolved: the case of the first is no unresolved credit order."""
    first, second = paid(town, only=1), paid(town)
    town.deliver_webhooks()
    gone: list[Any] = []

    def leave(name):
        if name == "koha.settle.before" and not gone:
            gone.append(town.koha.tables.patrons.pop(_erika(town)))
        if name == "settle.after_call":
            town.koha.tables.patrons[_erika(town)] = gone[0]

    town.world.on_failpoint = leave
    town.run_for(rounds=3, seconds=30)
    assert ending(town, first) == held("settling", "not_applied", cents=450, claims=1)
    assert ending(town, second) == settled(800)


# --- the library system is away ----------------------------------------------------------------


def test_koha_away_for_three_days_only_costs_time(each_town):
    payment_id = paid(each_town)
    _koha_leaves(each_town)
    hear(each_town)
    each_town.run_for(rounds=72, days=3)
    assert each_town.view(payment_id).state is State.PAID
    _koha_returns(each_town)
    each_town.run_for(rounds=2, hours=1.1)
    assert ending(each_town, payment_id) == settled()


def test_koha_away_for_longer_than_the_patience_is_a_case(town):
    """No state goes on for ever: a person hears of it, also when not even the account can be read."""
    payment_id = paid(town)
    _koha_leaves(town)
    hear(town)
    town.run_for(rounds=95, hours=95)
    assert not town.view(payment_id).held
    town.run_for(rounds=4, hours=4)
    assert ending(town, payment_id) == held("paid", "not_applied")
    _koha_returns(town)
    town.run_for(rounds=10, days=1)
    assert pay_calls(town) == 0


def test_koha_away_for_ever_after_an_unclear_call_is_a_case_too(town):
    payment_id = paid(town)
    town.koha.lose_answer()
    with _at(town, "settle.recorded", lambda: _koha_leaves(town)):
        hear(town)
    town.run_for(rounds=99, hours=99)
    assert ending(town, payment_id) == held("unknown", "unclear", credits=CREDITED)


def test_one_failed_reading_costs_seconds_and_not_a_lease(town):
    payment_id = paid(town)
    town.koha.fail_next(1, status=503, operation="account.get")
    hear(town)
    assert town.view(payment_id).state is State.PAID
    town.run_for(rounds=2, seconds=6)
    assert ending(town, payment_id) == settled()


def test_koha_away_at_reading_back_is_made_up_for_by_the_marker(each_town):
    payment_id = paid(each_town)
    with _at(each_town, "settle.recorded", lambda: _koha_leaves(each_town)):
        hear(each_town)
    assert each_town.view(payment_id).state is State.SETTLING
    each_town.run_for(rounds=3, minutes=5)
    _koha_returns(each_town)
    each_town.run_for(rounds=5, minutes=5)
    assert ending(each_town, payment_id) == settled()
    assert pay_calls(each_town) == 1


def test_confirmed_but_not_to_be_found_afterwards_is_a_case(town):
    _confirm_a_marker(town)
    payment_id = paid(town)
    calls = pay_calls(town)
    with _at(town, "settle.recorded", lambda: _koha_leaves(town)):
        hear(town)
    _koha_returns(town)
    for line in town.koha.tables.lines.values():
        if line.note == load(town, payment_id).receipt_number:
            line.note = "changed by somebody"
    town.run_for(rounds=40, minutes=20)
    assert ending(town, payment_id) == held("unknown", "unclear")
    assert pay_calls(town) == calls + 1


# --- somebody else books at the same moment ----------------------------------------------------


def test_a_desk_payment_at_the_very_moment_of_the_call_is_found(each_town):
    payment_id = paid(each_town)
    with _at(each_town, "koha.settle.before", lambda: each_town.koha.pay_at_desk(_erika(each_town), 2, 450)):
        hear(each_town)
    assert ending(each_town, payment_id) == held("settling", "read_back", credits=CREDITED)
    each_town.run_for(rounds=10, days=1)
    assert pay_calls(each_town) == 1


@pytest.mark.parametrize("gap", ["credit.between_store_and_apply", "credit.between_read_and_write"])
def test_a_desk_payment_inside_of_kohas_own_gaps_is_found(town, gap):
    payment_id = paid(town)
    passed = town.world.pause

    def pause(name, seconds):
        passed(name, seconds)
        if name == gap and not desk:
            desk.append(town.koha.pay_at_desk(_erika(town), 2, 450))

    desk: list[int] = []
    town.world.pause = pause
    hear(town)
    assert ending(town, payment_id) == held("settling", "read_back", credits=CREDITED)


# --- the money leaves again ---------------------------------------------------------------------


def test_a_refund_before_settling_holds_the_payment_without_any_call(town):
    payment_id = paid(town)
    _koha_leaves(town)
    hear(town)
    town.stripe.refund_in_dashboard(town.session_of(payment_id))
    town.run_for(rounds=4, hours=2)
    hear(town)
    _koha_returns(town)
    town.run_for(rounds=4, hours=4)
    gone = {"provider": -DUE, "returned": DUE}
    assert ending(town, payment_id) == held("paid", "reversed", books=gone)
    assert pay_calls(town) == 0


def test_a_refund_after_settling_is_told_once_for_each_sum(town):
    payment_id = paid(town)
    hear(town)
    gone = 0
    for cases, cents in enumerate((50, 100), 1):
        town.stripe.refund_in_dashboard(town.session_of(payment_id), cents)
        hear(town)
        gone += cents
        found = ending(town, payment_id)
        assert found["cases"] == ["reversed"] * cases
        assert found["books"] == {"provider": -DUE, "returned": gone, "library_system": DUE - gone}
        hear(town)
    assert trail(town, payment_id).count("reversed") == 2


# --- several payments, several workers ---------------------------------------------------------


def test_two_payments_of_one_patron_settle_one_after_the_other(each_town):
    first, second = paid(each_town, only=1), paid(each_town)
    each_town.deliver_webhooks()
    in_call: list[str] = []

    def settle_the_other(name):
        if name == "koha.settle.before" and not in_call:
            in_call.append(name)
            advance(each_town.house, second)
            assert pay_calls(each_town) == 0, "one at a time"

    each_town.world.on_failpoint = settle_the_other
    advance(each_town.house, first)
    assert ending(each_town, first) == settled(450)
    each_town.run_for(rounds=5, seconds=30)
    assert ending(each_town, second) == settled(800)


def test_a_patrons_second_payment_waits_for_the_unresolved_first_one(town):
    _confirm_a_marker(town)
    first, second = paid(town, only=1), paid(town)
    town.koha.fail_next(1, operation=CREDIT)
    hear(town)
    waiting = next(one for one in (first, second) if town.view(one).state is State.PAID)
    calls = pay_calls(town)
    town.run_for(rounds=28, minutes=14)
    assert (town.view(waiting).state, pay_calls(town)) == (State.PAID, calls)
    town.run_for(rounds=20, minutes=10)
    assert ending(town, first) == settled(450)
    assert ending(town, second) == settled(800)


@pytest.mark.parametrize("where", ["koha.settle.before", "koha.settle.after"])
def test_a_worker_that_slept_through_its_lease_does_not_call_twice(each_town, where):
    """The second worker finds a try without a result while the first one is still at its call."""
    payment_id = paid(each_town)
    each_town.deliver_webhooks()
    slept: list[str] = []

    def sleep(name):
        if name == where and not slept:
            slept.append(name)
            each_town.world.pass_time(seconds=LEASE_SECONDS + 1)
            advance(each_town.house, payment_id)

    each_town.world.on_failpoint = sleep
    each_town.run()
    each_town.world.on_failpoint = None
    learned = "call_not_applied" if where == "koha.settle.before" else "call_applied"
    assert learned in trail(each_town, payment_id), "what the first one learned is a fact"
    each_town.run_for(rounds=10, minutes=5)
    assert ending(each_town, payment_id) == settled()
    assert pay_calls(each_town) == 1


def test_a_worker_that_wakes_after_another_one_settled_sends_nothing(town):
    _confirm_a_marker(town)
    payment_id = paid(town)
    town.deliver_webhooks()
    calls = pay_calls(town)
    slept: list[str] = []

    def sleep(name):
        if name == "settle.before_call" and not slept:
            slept.append(name)
            for _ in range(40):
                town.world.pass_time(minutes=1)
                advance(town.house, payment_id)
            assert town.view(payment_id).state is State.SETTLED

    town.world.on_failpoint = sleep
    town.run()
    assert slept
    assert ending(town, payment_id) == settled()
    assert pay_calls(town) == calls + 1
    assert "call_not_applied" in trail(town, payment_id)
    with town.house.store.read() as unit:
        assert [one.state for one in orders.of_payment(unit, payment_id)] == ["applied"]


def test_a_worker_that_slept_before_its_call_leaves_the_patron_to_the_next_one(town):
    """The patron's lease ran out while the fees were read: the other payment's try is on its way."""
    first, second = paid(town, only=1), paid(town)
    town.deliver_webhooks()
    slept: list[str] = []
    town.koha.fail_next(1, operation=CREDIT)

    def sleep(name):
        if name == "settle.leased" and not slept:
            slept.append(name)
            town.world.pass_time(seconds=LEASE_SECONDS + 1)
            advance(town.house, second)
            assert town.view(second).state is State.UNKNOWN

    town.world.on_failpoint = sleep
    advance(town.house, first)
    town.world.on_failpoint = None
    assert pay_calls(town) == 1
    assert ending(town, first)["cases"] == []
    town.run_for(rounds=40, minutes=20)
    assert ending(town, second) == held("unknown", "unclear", cents=800, claims=3)
    # Once no call of the second one can take effect any more, its case no longer holds up the first.
    town.run_for(rounds=10, hours=1)
    assert ending(town, first) == settled(450)


def test_a_held_payment_writes_nothing_outside_whatever_is_asked(town):
    payment_id = paid(town)
    town.koha.pay_at_desk(_erika(town), 2, 450)
    hear(town)
    before = list(town.world.requests)
    for _ in range(3):
        assert town.house.make_due(payment_id)
        town.run()
        advance(town.house, payment_id)
    # Looking at the provider goes on: a refund may be made there meanwhile.
    assert {method for method, _ in town.world.requests[len(before) :]} <= {"GET"}
    assert not any("koha" in path or "/patrons" in path for _, path in town.world.requests[len(before) :])
    assert ending(town, payment_id) == held("paid", "fees_differ")
