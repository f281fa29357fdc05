"""What an administrator writes and sees: refused configurations, findings, what is never loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ils_payment_sisis.config import SISISConfig
from ils_payment_sisis.simulator import Fault, Habits
from pydantic import ValidationError

from ils_payment.cli.template import write_template
from ils_payment.model import Level
from ils_payment.plugins import Plugins
from tests.sisis.conftest import BY_NCIP, CARD, OWN_FEES, OWN_RENEWAL, PASSWORD, PIN, Stand, table

NCIP = BY_NCIP["ncip"]
FULL_NCIP = {**BY_NCIP, "check_pin": {"env": "TEST_SISIS_PIN"}}
OWN = {"fees": OWN_FEES, "renew": OWN_RENEWAL}

WRONG = {
    "no way of reading": ({"slnp": None}, "exactly one"),
    "two ways of reading": ({"ncip": NCIP}, "exactly one"),
    "nothing to write with": ({"writes": None}, "writes"),
    "fees with ids": ({"writes": {**table()["writes"], "preset": "gossip"}}, "no ids"),
    "a wrong table of SIP2": ({"writes": {**table()["writes"], "port": 0}}, "port"),
    "http to elsewhere": ({"slnp": None, "ncip": {"url": "http://gateway.example/"}}, "https"),
    "no address": ({"slnp": None, "ncip": {"url": "gateway"}}, "web address"),
    "opac without a database": ({"slnp": {"login": "opac", "user": "x"}}, "database"),
    "staff without a password": ({"slnp": {"login": "staff", "user": "x", "branch": "1"}}, "password"),
    "a user in two lines": ({"slnp": {"login": "opac", "user": "x\ny", "database": "d"}}, "single lines"),
    "an unknown character set": ({"slnp": {"charset": "klingon"}}, "character set"),
    "a wide character set": ({"slnp": {"charset": "utf-16"}}, "character set"),
    "ca_file in a tunnel": ({"slnp": {"ca_file": "/x"}}, "ca_file"),
    "an unknown key": ({"slnp": {"hosst": "x"}}, "hosst"),
    "a kind of block that is none": ({"block_kinds": {"3": "foul"}}, "kind of block"),
    "a PIN as a group": ({"slnp": {"category_key": "OpacPin"}}, "PIN"),
    "a command of two lines": ({"slnp": {"fees": {**OWN_FEES, "command": "A\nB"}}}, "one word"),
    "a command about nobody": ({"slnp": {"fees": {"command": "A"}}}, "parameters"),
    "a command about nobody in its parameters": (
        {"slnp": {"fees": {"command": "A", "parameters": {"X": "1"}}}},
        "whom",
    ),
    "a day for a list": (
        {"slnp": {"fees": {"command": "A", "parameters": {"X": "{card}", "Y": "{until}"}}}},
        "places",
    ),
    "a place that is none": (
        {"slnp": {"renew": {"command": "A", "parameters": {"X": "{card}", "Y": "{pin}"}}}},
        "places",
    ),
    "a parameter of two lines": (
        {"slnp": {"fees": {"command": "A", "parameters": {"X": "{card}\nB:2"}}}},
        "one line",
    ),
    "a PIN as a text": ({"slnp": {"fees": {**OWN_FEES, "text": "OpacPin"}}}, "PIN"),
    "a PIN to be expected": ({"slnp": {"renew": {**OWN_RENEWAL, "expect": {"OpacPin": "1"}}}}, "PIN"),
    "a renewal that sees no end": ({"slnp": {"renew": OWN_RENEWAL, "record": False}}, "record"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_configuration_that_cannot_work_is_refused_with_the_reason(case):
    changes, reason = WRONG[case]
    with pytest.raises(ValidationError, match=reason) as error:
        SISISConfig.model_validate(table(**changes))
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://localhost/x", "https://gateway.example/x"]
)
def test_pins_travel_encrypted_or_within_this_machine(url):
    assert SISISConfig.model_validate(table(slnp=None, ncip={"url": url})).ncip


def test_the_examples_of_the_page_are_accepted(monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "sisis.md").read_text(encoding="utf-8")
    whole, gateway, own = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for name in ("SISIS_PASSWORD", "SIP2_PASSWORD", "SISIS_TEST_CARD"):
        monkeypatch.setenv(name, "x")
    own = own.replace("NAME-IN-YOUR-LICENCE", "Erfunden")
    for example in (whole, whole + own, re.sub(r"(?s)\[[a-z._]+slnp\].*?(?=\n\[)", "", whole) + gateway):
        text = example.replace('{ file = "/etc/ils-payment/sip2-patron-key" }', '{ env = "TEST_SISIS_KEY" }')
        written = tomllib.loads(text)["libraries"]["herrenberg"]["library_system"]
        assert written.pop("plugin") == "sisis"
        assert SISISConfig.model_validate(written) is not None


def test_init_writes_the_tables_inside_of_the_plugins_own():
    plugins = Plugins({"sisis", "stripe", "onleihe"})
    text = write_template(
        "town",
        ("sisis", plugins.library_system("sisis").Config),
        ("stripe", plugins.provider("stripe").Config),
        ("onleihe", plugins.elending("onleihe").Config),
    )
    written = tomllib.loads(text)["libraries"]["town"]["library_system"]
    assert written["plugin"] == "sisis"
    assert written["writes"]["patron_key"] == {"env": "SIP2_PATRON_KEY"}
    # One of the two ways has to be there; the other takes its place by moving the comments.
    assert written["slnp"] == {"host": "sisis.library.example", "port": 9001}
    assert "# [libraries.town.library_system.ncip]\n" in text


def found(stand: Stand) -> dict[str, tuple[Level, str]]:
    findings = stand.system.check()
    told = "".join(f"{one.seen}{one.mend}" for one in findings)
    assert CARD not in told
    assert PIN not in told
    assert PASSWORD not in told
    return {one.subject: (one.level, one.seen) for one in findings}


@pytest.mark.parametrize("changes", [{"slnp": OWN}, FULL_NCIP], ids=["slnp", "ncip"])
def test_all_is_well(changes):
    levels = {subject: level for subject, (level, _) in found(Stand(**changes)).items()}
    # What was never compared with a running SISIS or SIP2 server stays a warning, and so does a tunnel.
    warned = {subject for subject, level in levels.items() if level is not Level.OK}
    assert warned - {"SISIS: encryption"} == {"SIP2: encryption", "SIP2: dialect", "SISIS: unverified"}
    assert levels["SISIS: PINs"] is Level.OK


@pytest.mark.parametrize("changes", [{"slnp": OWN}, FULL_NCIP], ids=["slnp", "ncip"])
def test_nothing_is_paid_or_renewed_by_looking(changes):
    stand = Stand(**changes)
    stand.system.check()
    assert stand.credits() == []
    assert stand.town.renewals == {}
    assert stand.sent("37") == 0


def test_what_is_absent_is_said_and_what_is_not_is_not():
    def absent(stand: Stand) -> str:
        return " ".join(one.seen for one in stand.system.check() if one.subject == "SISIS: absent")

    assert "renew cards" in absent(Stand())
    assert "renew cards" not in absent(Stand(slnp=OWN))
    assert "compare the account" in absent(Stand(**BY_NCIP))
    assert "compare the account" not in absent(Stand())
    assert all(one.subject != "SIP2: absent" for one in Stand().system.check())


@pytest.mark.parametrize(
    ("changes", "fault", "question", "subject"),
    [
        ({}, Fault.REFUSED, "SLNPBenutzerKurzKonto", "SISIS: read a patron"),
        ({}, Fault.GARBAGE, "SLNPAlleBenutzerDaten", "SISIS: read a patron"),
        ({}, Fault.BROKEN, "SLNPOpacBenutzerPruefung", "SISIS: PINs"),
        (FULL_NCIP, Fault.REFUSED, "fiscal", "SISIS: read a patron"),
        (FULL_NCIP, Fault.BROKEN, "data", "SISIS: NCIP2SLNP"),
    ],
)
def test_what_goes_wrong_is_a_finding_and_the_rest_is_looked_at(changes, fault, question, subject):
    stand = Stand(**changes)
    stand.town.go_wrong(fault, question, 1)
    seen = found(stand)
    assert seen[subject][0] is Level.ERROR
    assert seen["SIP2: connection and login"][0] is Level.OK


def test_a_server_that_is_away_is_a_finding():
    stand = Stand()
    stand.world.streams = {}
    seen = found(stand)
    assert seen["SISIS: SLNP"][0] is seen["SIP2: connection and login"][0] is Level.ERROR


def test_a_pin_that_is_not_judged_is_an_error():
    stand = Stand()
    stand.town.books.patrons[CARD].pin = "0"
    assert found(stand)["SISIS: PINs"][0] is Level.ERROR


def test_a_list_of_fees_that_does_not_add_up_is_a_warning():
    stand = Stand(slnp={"fees": {**OWN_FEES, "header": "Gebuehr"}})
    assert found(stand)["SISIS: list of fees"][0] is Level.WARNING


def test_a_wrong_character_set_is_a_warning():
    stand = Stand(habits=Habits(speaks="iso8859-1", greets_with="utf-8"), slnp={"fees": OWN_FEES})
    texts = [one.seen for one in stand.system.check() if one.level is Level.WARNING]
    assert "A text of the answer has another character set." in texts


@pytest.mark.parametrize(
    "changes", [BY_NCIP, {"writes": {**table()["writes"], "check_card": None}}], ids=["ncip", "slnp"]
)
def test_without_a_test_card_check_says_what_it_cannot_look_at(changes):
    assert found(Stand(**changes))["SISIS: read a patron"][0] is Level.WARNING


def test_a_test_card_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("TEST_SISIS_CARD", "999")
    stand = Stand(absent_errors=["OpsBenutzerErfundenUnbekannt"])
    seen = {one.subject: one.level for one in stand.system.check()}
    assert seen["SISIS: read a patron"] is Level.ERROR


CONFIGURATION = """
[server]
public_url = "https://pay.lindental.example"
database = "sqlite:///{folder}/ledger.db"

