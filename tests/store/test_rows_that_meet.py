"""Rows that two processes want at once, numbers that are drawn twice, and clocks that differ."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import IntegrityError

from ils_payment.model import Notice, PatronRef, State
from ils_payment.store import (
    attempts,
    cases,
    chain,
    claims,
    inbox,
    intake,
    journal,
    orders,
    patrons,
    payments,
    refunds,
    sessions,
)
from ils_payment.store.tables import notices
from tests.conftest import STRIPE, Town
from tests.flows.decisions import approved, books, settled_payment
from tests.flows.truths import DUE, load, paid


def test_a_number_that_is_taken_is_never_given_twice(town, monkeypatch):
    """Receipt numbers, markers of credits and of counter-debits are drawn from the same pool."""
    payment_id = settled_payment(town)
    taken = load(town, payment_id).receipt_number
    drawn = iter([taken.split("-")[1], taken.split("-")[1], "7K3M9Q"])
    monkeypatch.setattr(town.world, "random_text", lambda _length: next(drawn))
    with town.house.store.unit() as unit:
        assert orders.new_marker(unit).startswith("ILSP-7K3M9Q-")
    assert list(drawn) == []


def test_a_claim_for_a_payment_that_does_not_exist_is_an_error_and_no_claim(each_town):
    town = each_town
    patron = load(town, town.started(only=1)).patron_id
    with pytest.raises(IntegrityError), town.house.store.unit() as unit:
        claims.take(unit, "nothing", patron, ["a fee of its own"])
    with town.house.store.read() as unit:
        assert "a fee of its own" not in claims.of_patron(unit, patron)


def test_a_patron_whose_row_was_purged_a_moment_ago_is_met_anew(postgresql_url):
    town = Town(postgresql_url)
    ref = PatronRef("4711")
    with town.house.store.unit() as unit:
        first = patrons.patron_id(unit, "lindental", ref)
    other = create_engine(postgresql_url.replace("postgresql://", "postgresql+psycopg://"))
    purged: list[str] = []

    def purge(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO private_patrons") and not purged:
            purged.append(statement)
            with other.begin() as elsewhere:
                elsewhere.execute(text("DELETE FROM private_patrons WHERE patron_ref = '4711'"))

    event.listen(town.house.store.engine, "after_cursor_execute", purge)
    with town.house.store.unit() as unit:
        second = patrons.patron_id(unit, "lindental", ref)
        assert patrons.patron_ref(unit, second, "lindental") == ref
    assert purged
    assert second != first
    other.dispose()
    town.close()


def test_of_two_processes_that_find_the_same_in_the_same_moment_one_opens_the_case(postgresql_url):
    town = Town(postgresql_url)
    found = ("lindental", None, "not_in_ledger", {"cents": 5}, "stripe:pi_1")
    faster: list[bool] = []

    def open_it_first(_connection, _cursor, statement, *_):
        if statement.startswith("SELECT cases.id") and not faster:
            faster.append(False)
            with town.house.store.unit() as other:
                faster[0] = cases.open_case(other, *found)

    event.listen(town.house.store.engine, "after_cursor_execute", open_it_first)
    with town.house.store.unit() as unit:
        assert not cases.open_case(unit, *found)
        assert len(cases.listed(unit, open_only=True)) == 1
    assert faster == [True]
    town.close()


def test_hosts_whose_clocks_differ_follow_the_databases_clock(postgresql_url):
    """A host that is a day ahead must not take a payment out of the hands of another one."""
    town = Town(postgresql_url)
    town.world.database_clock = True
    payment_id = town.started()
    with town.house.store.unit() as unit:
        assert payments.lease(unit, payment_id, "here", 120)
    town.world.pass_time(days=1)
    with town.house.store.unit() as unit:
        assert payments.lease(unit, payment_id, "ahead", 120) is None
    town.close()


def test_a_clock_that_was_a_year_ahead_for_a_minute_makes_no_payment_wait_for_a_year(town):
    payment_id = town.started()
    stripe = town.world.remotes.pop(STRIPE)
    town.world.pass_time(days=365)
    town.run()
    town.world.pass_time(days=-365)
    town.world.remotes[STRIPE] = stripe
    stripe.pay(town.session_of(payment_id))
    town.run()
    assert town.view(payment_id).state is State.SETTLED


def test_a_payment_that_was_begun_while_the_clock_was_ahead_is_looked_at_once_a_day(town):
    town.world.pass_time(days=10)
    payment_id = town.started()
    town.world.pass_time(days=-10)
    town.run()
    assert load(town, payment_id).due_at == town.world.now() + timedelta(days=1)


def test_a_notice_belongs_to_the_payment_of_its_reference_or_session_and_to_no_other(town):
    payment_id = settled_payment(town)
    session = town.session_of(payment_id)
    other = "SOMEBODY-ELSE"
    told = [(None, None), (None, session), (payment_id, None), (other, session), (other, None)]
    found = []
    for place, (reference, session_ref) in enumerate(told):
        notice = Notice(key=f"n{place}", kind="x", session_ref=session_ref, reference=reference)
        with town.house.store.unit() as unit:
            intake.store(unit, [intake.row("lindental", "stripe", notice)])
            row = unit.connection.execute(notices.select().where(notices.c.key == f"n{place}")).one()
            found.append(attempts.payment_of(unit, row))
    assert found == [None, payment_id, payment_id, payment_id, None]


def test_the_journal_is_read_by_library_kind_and_from_a_row_on(town):
    with town.house.store.unit() as unit:
        for what, library in (("a", "lindental"), ("b", "lindental"), ("a", "elsewhere"), ("a", None)):
            journal.append(unit, "somebody", what, {"n": 1}, library)

    def read(libraries=None, what="", before=None, limit=10):
        with town.house.store.read() as unit:
            rows = inbox.journal_rows(unit, libraries, what=what, before=before, limit=limit)
        return [(row["what"], row["library"]) for row in rows]

    assert read() == [("a", None), ("a", "elsewhere"), ("b", "lindental"), ("a", "lindental")]
    assert read(libraries=["lindental"]) == [("b", "lindental"), ("a", "lindental")]
    assert read(what="a", libraries=["lindental"]) == [("a", "lindental")]
    assert read(limit=1) == [("a", None)]
    with town.house.store.read() as unit:
        last = journal.newest(unit, limit=1)[0]["number"]
        assert journal.newest(unit, library="elsewhere")[0]["number"] == last - 1
        assert journal.broken_at(unit) is None
    assert read(before=last - 1) == [("b", "lindental"), ("a", "lindental")]


def test_the_rows_of_the_journal_are_numbered_without_a_gap_and_the_last_of_a_kind_is_found(each_town):
    town = each_town
    with town.house.store.unit() as unit:
        first = journal.append(unit, "somebody", "backup", {})
        started = unit.now
    town.world.pass_time(hours=1)
    with town.house.store.unit() as unit:
        assert journal.append(unit, "somebody", "backup", {}) == first + 1
        assert journal.append(unit, "somebody", "export", {}) == first + 2
        assert journal.last_at(unit, "backup") == started + timedelta(hours=1)
        assert journal.last_restore(unit) is None
        assert journal.broken_at(unit) is None


def test_a_ledger_was_put_back_last_by_whichever_way_was_last(town):
    for what in ("restore", "pause_until_reconciled"):
        town.world.pass_time(hours=1)
        with town.house.store.unit() as unit:
            journal.append(unit, "somebody", what, {})
            assert journal.last_restore(unit) == unit.now


def test_a_row_of_the_journal_that_was_taken_out_breaks_the_chain_where_it_stood(town):
    with town.house.store.unit() as unit:
        first = journal.append(unit, "somebody", "a", {})
        journal.append(unit, "somebody", "b", {})
        journal.append(unit, "somebody", "c", {})
    with town.house.store.unit() as unit:
        for trigger in unit.connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).scalars():
            unit.connection.execute(text(f"DROP TRIGGER {trigger}"))
        unit.connection.execute(text(f"DELETE FROM journal WHERE number = {first + 1}"))
        assert journal.broken_at(unit) == first + 1
        unit.connection.rollback()


def test_tries_and_refunds_are_numbered_from_one_and_their_reasons_are_cut(town):
    payment_id = settled_payment(town)
    with town.house.store.unit() as unit:
        (order,) = orders.of_payment(unit, payment_id)
        assert [one.number for one in order.tries] == [1]
        orders.end_try(unit, order, 1, "unclear", reason="x" * 300)
        (order,) = orders.of_payment(unit, payment_id)
        assert order.tries[0].reason == "x" * 200
        unit.connection.rollback()
    ids = [line.id for line in load(town, payment_id).lines]
    for line in ids[:2]:
        approved(town, payment_id, lines=(line,))
    with town.house.store.read() as unit:
        assert [one.number for one in refunds.of_payment(unit, payment_id)] == [1, 2]


def test_a_payment_has_a_key_of_its_own_that_is_as_long_as_the_hash(town):
    """The key makes the digests of private texts worthless once it is deleted."""
    keys = []
    for payment_id in (town.started(only=1), town.started()):
        with town.house.store.read() as unit:
            keys.append(
                unit.connection.execute(
                    text("SELECT key FROM private_payments WHERE payment_id = :id"), {"id": payment_id}
                ).scalar_one()
            )
    assert [len(key) for key in keys] == [32, 32]
    assert keys[0] != keys[1]


def test_a_broken_chain_is_told_at_the_first_row_that_does_not_fit(town):
    payment_id = settled_payment(town)
    with town.house.store.unit() as unit:
        for trigger in unit.connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).scalars():
            unit.connection.execute(text(f"DROP TRIGGER {trigger}"))
        assert chain.broken_at(unit, payment_id) is None
        for number in (1, 3):
            with unit.connection.begin_nested() as part:
                unit.connection.execute(text(f"DELETE FROM audit WHERE number = {number}"))
                assert chain.broken_at(unit, payment_id) == number
                part.rollback()
        unit.connection.execute(text("UPDATE postings SET number = number + 10"))
        assert chain.broken_at(unit, payment_id) == 0, "postings out of their order belong to no row"
        unit.connection.rollback()


def test_the_payments_of_a_patron_are_the_own_ones_the_newest_first(each_town):
    town = each_town
    first = settled_payment(town, only=1)
    town.world.pass_time(seconds=1)
    second = paid(town)
    paid(town, patron=PatronRef(str(town.koha.patron_ids["jan"])))
    with town.house.store.read() as unit:
        patron = load(town, first).patron_id
        mine = payments.of_patron(unit, patron, "lindental")
        assert payments.of_patron(unit, patron, "another library of this library system") == []
        assert payments.of_patron(unit, patron, "lindental", limit=1) == mine[:1]
    assert [one.id for one in mine] == [second, first]
    assert [one.state for one in mine] == [State.OPEN, State.SETTLED]
    assert books(town, first)["provider"] > -DUE


def test_a_session_of_one_library_opens_no_other_and_is_gone_once_it_is_closed(each_town):
    town = each_town
    patron = load(town, town.started(only=1)).patron_id
    begun = town.world.now()
    with town.house.store.unit() as unit:
        sessions.open_session(
            unit,
            digest="d",
            library="lindental",
            patron_id=patron,
            language="de",
            ends_at=unit.now + timedelta(hours=1),
        )
    town.world.pass_time(minutes=5)
    system = town.desk.patrons
    with town.house.store.unit() as unit:
        assert sessions.find_session(unit, "d", "elsewhere", system) is None
        assert sessions.find_session(unit, "e", "lindental", system) is None
        assert sessions.find_session(unit, "d", "lindental", "another library system") is None
        sessions.touch_session(unit, "d")
        found = sessions.find_session(unit, "d", "lindental", system)
        assert found is not None
        assert (found.patron, found.patron_id, found.language) == (town.erika, patron, "de")
        assert (found.seen_at, found.ends_at) == (town.world.now(), begun + timedelta(hours=1))
        sessions.close_session(unit, "d")
        assert sessions.find_session(unit, "d", "lindental", system) is None
        sessions.close_session(unit, "d")
