"""Who comes in: hand-over tokens and card with PIN, good ones and every kind of bad one."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ils_payment_koha.simulator.demo import CARD, PIN
from structlog.testing import capture_logs

from ils_payment.model import Refused, Unavailable
from ils_payment.web import arrival, handover, limits
from tests.conftest import Town, settings_for
from tests.web.doors import OLD_SECRET, PUBLIC, SECRET, Doors, csrf_of, signed, ticked_fees

REFUSED = Refused()


def refusing(asked, answer=REFUSED):
    """A ``sign_in`` that notes the card and gives *answer*."""

    def sign_in(card, _):
        asked.append(card)
        return answer

    return sign_in


def refusal(logs):
    return [entry for entry in logs if entry["event"] == "arrival_refused"]


# --- tokens that open the door -------------------------------------------------------------------


def test_a_good_token_becomes_a_session_and_a_clean_address(each_doors):
    browser = each_doors.browser()
    answer = browser.get("/lindental/arrive", params={"token": each_doors.token()})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/lindental/fees"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    fees = browser.get("/lindental/fees")
    assert fees.status_code == 200
    assert "4,50" in fees.text or "4.50" in fees.text


def test_a_token_may_come_in_a_form_from_the_catalogue(doors):
    browser = doors.browser()
    headers = {"origin": "https://opac.lindental.example", "sec-fetch-site": "cross-site"}
    answer = browser.post("/lindental/arrive", data={"token": doors.token()}, headers=headers)
    assert answer.status_code == 303
    assert browser.get("/lindental/fees").status_code == 200


@pytest.mark.parametrize("patron", ["expired", "blocked"])
def test_expired_and_blocked_patrons_get_through(doors, patron):
    assert doors.arrived(patron).get("/lindental/fees").status_code == 200


def test_the_key_before_the_change_is_good_until_it_is_removed(doors):
    token = signed(doors.claims(), secret=OLD_SECRET, header={"alg": "HS256", "typ": "JWT", "kid": "opac-0"})
    assert doors.browser().get("/lindental/arrive", params={"token": token}).status_code == 303


def test_the_language_of_the_catalogue_goes_with_the_patron(doors):
    browser = doors.browser(headers={"accept-language": "de"})
    browser.get("/lindental/arrive", params={"token": doors.token(lang="en")})
    assert 'lang="en"' in browser.get("/lindental/fees").text
    browser.get("/lindental/payments", params={"lang": "de"})
    assert 'lang="de"' in browser.get("/lindental/payments").text
    browser.get("/lindental/arrive", params={"token": doors.token(lang="en")})
    assert 'lang="en"' in browser.get("/lindental/payments").text, "newer than what was chosen here before"
    strange = doors.browser(headers={"accept-language": "de"})
    strange.get("/lindental/arrive", params={"token": doors.token(lang="xx")})
    assert 'lang="de"' in strange.get("/lindental/fees").text


def payable(doors):
    """The ids of Erika's fees that can be paid online."""
    page = doors.arrived().get("/lindental/fees").text
    return re.findall(r'name="fee" value="(\d+)"', page)


def test_the_fees_that_were_ticked_in_the_catalogue_are_ticked_here_and_no_others(doors):
    first, second, *_ = payable(doors)
    browser = doors.browser()
    answer = browser.get("/lindental/arrive", params={"token": doors.token(fees=[second, first])})
    assert answer.headers["location"] == f"/lindental/fees?fee={second}&fee={first}"
    page = browser.get(answer.headers["location"]).text
    assert ticked_fees(page) == [first, second]
    assert len(payable(doors)) > 2


def test_a_ticked_fee_that_is_not_the_patrons_or_cannot_be_paid_is_not_ticked_and_not_shown(doors):
    mine = payable(doors)[0]
    of_jan = re.findall(r'value="(\d+)"', doors.arrived("jan").get("/lindental/fees").text)
    browser = doors.browser()
    token = doors.token(fees=[*of_jan, "99999999", mine])
    page = browser.get(browser.get("/lindental/arrive", params={"token": token}).headers["location"]).text
    assert ticked_fees(page) == [mine]
    assert "Wandern rund um den Brocken" not in page
    none = browser.get("/lindental/arrive", params={"token": doors.token(fees=["99999999"])})
    assert ticked_fees(browser.get(none.headers["location"]).text) == []


