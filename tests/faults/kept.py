"""A long run that may be interrupted: one file keeps what it came to, and of which program.

``make simulate SCHEDULES=100000 KEEP=run.json`` writes the file after each chunk of seeds; typed again, also
on another machine, it goes on behind the last seed that was counted. A schedule is the same wherever it is
played, so the parts are one run, but only of one program: the file names the program by a hash over
the source of all that a schedule plays, the locked versions of what it uses, and the seeds that failed once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.machine import Found, Tally

ROOT = Path(__file__).parents[2]
PLAYED = ("ils_payment", "adapters", "providers", "runners", "tests/faults")
UNPLAYED = ("ils_payment/cli", "ils_payment/web/staff")
"""Commands and staff pages: schedules play the journeys below them."""
BESIDE = (
    "tests/conftest.py",
    "tests/ledgers.py",
    "tests/flows/renewing.py",
    "tests/flows/truths.py",
    "tests/faults/failed_seeds.txt",
    "uv.lock",
)


class OtherRunError(Exception):
    """The file keeps a run of another program, or of other seeds."""


@dataclass
class Kept:
    """What a run is of, and what it came to so far; ``file``: None keeps nothing."""

    file: Path | None
    run: dict[str, Any]
    total: Tally
    seconds: float = 0.0

    def save(self) -> None:
        """Write the file so that a reader finds the old one or the new one, never half of one."""
        if self.file is None:
            return
        numbers = {name: dict(sorted(getattr(self.total, name).items())) for name in _COUNTED}
        found = [asdict(one) for one in self.total.found]
        rows = {"run": self.run, "seconds": round(self.seconds), **numbers, "found": found}
        beside = self.file.with_name(f"{self.file.name}.new")
        beside.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        beside.replace(self.file)


_COUNTED = ("numbers", "fired", "passed")


def seed_in(file: Path) -> int | None:
    """Return the seed from which the run in *file* began; None where there is none yet."""
    return int(json.loads(file.read_text(encoding="utf-8"))["run"]["seed"]) if file.exists() else None


def begin_or_go_on(file: Path | None, run: dict[str, Any]) -> Kept:
    """Return the run that *file* keeps, or a new one; raises OtherRunError where it is not *run*."""
    if file is None:
        return Kept(None, run, Tally())
    run = {"program": program(), **run}
    if not file.exists():
        return Kept(file, run, Tally())
    rows = json.loads(file.read_text(encoding="utf-8"))
    if other := sorted(name for name in run if rows["run"].get(name) != run[name]):
        raise OtherRunError(
            f"{file} keeps a run of another {', '.join(other)}. Name another file to begin anew."
        )
    found = [Found(**one) for one in rows["found"]]
    total = Tally(**{name: Counter(rows[name]) for name in _COUNTED}, found=found)
    return Kept(file, run, total, rows["seconds"])


def program(root: Path = ROOT) -> str:
    """Return a hash over all that decides how a schedule goes."""
    told = hashlib.sha256()
    for name in played(root):
        told.update(f"{name}\n".encode() + (root / name).read_bytes())
    return told.hexdigest()


def played(root: Path = ROOT) -> list[str]:
    """Return the files that a schedule plays, in order."""
    sources = (path for folder in PLAYED for path in (root / folder).rglob("*.py"))
    names = (path.relative_to(root).as_posix() for path in sources if not path.name.startswith("test_"))
    return sorted([*BESIDE, *(name for name in names if not name.startswith(UNPLAYED))])
