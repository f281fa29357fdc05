"""The simulated Stripe's hosted page, used as a browser without scripts does."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

import pytest
import requests
from ils_payment_stripe.simulator import StripeSimulator


class Seen(HTMLParser):
    """What a reader of the page gets: language, headings, words and the buttons by their values."""

    def __init__(self, text):
        super().__init__()
        self.lang = None
        self.tags: list[str] = []
        self.words: list[str] = []
        self.buttons: list[tuple[str, str]] = []
        self._method = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.lang = values.get("lang", self.lang)
        if tag == "form":
            self._method = ""
        if tag == "input":
            self._method = values["value"] or ""
        if tag == "button":
            self.buttons.append((self._method, values["value"] or ""))

    def handle_data(self, data):
        if data.strip():
            self.words.append(data.strip())


@pytest.fixture
def session(sessions, wish):
    def make(**changes):
        return sessions.create(wish(**changes))

    return make


def look(session, **headers):
    answer = requests.get(session.url, headers=headers, timeout=10)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return answer, Seen(answer.text)


def press(session, action, method="card"):
    return requests.post(
        session.url, data={"action": action, "method": method}, timeout=10, allow_redirects=False
    )


def test_the_page_says_what_it_is_and_what_is_paid(session):
    answer, seen = look(session(locale="de"))
    assert answer.status_code == 200
    assert seen.lang == "de"
    assert "Simulator" in " ".join(seen.words)
    assert {"Mahngebühr", "12,50 €", "Kreditkarte"} <= set(seen.words)
    assert not {"script", "img", "link"} & set(seen.tags)
    assert seen.tags.count("h1") == 1


@pytest.mark.parametrize(
    ("locale", "browser", "lang"),
    [("en", "de", "en"), ("auto", "de-DE,de;q=0.9", "de"), ("auto", "fr", "en"), (None, "de", "de")],
)
def test_the_sessions_language_goes_before_the_browsers(session, locale, browser, lang):
    _, seen = look(session(locale=locale), **{"Accept-Language": browser})
    assert seen.lang == lang
    assert ("€ 12.50" if lang == "en" else "12,50 €") in seen.words


def test_each_method_has_its_buttons(session):
    _, seen = look(session(locale="de"))
    assert seen.buttons == [
        ("card", "pay"),
        ("card", "decline"),
        ("pay_by_bank", "pay"),
        ("pay_by_bank", "pend_succeed"),
        ("pay_by_bank", "pend_fail"),
        ("pay_by_bank", "decline"),
        ("", "cancel"),
    ]


def test_paying_leads_back_with_the_sessions_id(session, simulator):
    made = session()
    answer = press(made, "pay")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"https://pay.example/back?session={made.id}",
    )
    assert simulator.truth()["captured"] == {"eur": 1250}


def test_a_second_click_pays_nothing_and_leads_back_too(session, simulator):
    made = session()
    first, second = press(made, "pay"), press(made, "pay", "pay_by_bank")
    assert first.headers["location"] == second.headers["location"]
    assert simulator.truth()["captured"] == {"eur": 1250}
    link = f"https://pay.example/back?session={made.id}"
    answer = requests.get(f"{made.url}", timeout=10)
    assert f'href="{link}"' in answer.text
    assert Seen(answer.text).buttons == []


def test_a_declined_try_says_so_and_lets_the_payer_try_again(session, simulator):
    made = session(locale="de")
    answer = press(made, "decline")
    assert answer.headers["location"] == f"/c/pay/{made.id}?declined=1"
    page = requests.get(f"{made.url}?declined=1", timeout=10).text
    assert 'role="status"' in page
    assert ("card", "pay") in Seen(page).buttons
    assert simulator.truth()["sessions"][made.id]["status"] == "open"


def test_cancelling_leads_away_and_leaves_the_session_open(session, simulator):
    made = session()
    assert press(made, "cancel").headers["location"] == "https://pay.example/cancelled"
    assert simulator.truth()["sessions"][made.id]["status"] == "open"
    assert ("", "cancel") not in look(session(cancel_url=None))[1].buttons


@pytest.mark.parametrize(("action", "status"), [("pend_succeed", "paid"), ("pend_fail", "unpaid")])
def test_a_bank_decides_a_while_after_the_page(session, simulator, clock, action, status):
    made = session()
    answer = press(made, action, "pay_by_bank")
    assert answer.headers["location"].startswith("https://pay.example/back")
    clock.instant += timedelta(seconds=simulator.account.pending_seconds - 1)
    assert simulator.truth()["events"][-1]["type"] == "checkout.session.completed"
    clock.instant += timedelta(seconds=1)
    assert simulator.truth()["sessions"][made.id]["payment_status"] == status
    assert simulator.truth()["events"][-1]["type"].startswith("checkout.session.async_payment_")


def test_an_expired_page_takes_no_money(session, simulator, clock):
    made = session(locale="de")
    clock.instant += timedelta(days=1)
    answer, seen = look(made)
    assert answer.status_code == 200
    assert "abgelaufen" in " ".join(seen.words)
    assert press(made, "pay").headers["location"] == f"/c/pay/{made.id}"
    assert simulator.truth()["captured"] == {}


def test_an_unknown_page_and_an_unknown_button_are_refused(session, url):
    assert requests.get(f"{url}/c/pay/cs_test_nowhere", timeout=10).status_code == 404
    assert press(session(), "rob").status_code == 400
    made = session(allowed_payment_method_types=["card"])
    assert press(made, "pay", "klarna").headers["location"] == f"/c/pay/{made.id}"


def test_texts_of_the_request_are_not_markup(session, wish):
    line = wish()["line_items"][0]
    line["price_data"]["product_data"]["name"] = "<script>alert(1)</script> & Co"
    answer, seen = look(session(line_items=[line]))
    assert "script" not in seen.tags
    assert "&lt;script&gt;" in answer.text


def test_the_page_lies_where_the_simulator_is_told(sessions, stripe_server, clock, wish):
    exchangeable, _ = stripe_server
    exchangeable.simulator = StripeSimulator(clock, public_url="https://checkout.example/")
    made = sessions.create(wish())
    assert made.url == f"https://checkout.example/c/pay/{made.id}"
