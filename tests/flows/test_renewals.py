"""A card that was paid for is renewed once, its fee is booked, and whatever goes wrong ends with a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from ils_payment_koha.simulator.demo import RIGHTS
from sqlalchemy import update

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, offer, verify
from ils_payment.flows.advance import advance
from ils_payment.flows.reconcile import reconcile
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import RenewSupport
from ils_payment.store.tables import payments as payments_table
from tests.flows.decisions import CLERK, TREASURER, books, case_of, refund, resolve
from tests.flows.renewing import YEAR, RenewingTown
from tests.flows.test_refunds_odd_answers import library_answers
from tests.flows.truths import ending, hear, load, trail

PUT = "patrons.put"
DEBIT = "debits.add"
API = 2
"""The service patron of the simulated Koha."""
READS = ["borrowers:edit_borrowers", "updatecharges:remaining_permissions"]
"""Enough for fees, and not for changing a patron."""


@pytest.fixture
def town(renewing_town):
    return renewing_town


@pytest.fixture
def each_town(database_url):
    built = RenewingTown(database_url)
    yield built
    built.close()


def pay_for(town, payment_id):
    town.stripe.pay(town.session_of(payment_id))
    hear(town)


def renewed(town, payment_id, *, cents=YEAR, fees=0):
    """What is true of a renewal that went right: one new expiry, one debit, one credit for it."""
    end = ending(town, payment_id)
    account = town.koha_account("jan")
    debits = [fee for fee in account["fees"].values() if fee["type"] == "ACCOUNT_RENEW"]
    assert town.expiry() == town.until.isoformat()
    assert {to for _, to in town.writes()} == {town.until.isoformat()}
    assert [(one["amount"], one["outstanding"]) for one in debits] == [(cents, 0)]
    assert end["state"] == "settled"
    assert not end["held"]
    assert not end["cases"]
    assert end["claims"] == 0
    assert end["books"] == {"provider": -(cents + fees), "library_system": cents + fees}
    assert sorted(end["credits"]) == sorted([(cents, 0), *([(fees, 0)] if fees else [])])


def test_a_paid_renewal_gives_the_card_its_new_expiry_and_settles_the_fee(each_town):
    payment_id = each_town.sold()
    assert each_town.expiry() == each_town.ends.isoformat()
    pay_for(each_town, payment_id)
    renewed(each_town, payment_id)
    view = each_town.view(payment_id)
    assert view.renewal is not None
    assert (view.renewal.state, view.renewal.until) == ("renewed", each_town.until)
    assert view.renewal.tariff == "2020-01-01"


def test_fees_and_card_are_paid_in_one_go_and_booked_apart(town):
    payment_id = town.sold(fees=True)
    pay_for(town, payment_id)
    renewed(town, payment_id, fees=150)


def test_a_free_renewal_needs_no_provider_and_books_nothing(each_town):
    town = each_town
    town.koha.change(int(town.jan), category_id="KIND")
    begun = town.renew()
    assert isinstance(begun, Begun)
    town.run()
    end = ending(town, begun.payment_id)
    assert (end["state"], end["books"], end["claims"], end["credits"]) == ("settled", {}, 0, [])
    assert town.expiry() == town.until.isoformat()
    assert town.view(begun.payment_id).method == "none"


def test_nothing_is_renewed_before_the_money_is_there(town):
    payment_id = town.sold()
    town.run_for(minutes=30, rounds=30)
    assert town.expiry() == town.ends.isoformat()
    town.run_for(days=2, rounds=48)
    hear(town)
    assert ending(town, payment_id)["state"] == "void"
    assert town.writes() == []


def test_a_card_is_sold_once_at_a_time(town):
    first = town.sold()
    second = town.renew()
    assert isinstance(second, NotBegun)
    assert (second.code, second.payment_id) == ("already_running", first)
    assert offer.card(town.house, town.desk, town.jan).running == first


def test_another_price_than_the_one_confirmed_starts_nothing(town):
    assert town.renew(cents=1400) == NotBegun(code="changed")


def test_a_fee_that_is_open_must_be_paid_first_where_the_library_wants_it(tmp_path):
    town = RenewingTown(f"sqlite:///{tmp_path}/ledger.db", renewal={"fees_first": True})
    assert town.renew() == NotBegun(code="fees_first")
    payment_id = town.sold(fees=True)
    pay_for(town, payment_id)
    renewed(town, payment_id, fees=150)
    town.close()


@pytest.mark.parametrize("after_effect", [True, False])
@pytest.mark.parametrize("operation", [PUT, DEBIT, "credits.add"])
def test_a_lost_answer_renews_and_books_once(each_town, operation, after_effect):
    town = each_town
    first = town.sold()
    pay_for(town, first)  # Only a credit that was confirmed before proves that an absent one would be seen.
    town.koha.change(int(town.jan), expiry_date=town.ends.isoformat())
    payment_id = town.sold()
    town.koha.fail_next(1, operation=operation, status=0, after_effect=after_effect)
    pay_for(town, payment_id)
    town.run_for(hours=1)
    end = ending(town, payment_id)
    assert (end["state"], end["cases"]) == ("settled", [])
    assert end["credits"] == [(YEAR, 0)]
    debits = [fee for fee in town.koha_account("jan")["fees"].values() if fee["type"] == "ACCOUNT_RENEW"]
    assert [(one["amount"], one["outstanding"]) for one in debits] == [(YEAR, 0)] * 2
    assert town.expiry() == town.until.isoformat()


def test_a_library_system_that_is_away_for_a_day_renews_afterwards_and_leaves_no_debt(town):
    payment_id = town.sold()
    town.koha.database_down()
    pay_for(town, payment_id)
    town.run_for(hours=20, rounds=40)
    assert load(town, payment_id).held is False
    town.koha.database_down(down=False)
    town.run_for(hours=2, rounds=20)
    renewed(town, payment_id)


def test_a_renewal_that_was_paid_before_renewing_was_switched_off_is_a_case_and_no_call(town):
    payment_id = town.sold()
    library_answers(town, capabilities=replace(town.desk.system.capabilities(), can_renew=RenewSupport.NO))
    pay_for(town, payment_id)
    case = case_of(town, payment_id, "not_renewed")
    assert case.facts["reason"] == "the library system renews no cards"
    assert town.writes() == []


def test_a_card_that_the_desk_renewed_meanwhile_is_not_renewed_twice(town):
    payment_id = town.sold()
    town.koha.renew_account(int(town.jan))
    at_the_desk = town.expiry()
    pay_for(town, payment_id)
    end = ending(town, payment_id)
    assert end["cases"] == ["renewed_elsewhere"]
    assert end["books"] == {"provider": -YEAR, "case": YEAR}
    assert town.expiry() == at_the_desk
    assert [by for by, _ in town.writes()] == ["desk"]


def test_the_desk_that_grants_the_same_day_at_the_same_time_is_found(town):
    payment_id = town.sold()
    town.koha.change(int(town.jan), expiry_date=town.until.isoformat(), date_renewed=town.today.isoformat())
    pay_for(town, payment_id)
    assert ending(town, payment_id)["cases"] == ["renewed_elsewhere"]


def test_a_desk_between_a_lost_answer_and_its_late_effect_is_found_by_a_last_look(town):
    payment_id = town.sold()
    town.koha.apply_late(90, operation=PUT)
    town.koha.apply_late(600, operation=PUT)
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    town.run_for(minutes=3, rounds=36)
    assert town.renewal(payment_id).state == "renewed"
    town.koha.renew_account(int(town.jan))
    town.run_for(minutes=40, rounds=80)
    end = ending(town, payment_id)
    assert end["cases"] == ["renewed_elsewhere"]
    assert "settled" in end["state"]


def test_nobody_looks_for_ever_for_the_card_of_a_patron_who_is_gone(town):
    payment_id = town.sold()
    town.koha.fail_next(1, operation=PUT, status=0, after_effect=True)
    pay_for(town, payment_id)
    town.run_for(minutes=1, rounds=4)
    assert load(town, payment_id).due_at is not None
    del town.koha.tables.patrons[int(town.jan)]
    town.run_for(hours=2, rounds=4)
    assert load(town, payment_id).due_at is None
    assert ending(town, payment_id)["cases"] == []


def refused(town):
    """A paid renewal that Koha has refused for so long that a person has to look."""
    payment_id = town.sold()
    town.koha.set_rights(API, READS)
    pay_for(town, payment_id)
    town.run_for(days=5, rounds=60)
    town.koha.set_rights(API, RIGHTS)
    return payment_id


def test_a_renewal_that_the_library_system_keeps_refusing_is_a_case_and_no_debt(town):
    payment_id = refused(town)
    end = ending(town, payment_id)
    assert end["cases"] == ["not_renewed"]
    assert end["books"] == {"provider": -YEAR, "case": YEAR}
    assert town.koha_account("jan")["balance"] == 150
    assert town.writes() == []


def test_settled_again_by_a_person_a_refused_renewal_is_carried_out(town):
    payment_id = refused(town)
    case = case_of(town, payment_id)
    assert resolve(town, case, Choice.SETTLE_AGAIN).ok
    town.run()
    renewed(town, payment_id)


def test_settled_again_a_card_that_the_desk_renewed_is_extended_from_there(town):
    payment_id = town.sold()
    town.koha.renew_account(int(town.jan))
    at_the_desk = date.fromisoformat(town.expiry())
    pay_for(town, payment_id)
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run()
    assert town.expiry() == at_the_desk.replace(year=at_the_desk.year + 1).isoformat()
    assert ending(town, payment_id)["state"] == "settled"


def test_a_day_that_a_clerk_types_after_a_refused_try_is_not_taken_for_ours(each_town):
    town = each_town
    payment_id = town.sold()
    town.koha.set_rights(API, READS)
    pay_for(town, payment_id)
    assert "renew_not_applied" in trail(town, payment_id)
    town.koha.change(int(town.jan), expiry_date=town.until.isoformat())
    town.koha.set_rights(API, RIGHTS)
    town.run_for(hours=2, rounds=20)
    end = ending(town, payment_id)
    assert end["cases"] == ["renewed_elsewhere"]
    assert end["books"] == {"provider": -YEAR, "case": YEAR}
    assert town.koha_account("jan")["balance"] == 150, "no debit is written for what the desk did"
    assert [by for by, _ in town.writes()] == ["desk"]


def test_the_sold_day_after_a_refused_and_an_unanswered_try_is_ours(town):
    payment_id = town.sold()
    town.koha.set_rights(API, READS)
    pay_for(town, payment_id)
    town.koha.set_rights(API, RIGHTS)
    town.koha.lose_answer(operation=PUT)
    town.run_for(hours=2, rounds=20)
    assert {"renew_not_applied", "renew_unclear"} <= set(trail(town, payment_id))
    renewed(town, payment_id)


def test_the_money_of_a_refused_renewal_goes_back_and_the_card_stays_as_it_was(town):
    payment_id = refused(town)
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    assert asked.code == "second_person"
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run_for(hours=1, rounds=20)
    assert ending(town, payment_id)["books"] == {"provider": -YEAR, "returned": YEAR}
    assert town.writes() == []
    assert town.koha_account("jan")["balance"] == 150


def test_a_renewal_that_took_effect_late_stops_the_refund(town):
    payment_id = town.sold()
    town.koha.apply_late(3600 * 24, operation=PUT)
    town.koha.fail_next(1000, operation=PUT, status=0)
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    town.run_for(minutes=5, rounds=30)
    case = case_of(town, payment_id)
    assert case.kind == "renewal_unclear"
    assert resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_DROPPED).code == "too_early"
    town.run_for(minutes=20, rounds=10)
    town.koha.change(int(town.jan), expiry_date=town.until.isoformat())  # The call was only this late.
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    decide.approve(town.house, TREASURER, str(asked.refund_id))
    town.run_for(hours=1, rounds=20)
    assert "refund_failed" in ending(town, payment_id)["cases"]
    assert ending(town, payment_id)["books"] == {"provider": -YEAR, "case": YEAR}


def lost(town, *, then):
    """A paid renewal that took effect while its answer got lost, and what happened right *then*."""
    payment_id = town.sold()
    town.koha.fail_next(1, operation=PUT, status=0, after_effect=True)
    town.world.on_failpoint = lambda name: then() if name == "renew.recorded" else None
    pay_for(town, payment_id)
    town.world.on_failpoint = None
    town.run_for(minutes=20, rounds=10)
    return payment_id


def test_a_refund_looks_at_the_card_also_while_the_renewal_is_still_tried(town):
    payment_id = lost(town, then=town.koha.database_down)
    assert town.renewal(payment_id).state == "tried"
    asked = refund(town, payment_id)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.koha.database_down(down=False)
    town.run_for(hours=1, rounds=10)
    assert ending(town, payment_id)["cases"] == ["refund_failed"]
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run()
    renewed(town, payment_id)


def test_the_money_of_a_patron_who_is_gone_goes_back_though_nobody_can_look(town):
    def delete():
        del town.koha.tables.patrons[int(town.jan)]

    payment_id = lost(town, then=delete)
    case = case_of(town, payment_id)
    assert case.kind == "renewal_unclear"
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    assert books(town, payment_id) == {"provider": -YEAR, "returned": YEAR}


def test_nothing_goes_back_while_the_debit_of_the_renewal_may_still_come(town):
    payment_id = town.sold()
    town.koha.apply_late(600, operation=DEBIT)
    pay_for(town, payment_id)
    assert town.renewal(payment_id).charge_state == "tried"
    assert refund(town, payment_id).code == "too_early"
    town.run_for(hours=1, rounds=20)
    renewed(town, payment_id)


def test_a_debit_that_came_late_stops_the_refund_once(town):
    payment_id = town.sold()
    town.koha.fail_next(1, operation=DEBIT, status=0, after_effect=True)
    town.world.on_failpoint = lambda name: town.koha.database_down() if name == "charge.after_call" else None
    pay_for(town, payment_id)
    town.world.on_failpoint = None
    town.run_for(minutes=20, rounds=10)
    asked = refund(town, payment_id)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.koha.database_down(down=False)
    town.run_for(hours=1, rounds=10)
    case = case_of(town, payment_id)
    assert case.kind == "refund_failed"
    # The debit is there now, so the fee can stay: it is owed as it stands.
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_STAYS)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    assert books(town, payment_id) == {"provider": -YEAR, "returned": YEAR}
    assert [fee["outstanding"] for fee in town.koha_account("jan")["fees"].values()] == [150, YEAR]


def test_the_fee_of_a_card_whose_debit_never_got_through_cannot_stay_and_the_clerk_is_told(town):
    payment_id = town.sold()
    town.koha.fail_next(51, operation=DEBIT, status=403)
    pay_for(town, payment_id)
    town.run_for(days=1, rounds=60)
    case = case_of(town, payment_id)
    assert case.kind == "renewal_unbooked"
    assert resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_STAYS).code == "no_debt"
    assert town.koha_account("jan")["balance"] == 150
    assert resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_DROPPED).code == "second_person"


def test_the_fee_of_a_card_that_was_not_renewed_cannot_stay(town):
    payment_id = refused(town)
    case = case_of(town, payment_id)
    assert resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_STAYS).code == "no_debt"


def test_the_fee_of_a_card_that_was_renewed_and_booked_stays_as_a_new_debit(town):
    payment_id = town.sold()
    pay_for(town, payment_id)
    asked = refund(town, payment_id, Meaning.FEE_STAYS)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    assert [fee["outstanding"] for fee in town.koha_account("jan")["fees"].values()] == [150, 0, YEAR]


def test_a_debit_that_a_sleeping_host_learns_of_after_the_refund_claims_nothing_and_is_told(town):
    payment_id = town.sold()
    slept: list[str] = []

    def sleep(name):
        if name == "charge.after_call" and not slept:
            slept.append(name)
            town.world.pass_time(hours=1)
            asked = refund(town, payment_id)
            assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
            gone = town.koha.tables.patrons.pop(int(town.jan))
            advance(town.house, payment_id)
            town.koha.tables.patrons[int(town.jan)] = gone

    town.world.on_failpoint = sleep
    pay_for(town, payment_id)
    assert slept
    end = ending(town, payment_id)
    assert (end["state"], end["cases"], end["claims"]) == ("resolved", ["charge_differs"], 0)


def test_a_debit_that_another_payment_is_begun_for_is_settled_once_and_the_other_is_a_case(town):
    payment_id = town.sold()
    others: list[str] = []

    def other(name):
        if name == "charge.after_call" and not others:
            others.append(town.started(patron=town.jan))

    town.world.on_failpoint = other
    pay_for(town, payment_id)
    town.world.on_failpoint = None
    assert ending(town, payment_id)["state"] == "settled"
    pay_for(town, others[0])
    assert ending(town, others[0])["cases"] == ["fees_differ"]
    assert [fee["outstanding"] for fee in town.koha_account("jan")["fees"].values()] == [150, 0]


def test_a_renewal_whose_money_went_back_is_not_carried_out_when_the_fees_are_settled_again(town):
    payment_id = town.sold(fees=True)
    town.koha.fail_next(100, operation="credits.add", status=403)
    pay_for(town, payment_id)
    town.run_for(days=5, rounds=30)
    town.koha.faults.failures.clear()
    line = load(town, payment_id).renewal_line
    assert line is not None
    case = case_of(town, payment_id)
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_DROPPED, lines=(line.id,))
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run()
    end = ending(town, payment_id)
    assert town.writes() == []
    assert town.koha_account("jan")["balance"] == 0
    assert end["books"] == {"provider": -YEAR - 150, "returned": YEAR, "library_system": 150}
    assert (end["state"], end["held"], end["claims"]) == ("settled", False, 0)
    assert verify.verify(town.house).findings == []


def test_a_free_renewal_that_stuck_can_begin_again(town):
    town.koha.change(int(town.jan), category_id="KIND")
    town.koha.set_rights(API, READS)
    begun = town.renew()
    assert isinstance(begun, Begun)
    town.run_for(days=5, rounds=60)
    town.koha.set_rights(API, RIGHTS)
    case = case_of(town, begun.payment_id)
    assert (case.kind, case.cents) == ("not_renewed", 0)
    assert resolve(town, case, Choice.SETTLE_AGAIN).ok
    town.run()
    assert ending(town, begun.payment_id)["state"] == "settled"
    assert town.expiry() == town.until.isoformat()


def test_a_debit_that_cannot_be_written_is_a_case_and_the_card_stays_renewed(town):
    payment_id = town.sold()
    town.koha.fail_next(1, operation=DEBIT, status=403)
    town.koha.fail_next(50, operation=DEBIT, status=403)
    pay_for(town, payment_id)
    town.run_for(days=1, rounds=60)
    end = ending(town, payment_id)
    assert end["cases"] == ["renewal_unbooked"]
    assert town.expiry() == town.until.isoformat()
    assert town.koha_account("jan")["balance"] == 150
    town.koha.faults.failures.clear()
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).ok
    town.run()
    renewed(town, payment_id)


def test_a_debit_that_the_patron_pays_as_a_fee_meanwhile_is_a_case_and_not_paid_twice(town):
    first = town.sold()
    pay_for(town, first)  # So that an absent debit is known to be absent.
    town.koha.change(int(town.jan), expiry_date=town.ends.isoformat())
    payment_id = town.sold()
    town.koha.fail_next(1, operation=DEBIT, status=0, after_effect=True)
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    seen = town.begin(patron=town.jan)  # The debit is there, and nobody has told us yet.
    assert isinstance(seen, Begun)
    pay_for(town, seen.payment_id)
    town.run_for(hours=1)
    cases = [ending(town, one)["cases"] for one in (payment_id, seen.payment_id)]
    assert sorted(cases) == [[], ["fees_differ"]]
    assert town.koha_account("jan")["balance"] == 0


def test_a_library_system_that_keeps_no_such_books_has_the_renewal_settled_by_the_expiry(town):
    can = town.desk.system.capabilities
    town.desk.system.capabilities = lambda: replace(can(), can_charge=False)
    payment_id = town.sold(fees=True)
    pay_for(town, payment_id)
    end = ending(town, payment_id)
    assert (end["state"], end["credits"]) == ("settled", [(150, 0)])
    assert end["books"] == {"provider": -YEAR - 150, "library_system": YEAR + 150}
    assert town.expiry() == town.until.isoformat()
    assert verify.verify(town.house).findings == []


def test_comparison_and_verify_find_nothing_after_a_renewal(each_town):
    payment_id = each_town.sold(fees=True)
    pay_for(each_town, payment_id)
    now = each_town.world.now()
    report = reconcile(each_town.house, each_town.desk, now - timedelta(days=2), now, CLERK)
    assert not report.differences
    assert not report.gaps
    assert verify.verify(each_town.house).findings == []


def renewed_after_its_refund(town):
    """A call without any answer, the money given back when nothing could come late any more, and it comes."""
    payment_id = town.sold()
    town.koha.fail_next(1000, operation=PUT, status=0)
    pay_for(town, payment_id)
    town.run_for(hours=1, rounds=30)
    assert case_of(town, payment_id).kind == "renewal_unclear"
    asked = resolve(town, case_of(town, payment_id), Choice.REFUND, meaning=Meaning.FEE_DROPPED)
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).ok
    town.run()
    town.koha.faults.failures.clear()
    assert ending(town, payment_id)["books"] == {"provider": -YEAR, "returned": YEAR}
    return payment_id


def compared(town, days=2):
    now = town.world.now()
    report = reconcile(town.house, town.desk, now - timedelta(days=days), now, CLERK)
    return [(one.kind, one.new) for one in report.differences]


def test_a_card_that_is_renewed_after_its_money_went_back_is_found_by_the_comparison_once(each_town):
    town = each_town
    payment_id = renewed_after_its_refund(town)
    assert compared(town) == []
    town.koha.change(int(town.jan), expiry_date=town.until.isoformat())
    assert compared(town) == [("renewed_unpaid", True)]
    assert compared(town) == [("renewed_unpaid", False)]
    case = case_of(town, payment_id)
    assert resolve(town, case, Choice.NO_ACTION).ok
    assert compared(town) == [("renewed_unpaid", False)]
    assert ending(town, payment_id)["cases"] == []


def test_the_comparison_looks_at_a_card_whose_money_went_back_long_after_it_was_paid(town):
    renewed_after_its_refund(town)
    town.world.pass_time(hours=20)
    town.koha.change(int(town.jan), expiry_date=town.until.isoformat())
    with town.house.store.unit() as unit:
        long_ago = unit.now - timedelta(days=60)
        unit.connection.execute(update(payments_table).values(created_at=long_ago, paid_at=long_ago))
    assert ("renewed_unpaid", True) in compared(town)


def test_a_card_that_was_bought_again_after_a_refund_is_no_difference(town):
    renewed_after_its_refund(town)
    again = town.sold()
    pay_for(town, again)
    assert town.expiry() == town.until.isoformat()
    assert compared(town) == []


def test_a_card_that_the_desk_renewed_after_a_refund_is_no_difference(town):
    renewed_after_its_refund(town)
    town.koha.renew_account(int(town.jan))
    assert compared(town) == []


def test_every_step_stands_in_the_chain(town):
    payment_id = town.sold()
    pay_for(town, payment_id)
    steps = trail(town, payment_id)
    wanted = ["renewal_sold", "renew_try", "renew_renewed", "renewed", "charge_try", "charged", "applied"]
    assert [one for one in steps if one in wanted] == wanted
