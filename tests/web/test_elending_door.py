"""The address at which an eLending platform asks: who may, how often, what is answered, what is kept."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from ils_payment.errors import ConfigurationError
from ils_payment.flows.house import open_desk
from ils_payment.model import State
from ils_payment.web import elending, limits
from tests.conftest import Town
from tests.web.conftest import prepared
from tests.web.doors import CARD, PIN, Doors

PATH = "/elending/lindental/onleihe"
DIVIBIB = "198.51.100.9"
TABLE = {"mode": "answer", "fee_limit": "20.00", "allowed_networks": ["198.51.100.0/24"]}


def doors_of(url, arrival, **more):
    town = Town(url, arrival=arrival, elending={"onleihe": TABLE}, **more)
    return Doors(town)


@pytest.fixture
def served(tmp_path, arrival_settings):
    doors = doors_of(f"sqlite:///{tmp_path}/ledger.db", arrival_settings)
    yield doors
    doors.town.close()


@pytest.fixture
def each_served(database_url, arrival_settings):
    doors = doors_of(database_url, arrival_settings)
    yield doors
    doors.town.close()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        doors = doors_of(f"sqlite:///{tmp_path_factory.mktemp('elending')}/ledger.db", prepared(patch))
        yield doors
        doors.town.close()


def ask(doors, card=CARD, pin=PIN, source=DIVIBIB, path=PATH, **more):
    return doors.browser(source).post(path, data={"sno": card, "pwd": pin}, **more)


def status(answer):
    assert answer.status_code == 200, answer.status_code
    assert answer.headers["content-type"] == "text/xml; charset=UTF-8"
    return int(answer.text.partition("<status>")[2].partition("<")[0])


def counted(doors):
    # The window 0 is where those who count wait for each other.
    return sum(row.count for row in doors.rows("counters") if row.window)


# --- what is answered --------------------------------------------------------------------------


def test_the_answer_is_current_the_moment_a_payment_settles(each_served):
    town = each_served.town
    for fee in town.desk.account(town.erika).fees:
        if fee.text.startswith("Altforderung"):
            town.koha.waive(int(town.erika), int(fee.ref), fee.cents)
    town.koha.add_fee(int(town.erika), 900, "MANUAL", "Kopien")
    town.world.pass_time(minutes=5)
    assert status(ask(each_served)) == 4
    payment = town.started()
    town.stripe.pay(town.session_of(payment))
    town.deliver_webhooks()
    town.run()
    assert town.view(payment).state is State.SETTLED
    assert status(ask(each_served)) == 3


def test_an_expired_card_is_told_before_its_fees_and_valid_once_it_is_renewed(served):
    koha, patron = served.town.koha, served.town.koha.patron_ids["expired"]
    card, pin = "21234000012376", "2345"
    assert status(ask(served, card, pin)) == -3
    koha.change(patron, expiry_date="2027-11-21")
    assert status(ask(served, card, pin)) == 3


def test_a_restricted_patron_and_a_stranger_are_told_apart_only_by_the_right_pin(lasting):
    assert status(ask(lasting, "21234000012369", "1234")) == 1
    assert status(ask(lasting, "NOBODY", "1234")) == -1


def test_both_libraries_of_a_house_are_asked_at_addresses_of_their_own(lasting):
    assert status(ask(lasting, path="/elending/seehausen/onleihe")) == 4
    assert ask(lasting, path="/elending/nowhere/onleihe").status_code == 404
    assert ask(lasting, path="/elending/lindental/films").status_code == 404


def test_no_cookie_no_cache_and_nothing_for_a_browser(lasting):
    answer = ask(lasting)
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_address_is_no_part_of_the_api_of_patrons(lasting):
    text = lasting.browser().get("/api/v1/openapi.json").text
    assert "/elending/" not in text
    assert json.loads(text)["paths"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_answered(lasting, method):
    assert lasting.browser(DIVIBIB).request(method, f"{PATH}?sno={CARD}&pwd={PIN}").status_code == 405


def test_without_a_platform_that_asks_there_is_no_such_address(doors):
    assert not elending.is_needed(doors.house)
    assert ask(doors).status_code in {403, 404}
    assert doors.asked() == 0


def test_a_library_may_be_called_elending_as_long_as_no_platform_asks(tmp_path):
    town = Town(f"sqlite:///{tmp_path}/ledger.db")
    library = town.settings.libraries["lindental"].model_dump()
    with pytest.raises(ValueError, match="another key"):
        type(town.settings).model_validate(
            {
                **town.settings.model_dump(),
                "libraries": {"elending": {**library, "elending": {"onleihe": TABLE}}},
            }
        )
    town.close()


def test_a_platform_that_sends_pins_needs_a_library_system_that_is_asked_about_them(
    tmp_path, arrival_settings
):
    table = {
        "plugin": "koha",
        "url": "https://koha.test/api/v1",
        "client_id": "ils-payment",
        "client_secret": {"env": "TOWN_KOHA_SECRET"},
        "sign_in": False,
    }
    with pytest.raises(ConfigurationError, match="not asked about PINs"):
        doors_of(f"sqlite:///{tmp_path}/ledger.db", arrival_settings, library_system=table)


# --- who may ask -------------------------------------------------------------------------------


def test_a_stranger_is_refused_and_nobody_is_asked(served):
    before = len(served.world.requests)
    answer = ask(served, source="203.0.113.7")
    assert (answer.status_code, answer.text) == (403, "")
    assert len(served.world.requests) == before
    assert counted(served) == 0


def test_the_sender_behind_a_trusted_proxy_counts_and_a_strangers_word_does_not(lasting):
    header = {"x-forwarded-for": DIVIBIB}
    assert ask(lasting, source="127.0.0.1", headers=header).status_code == 200
    assert ask(lasting, source="203.0.113.7", headers=header).status_code == 403
    assert ask(lasting, source="127.0.0.1", headers={"x-forwarded-for": "203.0.113.7"}).status_code == 403


def test_another_host_name_is_not_served(lasting):
    assert ask(lasting, headers={"host": "elsewhere.example"}).status_code == 421


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"sno=" + CARD.encode(),
        b"sno=" + CARD.encode() + b"&sno=2&pwd=1",
        b"sno=\xff\xfe&pwd=\x00",
        b"sno=</cardid><status>3</status>&pwd=1",
        b"sno=" + b"9" * 5000 + b"&pwd=1",
    ],
)
def test_no_question_is_answered_like_a_stranger_and_counts_nobody(served, body):
    answer = served.browser(DIVIBIB).post(
        PATH, content=body, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert status(answer) == -1
    assert answer.text.count("<status>") == 1
    assert served.asked() == 0


def test_a_body_that_is_too_large_is_not_read_to_its_end(lasting):
    answer = lasting.browser(DIVIBIB).post(PATH, content=b"x" * (elending.MAX_BODY + 1))
    assert answer.status_code == 413


# --- limits ------------------------------------------------------------------------------------


def test_a_card_is_asked_about_three_times_with_wrong_pins_and_koha_never_locks_it(each_served):
    for _ in range(6):
        assert status(ask(each_served, pin="0000")) == -1
    assert each_served.asked() == limits.MOST["card"]
    # Even the right PIN is not tried any more, and says the same.
    assert status(ask(each_served)) == -1
    assert each_served.asked() == limits.MOST["card"]
    each_served.world.pass_time(hours=1, minutes=2)
    each_served.town.koha.change(int(each_served.town.erika), login_attempts=0)
    assert status(ask(each_served)) == 4


def test_wrong_pins_here_and_on_the_pages_count_together(served):
    for _ in range(2):
        ask(served, pin="0000")
    assert served.sign_in(served.browser("203.0.113.50"), pin="0000").status_code == 403
    asked = served.asked()
    assert status(ask(served)) == -1
    assert served.sign_in(served.browser("203.0.113.51")).status_code == 403
    assert served.asked() == asked


def test_right_pins_are_not_counted_and_a_busy_evening_limits_nobody(served):
    for _ in range(limits.MOST["card"] + limits.MOST["address"]):
        assert status(ask(served)) == 4
    assert counted(served) == 0


def test_a_source_that_sends_too_many_wrong_pins_is_not_believed_for_a_while(served, monkeypatch):
    monkeypatch.setitem(limits.MOST_ASKED, "address", 4)
    for number in range(4):
        assert status(ask(served, card=f"NOBODY{number}", pin="0000")) == -1
    assert status(ask(served)) == -1
    assert status(ask(served, source="198.51.100.77")) == 4


def test_a_refusal_takes_alike_long_whoever_found_it(served, monkeypatch):
    """On a clock that stands still, what is waited is what was decided, not what was measured."""
    pauses: list[float] = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    assert status(ask(served, "21234000012345", "0000")) == -1  # a wrong PIN
    assert status(ask(served, "NOBODY", "0000")) == -1  # an unknown card
    served.town.koha.change(served.town.koha.patron_ids["jan"], login_attempts=4)
    assert status(ask(served, "21234000012352", "0815")) == -1  # about to be locked by Koha
    for _ in range(2):
        ask(served, pin="0000")
    assert status(ask(served)) == -1  # limited by us
    assert len(pauses) == 6
    assert len(set(pauses)) == 1
    assert pauses[0] > 0


# --- failures, and what is written ---------------------------------------------------------------


def test_a_library_system_that_is_away_is_no_wrong_pin(served):
    served.town.koha.database_down()
    answer = ask(served)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    served.town.koha.database_down(down=False)
    assert status(ask(served)) == 4


def test_a_plugin_that_stumbles_is_told_by_its_class_only(served, monkeypatch):
    platform = served.house.libraries["lindental"].elending["onleihe"]

    def stumble(*_: Any):
        raise KeyError(CARD)

    monkeypatch.setattr(platform, "serve", stumble)
    with capture_logs() as logs:
        assert ask(served).status_code == 503
    assert [line["event"] for line in logs] == ["elending_failed"]
    assert CARD not in str(logs)


def test_nothing_of_a_question_is_logged_or_stored(each_served):
    with capture_logs() as logs:
        for pin in (PIN, "wrong-4712"):
            ask(each_served, pin=pin)
        each_served.town.koha.database_down()
        ask(each_served, pin="wrong-4713")
        each_served.town.koha.database_down(down=False)
    written = str(logs) + each_served.everything_stored()
    assert logs
    for canary in (CARD, "wrong-4712", "wrong-4713", "Mustermann"):
        assert canary not in written


def test_a_desk_that_is_opened_again_finds_its_platform(served):
    library = served.town.settings.libraries["lindental"]
    desk = open_desk("lindental", library, served.house.plugins, served.world)
    assert desk.elending["onleihe"].capabilities().inbound
