"""The Koha plugin: whom it hands over and what it refuses, by the program that lets patrons in."""

from __future__ import annotations

import re
import subprocess

import jwt
import pytest
from structlog.testing import capture_logs

from ils_payment.web import handover
from tests.integrations.conftest import SETTINGS
from tests.integrations.koha_opac import STAND_INS, perl
from tests.web.doors import PUBLIC, SECRET, ticked_fees

PLUGIN_FILES = ("Koha/Plugin/ILSPayment.pm", "Koha/Plugin/ILSPayment/Token.pm")


def id_of(doors, patron):
    return str(doors.town.koha.patron_ids[patron])


def fees_of(koha, patron):
    return [str(row["accountlines_id"]) for row in koha.lines if str(row["borrowernumber"]) == patron]


def arrive(doors, answer, browser=None):
    """Send the page's form as the browser does, from another site."""
    assert answer.action == f"{PUBLIC}/lindental/arrive"
    headers = {"origin": "https://opac.lindental.example", "sec-fetch-site": "cross-site"}
    return (browser or doors.browser()).post(
        "/lindental/arrive", data={"token": answer.token}, headers=headers
    )


# --- compiled ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLUGIN_FILES)
def test_the_plugin_compiles_and_every_warning_counts(plugins, name):
    command = [perl(), "-Mwarnings=FATAL,all", f"-I{STAND_INS}", f"-I{plugins}", "-c", str(plugins / name)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, f"{plugins / name} syntax OK\n")


def test_the_token_needs_modules_of_perl_itself_only(plugins):
    source = (plugins / "Koha/Plugin/ILSPayment/Token.pm").read_text(encoding="utf-8")
    used = re.findall(r"^use ([\w:]+)", source, re.MULTILINE)
    assert set(used) == {"strict", "warnings", "constant", "Digest::SHA", "JSON::PP", "MIME::Base64"}
    core = "use Module::CoreList; exit scalar grep !Module::CoreList::is_core($_), @ARGV"
    subprocess.run([perl(), "-e", core, *used], check=True)


def test_koha_finds_no_method_in_the_plugin_but_its_hooks(plugins):
    # Koha writes every function of the class into its table of methods, imported ones too.
    of = "Koha::Plugin::ILSPayment::"
    own = f'grep {{ !/^_/ && defined &{{"{of}$_"}} }} keys %{of}'
    code = f"require Koha::Plugin::ILSPayment; print join ' ', {own}"
    command = [perl(), f"-I{STAND_INS}", f"-I{plugins}", "-e", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    hooks = {"opac_online_payment"} | {f"opac_online_payment_{end}" for end in ("begin", "end", "threshold")}
    assert set(ran.stdout.split()) == {"new", "configure", "install", "upgrade", "uninstall"} | hooks


# --- handed over ---------------------------------------------------------------------------------


def test_the_ticked_fees_of_the_signed_in_patron_are_ticked_on_the_pay_page_and_no_others(koha, doors):
    erika = id_of(doors, "erika")
    chosen = fees_of(koha, erika)[1:3]
    answer = koha.begin(erika, *chosen)
    browser = doors.browser()
    arrived = arrive(doors, answer, browser)
    assert arrived.status_code == 303
    page = browser.get(arrived.headers["location"])
    assert "Der Sommer am Wehr" in page.text
    assert ticked_fees(page.text) == chosen
    assert page.text.count('name="fee"') > len(chosen)
    assert 'lang="de"' in page.text
    assert answer.log == ""


def test_the_token_says_no_more_than_the_hand_over_asks_for(koha, doors):
    koha.language = "en"
    answer = koha.begin(id_of(doors, "jan"), *fees_of(koha, id_of(doors, "jan")))
    claims = jwt.decode(answer.token, SECRET, algorithms=["HS256"], audience=SETTINGS["address"])
    fees = fees_of(koha, id_of(doors, "jan"))
    assert claims | {"iss": "opac", "sub": id_of(doors, "jan"), "lang": "en", "fees": fees} == claims
    assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "sub", "lang", "fees"}
    assert claims["exp"] - claims["iat"] <= handover.LONGEST_LIFE
    assert jwt.get_unverified_header(answer.token) == {"alg": "HS256", "typ": "JWT", "kid": "opac-1"}
    assert koha.begin(id_of(doors, "jan"), *fees).token != answer.token
    assert SECRET not in answer.printed + answer.log


@pytest.mark.parametrize("patron", ["expired", "blocked"])
def test_expired_and_blocked_patrons_get_through(koha, doors, patron):
    who = id_of(doors, patron)
    browser = doors.browser()
    arrived = arrive(doors, koha.begin(who, *fees_of(koha, who)), browser)
    assert arrived.status_code == 303
    assert ticked_fees(browser.get(arrived.headers["location"]).text) == fees_of(koha, who)


def test_a_language_that_the_pay_page_does_not_speak_is_left_to_the_browser(koha, doors):
    koha.language = "fr-FR"
    answer = koha.begin(id_of(doors, "jan"), *fees_of(koha, id_of(doors, "jan")))
    assert '<html lang="en">' in answer.printed
    browser = doors.browser(headers={"accept-language": "de"})
    assert 'lang="de"' in browser.get(arrive(doors, answer, browser).headers["location"]).text


