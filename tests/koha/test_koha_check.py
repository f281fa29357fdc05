"""What ``ils-payment check`` finds at Koha: every fault with its own mend, and nothing that could book."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from ils_payment_koha.simulator import KohaHabits, KohaSimulator
from pydantic import SecretStr

from ils_payment.model import Level

ENOUGH = ("borrowers:edit_borrowers", "updatecharges:remaining_permissions", "catalogue")
BASIC = {
    "client_id": None,
    "client_secret": None,
    "username": "onlinekasse",
    "password": SecretStr("demo-secret"),
}


def wrong(findings, level=Level.ERROR):
    return {finding.subject: finding for finding in findings if finding.level is level}


def text(finding):
    return f"{finding.seen} {finding.mend}"


def books(koha):
    return json.dumps(koha.truth()["patrons"], sort_keys=True)


def test_all_is_well(connect, koha):
    before = books(koha)
    findings = connect(koha, library_id="ZENTRALE").check()
    assert not wrong(findings)
    # This Koha has no path for its payment types: nobody has looked, so a person should.
    assert wrong(findings, Level.WARNING).keys() == {"Koha: payment types"}
    assert {finding.subject for finding in findings} == {
        "Koha: address",
        "Koha: credentials",
        "Koha: find patrons",
        "Koha: read patrons",
        "Koha: read accounts",
        "Koha: read credits",
        "Koha: write credits",
        "Koha: write debits",
        "Koha: read titles",
        "Koha: validate passwords",
        "Koha: library",
        "Koha: payment types",
    }
    assert books(koha) == before


def test_a_check_locks_nobody_out_and_books_nothing(connect, koha):
    before = books(koha)
    adapter = connect(koha)
    for _ in range(10):
        adapter.check()
    assert books(koha) == before
    assert all(patron.login_attempts == 0 for patron in koha.tables.patrons.values())
    assert adapter.sign_in("21234000012345", "4711") == str(koha.patron_ids["erika"])


def test_the_credit_probe_can_book_nothing_even_for_a_superlibrarian(connect, koha):
    koha.set_rights(2, ["superlibrarian"])
    lines = len(koha.tables.lines)
    connect(koha).check()
    assert koha.truth()["requests"]["credits.add"] == 1
    assert len(koha.tables.lines) == lines


def test_the_probes_that_are_no_questions_are_refused_on_their_own_account(connect, koha):
    sent = []

    class Overheard:
        def handle(self, request):
            sent.append(request)
            return koha.handle(request)

    connect(Overheard()).check()
    posts = {request.path: request.body for request in sent if request.method == "POST"}
    assert posts.pop("/api/v1/oauth/token")
    assert {path: json.loads(body) for path, body in posts.items()} == {
        "/api/v1/patrons/0/account/credits": {"amount": -1},
        "/api/v1/patrons/0/account/debits": {"amount": -1, "type": "MANUAL"},
        "/api/v1/auth/password/validation": {"identifier": "ils-payment-check"},
    }
    assert {request.method for request in sent} == {"GET", "POST"}


# --- address and credentials ------------------------------------------------------------------


def test_a_koha_that_is_down(connect):
    (finding,) = connect("http://127.0.0.1:1").check()
    assert finding.level is Level.ERROR
    assert "Koha at 127.0.0.1:1 cannot be reached: it refuses the connection" in finding.seen
    assert "url" in finding.mend


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>OPAC</html>"), (200, b"{}"), (404, b"Not Found"), (301, b""), (503, b"")],
)
def test_something_else_at_the_address(connect, canned, status, body):
    (finding,) = connect(canned(status, body)).check()
    assert finding.level is Level.ERROR
    assert str(status) in finding.seen
    assert "url" in finding.mend


def test_a_koha_that_is_too_old(connect, canned):
    spec: dict[str, Any] = {"paths": {"/patrons": {"get": {}}, "/patrons/{patron_id}": {"get": {}}}}
    (finding,) = connect(canned(200, json.dumps(spec).encode())).check()
    assert finding.level is Level.ERROR
    assert "POST /patrons/{patron_id}/account/credits" in finding.seen
    assert "Update Koha" in finding.mend


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_secret": SecretStr("wrong")}, "client_secret"),
        ({"client_id": "unknown"}, "client_id"),
        (BASIC | {"password": SecretStr("wrong")}, "username and password"),
    ],
)
def test_wrong_credentials_name_the_wrong_part(connect, koha, changes, words):
    findings = connect(koha, **changes).check()
    assert findings[-1].subject == "Koha: credentials"
    assert findings[-1].level is Level.ERROR
    assert words in text(findings[-1])
    assert len(findings) == 2


@pytest.mark.parametrize(
    ("habits", "changes", "preference"),
    [
        (KohaHabits(oauth=False), {}, "RESTOAuth2ClientCredentials"),
        (KohaHabits(basic_auth=False), BASIC, "RESTBasicAuth"),
    ],
)
def test_a_switched_off_preference_is_named(connect, habits, changes, preference):
    findings = connect(KohaSimulator.demo(habits=habits), **changes).check()
    assert preference in findings[-1].mend
    assert len(findings) == 2


@pytest.mark.parametrize("changes", [{}, BASIC])
def test_a_database_that_is_down_is_not_taken_for_wrong_credentials(connect, koha, changes):
    koha.database_down()
    found = text(connect(koha, **changes).check()[-1])
    assert "database is down" in found or "cannot answer now (500)" in found


def test_clocks_that_differ_are_a_warning(connect, koha, world):
    adapter = connect(koha)
    world.shift = timedelta(minutes=2).total_seconds()
    warned = wrong(adapter.check(), Level.WARNING)
    assert "NTP" in warned["Koha: clock"].mend


# --- rights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        (
            ["updatecharges:remaining_permissions"],
            {"Koha: find patrons", "Koha: read patrons", "Koha: read accounts", "Koha: read credits"},
        ),
        (
            ["borrowers:edit_borrowers"],
            {"Koha: read accounts", "Koha: read credits", "Koha: write credits", "Koha: write debits"},
        ),
        (
            [],
            {
                "Koha: find patrons",
                "Koha: read patrons",
                "Koha: read accounts",
                "Koha: read credits",
                "Koha: write credits",
                "Koha: write debits",
            },
        ),
    ],
)
def test_each_missing_right_is_found_and_named(connect, koha, rights, missing):
    koha.set_rights(2, [*rights, "catalogue"])
    errors = wrong(connect(koha, sign_in=False).check())
    assert errors.keys() == missing
    for finding in errors.values():
        assert finding.mend.startswith("In Koha: the service patron > More > Set permissions > ")
    if "Koha: write credits" in missing:
        assert errors["Koha: write credits"].mend.endswith("updatecharges: remaining_permissions")


def test_the_right_to_validate_is_an_error_only_where_patrons_sign_in(connect, koha):
    koha.set_rights(2, ENOUGH)
    errors = wrong(connect(koha, sign_in=True).check())
    assert errors.keys() == {"Koha: validate passwords"}
    assert "sign_in = false" in errors["Koha: validate passwords"].mend
    findings = connect(koha, sign_in=False).check()
    assert not wrong(findings)
    assert wrong(findings, Level.WARNING).keys() == {"Koha: payment types"}


def test_a_missing_right_for_titles_is_a_warning(connect, koha):
    koha.set_rights(2, ENOUGH[:2])
    findings = connect(koha, sign_in=False).check()
    assert not wrong(findings)
    warned = wrong(findings, Level.WARNING)
    assert "titles = false" in warned["Koha: read titles"].mend
    assert (
        wrong(connect(koha, sign_in=False, titles=False).check(), Level.WARNING).keys()
        == {"Koha: payment types"} & warned.keys()
    )


@pytest.mark.parametrize(
    ("rights", "count"),
    [
        ((*ENOUGH, "borrowers"), 1),
        ((*ENOUGH, "circulate:circulate_remaining_permissions"), 1),
        (("superlibrarian",), 2),
        (ENOUGH, 0),
    ],
)
def test_rights_that_are_not_needed_are_a_warning(connect, koha, rights, count):
    koha.set_rights(2, rights)
    findings = connect(koha, sign_in=False).check()
    surplus = [f for f in findings if f.subject == "Koha: rights that are not needed"]
    assert len(surplus) == count
    assert all(f.level is Level.WARNING and "Take it away" in f.mend for f in surplus)


# --- renewing ---------------------------------------------------------------------------------


def test_the_right_to_renew_is_tested_without_changing_anybody(connect, koha):
    before = books(koha)
    findings = connect(koha, renew=True).check()
    (found,) = [f for f in findings if f.subject == "Koha: renew cards"]
    assert found.level is Level.OK
    assert "no patron was changed" in found.seen
    assert (books(koha), koha.truth()["requests"]["patrons.put"]) == (before, 1)


def test_a_missing_right_to_renew_is_an_error_only_where_cards_are_renewed(connect, koha):
    koha.set_rights(2, ENOUGH)
    errors = wrong(connect(koha, sign_in=False, renew=True).check())
    assert errors.keys() == {"Koha: renew cards"}
    assert "borrowers, the whole of it" in errors["Koha: renew cards"].mend
    assert "renew = false" in errors["Koha: renew cards"].mend
    assert not wrong(connect(koha, sign_in=False).check())


def test_the_whole_right_borrowers_is_not_too_much_where_cards_are_renewed(connect, koha):
    koha.set_rights(2, [*ENOUGH, "borrowers"])
    findings = connect(koha, sign_in=False, renew=True).check()
    assert "Koha: rights that are not needed" not in {finding.subject for finding in findings}


@pytest.mark.parametrize("newer", [False, True])
def test_koha_s_own_self_renewal_is_named_where_it_is_there_with_why_it_is_not_used(connect, newer):
    koha = KohaSimulator.demo(habits=KohaHabits(newer=newer))
    found = [f for f in connect(koha, renew=True).check() if f.subject == "Koha: self-renewal"]
    assert len(found) == newer
    assert all(f.level is Level.OK and "not used" in f.seen for f in found)
    assert "self_renewal.submit" not in koha.truth()["requests"]
    assert "Koha: self-renewal" not in {f.subject for f in connect(koha).check()}


def test_category_fees_need_a_koha_that_shows_them_and_the_right(connect, koha):
    old = wrong(connect(koha, category_fees=True).check())["Koha: read patron categories"]
    assert "23.05 does not" in old.seen
    assert "category_fees = false" in old.mend
    newer = KohaSimulator.demo(habits=KohaHabits(newer=True))
    refused = wrong(connect(newer, category_fees=True).check())["Koha: read patron categories"]
    assert "manage_patron_categories" in refused.mend
    assert "category_fees = false" in refused.mend
    newer.set_rights(2, ["borrowers", *ENOUGH[1:], "parameters:manage_patron_categories"])
    assert not wrong(connect(newer, category_fees=True).check())


def test_a_koha_without_the_call_for_a_new_expiry_is_too_old(connect, canned):
    paths: dict[str, dict[str, Any]] = {path: {"get": {}, "post": {}} for path in (
        "/patrons", "/patrons/{patron_id}", "/patrons/{patron_id}/account",
        "/patrons/{patron_id}/account/credits", "/patrons/{patron_id}/account/debits",
        "/auth/password/validation",
    )}  # fmt: skip
    remote = canned(200, json.dumps({"paths": paths}).encode())
    (error,) = wrong(connect(remote, renew=True).check()).values()
    assert "PUT /patrons/{patron_id}" in error.seen


# --- names ------------------------------------------------------------------------------------


def test_an_unknown_library_is_an_error(connect, koha):
    errors = wrong(connect(koha, library_id="NIX").check())
    assert "could not book" in errors["Koha: library"].seen


class WithPaymentTypes(KohaSimulator):
    """A Koha that lists the authorised values of PAYMENT_TYPE."""

    answer: tuple[int, Any] = (200, [{"value": "ONLINE"}, {"value": "CARD"}])

    def handle(self, request):
        if request.path.endswith("/authorised_values"):
            status, body = self.answer
            return type(super().handle(request))(status=status, body=json.dumps(body).encode())
        return super().handle(request)


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, Level.OK, "ONLINE"),
        ({"payment_types": {"card": "CARD"}}, Level.OK, "CARD, ONLINE"),
        ({"payment_type": "NETZ"}, Level.WARNING, "no payment type NETZ"),
    ],
)
def test_payment_types_are_looked_up(connect, changes, level, words):
    findings = connect(WithPaymentTypes.demo(), **changes).check()
    (finding,) = [f for f in findings if f.subject == "Koha: payment types"]
    assert finding.level is level
    assert words in finding.seen


def test_payment_types_that_may_not_be_read_are_a_warning(connect):
    koha = WithPaymentTypes.demo()
    koha.answer = (403, {"error": "no", "required_permissions": {"catalogue": "1"}})
    assert "Koha: payment types" in wrong(connect(koha).check(), Level.WARNING)


def test_a_koha_that_dies_in_the_middle_is_told_for_each_question(connect, koha):
    koha.fail_next(20, status=502, operation="patrons.get")
    koha.fail_next(20, status=502, operation="items.list")
    findings = connect(koha).check()
    assert wrong(findings).keys() == {"Koha: read patrons"}
    assert wrong(findings, Level.WARNING).keys() == {"Koha: read titles", "Koha: payment types"}
    assert "502" in wrong(findings)["Koha: read patrons"].seen


def test_a_connection_that_breaks_is_told_for_each_question(connect, koha):
    for operation in ("items.list", "libraries.get", "checkouts.list", "patrons.get"):
        koha.fail_next(status=0, operation=operation)
    findings = connect(koha, library_id="ZENTRALE").check()
    broken = {f.subject for f in findings if "connection to Koha failed" in f.seen}
    assert broken == {
        "Koha: read titles",
        "Koha: library",
        "Koha: rights that are not needed",
        "Koha: read patrons",
    }


def test_a_library_that_may_not_be_looked_up_is_a_warning(connect, koha):
    koha.set_rights(2, ENOUGH[:2])
    warned = wrong(connect(koha, library_id="ZENTRALE", sign_in=False, titles=False).check(), Level.WARNING)
    assert "403" in warned["Koha: library"].seen
