"""Every staff page in every state, in both languages, narrow and wide, light and dark, in a real browser."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from ils_payment.flows import factors
from tests.browser.conftest import served
from tests.browser.looking import LANGUAGES, TOO_WIDE, is_accessible_and_fits
from tests.conftest import Town
from tests.web.conftest import prepared
from tests.web.staff_doors import CHEAP
from tests.web.staff_exhibition import EXHIBITS, Exhibition, application
from tests.web.test_staff_pages import Office

NAMES = [name for name in EXHIBITS if name != "onward"]


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


@pytest.mark.parametrize(("number", "name"), list(enumerate(NAMES)), ids=NAMES)
def test_a_staff_page_is_accessible_and_fits(looked_at, address, number, name):
    is_accessible_and_fits(looked_at, f"{address}/{name}", number)


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
