"""What Stripe took and what it paid out: the lists that reconciliation and export read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from ils_payment_stripe import books

from ils_payment.errors import RemoteGarbledError, RemoteRefusedError, RemoteUnavailableError
from ils_payment.model import ListedPayment, PayoutEntry, RefundOrder
from ils_payment.ports import Listing, PayingOut
from tests.stripe.conftest import KEY

BEGIN = datetime(2026, 11, 21, tzinfo=UTC)
"""Midnight (UTC) of the day on which the clock of these tests begins."""


def every(house, since=BEGIN, until=BEGIN + timedelta(days=30)):
    """All pages of the list, and how many there were."""
    found, cursor, pages = [], None, 0
    while True:
        page = house.payments(since, until, cursor)
        found += page.payments
        pages += 1
        if page.cursor is None:
            return found, pages
        cursor = page.cursor


def foreign_payment(simulator, sessions, wish, cents=500):
    line = {"currency": "eur", "unit_amount": cents, "product_data": {"name": "T-Shirt"}}
    made = sessions.create(wish(line_items=[{"price_data": line, "quantity": 1}], metadata=None))
    simulator.pay(made.id)
    return made.id


def next_day(clock, days=1):
    clock.instant = clock.instant.replace(hour=9, minute=0) + timedelta(days=days)


# --- payments -----------------------------------------------------------------------------------


def test_stripe_declares_what_it_implements_of_the_books(house):
    can = house.capabilities()
    assert (can.listing, can.payouts) == (True, True)
    assert isinstance(house, Listing)
    assert isinstance(house, PayingOut)


def test_what_was_taken_is_listed_with_its_reference(house, take, clock):
    session = take()
    (found,), _ = every(house)
    assert found == ListedPayment(
        session_ref="",
        money_ref=house.read(session).money_ref,
        reference="PAY1",
        installation="",
        captured=1250,
        reversed=0,
        currency="EUR",
        live=False,
        at=clock.instant,
    )


def test_the_installation_comes_back_with_the_payment(house, take):
    take(installation="inst-7")
    assert [one.installation for one in every(house)[0]] == ["inst-7"]


def test_only_captured_money_is_listed_and_foreign_payments_have_no_reference(
    house, simulator, take, sessions, wish
):
    take()
    foreign_payment(simulator, sessions, wish)
    sessions.create(wish())
    simulator.decline(sessions.create(wish()).id)
    simulator.pay_pending(sessions.create(wish()).id)
    simulator.adjust(-1000, kind="stripe_fee", category="fee")
    found, _ = every(house)
    assert [(one.reference, one.captured) for one in found] == [("", 500), ("PAY1", 1250)]


def test_money_counts_when_it_came_and_not_when_the_payer_began(house, simulator, sessions, wish, clock):
    session = sessions.create(wish()).id
    simulator.pay_pending(session)
    began = clock.instant
    clock.instant += timedelta(days=2)
    simulator.succeed_pending(session)
    assert every(house, began, began + timedelta(days=1)) == ([], 1)
    (found,), _ = every(house, began + timedelta(days=1))
    assert found.at == clock.instant


def test_the_beginning_belongs_to_the_time_asked_for_and_the_end_does_not(house, take, clock):
    take()
    here, second = clock.instant, timedelta(seconds=1)
    half = timedelta(milliseconds=500)
    assert len(every(house, here, here + second)[0]) == 1
    assert len(every(house, here - half, here + half)[0]) == 1
    assert every(house, here - second, here)[0] == []
    assert every(house, here + half, here + second)[0] == []


def test_what_left_again_is_counted(house, simulator, take):
    refunded, disputed, won = (take(f"PAY{n}") for n in (1, 2, 3))
    house.refund(RefundOrder(key="R", session_ref=refunded, reference="PAY1", cents=300, currency="EUR"))
    simulator.dispute(disputed)
    simulator.close_dispute(simulator.dispute(won), won=True)
    found = {one.reference: one.reversed for one in every(house)[0]}
    assert found == {"PAY1": 300, "PAY2": 1250, "PAY3": 0}


def test_a_hundred_and_more_come_in_pages_without_a_gap_while_others_are_added(house, simulator, take):
    for number in range(60):
        take(f"PAY{number}")
        simulator.refund_in_dashboard(simulator_session(simulator), 1)
    first = house.payments(BEGIN, BEGIN + timedelta(days=1))
    assert first.cursor
    take("LATE")
    second = house.payments(BEGIN, BEGIN + timedelta(days=1), first.cursor)
    assert second.cursor is None
    for page in (first, second):
        assert len({one.reference for one in page.payments}) == len(page.payments)
    references = {one.reference for one in first.payments + second.payments}
    assert references == {f"PAY{number}" for number in range(60)}


def simulator_session(simulator):
    """The newest session that has been paid."""
    return [key for key, one in simulator.book.sessions.items() if one["status"] == "complete"][-1]


def test_an_empty_time_is_an_empty_page(house):
    assert every(house) == ([], 1)


def test_a_source_that_is_not_shown_is_garbled(house):
    nobody: Any = None
    with pytest.raises(RemoteGarbledError):
        list(books._listed(nobody, {"reporting_category": "charge", "source": "ch_1"}))


def test_a_key_without_the_right_is_named(house, simulator, url, client):
    simulator.account.keys["rk_test_poor"] = {"charges:read"}
    poor = client(url, "rk_test_poor")
    with pytest.raises(RemoteRefusedError, match="balance_transactions:read"):
        books.payments(poor, BEGIN, BEGIN + timedelta(days=1), None)


# --- payouts ------------------------------------------------------------------------------------


def paid_out(house, since=BEGIN, days=30):
    return house.payouts(since, since + timedelta(days=days))


def total(payout):
    return sum(entry.cents - entry.fee for entry in payout.entries)


def test_a_payout_is_the_sum_of_its_entries_less_their_fees(house, simulator, take, clock):
    first, second = take("PAY1", 1250), take("PAY2", 2000)
    house.refund(RefundOrder(key="R", session_ref=first, reference="PAY1", cents=250, currency="EUR"))
    simulator.adjust(-199, kind="stripe_fee", category="fee")
    next_day(clock, 4)
    (payout,) = paid_out(house)
    kinds = sorted((entry.kind, entry.cents, entry.fee) for entry in payout.entries)
    assert kinds == [("fee", -199, 0), ("payment", 1250, 44), ("payment", 2000, 55), ("refund", -250, 0)]
    assert payout.cents == total(payout) == 1250 + 2000 - 250 - 44 - 55 - 199
    assert payout.currency == "EUR"
    assert payout.arrival == date(2026, 11, 24)
    refs = {entry.cents: entry.money_ref for entry in payout.entries}
    assert refs[1250] == refs[-250] == house.read(first).money_ref
    assert refs[2000] == house.read(second).money_ref
    assert refs[-199] == ""


def test_each_day_has_its_own_payout_and_no_entry_is_in_two(house, take, clock):
    for number in range(3):
        take(f"PAY{number}")
        next_day(clock)
    next_day(clock, 5)
    payouts = paid_out(house)
    assert sorted(one.arrival for one in payouts) == [date(2026, 11, day) for day in (24, 25, 26)]
    refs = [entry.ref for one in payouts for entry in one.entries]
    assert len(refs) == len(set(refs)) == 3
    assert all(one.cents == total(one) for one in payouts)


def test_a_dispute_its_fee_and_what_a_won_one_brings_back_are_entries(house, simulator, take, clock):
    take("PAY1", 90_000)
    session = take("PAY2", 1250)
    dispute = simulator.dispute(session)
    next_day(clock, 4)
    simulator.close_dispute(dispute, won=True)
    next_day(clock, 4)
    payouts = sorted(paid_out(house), key=lambda one: one.arrival)
    assert [one.cents == total(one) for one in payouts] == [True, True]
    lines = [
        (e.kind, e.cents, e.fee) for one in payouts for e in one.entries if e.kind in {"chargeback", "fee"}
    ]
    assert lines == [("chargeback", -1250, 2000), ("chargeback", 1250, 0), ("fee", 2000, 0)]
    money = house.read(session).money_ref
    assert {e.money_ref for one in payouts for e in one.entries if e.kind == "chargeback"} == {money}


def test_a_refund_that_failed_comes_back_in_a_later_payout(house, simulator, take, clock):
    session = take("PAY1", 5000)
    made = house.refund(
        RefundOrder(key="R", session_ref=session, reference="PAY1", cents=1000, currency="EUR")
    )
    next_day(clock, 5)
    simulator.finish_refund(made.ref, success=False)
    next_day(clock, 5)
    lines = [(e.kind, e.cents) for one in paid_out(house) for e in one.entries]
    assert sorted(lines) == [("payment", 5000), ("refund", -1000), ("refund", 1000)]


def test_a_payout_on_its_way_is_not_there_yet(house, take, clock):
    take()
    next_day(clock, 2)
    assert list(paid_out(house)) == []
    next_day(clock)
    assert len(paid_out(house)) == 1


def test_days_are_those_of_the_librarys_calendar(house, take, clock):
    take()
    next_day(clock, 5)
    # The payout arrives on the 24th; in Berlin this day begins an hour before it does in UTC.
    begins = datetime(2026, 11, 23, 23, tzinfo=UTC)
    hour, day = timedelta(hours=1), timedelta(days=1)
    assert len(house.payouts(begins, begins + day)) == 1
    assert len(house.payouts(begins, begins + hour)) == 1
    assert list(house.payouts(begins - day, begins)) == []
    assert list(house.payouts(begins + hour, begins + day)) == []


def test_a_payout_that_differs_from_its_entries_shows_it(house, simulator, take, clock):
    simulator.account.payout_difference = -7
    take()
    next_day(clock, 5)
    (payout,) = paid_out(house)
    assert payout.cents == total(payout) - 7


def test_a_payout_made_by_hand_has_no_entries(house, simulator, take, clock):
    take()
    simulator.pay_out_manually(500)
    next_day(clock, 1)
    (payout,) = paid_out(house)
    assert (payout.cents, payout.entries) == (500, ())


def test_a_payout_that_stripe_still_works_on_is_no_answer(house, simulator, take, clock):
    take()
    next_day(clock, 5)
    simulator.tick()
    for payout in simulator.book.payouts.values():
        payout["reconciliation_status"] = "in_progress"
    with pytest.raises(RemoteUnavailableError, match="still assigning"):
        paid_out(house)


def test_a_payout_that_failed_did_not_arrive(house, simulator, take, clock):
    take()
    next_day(clock, 5)
    simulator.tick()
    for payout in simulator.book.payouts.values():
        payout["status"] = "failed"
    assert list(paid_out(house)) == []


def test_more_entries_than_a_page_are_all_there(house, simulator, take, clock):
    take("PAY1", 90_000)
    for _ in range(130):
        simulator.adjust(-1)
    next_day(clock, 5)
    (payout,) = paid_out(house)
    assert len(payout.entries) == 131
    assert payout.cents == total(payout)
    assert [entry.kind for entry in payout.entries].count("other") == 130


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("charge", "payment"),
        ("refund", "refund"),
        ("refund_failure", "refund"),
        ("dispute", "chargeback"),
        ("dispute_reversal", "chargeback"),
        ("fee", "fee"),
        ("network_cost", "fee"),
        ("tax", "fee"),
        ("charge_failure", "other"),
        ("other_adjustment", "other"),
        ("a word of next year", "other"),
        ("payout", None),
        ("payout_reversal", None),
    ],
)
def test_each_category_has_a_kind(category, kind):
    entry = {"id": "txn_1", "amount": 5, "fee": 1, "reporting_category": category, "source": None}
    expected = [] if kind is None else [PayoutEntry(ref="txn_1", kind=kind, cents=5, fee=1)]
    assert list(books.payout_entries(entry)) == expected


# --- the simulated books ------------------------------------------------------------------------


def test_the_simulated_balance_loses_no_cent(house, simulator, take, clock):
    session = take("PAY1", 9000)
    house.refund(RefundOrder(key="R", session_ref=session, reference="PAY1", cents=1000, currency="EUR"))
    simulator.close_dispute(simulator.dispute(take("PAY2")), won=False)
    next_day(clock, 6)
    truth = simulator.truth()
    rows = truth["balance_transactions"].values()
    assert all(row["net"] == row["amount"] - row["fee"] for row in rows)
    out = sum(row["amount"] for row in rows if row["type"] == "payout")
    assert -out == sum(one["amount"] for one in truth["payouts"].values())
    assert sum(row["net"] for row in rows) == 0, "all of it has been paid out"
    assert set(truth["paid_out"]) == set(truth["balance_transactions"])


def test_less_than_nothing_is_not_paid_out(house, simulator, take, clock):
    simulator.dispute(take())
    next_day(clock, 6)
    assert simulator.truth()["payouts"] == {}
    take("PAY2", 50_000)
    next_day(clock, 6)
    (payout,) = paid_out(house)
    assert payout.cents == total(payout)
    assert len(payout.entries) == 3


def test_the_entries_of_a_payout_made_by_hand_cannot_be_asked_for(simulator, url, client, refused):
    payout = simulator.pay_out_manually(100)
    error = refused(client(url).v1.balance_transactions.list, {"payout": payout})
    assert (error.http_status, error.param) == (400, "payout")
    missing = refused(client(url).v1.balance_transactions.list, {"payout": "po_nowhere"})
    assert missing.code == "resource_missing"


def test_rows_of_the_books_are_read_one_by_one_too(simulator, url, client, refused, take, clock):
    take()
    next_day(clock, 5)
    v1 = client(url, KEY).v1
    (transaction, *_) = v1.balance_transactions.list({"type": "charge"}).data
    (payout,) = v1.payouts.list({"status": "paid"}).data
    assert v1.balance_transactions.retrieve(transaction.id).net == transaction.net
    assert v1.payouts.retrieve(payout.id).amount == payout.amount
    assert refused(v1.payouts.retrieve, "po_nowhere").http_status == 404
    assert refused(v1.balance_transactions.retrieve, "txn_nowhere").http_status == 404
