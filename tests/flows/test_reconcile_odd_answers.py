"""Comparing when a side fails midway, cannot be asked, or says what nobody expects."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.errors import RemoteAbsentError, RemoteUnavailableError
from ils_payment.flows.hands import in_hands
from ils_payment.flows.reconcile import is_shut, release
from ils_payment.model import (
    Charge,
    Credit,
    ListedPayment,
    MarkerSupport,
    NotApplied,
    PaymentPage,
    PayState,
)
from ils_payment.store import installation, journal
from ils_payment.store.tables import private_patrons
from tests.flows.decisions import approved, cannot_charge, case_of, kinds, resolve, settled_payment
from tests.flows.test_decisions import _unclear
from tests.flows.test_reconcile import NIGHTLY, _compare, _found
from tests.flows.test_refunds_odd_answers import library_answers, provider_answers
from tests.flows.test_renewals_rare_ways import once
from tests.flows.truths import DUE, hear, load, of, paid


def listed(town: Any) -> list[ListedPayment]:
    """What the provider really lists."""
    now = town.world.now()
    page = town.desk.providers["stripe"].payments(now - timedelta(days=2), now + timedelta(hours=1), None)
    return list(page.payments)


def test_a_provider_that_fails_at_its_second_page_leaves_a_gap_and_no_missing_payment(town):
    """What stood on the page that never came must not be taken for payments that the provider lacks."""
    first = settled_payment(town, only=1)
    second = settled_payment(town)
    pages = listed(town)
    provider = provider_answers(town)

    def answer(_since: Any, _until: Any, cursor: str | None) -> PaymentPage:
        if cursor is None:
            return PaymentPage(payments=tuple(pages[:1]), cursor="next")
        assert cursor == "next"
        raise RemoteUnavailableError("It is in maintenance.")

    provider.payments = answer  # type: ignore[attr-defined]  # in front of the real one
    report = _compare(town)
    assert [gap.split(":")[0] for gap in report.gaps] == ["provider stripe"]
    assert _found(report) == []
    assert kinds(town, first) == kinds(town, second) == []


def test_a_list_of_several_pages_is_read_to_its_end(town):
    settled_payment(town, only=1)
    settled_payment(town)
    pages = listed(town)
    provider = provider_answers(town)
    cursors: list[str | None] = []

    def answer(_since: Any, _until: Any, cursor: str | None) -> PaymentPage:
        cursors.append(cursor)
        place = int(cursor or 0)
        more = str(place + 1) if place + 1 < len(pages) else None
        return PaymentPage(payments=(pages[place],), cursor=more)

    provider.payments = answer  # type: ignore[attr-defined]  # in front of the real one
    report = _compare(town)
    assert (cursors, report.counts["listed"], report.counts["provider_agrees"]) == ([None, "1"], 2, 2)
    assert (_found(report), report.gaps) == ([], [])


def test_a_provider_that_cannot_list_is_left_to_a_person(town):
    settled_payment(town)
    known = town.desk.providers["stripe"].capabilities()
    provider_answers(town, capabilities=replace(known, listing=False))
    report = _compare(town)
    assert (report.gaps, report.beyond) == ([], ["provider stripe cannot list its payments"])
    assert report.counts["library_agrees"] == 1


def test_another_amount_in_the_list_is_a_case_that_names_both(town):
    payment_id = settled_payment(town)
    (one,) = listed(town)
    provider_answers(town, payments=PaymentPage(payments=(replace(one, captured=DUE + 1),), cursor=None))
    assert _found(_compare(town)) == [("other_amount", True)]
    facts = case_of(town, payment_id, "other_amount").facts
    assert (facts["listed"], facts["ledger"]) == (DUE + 1, DUE)
    assert _found(_compare(town)) == [("other_amount", False)]


def test_another_currency_in_the_list_is_a_case(town):
    payment_id = settled_payment(town)
    (one,) = listed(town)
    provider_answers(town, payments=PaymentPage(payments=(replace(one, currency="CHF"),), cursor=None))
    assert _found(_compare(town)) == [("other_amount", True)]
    assert kinds(town, payment_id) == ["other_amount"]


def test_money_that_the_list_says_has_left_and_the_provider_itself_does_not_is_a_case(town):
    payment_id = settled_payment(town)
    (one,) = listed(town)
    provider_answers(town, payments=PaymentPage(payments=(replace(one, reversed=300),), cursor=None))
    assert _found(_compare(town)) == [("other_reversals", True)]
    facts = case_of(town, payment_id, "other_reversals").facts
    assert (facts["listed"], facts["ledger"]) == (300, 0)


def test_a_payment_that_a_worker_has_in_hands_is_compared_the_next_time(town):
    payment_id = settled_payment(town)
    (one,) = listed(town)
    provider_answers(town, payments=PaymentPage(payments=(replace(one, reversed=300),), cursor=None))
    seen: list[Any] = []
    in_hands(town.house, payment_id, lambda _payment: seen.append(_compare(town)))
    assert _found(seen[0]) == []
    assert seen[0].counts["in_progress"] == 1
    assert kinds(town, payment_id) == []


@pytest.mark.parametrize(
    ("changes", "differs"),
    [({}, []), ({"captured": 1}, ["not_at_provider"]), ({"state": PayState.OPEN}, ["not_at_provider"])],
)
def test_a_paid_payment_that_is_not_in_the_list_is_asked_for_by_itself(town, changes, differs):
    """Its day at the provider may be another one; only what the provider says of it alone counts."""
    payment_id = settled_payment(town)
    seen = town.desk.providers["stripe"].read(town.session_of(payment_id))
    provider_answers(town, payments=PaymentPage(payments=(), cursor=None), read=replace(seen, **changes))
    report = _compare(town)
    assert [one.kind for one in report.differences] == differs
    assert report.counts.get("provider_agrees", 0) == (not differs)
    if differs:
        facts = case_of(town, payment_id, "not_at_provider").facts
        assert (facts["captured"], facts["ledger"]) == (changes.get("captured", DUE), DUE)
        assert facts["provider_says"] == changes.get("state", "paid")


# --- the library system ----------------------------------------------------------------------------


@pytest.mark.parametrize("less", [{"marker": MarkerSupport.WRITE_ONLY}, {"unattended_read": False}])
def test_a_library_system_whose_markers_cannot_be_read_is_left_to_a_person(town, less):
    settled_payment(town)
    library_answers(town, capabilities=replace(town.desk.system.capabilities(), **less))
    report = _compare(town)
    assert (report.gaps, report.beyond) == ([], ["the library system's markers cannot be read"])
    assert report.counts["provider_agrees"] == 1


def test_an_erased_patron_is_counted_and_hides_nobody_else(town):
    settled_payment(town)
    other = paid(town, patron=of(town, "jan"))
    hear(town)
    with town.house.store.unit() as unit:
        unit.connection.execute(
            update(private_patrons)
            .where(private_patrons.c.id == load(town, other).patron_id)
            .values(patron_ref=None)
        )
    report = _compare(town)
    assert (report.counts["patrons_erased"], report.counts["patrons"]) == (1, 1)
    assert report.counts["library_agrees"] == 1
    assert (_found(report), report.gaps) == ([], [])


def test_a_patron_who_was_deleted_in_the_library_system_is_counted_and_no_difference(town):
    payment_id = settled_payment(town)
    library_answers(town, recent_credits=RemoteAbsentError("There is no such patron."))
    report = _compare(town)
    assert report.counts["patrons_gone"] == 1
    assert (_found(report), report.gaps) == ([], [])
    assert kinds(town, payment_id) == []


def test_a_library_system_that_fails_at_the_second_patron_has_compared_the_first(town):
    settled_payment(town)
    paid(town, patron=of(town, "jan"))
    hear(town)
    asked = library_answers(town)

    def recent(patron: Any, since: Any) -> Any:
        if patron == of(town, "jan"):
            raise RemoteUnavailableError("It is in maintenance.")
        return asked.real.recent_credits(patron, since)

    asked.recent_credits = recent  # type: ignore[attr-defined]  # in front of the real one
    report = _compare(town)
    assert report.counts["library_agrees"] == 1
    assert report.gaps == ["a patron's account: It is in maintenance."]
    assert _found(report) == []


def test_a_library_system_without_a_list_of_credits_is_compared_marker_by_marker(town):
    settled_payment(town)
    asked = library_answers(town, capabilities=replace(town.desk.system.capabilities(), credit_list=False))
    asked.answers["recent_credits"], asked.asked["recent_credits"] = [], []
    report = _compare(town)
    assert report.counts["library_agrees"] == 1
    assert asked.asked["recent_credits"] == []


def test_a_credit_of_another_amount_under_our_marker_is_a_case(town):
    payment_id = settled_payment(town)
    marker = load(town, payment_id).receipt_number
    there = [Credit(remote_ref="9", marker=marker, cents=DUE - 1, unapplied=0)]
    library_answers(town, find_credits=there)
    assert _found(_compare(town)) == [("marker_other_amount", True)]
    facts = case_of(town, payment_id, "marker_other_amount").facts
    assert (facts["marker"], facts["order"], facts["found"], facts["cents"]) == (marker, DUE, 1, DUE - 1)


def test_our_marker_in_the_account_of_a_stranger_is_a_case(town):
    """Somebody at the desk moved or copied a credit to another card."""
    payment_id = settled_payment(town)
    paid(town, patron=of(town, "jan"))
    hear(town)
    marker = load(town, payment_id).receipt_number
    asked = library_answers(town)
    moved = Credit(remote_ref="77", marker=marker, cents=100, unapplied=0, at=town.world.now())

    def recent(patron: Any, since: Any) -> Any:
        found = list(asked.real.recent_credits(patron, since))
        return [*found, moved] if patron == of(town, "jan") else found

    asked.recent_credits = recent  # type: ignore[attr-defined]  # in front of the real one
    assert _found(_compare(town)) == [("orphan_marker", True)]
    facts = case_of(town, payment_id, "orphan_marker").facts
    assert (facts["marker"], facts["credit"], facts["cents"]) == (marker, "77", 100)


def test_a_credit_that_was_ordered_while_the_account_was_read_is_no_orphan(town):
    """The list of orders was read, then another worker settled, then the account was read."""
    settled_payment(town, only=1)
    asked = library_answers(town)
    asking: list[str] = []
    later: list[str] = []

    def recent(patron: Any, since: Any) -> Any:
        if not asking:
            asking.append(patron)
            later.append(settled_payment(town))
        return asked.real.recent_credits(patron, since)

    asked.recent_credits = recent  # type: ignore[attr-defined]  # in front of the real one
    assert _found(_compare(town)) == []
    assert kinds(town, later[0]) == []


def test_libraries_that_share_a_library_system_each_compare_their_own_credits(town):
    payment_id = settled_payment(town, only=1)
    with town.house.store.unit() as unit:
        unit.connection.execute(text("UPDATE payments SET library = 'elsewhere'"))
    settled_payment(town)
    report = _compare(town)
    assert _found(report) == []
    assert report.counts["library_agrees"] == report.counts["provider_agrees"] == 1
    assert kinds(town, payment_id) == []


@pytest.mark.parametrize(
    ("there", "differs"),
    [
        ([], [("charge_differs", True)]),
        ([DUE - 1], [("charge_differs", True)]),
        ([DUE, DUE], [("charge_differs", True)]),
        ([DUE], []),
    ],
)
def test_a_counter_debit_has_to_be_there_exactly_once(town, there, differs):
    payment_id = settled_payment(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    charges = [Charge(remote_ref=str(n), marker="m", cents=cents) for n, cents in enumerate(there)]
    library_answers(town, find_charges=charges)
    assert _found(_compare(town)) == differs
    assert kinds(town, payment_id) == [kind for kind, _ in differs]


def test_a_counter_debit_that_was_given_up_and_is_there_all_the_same_is_a_case(town):
    payment_id = settled_payment(town)
    asked = library_answers(town, charge=NotApplied(reason="the card is locked", permanent=True))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    assert kinds(town, payment_id) == ["charge_by_hand"]
    asked.answers["find_charges"] = [Charge(remote_ref="5", marker="m", cents=DUE)]
    asked.asked["find_charges"] = []
    assert ("charge_differs", True) in _found(_compare(town))


@pytest.mark.parametrize("late", [False, True])
def test_a_counter_debit_that_a_clerk_has_written_with_its_number_agrees(town, late):
    """One that was there before the clerk was asked is ours, and the clerk may have charged once more."""
    payment_id = settled_payment(town)
    asked = library_answers(town, charge=NotApplied(reason="the card is locked", permanent=True))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    case = case_of(town, payment_id, "charge_by_hand")
    number = str(case.facts["marker"])
    if late:
        made = case.opened_at - timedelta(minutes=1)
        charge = Charge(remote_ref="5", marker=number, cents=DUE, at=made)
        asked.answers["find_charges"], asked.asked["find_charges"] = [charge], []
    else:
        town.world.pass_time(minutes=5)
        town.koha.add_fee(town.koha.patron_ids["erika"], DUE, note=number)
    assert resolve(town, case, Choice.NO_ACTION).ok
    assert _found(_compare(town)) == ([("charge_differs", True)] if late else [])


def test_a_library_system_that_lost_the_ability_to_charge_has_no_charges_compared(town, monkeypatch):
    approved(town, settled_payment(town), Meaning.FEE_STAYS)
    town.run()
    cannot_charge(monkeypatch)
    assert _found(_compare(town)) == []


def test_a_credit_that_came_so_late_that_persons_had_decided_already_is_a_case(town):
    """While their case is open, they have it before their eyes anyway."""
    payment_id = _unclear(town)
    marker = load(town, payment_id).receipt_number
    asked = library_answers(
        town, find_credits=[Credit(remote_ref="9", marker=marker, cents=DUE, unapplied=0)]
    )
    assert _found(_compare(town)) == []
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="4711").ok
    assert _found(_compare(town)) == [("marker_unexpected", True)]
    facts = case_of(town, payment_id, "marker_unexpected").facts
    assert (facts["marker"], facts["found"], facts["cents"]) == (marker, 1, DUE)
    asked.answers["find_credits"] = []
    assert _found(_compare(town)) == []


@pytest.mark.parametrize("named", ["by the case", "by the clerk", "by nobody"])
def test_a_credit_that_a_clerk_has_called_booked_is_no_surprise(town, named):
    """Our credit, with one of the desk in the same second; or one by hand, with our number as a note."""
    payment_id = paid(town, only=1)
    erika = town.koha.patron_ids["erika"]
    if named == "by the case":
        other = town.koha.add_fee(erika, 300)
        with once(town, "koha.settle.after", lambda: town.koha.pay_at_desk(erika, other, 300)):
            hear(town)
    else:
        town.koha.fail_next(1, operation="credits.add")
        hear(town)
        town.run_for(hours=1, rounds=20)
    town.world.pass_time(minutes=5)
    case = case_of(town, payment_id)
    number = str(case.facts["marker"])
    if named != "by the case":
        (line,) = load(town, payment_id).lines
        credit = town.koha.pay_at_desk(erika, int(str(line.fee_ref)), line.cents)
        town.koha.tables.lines[credit].note = number
    reference = f"{number}, Kasse 7" if named == "by the clerk" else "Kasse 7"
    assert resolve(town, case, Choice.BOOKED_BY_HAND, reference=reference).ok
    differs = [("marker_unexpected", True)] if named == "by nobody" else []
    assert _found(_compare(town)) == differs


@pytest.mark.parametrize("there", [[(DUE, 0), (DUE, 0)], [(DUE, 1)], [(DUE - 1, 0)]])
def test_a_credit_that_was_called_booked_and_is_not_there_just_once_is_a_case(town, there):
    payment_id = _unclear(town)
    number = load(town, payment_id).receipt_number
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference=number).ok
    marked = [
        Credit(remote_ref=str(n), marker=number, cents=cents, unapplied=left)
        for n, (cents, left) in enumerate(there)
    ]
    library_answers(town, find_credits=marked)
    assert _found(_compare(town)) == [("marker_unexpected", True)]


def test_a_restored_ledger_is_opened_by_a_person_where_no_program_can_compare(town):
    with town.house.store.unit() as unit:
        installation.set_unreconciled(unit, unreconciled=True)
    provider_answers(town, capabilities=replace(town.desk.providers["stripe"].capabilities(), listing=False))
    report = _compare(town)
    assert not release(town.house, [report], NIGHTLY)
    assert is_shut(town.house)
    assert release(town.house, [report], NIGHTLY, by_hand="Weber, with the provider's own list")
    assert not is_shut(town.house)
    with town.house.store.read() as unit:
        (row,) = journal.newest(unit, what="restored_ledger_compared", limit=5)
    assert row["facts"] == {"by_hand": "Weber, with the provider's own list"}
