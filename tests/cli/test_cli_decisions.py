"""``cases resolve``, ``refunds`` and ``reconcile`` as a clerk types them, against the simulated remotes."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace

import pytest
from ils_payment_koha.adapter import KohaSystem
from ils_payment_stripe.provider import StripeProvider

from ils_payment.cli import actor, rooms
from ils_payment.flows.backup import set_apart
from ils_payment.model import Actor, MarkerSupport, State
from ils_payment.store import journal
from tests.flows.decisions import TREASURER, books, held_payment, kinds, refunded, settled_payment
from tests.flows.truths import DUE, load

CONFIG = """\
[server]
public_url = "https://pay.lindental.example"
database = "{database}"
[libraries.lindental]
name = "Stadtbücherei Lindental"
test_cards = ["21234000012345"]
[libraries.lindental.library_system]
plugin = "koha"
url = "https://koha.test/api/v1"
client_id = "ils-payment"
client_secret = {{ env = "TOWN_KOHA_SECRET" }}
library_id = "ZENTRALE"
[libraries.lindental.providers.stripe]
api_key = {{ env = "TOWN_STRIPE_KEY" }}
webhook_secrets = [{{ env = "TOWN_STRIPE_WEBHOOK" }}]
statement_descriptor = "STADTBUECHEREI"
api_base = "http://127.0.0.1:12111"
[[libraries.lindental.methods]]
method = "card"
provider = "stripe"
"""


@pytest.fixture
def run(ils_payment, town, tmp_path, monkeypatch):
    """Type a command in the town's world, as anna unless somebody else is named."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(database=town.settings.server.database), encoding="utf-8")
    monkeypatch.setattr(rooms, "world_of", lambda _settings: town.world)

    def typed(*arguments, by="anna"):
        who = Actor(f"cli:{by}", "technician")
        for module in ("cases", "refunds", "reconcile"):
            monkeypatch.setattr(f"ils_payment.cli.{module}.typing", lambda: who)
        return ils_payment("--config", path, *arguments)

    return typed


def _case(run):
    (case,) = json.loads(run("cases", "list", "--json").out)
    return case


def test_a_clerk_sees_what_can_be_decided_and_closes_a_case_by_hand(run, town):
    payment_id = held_payment(town)
    case = _case(run)
    shown = run("cases", "show", case["case_id"])
    for line in ("booked-by-hand --version 1 --reference", "refund --version 1 --meaning double-payment"):
        assert f"ils-payment cases resolve {case['case_id']} {line}" in shown.out
    assert " EUR" in next(line for line in shown.out.splitlines() if line.strip().startswith("balance"))
    done = run(
        "cases", "resolve", case["case_id"], "booked-by-hand",
        "--version", case["version"], "--reason", "cash at the desk", "--reference", "K 117",
    )  # fmt: skip
    assert (done.code, done.out.strip()) == (0, "Done.")
    assert town.view(payment_id).state is State.RESOLVED
    again = run(
        "cases", "resolve", case["case_id"], "booked-by-hand",
        "--version", case["version"], "--reason", "cash at the desk", "--reference", "K 118",
    )  # fmt: skip
    assert again.code == 1
    assert "Somebody else decided first." in again.err
    closed = run("cases", "show", case["case_id"])
    assert "by cli:anna: booked_by_hand" in closed.out
    assert ", K 117: cash at the desk" in closed.out
    told = json.loads(run("cases", "show", case["case_id"], "--json").out)
    assert told["choices"] == []
    assert [one["reference"] for one in told["decisions"]] == ["K 117"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [("--reason", "Missing option '--reason'"), ("--version", "Missing option '--version'")],
)
def test_a_decision_without_reason_or_version_is_not_taken(run, town, missing, said):
    held_payment(town)
    case = _case(run)
    options = {"--version": case["version"], "--reason": "why"}
    del options[missing]
    arguments = [part for pair in options.items() for part in pair]
    refused = run("cases", "resolve", case["case_id"], "no-action", *arguments)
    assert refused.code == 2
    assert said in refused.err
    assert _case(run)["version"] == case["version"]


