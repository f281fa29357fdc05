"""Every staff page in every state, in both languages, narrow and wide, light and dark, in a real browser."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from starlette.testclient import TestClient

from ils_payment.flows import factors
from tests.browser.conftest import served
from tests.browser.test_every_page import (
    HEADINGS,
    LANGUAGES,
    RUN_AXE,
    SCHEMES,
    SMALL_TARGETS,
    TOO_WIDE,
    WIDTHS,
)
from tests.conftest import Town
from tests.web.conftest import prepared
from tests.web.staff_doors import CHEAP
from tests.web.staff_exhibition import EXHIBITS, Exhibition, application
from tests.web.test_staff_pages import Office


@pytest.fixture(scope="module")
def exhibition(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factors, "_HASHER", CHEAP)
        town = Town(f"sqlite:///{tmp_path_factory.mktemp('staff')}/ledger.db", arrival=prepared(patch))
        yield Exhibition(Office(town))
        town.close()


@pytest.fixture(scope="module")
def address(exhibition):
    with served(application(exhibition)) as address:
        yield f"{address}/staff/show"


@pytest.fixture(scope="module")
def looked_at(chromium):
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
@pytest.mark.parametrize("name", [name for name in EXHIBITS if name != "onward"])
def test_a_staff_page_is_accessible_and_fits(looked_at, address, name, language):
    page = looked_at
    page.complaints.clear()
    page.goto(f"{address}/{name}?lang={language}")
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(TOO_WIDE) <= 0, f"{width} px: a horizontal scroll bar"
        assert page.evaluate(SMALL_TARGETS) == [], f"{width} px"
        schemes = SCHEMES if width == WIDTHS[LANGUAGES.index(language)] else {}
        for scheme, rules in schemes.items():
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(RUN_AXE, rules) == [], f"{width} px, {scheme}"
    headings = page.evaluate(HEADINGS)
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert [text for text in page.complaints if "the server responded with a status of" not in text] == []


@pytest.mark.parametrize("name", ["case", "refunds", "enrol"])
def test_twice_the_text_size_still_fits_on_staff_pages(looked_at, address, name):
    looked_at.set_viewport_size({"width": 640, "height": 900})
    looked_at.goto(f"{address}/{name}?lang=de")
    looked_at.evaluate("document.documentElement.style.fontSize = '200%'")
    assert looked_at.evaluate(TOO_WIDE) <= 0


def test_german_staff_pages_say_nothing_in_english(exhibition):
    """What stands on a page in both languages alike is a name, a number or a code."""
    import re

    browser = TestClient(application(exhibition), base_url="http://127.0.0.1")
    words = {}
    for language in LANGUAGES:
        pages = "\n".join(browser.get(f"/staff/show/{name}?lang={language}").text for name in EXHIBITS)
        lines = {line.strip() for line in re.sub(r"<[^>]*>", "\n", pages).splitlines()}
        words[language] = {line for line in lines if re.search(r"[a-z]{3,} [a-z]{2,}", line)}
    both = words["de"] & words["en"]
    fees = {
        line.text or ""
        for one in (exhibition.office.settled, exhibition.open_payment)
        for line in exhibition.office.town.view(one).lines
    }
    known = ("Bücherei", "Stadtbücherei", "Die Theke", "Die Quittung", "session complete", *fees)
    assert [line for line in both if not any(word in line for word in known)] == []
