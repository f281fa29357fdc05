"""What the script adds: a total that follows, a page that follows, a question before the session ends."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page, Route, expect


@pytest.fixture
def page(chromium):
    context = chromium.new_context()
    context.add_init_script(path=AXE_FILE_PATH)
    opened = context.new_page()
    yield opened
    context.close()


def test_the_total_follows_the_ticks_as_babel_writes_it(page, exhibition):
    for language, sums in (("de", ("12,50 €", "8,00 €", "0,00 €")), ("en", ("€12.50", "€8.00", "€0.00"))):
        page.goto(f"{exhibition}/fees?lang={language}")
        total = page.locator("output#total")
        expect(total).to_have_text(sums[0])
        boxes = page.locator("input[name=fee]")
        boxes.nth(0).uncheck()
        expect(total).to_have_text(sums[1])
        boxes.nth(1).uncheck()
        boxes.nth(2).uncheck()
        expect(total).to_have_text(sums[2])
        expect(page.locator("#total-name")).to_have_text(
            {"de": "Ihre Auswahl", "en": "Your choice"}[language]
        )


def test_a_status_page_follows_its_payment_and_says_so(page: Page, exhibition):
    page.goto(f"{exhibition}/status-open?lang=de")
    settled = page.request.get(f"{exhibition}/status-settled?lang=de").text()
    page.route("**/status-open?follow=1", lambda route: route.fulfill(body=settled, content_type="text/html"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Bezahlt und verbucht", timeout=10_000)
    expect(page.locator("[role=status]")).to_have_text("Bezahlt und verbucht")
    expect(page).to_have_title("Bezahlt und verbucht – Stadtbücherei Lindental")  # noqa: RUF001 - a dash


def test_a_status_page_bears_a_lost_answer(page: Page, exhibition):
    page.goto(f"{exhibition}/status-paid?lang=de")
    settled = page.request.get(f"{exhibition}/status-settled?lang=de").text()
    lost: list[Route] = []

    def answer(route: Route) -> None:
        if not lost:
            lost.append(route)
            route.abort()
        else:
            route.fulfill(body=settled, content_type="text/html")

    page.route("**/status-paid?follow=1", answer)
    expect(page.get_by_role("heading", level=1)).to_have_text("Bezahlt und verbucht", timeout=15_000)
    assert len(lost) == 1


class Session:
    """The session's clock behind the page: how long it lives, and who asked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.ends_in = 60
        self.longest = 600
        self.stayed = 0
        page.route("**/lindental/stay*", self.answer)
        page.route(
            "**/lindental/ended",
            lambda route: route.fulfill(body="<h1>ended</h1>", content_type="text/html"),
        )

    def answer(self, route: Route) -> None:
        if "follow=1" not in route.request.url:
            self.stayed += 1
            self.ends_in = self.longest
        route.fulfill(body=json.dumps({"ends_in": self.ends_in}), content_type="application/json")


def at_the_end(page: Page, exhibition: str) -> Session:
    """Open the fees and let nine minutes pass."""
    session = Session(page)
    page.clock.install()
    page.goto(f"{exhibition}/fees?lang=de")
    page.clock.run_for(541_000)
    return session


def test_the_reader_is_asked_before_the_session_ends_and_can_stay(page: Page, exhibition):
    session = at_the_end(page, exhibition)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_have_accessible_name("Sind Sie noch da?")
    expect(page.get_by_role("button", name="Angemeldet bleiben")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert session.stayed == 1
    page.clock.run_for(500_000)
    expect(dialog).to_be_hidden()


def test_the_question_is_accessible(page: Page, exhibition):
    at_the_end(page, exhibition)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.clock.resume()
    found = page.evaluate("async () => (await axe.run(document)).violations.map((one) => one.id)")
    assert found == []


def test_who_does_not_answer_is_led_to_the_end(page: Page, exhibition):
    session = at_the_end(page, exhibition)
    session.ends_in = 0
    page.clock.run_for(62_000)
    page.wait_for_url("**/lindental/ended")
    assert session.stayed == 0


def test_another_tab_that_is_in_use_keeps_this_one_quiet(page: Page, exhibition):
    session = Session(page)
    session.ends_in = 500
    page.clock.install()
    page.goto(f"{exhibition}/fees?lang=de")
    page.clock.run_for(538_000)
    page.wait_for_timeout(0)
    page.clock.run_for(60_000)
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert session.stayed == 0


def test_a_session_at_its_longest_says_so_once_and_lets_its_reader_finish(page: Page, exhibition):
    session = at_the_end(page, exhibition)
    session.longest = 50
    stay = page.get_by_role("button", name="Angemeldet bleiben")
    stay.click()
    expect(page.get_by_role("dialog")).to_contain_text("kann nicht weiter verlängert werden")
    stay.click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.clock.run_for(20_000)
    expect(page.get_by_role("dialog")).to_be_hidden()
