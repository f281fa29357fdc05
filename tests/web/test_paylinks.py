"""Pay links: renew exactly one card without signing in, whoever pays, and see nothing else."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

from ils_payment.flows import paylink, see, subject
from ils_payment.flows.views import NotBegun
from ils_payment.model import Actor
from ils_payment.store.sessions import purge
from ils_payment.web import limits
from ils_payment.web.app import create_app
from tests.web.card_town import OLE, CardTown, tariff
from tests.web.test_card_pages import german
from tests.web.test_pages import PLACE

PUBLIC = "https://pay.lindental.example"


@pytest.fixture
def place(tmp_path):
    built = CardTown(f"sqlite:///{tmp_path}/ledger.db", **PLACE)
    yield built
    built.close()


@pytest.fixture
def each_place(database_url):
    built = CardTown(database_url, **PLACE)
    yield built
    built.close()


class Stranger:
    """Somebody with a link, in a browser of their own."""

    def __init__(self, town: CardTown, patron: str = "expired", days: int = 30) -> None:
        self.town = town
        made = paylink.make(town.house, town.desk, town.ref(patron), timedelta(days=days))
        self.url = made.url
        self.path = made.url.removeprefix(PUBLIC)
        self.browser = TestClient(
            create_app(town.house),
            base_url=PUBLIC,
            headers={"accept-language": "de"},
            follow_redirects=False,
            raise_server_exceptions=False,
        )
        self.csrf = ""

    def sees(self, status: int = 200, path: str | None = None) -> str:
        answer = self.browser.get(path or self.path)
        assert answer.status_code == status, answer.text
        return unescape(answer.text).replace("\N{NO-BREAK SPACE}", " ")

    def pays(self, status: int = 303, **changes: Any) -> Any:
        found = re.search(r'name="csrf" value="([^"]+)"', self.browser.get(self.path).text)
        # Whoever has a tab with the form still open sends what stood in it.
        self.csrf = found[1] if found else self.csrf
        fields = {
            "csrf": self.csrf,
            "expected": 1000,
            "until": self.town.next_year.isoformat(),
            "method": "card",
            **changes,
        }
        answer = self.browser.post(self.path, data=fields)
        assert answer.status_code == status, answer.text
        return answer

    @property
    def payment(self) -> str:
        """The newest payment of all."""
        from sqlalchemy import select

        from ils_payment.store.tables import payments

        with self.town.house.store.read() as unit:
            query = select(payments.c.id).order_by(payments.c.created_at.desc()).limit(1)
            return str(unit.connection.execute(query).scalar_one())


def test_a_stranger_sees_amount_days_and_a_masked_number_and_nothing_else(place):
    page = Stranger(place).sees()
    for shown in ("10,00 €", german(place.next_year), german(place.valid_until()), "•••• 2376"):
        assert shown in page
    for hidden in (OLE, "Ole", "Brinkmann", "15,00", "Jahresgebühr", "Abmelden", "Meine Zahlungen"):
        assert hidden not in page
    assert "auch hier mit Ausweisnummer und PIN anmelden" in page
    assert '<a class="button secondary" href="/lindental/">Anmelden</a>' in page


def test_a_catalogue_that_is_configured_is_where_a_link_leads_instead(place):
    arrival = place.desk.settings.arrival.model_copy(update={"opac_url": "https://opac.example"})
    place.changes(settings=place.desk.settings.model_copy(update={"arrival": arrival}))
    page = Stranger(place).sees()
    assert "wie gewohnt im Katalog der Bibliothek anmelden" in page
    assert '<a class="button secondary" href="https://opac.example">Zum Katalog</a>' in page
    assert ">Anmelden</a>" not in page


def test_the_address_holds_nothing_personal(place):
    link = Stranger(place).url
    for hidden in (OLE, "2376", str(place.ref("expired")) + ".", "Ole"):
        assert hidden not in link
    assert len(link) < 140, "a QR code that old telephones can read"


def test_whoever_pays_renews_the_card_and_the_link_says_so_afterwards(each_place):
    place = each_place
    ole = Stranger(place)
    answer = ole.pays()
    assert not any("session" in name for name in ole.browser.cookies), "no session is opened"
    assert answer.headers["location"].startswith("http")
    assert "Die Verlängerung dieses Ausweises läuft" in ole.sees()
    place.pays(ole.payment)
    assert place.valid_until() == place.next_year
    page = ole.sees()
    assert "Dieser Ausweis ist schon verlängert" in page
    assert f"Er ist gültig bis {german(place.next_year)}. Vielen Dank!" in page
    assert "jetzt bezahlen" not in page
    assert "Dieser Ausweis ist schon verlängert" in ole.pays(200).text, "used twice"
    assert place.view(ole.payment).state == "settled"


def test_the_way_back_from_the_provider_shows_what_was_bought_without_signing_in(place):
    ole = Stranger(place)
    ole.pays()
    session = place.stripe.truth()["sessions"][place.session_of(ole.payment)]
    place.pays(ole.payment)
    page = ole.sees(path=session["success_url"].removeprefix(PUBLIC))
    assert f"Ihr Ausweis ist gültig bis {german(place.next_year)}." in page
    assert "Jahresgebühr" not in page
    assert ole.browser.get("/lindental/payments").status_code == 303
    assert ole.browser.get(f"/lindental/payments/{ole.payment}").status_code == 303


def test_a_running_payment_of_the_renewal_alone_can_be_continued(place):
    ole = Stranger(place)
    there = ole.pays().headers["location"]
    assert there in ole.sees()
    again = ole.pays(200).text
    assert "läuft" in again
    assert len(place.stripe.truth()["sessions"]) == 1


def test_a_free_renewal_goes_by_link_too(place):
    place.prices(tariff(0))
    ole = Stranger(place)
    page = ole.sees()
    assert "Ausweis jetzt kostenlos verlängern" in page
    assert "ohne Anmeldung zahlen" not in page
    answer = ole.pays(expected=0, method="")
    place.run()
    assert place.valid_until() == place.next_year
    page = ole.sees(path=answer.headers["location"].removeprefix(PUBLIC))
    assert "Ihr Ausweis ist verlängert" in page


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token.replace(".", "", 1),
        lambda token: "0" * 26 + token[26:],
        lambda token: token[:27] + "20991231" + token[35:],
        lambda token: token[:27] + "20991332" + token[35:],
        lambda token: re.sub(r"\.(\d{10})\.", lambda found: f".{int(found[1]) + 9_000_000}.", token),
        lambda token: token[:30],
        lambda token: token + "x",
        lambda _: "x",
        lambda token: token.replace(token[0], "%C3%84", 1),
    ],
)
def test_an_altered_link_asks_nobody_and_says_what_to_do(place, change):
    ole = Stranger(place)
    head, token = ole.path.rsplit("/", 1)
    before = len(place.world.requests)
    page = ole.sees(403, f"{head}/{change(token)}")
    assert "Dieser Link funktioniert nicht" in page
    assert "auch hier mit Ausweisnummer und PIN anmelden" in page
    assert len(place.world.requests) == before


def test_a_link_of_one_library_is_none_of_another(place):
    from ils_payment.flows.house import open_desk

    ole = Stranger(place)
    other = open_desk("seehausen", place.desk.settings, place.house.plugins, place.world)
    place.house.libraries = {**place.house.libraries, "seehausen": other}
    ole.browser.app = create_app(place.house)
    assert "Dieser Link funktioniert nicht" in ole.sees(403, ole.path.replace("lindental", "seehausen"))


def test_a_link_that_has_run_out_says_so(place):
    ole = Stranger(place, days=5)
    place.world.pass_time(days=5, seconds=2)
    assert "Dieser Link ist abgelaufen" in ole.sees(410)
    assert place.stripe.truth()["sessions"] == {}


def test_a_link_is_good_until_its_last_second_though_nobody_ever_paid(place):
    ole = Stranger(place, days=5)
    place.world.pass_time(days=4, hours=23)
    with place.house.store.unit() as unit:
        purge(unit, unit.now - timedelta(hours=1))
    subject.forget_old(place.house)
    assert "10,00 €" in ole.sees()


def test_whose_card_was_renewed_at_the_desk_meanwhile_pays_nothing(place):
    ole = Stranger(place)
    ole.pays(422, until="the form stays open")
    place.renews_at_the_desk(days=365)
    assert "Dieser Ausweis ist schon verlängert" in ole.sees()
    assert "schon verlängert" in ole.pays(200).text
    assert place.stripe.truth()["sessions"] == {}


def test_a_card_that_was_shortened_is_not_the_one_of_the_link(place):
    ole = Stranger(place)
    place.renews_at_the_desk(days=-60)
    assert "mit diesem Link nicht verlängern" in ole.sees()


def test_a_person_who_was_erased_is_not_known_by_an_old_link(place):
    ole = Stranger(place)
    subject.erase(place.house, place.desk, Actor(name="t", role="admin"), place.ref("expired"))
    assert "Dieser Link ist abgelaufen" in ole.sees(410)
    with place.house.store.unit() as unit:
        purge(unit, unit.now - timedelta(hours=1))
    assert "Dieser Link ist abgelaufen" in ole.sees(410)


def test_a_patron_whom_the_library_system_has_deleted_is_not_asked_about_again(place):
    ole = Stranger(place)
    del place.koha.tables.patrons[place.koha.patron_ids["expired"]]
    assert "Dieser Link ist abgelaufen" in ole.sees(410)


def test_a_silent_library_system_costs_nothing_and_says_later(place):
    ole = Stranger(place)
    place.world.remotes.pop("koha.test")
    assert "antwortet gerade nicht" in ole.sees(503)


def test_a_price_that_changed_is_shown_again_before_anybody_pays(place):
    ole = Stranger(place)
    place.prices(tariff(1200))
    page = unescape(ole.pays(409).text).replace("\N{NO-BREAK SPACE}", " ")
    assert "Inzwischen hat sich etwas geändert" in page
    assert "12,00 €" in page
    assert place.stripe.truth()["sessions"] == {}


def test_why_a_card_may_not_be_renewed_is_not_told_to_strangers(place):
    ole = Stranger(place)
    place.prices(tariff(codes=("ANDERE",)))
    page = ole.sees()
    assert "mit diesem Link nicht verlängern" in page
    assert "Art" not in page
    place.prices(tariff())
    place.renews_by(fees_first=True)
    page = ole.sees()
    assert "mit diesem Link nicht verlängern" in page
    assert "Gebühren offen" not in page


def test_a_link_that_comes_early_names_the_day(place):
    erika = Stranger(place, "erika", days=180)
    day = place.valid_until("erika") - timedelta(days=30)
    assert f"Ab {german(day)} können Sie mit diesem Link zahlen." in erika.sees()


def test_the_gates_for_payments_are_the_gates_for_links(place):
    ole = Stranger(place)
    place.house.pause(paused=True)
    assert "nimmt gerade keine neuen Zahlungen an" in ole.sees()
    place.house.pause(paused=False)
    settings = place.desk.settings.model_copy(update={"test_cards": ()})
    place.changes(settings=settings)
    assert "erprobt" in ole.pays(409).text
    assert place.stripe.truth()["sessions"] == {}


@pytest.mark.parametrize("wish", [{"until": "bald"}, {"expected": "viel"}, {"method": "barter"}])
def test_a_form_that_was_tampered_with_starts_nothing(place, wish):
    assert Stranger(place).pays(409 if "method" in wish else 422, **wish)
    assert place.stripe.truth()["sessions"] == {}


def test_a_form_from_elsewhere_starts_nothing(place):
    ole = Stranger(place)
    ole.sees()
    assert ole.pays(403, csrf="made-up")


def test_a_session_in_the_same_browser_is_neither_used_nor_shown(place):
    from tests.web.test_pages import Patron

    erika = Patron(place).signs_in()
    link = Stranger(place)
    page = erika.sees(link.path)
    assert "Abmelden" not in page
    assert "•••• 2376" in page


def test_a_link_cannot_be_used_to_wear_the_library_system_out(place, monkeypatch):
    monkeypatch.setattr(limits, "MOST_LOOKS", {"link": 2, "address": 5, "network": 9})
    ole = Stranger(place)
    ole.sees()
    ole.sees()
    before = len(place.world.requests)
    assert "Zu viele Versuche" in ole.sees(429)
    assert len(place.world.requests) == before
    place.world.pass_time(hours=1, minutes=2)
    assert ole.sees()


def test_two_tabs_of_a_link_start_one_payment(place):
    ole, aunt = Stranger(place), Stranger(place)
    aunt.pays(422, until="still reading")
    ole.pays()
    assert "läuft" in aunt.pays(200).text
    assert len(place.stripe.truth()["sessions"]) == 1


@pytest.mark.parametrize(
    ("number", "shown"),
    [("21234000012376", "•••• 2376"), ("1234", "•••• 34"), ("1", "••••"), ("", "••••"), (None, "••••")],
)
def test_a_number_is_masked_by_half_at_least(number, shown):
    assert see.masked(number) == shown


def test_no_link_is_made_for_a_card_that_cannot_be_renewed(place):
    with pytest.raises(paylink.NoLinkError, match="Come to the desk"):
        paylink.make(place.house, place.desk, place.ref("child"), timedelta(days=3))


@pytest.mark.parametrize(
    ("early", "mend"),
    [(10, "let it live longer: --days 11 or more"), (400, "Make the link later: none is good")],
)
def test_no_link_is_made_that_would_end_before_the_card_can_be_renewed(place, early, mend):
    ends = place.today + timedelta(days=30 + early)
    place.koha.change(place.koha.patron_ids["expired"], expiry_date=ends.isoformat())
    with pytest.raises(paylink.NoLinkError, match="the link would end before") as refused:
        paylink.make(place.house, place.desk, place.ref("expired"), timedelta(days=5))
    assert mend in refused.value.mend


def test_an_altered_link_asks_nobody(place):
    before = len(place.koha.truth()["requests"])
    assert paylink.look(place.house, place.desk, "no-link-of-ours").state == "altered"
    assert len(place.koha.truth()["requests"]) == before


def test_a_payment_by_link_is_no_different_for_the_other_journeys(place):
    ole = Stranger(place)
    ole.pays()
    begun = place.begin(patron=place.ref("expired"))
    assert not isinstance(begun, NotBegun), "the fees are free to be paid beside it"
