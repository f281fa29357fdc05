"""Reminders: one mail for each card and announced day, with a link that pays, and none that is of no use."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import date, timedelta

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from ils_payment.cli.serve import chores_of
from ils_payment.config.appearance import Contact
from ils_payment.config.renewal import Reminders as Table
from ils_payment.errors import ConfigurationError, RemoteAbsentError
from ils_payment.flows import paylink, remind, subject, tell
from ils_payment.flows.desk_checks import check_desk
from ils_payment.flows.house import open_house
from ils_payment.model import Actor
from ils_payment.store import journal, mails, patrons, sessions
from ils_payment.store.renewal_tables import private_reminders
from ils_payment.store.tables import private_mails, private_patrons
from tests.conftest import KOHA
from tests.flows.test_refunds_odd_answers import Answers
from tests.web.card_town import CardTown, tariff

ERIKAS = "erika.mustermann@mail.example"


class RemindingTown(CardTown):
    """The town reminds thirty and seven days before the end; Erika's card ends in so many days."""

    def __init__(self, url: str, *, erika: int = 30) -> None:
        super().__init__(url)
        self.reminds(days_before=(30, 7))
        self.ends_in(erika)
        self.chore = remind.Reminders()
        # It is noon at the library.
        self.world.pass_time(hours=(36 - self.world.now().astimezone(self.desk.settings.zone).hour) % 24)
        self.ends_in(erika)

    def reminds(self, **table) -> None:
        """Change the table ``reminders``."""
        reminders = Table(**table)
        self.changes(settings=self.desk.settings.model_copy(update={"reminders": reminders}))

    def ends_in(self, days: int, patron: str = "erika", **fields) -> None:
        self.koha.change(
            self.koha.patron_ids[patron],
            expiry_date=(self.today + timedelta(days=days)).isoformat(),
            **{"email": ERIKAS, **fields},
        )

    def round(self) -> list[str]:
        """One round of the chores; return the bodies of the mails that went out."""
        before = len(self.world.mails)
        self.chore(self.house)
        tell.send_mails(self.house)
        return [body for _, _, body in self.world.mails[before:]]

    def day(self, days: int = 1) -> list[str]:
        """Let days pass, with a round every few hours."""
        sent = []
        for _ in range(days * 4):
            self.world.pass_time(hours=6)
            sent += self.round()
        return sent

    def rows(self, table) -> list:
        with self.house.store.read() as unit:
            return list(unit.connection.execute(select(table)))


@pytest.fixture
def town(tmp_path):
    built = RemindingTown(f"sqlite:///{tmp_path}/ledger.db")
    yield built
    built.close()


@pytest.fixture
def each_town(database_url):
    built = RemindingTown(database_url)
    yield built
    built.close()


def link_in(body: str) -> str:
    found = re.search(r"https://pay\.lindental\.example(/lindental/renew/\S+)", body)
    assert found, body
    return found[1]


def test_a_card_that_ends_soon_is_announced_once_for_each_day_that_the_library_named(each_town):
    town = each_town
    [first] = town.round()
    assert "•••• 2345" in first
    assert "10,00" in first
    assert "wie gewohnt im Katalog" in first
    assert "TEST" in first, "the library has a test key"
    for hidden in ("21234000012345", "Erika", "Mustermann"):
        assert hidden not in first
    assert town.day(22) == []
    [second] = town.day(2)
    assert town.day(7) == []
    assert link_in(first) != ""
    assert paylink.read(town.house, "lindental", link_in(second).rsplit("/", 1)[1]) is not None


def test_the_link_in_the_mail_pays_for_this_card(town):
    [body] = town.round()
    view = paylink.look(town.house, town.desk, link_in(body).rsplit("/", 1)[1])
    assert view.state == "payable"
    assert view.patron == town.erika


def test_the_address_is_gone_when_the_mail_is_out(town):
    town.round()
    assert town.rows(private_mails) == []
    assert ERIKAS not in str(town.rows(private_reminders)) + str(town.rows(private_patrons))
    with town.house.store.read() as unit:
        [row] = journal.newest(unit, what="reminders")
    assert row["facts"] == {"mails": 1}


def test_a_patron_who_speaks_english_reads_english(town):
    town.ends_in(30, lang="en")
    [body] = town.round()
    assert "You can renew it now until" in body
    assert "as usual" in body


def test_a_free_card_is_announced_as_free(town):
    town.prices(tariff(0))
    [body] = town.round()
    assert "Das kostet nichts." in body


