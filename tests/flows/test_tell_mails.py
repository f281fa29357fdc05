"""Telling: staff hears of what does not settle, patrons get their receipt, and nothing personal leaks."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from ils_payment.errors import RemoteError
from ils_payment.flows import show, tell
from ils_payment.flows.house import open_house
from ils_payment.flows.views import NotBegun
from ils_payment.model import PatronRef, State
from ils_payment.store.case_tables import cases
from ils_payment.store.tables import private_mails
from tests.conftest import KOHA, Town
from tests.flows.truths import ending, hear, held, paid, settled, trail

STAFF = "team@lindental.example"
PATRON = "erika.mustermann@mail.example"
CANARIES = (
    "Erika",
    "Mustermann",
    "21234000012345",
    "Sommer am Wehr",
    "Brot backen",
    "Marder",
    "Wandern",
    PATRON,
)
"""Names, a card number, titles and an address that the town is full of."""


def _chore(town):
    tell.alarms(town.house)
    tell.send_mails(town.house)


def _waiting(town):
    with town.house.store.read() as unit:
        return list(unit.connection.execute(select(private_mails.c.recipient)).scalars())


def _days(town, days):
    for _ in range(days * 8):
        town.world.pass_time(hours=3)
        town.run()
        _chore(town)


def _stuck(town):
    """A payment that is paid while Koha is away."""
    payment_id = paid(town)
    del town.world.remotes[KOHA]
    hear(town)
    return payment_id


def test_a_payment_unsettled_for_half_an_hour_is_told_and_again_every_day(town):
    payment_id = _stuck(town)
    town.run_for(rounds=10, minutes=29)
    _chore(town)
    assert town.world.mails == []
    town.run_for(rounds=2, minutes=2)
    _chore(town)
    _chore(town)
    ((recipient, subject, body),) = town.world.mails
    assert recipient == STAFF
    assert town.view(payment_id).receipt_number in subject
    assert f"ils-payment payments show {town.view(payment_id).number}" in body
    _days(town, 3)
    assert len(town.world.mails) == 3
    town.world.remotes[KOHA] = town.koha
    town.run_for(rounds=4, hours=2)
    assert ending(town, payment_id) == settled()
    _days(town, 2)
    assert len(town.world.mails) == 3


def test_an_open_payment_that_never_ends_is_told(town):
    payment_id = town.started(method="instant_bank_transfer")
    town.stripe.pay_pending(town.session_of(payment_id))
    hear(town)
    _days(town, 6)
    assert town.world.mails == []
    _days(town, 2)
    assert town.view(payment_id).state is State.PENDING
    assert len(town.world.mails) >= 1


def test_a_case_is_told_at_once_and_again_every_day_until_it_is_closed(each_town):
    payment_id = paid(each_town)
    each_town.koha.pay_at_desk(each_town.koha.patron_ids["erika"], 2, 450)
    hear(each_town)
    _chore(each_town)
    ((recipient, subject, body),) = each_town.world.mails
    assert recipient == STAFF
    assert "braucht eine Entscheidung" in subject
    (case,) = show.case_list(each_town.house)
    for told in (each_town.view(payment_id).receipt_number, "12,50", case.case_id, "an der Theke"):
        assert str(told) in body
    _chore(each_town)
    assert len(each_town.world.mails) == 1
    _days(each_town, 3)
    assert len(each_town.world.mails) == 3
    with each_town.house.store.unit() as unit:
        unit.connection.execute(update(cases).values(closed_at=unit.now))
    _days(each_town, 2)
    assert len(each_town.world.mails) == 3
    assert ending(each_town, payment_id)["state"] == "paid"


def test_processes_that_do_the_chores_at_the_same_time_send_each_mail_once(each_town):
    town = each_town
    for patron in ("erika", "jan", "blocked"):
        payment_id = town.started(patron=PatronRef(str(town.koha.patron_ids[patron])))
        town.stripe.pay_other_amount(town.session_of(payment_id), 100)
    hear(town)
    others = [open_house(town.settings, town.world) for _ in range(3)]

    def chores(house):
        for _ in range(3):
            tell.alarms(house)
            tell.send_mails(house)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(chores, house) for house in (town.house, *others)]:
            done.result()
    for house in others:
        house.close()
    assert len(town.world.mails) == 3


def test_a_case_closed_before_its_mail_went_out_is_not_told(town):
    town.world.mail_works = False
    paid_id = paid(town)
    town.koha.pay_at_desk(town.koha.patron_ids["erika"], 2, 450)
    hear(town)
    _chore(town)
    with town.house.store.unit() as unit:
        unit.connection.execute(update(cases).values(closed_at=unit.now))
    town.world.mail_works = True
    town.world.pass_time(hours=3)
    _chore(town)
    assert town.world.mails == []
    assert _waiting(town) == []
    assert paid_id


def test_a_mail_server_away_stops_no_money_and_the_mails_come_later(town):
    town.world.mail_works = False
    first = paid(town, only=1)
    town.koha.waive(town.koha.patron_ids["erika"], 2, 1)
    hear(town)
    town.world.pass_time(minutes=1)
    _chore(town)
    second = paid(town)
    hear(town)
    assert tell.queue_receipt(town.house, second, PATRON, "de")
    _chore(town)
    assert ending(town, second) == settled(800)
    assert ending(town, first) == held("paid", "fees_differ", cents=450, claims=1)
    assert town.world.mails == []
    town.world.mail_works = True
    town.world.pass_time(minutes=5)
    _chore(town)
    assert sorted(mail[0] for mail in town.world.mails) == [PATRON, STAFF]
    assert _waiting(town) == []


def test_a_mail_that_cannot_be_sent_for_days_is_forgotten_with_its_address(town):
    town.world.mail_works = False
    payment_id = paid(town)
    hear(town)
    assert tell.queue_receipt(town.house, payment_id, PATRON, "de")
    _days(town, 2)
    assert _waiting(town) == [PATRON]
    _days(town, 1)
    assert _waiting(town) == []


def test_one_strange_mail_silences_no_other(town, monkeypatch):
    first, second = paid(town, only=1), paid(town)
    hear(town)
    town.run_for(rounds=3, seconds=30)
    assert tell.queue_receipt(town.house, first, "strange@address.example", "de")
    assert tell.queue_receipt(town.house, second, PATRON, "en")
    send = town.world.send_mail

    def choke(recipient, subject, body):
        if recipient.startswith("strange"):
            raise ValueError(recipient)
        send(recipient, subject, body)

    monkeypatch.setattr(town.world, "send_mail", choke)
    with capture_logs() as logged:
        _chore(town)
    assert [mail[0] for mail in town.world.mails] == [PATRON]
    assert "strange@" not in str(logged)


def test_the_receipt_is_sent_once_and_its_address_deleted(each_town):
    payment_id = each_town.started()
    assert not tell.queue_receipt(each_town.house, payment_id, PATRON, "de"), "nothing is paid yet"
    each_town.stripe.pay(each_town.session_of(payment_id))
    hear(each_town)
    assert tell.queue_receipt(each_town.house, payment_id, PATRON, "de")
    assert _waiting(each_town) == [PATRON]
    assert not tell.queue_receipt(each_town.house, payment_id, "other@mail.example", "de")
    _chore(each_town)
    assert not tell.queue_receipt(each_town.house, payment_id, PATRON, "de"), "also after it was sent"
    _days(each_town, 2)
    ((recipient, subject, body),) = each_town.world.mails
    assert recipient == PATRON
    assert subject == f"Zahlungsbeleg {each_town.view(payment_id).receipt_number}"
    for line in ("TEST", "12,50\xa0€", "4,50\xa0€", "Säumnisgebühr", "Stadtbücherei Lindental", "Debitkarte"):
        assert line in body
    assert _waiting(each_town) == []
    assert trail(each_town, payment_id)[-1] == "receipt_queued"
    assert PATRON not in str(_everything_but_private(each_town))


def test_nobody_gets_a_receipt_for_an_unknown_payment(town):
    assert not tell.queue_receipt(town.house, "NOBODY", PATRON, "de")


def _everything_but_private(town):
    """Every row of every table that may outlive the patron's data."""
    from ils_payment.store.schema import metadata

    with town.house.store.read() as unit:
        return {
            table.name: [tuple(row) for row in unit.connection.execute(select(table))]
            for table in metadata.sorted_tables
            if not table.name.startswith("private_")
        }


