"""Sign-in through an identity provider: the whole way, and everything that must not open the door."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from ils_payment.config import Oidc, Staff
from ils_payment.domain.roles import Role
from ils_payment.flows import staff_accounts as accounts
from ils_payment.store import staff
from ils_payment.testing.simulator import serve
from ils_payment.web import limits
from ils_payment.web.staff import entry, oidc, sessions
from ils_payment.world import World
from tests.conftest import Town
from tests.web.conftest import prepared
from tests.web.oidc_provider import CLIENT, HOST, ISSUER, SECRET, OidcProvider
from tests.web.staff_doors import StaffDoors

OIDC = {
    "issuer": ISSUER,
    "client_id": CLIENT,
    "client_secret": {"env": "OIDC_SECRET"},
    "label": "Stadt Lindental",
    "roles": {"treasury": "treasurer", "library-clerks": "clerk"},
}


class Room(StaffDoors):
    """Staff pages with an identity provider beside them."""

    def __init__(self, town, **oidc):
        super().__init__(town, oidc={**OIDC, **oidc})
        self.provider = OidcProvider(town.world)
        town.world.remotes[HOST] = self.provider

    def leave(self, browser, to=""):
        answer = browser.get("/staff/oidc", params={"to": to} if to else {})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def come_in(self, browser, **claims):
        return browser.get("/staff/oidc/return", params=self.provider.allow(self.leave(browser), **claims))


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OIDC_SECRET", SECRET)
        town = Town(f"sqlite:///{tmp_path_factory.mktemp('staff')}/ledger.db", arrival=prepared(patch))
        yield Room(town)
        town.close()


@pytest.fixture
def room(lasting):
    """The staff pages, with nobody known yet and an identity provider that works."""
    lasting.forget()
    lasting.world.pass_time(seconds=oidc.KEPT)
    lasting.provider = OidcProvider(lasting.world)
    lasting.world.remotes[HOST] = lasting.provider
    return lasting


@pytest.fixture
def make(tmp_path, arrival_settings, monkeypatch):
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    towns: list[Town] = []

    def room(**oidc):
        towns.append(Town(f"sqlite:///{tmp_path}/ledger{len(towns)}.db", arrival=arrival_settings))
        return Room(towns[-1], **oidc)

    yield room
    for town in towns:
        town.close()


@pytest.fixture
def make_each(database_url, arrival_settings, monkeypatch):
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    town = Town(database_url, arrival=arrival_settings)
    yield Room(town)
    town.close()


def account_of(room):
    with room.house.store.read() as unit:
        (account,) = staff.listed(unit)
    return account


def test_a_person_comes_in_with_the_role_of_their_group(room):
    browser = room.browser()
    case = "/staff/cases/" + "A" * 26
    address = room.leave(browser, case)
    asked = parse_qs(urlsplit(address).query)
    assert address.startswith(f"{ISSUER}/auth?")
    assert asked["redirect_uri"] == ["https://pay.lindental.example/staff/oidc/return"]
    assert asked["scope"] == ["openid profile"]
    assert "prompt" not in asked
    page = browser.get("/staff/oidc/return", params=room.provider.allow(address))
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/staff/oidc/done">' in page.text
    assert browser.get("/staff/oidc/done").headers["location"] == case
    assert browser.get("/staff/").status_code == 200
    account = account_of(room)
    assert (account.name, account.role, account.libraries, account.local) == (
        "Ada Berger",
        Role.CLERK,
        None,
        False,
    )
    assert [row["what"] for row in room.journal()] == ["staff_added", "staff_signed_in"]
    assert "Ada Berger" not in str(room.journal())


def test_the_way_back_needs_a_lax_cookie_and_the_session_stays_strict(room):
    browser = room.browser()
    left = browser.get("/staff/oidc")
    cookies = {line.partition("=")[0]: line.lower() for line in left.headers.get_list("set-cookie")}
    assert "samesite=lax" in cookies["__Host-ils-payment-staff-oidc"]
    back = browser.get("/staff/oidc/return", params=room.provider.allow(left.headers["location"]))
    (session,) = [
        line for line in back.headers.get_list("set-cookie") if line.startswith("__Host-ils-payment-staff=")
    ]
    assert "samesite=strict" in session.lower()


def test_role_and_name_follow_the_identity_provider_at_each_sign_in(room):
    room.come_in(room.browser())
    first = account_of(room)
    room.come_in(room.browser(), groups=["treasury"], preferred_username="Ada Neu")
    again = account_of(room)
    assert (again.id, again.role, again.name) == (first.id, Role.TREASURER, "Ada Neu")
    assert room.journal("staff_changed")[0]["facts"]["role"] == "treasurer"


def test_two_first_sign_ins_at_once_make_one_account(make_each):
    room = make_each
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(
                lambda _: accounts.welcomed(
                    room.house, "s" * 64, name="Ada", role=Role.CLERK, libraries=None
                ),
                range(8),
            )
        )
    assert {account and account.id for account in made} == {account_of(room).id}


def test_the_first_role_of_the_configuration_counts(room):
    room.come_in(room.browser(), groups=["library-clerks", "treasury"])
    assert account_of(room).role is Role.TREASURER


def test_libraries_come_from_a_claim_where_one_is_named(make):
    room = make(library_claim="town.libraries", role_claim="town.roles")
    refused = room.come_in(room.browser(), town={"roles": "treasury", "libraries": ["nowhere"]})
    assert refused.status_code == 403
    good = room.come_in(room.browser(), town={"roles": "treasury", "libraries": ["lindental", "nowhere"]})
    assert good.status_code == 200
    assert account_of(room).libraries == ("lindental",)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-program"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": 1},
        {"exp": "soon"},
        {"iat": 1},
        {"iat": 9_999_999_999, "exp": 9_999_999_999},
        {"sub": None},
        {"groups": ["everybody"]},
        {"groups": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_and_for_now_is_refused(room, claims):
    browser = room.browser()
    answer = room.come_in(browser, **claims)
    assert answer.status_code == 403
    assert browser.get("/staff/").status_code == 303
    assert [row["actor"] for row in room.journal("staff_sign_in_failed")] == [accounts.NOBODY]


@pytest.mark.parametrize(
    ("sign_with", "header"),
    [("other", {"kid": "now"}), ("now", {"kid": "unheard-of"}), ("none", {}), ("shared", {"kid": "now"})],
)
def test_a_token_with_a_wrong_signature_is_refused(room, sign_with, header):
    room.provider.sign_with, room.provider.header = sign_with, header
    assert room.come_in(room.browser()).status_code == 403


def test_one_key_needs_no_name(room):
    room.provider.header = {}
    assert room.come_in(room.browser()).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: answer | {"state": "guessed"},
        lambda answer: {"code": answer["code"], "iss": ISSUER},
        lambda answer: {"state": answer["state"], "iss": ISSUER},
        lambda answer: {"state": answer["state"], "error": "access_denied", "iss": ISSUER},
        lambda answer: answer | {"iss": "https://evil.example"},
        lambda answer: {"state": answer["state"], "code": answer["code"]},
        lambda answer: answer | {"code": "another"},
    ],
    ids=["state", "no state", "no code", "error", "mix-up", "no issuer", "code"],
)
def test_an_answer_that_is_not_to_our_question_is_refused(room, change):
    browser = room.browser()
    answer = change(room.provider.allow(room.leave(browser)))
    assert browser.get("/staff/oidc/return", params=answer).status_code == 403
    assert browser.get("/staff/").status_code == 303


def test_the_answer_is_good_in_the_browser_that_asked_only(room):
    answer = room.provider.allow(room.leave(room.browser()))
    stranger = room.browser()
    assert stranger.get("/staff/oidc/return", params=answer).status_code == 403
    room.leave(stranger)
    assert stranger.get("/staff/oidc/return", params=answer).status_code == 403


def test_the_answer_is_good_once_and_for_ten_minutes(room):
    browser = room.browser()
    answer = room.provider.allow(room.leave(browser))
    assert browser.get("/staff/oidc/return", params=answer).status_code == 200
    assert browser.get("/staff/oidc/return", params=answer).status_code == 403
    late = room.provider.allow(room.leave(browser))
    room.world.pass_time(minutes=10, seconds=1)
    assert browser.get("/staff/oidc/return", params=late).status_code == 403


def test_an_answer_that_nobody_asked_for_writes_nothing_into_the_journal(room):
    browser = room.browser()
    assert browser.get("/staff/oidc/return").status_code == 403
    room.leave(browser)
    assert browser.get("/staff/oidc/return", params={"state": "guessed"}).status_code == 403
    assert room.journal() == []


def test_failed_answers_are_counted_by_address(room):
    for _ in range(entry.MOST["address"]):
        assert room.come_in(room.browser(), groups=None).status_code == 403
    before = len(room.journal())
    assert room.come_in(room.browser()).status_code == 403
    assert len(room.journal()) == before
    assert room.provider.codes, "the identity provider is not asked any more"
    assert room.come_in(room.browser("198.51.100.1")).status_code == 200
    room.world.pass_time(hours=1, minutes=2)
    assert room.come_in(room.browser()).status_code == 200


def test_answers_that_were_right_are_not_counted(room):
    for _ in range(entry.MOST["address"] + 1):
        assert room.come_in(room.browser()).status_code == 200


def test_an_answer_is_good_once_also_in_a_browser_that_kept_its_cookie(room):
    browser = room.browser()
    address = room.leave(browser)
    name = "__Host-ils-payment-staff-oidc"
    held = browser.cookies[name]
    answer = {**room.provider.allow(address), "code": "guessed"}
    assert browser.get("/staff/oidc/return", params=answer).status_code == 403
    asked = len(room.world.requests)
    again = room.browser(cookies={name: held})
    assert again.get("/staff/oidc/return", params=room.provider.allow(address)).status_code == 403
    assert len(room.world.requests) == asked
    assert len(room.journal("staff_sign_in_failed")) == 1


def test_the_discovery_document_is_asked_for_once_in_five_minutes(room):
    before = len(room.world.requests)
    for _ in range(5):
        room.leave(room.browser())
    assert len(room.world.requests) == before + 1
    room.world.pass_time(seconds=oidc.KEPT)
    room.leave(room.browser())
    assert len(room.world.requests) == before + 2


def test_whoever_leaves_too_often_without_a_session_has_to_wait(room, monkeypatch):
    monkeypatch.setattr(limits, "MOST_LEAVES", {"address": 3, "network": 9})
    known = room.browser()
    room.come_in(known)
    for _ in range(2):
        room.leave(room.browser())
    refused = room.browser().get("/staff/oidc")
    assert (refused.status_code, refused.headers.get("location")) == (429, None)
    room.leave(known)
    room.leave(room.browser("198.51.100.1"))


def test_an_identity_provider_that_is_away_is_told_so(room):
    room.provider.up = False
    assert room.browser().get("/staff/oidc").status_code == 503
    room.provider.up = True
    browser = room.browser()
    answer = room.provider.allow(room.leave(browser))
    room.provider.up = False
    assert browser.get("/staff/oidc/return", params=answer).status_code == 403


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://evil.example"}, {"authorization_endpoint": "http://evil.example/auth"}],
)
def test_a_discovery_document_that_is_not_right_leads_nowhere(room, metadata):
    room.provider.metadata = metadata
    assert room.browser().get("/staff/oidc").status_code == 503


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(room):
    room.provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert room.come_in(room.browser()).status_code == 200


def test_the_level_of_authentication_can_be_asked_for(make):
    room = make(acr="two-factors")
    assert "acr_values=two-factors" in room.leave(room.browser())
    assert room.come_in(room.browser()).status_code == 403
    assert room.come_in(room.browser(), acr="two-factors").status_code == 200


def test_a_disabled_person_does_not_come_in_again(room):
    browser = room.browser()
    room.come_in(browser)
    accounts.disable(room.house, account_of(room).id, "cli:test")
    assert browser.get("/staff/").status_code == 303
    assert room.come_in(room.browser()).status_code == 403


def is_fresh(room, cookie):
    visit = sessions.find(room.house, cookie)
    return visit is not None and visit.fresh


def test_without_the_identity_provider_its_people_are_signed_in_no_more(make):
    room = make()
    browser = room.browser()
    room.come_in(browser)
    assert browser.get("/staff/").status_code == 200
    staff = room.house.settings.staff.model_copy(update={"oidc": None})
    room.house.settings = room.house.settings.model_copy(update={"staff": staff})
    assert browser.get("/staff/").status_code == 303


def test_who_is_signed_in_is_proven_once_more(room):
    browser = room.browser()
    now = int(room.world.now().timestamp())
    room.come_in(browser, auth_time=now - 3600)
    held = browser.cookies["__Host-ils-payment-staff"]
    assert is_fresh(room, held) is False, "the identity provider only remembered the person"
    address = room.leave(browser)
    asked = parse_qs(urlsplit(address).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    browser.get("/staff/oidc/return", params=room.provider.allow(address))
    assert is_fresh(room, browser.cookies["__Host-ils-payment-staff"]) is True


def test_the_way_is_the_same_over_real_http(room, monkeypatch):
    """The real session of the world: timeouts, no redirects, a body that is read under a deadline."""
    provider = OidcProvider(room.world)
    with serve(provider) as address:
        issuer = f"{address}/realms/town"
        provider.metadata = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/auth",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
            "authorization_response_iss_parameter_supported": False,
        }
        settings = Oidc.model_validate({**OIDC, "issuer": issuer})
        monkeypatch.setattr(room.world, "session", World().session)
        cookie = oidc.new_cookie(room.house, "random")
        metadata = oidc.Discovery().read(room.house, settings)
        way = oidc.authorization_address(room.house, settings, metadata, cookie, again=False)
        answer = provider.allow(way, iss=issuer)
        answer.pop("iss")
        assert oidc.person(room.house, settings, metadata, cookie, answer).role is Role.CLERK


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer": "http://login.example"}, "https://"),
        ({"issuer": "login.example"}, "write it as"),
        ({"scopes": ["profile"]}, "openid"),
        ({"roles": {"x": "boss"}}, "clerk"),
        ({"roles": {}}, "at least 1"),
        ({"client_secret": "in clear"}, "must not stand here in clear"),
    ],
)
def test_what_is_wrong_in_the_table_is_told(monkeypatch, changes, told):
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    with pytest.raises(ValidationError, match=told):
        Oidc.model_validate({**OIDC, **changes})


def test_somebody_must_be_able_to_come_in():
    with pytest.raises(ValidationError, match="nobody can sign in"):
        Staff.model_validate({"local_accounts": False})
