"""The JSON API as a catalogue's server uses it, and as a fuzzer that knows its description does."""

from __future__ import annotations

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ils_payment.errors import StoreBusyError
from ils_payment.flows import pay
from ils_payment.flows.views import NOT_BEGUN, NotBegun
from tests.web.doors import PUBLIC

BASE = "/api/v1/lindental"


class Catalogue:
    """A catalogue's server with a session of one patron."""

    def __init__(self, doors, patron="erika", library="lindental"):
        self.http = doors.browser()
        self.base = f"/api/v1/{library}"
        answer = self.http.post(f"{self.base}/sessions", json={"token": doors.token(patron, library)})
        assert answer.status_code == 201, answer.text
        self.session = answer.json()
        self.http.headers["authorization"] = f"Bearer {self.session['access_token']}"

    def get(self, path):
        return self.http.get(self.base + path)

    def post(self, path, body=None):
        return self.http.post(self.base + path, json=body)

    def confirmed(self):
        """All payable fees, as the patron confirms them."""
        fees = self.get("/fees").json()
        lines = [fee for fee in fees["fees"] if fee["payable"]]
        return {
            "fees": [fee["key"] for fee in lines],
            "cents": sum(fee["cents"] for fee in lines),
            "currency": fees["currency"],
            "method": "card",
        }


@pytest.mark.parametrize("sub", ["abc", "99999999"])
def test_a_patron_whom_the_library_system_does_not_know_is_told_by_a_code_of_its_own(doors, sub):
    http = doors.browser()
    value = http.post(f"{BASE}/sessions", json={"token": doors.token(sub=sub)}).json()["access_token"]
    http.headers["authorization"] = f"Bearer {value}"
    answer = http.get(f"{BASE}/fees")
    assert (answer.status_code, answer.json()["code"]) == (404, "patron_unknown")
    assert "borrowernumber" in answer.json()["detail"]
    assert http.get(f"{BASE}/fees").json()["code"] == "session_ended"


def test_a_database_that_is_busy_after_the_freeze_does_not_say_that_nothing_was_changed(doors, monkeypatch):
    catalogue = Catalogue(doors)
    body = catalogue.confirmed()
    unit = type(doors.house.store).unit

    def busy(store):
        if doors.rows("payments"):
            raise StoreBusyError("The database was busy for too long.")
        return unit(store)

    with monkeypatch.context() as patch:
        patch.setattr(type(doors.house.store), "unit", busy)
        answer = catalogue.post("/payments", body)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert "Ask for the list of payments" in answer.json()["detail"]
    assert "nothing" not in answer.text
    assert len(catalogue.get("/payments").json()["payments"]) == 1
    assert catalogue.post("/payments", body).json()["code"] == "already_running"


def test_a_catalogue_pays_a_fee_from_token_to_settled(each_doors):
    town = each_doors.town
    catalogue = Catalogue(each_doors)
    fees = catalogue.get("/fees").json()
    assert fees["currency"] == "EUR"
    assert all(isinstance(fee["cents"], int) for fee in fees["fees"])
    begun = catalogue.post("/payments", catalogue.confirmed())
    assert begun.status_code == 201
    payment = begun.json()["payment_id"]
    assert begun.json()["redirect_url"].startswith("http")
    assert catalogue.get(f"/payments/{payment}").json()["state"] == "open"
    town.stripe.pay(town.session_of(payment))
    town.deliver_webhooks()
    town.run()
    shown = catalogue.get(f"/payments/{payment}").json()
    assert (shown["state"], shown["cents"], shown["currency"]) == ("settled", 1250, "EUR")
    assert catalogue.get("/payments").json()["payments"] == [shown]
    assert shown["receipt_number"].startswith("ILSP-")


def test_a_token_is_used_up_by_the_api_as_by_the_page(doors):
    token = doors.token()
    http = doors.browser()
    assert http.post(f"{BASE}/sessions", json={"token": token}).status_code == 201
    again = http.post(f"{BASE}/sessions", json={"token": token})
    assert (again.status_code, again.json()["code"]) == (403, "token_used")
    assert http.get("/lindental/arrive", params={"token": token}).status_code == 403


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aud": f"{PUBLIC}/seehausen"}, "token_refused"),
        ({"exp": None}, "token_refused"),
        ({"iat": 1, "exp": 61}, "token_expired"),
    ],
)
def test_a_bad_token_gives_no_session(doors, change, code):
    answer = doors.browser().post(f"{BASE}/sessions", json={"token": doors.token(**change)})
    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_ended_session_says_so(doors):
    catalogue = Catalogue(doors)
    doors.world.pass_time(minutes=10)
    answer = catalogue.get("/fees")
    assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_logging_out_ends_the_session(doors):
    catalogue = Catalogue(doors)
    assert catalogue.http.delete(f"{BASE}/sessions/current").status_code == 204
    assert catalogue.get("/fees").status_code == 401


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer x"}, {"authorization": "Basic eDp4"}])
def test_without_a_session_there_is_nothing(lasting_doors, header):
    for method, path in (
        ("GET", "/fees"),
        ("POST", "/payments"),
        ("GET", "/payments"),
        ("GET", "/payments/X"),
    ):
        body = {"fees": ["1"], "cents": 1, "currency": "EUR", "method": "card"} if method == "POST" else None
        assert (
            lasting_doors.browser().request(method, BASE + path, json=body, headers=header).status_code == 401
        )


