"""The page of the library card, and fees and card paid in one go, through the real application."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ils_payment.domain.by_law import Evidence
from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import Answer, ELendingCapabilities, Freshness, Hindrance, Verdict
from ils_payment.web.language import Tongue
from tests.web.card_town import OLE, CardTown, ids_in, tariff
from tests.web.test_pages import PIN, PLACE, Patron

ERIKA, JAN, _ = PIN
OLES_PIN = "2345"


@pytest.fixture
def place(tmp_path):
    built = CardTown(f"sqlite:///{tmp_path}/ledger.db", **PLACE)
    yield built
    built.close()


@pytest.fixture
def ole(place):
    return Patron(place).signs_in(OLE, OLES_PIN)


def german(day) -> str:
    return Tongue("de", ZoneInfo("Europe/Berlin")).day(day)


def confirm(patron, **choice: Any):
    """The page of the confirmation for a choice."""
    return patron.browser.get("/lindental/confirm", params=choice)


def renewal_only(patron, method="card"):
    until = patron.town.next_year.isoformat()
    return {"until": until, "method": method}


def started(answer, patron):
    assert answer.status_code == 303, answer.text
    return ids_in(patron.browser.get("/lindental/payments").text)[0]


# --- the card ----------------------------------------------------------------------------------


def test_the_card_says_until_when_it_was_valid_and_what_renewing_costs(ole, place):
    page = ole.sees("/lindental/card")
    assert f"Ihr Ausweis ist am {german(place.valid_until())} abgelaufen" in page
    assert f"Ausweisnummer {OLE}" in page
    assert "10,00 €" in page
    assert f"bis {german(place.next_year)}" in page
    assert "Ausweis verlängern: weiter zur Bestätigung" in page
    assert "Sie haben außerdem offene Gebühren von 15,00 €." in page
    assert "/lindental/fees" in page
    assert 'href="/lindental/card"' in ole.sees("/lindental/fees")


def test_whoever_may_not_renew_yet_reads_from_when(place):
    erika = Patron(place).signs_in()
    page = erika.sees("/lindental/card")
    assert f"Ihr Ausweis ist gültig bis {german(place.valid_until('erika'))}" in page
    assert "können Sie ihn hier verlängern" in page
    assert "hilft Ihnen gern" not in page
    assert "weiter zur Bestätigung" not in page
    assert 'name="until"' not in erika.sees("/lindental/fees")


def test_a_category_that_may_not_renew_reads_why_and_who_helps(place):
    page = Patron(place).signs_in("21234000012390", "4567").sees("/lindental/card")
    assert "Kinderausweise verlängern wir an der Theke. Ihre Bibliothek hilft Ihnen gern weiter." in page
    assert "weiter zur Bestätigung" not in page


def test_a_library_without_a_tariff_says_who_helps_and_takes_fees_as_ever(place):
    place.prices(None)
    ole = Patron(place).signs_in(OLE, OLES_PIN)
    page = ole.sees("/lindental/card")
    assert "abgelaufen" in page
    assert "Das macht gern das Personal der Bibliothek." in page
    assert 'name="until"' not in ole.sees("/lindental/fees")
    assert ole.begins().status_code == 303


def test_evidence_that_the_desk_must_see_is_named(ole, place):
    place.prices(tariff(evidence=Evidence.DATE))
    assert "aktuellen Nachweis" in ole.sees("/lindental/card")


def test_while_the_library_system_is_silent_the_card_says_so_and_fees_say_so_too(ole, place):
    koha = place.world.remotes.pop("koha.test")
    assert "antwortet gerade nicht" in ole.sees("/lindental/card", 503)
    place.world.remotes["koha.test"] = koha
    assert "10,00 €" in ole.sees("/lindental/card")


# --- the renewal alone -------------------------------------------------------------------------


def test_a_card_is_paid_for_and_renewed(ole, place):
    page = confirm(ole, **renewal_only(ole)).text
    assert "Ausweisverlängerung: Jahresgebühr" in page
    assert german(place.next_year) in page
    assert 'name="expected" value="1000"' in page
    answer = ole.sends("/lindental/pay", 303, expected=1000, **renewal_only(ole))
    payment = started(answer, ole)
    assert "läuft" in ole.sees("/lindental/card")
    place.pays(payment)
    assert place.valid_until() == place.next_year
    status = ole.sees(f"/lindental/payments/{payment}")
    assert "Bezahlt, und Ihr Ausweis ist verlängert" in status
    assert f"Ihr Ausweis ist gültig bis {german(place.next_year)}." in status
    assert "Gebühren sind beglichen" not in status
    receipt = ole.sees(f"/lindental/payments/{payment}/receipt")
    assert f"gültig bis {german(place.next_year)}" in receipt
    assert "(bisher: bis" in receipt


def test_the_status_promises_no_card_that_is_not_renewed(ole, place):
    payment = started(ole.sends("/lindental/pay", 303, expected=1000, **renewal_only(ole)), ole)
    place.stripe.pay(place.session_of(payment))
    ole.sees(f"/lindental/payments/{payment}")
    koha = place.world.remotes.pop("koha.test")
    place.run()
    page = ole.sees(f"/lindental/payments/{payment}")
    assert f"Ihr Ausweis wird gerade bis {german(place.next_year)} verlängert." in page
    assert "Ihr Ausweis ist gültig bis" not in page
    place.world.remotes["koha.test"] = koha
    place.run_for(minutes=8, rounds=30)
    assert f"Ihr Ausweis ist gültig bis {german(place.next_year)}." in ole.sees(
        f"/lindental/payments/{payment}"
    )


def test_a_free_renewal_needs_no_method_and_no_payment(ole, place):
    place.prices(tariff(0))
    page = confirm(ole, until=place.next_year.isoformat()).text
    assert "Ausweis jetzt kostenlos verlängern" in page
    assert "Bezahlseite" not in page
    answer = ole.sends("/lindental/pay", 303, expected=0, until=place.next_year.isoformat())
    assert answer.headers["location"].startswith("https://pay.lindental.example/lindental/payments/")
    place.run()
    assert place.valid_until() == place.next_year
    page = ole.sees(f"/lindental/payments/{started(answer, ole)}")
    assert "Das hat Sie nichts gekostet." in page
    assert "Diese Verlängerung" in page
    assert "0,00" not in page
    assert "zurückgegeben" not in page.lower()
    assert "Kostenlos" in ole.sees("/lindental/payments")


def test_after_paying_back_leads_to_the_payment(ole, place):
    payment = started(ole.sends("/lindental/pay", 303, expected=1000, **renewal_only(ole)), ole)
    choice = renewal_only(ole)
    place.pays(payment)
    page = ole.browser.get("/lindental/confirm", params=choice, follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (303, f"/lindental/payments/{payment}")
    again = ole.sends("/lindental/pay", 303, expected=1000, **choice)
    assert again.headers["location"] == f"/lindental/payments/{payment}"


# --- fees and card together --------------------------------------------------------------------


def test_fees_and_card_are_paid_in_one_go(ole, place):
    fees = ole.sees("/lindental/fees")
    assert f"Ausweis verlängern bis {german(place.next_year)}" in fees
    box = re.search(r'<input type="checkbox" name="until"[^>]*>', fees)
    assert box, "the renewal is offered"
    assert "checked" not in box[0], "nobody is made to buy by a tick that was there before"
    wished = ole.browser.get("/lindental/fees?renew=1").text
    assert re.search(r'name="until"[^>]* checked>', wished)
    choice = {"fee": ole.keys(), **renewal_only(ole)}
    page = confirm(ole, **choice).text.replace("\N{NO-BREAK SPACE}", " ")
    assert page.count('<td class="sum">') == 3
    assert "25,00 € jetzt bezahlen" in page
    payment = started(ole.sends("/lindental/pay", 303, expected=2500, **choice), ole)
    place.pays(payment)
    status = ole.sees(f"/lindental/payments/{payment}")
    assert "Diese Gebühren sind beglichen." in status
    assert f"Ihr Ausweis ist gültig bis {german(place.next_year)}." in status
    assert place.valid_until() == place.next_year
    assert "Sie haben keine offenen Gebühren." in ole.sees("/lindental/fees")


def test_a_library_that_wants_fees_first_offers_both_together_only(ole, place):
    place.renews_by(fees_first=True)
    page = ole.sees("/lindental/card")
    assert "nur, wenn alle offenen Gebühren" in page
    assert "weiter zur Bestätigung" not in page
    refused = confirm(ole, **renewal_only(ole))
    assert refused.status_code == 422
    assert "auch alle offenen Gebühren" in refused.text
    assert "auch alle offenen" in ole.sends("/lindental/pay", 409, expected=1000, **renewal_only(ole)).text
    choice = {"fee": ole.keys(), **renewal_only(ole)}
    assert ole.sends("/lindental/pay", 303, expected=2500, **choice)


# --- bad input ---------------------------------------------------------------------------------


def test_a_price_that_changed_between_page_and_form_starts_nothing(ole, place):
    choice = renewal_only(ole)
    place.prices(tariff(1200))
    assert "haben sich inzwischen geändert" in ole.sends("/lindental/pay", 409, expected=1000, **choice).text
    assert ids_in(ole.sees("/lindental/payments")) == []


def test_a_card_that_the_desk_renewed_meanwhile_starts_nothing(ole, place):
    choice = renewal_only(ole)
    place.renews_at_the_desk()
    assert (
        "lässt sich hier nicht mehr verlängern"
        in ole.sends("/lindental/pay", 409, expected=1000, **choice).text
    )
    assert confirm(ole, **choice).status_code == 422
    assert ids_in(ole.sees("/lindental/payments")) == []


def test_two_tabs_start_one_renewal(ole):
    choice = renewal_only(ole)
    payment = started(ole.sends("/lindental/pay", 303, expected=1000, **choice), ole)
    second = ole.sends("/lindental/pay", 409, expected=1000, **choice).text
    assert f"/lindental/payments/{payment}" in second
    third = confirm(ole, **choice)
    assert third.status_code == 422
    assert "läuft" in third.text


@pytest.mark.parametrize("until", ["soon", "2027-13-01", "0000-00-00"])
def test_a_day_that_is_none_is_refused_in_plain_words(ole, until):
    assert "unvollständig" in ole.sends("/lindental/pay", 422, expected=1000, until=until).text
    assert confirm(ole, until=until).status_code == 422


def test_a_day_that_nobody_was_shown_starts_nothing(ole):
    assert ole.sends("/lindental/pay", 409, expected=1000, until="2099-01-01", method="card")
    assert confirm(ole, until="2099-01-01", method="card").status_code == 422


def test_a_paused_house_renews_no_card(ole, place):
    place.house.pause(paused=True)
    assert "nimmt gerade keine neuen Zahlungen an" in ole.sees("/lindental/card")
    assert ole.sends("/lindental/pay", 409, expected=1000, **renewal_only(ole))


def test_a_way_to_pay_that_asks_for_more_is_not_offered_for_the_card(ole, place):
    place.prices(tariff(60))
    page = ole.sees("/lindental/card")
    assert 'value="instant_bank_transfer"' in page
    assert 'value="card"' not in page
    assert confirm(ole, **renewal_only(ole)).status_code == 422


# --- contact data ------------------------------------------------------------------------------


def test_where_the_library_wants_it_contact_data_are_confirmed_and_kept_nowhere(ole, place):
    place.renews_by(confirm_contact=True)
    place.koha.change(
        place.koha.patron_ids["expired"], address="Am Wehr 7", postal_code="38899", city="Lindental"
    )
    choice = renewal_only(ole)
    page = confirm(ole, **choice).text
    for shown in ("Ole Brinkmann", "Am Wehr 7", "38899 Lindental", "nicht bekannt"):
        assert shown in page
    assert re.search(r'<input type="checkbox" name="correct" value="yes" required>', page)
    refused = ole.sends("/lindental/pay", 422, expected=1000, **choice).text
    assert "Bitte bestätigen Sie Ihre Angaben" in refused
    assert ids_in(ole.sees("/lindental/payments")) == []
    payment = started(ole.sends("/lindental/pay", 303, expected=1000, correct="yes", **choice), ole)
    with place.house.store.read() as unit:
        from ils_payment.store.schema import metadata

        stored = "".join(
            str(list(unit.connection.execute(table.select()))) for table in metadata.tables.values()
        )
    assert payment in stored
    for shown in ("Brinkmann", "Am Wehr"):
        assert shown not in stored


def test_fees_alone_need_no_contact_data(ole, place):
    place.renews_by(confirm_contact=True)
    assert ole.begins().status_code == 303


# --- the API, and what eLending says -----------------------------------------------------------


def api_of(place):
    """A catalogue's server with a session of Ole."""
    from ils_payment.web import sessions

    with place.house.store.unit() as unit:
        value, _ = sessions.open_session(
            unit, place.house, place.desk, place.ref("expired"), "de", kind=sessions.API
        )
    http = Patron(place).browser
    http.headers["authorization"] = f"Bearer {value}"
    return http


