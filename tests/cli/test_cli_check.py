"""``check`` against a simulated Koha and a simulated Stripe over real HTTP, and against what is broken."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event

from ils_payment.cli import house_findings
from ils_payment.cli.arrival_findings import of_arrival
from ils_payment.cli.booking_findings import of_accounts, of_booking
from ils_payment.cli.check import _clock, _missing
from ils_payment.cli.demo_start import staged
from ils_payment.cli.house_findings import of_staff
from ils_payment.cli.reminder_findings import of_reminders
from ils_payment.cli.rooms import DatabaseError, prove_writable
from ils_payment.config import FeeKind
from ils_payment.errors import ConfigurationError, installing
from ils_payment.flows import pay, see
from ils_payment.flows.desk import Desk
from ils_payment.flows.desk_checks import refuse_without_a_way_in
from ils_payment.flows.house import open_store
from ils_payment.flows.views import Begun
from ils_payment.model import Level
from ils_payment.store import installation
from ils_payment.world import World
from tests.web.card_town import tariff


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with staged(tmp_path_factory.mktemp("stage"), 0) as running:
        yield running


@pytest.fixture
def config(stage, tmp_path):
    """The configuration of the stage, to be broken by a test."""
    folder = Path(stage.house.settings.server.database.removeprefix("sqlite:///")).parent
    path = tmp_path / "config.toml"
    path.write_text((folder / "config.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return path


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def findings(ran):
    return json.loads(ran.out)


def about(ran, subject):
    return next(one for one in findings(ran) if one["subject"] == subject)


def test_a_good_installation_has_no_error(ils_payment, config):
    ran = ils_payment("--config", config, "check", "--json")
    assert [one for one in findings(ran) if one["level"] == "error"] == []
    assert ran.code == 0
    parts = {one["part"] for one in findings(ran)}
    assert {"lindental: library system", "lindental: stripe"} <= parts
    assert about(ran, "database")["level"] == "ok"
    assert about(ran, "test mode")["level"] == "ok"
    # Both simulated remotes answered with the time of this very machine.
    assert about(ran, "clock")["level"] == "ok"


def test_the_table_shows_the_same(ils_payment, config):
    ran = ils_payment("--config", config, "check")
    assert ran.code == 0
    assert "What to do" in ran.out
    assert "lindental: stripe" in ran.out


def test_a_wrong_secret_is_an_error_with_a_mend_and_without_the_secret(ils_payment, config, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("canary-secret", encoding="utf-8")
    text = config.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("client_secret"))
    change(config, line, f'client_secret = {{ file = "{wrong}" }}')
    ran = ils_payment("--config", config, "check", "--json")
    assert ran.code == 1
    bad = [one for one in findings(ran) if one["level"] == "error"]
    assert {one["part"] for one in bad} == {"lindental: library system"}
    assert all(one["mend"] for one in bad)
    assert "canary-secret" not in ran.out + ran.err


def test_a_koha_that_is_down_does_not_hide_the_rest(ils_payment, config, stage):
    change(config, stage.library.address, "http://127.0.0.1:9")
    ran = ils_payment("--config", config, "check", "--json")
    assert ran.code == 1
    assert (
        next(one for one in findings(ran) if one["part"] == "lindental: library system")["level"] == "error"
    )
    assert any(one["part"] == "lindental: stripe" and one["level"] == "ok" for one in findings(ran))


def test_a_broken_configuration_is_a_finding(ils_payment, config):
    change(config, 'plugin = "koha"', 'plugin = "kohaa"')
    ran = ils_payment("--config", config, "check", "--json")
    assert ran.code == 1
    [only] = findings(ran)
    assert only["subject"] == "configuration"
    assert "Did you mean koha?" in only["mend"]


def test_a_plugin_of_another_kind_is_told_with_its_line_and_what_is_installed(ils_payment, config):
    change(config, 'plugin = "koha"', 'plugin = "stripe"')
    line = next(
        n for n, text in enumerate(config.read_text("utf-8").splitlines(), 1) if text == 'plugin = "stripe"'
    )
    found = about(ils_payment("--config", config, "check", "--json"), "configuration")
    assert f"{config}, line {line}: libraries.lindental.library_system.plugin: " in found["seen"]
    assert "the plugin 'stripe' is no library system" in found["seen"]
    assert found["mend"] == "There is: koha, opac-soap, sip2, sisis."


def test_a_database_without_tables_is_an_error_with_the_command_that_helps(
    ils_payment, config, tmp_path, stage
):
    change(config, stage.house.settings.server.database, f"sqlite:///{tmp_path}/new.db")
    ran = ils_payment("--config", config, "check", "--json")
    assert ran.code == 1
    assert "ils-payment db upgrade" in about(ran, "database")["mend"]


def test_a_method_for_sums_that_the_provider_refuses_is_warned_of(ils_payment, config):
    def told():
        rows = findings(ils_payment("--config", config, "check", "--json"))
        return [one for one in rows if one["subject"] == "smallest sum"]

    text = re.sub(r"(?m)^minimum_amount = .*\n", "", config.read_text(encoding="utf-8"))
    config.write_text(text, encoding="utf-8")
    found = told()
    assert {one["level"] for one in found} == {"warning"}
    assert "stripe takes nothing below 0.50" in found[0]["seen"]
    config.write_text(re.sub(r"(?m)^(method = .*\n)", r'\1minimum_amount = "0.50"\n', text), encoding="utf-8")
    assert told() == []


def test_a_method_that_the_provider_does_not_offer_is_an_error(ils_payment, config):
    change(config, 'method = "instant_bank_transfer"', 'method = "cash"')
    ran = ils_payment("--config", config, "check", "--json")
    assert ran.code == 1
    assert "'cash'" in about(ran, "plugins")["seen"]
    # No remote was asked, so nothing is said of the clock either.
    assert [one for one in findings(ran) if one["subject"] == "clock"] == []


def test_a_library_that_nobody_can_come_into_is_an_error_with_both_ways_to_mend_it(ils_payment, config):
    change(config, 'plugin = "koha"', 'plugin = "koha"\nsign_in = false')
    ran = ils_payment("--config", config, "check", "--json")
    assert ran.code == 1
    found = about(ran, "plugins")
    assert "the library system signs nobody in, and no OPAC has a key" in found["seen"]
    assert "sign_in = true" in found["mend"]
    assert "[[libraries.lindental.arrival.keys]]" in found["mend"]


def test_the_open_ways_in_are_told(ils_payment, config):
    assert (
        about(ils_payment("--config", config, "check", "--json"), "ways in")["seen"] == "card number and PIN"
    )


def by_card(*, card_and_pin, keys=("key",)):
    """The desk of a library whose plugin makes the references of patrons itself."""
    arrival = SimpleNamespace(keys=keys, card_and_pin=card_and_pin)
    can = SimpleNamespace(sign_in=True, handed_over=False)
    system = SimpleNamespace(capabilities=lambda: can)
    return Desk("a", SimpleNamespace(arrival=arrival), system, {})  # type: ignore[arg-type]  # nothing else is looked at


def test_a_key_that_no_opac_can_use_is_warned_of():
    told, warned = of_arrival(by_card(card_and_pin=True))
    assert (told.level, told.seen) == (Level.OK, "card number and PIN")
    assert warned.level is Level.WARNING
    assert "[[libraries.a.arrival.keys]]" in warned.mend
    assert len(list(of_arrival(by_card(card_and_pin=True, keys=())))) == 1


def test_where_no_opac_can_hand_over_a_key_is_no_way_in():
    with pytest.raises(ConfigurationError, match="no OPAC can name its patrons") as caught:
        refuse_without_a_way_in(by_card(card_and_pin=False))
    assert caught.value.mend == "Remove card_and_pin = false below [libraries.a.arrival]."


def passing_on(words, fee_kinds, known=None):
    """A desk whose provider passes the accounts of fee kinds on."""
    provider = SimpleNamespace(capabilities=lambda: SimpleNamespace(line_accounts=words))
    return Desk("a", SimpleNamespace(fee_kinds=fee_kinds), SimpleNamespace(), {"till": provider}, known)  # type: ignore[arg-type, dict-item]  # nothing else is looked at


@pytest.mark.parametrize(
    ("words", "kind", "empty"),
    [
        (("cost_centre", "account"), FeeKind(tax_code="A1"), "cost_centre and account"),
        (("cost_centre", "account"), FeeKind(cost_centre="4711"), "account"),
        (("cost_centre",), FeeKind(cost_centre="4711"), None),
        ((), FeeKind(), None),
    ],
)
def test_accounts_that_a_provider_passes_on_and_no_fee_kind_has_are_warned_of(words, kind, empty):
    assert list(of_booking(passing_on(words, {}, tariff()))) == [], "the tariff has them"
    found = list(of_booking(passing_on(words, {"OVERDUE": kind})))
    if empty is None:
        assert found == []
        return
    [finding] = found
    assert finding.level is Level.WARNING
    assert f"till passes {empty} on" in finding.seen
    assert "libraries.a.fee_kinds" in finding.mend


def test_fee_kinds_without_a_place_to_book_are_named_whether_configured_or_paid():
    kinds = {"OVERDUE": FeeKind(cost_centre="1", account="2"), "LOST": FeeKind(account="2")}
    desk = passing_on((), kinds)
    [finding] = of_accounts(desk, {"OVERDUE", "RENEWAL"}, date(2026, 11, 22))
    assert finding.level is Level.WARNING
    assert "LOST, RENEWAL" in finding.seen
    assert "OVERDUE" not in finding.seen
    assert "libraries.a.fee_kinds" in finding.mend
    kinds["LOST"] = kinds["OVERDUE"]
    assert list(of_accounts(desk, {"OVERDUE"}, date(2026, 11, 22))) == []


def test_a_pause_is_told_with_the_command_that_ends_it(ils_payment, config, stage):
    assert not [
        one
        for one in findings(ils_payment("--config", config, "check", "--json"))
        if one["subject"] == "payments"
    ]
    store = stage.house.store
    try:
        stage.house.pause(paused=True)
        paused = about(ils_payment("--config", config, "check", "--json"), "payments")
        assert (paused["level"], paused["mend"]) == ("warning", "Type: ils-payment resume")
        with store.unit() as unit:
            installation.set_unreconciled(unit, unreconciled=True)
        shut = about(ils_payment("--config", config, "check", "--json"), "payments")
        assert "paused until reconciled" in shut["seen"]
        assert "ils-payment reconcile" in shut["mend"]
    finally:
        stage.house.pause(paused=False)
        with store.unit() as unit:
            installation.set_unreconciled(unit, unreconciled=False)


def test_patrons_of_a_library_system_that_is_called_otherwise_are_an_error_with_the_line_that_helps(
    ils_payment, config, stage
):
    assert not [
        one
        for one in findings(ils_payment("--config", config, "check", "--json"))
        if one["subject"] == "patrons"
    ]
    house, desk = stage.house, stage.house.libraries["lindental"]
    erika = desk.system.sign_in(stage.system.demo_card, stage.system.demo_pin)
    lines = [line for line in see.fees(house, desk, erika).lines if line.payable]
    total = sum(line.cents for line in lines)
    begun = pay.begin(house, desk, erika, [line.key for line in lines], "card", "de", total)
    assert isinstance(begun, Begun)
    try:
        change(
            config,
            "[libraries.lindental]",
            '[libraries.lindental]\npatrons_known_as = "https://other.example"',
        )
        told = about(ils_payment("--config", config, "check", "--json"), "patrons")
    finally:
        pay.cancel(house, begun.payment_id)
    assert told["level"] == "error"
    assert f'patrons_known_as = "{desk.patrons}" in [libraries.lindental]' in told["mend"]


def test_payments_of_a_library_that_is_not_configured_are_told():
    configured: Any = SimpleNamespace(libraries={"here": None})
    [open_ones, ended] = list(_missing(configured, ["gone"], ["ended", "gone", "here"]))
    assert (open_ones.level, ended.level) == (Level.ERROR, Level.WARNING)
    assert "[libraries.gone]" in open_ones.seen
    assert "[libraries.ended]" in ended.seen


def test_pages_for_staff_without_their_packages_are_an_error_with_what_to_install(monkeypatch):
    on: Any = SimpleNamespace(staff=object())
    off: Any = SimpleNamespace(staff=None)
    assert [one.level for one in of_staff(on)] == [Level.OK]
    monkeypatch.setattr(house_findings, "import_module", raising(ModuleNotFoundError("no", name="argon2")))
    [finding] = of_staff(on)
    assert finding.level is Level.ERROR
    assert "argon2" in finding.seen
    assert finding.mend == installing("staff")
    assert list(of_staff(off)) == []


def raising(error):
    def fail(_name):
        raise error

    return fail


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ((), []),
        ((30, 7), [("ok", "on: mails 30, 7 days before a card ends")]),
        (
            (7, 31),
            [
                ("ok", "on: mails 31, 7 days before a card ends"),
                (
                    "warning",
                    "31 days before is too early: some cards can be renewed only 30 days before",
                ),
            ],
        ),
    ],
)
def test_reminders_are_told_and_warned_of_where_they_come_too_early(days, found):
    reminders = SimpleNamespace(days_before=days)
    desk = SimpleNamespace(key="a", settings=SimpleNamespace(reminders=reminders), tariff=tariff())
    assert [(one.level.value, one.seen) for one in of_reminders(desk)] == found  # type: ignore[arg-type]  # nothing else is looked at


def test_a_library_can_be_chosen_and_must_exist(ils_payment, config):
    assert ils_payment("--config", config, "check", "--library", "lindental", "--json").code == 0
    ran = ils_payment("--config", config, "check", "--library", "linden")
    assert ran.code == 2
    assert "there is: lindental" in ran.err


@contextmanager
def answering(greeting):
    """A server that greets once and says no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("greeting", "level"), [(b"220 mail.example ESMTP\r\n", "ok"), (b"SSH-2.0-OpenSSH\r\n", "error")]
)
def test_the_mail_server_is_asked_for_its_greeting(ils_payment, config, greeting, level):
    with answering(greeting) as port:
        config.write_text(
            config.read_text(encoding="utf-8")
            + f'[mail]\nhost = "127.0.0.1"\nport = {port}\nsender = "a@b.example"\n',
            encoding="utf-8",
        )
        ran = ils_payment("--config", config, "check", "--json")
    assert about(ran, "mail server")["level"] == level


