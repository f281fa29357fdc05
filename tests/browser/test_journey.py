"""The whole way in a real browser: sign in, choose, confirm, pay at the simulated Stripe, see it settled.

The real program stands between a simulated Koha and a simulated Stripe, each on a port of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from ils_payment.cli.demo_stage import Stage
from ils_payment.cli.demo_start import staged

SETTLED = "Bezahlt und verbucht"
PATIENCE = 30_000
"""Milliseconds in which the webhook, the provider's read and the settle call must be done."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("journey"), 0) as standing:
        yield standing


@contextmanager
def visitor(chromium: Browser, stage: Stage, **options: Any) -> Iterator[Page]:
    """A German visitor; what the browser blocks or cannot load on our pages fails the test."""
    context = chromium.new_context(locale="de-DE", **options)
    page = context.new_page()
    complaints: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        if message.location["url"].startswith(stage.address):
            complaints.append(f"{message.location['url']}: {message.text}")

    page.on("console", complain)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def owed(stage: Stage) -> int:
    """What Erika owes, by the books of the simulated Koha."""
    patrons = stage.system.truth()["patrons"].values()
    [erika] = [patron for patron in patrons if patron["card"] == stage.system.demo_card]
    return sum(int(fee["outstanding"]) for fee in erika["fees"].values())


def cents(page: Page) -> int:
    """The sum on the button of the confirmation."""
    words = page.locator("main button.primary").inner_text()
    match = re.search(r"(\d+),(\d\d)\s€ jetzt bezahlen", words)
    assert match, words
    return int(match.group(1) + match.group(2))


def test_a_patron_pays_with_the_mouse(chromium, stage):
    before = owed(stage)
    with visitor(chromium, stage) as page:
        page.goto(stage.address)
        page.get_by_label("Ausweisnummer").fill(stage.system.demo_card)
        page.get_by_label("PIN oder Passwort").fill(stage.system.demo_pin)
        page.get_by_role("button", name="Anmelden").click()
        boxes = page.locator("input[name=fee]")
        total = page.locator("#total")
        expect(total).to_have_text("12,50 €")
        for number in range(1, boxes.count()):
            boxes.nth(number).uncheck()
        expect(total).not_to_have_text("12,50 €")
        live = total.inner_text()
        page.get_by_role("button", name="Weiter zur Bestätigung").click()
        assert live in page.locator("main button.primary").inner_text()
        paid = cents(page)
        page.locator("main button.primary").click()
        assert not page.url.startswith(stage.address)
        page.locator("button[value=pay]").first.click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text(SETTLED, timeout=PATIENCE)
        assert "t=" not in page.url
        page.get_by_role("link", name="Quittung ansehen und drucken").click()
        expect(page.locator(".receipt")).to_contain_text("Zahlungsbeleg, keine Rechnung")
        page.get_by_role("button", name="Abmelden").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sie sind abgemeldet")
    assert owed(stage) == before - paid


def tab_to(page: Page, wanted: Locator) -> None:
    """Press the tab key until *wanted* has the focus; every stop on the way must show that it has it."""
    for _ in range(40):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """() => { const it = document.activeElement;
                const outer = it.closest(".fee:has(input:focus-visible)") ?? it;
                return [it, outer].some((one) => getComputedStyle(one).outlineStyle !== "none"
                    && parseFloat(getComputedStyle(one).outlineWidth) >= 2) || it === document.body; }"""
        )
        if page.url.startswith("http://127.0.0.1") and page.locator(".skip").count():
            assert outline, page.evaluate("document.activeElement.outerHTML")
        if wanted.evaluate("(it) => it === document.activeElement"):
            return
    raise AssertionError(f"the tab key does not lead to {wanted}")


def test_a_patron_pays_with_the_keyboard_alone(chromium, stage):
    before = owed(stage)
    with visitor(chromium, stage) as page:
        page.goto(stage.address)
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        expect(page.locator(".skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        tab_to(page, page.get_by_label("Ausweisnummer"))
        page.keyboard.type(stage.system.demo_card)
        tab_to(page, page.get_by_label("PIN oder Passwort"))
        page.keyboard.type(stage.system.demo_pin)
        page.keyboard.press("Enter")
        boxes = page.locator("input[name=fee]")
        expect(boxes.first).to_be_visible()
        for number in range(1, boxes.count()):
            tab_to(page, boxes.nth(number))
            page.keyboard.press("Space")
        tab_to(page, page.get_by_role("button", name="Weiter zur Bestätigung"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Bitte prüfen Sie Ihre Zahlung")
        paid = cents(page)
        tab_to(page, page.locator("main button.primary"))
        page.keyboard.press("Enter")
        pay = page.locator("button[value=pay]").first
        expect(pay).to_be_visible()
        tab_to(page, pay)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(SETTLED, timeout=PATIENCE)
    assert owed(stage) == before - paid


def test_a_patron_pays_without_javascript(chromium, stage):
    before = owed(stage)
    with visitor(chromium, stage, java_script_enabled=False) as page:
        page.goto(stage.address)
        page.get_by_label("Ausweisnummer").fill(stage.system.demo_card)
        page.get_by_label("PIN oder Passwort").fill(stage.system.demo_pin)
        page.get_by_role("button", name="Anmelden").click()
        expect(page.locator("#total-name")).to_have_text("Alle bezahlbaren Gebühren zusammen")
        boxes = page.locator("input[name=fee]")
        for number in range(1, boxes.count()):
            boxes.nth(number).uncheck()
        page.get_by_role("button", name="Weiter zur Bestätigung").click()
        paid = cents(page)
        page.locator("main button.primary").click()
        page.locator("button[value=pay]").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(SETTLED, timeout=PATIENCE)
    assert owed(stage) == before - paid


def test_who_turns_back_at_the_provider_can_start_again(chromium, stage):
    before = owed(stage)
    with visitor(chromium, stage) as page:
        page.goto(stage.address)
        page.get_by_label("Ausweisnummer").fill(stage.system.demo_card)
        page.get_by_label("PIN oder Passwort").fill(stage.system.demo_pin)
        page.get_by_role("button", name="Anmelden").click()
        page.get_by_role("button", name="Weiter zur Bestätigung").click()
        page.locator("main button.primary").click()
        page.locator("button[value=cancel]").click()
        expect(page.get_by_role("link", name="Weiter bezahlen")).to_be_visible()
        page.goto(f"{stage.address}/lindental/fees")
        expect(page.locator(".notice")).to_contain_text("Eine Zahlung für diese Gebühren läuft seit")
        page.get_by_role("button", name="Abbrechen und neu beginnen").click()
        expect(page.locator(".notice[role=status]")).to_have_text("Abgebrochen. Es wurde nichts abgebucht.")
        expect(page.get_by_role("button", name="Weiter zur Bestätigung")).to_be_visible()
        page.get_by_role("link", name="Meine Zahlungen").click()
        expect(page.locator(".history li").first).to_contain_text("Nicht bezahlt")
    assert owed(stage) == before
