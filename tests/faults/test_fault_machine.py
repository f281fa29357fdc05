"""The machine itself: schedules hold, a seed is a story, a defect is found and told, the recheck has eyes."""

from __future__ import annotations

import ast
import copy
import csv
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import count, islice
from pathlib import Path

import pytest

from tests.faults import reports
from tests.faults.kept import OtherRunError, begin_or_go_on, played, program
from tests.faults.kit import Kit
from tests.faults.machine import Found, Tally, hunt
from tests.faults.mix import CARDS_FROM, PLATFORMS_FROM, has_platforms, sells_cards
from tests.faults.play import Play, play
from tests.faults.recheck import recheck
from tests.faults.setting import Setting
from tests.faults.simulate import failed_seeds, main
from tests.faults.switches import NAMES, PLATFORM, SWITCHES

ROOT = Path(__file__).parents[2]
PARTS = 4
"""Parts that may run beside each other."""
SCHEDULES = 40
WITH_CARDS = 8
"""So many more schedules in which card renewals are sold."""
OF_MANY_DAYS = 769863486488
"""A seed that failed once and takes as long as fifty others; make simulate plays it."""
WITH_PLATFORMS = 12
"""So many more in which an eLending platform is asked."""


def simulate(*arguments, hash_seed="0"):
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.simulate", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_loses_or_doubles_a_cent(part, kit):
    numbers: Counter[str] = Counter()
    selling = list(islice(filter(sells_cards, count(CARDS_FROM)), WITH_CARDS))
    failed = [seed for seed in failed_seeds() if seed != OF_MANY_DAYS]
    for seed in [*failed[part::PARTS], *range(part, SCHEDULES, PARTS), *selling[part::PARTS]]:
        outcome = play(kit, seed)
        assert outcome.broken is None, f"make simulate REPLAY={seed}\n" + "\n".join(outcome.story)
        numbers += outcome.numbers
    assert numbers["captured_payments"] > SCHEDULES / PARTS / 3, numbers


@pytest.mark.timeout(300)
def test_what_is_said_of_elending_was_asked_and_other_blocks_stay(kit):
    fired: Counter[str] = Counter()
    for seed in islice(filter(has_platforms, count(PLATFORMS_FROM)), WITH_PLATFORMS):
        outcome = play(kit, seed)
        assert outcome.broken is None, f"make simulate REPLAY={seed}\n" + "\n".join(outcome.story)
        fired += outcome.fired
    assert set(fired) >= PLATFORM


@pytest.mark.timeout(300)
def test_the_same_seed_is_the_same_story_in_any_process_and_order(kit):
    play(kit, 3)
    here = play(kit, 11, told=True)
    again = play(kit, 11)
    assert here.fingerprint == again.fingerprint
    assert here.story
    elsewhere = simulate("--replay", "11", hash_seed="12345")
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert f"Fingerprint {here.fingerprint}" in elsewhere.stdout
    assert play(kit, 12).fingerprint != here.fingerprint


@pytest.mark.timeout(300)
def test_a_run_plays_what_failed_once_and_ends_with_one_line_of_numbers(tmp_path):
    # The seeds that really failed are played above.
    failed = tmp_path / "failed_seeds.txt"
    failed.write_text("# Seeds that failed once, and why.\n31000964 a late call\n")
    one = ("--processes", "1", "--failed", str(failed))
    done = simulate("--schedules", "4", "--seed", "7000", *one, "--report")
    assert done.returncode == 0, done.stdout
    numbers = json.loads(done.stdout.splitlines()[-1])
    assert numbers["schedules"] == 4 + 1
    assert (numbers["violations"], numbers["seed"]) == (0, 7000)
    for switch in SWITCHES:
        assert f"| {switch.name} |" in done.stdout


@pytest.mark.timeout(300)
def test_a_kept_run_goes_on_where_it_was_and_comes_to_the_same(kit, tmp_path, monkeypatch, capsys):
    def tallies_here(seeds, **_options):
        for seed in seeds:
            tally = Tally()
            tally.add(play(kit, seed))
            yield tally

    def counted(*arguments):
        monkeypatch.setattr(sys, "argv", ["simulate", "--failed", str(tmp_path / "none"), *arguments])
        assert main() == 0
        numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
        del numbers["per_second"]
        return numbers

    monkeypatch.setattr("tests.faults.simulate.tallies", tallies_here)
    kept = ("--keep", str(tmp_path / "run.json"))
    whole = counted("--schedules", "5", "--seed", "7000")
    assert counted("--schedules", "2", "--seed", "7000", *kept)["schedules"] == 2
    assert counted("--schedules", "5", *kept) == whole
    monkeypatch.setattr("tests.faults.simulate.tallies", None)
    assert counted("--schedules", "5", *kept) == whole


