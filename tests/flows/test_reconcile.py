"""Comparing provider, ledger and library system: what agrees, what differs, and each difference once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ils_payment.domain.decisions import Choice
from ils_payment.flows import show
from ils_payment.flows.backup import set_apart
from ils_payment.flows.house import open_house
from ils_payment.flows.reconcile import begin, reconcile, release
from ils_payment.model import Actor, State
from ils_payment.store import installation, journal
from tests.conftest import KOHA, STRIPE, settings_for
from tests.flows.decisions import TREASURER, approved, case_of, kinds, resolve, settled_payment
from tests.flows.truths import DUE, ending, hear, paid, settled

NIGHTLY = Actor("system", "system")


def _compare(town, *, days=2):
    now = town.world.now()
    return reconcile(town.house, town.desk, now - timedelta(days=days), now + timedelta(hours=1), NIGHTLY)


def _found(report):
    return [(one.kind, one.new) for one in report.differences]


def test_books_that_agree_have_no_differences(each_town):
    town = each_town
    settled_payment(town)
    report = _compare(town)
    assert _found(report) == []
    assert report.gaps == []
    assert report.counts["provider_agrees"] == 1
    assert report.counts["library_agrees"] == 1
    with town.house.store.read() as unit:
        (row,) = journal.newest(unit, what="reconciled")
    assert row["facts"]["differences"] == 0


def test_a_range_without_data_is_compared_and_says_so(town):
    report = _compare(town)
    assert (_found(report), report.gaps, report.counts) == ([], [], {})


def test_money_whose_notice_never_came_is_learned_by_looking(town):
    payment_id = town.started()
    town.stripe.webhooks.drop = True
    town.stripe.pay(town.session_of(payment_id))
    town.world.pass_time(seconds=30)
    assert _found(_compare(town)) == []
    assert town.view(payment_id).state is State.SETTLED


def test_late_money_of_an_expired_session_is_found_and_settled_or_a_case(town):
    payment_id = town.started()
    town.world.pass_time(minutes=40)
    town.run()
    assert town.view(payment_id).state is State.VOID
    town.stripe.webhooks.drop = True
    town.stripe.pay_after_expiry(town.session_of(payment_id), "card")
    town.world.pass_time(hours=1)
    _compare(town)
    town.run()
    assert ending(town, payment_id) == {**settled(), "void": "expired"}


def test_a_payment_of_ours_that_the_ledger_lacks_is_a_case_once(each_town):
    town = each_town
    payment_id = settled_payment(town)
    (intent,) = town.stripe.book.intents.values()
    (charge,) = town.stripe.book.charges.values()
    for one in (intent, charge):
        one["metadata"] = {**one["metadata"], "payment": "lost-by-a-restore"}
    with town.house.store.unit() as unit:
        unit.connection.execute(text("UPDATE attempts SET money_ref = NULL"))
    first, second = _compare(town), _compare(town)
    assert ("not_in_ledger", True) in _found(first)
    assert ("not_in_ledger", False) in _found(second)
    (case,) = [one for one in show.case_list(town.house) if one.payment_id is None]
    assert case.cents == DUE
    assert payment_id


def test_a_payment_of_another_installation_is_counted_and_no_case(town):
    settled_payment(town)
    (charge,) = town.stripe.book.charges.values()
    charge["metadata"] = {"payment": "theirs", "installation": "another"}
    charge["payment_intent"] = "pi_theirs"
    report = _compare(town)
    assert report.counts["foreign"] == 1


def test_an_orphan_marker_is_a_case_once_and_stays_decided(each_town):
    town = each_town
    settled_payment(town)
    patron = town.koha.patron_ids["erika"]
    fee = town.koha.add_fee(patron, 300)
    _credit(town, fee, 300, "ILSP-7K3M9Q-4")
    assert ("orphan_marker", True) in _found(_compare(town))
    case = case_of(town, None)
    assert case.kind == "orphan_marker"
    assert resolve(town, case, Choice.NO_ACTION).code == "done"
    with town.house.store.read() as unit:
        assert journal.last_at(unit, "decided_no_action") == town.world.now()
    assert ("orphan_marker", False) in _found(_compare(town))
    assert kinds(town, None) == []


def test_a_double_credit_is_found(town):
    payment_id = settled_payment(town)
    patron = town.koha.patron_ids["erika"]
    fee = town.koha.add_fee(patron, DUE)
    _credit(town, fee, DUE, town.view(payment_id).number)
    assert ("marker_twice", True) in _found(_compare(town))
    assert kinds(town, payment_id) == ["marker_twice"]
    assert town.view(payment_id).held


def test_a_credit_that_vanished_is_found(town):
    payment_id = settled_payment(town)
    _forget(town)
    assert ("marker_missing", True) in _found(_compare(town))
    assert kinds(town, payment_id) == ["marker_missing"]


def _credit(town, fee, cents, note):
    """Somebody writes a credit with this note into Erika's account."""
    town.koha._desk_credit(town.koha.patron_ids["erika"], fee, cents, "PAYMENT", note=note)