def test_a_decision_that_does_not_fit_says_so_and_changes_nothing(run, town):
    payment_id = held_payment(town)
    case = _case(run)
    refused = run(
        "cases", "resolve", case["case_id"], "no-action", "--version", case["version"], "--reason", "x"
    )
    assert refused.code == 1
    assert "does not fit" in refused.err
    assert kinds(town, payment_id) == ["fees_differ"]


def test_new_cases_make_the_list_exit_with_one(run, town):
    assert run("cases", "list", "--new").code == 0
    held_payment(town)
    assert run("cases", "list", "--new").code == 1
    assert run("cases", "list").code == 0
    town.world.pass_time(days=2)
    assert run("cases", "list", "--new").code == 0


def test_two_persons_give_a_payment_back(run, town):
    payment_id = settled_payment(town)
    number = town.view(payment_id).number
    asked = run("refunds", "ask", number, "--meaning", "fee-dropped", "--reason", "lost letter")
    assert "A second person must approve it" in asked.out
    (waiting,) = json.loads(run("refunds", "list", "--json").out)
    assert (waiting["cents"], waiting["asked_by"], waiting["reason"]) == (DUE, "cli:anna", "lost letter")
    same = run("refunds", "approve", waiting["refund_id"])
    assert same.code == 1
    assert "Let a second person do it" in same.err
    assert run("refunds", "approve", waiting["refund_id"], by="bert").code == 0
    town.run()
    assert refunded(town) == DUE
    assert "No refund waits" in run("refunds", "list").out


def test_asking_again_for_what_was_given_back_whole_points_at_no_case(run, town):
    payment_id = settled_payment(town)
    ask = ("refunds", "ask", payment_id, "--meaning", "fee-dropped", "--reason", "lost letter")
    refund_id = json.loads(run(*ask, "--json").out)["refund_id"]
    for given in (False, True):
        if given:
            run("refunds", "approve", refund_id, by="bert")
            town.run()
        again = run(*ask)
        assert again.code == 1
        assert "Nothing is left to give back." in again.err
        assert "cases show" not in again.err
        assert f"ils-payment payments show {payment_id}" in again.err


def test_whoever_approves_reads_why_it_was_asked_and_what_became_of_it(run, town):
    payment_id = settled_payment(town)
    ask = ("refunds", "ask", payment_id, "--meaning", "fee-dropped", "--reason", "lost letter")
    refund_id = json.loads(run(*ask, "--json").out)["refund_id"]
    assert "lost letter" in run("refunds", "list").out
    assert "lost letter" in run("refunds", "show", refund_id).out
    for said in ("asked", "cli:anna, 2026-11-21 22:", " CET", "12.50 EUR", town.view(payment_id).number):
        assert said in run("refunds", "show", refund_id).out
    assert "Ended" not in run("refunds", "show", refund_id).out
    assert run("refunds", "withdraw", refund_id, "--reason", "a mistake", by="bert").code == 0
    gone = run("refunds", "show", refund_id)
    assert "withdrawn" in gone.out
    assert "Ended" in gone.out
    assert "cli:bert" in gone.out
    told = json.loads(run("refunds", "show", refund_id, "--json").out)
    assert (told["reason"], told["reason_against"]) == ("lost letter", "a mistake")


def test_the_case_of_a_wanted_refund_tells_the_second_person_the_reason(run, town):
    held_payment(town)
    case = _case(run)["case_id"]
    asked = run(
        *("cases", "resolve", case, "refund", "--version", "1"),
        *("--meaning", "double-payment", "--reason", "paid at the desk as well"),
    )
    assert asked.code == 0
    assert "Reason: paid at the desk as well" in run("cases", "show", case).out


def test_the_reason_of_a_refund_is_no_part_of_what_the_patron_is_told(run, town):
    payment_id = settled_payment(town)
    asked = run(
        "refunds", "ask", payment_id, "--meaning", "fee-dropped", "--reason", "a bad debtor", "--json"
    )
    assert run("refunds", "approve", json.loads(asked.out)["refund_id"], by="bert").code == 0
    town.run()
    (given,) = town.view(payment_id).given_back
    assert (given.state, given.reason) == ("done", None)