def test_a_run_of_another_program_is_not_gone_on_with(tmp_path):
    file = tmp_path / "run.json"
    begun = begin_or_go_on(file, {"seed": 1})
    begun.total.found.append(Found(1, "I2", "a second credit"))
    begun.save()
    assert begin_or_go_on(file, {"seed": 1}).total == begun.total
    file.write_text(file.read_text().replace(program(), "0" * 64))
    with pytest.raises(OtherRunError, match="another program, seed"):
        begin_or_go_on(file, {"seed": 2})


def test_the_hash_of_the_program_covers_all_that_a_schedule_plays():
    play_one = "from tests.faults.simulate import _replay; _replay(3000, None, '')"
    tell = "import sys; print(*(getattr(one, '__file__', None) for one in sys.modules.values()), sep='\\n')"
    script = [sys.executable, "-c", f"{play_one}\n{tell}"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True)
    told = (Path(line) for line in done.stdout.splitlines() if line.startswith(str(ROOT)))
    loaded = {path.relative_to(ROOT).as_posix() for path in told if ".venv" not in path.parts}
    assert loaded >= {"ils_payment/flows/settle.py", "tests/faults/play.py"}
    assert loaded <= set(played())


@pytest.mark.timeout(300)
def test_a_planted_defect_is_found_and_its_seed_can_be_replayed(tmp_path):
    patch = "tests.faults.test_fault_machine:trust_nobody_and_wait_for_nothing"
    found = hunt(patch, schedules=200, base=1, processes=1)
    assert found is not None
    alone = ("--schedules", "1", "--seed", str(found.seed), "--failed", str(tmp_path / "none"))
    told = simulate(*alone, "--processes", "1", "--patch", patch)
    assert told.returncode == 1
    assert f"Seed {found.seed} breaks {found.invariant}" in told.stdout
    assert f"make simulate REPLAY={found.seed}" in told.stdout
    assert json.loads(told.stdout.splitlines()[-1])["violations"] >= 1


def trust_nobody_and_wait_for_nothing():
    """Plant a defect: every captured cent is forgotten as soon as it is seen."""
    from types import SimpleNamespace
    from unittest.mock import patch

    from ils_payment.flows import observe

    return patch.object(observe, "ledger", SimpleNamespace(paid=lambda _lines: [], paid_wrong=lambda *_: []))


def test_every_switch_has_a_name_of_its_own_and_a_reason_when_it_is_not_there():
    assert len({switch.name for switch in SWITCHES}) == len(SWITCHES) >= 52
    assert {switch.name for switch in SWITCHES if not switch.absent} == NAMES


# --- the outsider's check ---


def peaceful(kit, seeds, column, *kept):
    """The reports of the first schedule without faults (but *kept*) whose postings have a *column*."""
    for seed in seeds:
        setting = Setting(kit, seed)
        setting.mix.forgo()
        setting.mix.chance.update(dict.fromkeys(kept, 1.0))
        try:
            Play(setting).run()
            made = reports.write(setting)
        finally:
            setting.close()
        if any(row["destination"] == "library_system" and row[column] for row in made[2]):
            return made
    raise AssertionError("no schedule settled anything")


@pytest.fixture(scope="module")
def peace():
    """The reports of a schedule in which a payment was settled and of one in which a card was renewed."""
    kit = Kit()
    yield (
        peaceful(kit, range(100), "line"),
        peaceful(kit, islice(filter(sells_cards, count(CARDS_FROM)), 100), "card_marker", "card_sold"),
    )
    kit.close()


@pytest.fixture
def good_reports(peace):
    """Reports of which nobody has to decide anything, to be spoiled."""
    return copy.deepcopy(peace[0])


@pytest.fixture
def good_reports_of_cards(peace):
    """The same where a card was renewed."""
    return copy.deepcopy(peace[1])


