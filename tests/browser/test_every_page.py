"""Every page in every state, in both languages, narrow and wide, light and dark, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from ils_payment_stripe.simulator import page as stripe_page

from tests.web.exhibition import EXHIBITS

WIDTHS = (320, 1280)
LANGUAGES = ("de", "en")

# What axe cannot decide about contrast counts too; a sign is no text, and test_theme.py knows its colour.
RUN_AXE = """async (rules) => {
    const result = await axe.run(document, {resultTypes: ["violations", "incomplete"], ...rules});
    const unsure = result.incomplete.filter((one) => one.id === "color-contrast")
        .map((one) => ({...one, nodes: one.nodes.filter((node) => !node.html.includes('class="sign '))}))
        .filter((one) => one.nodes.length);
    return [...result.violations, ...unsure].map(
        (one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" | ")}`);
}"""
# All that a change from light to dark can touch.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
SCHEMES = {"light": {}, "dark": COLOURS}

# A link in running text is as high as its line (WCAG 2.5.8 says why it may be); all else is to be 44 px.
SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input, select")].flatMap((it) => {
    const target = it.closest("label") ?? it;
    const box = target.getBoundingClientRect();
    const shown = it.checkVisibility({visibilityProperty: true}) && box.width > 0 && it.type !== "hidden";
    const inText = it.tagName === "A" && getComputedStyle(it).display === "inline"
        && it.closest("p, span.reason") && it.closest("p, span.reason").textContent.trim() !== "";
    const skip = it.className === "skip" || it.closest("dialog:not([open])");
    return !shown || skip || inText || (box.width >= 44 && box.height >= 44) ? []
        : [`${it.outerHTML.slice(0, 120)} ${box.width}x${box.height}`];
})"""

TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4")]
    .filter((it) => it.checkVisibility()).map((it) => Number(it.tagName[1]))"""


@pytest.fixture(scope="module")
def looked_at(chromium) -> Any:
    """One page that brings axe along and collects what the browser complains about."""
    context = chromium.new_context()
    context.add_init_script(path=AXE_FILE_PATH)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", EXHIBITS)
def test_a_page_is_accessible_and_fits(looked_at, exhibition, name, language):
    page = looked_at
    page.complaints.clear()
    page.goto(f"{exhibition}/{name}?lang={language}")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(TOO_WIDE) <= 0, f"{width} px: a horizontal scroll bar"
        assert page.evaluate(SMALL_TARGETS) == [], f"{width} px"
        # All rules look at German narrow and at English wide; what a width alone changes is measured above.
        schemes = SCHEMES if width == WIDTHS[LANGUAGES.index(language)] else {}
        for scheme, rules in schemes.items():
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(RUN_AXE, rules) == [], f"{width} px, {scheme}"
    headings = page.evaluate(HEADINGS)
    assert headings[0] == 1
    assert headings.count(1) == 1
    # The status of the answer itself is named in the console; what counts is that nothing was blocked.
    assert [text for text in page.complaints if "the server responded with a status of 4" not in text] == []


@pytest.mark.parametrize("rules", SCHEMES.values(), ids=SCHEMES)
def test_axe_finds_what_is_wrong(looked_at, exhibition, rules):
    looked_at.goto(f"{exhibition}/fees?lang=de")
    looked_at.evaluate("document.querySelector('.small').style.color = '#777'")
    assert any(found.startswith("color-contrast:") for found in looked_at.evaluate(RUN_AXE, rules))


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
