"""The audit trail and the postings: nobody changes them, and whoever does all the same is found."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ils_payment.store import chain
from ils_payment.store.upgrade import upgrade

COLUMNS = {"what": "'x'", "state": "'x'", "facts": "'[]'", "previous": "'x'", "hash": "'x'", "at": "1"}
POSTING = (
    "INSERT INTO postings (payment_id, number, audit_number, source, destination, cents, at) "
    "VALUES (:id, 9, {audit_number}, 'case', 'returned', 5, 0)"
)
TAMPERINGS = [
    *(
        [f"UPDATE audit SET {column} = {value} WHERE payment_id = :id AND number = {number}"]
        for column, value in COLUMNS.items()
        for number in (1, 3, 6)
    ),
    *([f"DELETE FROM audit WHERE payment_id = :id AND number = {number}"] for number in range(1, 7)),
    [
        "DELETE FROM postings WHERE payment_id = :id AND audit_number = 6",
        "DELETE FROM audit WHERE payment_id = :id AND number = 6",
    ],
    ["DELETE FROM postings WHERE payment_id = :id", "DELETE FROM audit WHERE payment_id = :id"],
    ["UPDATE postings SET cents = cents + 1 WHERE payment_id = :id AND number = 1"],
    ["UPDATE postings SET destination = 'case' WHERE payment_id = :id AND number = 2"],
    ["UPDATE postings SET line_id = NULL WHERE payment_id = :id AND number = 1"],
    ["UPDATE postings SET audit_number = 99 WHERE payment_id = :id AND number = 2"],
    ["DELETE FROM postings WHERE payment_id = :id AND number = 1"],
    ["DELETE FROM postings WHERE payment_id = :id AND number = 2"],
    [POSTING.format(audit_number=6)],
    [POSTING.format(audit_number=7)],
]


@pytest.fixture
def settled(each_town):
    """A town with one settled payment and one that is only begun."""
    each_town.paid = each_town.started(only=1)
    each_town.stripe.pay(each_town.session_of(each_town.paid))
    each_town.deliver_webhooks()
    each_town.run()
    each_town.other = each_town.started()
    return each_town


@contextmanager
def _undone(store, *, triggers):
    """Open a transaction that is rolled back at the end; *triggers* off, as full rights allow."""
    with store.unit() as unit:
        for table in () if triggers else ("audit", "postings"):
            if store.is_sqlite:
                for action in ("update", "delete"):
                    unit.connection.execute(text(f"DROP TRIGGER {table}_no_{action}"))
            else:
                unit.connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        yield unit
        unit.connection.rollback()


def test_the_ledger_takes_no_change_and_no_deletion(settled):
    store = settled.house.store
    statements = ["UPDATE audit SET what = 'x'", "UPDATE postings SET cents = 1"]
    statements += [f"DELETE FROM {table}" for table in ("audit", "postings")]
    if not store.is_sqlite:
        statements += ["TRUNCATE audit", "TRUNCATE postings", "TRUNCATE payments CASCADE"]
    for statement in statements:
        with pytest.raises(DBAPIError, match="append-only"), store.unit() as unit:
            unit.connection.execute(text(statement))
    upgrade(store)
    with store.read() as unit:
        assert chain.broken_at(unit, settled.paid) is None
        assert chain.broken_at(unit, settled.other) is None
        trail = [row["what"] for row in chain.read_audit(unit, settled.paid)]
    assert trail == ["created", "started", "paid_right", "fees_stand", "call_applied", "applied"]


def test_whatever_is_changed_deleted_or_added_past_the_triggers_is_found(settled):
    assert len(TAMPERINGS) == 34
    for statements in TAMPERINGS:
        with _undone(settled.house.store, triggers=False) as unit:
            for statement in statements:
                assert unit.connection.execute(text(statement), {"id": settled.paid}).rowcount
            assert chain.broken_at(unit, settled.paid) is not None, statements
            assert chain.broken_at(unit, settled.other) is None, "each payment has a chain of its own"
    with settled.house.store.read() as unit:
        assert chain.broken_at(unit, settled.paid) is None


def test_a_row_with_its_hash_made_anew_breaks_the_next_one(settled):
    with _undone(settled.house.store, triggers=False) as unit:
        row = chain.read_audit(unit, settled.paid)[1]
        del row["hash"]
        values = {"id": settled.paid, "hash": chain.digest({**row, "facts": "{}"}, [])}
        forge = "UPDATE audit SET facts = '{}', hash = :hash WHERE payment_id = :id AND number = 2"
        unit.connection.execute(text(forge), values)
        assert chain.broken_at(unit, settled.paid) == 3


def test_a_row_replaced_past_the_triggers_of_sqlite_is_found(town):
    """SQLite fires no delete trigger for REPLACE, so here the chain is what notices."""
    payment_id = town.started()
    replace = (
        "REPLACE INTO audit SELECT payment_id, number, at, what, state, '{}', previous, hash FROM audit "
        "WHERE payment_id = :id AND number = 1"
    )
    with _undone(town.house.store, triggers=True) as unit:
        unit.connection.execute(text(replace), {"id": payment_id})
        assert chain.broken_at(unit, payment_id) == 1


def test_a_line_without_a_tax_code_is_frozen_as_before_tax_codes_were_kept():
    row: dict[str, object] = dict.fromkeys(
        ("library", "patron_id", "currency", "method", "provider", "receipt_number"), "x"
    )
    row |= {"cents": 450, "live": True}
    line: dict[str, object] = dict.fromkeys(
        ("id", "kind", "claim_key", "fee_ref", "cost_centre", "account"), "y"
    )
    line |= {"cents": 450, "tax_code": ""}
    before = "d0d901aea908de2dd4283071254f777e49e65af750b502d962bd583f894c4efc"
    assert chain.frozen(row, [line]) == before
    assert chain.frozen(row, [{**line, "tax_code": "19"}]) != before
