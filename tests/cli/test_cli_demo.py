"""The demo: the whole journey through the real program, and an exit code that Koha's own books decide."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace

import pytest
import requests

from ils_payment.cli import demo, demo_matrix, demo_pay, walk
from ils_payment.cli.demo_renew import CHILD_CARD
from ils_payment.cli.demo_stage import truth_of
from ils_payment.cli.demo_start import staged
from ils_payment.cli.walk import Browser, Confirmed, JourneyError, Page
from ils_payment.config.tariff_file import read_tariff
from ils_payment.errors import PluginError


def test_the_unattended_journey_prints_one_line_and_settles():
    ran = subprocess.run(
        [sys.executable, "-m", "ils_payment.cli.main", "demo", "--auto"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    [line] = ran.stdout.splitlines()
    told = json.loads(line)
    assert set(told) == {"state", "amount", "paid_to_settled_ms", "library_calls"}
    assert (told["state"], told["amount"]) == ("settled", 1250)
    assert told["paid_to_settled_ms"] > 0
    # Four settle the fees; two more read what the Onleihe will say.
    assert 1 <= told["library_calls"] <= 6


def demo_line(*arguments):
    ran = subprocess.run(
        [sys.executable, "-m", "ils_payment.cli.main", "demo", "--auto", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    [line] = ran.stdout.splitlines()
    return json.loads(line)


def test_the_journey_ends_well_with_another_library_system():
    told = demo_line("--library-system", "sisis")
    assert (told["state"], told["amount"]) == ("settled", 1250)


def test_a_journey_that_a_library_system_cannot_do_is_declared_absent():
    told = demo_line("--library-system", "sip2", "--journey", "renew")
    assert told == {"state": "absent", "reason": "SIP2 has no message that renews a card"}


def test_library_systems_do_with_providers_what_they_declare(capsys):
    every = demo_matrix.every_pair()
    assert len(every) == len(set(every)) == 12
    # All pairs take minutes: make demo ARGS="--auto --matrix" walks them. Here each plugin comes once.
    pairs = [("koha", "xbezahldienste"), ("opac-soap", "stripe"), ("sip2", "adyen"), ("sisis", "stripe")]
    assert set(pairs) <= set(every)
    assert demo_matrix.play(pairs, as_json=True)
    cells = json.loads(capsys.readouterr().out.splitlines()[-1])["cells"]
    results = {(one["library_system"], one["journey"]): one["result"] for one in cells}
    assert {results[system, "pay"] for system, _ in pairs} == {"done"}
    assert results["koha", "refund"] == results["sip2", "renew"] == "absent"
    assert results["koha", "renew"] == results["sip2", "refund"] == "done"
    assert all(one["reason"] for one in cells if one["result"] == "absent")


def test_a_simulator_of_something_else_is_no_library_system(tmp_path):
    with (
        pytest.raises(PluginError, match="none of a library system"),
        staged(tmp_path, 0, library_system=("stripe", 0)),
    ):
        pass


@pytest.fixture
def stage(tmp_path):
    with staged(tmp_path, 0) as running:
        yield running


def test_a_koha_that_books_nothing_makes_the_demo_fail(stage, monkeypatch):
    monkeypatch.setattr(demo_pay, "PATIENCE", 3.0)
    # Rights are taken away after the patron has signed in and seen the fees, before the money is booked.
    monkeypatch.setattr(demo_pay, "pay_by_card", _without_rights(stage, walk.pay_by_card))
    walked = demo_pay.paid(stage)
    assert (walked.right, walked.line["state"]) == (False, "paid")


def _without_rights(stage, pay_by_card):
    def pay(browser, page):
        service = next(one for one in stage.system.truth()["patrons"].items() if one[1]["card"] == "M0002")[0]
        stage.system.set_rights(int(service), [])
        return pay_by_card(browser, page)

    return pay


def test_the_simulated_stripe_really_posts_webhooks_and_the_program_takes_them(stage):
    assert demo_pay.paid(stage).right
    deadline = time.monotonic() + 20
    while not (answers := [one["answers"] for one in stage.provider.truth()["deliveries"]]) or not all(
        answers
    ):
        assert time.monotonic() < deadline, answers
        time.sleep(0.05)
    assert {status for one in answers for status in one} == {200}


def test_a_person_is_told_what_to_open_and_ctrl_c_ends_it():
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "ils_payment.cli.main", "demo", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = {}
        for line in process.stdout:
            words = line.split()
            if len(words) == 2:
                told[words[0]] = words[1]
            if "Ctrl-C" in line:
                break
        page = requests.get(told["Open"], timeout=20)
        assert page.status_code == 200
        assert 'name="pin"' in page.text
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert (told["Card"], told["PIN"]) == ("21234000012345", "4711")
    assert process.returncode == 0, err


def test_the_books_decide_not_our_word(stage):
    assert demo_pay.paid(stage).right
    truth = truth_of(stage)
    card = stage.system.demo_card
    patron = next(one for one in truth["patrons"].values() if one["card"] == card)
    [credit] = [one for one in patron["credits"].values() if one["marker"]]
    chosen = Confirmed(Page("", [], ""), tuple(credit["applied"]), credit["amount"])
    assert demo_pay._is_paid(truth, card, chosen)
    for spoil in ("outstanding", "unapplied", "marker"):
        wrong = deepcopy(truth)
        patron = next(one for one in wrong["patrons"].values() if one["card"] == card)
        credit = next(one for one in patron["credits"].values() if one["marker"])
        if spoil == "outstanding":
            patron["fees"][chosen.fees[0]]["outstanding"] = 1
        else:
            credit[spoil] = {"unapplied": 1, "marker": None}[spoil]
        assert not demo_pay._is_paid(wrong, card, chosen)


def test_an_answer_that_is_no_page_of_the_journey_is_told(stage):
    browser = Browser(stage.house.world.session(deadline=10.0, max_bytes=1_000_000))
    with pytest.raises(JourneyError, match="404"):
        browser.open(f"{stage.address}/nowhere/")
    page = browser.open(f"{stage.address}/")
    with pytest.raises(JourneyError, match="no form with 'fee'"):
        page.form_with("fee")


def test_a_free_renewal_can_be_tried_and_every_fee_of_the_demo_is_explained(stage, ils_payment):
    asked = ("--config", stage.config, "tariff", "quote", "--library", "lindental", "--json", "--card")
    told = json.loads(ils_payment(*asked, CHILD_CARD).out)
    assert (told["renewable"], told["cents"]) == (True, 0)
    version = read_tariff(stage.config.parent / "tariff.toml").tariff.versions[0]
    owed = {fee["type"] for one in truth_of(stage)["patrons"].values() for fee in one["fees"].values()}
    assert owed >= {"OVERDUE", "RESERVE", "NEW_CARD", "MANUAL"}
    assert [code for code in owed if version.kind(code) is None] == []


def test_the_commands_that_the_demo_shows_run(stage, capsys, ils_payment):
    demo._invite(stage)
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split() for line in lines if "--config" in line]
    assert [words[3:4] for words in shown] == [["link"], ["cases"]]
    assert all(ils_payment(*words[1:]).code == 0 for words in shown)


def test_the_demo_shows_no_command_that_its_library_system_cannot_do(stage, capsys):
    demo._invite(replace(stage, library=replace(stage.library, absent={"renew": "no such message"})))
    told = capsys.readouterr().out
    assert "No card can be renewed here: no such message." in told
    assert [line.split()[3] for line in told.splitlines() if "--config" in line] == ["cases"]
