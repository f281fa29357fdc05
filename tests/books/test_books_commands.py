"""The treasury's and the auditor's commands as a shell sees them: output, files and exit codes."""

from __future__ import annotations

import json
import re
import stat
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from click.testing import CliRunner
from sqlalchemy import text, update

from ils_payment.cli import export as export_command
from ils_payment.cli import golive, logs
from ils_payment.cli import verify as verify_command
from ils_payment.cli.main import cli
from ils_payment.errors import ILSPaymentError
from ils_payment.flows import backup, decide
from ils_payment.flows.export import export
from ils_payment.flows.golive import checklist
from ils_payment.flows.reconcile import reconcile
from ils_payment.flows.seal import seal
from ils_payment.model import MarkerSupport, Payout, PayoutEntry, RefundSupport
from ils_payment.store import journal
from ils_payment.store.case_tables import refunds
from tests.books.conftest import YESTERDAY
from tests.flows.decisions import CLERK, TREASURER, refund

DAY = YESTERDAY.isoformat()
SPAN = (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def typed(books, monkeypatch):
    """Type a command; it works on the town's house. Returns exit code and what was told."""
    # Logging is set up for a process, and this one has other tests.
    monkeypatch.setattr(logs, "configure", lambda: None)
    for module, name in (
        (export_command, "whole_house"),
        (export_command, "ledger"),
        (verify_command, "ledger"),
        (golive, "ledger"),
    ):
        monkeypatch.setattr(module, name, lambda _config: nullcontext(books.house))

    def run(*words):
        done = CliRunner().invoke(cli, [str(word) for word in words])
        if done.exception is not None and not isinstance(done.exception, (ILSPaymentError, SystemExit)):
            raise done.exception
        error = str(done.exception) if isinstance(done.exception, ILSPaymentError) else ""
        return done.exit_code, done.stdout_bytes.decode(), done.stderr + error

    return run


def days(*more, first=DAY, last=DAY):
    return ("export", "--library", "lindental", "--from", first, "--to", last, *more)


def test_an_export_is_a_file_that_only_its_owner_reads_and_a_summary(typed, tmp_path):
    file = tmp_path / "export.csv"
    code, out, _ = typed(*days("--output", file))
    assert code == 0
    assert "Export 1 of lindental, 2026-11-21 to 2026-11-21: 4 row(s), 0 of them late." in out
    assert "payment.gross" in out
    assert "12.50" in out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = tmp_path / "again.csv"
    code, out, _ = typed(*days("--output", again, "--json"))
    told = json.loads(out)
    assert again.read_bytes() == file.read_bytes()
    assert (told["repeated"], told["rows"], told["totals"][0]["payment.gross"]) == (True, 4, 1250)
    code, out, err = typed(*days())
    assert out.encode() == file.read_bytes()
    assert "made before and handed out again" in err


def test_the_sums_of_an_export_are_also_told_by_cost_centre_and_account(typed, tmp_path):
    _, out, _ = typed(*days("--output", tmp_path / "export.csv"))
    assert re.search(r"2026-11-21 +EUR +test +4711 +331100 +payment\.gross +4\.50", out)
    assert "Note: without account or cost centre: MANUAL, NEW_CARD, RESERVE; write them into " in out
    told = json.loads(typed(*days("--output", tmp_path / "again.csv", "--json"))[1])
    assert {
        "day": DAY,
        "currency": "EUR",
        "mode": "test",
        "cost_centre": "4711",
        "account": "331100",
        "payment.gross": 450,
    } in told["by_account"]
    assert sum(one["payment.gross"] for one in told["by_account"]) == 1250
    assert any("libraries.lindental.fee_kinds" in note for note in told["notes"])


def test_the_exports_are_listed_with_the_days_that_none_has(typed, books, tmp_path):
    asked = ("export", "--library", "lindental", "--list")
    assert "Nothing was exported yet." in typed(*asked)[1]
    books.world.pass_time(days=4)
    code, out, _ = typed(*asked)
    assert (code, "In no export: 2026-11-21 to 2026-11-25." in out) == (0, True)
    typed(*days("--output", tmp_path / "one.csv", first="2026-11-23", last="2026-11-24"))
    told = json.loads(typed(*asked, "--json")[1])
    assert [(one["export"], one["from"], one["to"]) for one in told["exports"]] == [
        (1, "2026-11-23", "2026-11-24")
    ]
    assert told["gaps"] == [
        {"from": "2026-11-21", "to": "2026-11-22"},
        {"from": "2026-11-25", "to": "2026-11-25"},
    ]
    typed(*days("--output", tmp_path / "two.csv", last="2026-11-22"))
    typed(*days("--output", tmp_path / "three.csv", first="2026-11-25", last="2026-11-25"))
    assert "Every day until yesterday is in an export." in typed(*asked)[1]
    assert typed("export", "--library", "lindental")[0] == 2


def test_a_file_that_is_there_is_kept_and_nothing_is_exported(typed, tmp_path):
    file = tmp_path / "export.csv"
    file.write_text("something of value")
    code, _, err = typed(*days("--output", file))
    assert code == 1
    assert "is there already" in err
    assert file.read_text() == "something of value"
    code, _, err = typed(*days("--output", tmp_path / "no" / "folder.csv"))
    assert code == 1
    assert "The export is kept" in err


def test_what_does_not_add_up_is_told_line_by_line(typed, books):
    wrong = Payout(
        ref="po_1",
        cents=5,
        currency="EUR",
        arrival=YESTERDAY,
        entries=(PayoutEntry(ref="t", kind="other", cents=7, fee=0),),
    )
    books.provider.listed = [wrong]
    code, out, err = typed(*days())
    assert (code, out) == (1, "")
    assert "The books do not add up:\n  payout po_1 of stripe on 2026-11-21" in err
    assert typed(*days("--without-payouts"))[0] == 0


@pytest.mark.parametrize(
    ("words", "ends", "says"),
    [
        (days(first="2026-11-23", last="2026-11-23"), 1, "not over yet in Europe/Berlin"),
        (("export", "--library", "x", "--from", DAY, "--to", DAY), 2, "There is no library 'x'"),
        (days("--json"), 2, "--output FILE"),
        (days(first="yesterday"), 2, "is no day; write it like 2026-12-31"),
    ],
)
def test_what_cannot_be_exported_is_told_and_a_mistyped_command_ends_with_two(typed, words, ends, says):
    code, _, err = typed(*words)
    assert code == ends
    assert says in err


def test_verify_tells_balances_and_finds_what_was_changed(typed, books):
    made = seal(books.house)
    assert made is not None
    code, out, _ = typed("verify", "--seal", made.hash.upper())
    assert code == 0, out
    assert "Everything fits." in out
    assert f"Seal {made.number} of 2026-11-22" in out
    code, out, _ = typed("verify", "--json")
    told = json.loads(out)
    assert (told["sound"], told["payments"]) == (True, 1)
    with books.house.store.unit() as unit:
        unit.connection.execute(text("UPDATE payments SET cents = 1249"))
    code, out, _ = typed("verify")
    assert code == 1
    number = books.view(books.paid).number
    assert f"WRONG: payment {books.paid} ({number}): its lines make 1250 cents, the payment says 1249" in out
    code, out, _ = typed("verify", "--json", "--seal", "0" * 64)
    assert code == 1
    assert json.loads(out)["findings"][-1].startswith(f"the seal {'0' * 64} is not in the journal")


@pytest.fixture
def printed(books, capsys, monkeypatch):
    """Print the list for going live; *checked* and *live* are what ``check`` found before it."""
    monkeypatch.setattr(golive, "ledger", lambda _config: nullcontext(books.house))

    def run(checked="", live=(), desks=MappingProxyType({})):
        capsys.readouterr()
        golive.print_checklist(None, None, checked, live, desks, as_json=False)
        return capsys.readouterr().out

    return run


def ticked(out):
    """The numbers of the lines that the program has ticked off."""
    return [int(number) for number in re.findall(r"^\[x\] +(\d+)\.", out, re.MULTILINE)]


def test_the_list_for_going_live_speaks_of_the_number_where_the_library_system_shows_it(books, monkeypatch):
    desk = books.house.libraries["lindental"]

    def asked():
        return checklist(books.house, "lindental", "", live=False, desk=desk)[1].how

    assert asked().endswith("with the number of the receipt.")
    silent = replace(desk.system.capabilities(), marker=MarkerSupport.WRITE_ONLY)
    monkeypatch.setattr(desk.system, "capabilities", lambda: silent)
    assert asked().endswith("has one credit of just this amount.")


def test_the_list_for_going_live_ticks_off_what_the_books_have_seen(books, typed, printed):
    titles = {item.title: item.seen for item in checklist(books.house, "lindental", "", live=False)}
    assert not any(titles.values()), "test money is not real money"
    with books.house.store.unit() as unit:
        unit.connection.execute(text("UPDATE payments SET live = true"))
    assert typed(*days())[0] == 0
    seal(books.house)
    out = printed("no error, 0 warning(s), 9 times ok", {"lindental"})
    number = books.view(books.paid).number
    assert "GOING LIVE: Stadtbücherei Lindental (lindental)" in out
    assert "[x]  2. A real fee was paid with real money and is settled" in out
    assert f"Seen: 2026-11-21 22:00 {number}, 12.50 EUR" in out
    assert "Seen: export 1, 2026-11-21 to 2026-11-21, 4 rows" in out.replace("row(s)", "rows")
    assert "[ ]  4. A refund went through two persons" in out
    assert out.count("signed:") == len(titles) + 3
    assert max(map(len, out.splitlines())) <= 80


def test_the_list_for_going_live_leaves_to_a_person_what_no_program_can_know(books, printed, tmp_path):
    """That the treasury could read the export, where a backup lies, what patrons read, who keeps a seal."""
    house = books.house
    export(house, books.desk, TREASURER, YESTERDAY, YESTERDAY)
    backup.backup(house.store, TREASURER, tmp_path / "copy.db")
    with house.store.unit() as unit:
        journal.append(unit, TREASURER.name, "pause", {})
    seal(house)
    out = printed("no error", {"lindental"})
    assert ticked(out) == [1]
    for number, told in ((5, "export 1"), (8, "last on "), (10, "last on "), (11, "seal ")):
        line = out[out.index(f"[ ] {number:2}. ") :]
        assert f"Seen: {told}" in line[: line.index("signed:")]


@pytest.mark.parametrize(("live", "says"), [(set(), "no error; but with test keys"), ({"lindental"}, "")])
def test_an_installation_with_test_keys_is_not_complete(books, printed, live, says):
    out = printed("no error", live)
    assert ticked(out) == ([1] if live else [])
    assert says in out
    assert ticked(printed("", live)) == []


@pytest.mark.parametrize(
    ("differences", "ticks", "says"), [(0, [7], "no difference(s)"), (2, [], "2 difference(s)")]
)
def test_a_comparison_that_found_differences_is_not_ticked_off(books, printed, differences, ticks, says):
    facts = {"since": "2026-11-20T00:00:00+00:00", "until": "2026-11-22T00:00:00+00:00"}
    with books.house.store.unit() as unit:
        for found in (5 - differences, differences):
            facts = {**facts, "differences": found}
            journal.append(unit, "cli:treasurer", "reconciled", facts, "lindental")
        journal.append(unit, "cli:treasurer", "reconciled", {**facts, "differences": 0}, "elsewhere")
    out = printed()
    assert ticked(out) == ticks
    assert says in out


def without(desk, **less):
    """The library with a provider, and a library system, that can do less."""

    class Less:
        def __init__(self, plugin, **changes):
            self.can = replace(plugin.capabilities(), **changes)

        def capabilities(self):
            return self.can

    marker = less.pop("marker", MarkerSupport.READABLE)
    providers = {"xbezahldienste": Less(desk.providers["stripe"], **less)}
    return replace(desk, providers=providers, system=Less(desk.system, marker=marker))


def test_what_a_provider_cannot_do_is_no_line_for_it_but_one_for_the_treasury(books, printed):
    less = without(books.desk, refund=RefundSupport.NONE, payouts=False)
    out = " ".join(printed(desks={"lindental": less}).split())
    assert "A refund went to the treasury, and its voucher closed the case" in out
    assert "xbezahldienste gives nothing back" in out
    assert "the provider has sent it" not in out
    assert "xbezahldienste lists no payouts, so no export has them: the treasury compares" in out
    assert "A payout is on the bank account" not in out
    whole = printed(desks={"lindental": books.desk})
    assert whole == printed()
    assert "A refund went to the treasury" not in whole


def test_where_one_provider_of_two_can_do_it_both_lines_are_there(books, printed):
    less = without(books.desk, refund=RefundSupport.NONE, payouts=False)
    both = replace(less, providers={**books.desk.providers, **less.providers})
    out = printed(desks={"lindental": both})
    assert max(map(len, out.splitlines())) <= 80
    assert "the provider has sent it" in out
    assert "A refund went to the treasury" in out
    assert "A payout is on the bank account" in out
    assert "xbezahldienste lists no payouts" in out


def test_where_no_program_can_compare_everything_a_person_is_told_what_to_compare(books, printed):
    desk = without(books.desk, listing=False, marker=MarkerSupport.WRITE_ONLY)
    compared = reconcile(books.house, desk, *SPAN, TREASURER)
    assert (list(compared.sides), len(compared.beyond)) == ([], 2)
    out = " ".join(printed(desks={"lindental": desk}).split())
    assert ticked(printed(desks={"lindental": desk})) == ticked(printed()) == []
    assert "but nothing was compared" in out
    assert "provider xbezahldienste cannot list its payments; the library system's markers cannot be" in out
    assert "a person compares" in out
    desk = replace(books.desk, providers=desk.providers)
    assert not reconcile(books.house, desk, *SPAN, TREASURER).differences
    out = " ".join(printed(desks={"lindental": desk}).split())
    assert ticked(printed()) == []
    assert "no difference(s) as far as a program can compare" in out


@pytest.mark.parametrize(("approver", "ticks"), [(CLERK, []), (TREASURER, [4])])
def test_a_refund_that_one_person_made_alone_is_not_one_of_two(books, printed, approver, ticks):
    asked = refund(books, books.paid)
    assert decide.approve(books.house, TREASURER, str(asked.refund_id)).ok
    books.run()
    with books.house.store.unit() as unit:
        unit.connection.execute(text("UPDATE payments SET live = true"))
        unit.connection.execute(update(refunds).values(approved_by=approver.name))
    assert [one for one in ticked(printed()) if one != 2] == ticks