@pytest.mark.parametrize("address", [None, "", "no address", "two@a.example, b@b.example"])
def test_who_has_no_mail_address_gets_none_and_leaves_no_trace(town, address):
    town.ends_in(30, email=address)
    assert town.round() == []
    assert town.rows(private_reminders) == town.rows(private_patrons) == []


def test_who_may_not_renew_today_is_not_told_to(town):
    town.prices(tariff(lead_days=10))
    assert town.round() == []
    town.prices(tariff())
    assert len(town.day()) == 1, "the next day another by-law is in force"


def test_nobody_is_reminded_before_the_hour_and_only_once_a_day_is_anybody_asked(town):
    town.reminds(days_before=(30,), hour=23)
    before = len(town.world.requests)
    assert town.round() == []
    assert len(town.world.requests) == before
    town.reminds(days_before=(30,), hour=0)
    town.round()
    after = len(town.world.requests)
    town.round()
    town.chore = remind.Reminders()
    town.round()
    assert len(town.world.requests) == after, "not by a process that has started anew, either"


def test_reminders_are_off_unless_a_day_is_named(town):
    town.reminds()
    before = len(town.world.requests)
    assert town.round() == []
    assert len(town.world.requests) == before


def test_two_hosts_at_the_same_time_send_one_mail(each_town):
    town = each_town
    other = remind.Reminders()
    listed = town.desk.system.expiring
    hosts = iter([other])

    def both(since: date, until: date):
        found = listed(since, until)
        for host in hosts:
            host(town.house)
        return found

    town.desk.system.expiring = both
    town.chore(town.house)
    tell.send_mails(town.house)
    assert len(town.world.mails) == 1
    assert len(town.rows(private_reminders)) == 1


def test_a_crash_between_note_and_mail_loses_neither(town):
    class CrashError(BaseException):
        pass

    def crash(name):
        if name == "remind.queued":
            raise CrashError

    town.world.on_failpoint = crash
    with pytest.raises(CrashError):
        town.chore(town.house)
    town.world.on_failpoint = None
    town.chore = remind.Reminders()
    assert len(town.round()) == 1
    assert town.day(3) == []


def test_a_silent_library_system_stops_nothing_and_is_asked_again_later(town):
    koha = town.world.remotes.pop(KOHA)
    with capture_logs() as logs:
        assert town.round() == []
        assert town.round() == []
    assert [one["event"] for one in logs if one["event"] == "reminders_wait"] == ["reminders_wait"]
    town.world.remotes[KOHA] = koha
    town.world.pass_time(minutes=11)
    assert len(town.round()) == 1


def test_a_mail_server_that_is_down_stops_nothing_and_gets_the_mail_later(town):
    town.world.mail_works = False
    with capture_logs() as logs:
        assert town.round() == []
    assert ERIKAS not in str(logs)
    town.world.mail_works = True
    town.world.pass_time(minutes=5)
    assert len(town.round()) == 1


def test_while_payments_are_paused_nobody_is_sent_to_a_closed_door(town):
    town.house.pause(paused=True)
    assert town.round() == []
    town.house.pause(paused=False)
    assert len(town.round()) == 1


def test_with_play_money_only_test_cards_are_written_to(town):
    town.changes(settings=town.desk.settings.model_copy(update={"test_cards": ()}))
    assert town.round() == []


def test_a_card_that_was_renewed_since_it_was_listed_is_not_announced(town):
    listed = town.desk.system.expiring

    def meanwhile(since: date, until: date):
        found = listed(since, until)
        town.renews_at_the_desk("erika", days=400)
        return found

    town.desk.system.expiring = meanwhile
    assert town.round() == []


def test_a_long_list_leaves_the_other_chores_their_turn(town, monkeypatch):
    monkeypatch.setattr(remind, "ROUND", 0.0)
    assert town.round() == []
    monkeypatch.setattr(remind, "ROUND", 20.0)
    assert len(town.round()) == 1


def test_a_person_can_ask_for_what_is_noted_and_have_it_erased(town):
    town.chore(town.house)
    actor = Actor(name="t", role="admin")
    told = subject.export(town.house, town.desk, actor, town.erika)
    assert [one["days_before"] for one in told["reminders"]] == [30]
    [mail] = told["reminder_mails"]
    assert mail["recipient"] == ERIKAS
    subject.erase(town.house, town.desk, actor, town.erika)
    assert town.rows(private_reminders) == town.rows(private_mails) == []


