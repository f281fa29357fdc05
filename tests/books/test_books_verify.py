"""Verify finds whatever somebody with all rights over the database changes, deletes or cuts off."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import tell
from ils_payment.flows.decide import refund
from ils_payment.flows.decision import Decision
from ils_payment.flows.export import export
from ils_payment.flows.seal import seal, seal_changes, seal_hidden
from ils_payment.flows.verify import examine, verify
from ils_payment.model import Actor
from ils_payment.store import journal, seals
from ils_payment.store.journal_tables import sealed_heads
from tests.books.conftest import TREASURER, YESTERDAY, pay_one

# What is done to the rows, and what verify says; :paid is the settled payment, :begun one that is open.
TAMPERINGS = {
    "UPDATE audit SET facts = '{}' WHERE payment_id = :paid AND number = 3": "changed at row 3",
    "UPDATE postings SET cents = cents + 1 WHERE payment_id = :paid AND number = 1": "was changed",
    "UPDATE postings SET at = at + 86400000000 WHERE payment_id = :paid AND number = 1": "was changed",
    "UPDATE postings SET destination = 'nowhere' WHERE payment_id = :paid AND number = 1": "was changed",
    "UPDATE payments SET cents = cents + 1 WHERE id = :paid": "the payment says 1251",
    "UPDATE payments SET captured = captured + 1 WHERE id = :paid": "the payment says 1251",
    "UPDATE payments SET state = 'paid' WHERE id = :paid": "history was changed at row",
    "UPDATE payments SET currency = 'CHF' WHERE id = :paid": "not as it was frozen",
    "UPDATE payments SET receipt_number = 'ILSP-000000-0' WHERE id = :paid": "not as it was frozen",
    "UPDATE payments SET live = NOT live WHERE id = :paid": "not as it was frozen",
    "UPDATE payments SET paid_at = paid_at + 1 WHERE id = :paid": "its paid_at is no instant of its history",
    "UPDATE payments SET settled_at = settled_at + 1 WHERE id = :paid": "its settled_at is no instant",
    "UPDATE payments SET held = NOT held WHERE id = :paid": "it is held, and no case is open",
    "UPDATE payment_lines SET cost_centre = '9999' WHERE payment_id = :paid": "not as it was frozen",
    "UPDATE payment_lines SET tax_code = '19' WHERE payment_id = :paid": "not as it was frozen",
    "UPDATE payment_lines SET tax_code = '' WHERE payment_id = :paid": "not as it was frozen",
    "UPDATE payment_lines SET cents = cents + 1 WHERE payment_id = :paid AND position = 0": "lines make",
    "DELETE FROM payment_lines WHERE payment_id = :paid AND position = 0": "about a line that is not its own",
    "INSERT INTO claims (patron_id, claim_key, payment_id) SELECT patron_id, 'x', id FROM payments "
    "WHERE id = :paid": "still claims 1 fee(s)",
    "DELETE FROM claims WHERE payment_id = :begun": "claims 0 of its",
    "UPDATE credit_orders SET state = 'due' WHERE payment_id = :paid": "credits 0",
    "UPDATE refunds SET state = 'withdrawn'": "refunds reserve 0 cents, the ledger",
    "UPDATE private_payments SET lines = '{}' WHERE payment_id = :paid": "the texts of its fees",
    "UPDATE private_reasons SET text = 'another'": "a reason is not the one",
    "DELETE FROM payments WHERE id = :paid": "was deleted",
    "UPDATE journal SET actor = 'somebody' WHERE number = 1": "the journal was changed at row 1",
    "DELETE FROM journal WHERE number = 1": "the journal was changed at row 1",
    "UPDATE sealed_heads SET hash = 'x' WHERE payment_id = :paid": "is not the one that was sealed",
    "DELETE FROM sealed_heads WHERE payment_id = :begun": "does not fit the rows that it covers",
    "DELETE FROM journal WHERE what = 'seal'": "is gone from the journal, and its heads are there",
    "UPDATE exports SET content = 'x'": "the file is not as it was made",
    "DELETE FROM exported WHERE number = 1": "are marked",
    "DELETE FROM exports": "export 1 was deleted",
    "DELETE FROM journal WHERE what = 'export'": "export 1 is not in the journal",
    "UPDATE journal SET facts = 'no facts' WHERE what = 'export'": "export 1 is not in the journal",
    "UPDATE journal SET facts = '[1]' WHERE what = 'export'": "export 1 is not in the journal",
    "UPDATE exports SET library = 'elsewhere'": "export 1 is of another library than the journal says",
    "UPDATE journal SET facts = '{}' WHERE what = 'seal'": "does not follow seal 0",
    "UPDATE refunds SET state = 'due'": "refund 1 was approved by nobody",
    "UPDATE refunds SET cents = cents - 1": "refund 1 is not as it was asked for",
}

EVERY_TRACE = [
    f"DELETE FROM {table} WHERE {column} = :paid"
    for table, column in (
        ("exported", "payment_id"),
        ("private_payments", "payment_id"),
        ("postings", "payment_id"),
        ("audit", "payment_id"),
        ("credit_tries", "order_id IN (SELECT id FROM credit_orders WHERE payment_id = :paid) OR order_id"),
        ("credit_orders", "payment_id"),
        ("attempts", "payment_id"),
        ("payment_lines", "payment_id"),
        ("payments", "id"),
    )
]


@pytest.fixture
def ledger(each_town):
    """A settled payment, one whose refund waits for a second person, one that is only begun; all sealed."""
    town = each_town
    town.paid = pay_one(town)
    town.asked = pay_one(town, patron=str(town.koha.patron_ids["jan"]))
    wanted = Decision(choice=Choice.REFUND, reason="paid at the desk, too", meaning=Meaning.DOUBLE_PAYMENT)
    assert refund(town.house, Actor("clerk1", "clerk"), town.asked, wanted).code == "second_person"
    town.begun = town.started(patron=str(town.koha.patron_ids["expired"]))
    town.world.pass_time(days=1)
    export(town.house, town.desk, TREASURER, YESTERDAY, YESTERDAY, with_payouts=False)
    town.sealed = seal(town.house)
    assert town.sealed is not None
    return town


@contextmanager
def tampered(town, *statements):
    """See the ledger as somebody with all rights left it; everything is undone at the end."""
    store = town.house.store
    names = {"paid": town.paid, "asked": town.asked, "begun": town.begun}
    with store.unit() as unit:
        if store.is_sqlite:
            unit.connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            for name in unit.connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars():
                unit.connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            unit.connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            used = {name: value for name, value in names.items() if f":{name}" in statement}
            assert unit.connection.execute(text(statement), used).rowcount, statement
        yield unit
        unit.connection.rollback()


def test_a_sound_ledger_is_sound_and_its_balances_add_up(ledger):
    report = verify(ledger.house, seal=ledger.sealed.hash)
    assert report.findings == []
    assert (report.payments, report.seals, report.exports, report.unsealed) == (3, 1, 1, 0)
    assert report.seal_number == ledger.sealed.number
    paid = ledger.view(ledger.paid).cents
    asked = ledger.view(ledger.asked).cents
    assert report.balances == {
        ("provider", "EUR", "test"): -paid - asked,
        ("to_settle", "EUR", "test"): 0,
        ("library_system", "EUR", "test"): paid,
        ("to_return", "EUR", "test"): asked,
    }


def test_whatever_is_changed_deleted_or_cut_off_is_found_and_named(ledger):
    for statement, says in TAMPERINGS.items():
        with tampered(ledger, statement) as unit:
            findings = examine(ledger.house, unit).findings
        assert any(says in one for one in findings), (statement, findings)
    assert verify(ledger.house).findings == []


def test_what_the_provider_gave_back_alone_needs_nobodys_approval(ledger):
    ledger.stripe.refund_in_dashboard(ledger.session_of(ledger.paid), 100)
    ledger.house.make_due(ledger.paid)
    ledger.run()
    assert verify(ledger.house).findings == []


def test_exports_of_a_library_that_is_not_configured_any_more_are_held_against_the_journal(ledger):
    settings = ledger.house.settings
    others = {"elsewhere": settings.libraries["lindental"]}
    ledger.house.settings = settings.model_copy(update={"libraries": others})
    assert verify(ledger.house).findings == []
    with tampered(ledger, "UPDATE exports SET content = 'x'") as unit:
        findings = examine(ledger.house, unit).findings
    assert any("the file is not as it was made" in one for one in findings)


def test_a_payment_that_was_deleted_with_every_trace_is_named_by_its_seal(ledger):
    with tampered(ledger, *EVERY_TRACE) as unit:
        findings = examine(ledger.house, unit).findings
    assert f"payment {ledger.paid} was deleted" in findings


def test_a_tail_of_a_history_that_changed_no_state_is_found_by_its_seal(ledger):
    tell.queue_receipt(ledger.house, ledger.paid, "erika@lindental.example", "de")
    last = "SELECT max(number) FROM audit WHERE payment_id = :paid"
    cut = f"DELETE FROM audit WHERE payment_id = :paid AND number = ({last})"
    with tampered(ledger, cut) as unit:
        assert examine(ledger.house, unit).findings == [], "nobody outside knows of the last minutes"
    ledger.world.pass_time(minutes=10)
    seal_changes(ledger.house)
    with tampered(ledger, cut) as unit:
        [found] = examine(ledger.house, unit).findings
    assert "is not the one that was sealed" in found


def test_a_tail_of_the_journal_that_was_cut_off_is_found(ledger):
    with ledger.house.store.unit() as unit:
        number = journal.append(unit, "cli:root", "pause", {})
    with tampered(ledger, f"DELETE FROM journal WHERE number = {number}") as unit:
        [found] = examine(ledger.house, unit).findings
    assert found == f"the journal ends with row {number - 1} of {number}: its tail was cut off"


def test_a_ledger_that_was_forged_throughout_is_found_by_a_seal_that_was_kept_outside(ledger):
    """Who may write everything can make every hash anew; what was written down outside does not change."""
    forge = f"UPDATE journal SET actor = 'cli:nobody' WHERE number = {ledger.sealed.number}"
    with tampered(ledger, forge) as unit:
        row = dict(
            unit.connection.execute(text(f"SELECT * FROM journal WHERE number = {ledger.sealed.number}"))
            .mappings()
            .one()
        )
        claimed = row.pop("hash")
        row["at"] = ledger.world.now()
        anew = journal.digest(row)
        unit.connection.execute(
            text(f"UPDATE journal SET hash = '{anew}' WHERE number = {ledger.sealed.number}")
        )
        assert anew != claimed == ledger.sealed.hash
        assert examine(ledger.house, unit).findings == []
        [found] = examine(ledger.house, unit, seal=claimed).findings
    assert found.startswith(f"the seal {claimed} is not in the journal")


def test_seals_are_made_every_ten_minutes_when_something_changed_and_told_to_the_log(town):
    def chore():
        with capture_logs() as told:
            seal_changes(town.house)
        return [(one["event"], one["heads"]) for one in told]

    assert chore() == []
    town.paid = pay_one(town)
    assert chore() == [("sealed", 1)]
    town.begun = town.started(patron=str(town.koha.patron_ids["jan"]))
    assert chore() == [], "ten minutes are not over"
    town.world.pass_time(minutes=10)
    assert chore() == [("sealed", 1)]
    town.world.pass_time(minutes=10)
    assert chore() == [], "nothing changed"
    with town.house.store.unit() as unit:
        journal.append(unit, "cli:root", "pause", {})
    assert chore() == [("sealed", 0)], "what staff did is covered as well"
    with town.house.store.read() as unit:
        hashes = [row["hash"] for row in journal.newest(unit, what="seal")]
    assert len(hashes) == 3
    for one in hashes:
        assert verify(town.house, seal=one).findings == []


def test_what_happens_after_a_seal_of_a_clock_that_was_ahead_is_sealed_as_ever(each_town):
    town = each_town
    pay_one(town)
    town.world.pass_time(days=2)
    seal_changes(town.house)
    town.world.pass_time(days=-2)
    pay_one(town, patron=str(town.koha.patron_ids["jan"]))
    seal_changes(town.house)
    report = verify(town.house)
    assert (report.findings, report.unsealed, report.seals) == ([], 0, 2)
    seal_changes(town.house)
    assert verify(town.house).seals == 2, "nothing changed"


def test_what_the_seals_of_former_versions_have_looked_past_is_sealed_once_a_day(each_town):
    town = each_town
    pay_one(town)
    town.world.pass_time(days=2)
    seal_changes(town.house)
    town.world.pass_time(days=-2)
    town.begun = town.started(patron=str(town.koha.patron_ids["jan"]))
    town.world.pass_time(days=3)
    seal_changes(town.house)
    assert verify(town.house).unsealed == 1
    seal_hidden(town.house)
    report = verify(town.house)
    assert (report.findings, report.unsealed, report.seals) == ([], 0, 2)
    seal_hidden(town.house)
    assert verify(town.house).seals == 2


def test_two_processes_make_one_seal(each_town):
    pay_one(each_town)
    assert seal(each_town.house) is not None
    assert seal(each_town.house) is None
    with each_town.house.store.read() as unit:
        assert len(unit.connection.execute(select(sealed_heads)).all()) == 1


def test_more_than_one_seal_takes_are_sealed_in_rounds(town, monkeypatch):
    monkeypatch.setattr(seals, "AT_MOST", 1)
    pay_one(town)
    town.world.pass_time(hours=5)
    pay_one(town, patron=str(town.koha.patron_ids["jan"]))
    seal_changes(town.house)
    seal_changes(town.house)
    report = verify(town.house)
    assert (report.findings, report.unsealed, report.seals) == ([], 0, 2)