def test_a_mail_server_that_is_down_is_an_error(ils_payment, config):
    config.write_text(
        config.read_text(encoding="utf-8") + '[mail]\nhost = "127.0.0.1"\nport = 9\nsender = "a@b.example"\n',
        encoding="utf-8",
    )
    ran = ils_payment("--config", config, "check", "--json")
    assert ran.code == 1
    assert "firewall" in about(ran, "mail server")["mend"]


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0, Level.OK), (-4, Level.OK), (40, Level.WARNING), (-40, Level.WARNING), (600, Level.ERROR)],
)
def test_the_clock_is_compared_with_what_others_say(seconds, level):
    others = timedelta(seconds=seconds)
    assert _clock([others, others, timedelta(seconds=1)]).level is level


def test_a_clock_that_nobody_can_confirm_is_a_warning():
    assert _clock([]).level is Level.WARNING


def test_postgresql_without_its_driver_is_told_with_the_command_that_installs_it(
    ils_payment, config, monkeypatch
):
    text = config.read_text(encoding="utf-8")
    config.write_text(
        re.sub(r"(?m)^database = .*$", 'database = "postgresql://user@127.0.0.1:1/none"', text),
        encoding="utf-8",
    )
    monkeypatch.setitem(sys.modules, "psycopg", None)
    ran = ils_payment("--config", config, "check", "--json")
    assert about(ran, "database")["mend"] == installing("postgresql")


