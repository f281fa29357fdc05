"""``make failpoints``: the program dies at every failpoint of every scenario, before and after.

Each scenario is played once undisturbed, and every failpoint that it passes is noted. Then it is
played again for each of them and for both sides of it: the program dies there, is started again,
lives through the rest of the story and through a drain without faults, and the rules are held. The
ten money scenarios are played with two deaths as well, at places drawn by lot.

``FAILPOINT_PAIRS=300`` is the number of pairs, ``FAILPOINT_EVERY=5`` dies in a fifth of the places only,
``FAILPOINT_SCENARIO=card`` plays one scenario only, and with ``FAILPOINT_DEATHS=12-before,30-after``
replays one run of it and tells its story. ``PROCESSES=2`` scenarios are played at the same time.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from tests.conftest import Town
from tests.faults.failpoints_rules import hold_rules
from tests.faults.failpoints_stage import Death, Stage
from tests.faults.scenarios import Scenario, every_scenario

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("ils_payment", "adapters", "providers")
PROCESSES = int(os.environ.get("PROCESSES", "2"))
LEFT_OUT = {"simulator", "testing"}
"""Folders whose failpoints are not the program's own."""
ELSEWHERE = ("adyen.", "opac_soap.", "sip2.", "sisis.", "xbezahldienste.")
"""How failpoints begin that no scenario here passes: each plugin's own tests of crashes die at each."""


@dataclass
class Outcome:
    """What came of the runs of one scenario."""

    scenario: str
    passed: list[str] = field(default_factory=list)
    cells: int = 0
    runs: int = 0
    covered: int = 0
    pairs: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@contextmanager
def template() -> Iterator[Path]:
    """Yield an upgraded ledger without payments, in memory where there is room for it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "empty.db"
        Town(f"sqlite:///{path}").close()
        yield path


def play(scenario: Scenario, empty: Path, deaths: tuple[Death, ...] = ()) -> tuple[Stage, list[str]]:
    """Play *scenario* with *deaths* to its end and hold the rules; return the closed stage and the ends."""
    ledger = empty.with_name(f"{os.getpid()}.db")
    stage = Stage(empty, ledger, deaths)
    try:
        if scenario.proof:
            stage.settle_somebody_first()
        scenario.play(stage)
        stage.drain()
        ended = hold_rules(stage.town)
        fresh = [state for key, state in ended.items() if key not in stage.earlier]
    finally:
        stage.close()
        for left in ledger.parent.glob(f"{ledger.name}*"):
            left.unlink()
    return stage, fresh


def same_deaths(log: list[str]) -> list[list[Death]]:
    """Return all deaths of a run, those together after which the same is left.

    A death takes all that the program has in memory; what stays are its effects (commits, calls that
    are no questions, mails). So two deaths between the same two effects are one and the same, and the
    program needs to die once for all of them: *log* is what happened in the undisturbed run.
    """
    groups: dict[int, list[Death]] = {}
    marks, place, open_after = 0, 0, list[int]()
    for what in log:
        if what == "pass":
            groups.setdefault(marks, []).append(Death(place, after=False))
            open_after.append(place)
            place += 1
            continue
        if what == "effect":
            marks += 1
        if what != "world" and open_after:
            # The effect that was announced, or the end of the step in which there is none.
            groups.setdefault(marks, []).extend(Death(one, after=True) for one in open_after)
            open_after.clear()
        if what != "effect":
            marks += 1
    return list(groups.values())


def play_scenario(
    scenario: Scenario, empty: Path, *, every: int = 1, pairs: int = 0, seed: int = 0
) -> Outcome:
    """Play one scenario calmly, then with a death in each *every*-th group, then with *pairs* of deaths."""
    outcome = Outcome(scenario.name)
    stage, ended = play(scenario, empty)
    if sorted(ended) != sorted(scenario.ends):
        outcome.problems.append(f"{scenario.name}: ends as {ended}, not as {scenario.ends}")
    outcome.passed = list(stage.passed)
    outcome.cells = 2 * len(stage.passed)
    for same in same_deaths(stage.log)[seed % every :: every]:
        outcome.runs += 1
        if _survives(scenario, empty, same[:1], outcome):
            outcome.covered += len(same)
    rng = random.Random(f"{seed} {scenario.name}")
    for _ in range(pairs):
        first, second = sorted(rng.sample(range(len(stage.passed)), 2))
        two = [Death(first, after=rng.random() < 0.5), Death(second, after=rng.random() < 0.5)]
        outcome.pairs += _survives(scenario, empty, two, outcome)
    return outcome


def _survives(scenario: Scenario, empty: Path, deaths: Sequence[Death], outcome: Outcome) -> bool:
    """Play one run; tell whether the program died in it at least once and the rules hold."""
    told = ",".join(f"{one.place}-{'after' if one.after else 'before'}" for one in deaths)
    replay = f"FAILPOINT_SCENARIO={scenario.name} FAILPOINT_DEATHS={told}"
    try:
        stage, ended = play(scenario, empty, tuple(deaths))
    except Exception as error:  # noqa: BLE001 - whatever breaks is what was looked for
        outcome.problems.append(f"{replay}: {type(error).__name__}: {error}")
        return False
    outcome.ended.update(ended)
    if not stage.died:
        outcome.problems.append(f"{replay}: the program did not die")
    return bool(stage.died)


def named_in_source() -> dict[str, re.Pattern[str]]:
    """Return every failpoint that the program's source names, with what its names look like when passed."""
    found = {}
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if LEFT_OUT & set(path.parts) or path.stem == "simulator":
                continue
            for call in re.finditer(r"\bfailpoint\(\s*f?\"([^\"]+)\"", path.read_text(encoding="utf-8")):
                pattern = "".join(
                    ".+" if part.startswith("{") else re.escape(part)
                    for part in re.split(r"(\{[^}]*\})", call[1])
                )
                found[call[1]] = re.compile(pattern)
    return found


