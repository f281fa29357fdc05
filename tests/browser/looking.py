"""Looking at one page: does it fit, can fingers and screen readers use it, does the browser complain."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

from axe_playwright_python.base import AXE_SCRIPT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LANGUAGES = ("de", "en")
WIDTHS = (320, 1280)
SCHEMES = ("light", "dark")
ALL = tuple(product(WIDTHS, SCHEMES))
EVERY_LOOK = "ILS_PAYMENT_EVERY_LOOK"
"""Set by ``make pages``: axe looks at each page in each language, width and scheme."""

# What axe cannot decide about contrast counts too; a sign is no text, and test_theme.py knows its colour.
RUN_AXE = """async () => {
    const result = await axe.run(document, {resultTypes: ["violations", "incomplete"]});
    const unsure = result.incomplete.filter((one) => one.id === "color-contrast")
        .map((one) => ({...one, nodes: one.nodes.filter((node) => !node.html.includes('class="sign '))}))
        .filter((one) => one.nodes.length);
    return [...result.violations, ...unsure].map(
        (one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" | ")}`);
}"""

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

OPEN_DETAILS = "() => document.querySelectorAll('details').forEach((it) => { it.open = true; })"


@contextmanager
def a_page(chromium: Browser) -> Iterator[Any]:
    """One page for many visits, which collects in ``complaints`` what the browser complains about."""
    context = chromium.new_context()
    page: Any = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    context.close()


def looks(number: int) -> dict[str, Sequence[tuple[int, str]]]:
    """The languages in which the page of this *number* is visited, and in what widths and schemes axe looks.

    Axe takes far longer than all else, and what it finds depends on the page far more than on how it is
    looked at; German has the long words. So a page is visited in German, and axe looks at one page after the
    other in one look after the other.
    """
    if os.environ.get(EVERY_LOOK):
        return dict.fromkeys(LANGUAGES, ALL)
    return {"de": (ALL[number % len(ALL)],)}


def is_accessible_and_fits(page: Any, address: str, number: int) -> None:
    """Visit the page at *address*, and look at it in each width."""
    page.complaints.clear()
    for language, axe_looks in looks(number).items():
        # Measured before its style sheets are there, a page fits by chance.
        page.goto(f"{address}?lang={language}", wait_until="load")
        page.evaluate(OPEN_DETAILS)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(TOO_WIDE) <= 0, f"{language}, {width} px: a horizontal scroll bar"
            assert page.evaluate(SMALL_TARGETS) == [], f"{language}, {width} px"
            for scheme in (scheme for looked_width, scheme in axe_looks if looked_width == width):
                page.emulate_media(color_scheme=scheme)
                assert found_by_axe(page) == [], f"{language}, {width} px, {scheme}"
        headings = page.evaluate(HEADINGS)
        assert headings[0] == 1, language
        assert headings.count(1) == 1, language
    # The status of the answer itself is named in the console; what counts is that nothing was blocked.
    answered = "the server responded with a status of 4"
    assert [text for text in page.complaints if answered not in text] == []


def found_by_axe(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is shown now; axe is brought along where it is missing."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(RUN_AXE)
    return found
