"""A person is told everything and can be forgotten; the books and the chains stay whole."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, tell
from ils_payment.flows.decision import Decision
from ils_payment.flows.seal import seal
from ils_payment.flows.subject import (
    StillNeededError,
    UnknownPersonError,
    erase,
    every,
    export,
    find,
    forget_old,
)
from ils_payment.flows.verify import verify
from ils_payment.model import Actor, PatronRef
from ils_payment.store import journal, patrons, sessions
from tests.books.conftest import TREASURER, pay_one
from tests.flows.decisions import case_of, held_payment

PRIVATE = ("private_payments", "private_reasons", "private_mails", "private_sessions")
CLERK = Actor("clerk1", "clerk")
WHY = "Frau Canary has shown her receipt at the desk"


@pytest.fixture
def known(each_town):
    """A patron with a settled payment, a refund that was withdrawn with a reason, a mail and a session."""
    town = each_town
    town.paid = pay_one(town)
    wanted = Decision(choice=Choice.REFUND, reason=WHY, meaning=Meaning.DOUBLE_PAYMENT)
    asked = decide.refund(town.house, CLERK, town.paid, wanted)
    assert asked.refund_id is not None
    decide.withdraw(town.house, TREASURER, asked.refund_id, WHY)
    tell.queue_receipt(town.house, town.paid, "canary@lindental.example", "de")
    with town.house.store.unit() as unit:
        patron = patrons.known_id(unit, town.desk.patrons, town.erika)
        assert patron is not None
        sessions.open_session(
            unit,
            digest="d",
            library="lindental",
            patron_id=patron,
            language="de",
            ends_at=unit.now + timedelta(hours=1),
        )
    seal(town.house)
    return town


def private_rows(town):
    with town.house.store.read() as unit:
        counts = {
            table: unit.connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
            for table in PRIVATE
        }
        refs = unit.connection.execute(text("SELECT patron_ref FROM private_patrons ORDER BY id")).scalars()
        return counts, list(refs)


def test_a_person_is_told_everything_that_is_known(known):
    told = export(known.house, known.desk, TREASURER, known.erika)
    assert told["patron"] == known.erika
    [payment] = told["payments"]
    assert payment["cents"] == 1250
    assert all(line["text"] for line in payment["lines"])
    assert [one["text"] for one in payment["reasons"]] == [WHY, WHY]
    assert payment["mails"][0]["recipient"] == "canary@lindental.example"
    assert payment["credits"][0]["marker"] == payment["receipt_number"]
    assert payment["refunds"][0]["state"] == "withdrawn"
    assert payment["history"][0]["what"] == "created"
    assert len(told["sessions"]) == 1
    with known.house.store.read() as unit:
        secret = bytes(unit.connection.execute(text("SELECT key FROM private_payments")).scalar()).hex()
        [row] = journal.newest(unit, what="subject_export")
    assert secret not in json.dumps(told, default=str)
    assert row["facts"]["payments"] == 1
    assert known.erika not in row["facts"].values()


def test_a_person_is_told_also_of_the_cases_and_what_they_say(town):
    payment_id = held_payment(town)
    (payment,) = export(town.house, town.desk, TREASURER, town.erika)["payments"]
    (case,) = payment["cases"]
    shown = case_of(town, payment_id)
    assert (case["id"], case["kind"], case["closed_at"]) == (shown.case_id, "fees_differ", None)
    assert case["facts"]
    assert case["facts"].items() <= shown.facts.items()


def test_a_person_is_forgotten_and_the_books_stay_whole(known):
    before = verify(known.house)
    assert erase(known.house, known.desk, TREASURER, known.erika) == 1
    counts, refs = private_rows(known)
    assert set(counts.values()) == {0}
    assert refs == [None]
    after = verify(known.house)
    assert after.findings == []
    assert (after.balances, after.payments) == (before.balances, before.payments)
    with known.house.store.read() as unit:
        [row] = journal.newest(unit, what="subject_erase")
        everything = [
            repr(line)
            for table in ("audit", "journal", "cases", "refunds", "payments", "payment_lines")
            for line in unit.connection.execute(text(f"SELECT * FROM {table}"))
        ]
    assert row["facts"]["payments"] == 1
    assert not [line for line in everything if "anary" in line]
    with pytest.raises(UnknownPersonError):
        export(known.house, known.desk, TREASURER, known.erika)
    with pytest.raises(UnknownPersonError):
        erase(known.house, known.desk, TREASURER, known.erika)


def test_who_was_forgotten_can_come_again(town):
    pay_one(town, only=1)
    erase(town.house, town.desk, TREASURER, town.erika)
    town.world.pass_time(minutes=1)
    again = pay_one(town)
    assert town.view(again).state == "settled"
    assert verify(town.house).findings == []


@pytest.mark.parametrize("why", ["open", "refund", "held"])
def test_nobody_is_forgotten_while_something_is_under_way(town, why):
    if why == "open":
        payment_id = town.started()
    else:
        payment_id = pay_one(town)
        wanted = Decision(choice=Choice.REFUND, reason=WHY, meaning=Meaning.DOUBLE_PAYMENT)
        asked = decide.refund(town.house, CLERK, payment_id, wanted)
        assert asked.code == "second_person"
        if why == "held":
            with town.house.store.unit() as unit:
                unit.connection.execute(text("UPDATE refunds SET state = 'withdrawn'"))
                unit.connection.execute(text("UPDATE payments SET held = true"))
    with pytest.raises(StillNeededError, match=town.view(payment_id).number):
        erase(town.house, town.desk, TREASURER, town.erika)
    assert private_rows(town)[1] == [town.erika]


def test_a_card_is_looked_up_in_the_library_system(town):
    assert find(town.desk, "21234000012345") == town.erika
    with pytest.raises(UnknownPersonError, match="knows no such card"):
        find(town.desk, "0000")
    with pytest.raises(UnknownPersonError, match="Nothing is known"):
        export(town.house, town.desk, TREASURER, PatronRef("4711"))


def test_old_payments_are_forgotten_by_themselves(known):
    known.world.pass_time(hours=2)
    with known.house.store.unit() as unit:
        sessions.purge(unit, unit.now)
    known.world.pass_time(days=14 * 31 - 1)
    forget_old(known.house)
    assert private_rows(known)[0]["private_payments"] == 1
    young = known.started(patron=str(known.koha.patron_ids["jan"]))
    known.world.pass_time(days=1)
    with capture_logs() as told:
        forget_old(known.house)
        forget_old(known.house)
    assert [(one["event"], one.get("payments"), one.get("patrons")) for one in told] == [
        ("forgotten", 1, None),
        ("forgotten", None, 1),
    ]
    counts, refs = private_rows(known)
    assert counts == {"private_payments": 1, "private_reasons": 0, "private_mails": 0, "private_sessions": 0}
    assert sorted(map(str, refs)) == sorted(["None", str(known.koha.patron_ids["jan"])])
    assert verify(known.house).findings == []
    with known.house.store.read() as unit:
        assert len(journal.newest(unit, what="retention")) == 2
    assert known.view(young).lines[0].text


def test_who_has_a_younger_payment_is_still_known(town):
    old = pay_one(town, only=1)
    town.world.pass_time(days=400)
    young = pay_one(town)
    town.world.pass_time(days=100)
    forget_old(town.house)
    counts, refs = private_rows(town)
    assert (counts["private_payments"], refs) == (1, [town.erika])
    assert not town.view(old).lines[0].text
    assert town.view(young).lines[0].text


def test_a_chore_that_is_due_each_hour_is_done_each_hour(town):
    done = []
    chore = every(town.house, timedelta(hours=1), lambda _house: done.append(town.world.now()))
    for _ in range(5):
        chore(town.house)
        town.world.pass_time(minutes=30)
    assert len(done) == 3
