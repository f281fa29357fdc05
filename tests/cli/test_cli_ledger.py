"""``payments``, ``cases``, ``pause`` and ``db`` against a real ledger, without any plugin's secret."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, text

from ils_payment.flows.views import NotBegun
from ils_payment.model import State
from ils_payment.store.unit import Store
from ils_payment.testing.world import SimulatedWorld

CONFIG = """\
[server]
public_url = "https://pay.lindental.example"
database = "{database}"
[libraries.lindental]
name = "Lindental"
[libraries.lindental.library_system]
plugin = "koha"
client_secret = {{ env = "A_SECRET_THAT_IS_NOT_SET" }}
[libraries.lindental.providers.stripe]
[[libraries.lindental.methods]]
method = "card"
provider = "stripe"
"""


def configured(tmp_path, database):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(database=database), encoding="utf-8")
    return path


@pytest.fixture
def config(town, tmp_path):
    return configured(tmp_path, town.settings.server.database)


@pytest.fixture
def settled(town):
    payment_id = town.started()
    town.stripe.pay(town.session_of(payment_id), "card")
    town.house.make_due(payment_id)
    town.run()
    assert town.view(payment_id).state is State.SETTLED
    return payment_id


@pytest.fixture
def held(town):
    """A payment whose fee somebody paid at the desk meanwhile: a case."""
    payment_id = town.started(only=1)
    account = town.koha_account()
    fees = {ref: fee["outstanding"] for ref, fee in account["fees"].items() if fee["outstanding"]}
    frozen = town.view(payment_id).cents
    ref = next(ref for ref, cents in fees.items() if cents == frozen)
    town.koha.pay_at_desk(int(town.erika), int(ref), frozen)
    town.stripe.pay(town.session_of(payment_id), "card")
    town.house.make_due(payment_id)
    town.run()
    assert town.view(payment_id).held
    return payment_id


def test_a_settled_payment_is_listed_and_shown_with_its_sound_history(ils_payment, config, settled):
    listed = ils_payment("--config", config, "payments", "list")
    assert settled in listed.out
    assert "12.50 EUR" in listed.out
    shown = ils_payment("--config", config, "payments", "show", settled)
    assert shown.code == 0
    assert "The hashes of this history hold." in shown.out
    assert "settled" in shown.out


def test_times_on_the_terminal_are_those_of_the_library(ils_payment, config, town, settled):
    """Lindental is an hour ahead of Greenwich in November; programs get the instant itself."""
    at = town.view(settled).created_at
    there = f"{at.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M:%S} CET"
    assert there in ils_payment("--config", config, "payments", "list").out
    assert there in ils_payment("--config", config, "payments", "show", settled).out
    [listed] = json.loads(ils_payment("--config", config, "payments", "list", "--json").out)
    assert listed["created_at"] == at.isoformat()


def test_times_of_a_library_that_is_not_configured_any_more_are_those_of_greenwich(
    ils_payment, tmp_path, town, settled
):
    path = configured(tmp_path, town.settings.server.database)
    path.write_text(
        path.read_text(encoding="utf-8").replace("libraries.lindental", "libraries.elsewhere"),
        encoding="utf-8",
    )
    at = town.view(settled).created_at
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC" in ils_payment("--config", path, "payments", "list").out


def test_the_number_that_a_patron_reads_out_leads_to_the_payment(ils_payment, config, town, settled):
    number = town.view(settled).receipt_number
    assert number in ils_payment("--config", config, "payments", "list").out
    for typed in (number, number.lower(), number.replace("-", " ")):
        shown = ils_payment("--config", config, "payments", "show", typed)
        assert shown.code == 0, shown.err
        assert settled in shown.out
    other = ils_payment("--config", config, "payments", "show", "ILSP-000000-0")
    assert other.code == 1
    assert "ILSP-000000-0" in other.err


def test_payments_as_json_have_no_address_to_pay_under(ils_payment, config, settled):
    [listed] = json.loads(ils_payment("--config", config, "payments", "list", "--json").out)
    assert (listed["payment_id"], listed["state"], listed["cents"]) == (settled, "settled", 1250)
    assert "continue_url" not in listed
    shown = json.loads(ils_payment("--config", config, "payments", "show", settled, "--json").out)
    assert shown["history"][-1]["state"] == "settled"
    assert shown["chain_broken_at"] is None


def test_a_changed_history_is_told(ils_payment, config, town, settled):
    engine = create_engine(town.settings.server.database)
    with engine.begin() as connection:
        for trigger in (
            connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        ):
            connection.execute(text(f'DROP TRIGGER "{trigger}"'))
        connection.execute(text("UPDATE audit SET what = 'nothing' WHERE number = 2"))
    engine.dispose()
    refused = ils_payment("--config", config, "payments", "show", settled)
    assert refused.code == 1
    assert "lacks the triggers" in refused.err
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    shown = ils_payment("--config", config, "payments", "show", settled)
    assert "THE HISTORY WAS CHANGED at row 2" in shown.out


def test_payments_can_be_chosen_by_state_and_library(ils_payment, config, settled):
    assert "no payments" in ils_payment("--config", config, "payments", "list", "--state", "paid").out
    chosen = ils_payment("--config", config, "payments", "list", "--library", "lindental", "--json").out
    assert [one["payment_id"] for one in json.loads(chosen)] == [settled]
    assert settled in ils_payment("--config", config, "payments", "list", "--state", "settled").out


def test_a_case_is_listed_and_shown_with_what_to_do(ils_payment, config, held):
    [listed] = json.loads(ils_payment("--config", config, "cases", "list", "--json").out)
    assert listed["payment_id"] == held
    assert listed["kind"] == "fees_differ"
    assert listed["kind"] in ils_payment("--config", config, "cases", "list").out
    shown = ils_payment("--config", config, "cases", "show", listed["case_id"])
    assert held in shown.out
    assert "Please compare in the library system" in shown.out
    told = json.loads(ils_payment("--config", config, "cases", "show", listed["case_id"], "--json").out)
    where = told.pop("whereabouts")
    assert "booked_by_hand" in told.pop("choices")
    assert told.pop("decisions") == []
    assert told == listed
    assert where["patron"] in shown.out
    assert where["fees"][0] in shown.out
    assert where["session"].startswith("cs_test_")


def test_nothing_is_listed_where_nothing_is(ils_payment, config):
    assert "There are no payments (of this kind)." in ils_payment("--config", config, "payments", "list").out
    assert "There is no open case." in ils_payment("--config", config, "cases", "list").out
    assert json.loads(ils_payment("--config", config, "cases", "list", "--all", "--json").out) == []


@pytest.mark.parametrize(
    "command", ["cases list", "cases list --new", "cases list --all --json", "payments list", "refunds list"]
)
def test_a_mistyped_library_is_no_all_clear(ils_payment, config, command):
    ran = ils_payment("--config", config, *command.split(), "--library", "xx")
    assert (ran.code, ran.out) == (2, "")
    assert "There is no library 'xx'; there is: lindental." in ran.err
    assert ils_payment("--config", config, *command.split(), "--library", "lindental").code == 0


@pytest.mark.parametrize(("group", "word"), [("payments", "payment"), ("cases", "case")])
def test_an_id_that_is_not_there_is_told(ils_payment, config, group, word):
    ran = ils_payment("--config", config, group, "show", "X")
    assert ran.code == 1
    assert f"There is no {word} 'X'" in ran.err


def test_pause_stops_new_payments_and_finishes_paid_ones_until_resume(ils_payment, config, town):
    running = town.started(only=1)
    assert ils_payment("--config", config, "pause").code == 0
    assert town.begin() == NotBegun(code="paused")
    town.stripe.pay(town.session_of(running), "card")
    town.house.make_due(running)
    town.run()
    assert town.view(running).state is State.SETTLED
    assert ils_payment("--config", config, "resume").code == 0
    assert town.started()


def test_the_database_is_made_upgraded_and_told(ils_payment, tmp_path, bare_database_url):
    config = configured(tmp_path, bare_database_url)
    status = ils_payment("--config", config, "db", "status", "--json")
    assert status.code == 1
    assert json.loads(status.out)["schema"] is None
    assert "ils-payment db upgrade" in status.err
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    again = ils_payment("--config", config, "db", "upgrade")
    assert "(as before)" in again.out
    status = ils_payment("--config", config, "db", "status", "--json")
    assert status.code == 0
    assert json.loads(status.out)["problem"] is None


def test_a_ledger_of_a_newer_version_is_told_and_neither_copied_nor_changed(
    ils_payment, tmp_path, bare_database_url
):
    config = configured(tmp_path, bare_database_url)
    assert ils_payment("--config", config, "db", "upgrade").code == 0
    with closing(Store(bare_database_url, SimulatedWorld())) as store, store.unit() as unit:
        unit.connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    for command in (["db", "upgrade"], ["db", "status"], ["cases", "list"]):
        ran = ils_payment("--config", config, *command)
        assert ran.code == 1, command
        assert "schema 0099, which a newer version of ils-payment made" in ran.err
        assert "db upgrade" not in ran.err
        assert "Install that version" in ran.err
    assert list(tmp_path.glob("*.schema-*")) == []
    assert json.loads(ils_payment("--config", config, "db", "status", "--json").out)["schema"] == "0099"


def test_a_database_that_cannot_be_opened_is_told_in_two_lines(ils_payment, tmp_path):
    ran = ils_payment("--config", configured(tmp_path, "sqlite:////nowhere/at/all.db"), "db", "status")
    assert ran.code == 1
    error, mend = ran.err.splitlines()
    assert error == "Error: There is no folder /nowhere/at for the ledger."
    assert mend.startswith("What to do: ")


@pytest.mark.parametrize(
    "command",
    ["payments list", "db status", "db status --json", "backup {}/copy.backup", "verify"],
)
def test_a_ledger_that_is_not_there_is_said_and_not_made(ils_payment, tmp_path, command):
    config = configured(tmp_path, f"sqlite:///{tmp_path}/lost.db")
    ran = ils_payment("--config", config, *command.format(tmp_path).split())
    assert ran.code == 1
    assert "There is no ledger at" in ran.err
    assert "If there was one, do not go on: find it, or restore a backup" in ran.err
    assert {one.name for one in tmp_path.iterdir()} == {config.name}


def test_where_no_ledger_can_be_made_the_folder_is_named_and_not_a_file_that_is_not_there(
    ils_payment, tmp_path
):
    # Nobody, root included, makes a file there.
    config = configured(tmp_path, "sqlite:////proc/ledger.db")
    ran = ils_payment("--config", config, "db", "upgrade")
    assert ran.code == 1
    assert "No ledger can be made in /proc by" in ran.err
    assert f"The folder belongs to {Path('/proc').owner()}." in ran.err
    assert ran.err.strip().endswith(" /proc")
    assert "There is no ledger at /proc/ledger.db" in ils_payment("--config", config, "db", "status").err


@pytest.mark.parametrize("command", ["db status", "db upgrade", "cases list", "backup {}/copy.backup"])
def test_a_folder_that_this_user_may_not_enter_is_told_and_no_ledger_called_lost(
    ils_payment, tmp_path, monkeypatch, command
):
    looked_at = Path.exists

    def closed(path):
        if path.parent == Path("/proc"):
            raise PermissionError(13, "Permission denied")
        return looked_at(path)

    monkeypatch.setattr(Path, "exists", closed)
    config = configured(tmp_path, "sqlite:////proc/ledger.db")
    ran = ils_payment("--config", config, *command.format(tmp_path).split())
    assert ran.code == 1
    assert "/proc/ledger.db cannot be reached by" in ran.err
    assert "Run this as the user of the service" in ran.err


def test_a_mistyped_seal_is_no_incident(ils_payment, config):
    ran = ils_payment("--config", config, "verify", "--seal", "abc")
    assert ran.code == 2
    assert "This is no seal" in ran.err
