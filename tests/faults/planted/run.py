"""``make planted``: plants each defect, and plays schedules until an invariant is broken.

A defect counts as caught by a seed only if the same seed breaks nothing without the defect.
``PLANTED_LIMIT=3000`` is the number of schedules that a defect may survive, ``PLANTED=name`` plants
one only, ``PLANTED_TABLE=docs/reliability.md`` writes the table between its marks in that file. The seed
that this table names for a defect is tried first; with ``PLANTED_FRESH=1`` the hunt begins anew.
``PROCESSES=2`` defects are hunted at the same time.

Defects of renewing play from the first seed on that may sell cards, those of following from the first that
may have an eLending platform, those that need a meeting from the first in which something may meet.
Schedules that have none of the faults without which a defect does not matter are counted, but not played:
what is printed is the number of the schedule in the whole sequence.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.kit import MEMORY, Kit
from tests.faults.mix import CARDS_FROM, MEETINGS_FROM, PLATFORMS_FROM, Mix
from tests.faults.planted.registry import Defect, every_defect
from tests.faults.play import play
from tests.faults.switches import MEETING

PROCESSES = int(os.environ.get("PROCESSES", "2"))
MISFITS = ("TypeError", "AttributeError", "NameError", "UnboundLocalError")
"""What the program meets when it has changed and the plant has not: that would be no catch."""
MISFIT = "does not fit"
FIRST = (30, 300)
"""So many schedules are played with every defect before any of them gets more."""
BEGIN, END = "<!-- planted: begin -->", "<!-- planted: end -->"
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "reliability.md"
ROW = re.compile(r"^\| (?P<name>[^|]+) \|[^|]+\| (?P<seed>\d+) \| \d+ \|", re.MULTILINE)


_kit: Kit | None = None


@dataclass(frozen=True, slots=True)
class Catch:
    """What came of one defect: the *seed* (None: it was not caught) and the invariant."""

    name: str
    seed: int | None
    schedules: int
    invariant: str = ""
    what: str = ""


def matters(defect: Defect, seed: int) -> bool:
    """Tell whether the schedule *seed* has any of the faults that the defect needs."""
    mix = Mix(random.Random(seed))
    # As a schedule's setting draws them.
    mix.add_people(random.Random(f"{seed} afterwards"))
    mix.add_cards(seed)
    mix.add_platforms(seed)
    mix.add_meetings(seed)
    return not defect.needs or any(name in mix.chance for name in defect.needs)


def violation(kit: Kit, defect: Defect | None, seed: int) -> tuple[str, str] | None:
    """Play *seed* with *defect* planted; return the broken invariant and what was wrong."""
    if defect is None:
        return play(kit, seed).broken
    with pytest.MonkeyPatch.context() as patch:
        defect.plant(patch)
        return play(kit, seed).broken


def caught_before(document: str) -> dict[str, int]:
    """Return which seed caught each defect when the table in *document* was written."""
    rows = document.partition(BEGIN)[2].partition(END)[0]
    return {row["name"].replace(" ", "_"): int(row["seed"]) for row in ROW.finditer(rows)}


def first(defect: Defect) -> int:
    """Return the first seed that a defect is hunted with."""
    if MEETING & set(defect.needs):
        return MEETINGS_FROM
    return {"renewing": CARDS_FROM, "following": PLATFORMS_FROM}.get(defect.group, 0)


def catch(kit: Kit, defect: Defect, seeds: range) -> Catch:
    """Play *seeds* with the defect until one breaks an invariant that holds without it."""
    begin = first(defect)
    for seed in seeds:
        if not matters(defect, seed):
            continue
        broken = violation(kit, defect, seed)
        if broken is not None and (broken[0] == "unexpected" or any(m in broken[1] for m in MISFITS)):
            # The plant does not fit any more, or an actor stumbled: that is no invariant.
            return Catch(defect.name, None, seed + 1 - begin, MISFIT, broken[1])
        if broken is not None and violation(kit, None, seed) is None:
            return Catch(defect.name, seed, seed + 1 - begin, *broken)
    return Catch(defect.name, None, seeds.stop - begin)


def rounds(names: list[str], known: dict[str, int], limit: int) -> Iterator[list[tuple[str, range]]]:
    """Yield what to play: the seeds of the last catches, then more and more of all; *names* gets shorter."""
    begins = {name: first(every_defect()[name]) for name in names}
    yield [
        (name, range(known[name], known[name] + 1))
        for name in names
        if 0 <= known.get(name, -1) - begins[name] < limit - 1
    ]
    begun = 0
    for end in (*(one for one in FIRST if one < limit), limit):
        yield [(name, range(begins[name] + begun, begins[name] + end)) for name in names]
        begun = end


def _begin(folder: str) -> None:
    """Make what one process needs for all its defects."""
    global _kit  # noqa: PLW0603 - a worker process has one kit for its whole life
    _kit = Kit(folder)


def _work(job: tuple[str, range]) -> Catch:
    name, seeds = job
    if _kit is None:
        raise RuntimeError("the process was not made ready")
    return catch(_kit, every_defect()[name], seeds)


def hunt(names: list[str], known: dict[str, int], limit: int) -> list[Catch]:
    """Hunt all defects in *names*, those that show soon before the others; tell of each as it ends."""
    waiting, ended = list(names), []
    with (
        TemporaryDirectory(prefix="ils-payment-faults-", dir=MEMORY if MEMORY.is_dir() else None) as folder,
        multiprocessing.get_context("spawn").Pool(PROCESSES, _begin, (folder,)) as pool,
    ):
        for jobs in rounds(waiting, known, limit):
            for one in pool.imap_unordered(_work, jobs, chunksize=1):
                if one.seed is None and one.schedules < limit and one.invariant != MISFIT:
                    continue
                waiting.remove(one.name)
                ended.append(one)
                verdict = f"seed {one.seed}, {one.invariant}" if one.seed is not None else "NOT CAUGHT"
                print(f"{one.name}: {verdict} after {one.schedules}: {one.what[:160]}", flush=True)
    return sorted(ended, key=lambda one: names.index(one.name))


def table(catches: list[Catch]) -> str:
    """Return the table of the documents."""
    defects = every_defect()
    head = "| defect | what is broken | seed | schedules | invariant |\n|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {one.name.replace('_', ' ')} | {defects[one.name].says} | {one.seed} | {one.schedules} | "
        f"{one.invariant} |"
        for one in catches
    )


def write(path: Path, text: str) -> None:
    """Put *text* between the marks in the document."""
    document = path.read_text(encoding="utf-8")
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Plant everything; return the exit code."""
    defects = every_defect()
    wanted = os.environ.get("PLANTED", "")
    names = wanted.split(",") if wanted else list(defects)
    limit = int(os.environ.get("PLANTED_LIMIT", "3000"))
    fresh = os.environ.get("PLANTED_FRESH", "") == "1"
    known = {} if fresh else caught_before(DOCUMENT.read_text(encoding="utf-8"))
    began = time.monotonic()
    catches = hunt(names, known, limit)
    target = os.environ.get("PLANTED_TABLE")
    if target:
        write(Path(target), table(catches))
    caught = sum(one.seed is not None for one in catches)
    seconds = round(time.monotonic() - began)
    print(json.dumps({"planted": len(catches), "caught": caught, "limit": limit, "seconds": seconds}))
    return 0 if caught == len(catches) else 1


if __name__ == "__main__":
    sys.exit(main())