def test_a_token_that_names_as_many_fees_as_it_may_still_fits(doors):
    fees = [str(9_999_999_999 - number) for number in range(handover.MOST_FEES)]
    answer = doors.browser().get("/lindental/arrive", params={"token": doors.token(fees=fees, lang="de")})
    assert answer.status_code == 303


@pytest.mark.parametrize("offset", [-9, 0, 9])
def test_clocks_may_differ_by_ten_seconds(doors, offset):
    now = int(doors.world.now().timestamp())
    issued = now + offset if offset > 0 else now - 120 + offset + 1
    token = doors.token(iat=issued, exp=issued + 120)
    assert doors.browser().get("/lindental/arrive", params={"token": token}).status_code == 303


def test_nothing_of_the_token_is_in_the_database_or_the_log(doors):
    token = doors.token(jti="canary-jti")
    with capture_logs() as logs:
        browser = doors.browser()
        browser.get("/lindental/arrive", params={"token": token})
        doors.browser().get("/lindental/arrive", params={"token": token + "x"})
    stored = doors.everything_stored()
    assert "canary-jti" not in stored
    assert token.split(".")[1] not in stored + str(logs)
    assert browser.cookies["__Host-ils-payment-session-lindental"] not in stored


# --- tokens that do not --------------------------------------------------------------------------


def bad_tokens():
    """Each bad token with the words that the administrator finds in the log."""
    hs256 = {"alg": "HS256", "typ": "JWT", "kid": "opac-1"}

    def changed(**claims):
        return lambda doors: doors.token(**claims)

    def timed(start, life):
        def make(doors):
            now = int(doors.world.now().timestamp())
            return doors.token(iat=now + start, exp=now + start + life)

        return make

    def headed(secret=SECRET, **header):
        return lambda doors: signed(
            doors.claims(),
            secret=secret,
            header={k: v for k, v in {**hs256, **header}.items() if v is not None},
        )

    def tampered(doors):
        head, _, mac = doors.token().split(".")
        other = signed(doors.claims("jan")).split(".")[1]
        return f"{head}.{other}.{mac}"

    return {
        "forged": (headed(secret="another-secret-of-thirty-two-bytes-and-more"), "Signature"),
        "tampered": (tampered, "Signature"),
        "unsigned": (lambda doors: ".".join(doors.token().split(".")[:2]) + ".", "Signature"),
        "alg none": (headed(alg="none"), "Algorithm"),
        "alg HS512": (headed(alg="HS512"), "Algorithm"),
        "alg RS256": (headed(alg="RS256"), "Algorithm"),
        "no kid": (headed(kid=None), "kid"),
        "unknown kid": (headed(kid="opac-9"), "kid"),
        "kid of the other key": (headed(kid="opac-0"), "Signature"),
        "kid is a list": (headed(kid=["opac-1"]), "no JWT"),
        "critical extension": (headed(crit=["exp"], exp=1), "no JWT"),
        "foreign audience": (changed(aud="https://pay.elsewhere.example/lindental"), "Audience"),
        "audience of the other library": (changed(aud=f"{PUBLIC}/seehausen"), "Audience"),
        "several audiences": (changed(aud=[f"{PUBLIC}/lindental", f"{PUBLIC}/seehausen"]), "Audience"),
        "foreign issuer": (changed(iss="somebody"), "issuer"),
        "issued in the future": (timed(11, 60), "future"),
        "lives too long": (timed(0, 121), "120"),
        "ends before it begins": (timed(0, -5), "exp"),
        "not yet valid": (changed(nbf=2**31), "future"),
        "iat is text": (changed(iat="now"), "iat"),
        "exp is a fraction": (changed(exp=1.5), "exp"),
        "exp is enormous": (changed(exp=2**63), "exp"),
        "sub is a number": (changed(sub=51), "Subject"),
        "sub is empty": (changed(sub=""), "sub"),
        "sub has a line break": (changed(sub="51\n"), "sub"),
        "jti is a number": (changed(jti=7), "JWT ID"),
        "jti is endless": (changed(jti="j" * 201), "jti"),
        "fees are no list": (changed(fees="101"), "fees"),
        "a fee is a number": (changed(fees=["101", 102]), "fees"),
        "a fee is empty": (changed(fees=[""]), "fees"),
        "a fee has a line break": (changed(fees=["101\n"]), "fees"),
        "a fee is endless": (changed(fees=["1" * 61]), "fees"),
        "too many fees": (changed(fees=["1"] * 201), "fees"),
        "another purpose": (changed(purpose="renew"), "purpose"),
        **{
            f"no {name}": (changed(**{name: None}), name)
            for name in ("iss", "aud", "iat", "exp", "jti", "sub")
        },
        "claims are a list": (lambda _: signed([]), "payload"),
        "no token": (lambda _: "", "no token"),
        "too long": (lambda doors: doors.token(sub="5" * 5000), "too long"),
        "no JWT": (lambda _: "hello", "no JWT"),
        "not even text": (lambda _: "\N{SNOWMAN}.\0.x", "no JWT"),
    }