def test_the_api_shows_the_card_and_renews_it(place):
    place.renews_by(confirm_contact=True)
    http = api_of(place)
    card = http.get("/api/v1/lindental/card").json()
    assert card["expired"] is True
    assert card["quote"] == {
        "cents": 1000,
        "until": place.next_year.isoformat(),
        "label": {"de": "Jahresgebühr", "en": "Annual fee"},
    }
    assert card["contact"]["name"] == "Ole Brinkmann"
    body = {"renew_until": card["quote"]["until"], "cents": 1000, "currency": "EUR", "method": "card"}
    refused = http.post("/api/v1/lindental/payments", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "contact_unconfirmed")
    begun = http.post("/api/v1/lindental/payments", json={**body, "contact_confirmed": True})
    assert begun.status_code == 201, begun.text
    payment = begun.json()["payment_id"]
    again = http.post("/api/v1/lindental/payments", json={**body, "contact_confirmed": True})
    assert (again.status_code, again.json()["code"]) == (409, "already_running")
    place.pays(payment)
    told = http.get(f"/api/v1/lindental/payments/{payment}").json()
    assert (told["state"], told["renewal"]["state"]) == ("settled", "renewed")
    assert told["renewal"]["until"] == place.next_year.isoformat()
    assert told["elending"] == []


