"""The patron's way through the real application: real pages, real flows, simulated Koha and Stripe."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ils_payment_koha.simulator import demo
from starlette.testclient import TestClient

from ils_payment.flows import links
from ils_payment.model import State
from ils_payment.web import pages
from ils_payment.web.app import create_app
from tests.conftest import KOHA, Town

PIN = {"21234000012345": "1111", "21234000012352": "0815", "21234000012383": "3456"}
ERIKA, JAN, GRETA = PIN
PLACE: dict[str, Any] = {
    "contact": {"phone": "03944 555", "mail": "info@lindental.example", "hours": "Di bis Fr 10 bis 18 Uhr"},
    "pages": {
        "imprint_url": "https://lindental.example/impressum",
        "privacy_url": "https://lindental.example/datenschutz",
        "accessibility_url": "https://lindental.example/barrierefreiheit",
        "accent": "#7a1fa2",
    },
    "receipt": {
        "authority": "Stadt Lindental",
        "address": ["Marktplatz 3", "38899 Lindental"],
        "tax_note": {
            "de": "Gebühr nach öffentlichem Recht; keine Umsatzsteuer.",
            "en": "Fee under public law; no VAT is charged.",
        },
    },
}


def found(pattern, text):
    """The first group of a pattern that must be there."""
    match = re.search(pattern, text)
    assert match, pattern
    return match.group(1)


class Patron:
    """A person with a browser that runs no JavaScript."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.browser = TestClient(
            create_app(town.house),
            base_url="https://pay.lindental.example",
            headers={"accept-language": "de"},
        )

    def sees(self, path, status=200):
        answer = self.browser.get(path)
        assert answer.status_code == status, answer.text
        return unescape(answer.text).replace("\N{NO-BREAK SPACE}", " ")

    def sends(self, path, status, **fields):
        """Send a form with the token of the page that was seen last."""
        answer = self.browser.post(path, data={"csrf": self.token(), **fields}, follow_redirects=False)
        assert answer.status_code == status, answer.text
        return answer

    def token(self):
        return found(r'name="csrf" value="([^"]+)"', self.browser.get("/lindental/payments").text)

    def signs_in(self, card=ERIKA, pin=None):
        page = self.browser.get("/lindental/").text
        token = found(r'name="csrf" value="([^"]+)"', page)
        pin = pin or (demo.PIN if card == demo.CARD else PIN[card])
        answer = self.browser.post("/lindental/login", data={"csrf": token, "card": card, "pin": pin})
        assert answer.url.path == "/lindental/fees", answer.text
        return self

    def keys(self):
        return re.findall(r'name="fee" value="([^"]+)"', self.browser.get("/lindental/fees").text)

    def begins(self, keys=None, method="card", status=303, expected=None):
        keys = self.keys() if keys is None else keys
        page = self.browser.get("/lindental/confirm", params={"fee": keys, "method": method}).text
        cents = found(r'name="expected" value="(\d+)"', page) if expected is None else expected
        return self.sends("/lindental/pay", status, fee=keys, method=method, expected=cents)

    def started(self, **options):
        """Begin a payment; return its id."""
        self.begins(**options)
        page = self.browser.get("/lindental/payments").text
        return re.findall(r"/lindental/payments/([0-9A-Z]{26})", page)[0]


@pytest.fixture
def place(tmp_path):
    built = Town(f"sqlite:///{tmp_path}/ledger.db", **PLACE)
    yield built
    built.close()


@pytest.fixture
def erika(place):
    return Patron(place).signs_in()


def paid(erika, **options):
    """A payment that Erika has paid and that is settled; its id."""
    payment_id = erika.started(**options)
    erika.town.stripe.pay(erika.town.session_of(payment_id))
    erika.browser.get(f"/lindental/payments/{payment_id}")
    erika.town.run()
    return payment_id


# --- the fees ----------------------------------------------------------------------------------