@pytest.mark.parametrize("name", bad_tokens())
def test_a_bad_token_opens_nothing_and_the_log_says_why(lasting_doors, name):
    doors = lasting_doors
    make, reason = bad_tokens()[name]
    browser = doors.browser()
    with capture_logs() as logs:
        answer = browser.get("/lindental/arrive", params={"token": make(doors)})
    assert answer.status_code == 403
    assert browser.get("/lindental/fees").status_code == 303, "no session"
    (entry,) = refusal(logs)
    assert reason in entry["reason"]
    assert entry["library"] == "lindental"
    for internal in ("Signature", "kid", "opac-1", "Traceback", "jwt"):
        assert internal not in answer.text
    assert doors.rows("private_sessions") == []
    assert doors.rows("used_tokens") == []


def test_an_expired_token_says_so(doors):
    token = doors.token()
    doors.world.pass_time(seconds=70)
    with capture_logs() as logs:
        answer = doors.browser().get("/lindental/arrive", params={"token": token})
    assert answer.status_code == 403
    assert "expired 10 s ago" in refusal(logs)[0]["reason"]
    assert refusal(logs)[0]["kid"] == "opac-1"


def test_a_token_works_once(each_doors):
    token = each_doors.token()
    assert each_doors.browser().get("/lindental/arrive", params={"token": token}).status_code == 303
    thief = each_doors.browser()
    with capture_logs() as logs:
        assert thief.get("/lindental/arrive", params={"token": token}).status_code == 403
    assert "used before" in refusal(logs)[0]["reason"]
    assert refusal(logs)[0]["kid"] == "opac-1"
    assert thief.get("/lindental/fees").status_code == 303
    assert len(each_doors.rows("private_sessions")) == 1


def test_a_token_works_once_also_when_it_comes_ten_times_at_once(each_doors):
    token = each_doors.token()
    with ThreadPoolExecutor(10) as threads:
        answers = list(
            threads.map(
                lambda _: each_doors.browser().get("/lindental/arrive", params={"token": token}).status_code,
                range(10),
            )
        )
    assert sorted(answers) == [303] + [403] * 9
    assert len(each_doors.rows("private_sessions")) == 1


def test_who_is_refused_does_not_find_the_patron_before_signed_in(doors):
    used = doors.token("jan")
    doors.browser().get("/lindental/arrive", params={"token": used})
    for token in (doors.token("jan", exp=1, iat=0), "no token", used):
        browser = doors.arrived("erika")
        refused = browser.get("/lindental/arrive", params={"token": token})
        assert refused.status_code == 403
        assert 'action="/lindental/logout"' not in refused.text
        assert browser.get("/lindental/fees").headers["location"] == "/lindental/"
    assert len(doors.rows("private_sessions")) == 1, "Jan's own, in another browser"


def test_a_token_that_is_written_differently_is_still_used(doors):
    claims = doors.claims()
    assert doors.browser().get("/lindental/arrive", params={"token": signed(claims)}).status_code == 303
    again = signed({**claims, "lang": "en"})
    assert doors.browser().get("/lindental/arrive", params={"token": again}).status_code == 403