[libraries.lindental]
name = "Lindental"

[libraries.lindental.library_system]
plugin = "sisis"
slnp = {{ host = "127.0.0.1", port = 9, security = "tunnel" }}

[libraries.lindental.library_system.writes]
host = "127.0.0.1"
port = 9
security = "tunnel"
preset = "generic"
user = "kasse"
password = {{ env = "TEST_SISIS_PASSWORD" }}
patron_key = {{ env = "TEST_SISIS_KEY" }}

[libraries.lindental.providers.jar]

[[libraries.lindental.methods]]
method = "card"
provider = "jar"
"""
JAR = """
from datetime import timedelta
from ils_payment import hookimpl
from ils_payment.model import ProviderCapabilities, ReadSupport
from ils_payment.ports import PaymentProvider, PluginConfig

class Jar(PaymentProvider):
    Config = PluginConfig

    def capabilities(self):
        hour = timedelta(hours=1)
        return ProviderCapabilities(
            live=False, read=ReadSupport.FULL, notices=False, close=True, find=True, key_lifetime=hour,
            longest_pending=hour, redirect_origins=(), currencies=("EUR",),
        )

    def methods(self):
        return ("card",)

@hookimpl
def ils_payment_providers():
    return {"jar": Jar}
"""
PROGRAM = """
import sys
from pathlib import Path
from ils_payment.flows.house import open_house, open_store
from ils_payment.loading import load_settings
from ils_payment.store.upgrade import upgrade
from ils_payment.web.app import create_app
from ils_payment.world import World
settings, world = load_settings(Path(sys.argv[1])), World()
store = open_store(settings, world)
upgrade(store)
store.close()
create_app(open_house(settings, world))
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_program_that_serves_sisis_loads_no_plugin_that_is_not_configured(tmp_path):
    """Another provider, of a distribution of its own, stands in for whatever the library uses."""
    about = tmp_path / "jar-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: jar\nVersion: 1\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[ils_payment]\njar = jar_of_coins\n", encoding="utf-8")
    (tmp_path / "jar_of_coins.py").write_text(JAR, encoding="utf-8")
    config = tmp_path / "config.toml"
    config.write_text(CONFIGURATION.format(folder=tmp_path), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(config)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert {"ils_payment_sisis", "ils_payment_sip2", "jar_of_coins", "fastapi"} <= loaded
    assert not {"stripe", "ils_payment_stripe", "ils_payment_koha", "pymarc", "zeep"} & loaded