def never_passed(passed: Iterable[str]) -> list[str]:
    """Return the failpoints of the source that are not among *passed*."""
    names = set(passed)
    here = {name: look for name, look in named_in_source().items() if not name.startswith(ELSEWHERE)}
    return [name for name, look in here.items() if not any(look.fullmatch(n) for n in names)]


def drop(_logger: object, _method: str, _event: object) -> str:
    """Say nothing: thousands of deaths would fill the terminal."""
    raise structlog.DropEvent


def _prepare() -> None:
    """Make a worker process quiet."""
    structlog.configure(processors=[drop])


def _work(job: tuple[str, Path, int]) -> Outcome:
    name, empty, pairs = job
    scenario = every_scenario()[name]
    return play_scenario(scenario, empty, every=int(os.environ.get("FAILPOINT_EVERY", "1")), pairs=pairs)


def _replay(scenario: Scenario, told: str) -> int:
    deaths = tuple(Death(int(one.split("-")[0]), one.endswith("after")) for one in told.split(",") if one)
    with template() as empty:
        stage, ended = play(scenario, empty, deaths)
    print(*enumerate(stage.passed), sep="\n")
    print(f"died at {stage.died}, ended as {ended}")
    return 0


def main() -> int:
    """Play everything; return the exit code."""
    scenarios = every_scenario()
    one, told = os.environ.get("FAILPOINT_SCENARIO"), os.environ.get("FAILPOINT_DEATHS")
    if one and told is not None:
        return _replay(scenarios[one], told)
    if one:
        scenarios = {one: scenarios[one]}
    each = int(os.environ.get("FAILPOINT_PAIRS", "300")) // 10
    began = time.monotonic()
    outcomes: list[Outcome] = []
    with template() as empty, multiprocessing.get_context("spawn").Pool(PROCESSES, _prepare) as pool:
        jobs = [(name, empty, each if known.money else 0) for name, known in scenarios.items()]
        for outcome in pool.imap_unordered(_work, jobs, chunksize=1):
            outcomes.append(outcome)
            ended = dict(outcome.ended)
            print(f"{outcome.scenario}: {outcome.covered} of {outcome.cells} in {outcome.runs} runs, {ended}")
            print(*(f"  {problem[:400]}" for problem in outcome.problems[:3]), sep="\n", flush=True)
    names = sorted({name for outcome in outcomes for name in outcome.passed})
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    missing = [] if one else never_passed(names)
    print(f"failpoints: {', '.join(names)}")
    problems += [f"no scenario passes the failpoint {name}" for name in missing]
    print(*problems[:50], sep="\n")
    summary = {
        "failpoints": len(names),
        "scenarios": len(outcomes),
        "cells": sum(outcome.cells for outcome in outcomes),
        "covered": sum(outcome.covered for outcome in outcomes),
        "runs": sum(outcome.runs for outcome in outcomes),
        "pairs": sum(outcome.pairs for outcome in outcomes),
        "problems": len(problems),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(summary))
    return 1 if problems or summary["covered"] < summary["cells"] else 0


if __name__ == "__main__":
    sys.exit(main())
