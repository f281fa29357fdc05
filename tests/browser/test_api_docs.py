"""The API's documentation in a real browser, under its real Content-Security-Policy."""

from __future__ import annotations

from ils_payment.web.app import create_app
from tests.browser.conftest import Later, served


def test_swagger_works_without_anything_inline_or_from_elsewhere(chromium, town):
    later = Later()
    with served(later) as address:
        settings = town.house.settings
        server = settings.server.model_copy(update={"public_url": address})
        town.house.settings = settings.model_copy(update={"server": server})
        later.app = create_app(town.house)
        page = chromium.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/api/v1/docs")
        page.wait_for_selector(".opblock")
        assert page.locator(".opblock").count() == 8
        page.locator(".opblock-summary").first.click()
        page.wait_for_selector(".opblock-body")
        page.close()
    assert said == []
    assert all(url.startswith((address, "data:")) for url in asked)