def test_fees_are_shown_with_reasons_sums_and_methods(erika):
    page = erika.sees("/lindental/fees")
    assert "Ihre offenen Gebühren" in page
    assert "Säumnisgebühr" in page
    assert "4,50 €" in page
    assert "An die Stadtkasse abgegeben: bitte dort zahlen." in page
    assert "Online ab 1,00 €; kleinere Beträge an der Theke" in page
    assert "12,50 €" in page
    assert page.count('name="fee"') == page.count(" checked") - 1 == 4
    assert "TEST" in page, "the library has a test key"


def test_every_page_leads_to_imprint_privacy_accessibility_contact_and_out(erika):
    for path in ("/lindental/fees", "/lindental/payments", "/lindental/nowhere"):
        page = erika.browser.get(path).text
        for link in ("impressum", "datenschutz", "barrierefreiheit"):
            assert f"https://lindental.example/{link}" in page
        assert "tel:03944555" in page
        assert "mailto:info@lindental.example" in page
        assert "Di bis Fr 10 bis 18 Uhr" in page
        assert path == "/lindental/nowhere" or 'action="/lindental/logout"' in page


def test_the_language_can_be_switched_and_stays(erika):
    assert "Your open fees" in erika.sees("/lindental/fees?lang=en")
    assert "My payments" in erika.sees("/lindental/payments")
    assert "Meine Zahlungen" in erika.sees("/lindental/payments?lang=de")
    assert "Meine Zahlungen" in erika.sees("/lindental/payments?lang=fr")


def test_the_language_switch_keeps_the_choice(erika):
    first = erika.keys()[0]
    page = erika.sees(f"/lindental/confirm?fee={first}&method=card")
    switch = found(r'href="([^"]+lang=en)"', page)
    assert "Pay €4.50 now" in erika.sees(switch)


def test_without_a_session_there_is_the_sign_in_form(place):
    answer = Patron(place).browser.get("/lindental/fees")
    assert answer.url.path == "/lindental/"
    assert 'autocomplete="current-password"' in answer.text


def test_an_open_credit_is_explained(place):
    greta = Patron(place).signs_in(GRETA)
    page = greta.sees("/lindental/fees")
    assert "Sie haben ein Guthaben von 3,00 €" in page
    assert "danach können Sie den Rest online bezahlen" in page
    assert 'name="fee"' not in page


def test_a_silent_library_system_is_told_plainly(erika):
    erika.town.world.remotes.clear()
    page = erika.sees("/lindental/fees", 503)
    assert "Das Bibliothekssystem antwortet gerade nicht" in page
    assert "koha" not in page.lower()


# --- the confirmation --------------------------------------------------------------------------


def test_the_confirmation_shows_the_exact_sum_and_what_happens(erika):
    first, second = erika.keys()[:2]
    page = erika.sees(f"/lindental/confirm?fee={first}&fee={second}&method=card")
    assert "6,00 € jetzt bezahlen" in page
    assert "Kredit- oder Debitkarte" in page
    assert "Bezahlseite von Stripe" in page
    assert page.split("</main>")[0].count('class="primary') == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("method=card", "Bitte wählen Sie mindestens eine Gebühr"),
        ("method=cheque&fee={0}", "Bitte wählen Sie, wie Sie bezahlen möchten"),
        ("method=card&fee=999999", "Ihre Gebühren haben sich inzwischen geändert"),
        ("method=card&fee={old}", "Eine dieser Gebühren kann nicht mehr online bezahlt werden"),
    ],
)
def test_a_choice_that_cannot_be_paid_is_explained_above_the_fees(erika, query, words):
    keys = erika.keys()
    old = next(
        fee
        for fee, line in erika.town.koha_account()["fees"].items()
        if str(fee) not in keys and line["outstanding"] == 3500
    )
    page = erika.sees(f"/lindental/confirm?{query.format(keys[0], old=old)}", 422)
    assert words in page
    assert 'role="alert"' in page
    assert "Ihre offenen Gebühren" in page


