"""Renewals on ways that are rarely taken: a worker that sleeps or tires, a case or a clerk in between."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.domain.ledger import Book, Posting
from ils_payment.flows.advance import advance
from ils_payment.flows.hands import LEASE_SECONDS
from ils_payment.flows.work import SEND_WITHIN
from ils_payment.model import Renewed, RenewSupport, State
from ils_payment.store import payments
from tests.flows.decisions import books, case_of, kinds, resolve
from tests.flows.renewing import YEAR
from tests.flows.test_refunds_odd_answers import library_answers
from tests.flows.test_renewals import pay_for, renewed
from tests.flows.truths import hear, load, trail


@pytest.fixture
def town(renewing_town):
    return renewing_town


@contextmanager
def once(town, where, action):
    """Do *action* the first time that the failpoint *where* is passed, which has to happen."""
    passed: list[str] = []

    def look(name):
        if name == where and not passed:
            passed.append(name)
            action()

    town.world.on_failpoint = look
    yield
    town.world.on_failpoint = None
    assert passed


def credit_in_question(town, payment_id):
    """Our credit is booked, and in the same second the desk takes money for another fee of the patron."""
    erika = town.koha.patron_ids["erika"]
    other = town.koha.add_fee(erika, 300)
    with once(town, "koha.settle.after", lambda: town.koha.pay_at_desk(erika, other, 300)):
        hear(town)
    assert kinds(town, payment_id) == ["read_back"]


def leases(town):
    return town.world.failpoints.count("hands.taken")


def ask_a_person(town, payment_id):
    """Open a case as a comparison does that finds a difference, whoever has the payment in hands."""
    with town.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "other_amount", {}, subject="x")


# --- a worker that sleeps, or has held the patron for too long ---------------------------------------


def test_a_worker_that_slept_over_the_answer_leaves_the_card_to_the_one_who_found_it_renewed(town):
    payment_id = town.sold()

    def sleep():
        town.world.pass_time(seconds=LEASE_SECONDS + 1)
        advance(town.house, payment_id)

    with once(town, "renew.after_call", sleep):
        pay_for(town, payment_id)
    renewed(town, payment_id)
    steps = trail(town, payment_id)
    assert [steps.count(one) for one in ("renew_try", "renewed", "charge_try", "charged")] == [1, 1, 1, 1]
    assert len(town.writes()) == 1


@pytest.mark.parametrize(("late", "tries"), [(0, 1), (1, 2)])
def test_a_host_that_slept_between_try_and_call_does_not_send_the_new_expiry(town, late, tries):
    payment_id = town.sold()
    asleep = SEND_WITHIN.total_seconds() + late
    with once(town, "renew.before_call", lambda: town.world.pass_time(seconds=asleep)):
        pay_for(town, payment_id)
    assert len(town.writes()) == 2 - tries, "nobody knows what another host has done in so long a time"
    town.run_for(minutes=5, rounds=10)
    renewed(town, payment_id)
    assert len(town.writes()) == 1
    assert trail(town, payment_id).count("renew_not_applied") == tries - 1
    assert (town.renewal(payment_id).tries, town.renewal(payment_id).refused) == (tries, tries - 1)


@pytest.mark.parametrize(("seconds", "again"), [(40, 0), (41, 1)])
def test_a_card_is_not_begun_under_a_lease_that_the_fees_have_nearly_used_up(town, seconds, again):
    payment_id = town.sold(fees=True)
    town.stripe.pay(town.session_of(payment_id))
    with once(town, "settle.applied", lambda: town.world.pass_time(seconds=seconds)):
        advance(town.house, payment_id)
    assert (town.expiry() == town.until.isoformat()) is not bool(again)
    assert town.koha_account("jan")["balance"] == 0
    before = leases(town)
    town.run()
    assert leases(town) == before + again, "what is left is due at once"
    renewed(town, payment_id, fees=150)


@pytest.mark.parametrize(("seconds", "again"), [(40, 0), (41, 1)])
def test_a_debit_is_not_credited_under_a_lease_that_the_card_has_nearly_used_up(town, seconds, again):
    payment_id = town.sold()
    town.stripe.pay(town.session_of(payment_id))
    with once(town, "charge.done", lambda: town.world.pass_time(seconds=seconds)):
        advance(town.house, payment_id)
    assert town.renewal(payment_id).charge_state == "done"
    assert len(town.credits("jan")) == 1 - again
    before = leases(town)
    town.run()
    assert leases(town) == before + again, "what is left is due at once"
    renewed(town, payment_id)


# --- somebody else in between ------------------------------------------------------------------------


def test_a_card_is_not_renewed_when_a_case_comes_while_it_is_read(town):
    payment_id = town.sold()
    with once(town, "settle.leased", lambda: ask_a_person(town, payment_id)):
        pay_for(town, payment_id)
    town.run_for(hours=1, rounds=10)
    assert (town.writes(), town.renewal(payment_id).tries) == ([], 0)
    assert books(town, payment_id) == {"provider": -YEAR, "case": YEAR}
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run()
    renewed(town, payment_id)


@pytest.mark.parametrize(("back", "case"), [(True, "renewal_unclear"), (False, "renewed_elsewhere")])
def test_a_clerk_who_changes_the_card_right_after_our_call_is_found_by_reading_it_back(town, back, case):
    payment_id = town.sold()

    def change():
        if back:
            town.koha.change(int(town.jan), expiry_date=town.ends.isoformat())
        else:
            town.koha.renew_account(int(town.jan))

    with once(town, "renew.after_call", change):
        pay_for(town, payment_id)
    assert kinds(town, payment_id) == [case]
    assert case_of(town, payment_id).facts["valid_until"] == town.expiry() != town.until.isoformat()
    assert books(town, payment_id) == {"provider": -YEAR, "case": YEAR}
    assert "charge_try" not in trail(town, payment_id)


def test_a_card_that_has_no_price_any_more_is_not_extended_from_where_the_desk_left_it(town):
    payment_id = town.sold()
    town.koha.renew_account(int(town.jan))
    at_the_desk = town.expiry()
    pay_for(town, payment_id)
    town.koha.change(int(town.jan), category_id="MITARB")
    first = case_of(town, payment_id)
    assert resolve(town, first, Choice.SETTLE_AGAIN).ok
    town.run()
    again = case_of(town, payment_id)
    assert (again.kind, again.case_id != first.case_id) == ("renewed_elsewhere", True)
    assert again.facts["valid_until"] == town.expiry() == at_the_desk
    assert (town.renewal(payment_id).state, town.renewal(payment_id).until) == ("given_up", town.until)
    assert books(town, payment_id) == {"provider": -YEAR, "case": YEAR}


def test_no_card_is_renewed_for_money_that_the_ledger_does_not_have(town):
    payment_id = town.sold()
    town.koha.database_down()
    pay_for(town, payment_id)
    elsewhere = Posting(
        line_id=town.renewal(payment_id).line_id, source=Book.TO_SETTLE, destination=Book.BY_HAND, cents=1
    )
    with town.house.store.unit() as unit:
        # No decision does this: a ledger that was mended with other tools than ours.
        payments.move(unit, load(town, payment_id), "mended", postings=[elsewhere])
    town.koha.database_down(down=False)
    town.run_for(hours=1, rounds=10)
    assert kinds(town, payment_id) == ["broken_rule"]
    assert (town.writes(), town.renewal(payment_id).tries) == ([], 0)


def renews_by_its_own_rule(town, until):
    """The library system extends a card until this day, whatever was sold."""

    def renew_card(_order):
        town.koha.change(int(town.jan), expiry_date=until.isoformat(), date_renewed=town.today.isoformat())
        return Renewed(valid_until=until)

    can = replace(town.desk.system.capabilities(), can_renew=RenewSupport.BY_RULE)
    asked = library_answers(town, capabilities=can)
    asked.renew_card = renew_card  # type: ignore[attr-defined]  # in front of the real one


@pytest.mark.parametrize("corrected", [False, True])
def test_a_rule_of_the_library_system_that_gives_less_than_was_sold_is_a_case(town, corrected):
    half = town.ends + timedelta(days=182)
    renews_by_its_own_rule(town, half)
    payment_id = town.sold()
    pay_for(town, payment_id)
    case = case_of(town, payment_id)
    assert (case.kind, town.renewal(payment_id).until) == ("card_shorter", town.until)
    assert (case.facts["until"], case.facts["valid_until"]) == (town.until.isoformat(), half.isoformat())
    if corrected:
        town.koha.change(int(town.jan), expiry_date=town.until.isoformat())
    # A person who settles it as it is has agreed on that day: the card is not renewed once more.
    day = town.until if corrected else half
    assert resolve(town, case, Choice.SETTLE_AGAIN).ok
    town.run()
    assert (load(town, payment_id).state, kinds(town, payment_id)) == (State.SETTLED, [])
    assert (town.expiry(), town.renewal(payment_id).until) == (day.isoformat(), day)
    assert trail(town, payment_id).count("renew_try") == 1


def test_a_rule_of_the_library_system_that_gives_more_than_was_sold_is_no_case(town):
    longer = town.until + timedelta(days=30)
    renews_by_its_own_rule(town, longer)
    payment_id = town.sold()
    pay_for(town, payment_id)
    assert (load(town, payment_id).state, kinds(town, payment_id)) == (State.SETTLED, [])
    assert town.renewal(payment_id).until == longer
