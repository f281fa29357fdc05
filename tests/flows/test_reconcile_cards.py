"""Comparing cards: one that is shorter than was sold, and the debits that were charged for renewals."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ils_payment.domain.decisions import Choice
from tests.flows.decisions import cannot_charge, case_of, kinds, resolve
from tests.flows.renewing import YEAR
from tests.flows.test_reconcile import _compare, _found
from tests.flows.test_renewals import DEBIT, pay_for
from tests.flows.truths import load


@pytest.fixture
def town(renewing_town):
    return renewing_town


def bought(town):
    payment_id = town.sold()
    pay_for(town, payment_id)
    assert str(load(town, payment_id).state) == "settled"
    return payment_id


def debit(town, payment_id):
    """The line that Koha has for the renewal."""
    marker = town.renewal(payment_id).charge_marker
    (line,) = (one for one in town.koha.tables.lines_of(int(town.jan)) if one.note == marker)
    return line


def test_a_card_that_was_cut_short_after_it_was_paid_for_is_a_case_for_each_new_day(town):
    payment_id = bought(town)
    shorter = town.until - timedelta(days=1)
    town.koha.change(int(town.jan), expiry_date=shorter.isoformat())
    assert _found(_compare(town)) == [("card_shorter", True)]
    assert _found(_compare(town)) == [("card_shorter", False)]
    facts = case_of(town, payment_id, "card_shorter").facts
    assert (facts["until"], facts["valid_until"]) == (town.until.isoformat(), shorter.isoformat())
    town.koha.change(int(town.jan), expiry_date=town.ends.isoformat())
    assert _found(_compare(town)) == [("card_shorter", True)]


def test_a_card_that_the_desk_has_extended_further_is_as_good_as_was_sold(town):
    bought(town)
    town.koha.change(int(town.jan), expiry_date=(town.until + timedelta(days=1)).isoformat())
    report = _compare(town)
    assert (_found(report), report.gaps) == ([], [])
    assert report.counts["library_agrees"] == 3, "the credit, the debit and the card"


def test_a_renewal_of_which_the_library_system_keeps_no_debit_is_compared_by_its_card_alone(
    town, monkeypatch
):
    cannot_charge(monkeypatch)
    payment_id = bought(town)
    assert town.renewal(payment_id).charge_marker is None
    report = _compare(town)
    assert (_found(report), report.counts["library_agrees"]) == ([], 1)


def test_a_library_system_that_lost_the_ability_to_charge_has_no_debits_of_cards_compared(town, monkeypatch):
    debit_line = debit(town, bought(town))
    debit_line.note = "changed by staff"
    cannot_charge(monkeypatch)
    report = _compare(town)
    assert (_found(report), report.counts["library_agrees"]) == ([], 2), "the credit and the card"


@pytest.mark.parametrize(("there", "number"), [("none", 0), ("other", 1), ("twice", 2)])
def test_the_debit_of_a_card_has_to_be_there_exactly_once(town, there, number):
    payment_id = bought(town)
    line = debit(town, payment_id)
    marker = line.note
    if there == "none":
        line.note = "changed by staff"
    elif there == "other":
        town.koha.grow_fee(line.line_id, YEAR + 100)
    else:
        town.koha.add_fee(int(town.jan), YEAR, "ACCOUNT_RENEW", note=marker)
    assert _found(_compare(town)) == [("charge_differs", True)]
    assert _found(_compare(town)) == [("charge_differs", False)]
    facts = case_of(town, payment_id, "charge_differs").facts
    assert (facts["marker"], facts["found"], facts["cents"]) == (marker, number, YEAR)


def test_a_debit_that_was_left_to_a_person_and_is_there_all_the_same_is_a_case(town):
    payment_id = town.sold()
    town.koha.fail_next(51, operation=DEBIT, status=403)
    pay_for(town, payment_id)
    town.run_for(days=1, rounds=60)
    assert kinds(town, payment_id) == ["renewal_unbooked"]
    assert _found(_compare(town)) == []
    town.koha.add_fee(int(town.jan), YEAR, "ACCOUNT_RENEW", note=town.renewal(payment_id).charge_marker)
    assert _found(_compare(town)) == [("charge_differs", True)]
    assert case_of(town, payment_id, "charge_differs").facts["found"] == 1


def test_a_debit_that_a_clerk_has_written_with_its_number_agrees(town):
    payment_id = town.sold()
    town.koha.fail_next(51, operation=DEBIT, status=403)
    pay_for(town, payment_id)
    town.run_for(days=1, rounds=60)
    number = town.renewal(payment_id).charge_marker
    line = town.koha.add_fee(int(town.jan), YEAR, "ACCOUNT_RENEW", note=number)
    town.koha.pay_at_desk(int(town.jan), line, YEAR)
    case = case_of(town, payment_id, "renewal_unbooked")
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference="Kasse 7").ok
    assert _found(_compare(town)) == []
