"""Change rooms bit by bit (mutmut) and count how many of the changes a test notices; ends with one JSON line.

Works on a copy in `build/mutation`, so that nothing in the tree changes. A room's tests are the narrow ones
that are named here. `--sample 50` tries fifty changes of each room, drawn with `--seed`; 0 tries all of them.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutation"
FOLDERS = ("ils_payment", "adapters", "providers", "runners", "tests", "examples", "benchmarks")
FILES = ("pyproject.toml", "README.md", "LICENSE")
STORIES = ("journeys_of_payments", "settle_protocol", "gates_and_observers")
_FLOW_TESTS = [f"tests/flows/test_{name}.py" for name in STORIES]
ROOMS: dict[str, tuple[list[str], list[str]]] = {
    "money": (["ils_payment/money.py"], ["tests/domain"]),
    "domain": (
        [f"ils_payment/domain/{name}.py" for name in ("ledger", "marker", "payable", "settling", "states")],
        ["tests/domain"],
    ),
    "flows": (
        [
            f"ils_payment/flows/{name}.py"
            for name in ("settle", "readback", "work", "advance", "observe", "pay")
        ],
        _FLOW_TESTS,
    ),
    "store": (
        [f"ils_payment/store/{name}.py" for name in ("attempts", "chain", "orders", "patrons", "payments")],
        ["tests/store", *_FLOW_TESTS],
    ),
}
"""For each room: what is changed, and which tests have to notice."""

KILLED = {1, 3, 24, 36, 152, 255, -24, -9, -11}
"""Ways in which mutmut's process ends when a test failed, or when a change never came to an end."""


def main() -> None:
    """Measure the rooms that are named, or all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rooms", default="")
    options.add_argument("--sample", type=int, default=0)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    rooms = given.rooms.split() or list(ROOMS)
    results = {room: measured(room, given.sample, given.seed) for room in rooms}
    tried = sum(result["tried"] for result in results.values())
    caught = sum(result["caught"] for result in results.values())
    print(json.dumps({"rooms": results, "tried": tried, "caught": caught, "seed": given.seed}))


def measured(room: str, sample: int, seed: int) -> dict[str, Any]:
    """Return how many changes of *room* were tried and noticed, and print those that were not."""
    prepare(room)
    mutmut = [str(Path(sys.executable).with_name("mutmut")), "run"]
    if not sample:
        run(mutmut)
    else:
        # Nothing has this name: the changes are written and the tests looked at, but none is tried.
        run([*mutmut, "none"])
        names = sorted(codes())
        run([*mutmut, *random.Random(seed).sample(names, min(sample, len(names)))])  # noqa: S311 - a sample
    tried = {name: code for name, code in codes().items() if code is not None}
    left = sorted(name for name, code in tried.items() if code not in KILLED)
    for name in left:
        print(f"not noticed: {name}")
    return {"changes": len(codes()), "tried": len(tried), "caught": len(tried) - len(left)}


def prepare(room: str) -> None:
    """Make the copy, configured for *room*."""
    shutil.rmtree(COPY, ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, COPY / name, ignore=shutil.ignore_patterns("__pycache__", "found"))
    for name in FILES:
        shutil.copy(ROOT / name, COPY / name)
    changed, tests = ROOMS[room]
    table = {
        "source_paths": ["ils_payment"],
        "only_mutate": changed,
        "also_copy": [*FOLDERS[1:], *FILES],
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": ["-q", "-x", "-p", "no:cacheprovider", "-k", "not postgresql"],
        "process_isolation": "forkserver",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    with (COPY / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def run(command: list[str]) -> None:
    """Run mutmut in the copy; how it ends says nothing that its own notes do not say better."""
    with (COPY / "mutmut.log").open("a", encoding="utf-8") as log:
        subprocess.run(command, cwd=COPY, stdout=log, stderr=log, check=False)


def codes() -> dict[str, int | None]:
    """Return how each change ended: 0 unnoticed, None not tried, everything else noticed."""
    found: dict[str, int | None] = {}
    for path in (COPY / "mutants").rglob("*.meta"):
        found.update(json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"])
    if not found:
        sys.exit(f"mutmut wrote no changes; {COPY}/mutmut.log says why.")
    return found


if __name__ == "__main__":
    main()