def test_one_line_is_given_back_by_its_number_and_a_wrong_number_is_refused(run, town):
    payment_id = settled_payment(town)
    wrong = run("refunds", "ask", payment_id, "--meaning", "fee-dropped", "--reason", "x", "--line", "9")
    assert wrong.code == 2
    asked = run(
        "refunds", "ask", payment_id, "--meaning", "fee-dropped", "--reason", "x", "--line", "1", "--json"
    )
    refund_id = json.loads(asked.out)["refund_id"]
    gone = run("refunds", "withdraw", refund_id, "--reason", "a mistake", by="bert")
    assert gone.code == 0
    assert books(town, payment_id) == {"provider": -DUE, "library_system": DUE}
    assert load(town, payment_id).lines


@pytest.mark.parametrize(
    "words",
    [
        ("refunds", "approve", "nothing"),
        ("refunds", "show", "nothing"),
        ("refunds", "withdraw", "nothing", "--reason", "x"),
        ("refunds", "ask", "nothing", "--meaning", "fee-dropped", "--reason", "x"),
        ("cases", "resolve", "nothing", "no-action", "--version", "1", "--reason", "x"),
        ("cases", "show", "nothing"),
    ],
)
def test_what_does_not_exist_is_said_without_a_traceback(run, words):
    refused = run(*words)
    assert refused.code == 1
    assert "There is no" in refused.err
    assert "What to do" in refused.err


def test_reconcile_says_what_agrees_what_differs_and_what_could_not_be_compared(run, town):
    payment_id = settled_payment(town)
    town.world.pass_time(hours=2)
    fine = run("reconcile")
    assert (fine.code, "No differences." in fine.out) == (0, True)
    for line in town.koha.tables.lines_of(town.koha.patron_ids["erika"]):
        line.note = ""
    differs = run("reconcile", "--from", "2026-11-01")
    assert differs.code == 1
    assert "marker_missing" in differs.out
    assert " new" in differs.out
    assert " known" in run("reconcile", "--from", "2026-11-01").out
    assert kinds(town, payment_id) == ["marker_missing"]
    town.world.remotes.pop("koha.test")
    gap = run("reconcile", "--json")
    assert gap.code == 3
    assert json.loads(gap.out)[0]["gaps"]


@pytest.mark.parametrize(
    ("listing", "marker", "compared", "ends"),
    [
        (False, MarkerSupport.WRITE_ONLY, "NOTHING WAS COMPARED", None),
        (False, MarkerSupport.READABLE, "compared with library system: ", "as far as it was compared."),
        (True, MarkerSupport.WRITE_ONLY, "compared with provider stripe: ", "as far as it was compared."),
        (True, MarkerSupport.READABLE, "compared with provider stripe and library system: ", "differences."),
    ],
)
def test_what_no_program_can_compare_is_no_failure_and_never_called_without_differences(
    run, town, monkeypatch, listing, marker, compared, ends
):
    settled_payment(town)
    can, does = town.desk.providers["stripe"].capabilities(), town.desk.system.capabilities()
    monkeypatch.setattr(StripeProvider, "capabilities", lambda _self: replace(can, listing=listing))
    monkeypatch.setattr(KohaSystem, "capabilities", lambda _self: replace(does, marker=marker))
    told = run("reconcile")
    assert told.code == 0, told.err
    assert compared in told.out
    assert ("cannot list its payments; a person has to." in told.out) is not listing
    assert ("markers cannot be read; a person has to." in told.out) is (marker is MarkerSupport.WRITE_ONLY)
    assert ("No differences" in told.out) is (ends is not None)
    assert told.out.rstrip().endswith(ends or "a person has to.")
    assert json.loads(run("reconcile", "--json").out)[0]["differences"] == []


def test_a_comparison_that_begins_too_late_leaves_a_restored_ledger_shut_and_says_how_it_opens(run, town):
    settled_payment(town)
    set_apart(town.house.store, TREASURER)
    town.world.pass_time(days=5)
    late = run("reconcile", "--from", "2026-11-25")
    assert late.code == 3
    assert "NOT COMPARED" not in late.out
    assert "The ledger stays shut." in late.out
    opened = run("reconcile")
    assert opened.code == 0
    assert "stays shut" not in opened.out


