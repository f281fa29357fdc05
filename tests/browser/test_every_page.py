"""Every page in every state, in both languages, narrow and wide, light and dark, in a real browser."""

from __future__ import annotations

import pytest
from ils_payment_stripe.simulator import page as stripe_page

from tests.browser.looking import (
    ALL,
    EVERY_LOOK,
    LANGUAGES,
    SCHEMES,
    TOO_WIDE,
    found_by_axe,
    is_accessible_and_fits,
    looks,
)
from tests.web.exhibition import EXHIBITS


@pytest.mark.parametrize(("number", "name"), list(enumerate(EXHIBITS)), ids=EXHIBITS)
def test_a_page_is_accessible_and_fits(looked_at, exhibition, number, name):
    is_accessible_and_fits(looked_at, f"{exhibition}/{name}", number)


def test_axe_looks_at_one_page_after_the_other_in_one_look_after_the_other(monkeypatch):
    monkeypatch.delenv(EVERY_LOOK, raising=False)
    assert [looks(number)["de"][0] for number in range(len(ALL))] == list(ALL)
    assert list(looks(0)) == ["de"]
    monkeypatch.setenv(EVERY_LOOK, "1")
    assert looks(0) == looks(1) == {"de": ALL, "en": ALL}
    assert len(ALL) == 4


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_what_is_wrong(looked_at, exhibition, language, scheme):
    looked_at.emulate_media(color_scheme=scheme)
    looked_at.goto(f"{exhibition}/fees?lang={language}")
    looked_at.evaluate("document.querySelector('.small').style.color = '#777'")
    looked_at.evaluate("document.querySelector('main').append(document.createElement('select'))")
    found = {one.partition(":")[0] for one in found_by_axe(looked_at)}
    assert found >= {"color-contrast", "select-name"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("body { min-width: 330px; }", "de, 320 px: a horizontal scroll bar"),
        ("@media (width > 600px) { button { min-height: 0 !important; height: 20px; } }", "de, 1280 px"),
        (":lang(en) body { min-width: 330px; }", "en, 320 px: a horizontal scroll bar"),
        ("@media (prefers-color-scheme: light) { .small { color: #aaa; } }", "de, 320 px, light"),
        ("@media (prefers-color-scheme: dark) { .small { color: #666; } }", "de, 320 px, dark"),
    ],
)
def test_a_page_that_is_wrong_in_one_look_only_is_noticed(looked_at, exhibition, monkeypatch, wrong, told):
    monkeypatch.setenv(EVERY_LOOK, "1")

    def spoil(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=f"{answer.text()}\n{wrong}")

    looked_at.route("**/style.css*", spoil)
    try:
        with pytest.raises(AssertionError, match=told):
            is_accessible_and_fits(looked_at, f"{exhibition}/fees", 0)
    finally:
        looked_at.unroute("**/style.css*")


@pytest.mark.parametrize(
    "name", ["fees", "fees-running", "confirm", "status-settled", "receipt", "login-refused"]
)
def test_twice_the_text_size_still_fits(looked_at, exhibition, name):
    looked_at.set_viewport_size({"width": 640, "height": 900})
    looked_at.goto(f"{exhibition}/{name}?lang=de")
    looked_at.evaluate("document.documentElement.style.fontSize = '200%'")
    assert looked_at.evaluate(TOO_WIDE) <= 0


@pytest.mark.parametrize("name", ["fees", "status-settled", "status-unknown-held", "login-refused"])
def test_forced_colours_keep_signs_and_buttons_visible(looked_at, exhibition, name):
    looked_at.emulate_media(forced_colors="active")
    looked_at.goto(f"{exhibition}/{name}?lang=de")
    bare = looked_at.evaluate(
        """() => [...document.querySelectorAll("button, .button, .card, .told, .sign")]
            .filter((it) => it.checkVisibility() && parseFloat(getComputedStyle(it).borderTopWidth) < 1)
            .map((it) => it.outerHTML)"""
    )
    looked_at.emulate_media(forced_colors="none")
    assert bare == []