def test_the_api_says_why_a_card_cannot_be_renewed_and_refuses_to(place):
    place.renews_at_the_desk(days=300)
    http = api_of(place)
    card = http.get("/api/v1/lindental/card").json()
    assert (card["quote"], card["why_not_code"]) == (None, "too_early")
    assert card["renewable_from"]
    body = {"renew_until": place.next_year.isoformat(), "cents": 1000, "currency": "EUR", "method": "card"}
    refused = http.post("/api/v1/lindental/payments", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_renewable")
    nothing = http.post("/api/v1/lindental/payments", json={**body, "renew_until": None, "cents": 0})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "nothing_chosen")


class Platform:
    """An eLending platform that wants a PIN to be asked."""

    def __init__(self, silent: bool = False, **answer: Any) -> None:
        self.pins: list[str | None] = []
        self.silent = silent
        self.answer = answer

    def capabilities(self):
        return ELendingCapabilities(name="Onleihe", freshness=Freshness.LIVE, needs_pin=True)

    def check(self):
        return []

    def ask(self, question):
        self.pins.append(question.pin)
        said = self.answer if question.pin else {"verdict": Verdict.OPEN, "asked": False}
        if question.pin and self.silent:
            raise RemoteUnavailableError("down", mend="later")
        return Answer(as_of=question.account.read_at, **said)