def _ways_that_go_wrong(town):
    """Payments that end well, in each kind of case, and in failures of every remote."""
    erika = town.koha.patron_ids["erika"]
    first = paid(town, only=1)
    hear(town)
    assert tell.queue_receipt(town.house, first, PATRON, "de")
    town.koha.fail_next(2, status=503)
    town.stripe.faults.fail_next(1, status=500)
    with pytest.raises(RemoteError):
        town.begin()
    town.koha.faults.failures.clear()
    assert isinstance(town.begin(only=1), NotBegun)
    town.stripe.faults.waiting.clear()
    town.run_for(rounds=40, minutes=5)
    wrong = town.started(only=1)
    town.stripe.pay_other_amount(town.session_of(wrong), 99)
    hear(town)
    late = paid(town, only=1)
    town.koha.deadlock_next()
    hear(town)
    town.run_for(rounds=5, minutes=5)
    town.koha.tables.patrons.pop(town.koha.patron_ids["child"])
    differ = paid(town)
    town.koha.pay_at_desk(erika, 5, 400)
    hear(town)
    town.run_for(rounds=5, hours=1)
    town.stripe.faults.lose_answer(1)
    town.koha.add_fee(erika, 300, description="Der Sommer am Wehr")
    town.begin()
    _days(town, 1)
    return [first, wrong, late, differ]