def test_nothing_moves_for_who_wants_no_motion(looked_at, exhibition):
    looked_at.goto(f"{exhibition}/status-pending?lang=de")
    looked_at.emulate_media(reduced_motion="no-preference")
    assert looked_at.evaluate("document.getAnimations().length") == 1
    looked_at.emulate_media(reduced_motion="reduce")
    assert looked_at.evaluate("document.getAnimations().length") == 0


def test_a_receipt_is_printed_on_one_sheet_without_what_belongs_to_the_screen(looked_at, exhibition):
    looked_at.goto(f"{exhibition}/receipt-test?lang=de")
    looked_at.emulate_media(media="print", color_scheme="dark")
    sheet = looked_at.pdf(prefer_css_page_size=True)
    text = looked_at.locator("body").inner_text()
    background = looked_at.evaluate("getComputedStyle(document.body).backgroundColor")
    looked_at.emulate_media(media="screen", color_scheme="light")
    assert sheet.count(b"/Type /Page\n") == 1
    assert "es ist kein Geld geflossen" in text
    assert "Stadt Lindental" in text
    assert "Abmelden" not in text
    assert "Drucken" not in text
    assert background == "rgb(255, 255, 255)"


def test_the_fees_page_weighs_at_most_60_kb(chromium, exhibition):
    context = chromium.new_context()
    page = context.new_page()
    bodies: dict[str, int] = {}
    page.on("response", lambda response: bodies.update({response.url: len(response.body())}))
    page.goto(f"{exhibition}/fees?lang=de", wait_until="networkidle")
    assert {url.partition("?")[0].rpartition("/")[2] for url in bodies} >= {"fees", "style.css", "pages.js"}
    assert all(url.startswith(exhibition.partition("/lindental")[0]) for url in bodies), "a third party"
    assert sum(bodies.values()) <= 60_000
    context.close()


OVERLAPS = """() => [...document.querySelectorAll(".fee, .lines tr")].flatMap((row) => {
    const sum = row.querySelector(".sum, .prices");
    const words = document.createRange();
    const first = row.querySelector(".fee-words, td, th");
    if (!sum || !first || first === sum) return [];
    words.selectNodeContents(first);
    const amount = sum.getBoundingClientRect();
    return [...words.getClientRects()]
        .filter((it) => it.right > amount.left && it.bottom > amount.top && it.top < amount.bottom)
        .map(() => row.textContent.trim());
})"""


@pytest.mark.parametrize(
    "name",
    ["fees", "fees-long", "fees-with-card", "confirm-both", "confirm-long", "receipt-renewal", "history"],
)
def test_no_amount_lies_over_words_or_leaves_its_box_on_a_narrow_screen(looked_at, exhibition, name):
    looked_at.set_viewport_size({"width": 320, "height": 900})
    looked_at.goto(f"{exhibition}/{name}?lang=de")
    assert looked_at.evaluate(OVERLAPS) == []
    outside = """() => [...document.querySelectorAll(".card .sum")].filter((it) =>
        it.getBoundingClientRect().right > it.closest(".card").getBoundingClientRect().right)
        .map((it) => it.textContent)"""
    assert looked_at.evaluate(outside) == []


def test_the_simulated_payment_page_fits_a_narrow_screen(looked_at):
    words = {**stripe_page.TEXTS["de"], "lang": "de"}
    item = "Ausweisverlängerung: Jahresbenutzungsgebührenzuschlag"
    row = f"<tr><td>{item}</td><td>1.234,00\N{NO-BREAK SPACE}€</td></tr>"
    forms = stripe_page.method_form("pay_by_bank", "1.234,00 €", words)
    looked_at.set_viewport_size({"width": 320, "height": 900})
    looked_at.goto("about:blank")
    looked_at.set_content(
        stripe_page.document(words, f"<h1>{item}</h1><table><tbody>{row}</tbody></table>{forms}")
    )
    assert looked_at.evaluate(TOO_WIDE) <= 0
