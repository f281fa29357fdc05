"""What patrons read: complete in both languages, true for every state, polite, and well formatted."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po
from starlette.testclient import TestClient

import ils_payment.web
from ils_payment.flows.views import NOT_BEGUN
from ils_payment.model import State
from ils_payment.web import messages, texts
from ils_payment.web.language import LANGUAGES, SOURCE, Tongue, accepted, translations
from tests.web.exhibition import EXHIBITS, LIBRARY, NOW, PAYMENTS, VOID_REASONS, application, payment

WEB = Path(ils_payment.web.__file__).parent
BERLIN = ZoneInfo("Europe/Berlin")
DE, EN = Tongue("de", BERLIN), Tongue("en", BERLIN)
PLACEHOLDER = re.compile(r"%\(\w+\)s")

STATES = [
    (state, reason, held, test)
    for state, held, test in product(State, (False, True), (False, True))
    for reason in (VOID_REASONS if state is State.VOID else (None,))
]


@cache
def extracted() -> set[str]:
    """Every text that the code and the templates mark for translation."""
    project = tomllib.loads((WEB.parents[1] / "pyproject.toml").read_text())
    mappings = project["tool"]["babel"]["mappings"]
    methods = [(mapping["pattern"].removeprefix("ils_payment/"), mapping["method"]) for mapping in mappings]
    found = extract_from_dir(WEB.parent, methods, keywords={**DEFAULT_KEYWORDS, "N_": None})
    return {message for _, _, message, _, _ in found if isinstance(message, str)}


@pytest.fixture(scope="module")
def shown() -> TestClient:
    return TestClient(application())


# --- the catalogues ----------------------------------------------------------------------------


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != SOURCE])
def test_every_text_is_translated_and_no_translation_is_left_over(language):
    with (WEB / "locale" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    translated = {m.id: m for m in catalog if m.id}
    assert extracted() == set(translated)
    assert len(translated) > 150
    assert not catalog.obsolete
    for message in translated.values():
        assert message.string, message.id
        assert not message.fuzzy, message.id
        assert sorted(PLACEHOLDER.findall(message.string)) == sorted(PLACEHOLDER.findall(message.id))  # type: ignore[arg-type]  # no text here has a plural


def test_templates_hold_no_text_outside_of_the_catalogue():
    for template in sorted((WEB / "templates").rglob("*.html")):
        rest = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", template.read_text(), flags=re.DOTALL)
        # "s" is the unit sign of the second, the same in every language.
        words = [word for word in re.findall(r"[^\W\d_]+", rest) if word != "s"]
        assert words == [], template.name


def test_german_is_polite_and_speaks_no_english():
    german = {m: translations("de").gettext(m) for m in extracted()}
    for english, text in german.items():
        assert not re.search(r"\b(du|dir|dich|dein\w*|euch|euer)\b", text, re.IGNORECASE), text
        assert text != english or english in {"TEST", "Code", "Name", "System", "Version"}, text


@pytest.mark.parametrize("name", EXHIBITS)
def test_a_german_page_says_nothing_in_english(shown, name):
    page = shown.get(f"/lindental/show/{name}?lang=de").text
    assert '<html lang="de">' in page
    body = re.sub(r"<[^>]*>", "\n", page)
    lines = {line.strip() for line in body.splitlines()}
    english = {text for text in extracted() if translations("de").gettext(text) != text}
    assert lines & english == set()


# --- what is said about a payment --------------------------------------------------------------


@pytest.mark.parametrize(("state", "reason", "held", "test"), STATES)
@pytest.mark.parametrize("tongue", [DE, EN], ids=["de", "en"])
def test_every_state_is_told_truly_in_plain_words(tongue, state, reason, held, test):
    one = payment(state, held=held, test=test, void_reason=reason)
    words = texts.told(one, tongue, NOW)
    said = " ".join((words.title, *words.text))
    assert "%" not in said
    assert len(words.text) <= 2
    assert all(len(line) <= 190 for line in words.text), "too long for a tired person"
    do_not_pay_again = {"de": "nicht noch einmal", "en": "not pay"}[tongue.code]
    nothing_charged = {"de": "nichts abgebucht", "en": "othing"}[tongue.code]
    assert (do_not_pay_again in said) == (
        state in {State.PENDING, State.PAID, State.SETTLING, State.UNKNOWN}
        or (held and state in {State.CREATED, State.OPEN, State.VOID})
    )
    assert (nothing_charged in said) == (not held and state in {State.CREATED, State.OPEN, State.VOID})
    if held:
        assert {"de": "nennen Sie bitte die Nummer", "en": "mention the number"}[tongue.code] in said
    if state is State.SETTLED:
        assert tongue.money(one.cents, one.currency) in said
    assert texts.brief(one, tongue)


def test_both_languages_have_the_same_words_for_the_same_states():
    pairs = {(texts.told(one, DE, NOW), texts.told(one, EN, NOW)) for one in PAYMENTS.values()}
    assert len({german for german, _ in pairs}) == len({english for _, english in pairs}) == len(pairs)


def test_an_unclear_booking_reads_as_the_library_promises_it():
    words = texts.told(payment(State.UNKNOWN), DE, NOW)
    assert words.title == "Wir haben Ihre Zahlung"
    assert words.text[0] == "Die Verbuchung dauert etwas länger. Bitte zahlen Sie nicht noch einmal."


@pytest.mark.parametrize("state", State)
def test_where_no_mail_goes_to_the_staff_the_patron_is_asked_to_call(state):
    words = texts.told(payment(state, held=True), DE, NOW, staff_told=False)
    assert words.text[1] == "Bitte melden Sie sich bei Ihrer Bibliothek und nennen Sie die Nummer."
    assert "benachrichtigt" not in words.text[0]
    fine = payment(state)
    assert texts.told(fine, DE, NOW, staff_told=False) == texts.told(fine, DE, NOW)


@pytest.mark.parametrize(("address", "promised"), [("staff@lindental.example", True), (None, False)])
def test_the_page_of_a_case_promises_only_what_is_set_up(address, promised):
    library = LIBRARY.model_copy(update={"staff_email": address})
    page = TestClient(application(library)).get("/lindental/show/status-paid-held?lang=de").text
    assert ("Ihre Bibliothek ist benachrichtigt" in page) == promised
    assert ("Bitte melden Sie sich bei Ihrer Bibliothek" in page) != promised


def test_a_payment_that_waits_for_long_is_told_so():
    fresh = payment(State.PAID)
    assert texts.of_payment(fresh, NOW) == "paid"
    assert texts.of_payment(replace(fresh, paid_at=NOW - timedelta(minutes=2)), NOW) == "longer"


@pytest.mark.parametrize("name", [name for name in EXHIBITS if name.startswith(("status-", "return-"))])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_test_payment_says_so_on_its_page_and_a_real_one_does_not(shown, name, language):
    page = shown.get(f"/lindental/show/{name}?lang={language}").text
    says_test = translations(language).gettext("This is a test: no money moves.") in page
    assert says_test == ("-test" in name)


@pytest.mark.parametrize("tongue", [DE, EN], ids=["de", "en"])
def test_every_reason_not_to_begin_has_words_and_a_way_on(tongue):
    for code in NOT_BEGUN:
        words = messages.MESSAGES[code].said(tongue)
        assert words.title
        assert words.text
        assert words.way in {"fees", "payment"}


@pytest.mark.parametrize("name", [name for name in EXHIBITS if name.startswith("message-")])
def test_every_message_has_a_way_on(shown, name):
    page = shown.get(f"/lindental/show/{name}").text
    main = page[page.index("<main") : page.index("</main>")]
    assert 'class="button' in main or name == "message-too_many"


def test_methods_of_strangers_are_shown_by_their_plain_word():
    assert texts.method_name("card", DE) == "Kredit- oder Debitkarte"
    assert texts.method_name("pay_in_kiosk", EN) == "Pay in kiosk"


# --- money, days, hours ------------------------------------------------------------------------


def test_money_is_written_as_people_there_write_it():
    assert DE.money(1250, "EUR") == "12,50\N{NO-BREAK SPACE}€"
    assert EN.money(1250, "EUR") == "€12.50"
    assert DE.money(123456, "CHF") == "1.234,56\N{NO-BREAK SPACE}CHF"
    assert EN.money(500, "JPY") == "JP¥500"


def test_days_and_hours_are_those_of_the_library():
    instant = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert DE.day(instant) == "22. November 2026"
    assert EN.day(instant) == "22 November 2026"
    assert DE.short_day(date(2026, 10, 2)) == "02.10.2026"
    assert EN.short_day(date(2026, 10, 2)) == "2 Oct 2026"
    assert DE.clock(instant) == "00:30 Uhr"
    assert EN.clock(instant) == "00:30"


def test_a_running_payment_of_yesterday_names_the_day():
    today = datetime(2026, 11, 21, 18, 42, tzinfo=UTC)
    assert DE.since(today, today) == "19:42 Uhr"
    assert DE.since(today - timedelta(days=1), today) == "20.11.2026, 19:42 Uhr"


def test_a_text_of_the_configuration_falls_back_to_its_first_language():
    assert EN.local({"de": "nur deutsch"}) == "nur deutsch"
    assert EN.local({"de": "deutsch", "en": "english"}) == "english"
    assert EN.local({}) == ""


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr-FR, fr;q=0.9, en;q=0.5", "en"),
        ("en;q=0.4, de;q=0.6", "de"),
        ("en;q=0, de;q=0.1", "de"),
        ("fr", None),
        ("", None),
        ("de;q=much, en", "en"),
    ],
)
def test_the_browser_s_wish_is_understood(header, language):
    assert accepted(header, ("de", "en")) == language


def test_the_smallest_sum_is_named(shown):
    page = shown.get("/lindental/show/fees-small?lang=de").text
    assert "Online ab 1,00\N{NO-BREAK SPACE}€; kleinere Beträge an der Theke" in page


def test_fees_whose_payment_the_library_clears_up_are_not_said_to_be_running(shown):
    page = shown.get("/lindental/show/fees-held?lang=de").text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Ihre Bibliothek klärt eine Zahlung für diese Gebühren" in page
    assert (
        "Zahlung über 12,50 € vom 18. November 2026. Bitte zahlen Sie diese Gebühren nicht noch einm" in page
    )
    assert page.count("Eine Zahlung dafür klärt Ihre Bibliothek gerade.") == 2
    for wrong in ("läuft", "Abbrechen", "bis dahin"):
        assert wrong not in page


def test_who_helps_with_a_forgotten_pin_stands_at_the_form(shown):
    page = shown.get("/lindental/show/login-refused?lang=de").text
    assert 'PIN vergessen? Ihre Bibliothek hilft Ihnen. <a href="tel:039445550123">03944 555 0123</a>' in page


@pytest.mark.parametrize(
    ("label", "title", "text", "shown_words"),
    [
        ("Säumnisgebühr", "Der Sommer", "", ("Säumnisgebühr", "Der Sommer", "")),
        ("Säumnisgebühr", "Der Sommer", "der sommer 2026-10-02 ", ("Säumnisgebühr", "Der Sommer", "")),
        ("Säumnisgebühr", "Der Sommer am Wehr", "Der Sommer", ("Säumnisgebühr", "Der Sommer am Wehr", "")),
        ("Jahresgebühr", None, "Jahresgebühr 2026", ("Jahresgebühr 2026", "", "")),
        ("Jahresgebühr", None, "Gebühr", ("Jahresgebühr", "", "")),
        ("Ersatz", "Der Sommer", "Einband", ("Ersatz", "Der Sommer", "Einband")),
        ("", "Der Sommer", "Der Sommer am Wehr", ("Der Sommer am Wehr", "", "")),
        ("", "Der Sommer", "Einband", ("Einband", "Der Sommer", "")),
        ("", "Der Sommer", "", ("Der Sommer", "", "")),
        ("", None, None, ("", "", "")),
    ],
)
def test_a_fee_says_nothing_twice(label, title, text, shown_words):
    assert texts.fee_words(label, title, text) == shown_words


def test_while_the_provider_is_being_asked_nobody_is_sent_back_to_pay():
    words = texts.told(PAYMENTS["open-looking"], DE, NOW)
    assert words.title == "Einen Moment, bitte"
    assert "angekommen" in words.text[0]