def test_a_sum_below_the_minimum_is_explained(tmp_path):
    methods = [{"method": "card", "provider": "stripe", "minimum_amount": "5.00"}]
    town = Town(f"sqlite:///{tmp_path}/ledger.db", **PLACE, methods=methods)
    erika = Patron(town).signs_in()
    page = erika.sees(f"/lindental/confirm?fee={erika.keys()[0]}&method=card", 422)
    assert "Die Summe ist zu klein für diese Zahlungsart" in page
    town.close()


def test_a_pause_is_told_and_nothing_can_be_begun(erika):
    keys = erika.keys()
    erika.town.house.pause(paused=True)
    page = erika.sees("/lindental/fees")
    assert "Die Online-Bezahlung macht Pause" in page
    assert 'name="fee"' not in page
    assert "macht Pause" in erika.begins(keys, expected=1250, status=409).text


# --- paying ------------------------------------------------------------------------------------


def test_paying_leads_to_the_provider_and_back_to_a_settled_payment(erika):
    answer = erika.begins()
    assert answer.headers["location"].startswith("http://127.0.0.1:12111/")
    [session] = erika.town.stripe.truth()["sessions"].values()
    assert session["amount_total"] == 1250
    erika.town.stripe.pay(session["id"])
    back = urlsplit(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
    page = erika.browser.get(f"{back.path}?{back.query}")
    assert page.url.path == f"/lindental/payments/{session['client_reference_id']}"
    assert "t=" not in str(page.url)
    erika.town.run()
    page = erika.sees(page.url.path)
    assert "Bezahlt und verbucht" in page
    assert "Wir haben 12,50 € erhalten" in page
    assert len(erika.town.credits()) == 1
    assert "Sie haben keine" not in page


def test_a_sum_that_changed_meanwhile_is_not_paid(erika):
    page = erika.begins(expected=1, status=409).text
    assert "Ihre Gebühren haben sich inzwischen geändert" in page
    assert erika.town.stripe.truth()["sessions"] == {}


def test_back_after_paying_leads_to_the_payment_from_the_confirmation_and_from_a_second_tab(erika):
    keys = erika.keys()
    payment_id = paid(erika)
    answer = erika.browser.get(
        "/lindental/confirm", params={"fee": keys, "method": "card"}, follow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"/lindental/payments/{payment_id}")
    answer = erika.sends("/lindental/pay", 303, fee=keys, method="card", expected=1250)
    assert answer.headers["location"] == f"/lindental/payments/{payment_id}"
    assert len(erika.town.stripe.truth()["sessions"]) == 1


def test_nobody_is_led_to_a_cancelled_payment_or_to_that_of_somebody_else(erika):
    keys = erika.keys()
    erika.sends(f"/lindental/payments/{erika.started()}/cancel", 303)
    page = erika.sends("/lindental/pay", 409, fee=keys, method="card", expected=1).text
    assert "Mit diesem Schritt wurde nichts abgebucht." in page
    paid(erika)
    jan = Patron(erika.town).signs_in(JAN)
    answer = jan.browser.get("/lindental/confirm", params={"fee": keys, "method": "card"})
    assert answer.status_code == 422


def test_the_amount_of_the_form_is_never_what_is_charged(erika):
    first = erika.keys()[0]
    erika.begins([first], expected=1250, status=409)
    assert erika.town.stripe.truth()["sessions"] == {}


def test_a_second_start_leads_to_the_running_payment(erika):
    keys = erika.keys()
    payment_id = erika.started()
    page = erika.begins(keys, expected=1250, status=409).text
    assert "läuft schon eine Zahlung" in page
    assert f"/lindental/payments/{payment_id}" in page


def test_a_running_payment_can_be_cancelled_and_started_again(erika):
    payment_id = erika.started()
    page = erika.sees("/lindental/fees")
    assert "Eine Zahlung für diese Gebühren läuft seit" in page
    assert "Abbrechen und neu beginnen" in page
    answer = erika.sends(f"/lindental/payments/{payment_id}/cancel", 303)
    assert answer.headers["location"] == "/lindental/fees?cancelled=1"
    told = '<div class="notice" role="status"><p>Abgebrochen. Es wurde nichts abgebucht.</p></div>'
    assert told in erika.sees(answer.headers["location"])
    assert "Abgebrochen" not in erika.sees("/lindental/fees")
    assert erika.town.view(payment_id).state is State.VOID
    assert erika.town.stripe.truth()["sessions"][erika.town.session_of(payment_id)]["status"] == "expired"
    assert "Zahlung abgebrochen" in erika.sees(f"/lindental/payments/{payment_id}")
    assert len(erika.keys()) == 4
    erika.town.world.pass_time(minutes=1)
    paid(erika)
    assert "Abgebrochen" not in erika.sees(answer.headers["location"]), "not true any more"


def test_what_was_paid_meanwhile_is_not_cancelled(erika):
    payment_id = erika.started()
    erika.town.stripe.pay(erika.town.session_of(payment_id))
    answer = erika.sends(f"/lindental/payments/{payment_id}/cancel", 303)
    assert answer.headers["location"] == f"/lindental/payments/{payment_id}"
    assert "Wir haben Ihre Zahlung" in erika.sees(answer.headers["location"])


def test_a_cancel_without_an_answer_changes_nothing_and_says_so(erika):
    payment_id = erika.started()
    del erika.town.world.remotes["127.0.0.1:12111"]
    page = erika.sends(f"/lindental/payments/{payment_id}/cancel", 503).text
    assert "konnte gerade nicht abgebrochen werden" in page
    assert erika.town.view(payment_id).state is State.OPEN


def test_a_provider_that_is_away_is_told_and_the_payment_is_not_lost(erika):
    keys = erika.keys()
    del erika.town.world.remotes["127.0.0.1:12111"]
    page = erika.begins(keys, expected=1250, status=503).text
    assert "Der Zahlungsdienst antwortet gerade nicht" in page


def test_a_card_that_is_no_test_card_cannot_pay_in_test_mode(tmp_path):
    town = Town(f"sqlite:///{tmp_path}/ledger.db", **PLACE, test_cards=["4711"])
    page = Patron(town).signs_in().begins(status=409).text
    assert "Online-Bezahlung wird gerade erprobt" in page
    town.close()


# --- following a payment -----------------------------------------------------------------------


def test_opening_the_page_of_an_unpaid_payment_reads_it_again_and_following_does_not(erika):
    payment_id = erika.started()
    path = f"/lindental/payments/{payment_id}"
    erika.town.run()
    before = len(erika.town.world.requests)
    erika.sees(f"{path}?follow=1")
    erika.town.run()
    assert len(erika.town.world.requests) == before
    erika.sees(path)
    erika.town.run()
    assert len(erika.town.world.requests) > before


def test_a_page_without_script_looks_again_until_it_is_told_to_stop(erika):
    path = f"/lindental/payments/{erika.started()}"
    page = erika.sees(path)
    assert f'<noscript><meta http-equiv="refresh" content="5;url={path}?follow=1"></noscript>' in page
    still = erika.sees(f"{path}?still=1")
    assert f"url={path}?follow=1" not in still
    assert "Jetzt nachsehen" in still


def test_a_settled_payment_is_not_followed(erika):
    page = erika.sees(f"/lindental/payments/{paid(erika)}")
    assert "data-follow" not in page
    assert '?follow=1"></noscript>' not in page.replace("/idle?follow=1", "")


def test_following_does_not_keep_a_session_alive(erika):
    path = f"/lindental/payments/{erika.started()}"
    for _ in range(10):
        erika.town.world.pass_time(minutes=1)
        answer = erika.browser.get(f"{path}?follow=1")
    assert answer.url.path == "/lindental/ended"
    assert "Sie wurden abgemeldet" in answer.text


def test_a_stranger_does_not_see_a_payment(erika):
    payment_id = paid(erika)
    jan = Patron(erika.town).signs_in(JAN)
    for path in ("", "/receipt"):
        assert "Diese Seite gibt es nicht" in jan.sees(f"/lindental/payments/{payment_id}{path}", 404)
    jan.sends(f"/lindental/payments/{payment_id}/cancel", 404)
    jan.sends(f"/lindental/payments/{payment_id}/receipt", 404, email="jan@example.org")
    assert payment_id not in jan.sees("/lindental/payments")
    assert erika.town.world.mails == []


def test_every_page_of_a_payment_wants_a_session(erika):
    payment_id = paid(erika)
    stranger = TestClient(create_app(erika.town.house), base_url="https://pay.lindental.example")
    for path in ("", "/receipt"):
        answer = stranger.get(f"/lindental/payments/{payment_id}{path}", follow_redirects=False)
        assert answer.headers["location"] == f"/lindental/?to={payment_id}"


def test_who_signs_in_for_a_payment_comes_to_it_also_after_a_wrong_pin(erika):
    path = f"/lindental/payments/{erika.started()}"
    again = Patron(erika.town)
    page = again.sees(path)
    assert "Bitte melden Sie sich an, um diese Zahlung zu sehen." in page
    for pin, status in (("", 422), (demo.PIN, 303)):
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
        answer = again.browser.post(
            "/lindental/login", data={**fields, "card": demo.CARD, "pin": pin}, follow_redirects=False
        )
        assert answer.status_code == status
        page = answer.text
    assert answer.headers["location"] == path


@pytest.mark.parametrize("to", ["//evil.example", "../logout", "x", "0" * 27, ""])
def test_signing_in_leads_nowhere_else(place, to):
    patron = Patron(place)
    page = patron.browser.get("/lindental/", params={"to": to}).text
    assert 'name="to"' not in page
    data = {"csrf": found(r'name="csrf" value="([^"]+)"', page), "card": demo.CARD, "pin": demo.PIN, "to": to}
    answer = patron.browser.post("/lindental/login", data=data, follow_redirects=False)
    assert answer.headers["location"] == "/lindental/fees"


@pytest.mark.parametrize("path", ["/lindental/fees", "/lindental/payments", "/lindental/nowhere", "/"])
def test_the_head_of_a_page_is_that_of_the_page(erika, path):
    head = erika.browser.head(path, follow_redirects=False)
    page = erika.browser.get(path, follow_redirects=False)
    assert head.status_code == page.status_code
    assert head.headers.get("content-type") == page.headers.get("content-type")


# --- the way back in another browser -----------------------------------------------------------


def come_back(town, payment_id):
    address = links.return_url(town.house, "lindental", payment_id, town.world.now())
    return address.removeprefix("https://pay.lindental.example")


def test_another_browser_sees_state_amount_and_number_only(erika):
    payment_id = paid(erika)
    other = Patron(erika.town)
    page = other.sees(come_back(erika.town, payment_id))
    assert "Bezahlt und verbucht" in page
    assert "12,50 €" in page
    assert erika.town.view(payment_id).receipt_number in page
    for private in ("Säumnisgebühr", "Vormerkung", "Erika", ERIKA, "Sommer", "/receipt", "/cancel"):
        assert private not in page


def test_another_browser_makes_the_payment_due(erika):
    payment_id = erika.started()
    erika.town.stripe.pay(erika.town.session_of(payment_id))
    Patron(erika.town).sees(come_back(erika.town, payment_id))
    erika.town.run()
    assert erika.town.view(payment_id).state is State.SETTLED


@pytest.mark.parametrize("spoil", ["late", "forged", "none", "other"])
def test_a_bad_return_link_shows_nothing(erika, spoil):
    payment_id = paid(erika)
    path = come_back(erika.town, payment_id)
    if spoil == "late":
        erika.town.world.pass_time(hours=25)
    elif spoil == "forged":
        path = path[:-2] + ("AA" if not path.endswith("AA") else "BB")
    elif spoil == "none":
        path = path.partition("?")[0]
    else:
        path = path.replace(payment_id, payment_id[::-1])
    page = Patron(erika.town).sees(path, 403)
    assert "Dieser Link ist abgelaufen" in page
    assert "12,50" not in page


# --- history and receipt -----------------------------------------------------------------------


def test_the_history_shows_the_newest_first(erika):
    first, second = erika.keys()[:2]
    one = paid(erika, keys=[first])
    erika.town.world.pass_time(minutes=3)
    two = paid(erika, keys=[second])
    page = erika.sees("/lindental/payments")
    assert page.index(two) < page.index(one)
    assert "Bezahlt und verbucht" in page


def test_the_receipt_has_what_an_authority_prints(erika):
    payment_id = paid(erika)
    page = erika.sees(f"/lindental/payments/{payment_id}/receipt")
    for words in (
        "Stadt Lindental",
        "Marktplatz 3",
        "38899 Lindental",
        "Zahlungsbeleg, keine Rechnung",
        erika.town.view(payment_id).receipt_number,
        "Kredit- oder Debitkarte",
        "Säumnisgebühr",
        "4,50 €",
        "12,50 €",
        "Gebühr nach öffentlichem Recht; keine Umsatzsteuer.",
        "TEST \N{EN DASH} es ist kein Geld geflossen",
        "Kostenstelle 4711 · Konto 331100 · Steuerschlüssel A1",
        "•••• 2345",
    ):
        assert words in page
    assert ERIKA not in page


def test_the_receipt_is_there_without_the_payer_while_the_library_system_is_silent(erika):
    payment_id = paid(erika)
    del erika.town.world.remotes[KOHA]
    page = erika.sees(f"/lindental/payments/{payment_id}/receipt")
    assert erika.town.view(payment_id).receipt_number in page
    assert "••••" not in page


def test_an_unpaid_payment_has_no_receipt(erika):
    assert "Quittung" not in erika.sees(f"/lindental/payments/{erika.started()}/receipt", 404)


def test_the_receipt_is_mailed_once_and_the_address_is_gone(erika):
    payment_id = paid(erika)
    path = f"/lindental/payments/{payment_id}/receipt"
    assert 'type="email"' in erika.sees(path)
    assert "Die Quittung ist unterwegs" in erika.sends(path, 200, email=" erika@example.org ").text
    from ils_payment.flows import tell

    tell.send_mails(erika.town.house)
    [(recipient, subject, _)] = [mail for mail in erika.town.world.mails if mail[0] == "erika@example.org"]
    assert recipient == "erika@example.org"
    assert erika.town.view(payment_id).receipt_number in subject
    assert 'type="email"' not in erika.sees(path)
    assert "schon per E-Mail angefordert" in erika.sends(path, 409, email="other@example.org").text


@pytest.mark.parametrize(
    "address", ["", "erika", "erika@", "a b@example.org", "a@example", "x" * 250 + "@ex.org"]
)
def test_an_address_that_is_none_is_shown_again_to_be_mended(erika, address):
    path = f"/lindental/payments/{paid(erika)}/receipt"
    page = erika.sends(path, 422, email=address).text
    assert "Bitte schreiben Sie die Adresse wie name@example.org." in page
    assert 'aria-invalid="true"' in page


@pytest.mark.parametrize(
    "address",
    [
        "a@[.cc", "().@b.cc", ":;@b.cc", "a@,.cc", "a@b", "a@b.", "a@.b.cc", "a@b..cc", "a@-b.cc", "a@b-.cc",
        ".a@b.cc", "a.@b.cc", "a..b@c.de", "a@b@c.de", "a,b@c.de", "<a@b.cc>", '"a b"@c.de', "a\\@b.cc",
        "a@b.cc\nBcc: x@y.de", "a@b.cc\r", "a@127.0.0.1:25", "a@[127.0.0.1]", "\xe4@b.cc", "a@b\xfccher.de",
        "a`b@c.de", "a@b_c.de", f"a@{'b' * 64}.de",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_not_mailed_to(address):
    assert not pages._MAIL.fullmatch(address)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.cc", "erika.mustermann+bib@mail.example.org", "o'hara@x-y.co.uk", "e_m@3sat.de", "1@2.info",
        "a!#$%&*/=?^{|}~-b@xn--bcher-kva.example",
    ],
)  # fmt: skip
def test_every_plain_address_is_mailed_to(address):
    assert pages._MAIL.fullmatch(address)


# --- the clock ---------------------------------------------------------------------------------


def test_a_page_leads_to_the_question_before_the_session_ends(erika):
    page = erika.sees("/lindental/fees")
    seconds = int(found(r'content="(\d+);url=/lindental/idle', page))
    assert seconds == 540
    erika.town.world.pass_time(seconds=seconds)
    page = erika.sees("/lindental/idle?follow=1")
    assert "Sind Sie noch da?" in page
    assert 'content="60;url=/lindental/ended"' in page
    erika.town.world.pass_time(seconds=61)
    assert "Sie wurden abgemeldet" in erika.sees("/lindental/ended")


def test_staying_prolongs_the_session_and_asking_does_not(erika):
    erika.town.world.pass_time(minutes=9)
    assert erika.browser.get("/lindental/stay?follow=1").json() == {"ends_in": 60}
    assert erika.browser.get("/lindental/stay").json() == {"ends_in": 600}
    erika.town.world.pass_time(minutes=11)
    answer = erika.browser.get("/lindental/stay")
    assert (answer.status_code, answer.json()) == (401, {"ends_in": 0})


def test_a_session_that_cannot_be_prolonged_any_more_ends_without_asking_again(erika):
    while erika.browser.get("/lindental/stay").json()["ends_in"] > 60:
        erika.town.world.pass_time(seconds=50)
    page = erika.sees("/lindental/fees")
    assert re.search(r'content="\d+;url=/lindental/ended"', page)
    assert "url=/lindental/idle" not in page


def test_while_another_tab_is_in_use_the_end_asks_again(erika):
    assert "Sind Sie noch da?" in erika.sees("/lindental/ended")


# --- colours and logo --------------------------------------------------------------------------


def test_the_library_s_colours_are_served(erika):
    page = erika.sees("/lindental/fees")
    address = found(r'href="(/static/theme/lindental.css[^"]*)"', page)
    answer = erika.browser.get(address)
    assert "--accent:#7a1fa2" in answer.text
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


def test_the_logo_is_a_picture_and_nothing_else(tmp_path):
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    pages = {**PLACE["pages"], "logo": str(logo)}
    town = Town(f"sqlite:///{tmp_path}/ledger.db", **{**PLACE, "pages": pages})
    erika = Patron(town).signs_in()
    assert '<img src="/static/logo/lindental" alt="Stadtbücherei Lindental"' in erika.sees("/lindental/fees")
    answer = erika.browser.get("/static/logo/lindental")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    town.close()


@pytest.mark.parametrize("path", ["/static/theme/nobody.css", "/static/logo/lindental", "/static/render.py"])
def test_what_is_not_there_is_not_served(erika, path):
    assert erika.browser.get(path).status_code == 404


def test_the_return_token_is_all_that_a_return_address_carries(erika):
    query = parse_qs(urlsplit(come_back(erika.town, erika.started())).query)
    assert set(query) == {"t"}
