"""The plugin as the core meets it: its configuration, what it derives, what it asks of a service."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from ils_payment_onleihe.config import OnleiheConfig
from ils_payment_onleihe.platform import Onleihe
from ils_payment_onleihe.simulator import PATH, OnleiheSimulator, Reader
from pydantic import ValidationError

from ils_payment.errors import (
    ConfigurationError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    Account,
    Block,
    Card,
    Fee,
    Freshness,
    Level,
    PatronRef,
    Question,
    RawRequest,
    Refused,
    Unavailable,
    Verdict,
)
from ils_payment.ports import ELendingPlatform, LibraryInfo, Serving
from ils_payment.testing.elending import PlatformContract
from ils_payment.testing.world import SimulatedWorld
from ils_payment.world import PluginHost

INFO = LibraryInfo(
    key="lindental",
    name="Stadtbücherei",
    currency="EUR",
    languages=("de", "en"),
    time_zone="Europe/Berlin",
)
ANSWER = {"mode": "answer", "fee_limit": "20.00", "allowed_networks": ["203.0.113.0/28"]}
ASK = {"mode": "ask", "fee_limit": "20.00", "url": f"https://service.test{PATH}"}
NUMBER = "21234000012345"
READ_AT = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
CARD = Card(number=NUMBER, valid_until=date(2027, 1, 1), category="ERW", birth_date=date(2012, 1, 1))
FREE = Account(balance=0, open_credit=0, fees=(), read_at=READ_AT)
OWING = Account(
    balance=2001,
    open_credit=0,
    fees=(Fee(ref="1", claim_key="1", cents=2001, kind="OVERDUE", text="Der Sommer am Wehr"),),
    read_at=READ_AT,
)


@pytest.fixture
def world():
    return SimulatedWorld()


@pytest.fixture
def service(world):
    found = OnleiheSimulator(world=world, readers={NUMBER: Reader(pin="4711")})
    world.remotes["service.test"] = found
    return found


def platform(world, table=ANSWER, **more):
    return Onleihe(OnleiheConfig.model_validate({**table, **more}), PluginHost(world, INFO))


def question(account=FREE, card=CARD, pin=None):
    return Question(patron=PatronRef("51"), account=account, card=card, pin=pin)


def kinds(answer):
    return [one.kind for one in answer.hindrances]


class FakeReader:
    """A library system with one patron; keeps what was asked, in order."""

    def __init__(self, account=FREE, card=CARD):
        self.calls: list[str] = []
        self.account_now, self.card_now = account, card
        self.fails: Exception | None = None
        self.answer = None

    def sign_in(self, card, pin):
        self.calls.append("sign_in")
        if self.answer is not None:
            return self.answer
        return PatronRef("51") if (card, pin) == (NUMBER, "4711") else Refused()

    def account(self, patron):
        self.calls.append("account")
        if self.fails:
            raise self.fails
        return self.account_now

    def card(self, patron):
        self.calls.append("card")
        return self.card_now


def post(body=f"sno={NUMBER}&pwd=4711", **headers):
    raw = body if isinstance(body, bytes) else body.encode()
    return RawRequest(method="POST", path="/elending/lindental/onleihe", query="", headers=headers, body=raw)


class TestContractOfAnswering(PlatformContract):
    """The Onleihe asks us."""

    @pytest.fixture
    def platform(self, world):
        return platform(world)

    @pytest.fixture
    def open_question(self):
        return question()

    @pytest.fixture
    def blocked_question(self):
        return question(OWING)

    source = "203.0.113.1"


class TestContractOfAsking(PlatformContract):
    """We ask a service of the library."""

    @pytest.fixture
    def platform(self, world, service):
        return platform(world, ASK)

    @pytest.fixture
    def open_question(self):
        return question()

    @pytest.fixture
    def blocked_question(self):
        return question(OWING)


# --- answering ---------------------------------------------------------------------------------


def test_what_is_derived_unattended_is_what_the_onleihe_gets(world):
    onleihe = platform(world)
    for account, card in [
        (FREE, CARD),
        (OWING, CARD),
        (OWING, replace(CARD, valid_until=date(2026, 11, 20))),
        (FREE, replace(CARD, blocks=(Block(kind="restriction"),))),
    ]:
        answer = onleihe.ask(question(account, card))
        served = onleihe.serve(post(), "203.0.113.1", FakeReader(account, card))
        assert f"<status>{answer.code}</status>".encode() in served.body
        assert answer.asked
        assert (answer.verdict is Verdict.OPEN) == (answer.code == "3")


def test_the_answer_has_rating_card_and_stable_id(world):
    reply = platform(world).serve(post(), "203.0.113.1", FakeReader())
    assert reply.body.endswith(
        b"<status>3</status><fsk>12</fsk><cardid>21234000012345</cardid><userid>51</userid></response>"
    )


def test_a_pseudonym_is_stable_and_tells_nothing(world, monkeypatch):
    monkeypatch.setenv("PSEUDONYM_KEY", "k" * 32)
    more = {"user_id": "pseudonym", "pseudonym_key": {"env": "PSEUDONYM_KEY"}}
    first, second = (
        platform(world, **more).serve(post(), "203.0.113.1", FakeReader()).body for _ in range(2)
    )
    assert first == second
    assert b"<userid>51</userid>" not in first
    assert len(first.partition(b"<userid>")[2].partition(b"<")[0]) == 32


@pytest.mark.parametrize(
    "source", ["198.51.100.1", "203.0.113.16", "::1", "", "unknown", "203.0.113.1, 8.8.8.8"]
)
def test_who_may_not_ask_is_refused_before_anything_is_read(world, source):
    reader = FakeReader()
    assert platform(world).serve(post(), source, reader).status == 403
    assert reader.calls == []


@pytest.mark.parametrize("source", ["203.0.113.1", "203.0.113.15", "::ffff:203.0.113.1"])
def test_who_may_ask_is_answered(world, source):
    assert platform(world).serve(post(), source, FakeReader()).status == 200


def test_unknown_card_wrong_pin_locked_and_no_question_at_all_get_the_same_answer(world):
    onleihe = platform(world)
    locked = FakeReader()
    locked.answer = Refused()
    found = [
        (onleihe.serve(post(body), "203.0.113.1", reader), reader.calls)
        for body, reader in [
            ("sno=NOBODY&pwd=4711", FakeReader()),
            (f"sno={NUMBER}&pwd=0000", FakeReader()),
            (f"sno={NUMBER}&pwd=4711", locked),
        ]
    ]
    # The same calls in the same order: nothing more is read about a card that exists.
    assert [calls for _, calls in found] == [["sign_in"]] * 3
    replies = [reply for reply, _ in found] + [onleihe.serve(post(b""), "203.0.113.1", FakeReader())]
    assert len({(reply.status, reply.body) for reply in replies}) == 1
    assert b"<status>-1</status>" in replies[0].body
    assert b"<cardid></cardid><userid></userid>" in replies[0].body


def test_a_library_system_that_cannot_tell_is_not_called_a_wrong_pin(world):
    onleihe = platform(world)
    away = FakeReader()
    away.answer = Unavailable("koha_sign_in_500")
    broken = FakeReader()
    broken.fails = RemoteUnavailableError("Koha does not answer.")
    for reader in (away, broken):
        reply = onleihe.serve(post(), "203.0.113.1", reader)
        assert (reply.status, reply.body) == (503, b"")


def test_a_card_without_a_number_is_told_by_what_was_typed(world):
    reply = platform(world).serve(post(), "203.0.113.1", FakeReader(card=replace(CARD, number=None)))
    assert b"<cardid>21234000012345</cardid>" in reply.body


def test_the_day_is_the_librarys_own(world):
    world.pass_time(hours=2, minutes=30)  # 23:30 UTC is half past midnight in Berlin.
    ends_today = replace(CARD, valid_until=date(2026, 11, 21))
    assert platform(world).ask(question(card=ends_today)).code == "-3"


# --- asking a service --------------------------------------------------------------------------


def test_without_a_pin_the_service_is_not_asked_and_the_answer_says_so(world, service):
    answer = platform(world, ASK).ask(question(OWING))
    assert (answer.verdict, answer.asked, answer.code) == (Verdict.BLOCKED, False, "4")
    assert answer.as_of == READ_AT
    assert service.asked == 0


@pytest.mark.parametrize("habits", [set(), {"shouting"}, {"spacious"}, {"shouting", "spacious"}, {"delayed"}])
def test_with_the_pin_the_service_says_how_it_is(world, service, habits):
    service.habits = habits
    answer = platform(world, ASK).ask(question(OWING, pin="4711"))
    # It does not know of the fee: its word is what the Onleihe gets.
    assert (answer.verdict, answer.asked, answer.code) == (Verdict.OPEN, True, "3")
    assert answer.hindrances == ()
    assert service.asked == 1


@pytest.mark.parametrize("habits", [set(), {"tells_passwords"}])
def test_a_wrong_pin_tells_nothing_about_lending(world, service, habits):
    service.habits = habits
    answer = platform(world, ASK).ask(question(pin="0000"))
    assert answer.verdict is Verdict.CANNOT_TELL
    assert answer.reason


@pytest.mark.parametrize(
    ("status", "account", "expected"),
    [
        (-3, FREE, ["expired"]),
        (4, FREE, ["fees"]),
        (4, OWING, ["fees"]),
        (-4, OWING, ["category", "fees"]),
        (1, FREE, ["other"]),
        (1, OWING, ["other", "fees"]),
        (0, FREE, ["other"]),
    ],
)
def test_a_refusal_of_the_service_is_told_with_all_that_is_known(world, service, status, account, expected):
    service.readers[NUMBER].status = status
    answer = platform(world, ASK).ask(question(account, pin="4711"))
    assert (answer.verdict, answer.code) == (Verdict.BLOCKED, str(status))
    assert kinds(answer) == expected


def test_a_block_that_the_service_means_is_not_told_twice(world, service):
    service.readers[NUMBER].status = 1
    blocked = replace(CARD, blocks=(Block(kind="restriction"),))
    assert kinds(platform(world, ASK).ask(question(card=blocked, pin="4711"))) == ["restriction"]


def test_a_test_user_is_let_in(world, service):
    service.readers[NUMBER].status = 2
    assert platform(world, ASK).ask(question(pin="4711")).verdict is Verdict.OPEN


@pytest.mark.parametrize(
    ("habit", "error"),
    [
        ("fails", RemoteUnavailableError),
        ("breaks", RemoteUnavailableError),
        ("switched_off", RemoteRefusedError),
        ("page", RemoteGarbledError),
    ],
)
def test_a_service_that_misbehaves_is_an_error_of_ours_without_the_pin(world, service, habit, error):
    service.habits = {habit}
    with pytest.raises(error) as caught:
        platform(world, ASK).ask(question(pin="4711"))
    assert "4711" not in str(caught.value)
    assert NUMBER not in str(caught.value)
    assert service.asked == 1, "a question may count as a wrong PIN, so it is never repeated"


def test_a_service_that_is_not_there_and_an_unknown_status_are_errors(world, service):
    service.readers[NUMBER].status = 7
    with pytest.raises(RemoteGarbledError):
        platform(world, ASK).ask(question(pin="4711"))
    world.remotes.clear()
    with pytest.raises(RemoteUnavailableError):
        platform(world, ASK).ask(question(pin="4711"))


def test_check_asks_about_a_card_that_nobody_has(world, service):
    [finding] = platform(world, ASK).check()
    assert finding.level is Level.OK
    service.readers["ils-payment-check"] = Reader(pin="ils-payment-check")
    [finding] = platform(world, ASK).check()
    assert finding.level is Level.ERROR
    service.habits = {"fails"}
    [finding] = platform(world, ASK).check()
    assert finding.level is Level.ERROR
    [finding] = platform(world).check()
    assert "203.0.113.0/28" in finding.seen


# --- configuration -----------------------------------------------------------------------------


def test_capabilities_follow_from_the_configuration(world):
    answering, asking = platform(world), platform(world, ASK, delay_minutes=90)
    assert answering.capabilities().inbound
    assert not answering.capabilities().needs_pin
    assert answering.capabilities().freshness is Freshness.LIVE
    assert (asking.capabilities().inbound, asking.capabilities().needs_pin) == (False, True)
    assert asking.capabilities().freshness is Freshness.DELAYED
    assert asking.capabilities().delay == timedelta(minutes=90)
    assert isinstance(answering, ELendingPlatform)
    assert isinstance(answering, Serving)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({**ANSWER, "mode": "both"}, "answer"),
        ({**ANSWER, "allowed_networks": []}, "allowed_networks"),
        ({**ANSWER, "allowed_networks": ["divibib"]}, "no address or network"),
        ({**ANSWER, "fee_limit": "20 EUR"}, "no amount"),
        ({**ANSWER, "fee_limit": "-1"}, "must not be negative"),
        ({**ANSWER, "fee_limits": {"KIND": "x"}}, "no amount"),
        ({**ANSWER, "user_id": "pseudonym"}, "pseudonym_key"),
        ({**ANSWER, "fsk_unknown": 17}, "18"),
        ({**ANSWER, "texts": {"weather": {"de": "x"}}}, "nothing that hinders"),
        ({**ANSWER, "texts": {"fees": {"fr": "x"}}}, "languages"),
        ({**ANSWER, "texts": {"fees": {}}}, "languages"),
        ({**ASK, "url": None}, "url"),
        ({**ASK, "url": "http://service.test/"}, "https"),
        ({**ASK, "url": "https://user:pw@service.test/"}, "web address"),
        ({**ASK, "url": "service.test"}, "web address"),
        ({"mode": "answer", "allowed_networks": ["10.0.0.0/8"]}, "fee_limit"),
        ({**ANSWER, "colour": "blue"}, "colour"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_with_its_reason(table, says):
    with pytest.raises(ValidationError, match=says):
        OnleiheConfig.model_validate(table)


def test_a_service_on_this_very_machine_may_be_asked_without_tls():
    assert OnleiheConfig.model_validate({**ASK, "url": "http://127.0.0.1:8080/auth"}).url
    assert OnleiheConfig.model_validate({**ASK, "url": "http://localhost/auth"}).url


def test_an_amount_that_the_currency_does_not_have_is_refused(world):
    with pytest.raises(ConfigurationError):
        platform(world, fee_limit="20.005")
