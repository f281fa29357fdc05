"""Test mode, the pause, the fees page, observers, and a database that breaks off."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import create_engine, event, text

from ils_payment import hookimpl
from ils_payment.errors import StoreBusyError
from ils_payment.flows import links, pay, see
from ils_payment.flows.advance import advance
from ils_payment.flows.house import open_house
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import State
from ils_payment.testing.world import Crash
from tests.conftest import Town
from tests.flows.truths import ending, hear, held, of, paid, sessions, settled

DAY = 86_400


# --- test mode and pause -----------------------------------------------------------------------


def test_with_play_money_only_the_configured_cards_may_pay(town):
    child = of(town, "child")
    town.koha.add_fee(town.koha.patron_ids["child"], 300)
    assert town.begin(patron=child) == NotBegun(code="test_mode")
    assert sessions(town) == []
    assert see.fees(town.house, town.desk, child).test_mode
    assert isinstance(town.begin(), Begun)


def test_with_play_money_and_no_test_card_nobody_may_pay(tmp_path):
    town = Town(f"sqlite:///{tmp_path}/none.db", test_cards=[])
    assert town.begin() == NotBegun(code="test_mode")
    assert sessions(town) == []
    town.close()


def test_a_card_that_cannot_be_read_does_not_count_as_a_test_card(town):
    view = see.fees(town.house, town.desk, town.erika)
    line = next(line for line in view.lines if line.payable)
    town.koha.fail_next(2, operation="patrons.get", status=503)
    answer = pay.begin(town.house, town.desk, town.erika, [line.key], "card", "de", line.cents)
    assert answer == NotBegun(code="library_unavailable")
    assert sessions(town) == []


def test_paused_begins_nothing_and_finishes_what_is_paid(each_town):
    payment_id = paid(each_town, only=1)
    each_town.house.pause(paused=True)
    assert each_town.begin() == NotBegun(code="paused")
    assert see.fees(each_town.house, each_town.desk, each_town.erika).paused
    assert len(sessions(each_town)) == 1
    hear(each_town)
    assert ending(each_town, payment_id) == settled(450)
    each_town.house.pause(paused=False)
    assert isinstance(each_town.begin(), Begun)


def test_the_pause_outlives_a_restart(town):
    town.house.pause(paused=True)
    town.house.close()
    town.house = open_house(town.settings, town.world)
    assert town.house.paused


# --- what the patron sees ----------------------------------------------------------------------


def test_the_fees_page_says_what_can_be_paid_and_why_the_rest_cannot(town):
    view = see.fees(town.house, town.desk, town.erika)
    assert [(line.cents, line.payable) for line in view.lines] == [
        (3500, False),
        (450, True),
        (150, True),
        (250, True),
        (400, True),
        (220, False),
    ]
    assert "Stadtkasse" in (view.lines[0].reason or {})["de"]
    assert "steigt" in (view.lines[5].reason or {})["de"]
    assert (view.payable_cents, view.limit_cents, view.open_credit) == (1250, 4970, 0)
    assert view.lines[1].title
    assert (view.lines[1].label or {})["de"] == "Säumnisgebühr"


def test_two_tabs_cannot_pay_more_than_what_is_owed_after_open_credit(each_town):
    """Fees of 800 and 400 and a credit of 300: each alone could be paid, both together are too much."""
    greta, number = of(each_town, "credit"), each_town.koha.patron_ids["credit"]
    second = each_town.koha.add_fee(number, 400)
    keys = [line.key for line in see.fees(each_town.house, each_town.desk, greta).lines]
    assert keys[-1] == str(second)
    one = pay.begin(each_town.house, each_town.desk, greta, keys[:1], "card", "de", 800)
    two = pay.begin(each_town.house, each_town.desk, greta, keys[1:], "card", "de", 400)
    assert isinstance(one, Begun)
    assert two == NotBegun(code="above_balance")
    assert see.fees(each_town.house, each_town.desk, greta).limit_cents == 100


def test_the_return_address_opens_one_payment_for_a_day_and_no_other(town):
    payment_id, other = town.started(only=1), town.started()
    address = links.return_url(town.house, "lindental", payment_id, town.world.now())
    token = address.partition("?t=")[2]
    assert links.is_good(town.house, payment_id, token)
    assert not links.is_good(town.house, other, token)
    until, _, mac = token.partition(".")
    forged = (
        f"{int(until) + 1}.{mac}",
        f"{until}.",
        mac,
        "",
        "x.y",
        f"٣.{mac}",
        f"{'9' * 13}.{mac}",
        f"{until}.ä",
    )
    assert not any(links.is_good(town.house, payment_id, one) for one in forged)
    town.world.pass_time(seconds=DAY)
    assert links.is_good(town.house, payment_id, token)
    town.world.pass_time(seconds=1)
    assert not links.is_good(town.house, payment_id, token)


# --- observers ---------------------------------------------------------------------------------


class Observer:
    """Notes what it is told, and what the ledger says at that moment; may fail."""

    def __init__(self, town, *, fails=False):
        self.town = town
        self.fails = fails
        self.told = []

    @hookimpl
    def ils_payment_payment_settled(self, payment):
        self.told.append((payment.payment_id, payment.cents, self.town.view(payment.payment_id).state))
        if self.fails:
            raise RuntimeError("an observer of a stranger")


def _observe(town, **options):
    observer = Observer(town, **options)
    town.house.plugins._manager.register(observer)
    return observer


def test_observers_are_told_after_the_commit_and_a_failing_one_stops_nothing(each_town):
    failing, calm = _observe(each_town, fails=True), _observe(each_town)
    payment_id = paid(each_town)
    hear(each_town)
    assert failing.told == calm.told == [(payment_id, 1250, State.SETTLED)]
    assert ending(each_town, payment_id) == settled()
    each_town.house.make_due(payment_id)
    each_town.run()
    assert len(calm.told) == 1


def test_observers_are_told_of_no_payment_that_is_held(town):
    observer = _observe(town)
    payment_id = paid(town)
    town.koha.waive(town.koha.patron_ids["erika"], 2, 1)
    hear(town)
    assert ending(town, payment_id) == held("paid", "fees_differ")
    assert observer.told == []


def test_observers_are_told_also_when_the_program_died_just_before(town):
    def crash(name):
        if name == "settle.applied":
            raise Crash(name)

    payment_id = paid(town)
    town.world.on_failpoint = crash
    with pytest.raises(Crash):
        hear(town)
    town.world.on_failpoint = None
    town.house.close()
    town.house = open_house(town.settings, town.world)
    town.desk = town.house.libraries["lindental"]
    observer = _observe(town)
    town.run_for(rounds=5, minutes=5)
    assert observer.told == [(payment_id, 1250, State.SETTLED)]
    town.house.make_due(payment_id)
    town.run()
    assert len(observer.told) == 1
    assert ending(town, payment_id) == settled()


# --- the database breaks off -------------------------------------------------------------------


def test_a_connection_that_breaks_off_at_any_commit_holds_no_payment(postgresql_url):
    """The server ends our connection just before one commit after the other."""
    town = Town(postgresql_url)
    hear(town)
    assert town.house.store.engine.url.database
    first = paid(town)
    hear(town)
    assert ending(town, first) == settled()
    admin = create_engine(
        postgresql_url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    commits, cut_at = [0], [0]

    @event.listens_for(town.house.store.engine, "commit")
    def cut(connection):
        commits[0] += 1
        if commits[0] == cut_at[0]:
            number = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with admin.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})

    survived = 0
    for place in range(1, 14):
        town.koha.add_fee(town.koha.patron_ids["erika"], 100 + place)
        payment_id = paid(town)
        town.deliver_webhooks()
        commits[0], cut_at[0] = 0, place
        # What reaches the runner is logged there, and the lease runs out.
        with suppress(StoreBusyError):
            advance(town.house, payment_id)
        cut_at[0] = 0
        survived += commits[0] >= place
        town.run_for(rounds=20, minutes=20)
        assert ending(town, payment_id) == settled(100 + place), place
    admin.dispose()
    town.close()
    assert survived >= 8, "the journey has at least so many commits after it was paid"