def _forget(town):
    """Staff overwrites the note of a credit."""
    for line in town.koha.tables.lines_of(town.koha.patron_ids["erika"]):
        if line.amount < 0:
            line.note = "changed by staff"


def test_a_refund_made_at_the_provider_without_a_notice_is_found(town):
    payment_id = settled_payment(town)
    town.stripe.webhooks.drop = True
    town.stripe.refund_in_dashboard(town.session_of(payment_id), 300)
    _compare(town)
    assert kinds(town, payment_id) == ["reversed"]
    (found,) = show.refunds_of(town.house, payment_id)
    assert (found.state, found.cents) == ("external", 300)
    assert _found(_compare(town)) == []


def test_our_own_refund_and_counter_debit_agree(town):
    from ils_payment.domain.refunds import Meaning

    payment_id = settled_payment(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    hear(town)
    report = _compare(town)
    assert _found(report) == []
    assert report.counts["library_agrees"] == 2


@pytest.mark.parametrize("away", [KOHA, STRIPE])
def test_a_side_that_does_not_answer_makes_the_report_incomplete_and_never_clean(town, away):
    settled_payment(town)
    remote = town.world.remotes.pop(away)
    report = _compare(town)
    assert len(report.gaps) == 1
    assert _found(report) == []
    with town.house.store.read() as unit:
        assert journal.last_at(unit, "reconciled") is None
    town.world.remotes[away] = remote
    assert _compare(town).gaps == []


def test_a_payment_that_is_being_settled_is_no_difference(town):
    payment_id = paid(town)
    town.koha.fail_next(1, operation="credits.add", after_effect=True)
    hear(town)
    assert town.view(payment_id).state is State.UNKNOWN
    report = _compare(town)
    assert _found(report) == []
    assert report.counts["in_progress"] == 1


# After a restore


def _restored(town):
    with town.house.store.unit() as unit:
        installation.set_unreconciled(unit, unreconciled=True)
        installation.pause(unit, paused=True)


def test_a_restored_ledger_writes_nothing_outside_until_it_was_compared(each_town):
    town = each_town
    payment_id = paid(town)
    _restored(town)
    hear(town)
    town.run_for(hours=3, rounds=20)
    assert town.view(payment_id).state is State.PAID
    assert town.credits() == []
    report = _compare(town)
    assert _found(report) == []
    assert release(town.house, [report], NIGHTLY)
    town.run_for(minutes=20, rounds=10)
    assert town.view(payment_id).state is State.SETTLED
    assert [one["amount"] for one in town.credits()] == [DUE]


def test_a_marker_that_the_restored_ledger_lacks_is_a_case_and_never_a_settle(town):
    payment_id = paid(town)
    _restored(town)
    hear(town)
    # The lost ledger had settled this payment: its credit is in the library system.
    patron = town.koha.patron_ids["erika"]
    fee = town.koha.add_fee(patron, DUE)
    _credit(town, fee, DUE, town.view(payment_id).number)
    report = _compare(town)
    assert ("orphan_marker", True) in _found(report)
    assert release(town.house, [report], NIGHTLY)
    town.run_for(hours=30, rounds=30)
    assert kinds(town, payment_id) == ["orphan_marker"]
    assert len(town.credits()) == 1


def test_a_comparison_with_a_gap_does_not_end_the_pause_after_a_restore(town):
    _restored(town)
    remote = town.world.remotes.pop(KOHA)
    settled_or_not = town.world.now()
    assert settled_or_not
    town.world.remotes.pop(STRIPE)
    report = _compare(town)
    assert report.gaps
    assert not release(town.house, [report], NIGHTLY)
    with town.house.store.read() as unit:
        assert installation.is_unreconciled(unit)
    town.world.remotes.update({KOHA: remote, STRIPE: town.stripe})


def nightly(town):
    since = begin(town.house, town.desk, 3)
    return reconcile(town.house, town.desk, since, town.world.now(), NIGHTLY)


def goes_live(town, monkeypatch):
    """The key for play money is exchanged for one for real money, in the same ledger."""
    town.house.close()
    monkeypatch.setenv("TOWN_STRIPE_LIVE", "rk_live_full")
    rights = (
        "balance_transactions charges checkout_sessions refunds disputes payment_intents accounts balance"
    )
    town.stripe.account.keys["rk_live_full"] = {f"{right}:write" for right in rights.split()}
    town.world.remotes["api.stripe.com"] = town.stripe
    stripe = {
        "api_key": {"env": "TOWN_STRIPE_LIVE"},
        "webhook_secrets": [{"env": "TOWN_STRIPE_WEBHOOK"}],
        "statement_descriptor": "STADTBUECHEREI",
    }
    town.settings = settings_for(town.settings.server.database, providers={"stripe": stripe})
    town.house = open_house(town.settings, town.world)
    town.desk = town.house.libraries["lindental"]
    assert town.desk.live


def test_what_was_paid_in_the_test_does_not_end_the_comparisons_of_real_money(town, monkeypatch):
    settled_payment(town)
    town.world.pass_time(days=5)
    goes_live(town, monkeypatch)
    for _ in range(3):
        town.world.pass_time(days=1)
        report = nightly(town)
        assert (report.gaps, report.differences) == ([], [])


def test_a_session_that_the_provider_has_no_more_is_a_case_and_ends_no_comparison(town):
    payment_id = settled_payment(town)
    book = town.stripe.book
    for forgotten in (book.sessions, book.intents, book.charges, book.transactions):
        forgotten.clear()
    town.world.pass_time(minutes=1)
    report = nightly(town)
    assert report.gaps == []
    assert ("not_at_provider", payment_id) in {(one.kind, one.payment_id) for one in report.differences}


def test_after_a_thousand_comparisons_the_next_one_begins_where_the_last_one_ended(town):
    settled_payment(town)
    first = town.world.now()
    nightly(town)
    with town.house.store.unit() as unit:
        for night in range(1010):
            since, until = (first + timedelta(days=night + more) for more in (0, 4))
            facts = {"since": since.isoformat(), "until": until.isoformat(), "covered": until.isoformat()}
            journal.append(unit, "system", "reconciled", facts, town.desk.key)
    assert begin(town.house, town.desk, 3) == first + timedelta(days=1009 + 4 - 3)


def test_a_library_without_payments_in_the_backup_is_compared_from_the_backup_on(town):
    with town.house.store.unit() as unit:
        journal.append(unit, "root", "backup", {})
    made = town.world.now()
    town.world.pass_time(days=20)
    set_apart(town.house.store, TREASURER)
    assert begin(town.house, town.desk, 3) == made - timedelta(days=3)
