"""What staff and patrons read of payments: only their own, also when half of it is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from ils_payment.config.appearance import Receipt
from ils_payment.domain.decisions import Choice
from ils_payment.errors import RemoteAbsentError, RemoteUnavailableError
from ils_payment.flows import inbox, letters, pay, show, tell
from ils_payment.model import MarkerSupport, PatronRef, State
from ils_payment.store import cases, payments
from ils_payment.store.tables import private_patrons
from ils_payment.web.texts import METHODS
from tests.conftest import KOHA
from tests.flows.decisions import CLERK, approved, case_of, held_payment, resolve, settled_payment
from tests.flows.test_other_library_systems import can
from tests.flows.test_refunds_odd_answers import library_answers
from tests.flows.truths import DUE, hear, load, of, paid


def test_a_patron_reads_the_own_payments_the_newest_first_and_nobody_elses(town):
    first = settled_payment(town, only=1)
    town.world.pass_time(minutes=1)
    second = settled_payment(town)
    other = paid(town, patron=of(town, "jan"))
    assert [one.payment_id for one in show.history(town.house, town.desk, town.erika)] == [second, first]
    assert show.history(town.house, town.desk, PatronRef("nobody")) == ()
    assert show.history(town.house, replace(town.desk, key="elsewhere"), town.erika) == ()
    assert show.belongs_to(town.house, town.desk, first, town.erika)
    assert not show.belongs_to(town.house, town.desk, other, town.erika)
    assert not show.belongs_to(town.house, replace(town.desk, key="elsewhere"), first, town.erika)
    assert not show.belongs_to(town.house, town.desk, "nothing", town.erika)


def test_a_fee_leads_to_the_newest_payment_that_it_is_part_of_and_to_no_void_one(town):
    cancelled = town.started()
    keys = [line.claim_key for line in load(town, cancelled).lines]
    pay.cancel(town.house, cancelled)
    assert town.view(cancelled).state is State.VOID
    assert show.paid_with(town.house, town.desk, town.erika, keys) is None
    part = settled_payment(town, only=1)
    rest = settled_payment(town)
    assert show.paid_with(town.house, town.desk, town.erika, keys[:1]) == part
    assert show.paid_with(town.house, town.desk, town.erika, keys[1:]) == rest
    assert show.paid_with(town.house, town.desk, town.erika, ["another fee"]) is None
    assert show.paid_with(town.house, town.desk, PatronRef("nobody"), keys) is None


def test_where_to_look_is_said_of_a_payment_that_is_there(town):
    payment_id = settled_payment(town)
    where = show.whereabouts(town.house, payment_id)
    assert where.patron == town.erika
    assert where.session == town.session_of(payment_id)
    assert where.fees == tuple(line.fee_ref for line in load(town, payment_id).lines)
    assert len(where.credits) == 1
    with pytest.raises(LookupError):
        show.whereabouts(town.house, "nothing")


def test_cases_can_be_listed_for_one_library(town):
    held_payment(town)
    with town.house.store.unit() as unit:
        cases.open_case(unit, "elsewhere", None, "not_in_ledger", {"cents": 5}, "stripe:pi_1")
    assert [one.kind for one in show.case_list(town.house, library="elsewhere")] == ["not_in_ledger"]
    assert [one.kind for one in show.case_list(town.house, library="lindental")] == ["fees_differ"]


def test_refunds_that_wait_can_be_listed_for_one_library(town):
    from tests.flows.decisions import refund

    asked = refund(town, settled_payment(town))
    (found,) = show.refunds_asked(town.house, library="lindental")
    assert (found.refund_id, found.reason) == (asked.refund_id, "asked at the desk")
    assert show.refunds_asked(town.house, library="elsewhere") == ()
    assert show.refund(town.house, "nothing") is None


def test_two_processes_that_find_the_same_at_the_same_time_open_one_case(each_town):
    """The second one has looked before the first one committed."""
    town = each_town
    found = (None, "not_in_ledger", {"cents": 5}, "stripe:pi_1")
    with town.house.store.unit() as unit:
        assert cases.open_case(unit, "lindental", *found)
        assert not cases.open_case(unit, "lindental", *found)
        assert cases.open_case(unit, "elsewhere", *found)
    assert len(show.case_list(town.house)) == 2


def test_what_was_decided_once_is_not_opened_again(town):
    payment_id = settled_payment(town)
    with town.house.store.unit() as unit:
        payment = payments.load(unit, payment_id)
        assert payment is not None
        payments.move(unit, payment, "reversed", case="reversed", subject="re_1", facts={"cents": 1})
    assert resolve(town, case_of(town, payment_id), Choice.NO_ACTION).code == "done"
    with town.house.store.unit() as unit:
        payment = payments.load(unit, payment_id)
        assert payment is not None
        payments.move(unit, payment, "reversed", case="reversed", subject="re_1", facts={"cents": 1})
        assert not cases.open_of_payment(unit, payment_id)
        payment = payments.load(unit, payment_id)
        assert payment is not None
        payments.move(unit, payment, "reversed", case="reversed", subject="re_2", facts={"cents": 1})
        assert len(cases.open_of_payment(unit, payment_id)) == 1


# --- the file on a payment ---------------------------------------------------------------------------


def test_the_file_on_a_payment_tells_who_decided_what_and_why(town):
    payment_id = held_payment(town)
    case = case_of(town, payment_id)
    resolve(town, case, Choice.BOOKED_BY_HAND, reference="4711")
    file = inbox.payment_file(town.house, payment_id)
    assert file is not None
    (step,) = [one for one in file.steps if one.what == "booked_by_hand"]
    assert (step.actor, step.reason, step.facts["reference"]) == (CLERK.name, "looked at both sides", "4711")
    assert [one.case_id for one in file.cases] == [case.case_id]
    assert inbox.payment_file(town.house, "nothing") is None


def test_the_reason_about_something_that_is_no_payment_of_ours_stays_with_its_case(town):
    with town.house.store.unit() as unit:
        cases.open_case(unit, "lindental", None, "not_in_ledger", {"cents": 5}, "stripe:pi_1")
    case = case_of(town, None)
    assert inbox.said(town.house, case) == ()
    resolve(town, case, Choice.BOOKED_BY_HAND, reference="4711")
    closed = show.case(town.house, case.case_id)
    assert closed is not None
    (said,) = inbox.said(town.house, closed)
    assert (said.actor, said.at) == (CLERK.name, town.world.now())
    assert (said.reason, said.reference) == ("looked at both sides", "4711")


def test_what_was_decided_about_a_payment_is_told_with_its_case_and_no_other(town):
    payment_id = held_payment(town)
    case = case_of(town, payment_id)
    resolve(town, case, Choice.BOOKED_BY_HAND, reference="4711")
    (said,) = inbox.said(town.house, case)
    assert (said.actor, said.reason, said.reference) == (CLERK.name, "looked at both sides", "4711")
    assert inbox.said(town.house, replace(case, case_id="another")) == ()


def test_what_the_library_system_says_now_stands_beside_the_frozen_lines(town):
    payment_id = held_payment(town)
    side = inbox.library_side(town.house, town.desk, payment_id)
    assert side.problem == ""
    assert [fee.open_cents for fee in side.fees] == [None], "it was paid at the desk"
    assert side.credits == ()
    assert side.card == "21234000012345"
    settled = settled_payment(town, patron=of(town, "jan"))
    (credit,) = inbox.library_side(town.house, town.desk, settled).credits or ()
    assert credit.cents == load(town, settled).cents
    can(town, marker=MarkerSupport.WRITE_ONLY)
    assert inbox.library_side(town.house, town.desk, settled).credits is None


@pytest.mark.parametrize(
    ("why", "problem"),
    [
        ("unattended", "silent"),
        ("away", "silent"),
        ("deleted", "unknown"),
        ("erased", "unknown"),
    ],
)
def test_a_library_system_that_cannot_say_anything_is_no_reason_to_hide_the_case(town, why, problem):
    payment_id = held_payment(town)
    if why == "unattended":
        can(town, unattended_read=False)
    elif why == "away":
        library_answers(town, account=RemoteUnavailableError("It is in maintenance."))
    elif why == "deleted":
        library_answers(town, card=RemoteAbsentError("There is no such patron."))
    else:
        with town.house.store.unit() as unit:
            unit.connection.execute(update(private_patrons).values(patron_ref=None))
    side = inbox.library_side(town.house, town.desk, payment_id)
    assert (side.problem, side.fees, side.credits, side.card) == (problem, (), None, None)
    assert inbox.library_side(town.house, town.desk, "nothing").problem == "unknown"


def test_a_card_that_nobody_has_leads_to_no_payments_and_a_card_to_those_of_this_library(town):
    payment_id = settled_payment(town)
    assert inbox.of_card(town.house, town.desk, "99999") is None
    found = inbox.of_card(town.house, town.desk, "21234000012345")
    assert found is not None
    assert [one.payment_id for one in found] == [payment_id]


# --- letters -----------------------------------------------------------------------------------------


def test_a_receipt_says_what_was_given_back_since_and_who_answers_for_it(town):
    payment_id = settled_payment(town)
    first = load(town, payment_id).lines[0].cents
    approved(town, payment_id, lines=(show.line_ids(town.house, payment_id)[0],))
    town.run()
    stamp = Receipt(
        authority="Stadt Lindental", address=("Markt 1", "12345 Lindental"), tax_note="Not subject to tax."
    )
    settings = town.desk.settings.model_copy(update={"receipt": stamp})
    body = letters.receipt(settings, town.view(payment_id), "en").body
    for line in ("Stadt Lindental", "Markt 1", "Not subject to tax.", "€12.50"):
        assert line in body, body
    assert f"-€{first // 100}.{first % 100:02}" in body
    assert f"€{(DUE - first) // 100}.{(DUE - first) % 100:02}" in body
    without = letters.receipt(town.desk.settings, town.view(payment_id), "en").body
    assert "Stadt Lindental" not in without


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_receipt_has_words_for_every_way_to_pay(town, language):
    view = town.view(settled_payment(town))
    for method in METHODS:
        body = letters.receipt(town.desk.settings, replace(view, method=method), language).body
        assert f": {method}\n" not in body


def test_a_mail_about_a_library_that_is_not_configured_any_more_is_dropped(town):
    held_payment(town)
    tell.alarms(town.house)
    desk = town.house.libraries.pop("lindental")
    tell.send_mails(town.house)
    assert town.world.mails == []
    town.house.libraries["lindental"] = desk
    tell.send_mails(town.house)
    assert town.world.mails == [], "it was dropped, not kept"


def test_an_alarm_that_another_process_has_given_is_not_given_again(town, monkeypatch):
    paid(town)
    remote = town.world.remotes.pop(KOHA)
    hear(town)
    town.world.pass_time(hours=1)
    monkeypatch.setattr("ils_payment.store.mails.alarmed", lambda *_: False)
    tell.alarms(town.house)
    monkeypatch.undo()
    tell.send_mails(town.house)
    assert town.world.mails == []
    tell.alarms(town.house)
    tell.send_mails(town.house)
    assert len(town.world.mails) == 1
    town.world.remotes[KOHA] = remote