def test_a_double_click_leads_whoever_is_signed_in_to_the_fees(doors):
    token = doors.token()
    browser = doors.browser()
    browser.get("/lindental/arrive", params={"token": token})
    answer = browser.get("/lindental/arrive", params={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/lindental/fees")


def test_a_browser_that_fetches_ahead_does_not_use_the_token_up(doors):
    token = doors.token()
    browser = doors.browser()
    early = browser.get("/lindental/arrive", params={"token": token}, headers={"sec-purpose": "prefetch"})
    assert early.status_code == 503
    assert browser.get("/lindental/arrive", params={"token": token}).status_code == 303


def test_asking_for_the_head_of_the_link_does_not_use_the_token_up(doors):
    token = doors.token()
    browser = doors.browser()
    assert browser.head("/lindental/arrive", params={"token": token}).status_code == 405
    assert browser.get("/lindental/arrive", params={"token": token}).status_code == 303


def test_without_a_key_no_token_is_good(doors):
    desk = doors.house.libraries["lindental"]
    closed = desk.settings.model_copy(
        update={"arrival": desk.settings.arrival.model_copy(update={"keys": ()})}
    )
    object.__setattr__(desk, "settings", closed)
    assert doors.browser().get("/lindental/arrive", params={"token": doors.token()}).status_code == 403


@pytest.mark.parametrize("sub", ["abc", "21234000012345", "99999999"])
def test_an_unknown_patron_is_told_so_and_the_log_names_the_mend(doors, sub):
    browser = doors.browser(headers={"accept-language": "de"})
    assert browser.get("/lindental/arrive", params={"token": doors.token(sub=sub)}).status_code == 303
    with capture_logs() as logs:
        answer = browser.get("/lindental/fees")
    assert answer.status_code == 404
    assert "Ihr Bibliothekskonto wurde nicht gefunden" in answer.text
    assert "antwortet" not in answer.text
    assert "/logout" not in answer.text
    [entry] = [entry for entry in logs if entry["event"] == "patron_unknown"]
    assert "must be its internal patron id (Koha: borrowernumber), not the card number" in entry["mend"]
    assert entry["library"] == "lindental"
    assert sub not in str(logs)
    assert doors.rows("private_sessions") == []
    assert browser.get("/lindental/fees").headers["location"] == "/lindental/"


# --- card and PIN --------------------------------------------------------------------------------


def test_card_and_pin_open_the_door(each_doors):
    browser = each_doors.browser()
    answer = each_doors.sign_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/lindental/fees")
    assert browser.get("/lindental/fees").status_code == 200


@pytest.mark.parametrize(
    ("card", "pin"),
    [(CARD, "wrong"), ("99999999", PIN), ("99999999", "wrong"), (CARD, "p" * 500), ("9" * 500, PIN)],
)
def test_every_wrong_combination_gets_the_same_answer(doors, card, pin):
    def body(answer, typed):
        page = answer.text.replace(csrf_of(answer.text), "")
        return answer.status_code, page.replace(f'value="{typed}"', 'value=""')

    one = body(doors.sign_in(doors.browser(), CARD, "0000"), CARD)
    other = body(doors.sign_in(doors.browser(), card, pin), card)
    assert one == other
    assert one[0] == 403


def test_the_pin_is_not_shown_while_it_is_typed(doors):
    (field,) = re.findall(r'<input[^>]* name="pin"[^>]*>', doors.browser().get("/lindental/").text)
    assert 'type="password"' in field


def test_the_typed_card_stays_in_the_form_and_the_pin_is_typed_again(doors):
    page = doors.sign_in(doors.browser(), ' 12"<b> ', "CANARY-PIN").text
    assert 'value="12&#34;&lt;b&gt;"' in page
    assert "CANARY-PIN" not in page
    pin = re.search(r'<input id="pin"[^>]*>', page)
    assert pin
    assert 'aria-invalid="true" autofocus' in pin[0]
    assert "value=" not in pin[0]
    assert "autofocus" not in doors.browser().get("/lindental/").text


def test_neither_card_nor_pin_is_kept_or_logged(doors):
    with capture_logs() as logs:
        answer = doors.sign_in(doors.browser(), "CANARY-CARD", "CANARY-PIN")
        doors.sign_in(doors.browser(), CARD, PIN)
    assert "CANARY-PIN" not in answer.text
    everything = doors.everything_stored() + str(logs)
    for canary in ("CANARY-CARD", "CANARY-PIN", "canarycard", CARD):
        assert canary not in everything


@pytest.mark.parametrize(("card", "pin"), [("", PIN), (CARD, ""), ("   ", PIN), ("", "")])
def test_an_incomplete_form_asks_nobody(doors, card, pin):
    assert doors.sign_in(doors.browser(), card, pin).status_code == 422
    assert doors.asked() == 0
    assert doors.rows("counters") == []


def test_koha_that_does_not_answer_is_not_a_wrong_pin(doors):
    doors.world.remotes.pop("koha.test")
    answer = doors.sign_in(doors.browser())
    assert answer.status_code == 503
    refused = doors.sign_in(doors.browser(), "", "")
    assert answer.text != refused.text


def test_after_three_wrong_pins_koha_is_not_asked_any_more(each_doors):
    for _ in range(3):
        assert each_doors.sign_in(each_doors.browser(), CARD, "0000").status_code == 403
    limited = each_doors.sign_in(each_doors.browser(address="198.51.100.1"), CARD, PIN)
    assert limited.status_code == 403, "also the right PIN, and from elsewhere"
    assert each_doors.asked() == 3
    each_doors.world.pass_time(minutes=62)
    # A right sign-in to the catalogue has ended Koha's own count meanwhile.
    each_doors.town.koha.change(each_doors.town.koha.patron_ids["erika"], login_attempts=0)
    assert each_doors.sign_in(each_doors.browser(), CARD, PIN).status_code == 303


def test_a_limited_answer_looks_like_a_wrong_pin(doors):
    def shown(answer):
        return answer.status_code, answer.text.replace(csrf_of(answer.text), "")

    answers = [shown(doors.sign_in(doors.browser(), CARD, "0000")) for _ in range(5)]
    assert len(set(answers)) == 1
    assert doors.asked() == 3


def test_who_is_refused_reads_what_helps_after_too_many_wrong_pins(doors):
    """Koha's own count ends with a right sign-in only; nobody learns whether there is such a card."""
    for _ in range(3):
        doors.sign_in(doors.browser(), CARD, "0000")
    doors.world.pass_time(hours=2)
    locked = doors.sign_in(doors.browser(headers={"accept-language": "en"}), CARD, PIN)
    unknown = doors.sign_in(doors.browser(headers={"accept-language": "en"}), "999", PIN)
    assert (locked.status_code, unknown.status_code) == (403, 403)
    assert "sign in to the library catalogue once" in locked.text
    assert locked.text.replace(csrf_of(locked.text), "").replace(
        f'value="{CARD}"', ""
    ) == unknown.text.replace(csrf_of(unknown.text), "").replace('value="999"', "")
    assert doors.asked() == 3


def test_the_card_is_the_same_however_it_is_typed(doors, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(doors.town.desk.system, "sign_in", refusing(asked))
    for card in (CARD, f" {CARD[:4]} {CARD[4:]} ", "".join(chr(ord(digit) + 0xFEE0) for digit in CARD)):
        doors.sign_in(doors.browser(), card, "0000")
    doors.sign_in(doors.browser(), CARD, "0000")
    assert len(asked) == 3


def test_the_right_pin_is_not_counted(doors):
    for _ in range(2):
        doors.sign_in(doors.browser(), CARD, "0000")
    for _ in range(4):
        assert doors.sign_in(doors.browser()).status_code == 303


def test_many_patrons_behind_one_address_may_sign_in(doors):
    for _ in range(limits.MOST["address"] + 5):
        assert doors.sign_in(doors.browser()).status_code == 303


@pytest.mark.parametrize(
    ("first", "then", "most"),
    [
        ("203.0.113.7", "203.0.113.7", limits.MOST["address"]),
        ("2001:db8:1:2:3::4", "2001:db8:1:2:ffff::1", limits.MOST["address"]),
        ("::ffff:203.0.113.7", "203.0.113.7", limits.MOST["address"]),
    ],
)
def test_an_address_is_limited_over_all_cards(doors, monkeypatch, first, then, most):
    asked: list[str] = []
    monkeypatch.setattr(doors.town.desk.system, "sign_in", refusing(asked))
    for number in range(most + 3):
        doors.sign_in(doors.browser(first if number % 2 else then), f"card {number}", "0000")
    assert len(asked) == most


@pytest.mark.parametrize("pattern", ["203.0.113.{}", "2001:db8:1:{:x}00::1"])
def test_a_network_is_limited_over_all_its_addresses(doors, monkeypatch, pattern):
    asked: list[str] = []
    monkeypatch.setattr(doors.town.desk.system, "sign_in", refusing(asked))
    monkeypatch.setitem(limits.MOST, "network", 8)
    for number in range(12):
        doors.sign_in(doors.browser(pattern.format(number)), f"card {number}", "0000")
    assert len(asked) == 8
    doors.sign_in(doors.browser("192.0.2.1"), "another card", "0000")
    assert len(asked) == 9


def test_an_attack_from_many_networks_slows_sign_ins_down_and_shuts_nobody_out(doors, monkeypatch):
    asked: list[str] = []
    sign_in = doors.town.desk.system.sign_in
    monkeypatch.setattr(doors.town.desk.system, "sign_in", refusing(asked))
    monkeypatch.setattr(limits, "MANY", 10)
    monkeypatch.setattr(arrival, "CROWDED", 0.2)
    with capture_logs() as logs:
        for number in range(14):
            doors.sign_in(doors.browser(f"198.{number}.0.1"), f"card {number}", "0000")
        assert len(asked) == 14
        monkeypatch.setattr(doors.town.desk.system, "sign_in", sign_in)
        started = time.monotonic()
        assert doors.sign_in(doors.browser()).status_code == 303
        assert time.monotonic() - started >= 0.2
    alarms = [entry for entry in logs if entry["event"] == "sign_in_attack"]
    assert [alarm["wrong_within_an_hour"] for alarm in alarms] == [10, 11, 12, 13, 14]
    assert {(alarm["library"], alarm["log_level"]) for alarm in alarms} == {("lindental", "error")}
    with capture_logs() as logs:
        assert doors.sign_in(doors.browser(), library="seehausen").status_code == 303
    assert not [entry for entry in logs if entry["event"] == "sign_in_attack"]


def test_an_unanswered_question_counts_for_ten_minutes(each_doors, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(each_doors.town.desk.system, "sign_in", refusing(asked, Unavailable("late")))
    for _ in range(5):
        each_doors.sign_in(each_doors.browser())
    assert len(asked) == 3, "each of them may have been a wrong PIN to Koha"
    each_doors.world.pass_time(minutes=11)
    assert each_doors.sign_in(each_doors.browser()).status_code == 503
    assert len(asked) == 4


def test_refusals_take_longer_each_time_and_whole_steps(monkeypatch):
    monkeypatch.setattr(arrival, "SHORTEST_ANSWER", 1.0)
    monkeypatch.setattr(arrival, "SLOWEST_ANSWER", 4.0)
    total = [0.1 + arrival.pause_of(0.1, before) for before in range(5)]
    assert total == pytest.approx([1, 2, 4, 4, 4])
    found, not_found = (passed + arrival.pause_of(passed, 0) for passed in (0.153, 0.021))
    assert found == pytest.approx(not_found)
    assert 5.2 + arrival.pause_of(5.2, 0) == pytest.approx(5.5)


def test_where_card_and_pin_are_switched_off_nobody_is_asked(doors):
    desk = doors.house.libraries["lindental"]
    closed = desk.settings.model_copy(
        update={"arrival": desk.settings.arrival.model_copy(update={"card_and_pin": False})}
    )
    page = doors.browser()
    form = csrf_of(page.get("/lindental/").text)
    object.__setattr__(desk, "settings", closed)
    answer = page.post("/lindental/login", data={"csrf": form, "card": CARD, "pin": PIN})
    assert answer.status_code == 404
    assert doors.asked() == 0


@pytest.mark.parametrize("opac_url", ["https://opac.lindental.example", None])
def test_where_the_library_system_signs_nobody_in_the_page_leads_to_the_catalogue_and_has_no_form(
    tmp_path, arrival_settings, opac_url
):
    own = settings_for("sqlite:////unused").libraries["lindental"].library_system
    town = Town(
        f"sqlite:///{tmp_path}/ledger.db",
        library_system={"plugin": own.plugin, **own.own, "sign_in": False},
        arrival={**arrival_settings, "opac_url": opac_url},
    )
    browser = Doors(town).browser(headers={"accept-language": "en"})
    page = browser.get("/lindental/")
    lost = browser.get("/lindental/nowhere").text
    town.close()
    assert page.status_code == 200
    assert "<form" not in page.text
    assert "Please sign in to the library catalogue" in page.text
    assert ('href="https://opac.lindental.example"' in page.text) == (opac_url is not None)
    assert 'href="/lindental/">Sign in' not in lost