def test_a_token_opens_the_pay_page_once(koha, doors):
    answer = koha.begin(id_of(doors, "jan"), *fees_of(koha, id_of(doors, "jan")))
    assert arrive(doors, answer).status_code == 303
    with capture_logs() as logs:
        assert arrive(doors, answer).status_code == 403
    assert logs[0]["reason"] == "it was used before"


def test_a_token_that_waited_too_long_opens_nothing(koha, doors):
    answer = koha.begin(id_of(doors, "jan"), *fees_of(koha, id_of(doors, "jan")))
    doors.world.pass_time(seconds=125)
    with capture_logs() as logs:
        assert arrive(doors, answer).status_code == 403
    assert logs[0]["reason"].startswith("it expired")


def test_a_token_that_was_altered_opens_nothing(koha, doors):
    answer = koha.begin(id_of(doors, "jan"), *fees_of(koha, id_of(doors, "jan")))
    head, _, mac = answer.token.split(".")
    erika = koha.begin(id_of(doors, "erika"), *fees_of(koha, id_of(doors, "erika"))).token.split(".")[1]
    answer.printed = answer.printed.replace(answer.token, f"{head}.{erika}.{mac}")
    with capture_logs() as logs:
        assert arrive(doors, answer).status_code == 403
    assert "InvalidSignatureError" in logs[0]["reason"]


# --- refused -------------------------------------------------------------------------------------


def test_whoever_is_not_signed_in_is_asked_to_sign_in_and_gets_no_token(koha, doors):
    answer = koha.begin(None, *fees_of(koha, id_of(doors, "erika")))
    assert answer.printed == "SIGN IN"


def test_a_line_of_another_patron_is_refused_even_beside_own_ones(koha, doors):
    erika, jan = id_of(doors, "erika"), id_of(doors, "jan")
    answer = koha.begin(erika, *fees_of(koha, erika), *fees_of(koha, jan))
    assert "Ihr Konto hat sich geändert" in answer.printed
    assert (answer.token, answer.action) == ("", "")


@pytest.mark.parametrize("open_now", [0, -1.5])
def test_a_line_that_is_not_an_open_debit_is_refused(koha, doors, open_now):
    row = next(row for row in koha.lines if str(row["borrowernumber"]) == id_of(doors, "jan"))
    row["amountoutstanding"] = open_now
    assert koha.begin(id_of(doors, "jan"), str(row["accountlines_id"])).token == ""


@pytest.mark.parametrize("typed", ["", "0", "7 OR 1=1", "-1", "7\n", "1e3", "99999999999", '"><b>'])
def test_what_is_no_number_of_a_line_is_refused_and_not_shown(koha, doors, typed):
    answer = koha.begin(id_of(doors, "jan"), typed)
    assert answer.token == ""
    assert "OR 1=1" not in answer.printed
    assert "<b>" not in answer.printed


def test_with_nothing_ticked_the_patron_is_asked_to_choose(koha, doors):
    answer = koha.begin(id_of(doors, "jan"))
    assert "Nichts ausgewählt" in answer.printed
    assert 'href="/cgi-bin/koha/opac-account.pl"' in answer.printed


def test_as_many_lines_as_a_token_may_name_and_not_one_more(koha, doors):
    jan = id_of(doors, "jan")
    new = [{"accountlines_id": 2_000_000_000 + n, "borrowernumber": int(jan)} for n in range(201)]
    koha.lines = [{**row, "amountoutstanding": 1} for row in new]
    assert arrive(doors, koha.begin(jan, *fees_of(koha, jan)[:200])).status_code == 303
    refused = koha.begin(jan, *fees_of(koha, jan))
    assert "höchstens 200" in refused.printed
    assert refused.token == ""


def test_a_koha_that_lost_its_encryption_key_says_so_in_its_log_and_to_the_patron_that_it_cannot_be(
    koha, doors
):
    koha.encryption_key = None
    answer = koha.begin(id_of(doors, "jan"), *fees_of(koha, id_of(doors, "jan")))
    assert "Online-Zahlung nicht möglich" in answer.printed
    assert "encryption_key" in answer.log
    assert answer.token == ""


# --- and back ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "words"), [("de-DE", "Zu meinen Gebühren"), ("en", "To my charges")])
def test_who_comes_back_finds_the_account_and_no_claim_that_something_was_paid(koha, doors, language, words):
    koha.language = language
    forged = {"payment": "12.50", "amount": "<script>alert(1)</script>"}
    answer = koha.ask("opac_online_payment_end", id_of(doors, "erika"), **forged)
    assert f'<a href="/cgi-bin/koha/opac-account.pl">{words}</a>' in answer.printed
    assert "12.50" not in answer.printed
    assert "alert" not in answer.printed
    assert answer.token == ""
    assert koha.ask("opac_online_payment_end", None).printed == "SIGN IN"
