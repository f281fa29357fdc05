"""From Koha's OPAC to the pay page in a real browser: the plugin's page, and the button of OPACUserJS.

The OPAC's pages are shaped as Koha's templates were read; the pay page is the real program's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from ils_payment.web.app import create_app
from tests.browser.conftest import Later, served
from tests.browser.looking import found_by_axe
from tests.conftest import Town
from tests.integrations.conftest import SETTINGS
from tests.integrations.koha_opac import ROOT, KohaOPAC, unpacked
from tests.web.doors import SECRET

OPAC = "http://opac.lindental.example/cgi-bin/koha"
SCRIPT = (ROOT / "integrations" / "opacuserjs" / "ils-payment.js").read_text(encoding="utf-8")
PLACEHOLDER = "https://pay.library.example/main/"

ACCOUNT = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><title>Your charges</title>{head}</head>
<body id="{body}" class="scrollto">
<header><span class="loggedinusername" data-borrowernumber="4711">Erika Canary</span></header>
<main class="main"><div id="useraccount" class="maincontent">
<h1>Your charges</h1>
<form method="post" action="opac-account-pay.pl"><input type="hidden" name="csrf_token" value="canary-csrf">
<table class="table finestable" id="finestable"><caption class="sr-only">Your charges</caption>
<tr class="outstanding"><td>Canary title</td><td class="debit">4.50</td></tr></table></form>
</div></main>{end}
</body></html>"""


@dataclass
class Street:
    """The program at its address, and the OPAC beside it on another site."""

    town: Town
    address: str
    koha: KohaOPAC

    def opac(self, page: Page, script: str, answer: str) -> str:
        """Let the OPAC answer with this page at this script's address; return the address."""
        address = f"{OPAC}/{script}"
        page.route(address, lambda route: route.fulfill(body=answer, content_type="text/html; charset=utf-8"))
        return address


