"""Headers, hosts, forms from elsewhere, other people's payments, large bodies, mistakes of ours."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from ils_payment.web import arrival, choosing, limits, pages, paylinks, security
from ils_payment.web.app import browser_app, create_app
from tests.web.doors import CARD, PIN, PUBLIC, csrf_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action {}; frame-ancestors 'none'; base-uri 'none'"
)


# --- headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/", "/lindental/", "/lindental/fees", "/nowhere/", "/lindental/nothing", "/api/v1/lindental/fees"],
)
def test_every_answer_carries_the_protecting_headers(lasting_doors, path):
    headers = lasting_doors.browser().get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"] == "max-age=63072000"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "unsafe" not in headers["content-security-policy"]


def test_a_library_lets_its_forms_lead_to_its_own_providers_only(lasting_doors):
    provider = lasting_doors.house.libraries["lindental"].providers["stripe"]
    (origin,) = provider.capabilities().redirect_origins
    browser = lasting_doors.browser()
    assert browser.get("/lindental/").headers["content-security-policy"] == POLICY.format(f"'self' {origin}")
    assert browser.get("/").headers["content-security-policy"] == POLICY.format("'self'")


@pytest.mark.parametrize("page", ["/lindental/", "/lindental/nothing", "/"])
def test_no_page_has_anything_inline_or_from_elsewhere(lasting_doors, page):
    text = lasting_doors.browser().get(page).text
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    for address in re.findall(r'<(?:script|link|img)[^>]*\s(?:src|href)="([^"]+)"', text):
        assert address.startswith("/static/")


@pytest.mark.parametrize("path", ["/%2Fevil.example/x", "/%2F%2Fevil.example/x"])
def test_the_language_switch_never_leads_to_another_host(lasting_doors, path):
    answer = lasting_doors.browser().get(path)
    assert answer.status_code == 404
    assert 'href="/evil.example/x?lang=de"' in answer.text


def test_what_is_encoded_twice_is_decoded_once(lasting_doors):
    browser = lasting_doors.browser()
    assert '<html lang="en">' in browser.get("/lindental/?lang=%65n").text
    assert '<html lang="de">' in lasting_doors.browser().get("/lindental/?lang=%2565n").text
    answer = lasting_doors.sign_in(browser, "%3Cb%3E", "")
    assert 'value="%3Cb%3E"' in answer.text


def test_over_plain_http_there_is_no_promise_of_https(doors):
    settings = doors.house.settings
    local = settings.server.model_copy(update={"public_url": "http://localhost:8480"})
    doors.house.settings = settings.model_copy(update={"server": local})
    browser = TestClient(create_app(doors.house), base_url="http://localhost:8480", follow_redirects=False)
    assert "strict-transport-security" not in browser.get("/lindental/").headers
    page = browser.get("/lindental/")
    assert browser.get("/lindental/").status_code == 200
    answer = browser.post("/lindental/login", data={"csrf": csrf_of(page.text), "card": CARD, "pin": PIN})
    assert answer.status_code == 303
    assert browser.get("/lindental/fees").status_code == 200


def test_no_telemetry_is_switched_on_from_the_environment(doors, monkeypatch):
    """It would carry addresses, and the tokens in them, to another place."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    assert browser_app(doors.house)._native_telemetry.enabled() is False


# --- the host ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "pay.lindental.example:8443", "pay.lindental.example.evil.example"]
)
def test_another_host_name_is_not_served(lasting_doors, host):
    with capture_logs() as logs:
        answer = lasting_doors.browser().get("/lindental/", headers={"host": host})
    assert answer.status_code == 421
    assert "evil" not in answer.text
    assert logs[0]["mend"]


def spoofed(doors, client, forwarded):
    """The address that the limits see."""
    seen = []
    browser = doors.browser(client)
    page = browser.get("/lindental/")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "reserve", lambda *facts: seen.append(facts[-1]))
        browser.post(
            "/lindental/login",
            data={"csrf": csrf_of(page.text), "card": "1", "pin": "1"},
            headers={"x-forwarded-for": forwarded},
        )
    return seen[0]


