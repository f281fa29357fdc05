"""``elending ask``: what platforms say of a patron, with and without the PIN."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ils_payment_koha.simulator.demo import CARD, PIN
from ils_payment_onleihe.simulator import PATH, OnleiheSimulator, Reader

from ils_payment.cli.demo_start import staged
from ils_payment.testing.simulator import serve


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with staged(tmp_path_factory.mktemp("stage"), 0) as running:
        yield running


@pytest.fixture(scope="module")
def service():
    simulator = OnleiheSimulator(readers={CARD: Reader(pin=PIN, status=-3)})
    with serve(simulator) as address:
        yield simulator, address


@pytest.fixture
def config(stage, service, tmp_path):
    """The configuration of the stage with an Onleihe that asks us, and a service that is asked."""
    folder = Path(stage.house.settings.server.database.removeprefix("sqlite:///")).parent
    text = (folder / "config.toml").read_text(encoding="utf-8")
    text = text.replace("elending.onleihe]", 'elending.answering]\nplugin = "onleihe"')
    text = text.replace('fee_limit = "2.00"', 'fee_limit = "20.00"')
    path = tmp_path / "config.toml"
    tables = f"""
[libraries.lindental.elending.asking]
plugin = "onleihe"
mode = "ask"
fee_limit = "20.00"
url = "{service[1]}{PATH}"
"""
    path.write_text(text + tables, encoding="utf-8")
    return path


def typed(monkeypatch, pin):
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: pin)


def asked(ran):
    assert ran.code == 0, ran.err
    return {one["platform"]: one for one in json.loads(ran.out)}


def test_with_the_pin_the_service_is_truly_asked(ils_payment, config, monkeypatch):
    typed(monkeypatch, PIN)
    ran = ils_payment(
        "--config", config, "elending", "ask", "--library", "lindental", "--card", CARD, "--json"
    )
    told = asked(ran)
    assert (told["asking"]["verdict"], told["asking"]["asked"], told["asking"]["code"]) == (
        "blocked",
        True,
        "-3",
    )
    assert told["asking"]["hindrances"][0] == ["expired", "renewal"]
    assert (told["answering"]["code"], told["answering"]["asked"]) == ("4", True)
    assert told["answering"]["hindrances"] == [["fees", "payment"]]
    assert PIN not in ran.out + ran.err


def test_without_the_pin_the_answer_is_derived_and_says_so(ils_payment, config, service, monkeypatch):
    typed(monkeypatch, "")
    before = service[0].asked
    ran = ils_payment("--config", config, "elending", "ask", "--library", "lindental", "--card", CARD)
    assert ran.code == 0
    assert "no, derived" in ran.out
    assert "fees: payment" in ran.out
    assert service[0].asked == before


def test_a_service_that_fails_hides_no_other_platform(ils_payment, config, service, monkeypatch):
    typed(monkeypatch, PIN)
    service[0].habits = {"fails"}
    ran = ils_payment(
        "--config", config, "elending", "ask", "--library", "lindental", "--card", CARD, "--json"
    )
    service[0].habits = set()
    told = asked(ran)
    assert told["asking"]["verdict"] == "cannot_tell"
    assert "HTTP 500" in told["asking"]["reason"]
    assert told["answering"]["code"] == "4"


def test_an_unknown_card_or_library_is_said_with_what_to_do(ils_payment, config):
    ran = ils_payment("--config", config, "elending", "ask", "--library", "lindental", "--card", "NOBODY")
    assert ran.code == 1
    assert "no such card" in ran.err
    assert "NOBODY" not in ran.err
    ran = ils_payment("--config", config, "elending", "ask", "--library", "nowhere", "--card", CARD)
    assert ran.code == 2
    assert "lindental" in ran.err


def test_check_tells_what_the_platforms_found(ils_payment, config):
    ran = ils_payment("--config", config, "check", "--json")
    found = {one["part"]: one for one in json.loads(ran.out)}
    assert found["lindental: asking"]["level"] == "ok"
    assert "127.0.0.1" in found["lindental: answering"]["seen"]
    assert "ils_payment_onleihe" not in ran.err


def test_the_plugin_is_listed_and_marked_as_used(ils_payment, config):
    ran = ils_payment("--config", config, "plugins", "--json")
    [one] = [one for one in json.loads(ran.out) if one["name"] == "onleihe"]
    assert one["used"]