def renewed_with(place, platform):
    """Ole has paid and everything is settled; Ole and the payment."""
    place.changes(elending={"onleihe": platform})
    ole = Patron(place).signs_in(OLE, OLES_PIN)
    choice = {"fee": ole.keys(), **renewal_only(ole)}
    payment = started(ole.sends("/lindental/pay", 303, expected=2500, **choice), ole)
    place.pays(payment)
    return ole, f"/lindental/payments/{payment}"


def test_a_platform_is_called_open_only_when_it_was_truly_asked(place):
    platform = Platform(verdict=Verdict.OPEN, asked=True, code="3")
    ole, path = renewed_with(place, platform)
    page = ole.sees(path)
    assert "Onleihe: müsste jetzt gehen. Falls nicht: 03944 555, info@lindental.example" in page
    assert "wieder offen" not in page
    heard = ole.sends(f"{path}/ask", 200, platform="onleihe", pin=OLES_PIN).text
    assert "Onleihe: wieder offen. Sie können dort ausleihen." in heard
    assert OLES_PIN not in heard
    assert platform.pins == [None, OLES_PIN]
    assert "müsste jetzt gehen" in ole.sees(path), "nothing of it is kept"


@pytest.mark.parametrize("chosen", [True, False])
def test_open_fees_that_hinder_are_not_taken_for_those_just_paid(place, chosen):
    fees = Hindrance(kind="fees", lifted_by="payment", text={"de": "Es sind noch Gebühren offen."})
    platform = Platform(verdict=Verdict.BLOCKED, asked=True, hindrances=(fees,))
    place.changes(elending={"onleihe": platform})
    ole = Patron(place).signs_in(OLE, OLES_PIN)
    choice = {"fee": ole.keys() if chosen else [], **renewal_only(ole)}
    payment = started(ole.sends("/lindental/pay", 303, expected=2500 if chosen else 1000, **choice), ole)
    place.pays(payment)
    heard = ole.sends(f"/lindental/payments/{payment}/ask", 200, platform="onleihe", pin=OLES_PIN).text
    assert ("andere Gebühren offen, nicht die eben bezahlten" in heard) == chosen
    assert ("Es sind noch Gebühren offen." in heard) != chosen
    assert "hier, in der Bibliothek oder bei der Kasse der Stadt" in heard
    assert '<a href="/lindental/fees">Zu meinen offenen Gebühren</a>' in heard