def test_x_forwarded_for_is_believed_from_trusted_proxies_only(doors):
    assert spoofed(doors, "203.0.113.7", "192.0.2.1") == "203.0.113.7"
    assert spoofed(doors, "127.0.0.1", "192.0.2.1") == "192.0.2.1"


def test_what_a_client_wrote_before_the_proxy_is_not_believed(doors):
    assert spoofed(doors, "127.0.0.1", "10.9.9.9, 198.51.100.4") == "198.51.100.4"
    assert spoofed(doors, "127.0.0.1", "127.0.0.1, 198.51.100.4, ::1") == "198.51.100.4"


def test_networks_of_proxies_can_be_trusted(doors):
    settings = doors.house.settings
    server = settings.server.model_copy(update={"trusted_proxies": ("10.0.0.0/8",)})
    doors.house.settings = settings.model_copy(update={"server": server})
    doors.app = create_app(doors.house)
    assert spoofed(doors, "10.1.2.3", "192.0.2.1, 10.4.5.6") == "192.0.2.1"
    assert spoofed(doors, "127.0.0.1", "192.0.2.1") == "127.0.0.1"


# --- forms ---------------------------------------------------------------------------------------


def posts():
    """Every POST route of the pages."""
    routes = [*choosing.router.routes, *paylinks.router.routes, *pages.router.routes, *arrival.router.routes]
    return {route.path for route in routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())}


FORMS = {
    "/lindental/login": {"card": CARD, "pin": PIN},
    "/lindental/logout": {},
    "/lindental/pay": {"expected": "1250", "fee": "1", "method": "card"},
    "/lindental/payments/X/cancel": {},
    "/lindental/payments/X/receipt": {"email": "a@b.example"},
    "/lindental/payments/X/ask": {"platform": "onleihe", "pin": "1"},
    "/lindental/renew/TOKEN": {"expected": "1000", "until": "2027-11-21", "method": "card"},
}


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "forgery",
    ["no token", "wrong token", "token of another browser", "foreign origin", "cross-site", "same-site"],
)
def test_a_form_from_elsewhere_changes_nothing(lasting_doors, path, forgery):
    browser = lasting_doors.arrived("jan")
    good = csrf_of(browser.get("/lindental/payments").text)
    token, headers = {
        "no token": (None, {}),
        "wrong token": ("0" * 64, {}),
        "token of another browser": (csrf_of(lasting_doors.arrived().get("/lindental/payments").text), {}),
        "foreign origin": (good, {"origin": "https://evil.example"}),
        "cross-site": (good, {"origin": "null", "sec-fetch-site": "cross-site"}),
        "same-site": (good, {"sec-fetch-site": "same-site"}),
    }[forgery]
    data = {**FORMS[path], **({"csrf": token} if token else {})}
    before = lasting_doors.asked(), lasting_doors.rows("payments")
    answer = browser.post(path, data=data, headers=headers)
    assert answer.status_code == 403
    assert browser.get("/lindental/payments").status_code == 200, "still signed in"
    assert (lasting_doors.asked(), lasting_doors.rows("payments")) == before


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "null", "sec-fetch-site": "same-origin"}, {"origin": PUBLIC}]
)
def test_our_own_form_passes_as_browsers_send_it(doors, headers):
    browser = doors.arrived()
    form = csrf_of(browser.get("/lindental/payments").text)
    assert browser.post("/lindental/logout", data={"csrf": form}, headers=headers).status_code == 303


def test_the_sign_in_form_of_one_browser_is_no_use_in_another(doors):
    stolen = csrf_of(doors.browser().get("/lindental/").text)
    victim = doors.browser()
    victim.get("/lindental/")
    answer = victim.post("/lindental/login", data={"csrf": stolen, "card": CARD, "pin": PIN})
    assert answer.status_code == 403
    assert doors.asked() == 0


def test_every_form_of_the_application_is_tried_above():
    known = {
        re.sub(r"/X(?=/)", "/{payment_id}", path)
        .replace("TOKEN", "{token}")
        .replace("/lindental", "/{library}")
        for path in FORMS
    }
    every = {path for path in posts() if not path.endswith("/arrive")}
    assert every == known


# --- other people's payments -----------------------------------------------------------------------


