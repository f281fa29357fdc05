"""Metrics: calls to remotes by outcome, and what waits in the ledger; labels are few and nothing personal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from ils_payment.errors import (
    RemoteAbsentError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.flows.calls import CALLS, OUTCOMES, Watch, watched
from ils_payment.model import CannotTell, NotApplied, Refused, Unavailable, Unclear
from ils_payment.ports import Charging, LibrarySystem, Listing, PayingOut, PaymentProvider, Refunding
from ils_payment.store import intake, journal
from ils_payment.store.case_tables import refunds
from ils_payment.store.tables import payments, private_mails


def read(doors):
    """``{(name, labels...): value}`` of everything in /metrics."""
    body = doors.browser("127.0.0.1").get("/metrics").text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def test_calls_to_remotes_are_counted_by_kind_and_outcome(doors):
    town = doors.town
    browser = doors.browser()
    doors.sign_in(browser, pin="wrong")
    payment = town.started()
    town.stripe.pay(town.session_of(payment))
    town.deliver_webhooks()
    koha = town.world.remotes.pop("koha.test")
    town.run()
    town.world.remotes["koha.test"] = koha
    town.run_for(minutes=5)
    found = read(doors)

    def calls(call, outcome, remote):
        return found.get(("ils_payment_remote_calls_total", *sorted((call, "lindental", outcome, remote))), 0)

    assert calls("sign_in", "refused", "koha") == 1
    assert calls("start", "ok", "stripe") == 1
    assert calls("account", "unavailable", "koha") >= 1
    assert calls("settle", "ok", "koha") == 1
    assert calls("read", "ok", "stripe") >= 1
    seconds = ("ils_payment_remote_call_seconds_count", *sorted(("settle", "lindental", "koha")))
    assert found[seconds] == 1


class Plugin:
    """Answers as it is told."""

    def __init__(self):
        self.next = None

    def account(self, patron):
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (object(), "ok"),
        (Refused(), "refused"),
        (Unavailable(reason="x"), "unavailable"),
        (NotApplied(reason="x"), "not_applied"),
        (Unclear(reason="x"), "unclear"),
        (CannotTell(reason="x"), "unclear"),
        (RemoteUnavailableError("x"), "unavailable"),
        (RemoteRefusedError("x"), "denied"),
        (RemoteAbsentError("x"), "absent"),
        (RemoteGarbledError("x"), "garbled"),
        (ValueError("x"), "error"),
    ],
)
def test_each_answer_and_each_error_has_its_word(answer, outcome):
    plugin, told, ticks = Plugin(), [], iter((1.0, 3.5))
    watch = Watch(lambda: next(ticks))
    watch.seen = lambda *what: told.append(what)
    plugin.next = answer
    one = watched(plugin, "town", "koha", watch)
    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            one.account("canary")
    else:
        assert one.account("canary") is answer
    assert told == [("town", "koha", "account", outcome, 2.5)]
    assert outcome in OUTCOMES


def test_a_watched_plugin_still_has_all_its_doors(town):
    assert isinstance(town.desk.system, LibrarySystem)
    assert isinstance(town.desk.system, Charging)
    stripe = town.desk.providers["stripe"]
    for door in (PaymentProvider, Refunding, Listing, PayingOut):
        assert isinstance(stripe, door)
    assert not hasattr(town.desk.system, "refund")


def test_every_method_that_asks_a_remote_is_watched():
    """A new method of a port is either watched, or named here as one that asks nobody."""
    public = {
        name
        for door in (LibrarySystem, Charging, PaymentProvider, Refunding, Listing, PayingOut)
        for name in vars(door)
        if not name.startswith("_") and name != "Config"
    }
    assert public - CALLS == {"capabilities", "check", "methods", "notice", "prepare", "reply"}


def test_what_waits_in_the_ledger_is_told_with_its_age(each_doors):
    doors, town = each_doors, each_doors.town
    payment = town.started()
    town.stripe.pay(town.session_of(payment))
    with town.house.store.unit() as unit:
        intake.store(unit, [("lindental", "stripe", "evt_1", "x", None, None, None)])
        unit.connection.execute(
            update(payments).where(payments.c.id == payment).values(due_at=unit.now - timedelta(minutes=3))
        )
        unit.connection.execute(
            insert(private_mails).values(
                id="m1",
                kind="receipt",
                recipient="canary@example.org",
                language="de",
                created_at=unit.now - timedelta(minutes=2),
                due_at=unit.now,
                tries=1,
            )
        )
        unit.connection.execute(
            insert(refunds).values(
                id="r1",
                payment_id=payment,
                number=1,
                kind="refund",
                state="asked",
                meaning="fee_dropped",
                cents=100,
                parts="[]",
                key="k",
                tries=0,
                asked_by="somebody",
                asked_at=unit.now - timedelta(hours=1),
                charge_state="none",
                charge_tries=0,
            )
        )
        journal.append(unit, "system", "reconciled", {}, "lindental")
        journal.append(unit, "system", "backup", {})
        now = unit.now.timestamp()
    town.world.pass_time(minutes=1)
    found = read(doors)
    assert found["ils_payment_notices_waiting", "lindental", "stripe"] == 1
    assert found["ils_payment_oldest_notice_seconds", "lindental", "stripe"] == 60
    assert found["ils_payment_mails_waiting", "receipt"] == 1
    assert found["ils_payment_oldest_mail_seconds", "receipt"] == 180
    assert found["ils_payment_refunds_waiting", "asked", "lindental"] == 1
    assert found["ils_payment_oldest_refund_seconds", "asked", "lindental"] == 3660
    assert found["ils_payment_payments_due", "lindental"] == 1
    assert found["ils_payment_oldest_due_seconds", "lindental"] == 240
    done = "ils_payment_last_done_timestamp_seconds"
    assert found[done, "lindental", "reconciled"] == pytest.approx(now)
    assert found[done, "", "backup"] == pytest.approx(now)
    assert found["ils_payment_unreconciled",] == 0


def test_open_cases_are_told_by_library_and_kind(each_doors):
    town = each_doors.town
    payment = town.started()
    town.stripe.pay(town.session_of(payment))
    town.koha.pay_at_desk(town.koha.patron_ids["erika"], 2, 450)
    town.deliver_webhooks()
    town.run()
    found = read(each_doors)
    assert found["ils_payment_cases_open", "fees_differ", "lindental"] == 1
    assert found["ils_payment_payments_held", "lindental"] == 1
    assert found["ils_payment_oldest_case_seconds", "fees_differ", "lindental"] >= 0