def test_open_fees_are_offered_before_the_button_that_renews_the_card_alone(ole):
    page = ole.sees("/lindental/card")
    assert page.index("Gebühren und Ausweis zusammen zahlen") < page.index("weiter zur Bestätigung")


def test_the_sign_in_names_the_renewal_where_cards_are_renewed(place):
    both = "Gebühren bezahlen und Ausweis verlängern"
    assert both in Patron(place).sees("/lindental/")
    place.prices(None)
    assert both not in Patron(place).sees("/lindental/")


def test_an_english_page_names_the_renewal_once(ole, place):
    payment = started(ole.sends("/lindental/pay", 303, expected=1000, **renewal_only(ole)), ole)
    place.pays(payment)
    page = ole.sees(f"/lindental/payments/{payment}?lang=en")
    assert "Annual fee" in page
    assert "Jahresgebühr" not in page


def test_the_confirmation_names_the_item_as_the_fees_page_does(ole, place):
    place.koha.add_fee(place.koha.patron_ids["expired"], 450, "OVERDUE", "Wandern rund um den Brocken")
    assert "Wandern rund um den Brocken" in ole.sees("/lindental/fees")
    assert "Wandern rund um den Brocken" in confirm(ole, fee=ole.keys(), method="card").text


def test_what_still_blocks_is_named_with_who_lifts_it(place):
    manual = Hindrance(kind="restriction", lifted_by="library", text={"de": "Ihr Konto ist gesperrt."})
    platform = Platform(verdict=Verdict.BLOCKED, asked=True, hindrances=(manual,))
    ole, path = renewed_with(place, platform)
    heard = ole.sends(f"{path}/ask", 200, platform="onleihe", pin=OLES_PIN).text
    assert "Onleihe: Dort können Sie noch nichts ausleihen. Ihr Konto ist gesperrt." in heard
    assert "Das kann nur Ihre Bibliothek aufheben: 03944 555" in heard


def test_wrong_pins_are_counted_and_nobody_is_asked_after_the_third(place):
    platform = Platform(verdict=Verdict.CANNOT_TELL, asked=True)
    ole, path = renewed_with(place, platform)
    for pin in ("1", "2", "3", "4"):
        assert "Die PIN passt nicht" in ole.sends(f"{path}/ask", 200, platform="onleihe", pin=pin).text
    assert platform.pins == [None, "1", "2", "3"]


@pytest.mark.parametrize("pin", ["", "x" * 200])
def test_a_pin_that_cannot_be_one_asks_nobody(place, pin):
    platform = Platform(verdict=Verdict.OPEN, asked=True)
    ole, path = renewed_with(place, platform)
    assert "Die PIN passt nicht" in ole.sends(f"{path}/ask", 200, platform="onleihe", pin=pin).text
    assert platform.pins == [None]


def test_a_silent_platform_says_later_and_one_that_is_none_does_not_exist(place):
    platform = Platform(silent=True)
    ole, path = renewed_with(place, platform)
    assert "Gerade hat niemand geantwortet" in ole.sends(f"{path}/ask", 200, platform="onleihe", pin="1").text
    ole.sends(f"{path}/ask", 404, platform="elsewhere", pin="1")
