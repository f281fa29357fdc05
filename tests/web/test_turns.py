"""Turns at a slow library system: how many calls it gets at once, and what goes on meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from ils_payment.flows import pay, show
from ils_payment.model import Refused
from ils_payment.web import turns
from tests.browser.conftest import served
from tests.conftest import KOHA, Town
from tests.web.doors import CARD, PUBLIC, Doors, csrf_of

HOST = PUBLIC.removeprefix("https://")
COOKIE = "__Host-ils-payment-session-lindental"


class SlowKoha:
    """The simulated Koha, which answers nobody until it is let go; counts who waits."""

    def __init__(self, koha):
        self.koha = koha
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def handle(self, request):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        if not self.go.wait(timeout=40):
            raise AssertionError("nobody let Koha go")
        with self.lock:
            self.inside -= 1
        return self.koha.handle(request)

    def truth(self):
        return self.koha.truth()


def asking(address, doors):
    """Return a function that sends one request of Erika's to the served application."""
    browser = doors.arrived()
    cookie = {"host": HOST, "cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    token = csrf_of(browser.get("/lindental/payments").text)

    def ask(method, path, **options):
        headers = {**cookie, **options.pop("headers", {})}
        if "data" in options:
            options["data"] = {"csrf": token, **options["data"]}
        return requests.request(
            method, address + path, headers=headers, timeout=45, allow_redirects=False, **options
        )

    return ask


def until(what):
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_many_slow_fee_pages_stop_neither_health_nor_the_other_pages(doors, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 1.5)
    koha = doors.world.remotes[KOHA] = SlowKoha(doors.town.koha)
    most = doors.town.desk.system.capabilities().parallel_calls
    with (
        served(doors.app) as address,
        ThreadPoolExecutor(60) as patrons,
    ):
        ask = asking(address, doors)
        pages = [patrons.submit(ask, "GET", "/lindental/fees") for _ in range(60)]
        until(lambda: koha.inside == most)
        started = time.monotonic()
        assert ask("GET", "/health").status_code == 200
        assert ask("GET", "/lindental/payments").status_code == 200
        assert time.monotonic() - started < 5
        until(lambda: sum(page.done() for page in pages) == 60 - most)
        assert koha.inside == koha.most == most
        koha.go.set()
        answers = [page.result() for page in pages]
    assert sorted(answer.status_code for answer in answers) == [200] * most + [503] * (60 - most)
    late = next(answer for answer in answers if answer.status_code == 503)
    assert "Das Bibliothekssystem antwortet gerade nicht" in late.text
    assert late.headers["retry-after"] == "60"


def test_health_answers_also_when_every_thread_of_the_pages_is_taken(doors, monkeypatch):
    go, inside = threading.Event(), threading.Semaphore(0)

    def stuck(*_):
        inside.release()
        assert go.wait(timeout=40)
        return ()

    monkeypatch.setattr(show, "history", stuck)
    with served(doors.app) as address, ThreadPoolExecutor(45) as patrons:
        token = {"authorization": f"Bearer {_bearer(doors)}"}
        pages = [
            patrons.submit(
                requests.get,
                f"{address}/api/v1/lindental/payments",
                headers={"host": HOST, **token},
                timeout=45,
            )
            for _ in range(45)
        ]
        for _ in range(40):
            assert inside.acquire(timeout=20)
        started = time.monotonic()
        assert requests.get(f"{address}/health", timeout=20).json() == {"status": "ok", "paused": False}
        assert requests.get(f"{address}/metrics", timeout=20).status_code == 200
        assert time.monotonic() - started < 5
        go.set()
        assert {page.result().status_code for page in pages} == {200}


def _bearer(doors):
    answer = doors.browser().post("/api/v1/lindental/sessions", json={"token": doors.token()})
    return answer.json()["access_token"]


def test_everything_that_asks_the_library_system_takes_its_turn(doors, monkeypatch):
    bearer = {"authorization": f"Bearer {_bearer(doors)}"}
    payment = {"fees": ["1"], "cents": 1, "currency": "EUR", "method": "card"}
    monkeypatch.setattr(turns, "PATIENCE", 0.3)
    koha = doors.world.remotes[KOHA] = SlowKoha(doors.town.koha)
    most = doors.town.desk.system.capabilities().parallel_calls
    with (
        served(doors.app) as address,
        ThreadPoolExecutor(most) as patrons,
    ):
        ask = asking(address, doors)
        pages = [patrons.submit(ask, "GET", "/lindental/fees") for _ in range(most)]
        until(lambda: koha.inside == most)
        late = [
            ask("GET", "/lindental/fees"),
            ask("GET", "/seehausen/fees", headers=_at_seehausen(doors)),
            ask("GET", "/lindental/confirm?fee=1&method=card"),
            ask("POST", "/lindental/pay", data={"fee": "1", "method": "card", "expected": "1"}),
            ask("POST", "/lindental/login", data={"card": CARD, "pin": "0000"}),
            ask("GET", "/api/v1/lindental/fees", headers=bearer),
            ask("POST", "/api/v1/lindental/payments", headers=bearer, json=payment),
        ]
        assert koha.most == most
        koha.go.set()
        assert [page.result().status_code for page in pages] == [200] * most
        assert ask("GET", "/lindental/fees").status_code == 200, "the turns have come back"
    assert [answer.status_code for answer in late] == [503] * 7
    assert [answer.json()["code"] for answer in late[-2:]] == ["library_unavailable"] * 2
    assert not any(row.count for row in doors.rows("counters") if row.window), "nobody was asked for a PIN"


def settled(doors):
    payment_id = doors.town.started()
    doors.town.stripe.pay(doors.town.session_of(payment_id))
    doors.town.deliver_webhooks()
    doors.town.run()
    return payment_id


@pytest.fixture
def authority(tmp_path, arrival_settings):
    """The doors of a town whose library prints receipts."""
    receipt = {"authority": "Stadt Lindental", "address": ["Marktplatz 3"], "tax_note": {"de": "Keine."}}
    town = Town(f"sqlite:///{tmp_path}/ledger.db", arrival=arrival_settings, receipt=receipt)
    yield Doors(town)
    town.close()


def test_receipts_take_their_turn_and_do_without_the_payer_when_none_comes(authority, monkeypatch):
    doors = authority
    path = f"/lindental/payments/{settled(doors)}/receipt"
    monkeypatch.setattr(turns, "PATIENCE", 0.3)
    koha = doors.world.remotes[KOHA] = SlowKoha(doors.town.koha)
    most = doors.town.desk.system.capabilities().parallel_calls
    with served(doors.app) as address, ThreadPoolExecutor(most) as patrons:
        ask = asking(address, doors)
        pages = [patrons.submit(ask, "GET", path) for _ in range(most)]
        until(lambda: koha.inside == most)
        late = [ask("GET", path), ask("POST", path, data={"email": "no address"})]
        assert koha.most == most
        koha.go.set()
        assert all("••••" in page.result().text for page in pages)
    assert [answer.status_code for answer in late] == [200, 422]
    assert not any("••••" in answer.text for answer in late)


def test_a_slow_provider_gets_so_many_calls_at_once_and_stops_no_other_page(doors, monkeypatch):
    payment_id = doors.town.started()
    path = f"/lindental/payments/{payment_id}"
    monkeypatch.setattr(turns, "PATIENCE", 0.3)
    go, inside = threading.Event(), []

    def stuck(*_):
        inside.append(1)
        assert go.wait(timeout=40)
        return show.payment(doors.house, payment_id)

    monkeypatch.setattr(pay, "cancel", stuck)
    monkeypatch.setattr(pay, "come_back", stuck)
    bearer = {"authorization": f"Bearer {_bearer(doors)}"}
    with served(doors.app) as address, ThreadPoolExecutor(45) as patrons:
        ask = asking(address, doors)
        pages = [patrons.submit(ask, "POST", f"{path}/cancel", data={}) for _ in range(45)]
        until(lambda: sum(page.done() for page in pages) == 45 - turns.AT_PROVIDERS)
        assert len(inside) == turns.AT_PROVIDERS
        assert ask("GET", "/lindental/payments").status_code == 200
        assert ask("GET", f"{path}/return?session=1").status_code == 303
        assert ask("POST", f"/api/v1{path}/cancel", headers=bearer).json()["state"] == "open"
        assert len(inside) == turns.AT_PROVIDERS
        go.set()
        assert {page.result().status_code for page in pages} == {503}


def _at_seehausen(doors):
    cookie = COOKIE.replace("lindental", "seehausen")
    value = doors.arrived(library="seehausen").cookies[cookie]
    return {"cookie": f"{cookie}={value}"}


@pytest.mark.parametrize("cards", [[CARD], [CARD, "erika.m"]], ids=["one name", "two names"])
def test_however_many_sign_ins_come_at_once_the_library_system_gets_one_after_the_other(
    doors, monkeypatch, cards
):
    """So it has counted a wrong PIN before it is asked about the next, whichever name was typed."""
    asked: list[str] = []
    alone = threading.Lock()

    def slow_refusal(card, _):
        assert alone.acquire(blocking=False), "two at once"
        asked.append(card)
        time.sleep(0.1)
        alone.release()
        return Refused()

    monkeypatch.setattr(turns, "PATIENCE", 20)
    monkeypatch.setattr(doors.town.desk.system, "sign_in", slow_refusal)
    forms = [{"card": cards[number % len(cards)], "pin": f"{number}"} for number in range(12)]
    with (
        served(doors.app) as address,
        ThreadPoolExecutor(12) as patrons,
    ):
        ask = asking(address, doors)
        answers = list(patrons.map(lambda form: ask("POST", "/lindental/login", data=form), forms))
    assert [answer.status_code for answer in answers] == [403] * 12
    assert sorted(asked) == sorted(cards * 3)
