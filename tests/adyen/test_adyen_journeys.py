"""Whole journeys with Adyen, Koha and the real program between them: paid, settled, given back, held."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from ils_payment.flows import pay, show
from ils_payment.flows.advance import advance, due, forget_old_notices, take_notices
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import State
from ils_payment.store import attempts, chain
from ils_payment.store.tables import notices
from tests.adyen.conftest import AdyenTown
from tests.flows.decisions import approved, books, kinds, only_refund

DUE = 1250


def paid(town, **options):
    payment_id = town.started(**options)
    town.adyen.book.pay(town.session_of(payment_id))
    town.hear()
    return payment_id


def settled(town, **options):
    payment_id = paid(town, **options)
    assert town.view(payment_id).state is State.SETTLED
    return payment_id


# --- paying ------------------------------------------------------------------------------------


def test_a_payment_is_settled_by_its_notice_alone(adyen_town):
    payment_id = settled(adyen_town)
    assert [one["amount"] for one in adyen_town.credits()] == [DUE]
    assert adyen_town.view(payment_id).paid_at is not None
    assert adyen_town.adyen.truth()["captured"] == {"EUR": DUE}


def test_a_payment_is_settled_by_its_notice_on_postgresql_too(postgresql_url):
    town = AdyenTown(postgresql_url)
    try:
        payment_id = settled(town)
        with town.house.store.read() as unit:
            assert chain.broken_at(unit, payment_id) is None
    finally:
        town.close()


@pytest.mark.parametrize("habit", ["duplicate", "reorder", "batch"])
def test_bad_habits_of_delivery_settle_once(adyen_town, habit):
    setattr(adyen_town.adyen.habits, habit, 2)
    payment_id = adyen_town.started()
    adyen_town.adyen.book.decline(adyen_town.session_of(payment_id))
    psp = adyen_town.adyen.book.pay(adyen_town.session_of(payment_id))
    adyen_town.adyen.book.tell("CAPTURE", "CAPTURE1", psp)
    adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.SETTLED
    assert len(adyen_town.credits()) == 1
    assert kinds(adyen_town, payment_id) == []


def test_a_notice_that_another_worker_hears_while_the_link_is_read_is_weighed(town_with):
    town = town_with()
    payment_id = town.started()
    town.adyen.book.pay(town.session_of(payment_id), cents=777)

    def hear_elsewhere(name: str) -> None:
        if name == "observe.after_read":
            town.deliver_webhooks()
            due(town.house, 10)

    town.world.on_failpoint = hear_elsewhere
    advance(town.house, payment_id)
    assert town.credits() == []
    assert kinds(town, payment_id) == ["paid_wrong"]


def test_a_notice_that_comes_before_our_own_answer_is_not_lost(adyen_town):
    way = "links" if adyen_town.desk.providers["adyen"].capabilities().close else "sessions"
    adyen_town.adyen.faults.lose_answer(only=way)
    begun = adyen_town.begin()
    assert isinstance(begun, NotBegun)
    [page] = adyen_town.adyen.truth()["pages"].values()
    adyen_town.adyen.book.pay(page["id"])
    adyen_town.hear()
    adyen_town.run_for(minutes=2)
    assert adyen_town.view(page["wanted"]["reference"]).state is State.SETTLED
    assert len(adyen_town.adyen.truth()["pages"]) == 1


@pytest.mark.parametrize("lost", ["lose_request", "lose_answer"])
def test_a_start_without_an_answer_is_looked_up_and_never_doubled(adyen_town, lost):
    getattr(adyen_town.adyen.faults, lost)()
    begun = adyen_town.begin()
    assert isinstance(begun, NotBegun)
    assert begun.payment_id is not None
    adyen_town.run_for(minutes=1)
    assert adyen_town.view(begun.payment_id).state is State.OPEN
    assert len(adyen_town.adyen.truth()["pages"]) == 1
    again = adyen_town.begin()
    assert isinstance(again, NotBegun)
    assert again.code == "nothing_chosen"


def test_a_lost_notice_does_no_harm_where_the_link_can_be_read(town_with):
    town = town_with(checkout="links")
    town.adyen.habits.drop = True
    payment_id = town.started()
    town.adyen.book.pay(town.session_of(payment_id))
    town.run_for(minutes=4)
    assert town.view(payment_id).state is State.SETTLED


def test_the_way_back_of_a_session_is_read_at_once_with_what_adyen_added(town_with):
    town = town_with(checkout="sessions")
    town.adyen.habits.drop = True
    payment_id = town.started()
    ref = town.session_of(payment_id)
    town.adyen.book.pay(ref)
    town.run_for(minutes=4)
    assert town.view(payment_id).state is State.OPEN
    pay.come_back(town.house, payment_id, {"sessionId": ref, "sessionResult": "guessed"})
    town.run()
    assert town.view(payment_id).state is State.OPEN
    result = town.adyen.book.pages[ref]["result"]
    pay.come_back(town.house, payment_id, {"sessionId": ref, "sessionResult": result})
    assert town.view(payment_id).state is State.PAID
    town.run()
    assert town.view(payment_id).state is State.SETTLED


def test_coming_back_from_a_link_only_makes_the_payment_due(town_with):
    town = town_with(checkout="links")
    payment_id = town.started()
    before = town.adyen.truth()["requests"]
    pay.come_back(town.house, payment_id, {"anything": "x"})
    assert town.adyen.truth()["requests"] == before
    assert payment_id in due(town.house, 10)


def test_a_payment_that_the_bank_confirms_later_is_settled_then(adyen_town):
    payment_id = adyen_town.started(method="instant_bank_transfer")
    adyen_town.adyen.book.pay_later(adyen_town.session_of(payment_id))
    adyen_town.hear()
    assert adyen_town.view(payment_id).state is not State.SETTLED
    adyen_town.world.pass_time(seconds=30)
    adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.SETTLED


# --- not paying --------------------------------------------------------------------------------


def test_a_refused_try_ends_nothing(adyen_town):
    payment_id = adyen_town.started()
    adyen_town.adyen.book.decline(adyen_town.session_of(payment_id))
    adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.OPEN
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id))
    adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.SETTLED


def test_an_abandoned_page_frees_the_fees_once_adyen_says_that_it_is_over(adyen_town):
    payment_id = adyen_town.started()
    for _ in range(40):
        adyen_town.world.pass_time(minutes=1)
        adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.VOID
    assert isinstance(adyen_town.begin(), Begun)


def test_without_the_event_an_abandoned_session_keeps_its_fees_and_says_so(town_with):
    town = town_with(checkout="sessions")
    town.adyen.habits.offer_closed = False
    payment_id = town.started()
    town.run_for(days=2)
    view = town.view(payment_id)
    assert (view.state, view.can_cancel) == (State.OPEN, False)


def test_a_closed_offer_ends_a_session_only_after_its_own_end(town_with):
    town = town_with(checkout="sessions")
    payment_id = town.started()
    ref = town.session_of(payment_id)
    town.adyen.book._tell("OFFER_CLOSED", "OFFER1", town.adyen.book.pages[ref]["wanted"])
    town.hear()
    assert town.view(payment_id).state is State.OPEN
    town.adyen.book.pay(ref)
    town.hear()
    assert town.view(payment_id).state is State.SETTLED


def test_a_link_can_be_cancelled_and_a_session_cannot(adyen_town):
    payment_id = adyen_town.started()
    closes = adyen_town.desk.providers["adyen"].capabilities().close
    assert adyen_town.view(payment_id).can_cancel is closes
    after = pay.cancel(adyen_town.house, payment_id)
    assert after.state is (State.VOID if closes else State.OPEN)


def test_money_for_a_payment_that_was_given_up_is_taken_up_again(adyen_town):
    payment_id = adyen_town.started()
    for _ in range(40):
        adyen_town.world.pass_time(minutes=1)
        adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.VOID
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id), twice=True)
    adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.SETTLED


# --- evidence that is not right ----------------------------------------------------------------


@pytest.mark.parametrize("habit", ["flip_live", "account"])
def test_a_notice_of_another_mode_or_account_is_a_case_and_settles_nothing(adyen_town, habit):
    setattr(adyen_town.adyen.habits, habit, "OtherECOM")
    payment_id = paid(adyen_town)
    assert kinds(adyen_town, payment_id) == ["paid_wrong"]
    assert adyen_town.credits() == []


def test_another_amount_is_a_case_and_settles_nothing(adyen_town):
    payment_id = adyen_town.started()
    adyen_town.adyen.book.pay(adyen_town.session_of(payment_id), cents=DUE - 1)
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["paid_wrong"]
    assert adyen_town.credits() == []


def test_paying_twice_on_one_page_is_a_case(adyen_town):
    payment_id = adyen_town.started()
    ref = adyen_town.session_of(payment_id)
    adyen_town.adyen.book.pay(ref)
    adyen_town.adyen.book.pay(ref, twice=True)
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["paid_wrong"]
    assert adyen_town.credits() == []


def test_a_notice_of_no_payment_here_is_counted_and_does_nothing(adyen_town):
    payment_id = adyen_town.started()
    ref = adyen_town.session_of(payment_id)
    stranger = {**adyen_town.adyen.book.pages[ref]["wanted"], "reference": "another-shops-order"}
    adyen_town.adyen.book._tell("AUTHORISATION", "PSPSTRANGER", stranger)
    adyen_town.hear()
    assert adyen_town.view(payment_id).state is State.OPEN
    with adyen_town.house.store.read() as unit:
        rows = unit.connection.execute(select(notices.c.handled)).scalars().all()
    assert rows == ["foreign"]


# --- replays -----------------------------------------------------------------------------------


def test_a_replayed_notice_changes_nothing_even_after_its_row_was_forgotten(adyen_town):
    payment_id = settled(adyen_town)
    first = list(adyen_town.adyen.outbox.deliveries)
    with adyen_town.house.store.read() as unit:
        before = chain.read_audit(unit, payment_id)
    for days in (1, 200):
        adyen_town.world.pass_time(days=days)
        forget_old_notices(adyen_town.house)
        for delivery in first:
            delivery.state, delivery.due = "waiting", adyen_town.world.now()
        adyen_town.hear()
    with adyen_town.house.store.read() as unit:
        assert chain.read_audit(unit, payment_id) == before
        assert chain.broken_at(unit, payment_id) is None
    assert len(adyen_town.credits()) == 1


def test_what_a_notice_told_stands_in_the_trail_without_personal_data(adyen_town):
    payment_id = settled(adyen_town)
    with adyen_town.house.store.read() as unit:
        [told] = [row for row in chain.read_audit(unit, payment_id) if row["what"] == "told"]
    facts = json.loads(told["facts"])
    assert facts["notice"] == f"AUTHORISATION:{adyen_town.money_of(payment_id)}:true"
    assert facts["observation"]["captured"] == DUE
    assert set(facts) == {"notice", "kind", "observation", "fence"}


# --- money that leaves again -------------------------------------------------------------------


@pytest.fixture
def slow_town(town_with):
    """A town whose refunds are through only when the test says so."""
    town = town_with(checkout="links")
    town.adyen.book.refund_seconds = None
    return town


def test_a_refund_is_pending_until_its_notice_and_done_with_it(slow_town):
    town = slow_town
    payment_id = settled(town)
    approved(town, payment_id)
    town.run()
    assert only_refund(town, payment_id).state == "pending"
    [ref] = town.adyen.truth()["refunds"]
    town.run_for(days=1)
    assert only_refund(town, payment_id).state == "pending"
    town.adyen.book.finish_refund(ref)
    town.hear()
    assert only_refund(town, payment_id).state == "done"
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert town.adyen.truth()["refunded"] == DUE
    assert kinds(town, payment_id) == []


def test_the_notice_of_a_refund_may_come_before_our_own_answer(slow_town):
    town = slow_town
    payment_id = settled(town)
    approved(town, payment_id)
    town.adyen.faults.lose_answer(only="refunds")
    town.run()
    assert only_refund(town, payment_id).state == "tried"
    [ref] = town.adyen.truth()["refunds"]
    town.adyen.book.finish_refund(ref)
    town.hear()
    town.run_for(hours=2)
    assert only_refund(town, payment_id).state == "done"
    assert list(town.adyen.truth()["refunds"]) == [ref]


@pytest.mark.parametrize("lost", ["lose_request", "lose_answer"])
def test_a_refund_whose_answer_was_lost_is_repeated_under_its_key_and_never_doubled(slow_town, lost):
    town = slow_town
    payment_id = settled(town)
    approved(town, payment_id)
    getattr(town.adyen.faults, lost)(2, only="refunds")
    town.run_for(hours=3)
    assert only_refund(town, payment_id).state == "pending"
    [ref] = town.adyen.truth()["refunds"]
    town.adyen.book.finish_refund(ref)
    town.hear()
    town.run_for(hours=2)
    assert only_refund(town, payment_id).state == "done"
    assert town.adyen.truth()["refunded"] == DUE


def test_an_unclear_refund_is_not_repeated_once_adyen_may_have_forgotten_its_key(slow_town):
    town = slow_town
    payment_id = settled(town)
    approved(town, payment_id)
    town.adyen.faults.lose_answer(10_000, only="refunds")
    town.run_for(days=6)
    town.world.pass_time(days=2)
    town.run()
    asked = town.adyen.truth()["requests"]["refunds"]
    town.adyen._api.forget_keys()
    town.run_for(days=20)
    assert town.adyen.truth()["requests"]["refunds"] == asked
    assert len(town.adyen.truth()["refunds"]) == 1
    assert kinds(town, payment_id) == ["refund_stuck"]
    # The notice still tells what became of it.
    [ref] = town.adyen.truth()["refunds"]
    town.adyen.book.finish_refund(ref)
    town.hear()
    town.run_for(hours=2)
    assert only_refund(town, payment_id).state == "done"


def test_a_refund_that_is_refused_by_notice_is_a_case_and_can_be_decided_again(slow_town):
    town = slow_town
    payment_id = settled(town)
    approved(town, payment_id)
    town.run()
    [ref] = town.adyen.truth()["refunds"]
    town.adyen.book.finish_refund(ref, success=False)
    town.hear()
    town.run_for(hours=1)
    assert only_refund(town, payment_id).state == "failed"
    assert kinds(town, payment_id) == ["refund_failed"]


@pytest.mark.parametrize("code", ["REFUND_FAILED", "REFUNDED_REVERSED"])
@pytest.mark.parametrize("first", ["done", "came back"])
def test_a_refund_that_comes_back_is_a_case_whichever_notice_comes_first(slow_town, code, first):
    town = slow_town
    payment_id = settled(town)
    approved(town, payment_id)
    town.run()
    [ref] = town.adyen.truth()["refunds"]
    town.adyen.habits.reorder = first == "came back"
    town.adyen.book.finish_refund(ref)
    if first == "done":
        town.hear()
        assert only_refund(town, payment_id).state == "done"
    town.adyen.book.refund_comes_back(ref, code)
    town.hear()
    town.run_for(hours=1)
    assert only_refund(town, payment_id).state == "failed"
    assert len(kinds(town, payment_id)) == 1


def test_a_part_is_given_back_twice_with_a_key_each(slow_town):
    town = slow_town
    town.adyen.book.refund_seconds = 0
    payment_id = settled(town)
    for line in show.line_ids(town.house, payment_id):
        approved(town, payment_id, lines=(line,))
        town.run()
        town.hear()
        town.run_for(minutes=20)
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert town.adyen.truth()["refunded"] == DUE


def test_a_refund_made_at_adyen_alone_is_booked_and_a_case(adyen_town):
    payment_id = settled(adyen_town)
    book = adyen_town.adyen.book
    book.finish_refund(book.refund(adyen_town.money_of(payment_id), 300, "made in the back office"))
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["reversed"]
    assert books(adyen_town, payment_id) == {"provider": -DUE, "returned": 300, "library_system": DUE - 300}


def test_a_chargeback_is_a_case_its_reversal_and_a_second_one_too(adyen_town):
    payment_id = settled(adyen_town)
    money = adyen_town.money_of(payment_id)
    dispute = adyen_town.adyen.book.charge_back(money)
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["chargeback"]
    assert books(adyen_town, payment_id) == {"provider": -DUE, "returned": DUE}
    adyen_town.adyen.book.tell("CHARGEBACK_REVERSED", dispute, money)
    adyen_town.hear()
    assert sorted(kinds(adyen_town, payment_id)) == ["came_back", "chargeback"]
    adyen_town.adyen.book.tell("SECOND_CHARGEBACK", dispute, money)
    adyen_town.hear()
    assert sorted(kinds(adyen_town, payment_id)) == ["came_back", "chargeback", "chargeback"]


@pytest.mark.parametrize(
    "code", ["CAPTURE_FAILED", "CANCELLATION", "TECHNICAL_CANCEL", "CANCEL_OR_REFUND", "EXPIRE"]
)
def test_money_that_does_not_come_after_all_is_a_case(adyen_town, code):
    payment_id = settled(adyen_town)
    adyen_town.adyen.book.tell(code, "MODIFICATION1", adyen_town.money_of(payment_id))
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["chargeback" if code == "CAPTURE_FAILED" else "reversed"]
    assert books(adyen_town, payment_id) == {"provider": -DUE, "returned": DUE}


def test_an_inquiry_of_a_bank_moves_nothing(adyen_town):
    payment_id = settled(adyen_town)
    money = adyen_town.money_of(payment_id)
    adyen_town.adyen.book.tell("NOTIFICATION_OF_CHARGEBACK", "DISPUTE1", money)
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == []


def test_a_cancellation_that_overtakes_the_authorisation_settles_nothing(adyen_town):
    adyen_town.adyen.habits.reorder = True
    payment_id = adyen_town.started()
    psp = adyen_town.adyen.book.pay(adyen_town.session_of(payment_id))
    adyen_town.adyen.book.tell("CANCELLATION", "CANCEL1", psp)
    adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["reversed"]
    assert adyen_town.credits() == []


def test_a_reversal_that_names_only_the_money_is_found_once_the_money_is_known(adyen_town):
    payment_id = adyen_town.started()
    psp = adyen_town.adyen.book.pay(adyen_town.session_of(payment_id))
    [authorisation] = adyen_town.adyen.outbox.deliveries
    authorisation.due += timedelta(minutes=5)
    adyen_town.adyen.book.tell("CHARGEBACK", "DISPUTE1", psp, reference="a reference of the bank")
    adyen_town.hear()
    with adyen_town.house.store.read() as unit:
        assert unit.connection.execute(select(notices.c.handled)).scalars().all() == ["foreign"]
    for _ in range(6):
        adyen_town.world.pass_time(minutes=1)
        adyen_town.hear()
    assert kinds(adyen_town, payment_id) == ["chargeback"]


@pytest.mark.parametrize("question", [1, 2])
def test_a_reversal_that_is_told_while_its_money_becomes_known_is_heard(
    postgresql_url, monkeypatch, question
):
    """Another worker learns which payment the money belongs to just after we have asked for it."""
    town = AdyenTown(postgresql_url, checkout="links")
    payment_id = town.started()
    psp = town.adyen.book.pay(town.session_of(payment_id))
    [authorisation] = town.adyen.outbox.deliveries
    soon = authorisation.due
    assert soon is not None
    authorisation.due = soon + timedelta(minutes=5)
    town.adyen.book.tell("REFUND", "REFUND1", psp, reference="typed by hand")
    town.deliver_webhooks()
    real, asked = attempts.payment_of, []

    def hear_of_the_money():
        authorisation.due = soon
        town.deliver_webhooks()
        due(town.house, 10)
        advance(town.house, payment_id)

    worker = threading.Thread(target=hear_of_the_money)

    def payment_of(unit, notice):
        found = real(unit, notice)
        if threading.current_thread() is worker:
            return found
        asked.append(found)
        if len(asked) == question:
            worker.start()
            # It is through by then, or waits for this transaction.
            worker.join(5)
        return found

    monkeypatch.setattr(attempts, "payment_of", payment_of)
    take_notices(town.house)
    worker.join(30)
    assert asked == [None, payment_id if question == 1 else None]
    town.run_for(rounds=3, minutes=10)
    assert kinds(town, payment_id) == ["reversed"]
    town.close()


def test_a_chargeback_of_money_whose_own_notice_never_came_is_booked(town_with):
    town = town_with(checkout="sessions")
    town.adyen.habits.drop = True
    payment_id = town.started()
    ref = town.session_of(payment_id)
    psp = town.adyen.book.pay(ref)
    pay.come_back(town.house, payment_id, {"sessionResult": town.adyen.book.pages[ref]["result"]})
    town.run()
    town.adyen.habits.drop = False
    town.adyen.book.charge_back(psp)
    town.hear()
    assert kinds(town, payment_id) == ["chargeback"]


def test_a_provider_that_cannot_be_read_now_does_not_hold_up_what_its_notices_told(town_with):
    town = town_with(checkout="links")
    payment_id = town.started()
    town.adyen.faults.fail(1000, status=503, only="links.read")
    town.adyen.book.pay(town.session_of(payment_id))
    town.hear()
    assert town.view(payment_id).state is State.SETTLED
    advance(town.house, payment_id)
    assert len(town.credits()) == 1
