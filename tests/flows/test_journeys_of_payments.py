"""The ways of a payment from the confirmed fees to its end, the happy ones and the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.flows import pay, see
from ils_payment.flows.advance import advance
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import State
from ils_payment.store import installation
from tests.conftest import Town
from tests.flows.decisions import case_of, resolve
from tests.flows.truths import (
    DUE,
    ending,
    hear,
    held,
    load,
    notice_outcomes,
    of,
    open_cents,
    paid,
    pay_calls,
    sessions,
    settled,
    trail,
    void,
)


class Seen:
    """A provider whose answers are changed on the way: what no simulated Stripe would say."""

    def __init__(self, town: Town, **changed: object) -> None:
        self._real = town.desk.providers["stripe"]
        self._changed = changed
        town.desk.providers["stripe"] = self  # type: ignore[index]  # a dict behind its Mapping

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def read(self, *given: object) -> object:
        return replace(self._real.read(*given), **self._changed)  # type: ignore[arg-type]  # fields


def test_paid_by_card_is_settled_by_one_credit_on_just_the_frozen_fees(each_town):
    payment_id = paid(each_town)
    hear(each_town)
    assert ending(each_town, payment_id) == settled()
    # The old line that was handed over and the growing fine are untouched.
    assert open_cents(each_town) == [3500, 0, 0, 0, 0, 220]
    assert each_town.koha_account()["balance"] == 3720
    assert each_town.view(payment_id).marker == each_town.view(payment_id).receipt_number
    assert load(each_town, payment_id).due_at is None, "nothing is left to do"


def test_a_part_of_the_fees_can_be_paid_and_the_rest_in_a_second_payment(town):
    first = paid(town, only=1)
    hear(town)
    second = paid(town)
    hear(town)
    assert ending(town, first) == settled(450)
    assert ending(town, second) == settled(800)
    assert open_cents(town)[1:5] == [0, 0, 0, 0]


def test_a_bank_transfer_that_takes_its_time_is_settled_when_it_succeeds(each_town):
    payment_id = each_town.started(method="instant_bank_transfer")
    session = each_town.session_of(payment_id)
    each_town.stripe.pay_pending(session)
    hear(each_town)
    view = each_town.view(payment_id)
    assert (view.state, view.can_cancel, view.continue_url) == (State.PENDING, False, None)
    each_town.run_for(rounds=12, hours=6)
    assert each_town.view(payment_id).state is State.PENDING, "unknown means pending, for however long"
    each_town.stripe.succeed_pending(session)
    hear(each_town)
    assert ending(each_town, payment_id) == settled()


def test_a_bank_transfer_that_fails_frees_the_fees(town):
    payment_id = town.started(method="instant_bank_transfer")
    town.stripe.pay_pending(town.session_of(payment_id))
    hear(town)
    town.stripe.fail_pending(town.session_of(payment_id))
    hear(town)
    assert ending(town, payment_id) == void("expired")
    assert isinstance(town.begin(), Begun)


def test_cancelling_a_pending_bank_transfer_changes_nothing(town):
    payment_id = town.started(method="instant_bank_transfer")
    town.stripe.pay_pending(town.session_of(payment_id))
    assert pay.cancel(town.house, payment_id).state is State.PENDING
    town.stripe.succeed_pending(town.session_of(payment_id))
    hear(town)
    assert ending(town, payment_id) == settled()


def test_cancelled_by_the_patron_closes_the_session_and_frees_the_fees(each_town):
    payment_id = each_town.started()
    assert pay.cancel(each_town.house, payment_id).state is State.VOID
    assert ending(each_town, payment_id) == void("cancelled")
    assert [one["status"] for one in sessions(each_town)] == ["expired"]
    hear(each_town)
    assert ending(each_town, payment_id) == void("cancelled")
    again = paid(each_town)
    hear(each_town)
    assert ending(each_town, again) == settled()


def test_cancelled_at_the_moment_of_paying_is_paid(each_town):
    payment_id = each_town.started()

    def pay_just_before(name):
        if name == "pay.before_close":
            each_town.stripe.pay(each_town.session_of(payment_id))

    each_town.world.on_failpoint = pay_just_before
    assert pay.cancel(each_town.house, payment_id).state is State.PAID
    each_town.world.on_failpoint = None
    hear(each_town)
    assert ending(each_town, payment_id) == settled()


def test_cancelling_what_is_settled_changes_nothing(town):
    payment_id = paid(town)
    hear(town)
    assert pay.cancel(town.house, payment_id).state is State.SETTLED
    assert ending(town, payment_id) == settled()


def test_cancelling_while_the_provider_is_away_says_that_it_is_still_open(town):
    payment_id = town.started()
    town.stripe.faults.lose_request(1)
    assert pay.cancel(town.house, payment_id).state is State.OPEN
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    assert ending(town, payment_id) == settled()


def test_cancelling_an_unknown_payment_is_an_error(town):
    with pytest.raises(LookupError):
        pay.cancel(town.house, "NOBODY")


def test_an_expired_session_frees_the_fees_and_is_not_looked_at_for_ever(each_town):
    payment_id = each_town.started()
    each_town.run_for(rounds=9, minutes=35)
    assert ending(each_town, payment_id) == void("expired")
    assert load(each_town, payment_id).due_at is None


@pytest.mark.parametrize("status", ["complete", "expired"])
def test_a_late_success_after_expiry_is_settled_when_the_fees_are_still_free(town, status):
    payment_id = town.started(method="instant_bank_transfer")
    town.run_for(rounds=9, minutes=35)
    assert town.view(payment_id).state is State.VOID
    town.stripe.pay_after_expiry(town.session_of(payment_id), status=status)
    hear(town)
    assert ending(town, payment_id) == {**settled(), "void": "expired"}


def _expired(town):
    payment_id = town.started(method="instant_bank_transfer")
    town.run_for(rounds=9, minutes=35)
    return payment_id


def test_a_late_success_while_another_payment_holds_the_fees_is_a_case(each_town):
    late = _expired(each_town)
    other = each_town.started()
    each_town.stripe.pay_after_expiry(each_town.session_of(late))
    hear(each_town)
    assert ending(each_town, late) == held("paid", "paid_late", claims=0, void="expired")
    assert case_of(each_town, late).facts["other"] == load(each_town, other).receipt_number
    assert pay_calls(each_town) == 0
    each_town.stripe.pay(each_town.session_of(other))
    hear(each_town)
    assert ending(each_town, other) == settled()


def test_a_late_success_is_settled_by_a_person_when_the_other_payment_has_ended_unpaid(town):
    late = _expired(town)
    other = town.started()
    town.stripe.pay_after_expiry(town.session_of(late))
    hear(town)
    pay.cancel(town.house, other)
    assert resolve(town, case_of(town, late), Choice.SETTLE_AGAIN).ok
    town.run()
    assert ending(town, late) == {**settled(), "void": "expired"}


def test_a_late_success_while_another_payment_that_is_paid_has_the_fees_is_paid_twice(town):
    late = _expired(town)
    other = paid(town)
    town.world.remotes.pop("koha.test")
    hear(town)
    town.stripe.pay_after_expiry(town.session_of(late))
    hear(town)
    case = case_of(town, late)
    assert (case.kind, case.facts["other"]) == ("paid_twice", load(town, other).receipt_number)


def test_a_late_success_after_another_payment_settled_the_fees_is_a_case(town):
    late = _expired(town)
    other = paid(town)
    hear(town)
    assert ending(town, other) == settled()
    calls = pay_calls(town)
    town.stripe.pay_after_expiry(town.session_of(late))
    hear(town)
    assert ending(town, late) == held("paid", "paid_twice", claims=0, void="expired")
    assert pay_calls(town) == calls
    town.run_for(rounds=20, days=10)
    assert ending(town, late) == held("paid", "paid_twice", claims=0, void="expired")


def test_money_that_comes_to_a_payment_that_is_held_already_belongs_to_the_case(town):
    """Void, then pending while somebody else holds the fees, then paid: never waiting for settling."""
    late = _expired(town)
    town.started()
    book = town.stripe.book
    session = book.sessions[town.session_of(late)]
    session.update(status="open", expires_at=session["expires_at"] + 3600)
    town.stripe.pay_pending(session["id"])
    hear(town)
    assert ending(town, late) == held("pending", "paid_late", cents=0, claims=0, void="expired")
    town.stripe.succeed_pending(session["id"])
    hear(town)
    assert ending(town, late) == held("paid", "paid_late", claims=0, void="expired")
    assert pay_calls(town) == 0


def test_a_wrong_amount_is_a_case_and_the_fees_stay_claimed(each_town):
    payment_id = each_town.started()
    each_town.stripe.pay_other_amount(each_town.session_of(payment_id), 999)
    hear(each_town)
    assert ending(each_town, payment_id) == held("paid", "paid_wrong", cents=999)
    assert isinstance(each_town.begin(), NotBegun)
    each_town.run_for(rounds=20, days=10)
    assert pay_calls(each_town) == 0


def test_a_wrong_currency_is_a_case(town):
    payment_id = town.started()
    town.stripe.pay_other_currency(town.session_of(payment_id), "usd", DUE, forced=True)
    hear(town)
    assert ending(town, payment_id) == held("paid", "paid_wrong")
    assert pay_calls(town) == 0


def test_a_payment_in_the_other_mode_is_a_case(town):
    payment_id = paid(town)
    Seen(town, live=True)
    hear(town)
    assert ending(town, payment_id) == held("paid", "paid_wrong")


def test_money_in_a_session_of_a_foreign_reference_is_a_case(town):
    payment_id = paid(town)
    town.stripe.book.sessions[town.session_of(payment_id)].update(client_reference_id="SOMEBODY-ELSE")
    advance(town.house, payment_id)
    assert ending(town, payment_id) == held("paid", "paid_wrong")


def test_an_unpaid_session_of_a_foreign_reference_is_a_case_that_frees_nothing(town):
    payment_id = town.started()
    town.stripe.book.sessions[town.session_of(payment_id)].update(client_reference_id="SOMEBODY-ELSE")
    advance(town.house, payment_id)
    assert ending(town, payment_id) == held("open", "broken_rule", cents=0)


def test_a_refused_start_is_void_and_frees_the_fees(each_town):
    each_town.stripe.faults.fail_next(status=400)
    refused = each_town.begin()
    assert isinstance(refused, NotBegun)
    assert refused.code == "provider_refused"
    assert ending(each_town, refused.payment_id or "") == void("refused")
    assert sessions(each_town) == []
    payment_id = paid(each_town)
    hear(each_town)
    assert ending(each_town, payment_id) == settled()


@pytest.mark.parametrize("seconds", [20, 200])
def test_a_start_whose_answer_was_lost_is_found_and_never_a_second_session(town, seconds):
    town.stripe.faults.lose_answer(1)
    unclear = town.begin()
    assert isinstance(unclear, NotBegun)
    assert unclear.code == "provider_unavailable"
    assert unclear.payment_id
    keys = [line.claim_key for line in load(town, unclear.payment_id).lines]
    again = pay.begin(town.house, town.desk, town.erika, keys, "card", "de", DUE)
    assert again == NotBegun(code="already_running", payment_id=unclear.payment_id)
    town.world.pass_time(seconds=seconds)
    town.run()
    view = town.view(unclear.payment_id)
    assert (view.state, len(sessions(town))) == (State.OPEN, 1)
    assert view.continue_url == sessions(town)[0]["url"]
    assert len(town.stripe.truth()["idempotency_keys"]) == 1
    town.stripe.pay(town.session_of(unclear.payment_id))
    hear(town)
    assert ending(town, unclear.payment_id) == settled()


def test_a_start_that_never_arrived_ends_as_not_started(town):
    town.stripe.faults.lose_request(1_000)
    unclear = town.begin()
    assert isinstance(unclear, NotBegun)
    assert unclear.payment_id
    town.run_for(rounds=30, minutes=5)
    assert town.view(unclear.payment_id).state is State.CREATED, "nobody could be asked yet"
    town.stripe.faults.waiting.clear()
    town.run_for(rounds=30, minutes=10)
    assert ending(town, unclear.payment_id) == void("not_started")
    assert len(town.stripe.truth()["idempotency_keys"]) <= 1
    assert sessions(town) == []


def test_a_start_that_arrives_with_its_look_up_can_still_be_paid(town):
    town.stripe.faults.lose_request(1)
    unclear = town.begin()
    assert isinstance(unclear, NotBegun)
    assert unclear.payment_id
    town.run_for(rounds=20, seconds=20)
    assert (town.view(unclear.payment_id).state, len(sessions(town))) == (State.OPEN, 1)
    town.stripe.pay(town.session_of(unclear.payment_id))
    hear(town)
    assert ending(town, unclear.payment_id) == settled()


def test_an_unclear_start_is_not_looked_up_in_a_restored_ledger(town):
    town.stripe.faults.lose_request(1)
    unclear = town.begin()
    assert isinstance(unclear, NotBegun)
    assert unclear.payment_id
    with town.house.store.unit() as unit:
        installation.set_unreconciled(unit, unreconciled=True)
    town.run_for(rounds=10, seconds=30)
    assert (town.view(unclear.payment_id).state, sessions(town)) == (State.CREATED, [])
    with town.house.store.unit() as unit:
        installation.set_unreconciled(unit, unreconciled=False)
    town.run_for(rounds=20, minutes=5)
    assert ending(town, unclear.payment_id) == void("not_started")


def test_an_unclear_start_can_be_cancelled_once_its_session_is_found(town):
    town.stripe.faults.lose_answer(1)
    unclear = town.begin()
    assert isinstance(unclear, NotBegun)
    assert unclear.payment_id
    assert pay.cancel(town.house, unclear.payment_id).state is State.VOID
    assert ending(town, unclear.payment_id) == void("cancelled")
    assert [one["status"] for one in sessions(town)] == ["expired"]


def test_doubled_and_reordered_webhooks_do_no_harm(each_town):
    each_town.stripe.webhooks.duplicate = 2
    each_town.stripe.webhooks.reorder = True
    payment_id = each_town.started(method="instant_bank_transfer")
    each_town.stripe.pay_pending(each_town.session_of(payment_id))
    each_town.stripe.succeed_pending(each_town.session_of(payment_id))
    hear(each_town)
    assert ending(each_town, payment_id) == settled()
    assert notice_outcomes(each_town) == ["due", "due"]
    each_town.world.pass_time(hours=1)
    hear(each_town)
    assert ending(each_town, payment_id) == settled()


def test_a_dropped_webhook_is_made_up_for_by_the_sweep_after_two_minutes(town):
    town.stripe.webhooks.drop = True
    payment_id = paid(town)
    town.run_for(rounds=2, seconds=119)
    assert town.view(payment_id).state is State.OPEN
    town.run_for(rounds=1, seconds=1)
    assert ending(town, payment_id) == settled()
    assert notice_outcomes(town) == []


def test_the_return_page_alone_is_enough(town):
    town.stripe.webhooks.drop = True
    payment_id = paid(town)
    assert town.house.make_due(payment_id)
    town.run()
    assert ending(town, payment_id) == settled()


def test_a_late_webhook_of_a_settled_payment_changes_nothing(town):
    town.stripe.webhooks.delay_seconds = 3 * 86_400
    payment_id = paid(town)
    town.run_for(rounds=4, minutes=4)
    rows = trail(town, payment_id)
    town.world.pass_time(days=3)
    hear(town)
    assert notice_outcomes(town) == ["due"]
    assert trail(town, payment_id) == rows
    assert ending(town, payment_id) == settled()


def test_a_notice_of_another_installation_is_counted_and_no_case(town, tmp_path):
    other = Town(f"sqlite:///{tmp_path}/other.db")
    other.world._random.seed(1)
    other.world.remotes, other.stripe = town.world.remotes, town.stripe
    theirs = other.started()
    town.stripe.pay(other.session_of(theirs))
    hear(town)
    assert notice_outcomes(town) == ["foreign"]
    with town.house.store.read() as unit:
        assert unit.connection.exec_driver_sql("SELECT count(*) FROM payments").scalar() == 0
        assert unit.connection.exec_driver_sql("SELECT count(*) FROM cases").scalar() == 0
    other.close()


def test_the_provider_is_asked_and_a_notice_alone_pays_nothing(town):
    """A notice says "completed" while Stripe itself says that nothing is paid."""
    payment_id = town.started()
    session = town.stripe.book.sessions[town.session_of(payment_id)]
    town.stripe.book.emit("checkout.session.completed", {**session, "payment_status": "paid"})
    hear(town)
    assert notice_outcomes(town) == ["due"]
    assert town.view(payment_id).state is State.OPEN
    assert pay_calls(town) == 0


def test_a_declined_card_leaves_the_session_open_for_another_try(town):
    payment_id = town.started()
    town.stripe.decline(town.session_of(payment_id))
    hear(town)
    assert town.view(payment_id).can_cancel
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    assert ending(town, payment_id) == settled()


def test_stripe_away_while_reading_only_costs_time(town):
    payment_id = paid(town)
    town.stripe.faults.fail_next(3, status=503)
    town.deliver_webhooks()
    town.run_for(rounds=60, minutes=5)
    assert ending(town, payment_id) == settled()


@pytest.mark.parametrize(
    ("keys", "expected", "code"),
    [
        ([], 0, "nothing_chosen"),
        (["999"], 100, "changed"),
        (["2"], 449, "changed"),
        (["1"], 3500, "not_payable"),
    ],
)
def test_what_does_not_fit_what_was_confirmed_begins_nothing(town, keys, expected, code):
    answer = pay.begin(town.house, town.desk, town.erika, keys, "card", "de", expected)
    assert answer == NotBegun(code=code)
    assert sessions(town) == []


def test_methods_and_smallest_sums_are_kept(town):
    jan = of(town, "jan")
    line = town.koha.add_fee(town.koha.patron_ids["jan"], 99)
    for method, code in (("card", "below_minimum"), ("cash", "unknown_method")):
        answer = pay.begin(town.house, town.desk, jan, [str(line)], method, "de", 99)
        assert answer == NotBegun(code=code)
    begun = pay.begin(town.house, town.desk, jan, [str(line)], "instant_bank_transfer", "de", 99)
    assert isinstance(begun, Begun)


def test_open_credit_limits_what_can_be_paid(town):
    greta = of(town, "credit")
    view = see.fees(town.house, town.desk, greta)
    assert (view.open_credit, view.payable_cents, view.limit_cents) == (300, 800, 500)
    answer = pay.begin(town.house, town.desk, greta, [view.lines[0].key], "card", "de", 800)
    assert answer == NotBegun(code="above_balance")


def test_koha_away_shows_as_such_and_begins_nothing(town):
    view = see.fees(town.house, town.desk, town.erika)
    town.koha.fail_next(5, status=503)
    answer = pay.begin(town.house, town.desk, town.erika, [view.lines[1].key], "card", "de", 450)
    assert answer == NotBegun(code="library_unavailable")


def test_a_list_of_fees_that_was_cut_starts_and_settles_nothing(town, monkeypatch):
    whole = town.desk.system.account
    payment_id = paid(town, only=1)
    monkeypatch.setattr(town.desk.system, "account", lambda who: replace(whole(who), complete=False))
    begun = pay.begin(town.house, town.desk, town.erika, ["3"], "card", "de", 150)
    assert begun == NotBegun(code="library_unavailable")
    hear(town)
    assert town.view(payment_id).state is State.PAID
    assert town.credits() == []
    monkeypatch.undo()
    town.run_for(rounds=4, minutes=2)
    assert town.view(payment_id).state is State.SETTLED