@pytest.fixture(scope="module")
def street(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """One street for all tests; the browser comes before the server, whose loop runs in another thread."""
    folder = tmp_path_factory.mktemp("street")
    koha = KohaOPAC(unpacked(folder))
    later = Later()
    with pytest.MonkeyPatch.context() as patch, served(later) as address:
        patch.setenv("DOORS_SECRET", SECRET)
        arrival = {"keys": [{"kid": "opac-1", "secret": {"env": "DOORS_SECRET"}}]}
        town = Town(f"sqlite:///{folder}/ledger.db", arrival=arrival)
        town.world.pass_time(seconds=(datetime.now(UTC) - town.world.now()).total_seconds())
        server = town.house.settings.server.model_copy(update={"public_url": address})
        town.house.settings = town.house.settings.model_copy(update={"server": server})
        later.app = create_app(town.house)
        koha.take_lines_of(town)
        koha.configure(**SETTINGS)
        # The settings take https only; this program stands on this machine.
        koha.data["address"] = f"{address}/lindental"
        yield Street(town, address, koha)
        town.close()


@contextmanager
def visitor(chromium: Browser, **options: Any) -> Iterator[Page]:
    context = chromium.new_context(**options)
    yield context.new_page()
    context.close()


def handed_over(street: Street, *, only: int = 2) -> tuple[str, list[str]]:
    """The plugin's page for Erika, and the lines that she ticked."""
    erika = street.town.koha.patron_ids["erika"]
    ticked = [str(row["accountlines_id"]) for row in street.koha.lines if row["borrowernumber"] == erika]
    chosen = ticked[1 : 1 + only]
    answer = street.koha.begin(str(erika), *chosen)
    return answer.printed.partition("\r\n\r\n")[2], chosen


def is_at_the_ticked_fees(page: Page, street: Street, chosen: list[str]) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Ihre offenen Gebühren")
    assert page.url.startswith(f"{street.address}/lindental/fees?")
    assert "token" not in page.url
    ticked = page.locator("input[name=fee]:checked")
    assert [box.get_attribute("value") for box in ticked.all()] == chosen
    expect(page.locator("#total")).to_have_text("6,00 €")


# --- the plugin ----------------------------------------------------------------------------------


def test_the_plugins_page_takes_the_patron_to_the_ticked_fees_by_itself(chromium, street):
    answer, chosen = handed_over(street)
    with visitor(chromium) as page:
        page.goto(street.opac(page, "opac-account-pay.pl", answer))
        is_at_the_ticked_fees(page, street, chosen)


def test_where_scripts_do_not_run_a_button_does_it_and_the_page_is_accessible(chromium, street):
    answer, chosen = handed_over(street)
    with visitor(chromium) as page:
        # As a Content-Security-Policy of the OPAC would do; axe itself needs scripts.
        page.goto(street.opac(page, "opac-account-pay.pl", answer.partition("<script>")[0]))
        assert found_by_axe(page) == []
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.get_by_role("button", name="Weiter zum Bezahlen").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#total")).to_be_visible()
        assert [box.get_attribute("value") for box in page.locator("input[name=fee]:checked").all()] == chosen


@pytest.mark.parametrize(("language", "words"), [("de-DE", "Zu meinen Gebühren"), ("en", "To my charges")])
def test_the_page_on_the_way_back_is_accessible_and_leads_to_the_account(chromium, street, language, words):
    street.koha.language = language
    answer = street.koha.ask("opac_online_payment_end", "3").printed.partition("\r\n\r\n")[2]
    street.koha.language = "de-DE"
    with visitor(chromium) as page:
        page.goto(street.opac(page, "opac-account-pay-return.pl", answer))
        assert found_by_axe(page) == []
        street.opac(page, "opac-account.pl", "<h1>account</h1>")
        page.get_by_role("link", name=words).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("account")


# --- OPACUserJS ----------------------------------------------------------------------------------


def account(
    street: Street, language: str, *, body: str = "opac-account", at: str = "end", times: int = 1
) -> str:
    """The OPAC's page with the script, which an administrator has given the library's address."""
    assert SCRIPT.count(PLACEHOLDER) == 1
    script = SCRIPT.replace(PLACEHOLDER, f"{street.address}/lindental/")
    places = {"head": "", "end": "", at: f"<script>{script}</script>" * times}
    return ACCOUNT.format(language=language, body=body, **places)


@pytest.mark.parametrize(
    ("language", "button", "sign_in"),
    [
        ("de-DE", "Gebühren online bezahlen", "Ausweisnummer"),
        ("en", "Pay charges online", "Card number"),
        ("fr-FR", "Pay charges online", "Card number"),
    ],
)
def test_the_button_leads_to_card_and_pin_in_the_language_of_the_page(
    chromium, street, language, button, sign_in
):
    with visitor(chromium) as page:
        page.goto(street.opac(page, "opac-account.pl", account(street, language)))
        link = page.get_by_role("link", name=button)
        assert (
            link.get_attribute("href")
            == f"{street.address}/lindental/?lang={language[:2].replace('fr', 'en')}"
        )
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label(sign_in)).to_be_visible()


def test_the_button_tells_the_pay_page_nothing_about_the_patron(chromium, street):
    with visitor(chromium) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.url} {request.post_data}"))
        page.goto(street.opac(page, "opac-account.pl", account(street, "de-DE")))
        page.get_by_role("link", name="Gebühren online bezahlen").click()
        expect(page.get_by_label("Ausweisnummer")).to_be_visible()
    told = "".join(asked[1:])
    assert "lang=de" in told
    for canary in ("Canary", "canary", "4711", "4.50"):
        assert canary not in told


@pytest.mark.parametrize(("at", "times"), [("head", 1), ("end", 2)])
def test_the_button_is_there_once_below_the_heading_and_accessible(chromium, street, at, times):
    with visitor(chromium) as page:
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(street.opac(page, "opac-account.pl", account(street, "de-DE", at=at, times=times)))
        expect(page.locator("h1 + p#ils-payment a")).to_have_count(1)
        expect(page.locator("a")).to_have_count(1)
        assert found_by_axe(page) == []
        described = page.locator("#ils-payment-hint")
        expect(described).to_contain_text("noch einmal mit Ausweisnummer und Passwort")
        assert said == []


@pytest.mark.parametrize("body", ["opac-user", ""])
def test_on_other_pages_of_the_opac_there_is_no_button(chromium, street, body):
    with visitor(chromium) as page:
        page.goto(street.opac(page, "opac-user.pl", account(street, "de-DE", body=body)))
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("a")).to_have_count(0)


def test_the_script_builds_no_code_and_no_markup_from_text():
    for word in ("eval", "Function(", "innerHTML", "document.write", "$(", "jQuery", "secret ="):
        assert word not in SCRIPT, word