def test_a_session_of_one_library_is_none_at_the_other(doors):
    catalogue = Catalogue(doors)
    assert catalogue.http.get("/api/v1/seehausen/fees").status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"cents": 1249}, 409, "changed"),
        ({"fees": ["no-such-fee"]}, 409, "changed"),
        ({"fees": []}, 422, "nothing_chosen"),
        ({"method": "barter"}, 422, "unknown_method"),
        ({"currency": "CHF"}, 422, "invalid"),
        ({"cents": 12.5}, 422, "invalid"),
        ({"cents": "1250"}, 422, "invalid"),
        ({"cents": -1250}, 422, "invalid"),
        ({"cents": True}, 422, "invalid"),
        ({"amount": "12.50"}, 422, "invalid"),
    ],
)
def test_what_was_not_confirmed_is_not_started(doors, change, status, code):
    catalogue = Catalogue(doors)
    answer = catalogue.post("/payments", {**catalogue.confirmed(), **change})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert doors.rows("payments") == []


def test_a_second_payment_names_the_running_one_which_can_be_cancelled(doors):
    catalogue = Catalogue(doors)
    confirmed = catalogue.confirmed()
    first = catalogue.post("/payments", confirmed).json()["payment_id"]
    second = catalogue.post("/payments", confirmed)
    assert (second.status_code, second.json()["code"]) == (409, "already_running")
    assert second.json()["payment_id"] == first
    assert catalogue.post(f"/payments/{first}/cancel").json()["state"] == "void"
    assert catalogue.post("/payments", confirmed).status_code == 201


def test_libraries_that_share_a_library_system_each_tell_of_their_own_payments(doors):
    payment = doors.town.started(only=1)
    pay.cancel(doors.house, payment)
    for library, theirs in (("lindental", [payment]), ("seehausen", [])):
        listed = Catalogue(doors, library=library).get("/payments").json()["payments"]
        assert [one["payment_id"] for one in listed] == theirs
        browser = doors.arrived("erika", library)
        assert (payment in browser.get(f"/{library}/payments").text) == bool(theirs)
        told = browser.get(f"/{library}/fees?cancelled=1&lang=en").text
        assert ("Cancelled. Nothing was charged." in told) == bool(theirs)


def test_every_way_of_not_beginning_has_an_answer(doors, monkeypatch):
    catalogue = Catalogue(doors)
    confirmed = catalogue.confirmed()
    documented = (
        doors.browser().get("/api/v1/openapi.json").json()["paths"]["/api/v1/{library}/payments"]["post"]
    )
    for code in NOT_BEGUN:
        monkeypatch.setattr(pay, "begin", lambda *_, code=code, **__: NotBegun(code=code))
        answer = catalogue.post("/payments", confirmed)
        assert answer.json()["code"] == code
        assert str(answer.status_code) in documented["responses"]


def test_a_library_system_that_is_down_is_a_problem_of_its_own(doors):
    catalogue = Catalogue(doors)
    doors.world.remotes.pop("koha.test")
    answer = catalogue.get("/fees")
    assert (answer.status_code, answer.json()["code"]) == (503, "library_unavailable")
    assert "koha" not in answer.text.lower()


def test_a_wrong_body_is_named_but_not_repeated(lasting_doors):
    answer = lasting_doors.browser().post(f"{BASE}/sessions", json={"token": "", "canary": "secret"})
    assert answer.status_code == 422
    assert {one["at"] for one in answer.json()["errors"]} == {"body.token", "body.canary"}
    assert "secret" not in answer.text


def test_other_sites_scripts_cannot_read_it(lasting_doors):
    answer = lasting_doors.browser().options(
        f"{BASE}/fees",
        headers={"origin": "https://evil.example", "access-control-request-method": "GET"},
    )
    assert "access-control-allow-origin" not in answer.headers


# --- the description -----------------------------------------------------------------------------


def test_the_description_is_shown_without_anything_from_elsewhere(lasting_doors):
    browser = lasting_doors.browser()
    page = browser.get("/api/v1/docs")
    assert page.status_code == 200
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=", page.text)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert address.startswith("/api/v1/docs/")
        assert browser.get(address).status_code == 200
    assert browser.get("/api/v1/docs/../../secret").status_code == 404
    assert '"/api/v1/openapi.json"' in browser.get("/api/v1/docs/start.js").text


def test_the_description_is_complete(lasting_doors):
    description = lasting_doors.browser().get("/api/v1/openapi.json").json()
    assert not [path for path in description["paths"] if not path.startswith("/api/v1/")]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            assert operation["description"], (path, method)
            errors = {status for status in operation["responses"] if status >= "4"}
            assert "404" in errors
            assert "401" in errors or path.endswith("/sessions")
    assert "number" not in {field.get("type") for field in money_fields(description)}


def money_fields(description):
    for schema in description["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if name.endswith("cents"):
                yield field


def test_a_fuzzer_that_knows_the_description_finds_no_crack(lasting_doors):
    """Schemathesis over every operation, signed in, with fitting requests and with others."""
    description = lasting_doors.browser().get("/api/v1/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    catalogue = Catalogue(lasting_doors, "jan")
    tried: set[tuple[str, str]] = set()
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            fuzz(found.ok(), mode, catalogue, checks, tried)
    assert tried == {(p, m.upper()) for p, methods in description["paths"].items() for m in methods}


def fuzz(operation, mode, catalogue, checks, tried):
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=25,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(case):
        if case.path_parameters:
            case.path_parameters["library"] = "lindental"
        keep = operation.method.upper() != "DELETE"
        headers = {"authorization": catalogue.http.headers["authorization"]} if keep else {}
        answer = case.call(base_url=PUBLIC, headers=headers, app=catalogue.http.app)
        case.validate_response(answer, checks=checks)
        tried.add((operation.path, operation.method.upper()))

    one()