def test_a_ledger_that_cannot_be_written_is_told_with_file_and_owner(stage):
    settings = stage.house.settings
    with closing(open_store(settings, World())) as store:
        prove_writable(store, settings)
        event.listen(store.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA query_only=ON"))
        with pytest.raises(DatabaseError) as caught:
            prove_writable(store, settings)
    file = settings.server.database.removeprefix("sqlite:///")
    assert file in caught.value.what
    assert Path(file).owner() in caught.value.what
    assert "chown" in caught.value.mend


def with_database(config, path):
    text = config.read_text(encoding="utf-8")
    config.write_text(
        re.sub(r"(?m)^database = .*$", f'database = "sqlite:///{path}"', text), encoding="utf-8"
    )


def test_a_folder_that_is_not_there_and_a_file_that_is_no_database_are_told(ils_payment, config, tmp_path):
    with_database(config, tmp_path / "none" / "ledger.db")
    for command in ("serve", "db upgrade"):
        assert f"install -d -m 700 -o ils-payment -g ils-payment {tmp_path}/none" in (
            ils_payment("--config", config, *command.split()).err
        )
    found = about(ils_payment("--config", config, "check", "--json"), "database")
    assert "There is no folder" in found["seen"]
    (tmp_path / "ledger.db").write_text("no database at all" * 100, encoding="utf-8")
    with_database(config, tmp_path / "ledger.db")
    found = about(ils_payment("--config", config, "check", "--json"), "database")
    assert "is not a ledger" in found["seen"]
    assert "backup" in found["mend"]


def test_a_narrow_terminal_shows_a_block_for_each_finding(ils_payment, config, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    shown = ils_payment("--config", config, "check").out.splitlines()
    assert "Subject: database" in shown
    assert "Part: lindental: stripe" in shown
    assert not any("What to do" in line and not line.startswith("What to do: ") for line in shown)
