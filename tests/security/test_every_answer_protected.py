"""What every answer of every route carries, whoever asks: headers, cookies, addresses."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from urllib.parse import urlsplit

import pytest

from ils_payment.flows import see
from ils_payment.model import Redirect
from tests.security.routes import every_route, filled
from tests.web.doors import csrf_of

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
}
LASTING = ("/static/", "/api/v1/docs/")
"""Files that are the same for everybody may be kept by a browser."""


def answers(doors, browser):
    """The answer of every route to whoever *browser* is, by method and pattern."""
    for method, path in every_route(doors.house):
        yield method, path, browser.request(method, filled(path))


def check(path, answer):
    headers = answer.headers
    assert {name: headers.get(name) for name in ALWAYS} == ALWAYS, path
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'"), path
    assert "frame-ancestors 'none'" in policy, path
    assert "base-uri 'none'" in policy, path
    assert not re.search(r"unsafe-(inline|eval)|\*|https?://(?!127\.0\.0\.1:12111)", policy), path
    assert int(headers["strict-transport-security"].removeprefix("max-age=")) >= 31_536_000, path
    assert "server" not in headers
    assert "x-powered-by" not in headers
    if answer.content:
        kind = headers["content-type"]
        assert "charset=" in kind or not kind.startswith("text/"), path
    if not path.startswith(LASTING) or answer.status_code >= 400:
        assert headers["cache-control"] == "no-store", path


@pytest.mark.parametrize("who", ["a stranger", "a patron"])
def test_every_answer_of_every_route_is_protected(lasting_doors, who):
    browser = lasting_doors.browser() if who == "a stranger" else lasting_doors.arrived("jan")
    seen = 0
    for _, path, answer in answers(lasting_doors, browser):
        check(path, answer)
        seen += 1
    assert seen > 25


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere/", 404),
        ("GET", "/lindental/payments/../../etc/passwd", 404),
        ("PUT", "/lindental/fees", 405),
        ("TRACE", "/", 405),
        ("POST", "/lindental/login", 403),
        ("GET", "/health", 200),
        ("GET", "/metrics", 403),
    ],
)
def test_errors_and_the_watchmans_addresses_are_protected_too(lasting_doors, method, path, status):
    answer = lasting_doors.browser().request(method, path)
    assert answer.status_code == status
    check(path, answer)


def test_a_mistake_of_ours_is_answered_under_protection(doors, monkeypatch):
    def broken(*_):
        raise RuntimeError("canary: internals")

    browser = doors.arrived()
    monkeypatch.setattr(doors.town.desk.system, "account", broken)
    answer = browser.get("/lindental/fees")
    assert answer.status_code == 500
    check("/lindental/fees", answer)


def test_the_answers_of_webhooks_are_plain_text_that_no_browser_runs(doors):
    with doors.browser() as client:
        for path in ("/webhooks/lindental/stripe", "/webhooks/nowhere/stripe"):
            headers = client.post(path, content=b"{}").headers
            assert headers["content-type"] == "text/plain; charset=utf-8"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")
            assert headers["cache-control"] == "no-store"


def test_every_cookie_of_every_route_is_bound_to_this_host_and_out_of_reach_of_scripts(doors):
    browser = doors.browser()
    given = []
    pages = [browser.get("/lindental/", params={"lang": "en"})]
    pages.append(doors.sign_in(browser))
    pages.append(browser.get("/lindental/fees", params={"lang": "de"}))
    pages.append(browser.post("/lindental/logout", data={"csrf": csrf_of(pages[-1].text)}))
    for answer in pages:
        given += answer.headers.get_list("set-cookie")
    assert {line.partition("=")[0].removeprefix("__Host-ils-payment-") for line in given} == {
        "form",
        "session-lindental",
        "language",
    }
    for line in given:
        assert line.startswith("__Host-"), line
        attributes = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"path=/", "secure", "httponly", "samesite=lax"} <= attributes, line
        assert not any(part.startswith("domain") for part in attributes)
        assert len(line) < 4096


def test_no_address_that_a_browser_is_sent_to_carries_a_secret(doors):
    """The token is used up at once; what follows has a clean address."""
    token = doors.token()
    browser = doors.browser()
    answer = browser.get("/lindental/arrive", params={"token": token})
    while answer.status_code == 303:
        place = answer.headers["location"]
        assert "?" not in place
        assert place.startswith("/")
        answer = browser.get(place)
    session = browser.cookies["__Host-ils-payment-session-lindental"]
    assert token not in answer.text
    assert session not in answer.text
    for link in re.findall(r'(?:href|action|src)="([^"]*)"', answer.text):
        assert session not in link
        assert csrf_of(answer.text) not in link


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"])
def test_no_parameter_leads_a_browser_elsewhere(doors, to):
    browser = doors.browser()
    page = browser.get("/lindental/", params={"to": to})
    for link in re.findall(r'(?:href|action|src|value|content)="([^"]*)"', page.text):
        assert "evil" not in urlsplit(unescape(link))._replace(query="").geturl()
    sent = {"csrf": csrf_of(page.text), "card": "21234000012345", "pin": "1234", "to": to}
    answer = browser.post("/lindental/login", data=sent)
    if answer.status_code == 303:
        assert answer.headers["location"] == "/lindental/fees"
    for _, _, seen in answers(doors, doors.browser()):
        assert "evil" not in seen.headers.get("location", "")


def test_a_payment_page_of_another_origin_is_not_opened(doors, monkeypatch):
    """Whatever a provider answers, a browser is sent to that provider's origins or to ours only."""
    provider = doors.town.desk.providers["stripe"]
    start = provider.start

    def elsewhere(attempt):
        return replace(start(attempt), interaction=Redirect("https://evil.example/pay"))

    monkeypatch.setattr(provider, "start", elsewhere)
    browser = doors.arrived()
    page = browser.get("/lindental/fees").text
    view = see.fees(doors.house, doors.town.desk, doors.town.erika)
    fees = [line for line in view.lines if line.payable]
    choice = {"fee": [line.key for line in fees], "method": "card"}
    expected = str(sum(line.cents for line in fees))
    answer = browser.post("/lindental/pay", data={"csrf": csrf_of(page), "expected": expected, **choice})
    assert answer.status_code == 503
    assert "location" not in answer.headers
    (payment,) = doors.rows("payments")
    seen = [
        answer.text,
        *(browser.get(f"/lindental/{path}").text for path in ("fees", f"payments/{payment.id}")),
    ]
    assert not any("evil" in text for text in seen)