def test_the_note_goes_when_no_link_needs_it_any_more(town):
    town.round()
    with town.house.store.unit() as unit:
        sessions.purge(unit, unit.now)
    assert len(town.rows(private_patrons)) == 1, "the link in the mail is still good"
    town.world.pass_time(days=150)
    subject.forget_old(town.house)
    assert len(town.rows(private_reminders)) == 1
    town.world.pass_time(days=40)
    subject.forget_old(town.house)
    assert town.rows(private_reminders) == []
    with town.house.store.unit() as unit:
        sessions.purge(unit, unit.now)
    assert town.rows(private_patrons) == []


@pytest.mark.parametrize(
    ("left", "due"), [(31, None), (30, 30), (8, 30), (7, 7), (0, 7), (-1, None), (365, None)]
)
def test_the_reminder_is_the_latest_whose_day_has_come(left, due):
    today = date(2026, 11, 25)
    assert remind.days_before((30, 7), today + timedelta(days=left), today) == due


def test_reminders_are_a_chore_of_serve(town):
    assert any(isinstance(chore, remind.Reminders) for chore in chores_of(town.house))


def test_reminders_without_a_tariff_are_refused_at_the_start(town):
    town.prices(None)
    with pytest.raises(ConfigurationError, match="no card can be renewed here"):
        check_desk(town.desk)


def test_a_patron_whom_the_library_system_deletes_before_the_mail_is_written_gets_none(town):
    gone = RemoteAbsentError("The patron is not there any more.")
    town.changes(system=Answers(town.desk.system, card=gone))
    assert town.round() == []
    assert town.rows(private_reminders) == []


def test_two_workers_that_remind_at_the_same_moment_write_one_mail(town):
    real, asked = town.desk.system, []

    class Slow:
        """While one asks for the card, another goes through the same list."""

        def __getattr__(self, name):
            return getattr(real, name)

        def card(self, patron):
            asked.append(patron)
            if len(asked) == 1:
                remind.Reminders()(town.house)
            return real.card(patron)

    town.changes(system=Slow())
    assert len(town.round()) == 1
    assert len(asked) == 2


def test_a_reminder_names_the_catalogue_and_whom_to_ask(town):
    told = Contact(phone="07032 123", mail="buecherei@lindental.example", hours="9 bis 18 Uhr")
    arrival = town.desk.settings.arrival.model_copy(update={"opac_url": "https://opac.lindental.example"})
    town.changes(settings=town.desk.settings.model_copy(update={"contact": told, "arrival": arrival}))
    [body] = town.round()
    assert "https://opac.lindental.example" in body
    assert "07032 123" in body
    assert "buecherei@lindental.example" in body


def test_a_reminder_of_a_library_that_is_not_served_any_more_is_not_sent(town):
    town.chore(town.house)
    with town.house.store.read() as unit:
        [mail] = unit.connection.execute(select(private_mails)).all()
    town.house.libraries = {}
    assert remind.letter(town.house, mail) is None


def test_reminders_without_a_mail_server_are_refused_at_the_start(town):
    from ils_payment.config import Settings

    settings = town.settings.model_dump()
    with pytest.raises(ValueError, match="without \\[mail\\]"):
        Settings.model_validate(
            {
                **settings,
                "mail": None,
                "libraries": {
                    "lindental": {**settings["libraries"]["lindental"], "reminders": {"days_before": [7]}}
                },
            }
        )


@pytest.mark.parametrize("days", [[7, 7], [-1], [366]])
def test_days_that_make_no_sense_are_refused(days):
    with pytest.raises(ValueError, match="days"):
        Table(days_before=tuple(days))


def test_a_house_opened_anew_knows_what_was_sent(town):
    town.round()
    with closing(open_house(town.settings, town.world)) as house:
        assert house.libraries
    town.chore = remind.Reminders()
    assert town.day(1) == []


def test_thousands_of_reminders_keep_no_mail_about_money_waiting(each_town):
    town = each_town
    with town.house.store.unit() as unit:
        patron = patrons.patron_id(unit, town.desk.patrons, town.erika)
        for _ in range(30):
            facts = {"valid_until": "2030-01-01"}
            mails.queue_reminder(unit, "somebody@example.org", patron, "de", facts)
    town.world.pass_time(seconds=1)
    with town.house.store.unit() as unit:
        mails.queue(unit, "case", "team@lindental.example", None, "de", "a-case")
        assert [one.kind for one in mails.due(unit)] == ["case", *["reminder"] * 19]