def test_a_foreign_payment_is_as_good_as_none_on_every_route(doors):
    payment = doors.town.started()
    routes = [
        ("GET", "/lindental/payments/{}"),
        ("GET", "/lindental/payments/{}/receipt"),
        ("POST", "/lindental/payments/{}/cancel"),
        ("POST", "/lindental/payments/{}/ask"),
        ("POST", "/lindental/payments/{}/receipt"),
        ("GET", "/lindental/payments/{}/return"),
        ("GET", "/api/v1/lindental/payments/{}"),
        ("POST", "/api/v1/lindental/payments/{}/cancel"),
    ]
    jan = doors.arrived("jan")
    form = csrf_of(jan.get("/lindental/payments").text)
    bearer = jan.post("/api/v1/lindental/sessions", json={"token": doors.token("jan")}).json()["access_token"]
    before = doors.rows("payments")
    for method, route in routes:
        answers = [
            jan.request(
                method,
                route.format(payment_id),
                data={"csrf": form, "email": "jan@lindental.example"} if method == "POST" else None,
                headers={"authorization": f"Bearer {bearer}"},
            )
            for payment_id in (payment, "0" * 26)
        ]
        foreign, absent = answers
        assert foreign.status_code == absent.status_code, route
        assert foreign.status_code in {403, 404}, route
        assert "12,50" not in foreign.text
        assert "12.50" not in foreign.text
    assert doors.rows("payments") == before
    assert payment not in jan.get("/lindental/payments").text
    erika = doors.arrived()
    assert erika.get(f"/lindental/payments/{payment}").status_code == 200
    erika_elsewhere = doors.arrived("erika", "seehausen")
    assert erika_elsewhere.get(f"/seehausen/payments/{payment}").status_code == 404


# --- bodies and mistakes -----------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused(lasting_doors):
    browser = lasting_doors.browser()
    page = csrf_of(browser.get("/lindental/").text)
    big = {"csrf": page, "card": CARD, "pin": "9" * security.MAX_BODY}
    assert browser.post("/lindental/login", data=big).status_code == 413
    stream = (b"x" * 10_000 for _ in range(100))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.post("/lindental/login", content=stream, headers=headers).status_code in {403, 413}
    token = {"token": "x" * security.MAX_BODY}
    assert browser.post("/api/v1/lindental/sessions", json=token).status_code == 413


def test_files_are_not_taken(lasting_doors):
    browser = lasting_doors.browser()
    page = csrf_of(browser.get("/lindental/").text)
    answer = browser.post("/lindental/login", data={"csrf": page}, files={"card": ("a.txt", b"x")})
    assert answer.status_code in {400, 403, 422}


@pytest.mark.parametrize("path", ["/lindental/fees", "/api/v1/lindental/fees"])
def test_a_mistake_of_ours_shows_no_internals(doors, monkeypatch, path):
    browser = doors.arrived()
    bearer = browser.post("/api/v1/lindental/sessions", json={"token": doors.token()}).json()["access_token"]

    def broken(*_):
        raise RuntimeError("canary: internals")

    monkeypatch.setattr(doors.town.desk.system, "account", broken)
    answer = browser.get(path, headers={"authorization": f"Bearer {bearer}"})
    assert answer.status_code == 500
    assert "canary" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_a_library_system_that_is_down_is_told_plainly(doors):
    browser = doors.arrived()
    doors.world.remotes.pop("koha.test")
    answer = browser.get("/lindental/fees")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "koha" not in answer.text.lower()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_not_allowed(lasting_doors, method):
    assert lasting_doors.browser().request(method, "/lindental/fees").status_code == 405


def test_a_library_that_is_not_there_is_not_found(lasting_doors):
    for path in ("/nowhere/", "/nowhere/fees", "/nowhere/arrive?token=x", "/..%2f/fees"):
        assert lasting_doors.browser().get(path).status_code == 404


def test_the_front_page_lets_choose_or_leads_on(doors):
    text = doors.browser().get("/").text
    assert 'href="/lindental/"' in text
    assert 'href="/seehausen/"' in text
    only = {"lindental": doors.house.libraries["lindental"]}
    doors.house.libraries = only
    doors.app = create_app(doors.house)
    answer = doors.browser().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/lindental/")
