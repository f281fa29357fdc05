"""How staff come in: the link, name with password and code, and everything that must not open the door."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from ils_payment.domain.roles import Role
from ils_payment.flows import factors
from ils_payment.flows import staff_accounts as accounts
from ils_payment.store import journal
from ils_payment.web import cookies
from ils_payment.web.staff import entry, sessions
from tests.authenticator import code_now
from tests.conftest import Town
from tests.web.conftest import prepared
from tests.web.doors import Doors, csrf_of
from tests.web.staff_doors import CHEAP, PASSWORD, StaffDoors, token_of

COOKIE = "__Host-ils-payment-staff"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(factors, "_HASHER", CHEAP)
    factors._nobodys.cache_clear()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        town = Town(f"sqlite:///{tmp_path_factory.mktemp('staff')}/ledger.db", arrival=prepared(patch))
        yield StaffDoors(town)
        town.close()


@pytest.fixture
def room(lasting):
    """The doors of a town with staff pages, without any account."""
    lasting.forget()
    return lasting


@pytest.fixture
def each_room(database_url, arrival_settings):
    """The same on both databases, quite new."""
    town = Town(database_url, arrival=arrival_settings)
    yield StaffDoors(town)
    town.close()


# --- whether there is a door at all ------------------------------------------------------------


@pytest.mark.parametrize("path", ["/staff/", "/staff/login", "/staff/enrol", "/staff/oidc", "/staff/cases"])
def test_without_the_table_there_are_no_staff_pages(doors: Doors, path):
    answer = doors.browser().get(path)
    like = doors.browser().get(path.replace("staff", "nowhere"))
    assert (answer.status_code, "Staff" in answer.text) == (like.status_code, False)
    assert answer.status_code in {404, 405}


def test_from_other_networks_there_are_no_staff_pages(tmp_path, arrival_settings):
    town = Town(f"sqlite:///{tmp_path}/ledger.db", arrival=arrival_settings)
    doors = StaffDoors(town, allowed_networks=["203.0.113.0/24", "2001:db8::/32"])
    for address, status in (
        ("203.0.113.9", 200),
        ("2001:db8::7", 200),
        ("::ffff:203.0.113.9", 200),
        ("198.51.100.1", 404),
        ("2001:db9::7", 404),
        ("unix", 404),
    ):
        assert doors.browser(address).get("/staff/login").status_code == status, address
    town.close()


# --- the one-time link -------------------------------------------------------------------------


def test_a_link_sets_password_and_authenticator_and_shows_the_recovery_codes_once(each_room):
    room = each_room
    link = room.link_for("Ada")
    browser = room.browser()
    page = browser.get("/staff/enrol", params={"link": link})
    assert page.status_code == 200
    assert "<svg" in page.text
    shared = factors.enrolment_secret(room.house.installation.secret, link)
    assert factors.written(shared) in page.text.replace(" ", "")
    form = {
        "csrf": csrf_of(page.text),
        "link": link,
        "password": PASSWORD,
        "again": PASSWORD,
        "code": code_now(shared, room.world.now()),
    }
    done = browser.post("/staff/enrol", data=form)
    assert done.status_code == 200
    codes = re.findall(r"<code>([0-9A-Z-]{29})</code>", done.text)
    assert len(set(codes)) == factors.RECOVERY_CODES
    assert browser.post("/staff/enrol", data=form).status_code == 403
    assert browser.get("/staff/enrol", params={"link": link}).status_code == 403
    assert [row["what"] for row in room.journal()] == ["staff_added", "staff_enrolled"]
    stored = room.everything_stored()
    for secret in (PASSWORD, link, *codes):
        assert secret not in stored


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"again": "something else"}, "nicht gleich"),
        ({"password": "too short", "again": "too short"}, "zu kurz"),
        ({"password": "x" * 201, "again": "x" * 201}, "zu lang"),
        ({"password": "hello ada hello", "again": "hello ada hello"}, "Namen"),
        ({"code": "000000"}, "Code passt nicht"),
        ({"code": ""}, "Code passt nicht"),
    ],
)
def test_what_is_wrong_at_enrolment_is_said_and_uses_nothing_up(room, changes, told):
    link = room.link_for("ada")
    browser = room.browser()
    shared = factors.enrolment_secret(room.house.installation.secret, link)
    page = browser.get(f"/staff/enrol?link={link}&lang=de")
    form = {"link": link, "password": PASSWORD, "again": PASSWORD, "code": "000000", **changes}
    if "code" not in changes:
        form["code"] = code_now(shared, room.world.now())
    answer = browser.post("/staff/enrol", data={"csrf": csrf_of(page.text), **form})
    assert answer.status_code == 422
    assert told in answer.text
    assert browser.get("/staff/enrol", params={"link": link}).status_code == 200


def test_a_link_is_good_for_a_day_only(room):
    link = room.link_for("ada")
    room.world.pass_time(hours=23, minutes=59)
    assert room.browser().get("/staff/enrol", params={"link": link}).status_code == 200
    room.world.pass_time(minutes=1)
    assert room.browser().get("/staff/enrol", params={"link": link}).status_code == 403


def test_a_reset_takes_everything_away_at_once_and_gives_a_new_link(room):
    browser, ada = room.staff_browser()
    link = token_of(accounts.reset(room.house, "clerk", "cli:test"))
    assert browser.get("/staff/").headers["location"] == "/staff/ended"
    assert room.staff_sign_in(room.browser(), ada).status_code == 403
    assert room.browser().get("/staff/enrol", params={"link": link}).status_code == 200


# --- name, password and code -------------------------------------------------------------------


@pytest.mark.parametrize("during", ["password_fits", "new_value"])
@pytest.mark.parametrize("change", [accounts.reset, accounts.disable])
def test_an_account_that_is_changed_during_a_sign_in_opens_no_session(each_room, monkeypatch, during, change):
    ada = each_room.colleague()
    browser = each_room.browser()
    form = {"csrf": csrf_of(browser.get("/staff/login").text), "name": "ada", "password": PASSWORD}
    place = factors if during == "password_fits" else cookies
    as_before = getattr(place, during)

    def meanwhile(*arguments):
        change(each_room.house, "ada", "cli:test")
        return as_before(*arguments)

    monkeypatch.setattr(place, during, meanwhile)
    assert browser.post("/staff/login", data={**form, "code": each_room.code(ada)}).status_code == 403
    assert each_room.rows("private_staff_sessions") == []


def test_name_password_and_code_open_a_session_with_a_strict_cookie(each_room):
    ada = each_room.colleague()
    browser = each_room.browser()
    answer = each_room.staff_sign_in(browser, ada, name=" ADA ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/staff/")
    (cookie,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{COOKIE}=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"path=/", "secure", "httponly", "samesite=strict"}
    assert browser.cookies[COOKIE] not in each_room.everything_stored()
    page = browser.get("/staff/")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "form-action 'self';" in page.headers["content-security-policy"]
    assert each_room.journal("staff_signed_in")[0]["actor"] == ada.id


def test_whatever_is_wrong_the_answer_is_the_same(room):
    ada = room.colleague()
    disabled = room.colleague("eva")
    accounts.disable(room.house, "eva", "cli:test")
    room.link_for("new")
    right = {"name": "ada", "password": PASSWORD, "code": room.code(ada)}
    answers: set[tuple[int, str]] = set()
    for changes in (
        {"password": PASSWORD + "x"},
        {"code": "000000"},
        {"code": ada.codes[0][:-1] + "0"},
        {"name": "nobody"},
        {"name": "eva", "code": room.code(disabled)},
        {"name": "new"},
    ):
        browser = room.browser(f"2001:db8:{len(answers)}::1")
        page = browser.get("/staff/login")
        answer = browser.post("/staff/login", data={"csrf": csrf_of(page.text), **right, **changes})
        told = answer.text.replace(csrf_of(answer.text), "").replace((right | changes)["name"], "NAME")
        answers.add((answer.status_code, told))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 403
    failed = room.journal("staff_sign_in_failed")
    assert [row["actor"] for row in failed].count(accounts.NOBODY) == 1
    assert PASSWORD not in str(failed)


def test_an_unknown_name_costs_a_hash_like_a_known_one(room, monkeypatch):
    room.colleague()
    hashed: list[str | None] = []
    fits = factors.password_fits

    def noting(stored, typed):
        hashed.append(stored)
        return fits(stored, typed)

    monkeypatch.setattr(factors, "password_fits", noting)
    for name in ("ada", "nobody"):
        assert accounts.proven(room.house, name, "wrong password", "000000") is None
    assert [stored is None for stored in hashed] == [False, True]


def test_a_code_counts_once_and_only_for_a_step_before_and_after(room):
    ada = room.colleague()
    now = room.world.now()
    code = code_now(ada.shared, now)
    assert accounts.proven(room.house, "ada", PASSWORD, code) is not None
    assert accounts.proven(room.house, "ada", PASSWORD, code) is None, "the same code again"
    before = code_now(ada.shared, now - timedelta(seconds=30))
    assert accounts.proven(room.house, "ada", PASSWORD, before) is None, "an older one than the last"
    after = code_now(ada.shared, now + timedelta(seconds=30))
    assert accounts.proven(room.house, "ada", PASSWORD, after) is not None
    for steps in (-2, 3):
        far = code_now(ada.shared, now + timedelta(seconds=30 * steps))
        assert accounts.proven(room.house, "ada", PASSWORD, far) is None, steps


def test_a_recovery_code_works_once_however_it_is_typed(room):
    ada = room.colleague()
    typed = ada.codes[3].replace("-", " ").lower().replace("0", "o").replace("1", "l")
    assert accounts.proven(room.house, "ada", PASSWORD, typed) is not None
    assert accounts.proven(room.house, "ada", PASSWORD, typed) is None
    assert accounts.proven(room.house, "ada", "wrong password", ada.codes[4]) is None
    assert accounts.proven(room.house, "ada", PASSWORD, ada.codes[4]) is not None, "not used by the wrong one"
    assert [row["facts"] for row in room.journal("staff_recovery_code_used")] == [{"left": 9}, {"left": 8}]


def test_after_five_failures_from_one_network_even_the_right_words_wait(room):
    ada = room.colleague()
    browser = room.browser()
    for _ in range(5):
        assert room.staff_sign_in(browser, ada, code="000000").status_code == 403
    assert room.staff_sign_in(browser, ada).status_code == 403
    elsewhere = room.browser("198.51.100.7")
    assert room.staff_sign_in(elsewhere, ada).status_code == 303, "a stranger cannot lock a person out"
    room.world.pass_time(minutes=62)
    assert room.staff_sign_in(browser, ada).status_code == 303


def test_a_name_that_is_tried_from_everywhere_waits_too(room, monkeypatch):
    monkeypatch.setitem(entry.MOST, "name", 3)
    ada = room.colleague()
    for number in range(3):
        room.staff_sign_in(room.browser(f"198.51.{number}.7"), ada, password="wrong password")
    assert room.staff_sign_in(room.browser(), ada).status_code == 403


@pytest.mark.parametrize("field", ["name", "password", "code"])
def test_an_empty_field_is_asked_for_and_not_counted(room, field):
    ada = room.colleague()
    browser = room.browser()
    for _ in range(6):
        assert (
            room.staff_sign_in(browser, ada, **{field: " " if field != "password" else ""}).status_code == 422
        )
    assert room.staff_sign_in(browser, ada).status_code == 303


def test_a_long_password_of_any_characters_counts_exactly_as_it_was_typed(room):
    password = "  Überführung der Straßenbahn 🚋, 東京 und zurück; Ausstieg links, bitte klingeln! "
    assert len(password) > 64
    link = room.link_for("ada")
    shared = factors.enrolment_secret(room.house.installation.secret, link)
    assert accounts.enrol(room.house, link, password, code_now(shared, room.world.now()))
    for typed in (password.strip(), password.casefold(), password[:64], password):
        room.world.pass_time(seconds=30)
        proven = accounts.proven(room.house, "ada", typed, code_now(shared, room.world.now()))
        assert (proven is not None) is (typed == password), typed


def test_passwords_are_not_shown_while_they_are_typed(room):
    link = room.link_for("ada")
    pages = [room.browser().get(path).text for path in ("/staff/login", f"/staff/enrol?link={link}")]
    fields = [
        field for page in pages for field in re.findall(r'<input[^>]* name="(?:password|again)"[^>]*>', page)
    ]
    assert len(fields) == 3
    assert all('type="password"' in field for field in fields)


def test_the_form_allows_paste_and_password_managers(room):
    page = room.browser().get("/staff/login").text
    for wish in ("username", "current-password", "one-time-code"):
        assert f'autocomplete="{wish}"' in page
    assert "onpaste" not in page


def test_local_accounts_can_be_switched_off(tmp_path, arrival_settings, monkeypatch):
    from tests.web.test_staff_single_sign_on import OIDC

    monkeypatch.setenv("OIDC_SECRET", "x")
    town = Town(f"sqlite:///{tmp_path}/ledger.db", arrival=arrival_settings)
    room = StaffDoors(town, local_accounts=False, oidc=OIDC)
    browser = room.browser()
    page = browser.get("/staff/login").text
    assert 'name="password"' not in page
    assert 'href="/staff/oidc"' in page
    assert browser.get("/staff/enrol", params={"link": room.link_for("ada")}).status_code == 404
    town.close()


def test_a_session_ends_with_the_way_in_that_it_came_by(room, monkeypatch):
    browser, _ = room.staff_browser()
    staff = room.house.settings.staff.model_copy(update={"local_accounts": False})
    monkeypatch.setattr(room.house, "settings", room.house.settings.model_copy(update={"staff": staff}))
    assert browser.get("/staff/").status_code == 303


# --- sessions ----------------------------------------------------------------------------------


def test_a_session_ends_after_fifteen_idle_minutes_and_after_eight_hours(room):
    browser, _ = room.staff_browser()
    room.world.pass_time(minutes=14)
    assert browser.get("/staff/").status_code == 200
    room.world.pass_time(minutes=15)
    assert browser.get("/staff/").headers["location"] == "/staff/ended"
    browser, _ = room.staff_browser(login="eva")
    for _ in range(47):
        room.world.pass_time(minutes=10)
        assert browser.get("/staff/").status_code == 200
    room.world.pass_time(minutes=10)
    assert browser.get("/staff/").status_code == 303


def test_looking_at_the_clock_does_not_prolong_a_session(room):
    browser, _ = room.staff_browser()
    room.world.pass_time(minutes=10)
    assert browser.get("/staff/stay?follow=1").json() == {"ends_in": 300}
    assert browser.get("/staff/stay").json() == {"ends_in": 900}
    room.world.pass_time(minutes=15)
    assert browser.get("/staff/stay").status_code == 401


def test_signing_in_again_replaces_the_session(room):
    browser, ada = room.staff_browser()
    first = browser.cookies[COOKIE]
    room.world.pass_time(seconds=30)
    browser.get("/staff/login")
    page = browser.get("/staff/")
    answer = browser.post(
        "/staff/login",
        data={"csrf": csrf_of(page.text), "name": "clerk", "password": PASSWORD, "code": room.code(ada)},
    )
    assert answer.status_code == 303
    assert browser.cookies[COOKIE] != first
    assert sessions.find(room.house, first) is None


def test_a_disabled_account_is_out_at_once(room):
    browser, _ = room.staff_browser()
    accounts.disable(room.house, "clerk", "cli:test")
    assert browser.get("/staff/").status_code == 303


def test_signing_out_ends_the_session_in_the_database_too(room):
    browser, ada = room.staff_browser()
    value = browser.cookies[COOKIE]
    answer = room.send(browser, "/staff/", "/staff/logout")
    assert answer.headers["location"] == "/staff/goodbye"
    assert sessions.find(room.house, value) is None
    assert room.journal("staff_signed_out")[0]["actor"] == ada.id


@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_a_form_without_the_right_token_changes_nothing(room, token):
    browser, _ = room.staff_browser()
    data = {} if token is None else {"csrf": token}
    assert browser.post("/staff/logout", data=data).status_code == 403
    assert browser.get("/staff/").status_code == 200


def test_a_patrons_form_token_is_none_of_the_staffs(room):
    browser, _ = room.staff_browser()
    patron = csrf_of(browser.get("/lindental/").text)
    assert browser.post("/staff/logout", data={"csrf": patron}).status_code == 403


def test_a_form_from_another_site_is_refused(room):
    browser, _ = room.staff_browser()
    token = csrf_of(browser.get("/staff/").text)
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert browser.post("/staff/logout", data={"csrf": token}, headers=headers).status_code == 403


def test_a_patrons_session_opens_no_staff_page_and_the_other_way_round(room):
    patron = room.arrived()
    assert patron.get("/staff/").headers["location"] == "/staff/login"
    staff, _ = room.staff_browser()
    assert staff.get("/lindental/payments").status_code == 303


def test_who_comes_from_a_mail_is_led_on_so_that_the_strict_cookie_is_sent(room):
    page = room.browser().get("/staff/cases", headers={"sec-fetch-site": "cross-site"})
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/staff/cases">' in page.text


def test_a_sign_in_leads_to_where_one_wanted_to_go_and_nowhere_else(room):
    case = "/staff/cases/" + "A" * 26
    assert room.browser().get(case).headers["location"] == f"/staff/login?to={case}"
    assert entry.first(case) == case
    for to in ("//evil.example", "https://evil.example", "/staff/logout", "/staff/cases/../x", "/lindental/"):
        assert entry.first(to) == "/staff/"


def test_the_journal_of_all_this_is_a_whole_chain(room):
    browser, _ = room.staff_browser()
    room.send(browser, "/staff/", "/staff/logout")
    with room.house.store.read() as unit:
        assert journal.broken_at(unit) is None


def test_an_account_is_made_for_known_libraries_under_a_free_and_plain_name(room):
    room.link_for("ada", "clerk", "lindental")
    for login, libraries in (("ADA", ()), ("bob", ("nowhere",)), ("a b", ()), ("", ()), ("é" * 70, ())):
        with pytest.raises(accounts.StaffAccountError) as refused:
            accounts.add(room.house, login, Role.CLERK, libraries, "cli:test")
        assert refused.value.mend