def test_nothing_personal_leaves_the_house(town, caplog):
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logged:
        payments = _ways_that_go_wrong(town)
    kinds = {one.kind for one in show.case_list(town.house)}
    assert {"paid_wrong", "marker_wrong", "fees_differ"} <= kinds
    assert len(payments) == 4
    staff_mails = [mail for mail in town.world.mails if mail[0] == STAFF]
    assert len(staff_mails) >= len(kinds)
    truth = town.stripe.truth()
    sent_to_koha = [
        (line.description, line.note)
        for line in town.koha.tables.lines.values()
        if line.note.startswith("ILSP-")
    ]
    assert len(sent_to_koha) >= 2
    # What the payer types on Stripe's own page never was ours.
    ours = [{k: v for k, v in one.items() if k != "customer_details"} for one in truth["sessions"].values()]
    leaves = {
        "mails to staff": staff_mails,
        "all logs": [logged, caplog.text],
        "sessions at Stripe": ours,
        "lines at Stripe": town.stripe.book.line_items,
        "intents at Stripe": truth["payment_intents"],
        "credits in Koha": sent_to_koha,
        "ledger": _everything_but_private(town),
        "addresses of requests": [url for _, url in town.world.requests],
    }
    for name, what in leaves.items():
        text = json.dumps(what, default=str, ensure_ascii=False)
        assert len(text) > 20, name
        assert [canary for canary in CANARIES if canary in text] == [], name


def test_the_canaries_are_there_to_be_found(town):
    """They stand in what the patron sees, so that the test above could find them."""
    from ils_payment.flows import see

    view = see.fees(town.house, town.desk, town.erika)
    text = str(view) + str(town.koha.tables.patrons[town.koha.patron_ids["erika"]].record)
    assert {"Sommer am Wehr", "Brot backen", "Marder", "Mustermann", "21234000012345"} <= {
        canary for canary in CANARIES if canary in text
    }


@pytest.mark.parametrize("staff", [None, "else@lindental.example"])
def test_staff_is_told_at_the_librarys_own_address_or_not_at_all(tmp_path, staff):
    with closing(Town(f"sqlite:///{tmp_path}/staff.db", staff_email=staff)) as town:
        _stuck(town)
        town.run_for(rounds=10, minutes=31)
        _chore(town)
        assert [mail[0] for mail in town.world.mails] == ([staff] if staff else [])