def test_reconcile_over_days_without_data_says_so(run):
    empty = run("reconcile", "--from", "2026-01-01", "--to", "2026-01-31")
    assert empty.code == 0
    assert "there was nothing to compare" in empty.out


def test_a_comparison_with_a_provider_that_does_not_answer_is_not_called_empty(run, town):
    town.world.remotes.clear()
    told = run("reconcile", "--from", "2026-01-01", "--to", "2026-01-31")
    assert told.code == 3
    assert "NOT COMPARED" in told.out
    assert "there was nothing to compare" not in told.out


def test_reconcile_refuses_days_in_the_wrong_order_and_unknown_libraries(run):
    assert run("reconcile", "--from", "2026-02-01", "--to", "2026-01-01").code == 2
    refused = run("reconcile", "--library", "elsewhere")
    assert refused.code == 2
    assert "there is: lindental" in refused.err


@pytest.mark.parametrize("last", [(), ("--to", "2127-02-01")])
def test_reconcile_refuses_days_that_have_not_come_yet_and_says_which_day_it_is(run, town, last):
    refused = run("reconcile", "--from", "2127-01-01", *last)
    assert refused.code == 2
    today = town.world.now().astimezone(town.desk.settings.zone)
    assert f"--from 2127-01-01 is in the future; in Europe/Berlin it is {today:%Y-%m-%d}" in refused.err
    with town.house.store.read() as unit:
        assert journal.newest(unit, what="reconciled") == []


def test_a_last_day_that_has_not_come_yet_is_refused_and_not_cut_and_today_is_none(run, town):
    refused = run("reconcile", "--to", "2127-01-31")
    assert refused.code == 2
    assert "--to 2127-01-31 is in the future; in Europe/Berlin it is" in refused.err
    today = town.world.now().astimezone(town.desk.settings.zone).date()
    assert run("reconcile", "--from", today, "--to", today).code == 0


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("word", ["gestern", "2026-11-31", "01.11.2026"])
def test_what_is_no_day_is_told_with_how_a_day_is_written(run, option, word):
    for command in (("reconcile",), ("export", "--library", "lindental", "--from", "2026-11-01")):
        refused = run(*command, option, word)
        assert refused.code == 2
        assert f"'{word}' is no day; write it like 2026-12-31" in refused.err


def test_a_comparison_by_hand_is_refused_where_nobody_waits_for_it_or_nothing_is_said(run, town):
    refused = run("reconcile", "--by-hand", "me, with the portal")
    assert refused.code == 2
    assert "a restored ledger that waits for a comparison; this one does not" in refused.err
    set_apart(town.house.store, Actor("cli:anna", "technician"))
    empty = run("reconcile", "--by-hand", " ")
    assert empty.code == 2
    assert "who compared, and with what" in empty.err
    town.world.pass_time(minutes=1)
    assert run("reconcile", "--by-hand", "me, with the portal").code == 0
    with town.house.store.read() as unit:
        (row,) = journal.newest(unit, what="restored_ledger_compared")
    assert row["facts"] == {"by_hand": "me, with the portal"}


def test_the_actor_of_a_command_is_the_operating_systems_user(monkeypatch):
    monkeypatch.delenv("SUDO_USER", raising=False)
    for user in (pwd.getpwuid(os.getuid()), pwd.getpwnam("nobody")):
        monkeypatch.setattr(os, "getuid", lambda user=user: user.pw_uid)
        assert actor.typing().name == f"cli:{user.pw_name}"


@pytest.mark.parametrize(("user", "believed"), [(0, True), (999, True), (1000, False), (65534, False)])
def test_who_called_sudo_is_believed_where_nobody_types_under_an_own_name(monkeypatch, user, believed):
    monkeypatch.setattr(os, "getuid", lambda: user)
    monkeypatch.setenv("SUDO_USER", "carla")
    assert (actor.typing().name == "cli:carla") is believed