def test_the_recheck_agrees_with_good_books(good_reports, good_reports_of_cards):
    assert recheck(*good_reports) == []
    assert recheck(*good_reports_of_cards) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda koha, debit: koha.remove(debit),
        lambda koha, debit: koha.append(copy.deepcopy(debit)),
        lambda _koha, debit: debit.update(cents=debit["cents"] + 1),
        lambda _koha, debit: debit.update(unused=1),
    ],
)
def test_the_recheck_sees_a_debit_for_a_card_that_does_not_fit(good_reports_of_cards, spoil):
    _, koha, ledger = good_reports_of_cards
    marker = next(row["card_marker"] for row in ledger if row["card_marker"])
    spoil(koha, next(row for row in koha if row["note"] == marker and row["debit"]))
    assert any(sentence.startswith(f"C4 {marker}") for sentence in recheck(*good_reports_of_cards))


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda provider, _koha, _ledger: provider[0].update(captured=provider[0]["captured"] + 1), "I1"),
        (
            lambda provider, _koha, _ledger: provider.append(
                {"reference": "X", "captured": 5, "returned": 0}
            ),
            "I1",
        ),
        (lambda _provider, _koha, ledger: ledger.pop(0), "I1"),
        (lambda _provider, koha, _ledger: koha.append(copy.deepcopy(_ours(koha))), "I2"),
        (lambda _provider, koha, _ledger: koha.remove(_ours(koha)), "I2"),
        (lambda _provider, koha, _ledger: _ours(koha).update(cents=1), "I3"),
        (lambda _provider, koha, _ledger: _ours(koha).update(unused=7), "I4"),
        (
            lambda _provider, koha, _ledger: _ours(koha)["fee_amounts"].update(
                dict.fromkeys(_ours(koha)["fees"], 1)
            ),
            "I4",
        ),
        (lambda _provider, koha, _ledger: _ours(koha).update(fees={"99": 5}, fee_amounts={"99": 5}), "I4"),
    ],
)
def test_the_recheck_sees_what_does_not_fit(good_reports, spoil, rule):
    spoil(*good_reports)
    assert any(sentence.startswith(rule) for sentence in recheck(*good_reports)), recheck(*good_reports)


def test_the_recheck_reads_the_export_too(good_reports):
    provider, koha, ledger = good_reports
    paid = next(row for row in ledger if row["destination"] == "library_system")
    came_in = sum(row["cents"] for row in ledger if row["source"] == "provider" and _same(row, paid))
    row = {"id": "1-1", "type": "payment", "receipt_number": paid["receipt_number"], "state": "settled"}
    row |= {
        "marker": paid["marker"],
        "gross": f"{came_in // 100},{came_in % 100:02}",
        "refund": "",
        "moved": "",
    }
    whole = [{**one, "exported": 1} for one in ledger]
    assert recheck(provider, koha, whole, [row]) == []
    (wrong,) = recheck(provider, koha, whole, [{**row, "gross": "0,01"}])
    assert wrong.startswith("I1 export")
    (wrong,) = recheck(provider, koha, whole, [{**row, "marker": "ILSP-NOBODY-0"}])
    assert wrong.startswith("I2 export")
    assert any(one.startswith("I13") for one in recheck(provider, koha, whole, [row, row]))


def _same(one, other):
    return one["payment"] == other["payment"]


def _ours(koha):
    return next(row for row in koha if row["note"].startswith("ILSP-"))


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_recheck_runs_alone_on_files(good_reports, form, tmp_path):
    names = []
    for name, rows in zip(("provider", "koha", "ledger"), good_reports, strict=True):
        path = tmp_path / f"{name}.{form}"
        names.append(str(path))
        if form == "json":
            path.write_text(json.dumps(rows))
        else:
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                cells = [
                    {key: json.dumps(cell) if isinstance(cell, dict) else cell for key, cell in row.items()}
                    for row in rows
                ]
                writer.writerows(cells)
    script = ROOT / "tests" / "faults" / "recheck.py"

    def run():
        return subprocess.run(
            [sys.executable, "-I", script, *names], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert run().returncode == 0, run().stdout
    kept = Path(names[0]).read_text().replace(str(good_reports[0][0]["captured"]), "4")
    Path(names[0]).write_text(kept)
    assert run().returncode == 1
    assert run().stdout.startswith("I1 ")


def test_the_recheck_shares_no_code_with_what_it_checks():
    tree = ast.parse((ROOT / "tests" / "faults" / "recheck.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
