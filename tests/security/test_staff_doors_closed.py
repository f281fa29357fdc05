"""Every staff route that there is, found by looking: closed to strangers, patrons, and whoever may not."""

from __future__ import annotations

import pytest

from ils_payment.domain.roles import Role
from ils_payment.flows import factors
from ils_payment.store.schema import metadata
from tests.conftest import Town
from tests.security.routes import every_route, filled
from tests.security.test_every_answer_protected import check
from tests.web.conftest import prepared
from tests.web.doors import csrf_of
from tests.web.staff_doors import CHEAP
from tests.web.test_staff_pages import Office, private_of

ENTRY = ("/staff/login", "/staff/enrol", "/staff/goodbye", "/staff/ended", "/staff/stay", "/staff/logout")
"""Who is not signed in yet, or not any more, may come here; nothing of anybody is shown."""
STAFF = "__Host-ils-payment-staff"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factors, "_HASHER", CHEAP)
        factors._nobodys.cache_clear()
        town = Town(f"sqlite:///{tmp_path_factory.mktemp('closed')}/ledger.db", arrival=prepared(patch))
        office = Office(town)
        office.browsers = {str(role): office.staff_browser(str(role))[0] for role in Role}
        yield office
        town.close()
    factors._nobodys.cache_clear()


def routes(office, method=None):
    found = [one for one in every_route(office.house) if one[1].startswith("/staff")]
    assert len(found) > 20
    return [one for one in found if method in {None, one[0]}]


def addresses(office, path):
    for payment in (office.held, office.settled) if "{payment_id}" in path else ("",):
        yield filled(path.replace("{case_id}", office.case), payment_id=payment)


def state(office):
    return [office.rows(table) for table in ("payments", "cases", "postings", "private_staff")]


@pytest.mark.parametrize("who", ["a stranger", "a patron", "a patron's session under the staff's name"])
def test_whoever_is_not_of_the_staff_gets_nothing_on_any_route(office, who):
    browser = office.browser() if who == "a stranger" else office.arrived()
    if who.endswith("name"):
        value = browser.cookies["__Host-ils-payment-session-lindental"]
        browser = office.browser(cookies={STAFF: value})
    before = state(office)
    for method, path in routes(office):
        for address in addresses(office, path):
            answer = browser.request(method, address)
            check(path, answer)
            assert not any(word in answer.text for word in private_of(office)), path
            assert office.held not in answer.text, path
            if path not in ENTRY:
                assert answer.status_code in {303, 403}, (method, path)
    assert state(office) == before


@pytest.mark.parametrize("token", [None, "0" * 64], ids=["no token", "a wrong token"])
def test_no_form_of_the_staff_works_without_its_token(office, token):
    before = state(office)
    for _, path in routes(office, "POST"):
        for role, browser in office.browsers.items():
            for address in addresses(office, path):
                data = {"csrf": token} if token else {}
                assert browser.post(address, data=data).status_code == 403, (role, path)
    assert state(office) == before


def test_every_cookie_of_the_staff_is_bound_to_this_host_strict_and_out_of_reach_of_scripts(office):
    browser, colleague = office.browser(), office.colleague("cookies")
    pages = [browser.get("/staff/login"), office.staff_sign_in(browser, colleague)]
    form = {"csrf": csrf_of(browser.get("/staff/").text)}
    pages.append(browser.post("/staff/logout", data=form))
    given = [line for page in pages for line in page.headers.get_list("set-cookie")]
    assert {line.partition("=")[0] for line in given} == {"__Host-ils-payment-staff-form", STAFF}
    for line in given:
        attributes = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"path=/", "secure", "httponly"} <= attributes, line
        assert "samesite=strict" in attributes or "max-age=0" in attributes, line
        assert not any(part.startswith("domain") for part in attributes)


def test_a_technician_sees_nothing_of_a_patron_on_any_route(office):
    """Also not on routes that come later: each is found by looking."""
    browser = office.browsers["technician"]
    form = {"csrf": csrf_of(browser.get("/staff/").text), "card": "21234000012345", "library": "lindental"}
    for method, path in routes(office):
        if path in ENTRY:
            continue
        for address in addresses(office, path):
            answer = browser.request(method, address, data=form if method == "POST" else None)
            check(path, answer)
            for word in private_of(office):
                assert word not in answer.text, (path, word)


@pytest.mark.parametrize("role", ["technician", "auditor"])
def test_who_may_only_look_changes_nothing_on_any_route(office, role):
    browser = office.browsers[role]
    form = {
        "csrf": csrf_of(browser.get("/staff/").text),
        "version": "1",
        "choice": "no_action",
        "reason": "curiosity",
        "meaning": "fee_dropped",
    }
    before = state(office)
    for _, path in routes(office, "POST"):
        if path not in ENTRY:
            for address in addresses(office, path):
                browser.post(address, data=form)
    assert state(office) == before


def test_a_role_that_is_taken_away_counts_with_the_next_click(office, monkeypatch):
    monkeypatch.setattr(factors, "_HASHER", CHEAP)
    browser, colleague = office.staff_browser("auditor", login="leaving")
    assert browser.get("/staff/journal").status_code == 200
    accounts = metadata.tables["private_staff"]
    with office.house.store.unit() as unit:
        changed = accounts.update().where(accounts.c.id == colleague.id).values(role="technician")
        unit.connection.execute(changed)
    assert browser.get("/staff/journal").status_code == 403
