"""Measure which branches of money, domain, flows and store the tests of these rooms take; one JSON line.

Exits with 1 when a room is below its limit. What cannot be reached is marked in the source, with the reason.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "build" / "coverage.json"
TESTS = ("tests/domain", "tests/flows", "tests/store", "tests/books", "tests/web", "tests/cli")
ROOMS = {
    "money": "ils_payment/money.py",
    **{name: f"ils_payment/{name}/" for name in ("domain", "flows", "store")},
}


def main() -> None:
    """Run the tests under coverage and add up by room."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--least", type=float, default=100.0, help="the limit for each room, in per cent")
    options.add_argument("tests", nargs="*", help="folders or files, instead of all of these rooms' tests")
    given = options.parse_args()
    REPORT.parent.mkdir(exist_ok=True)
    settings = {**os.environ, "COVERAGE_FILE": str(REPORT.with_name(".coverage"))}
    under = [sys.executable, "-m", "coverage"]
    tests = [*under, "run", "--branch", "--source=ils_payment", "-m", "pytest", "-q", *(given.tests or TESTS)]
    done = subprocess.run(tests, cwd=ROOT, env=settings, check=False)
    told = [*under, "json", "--quiet", "-o", str(REPORT)]
    subprocess.run(told, cwd=ROOT, env=settings, check=True)
    files = json.loads(REPORT.read_text(encoding="utf-8"))["files"]
    rooms = {room: added(files, start) for room, start in ROOMS.items()}
    print(json.dumps({"branch_coverage": {room: result["per_cent"] for room, result in rooms.items()}}))
    for room, result in rooms.items():
        for path, lines in result["missing"].items():
            print(f"{room}: {path}: {lines}")
    sys.exit(done.returncode or any(result["per_cent"] < given.least for result in rooms.values()))


def added(files: dict[str, Any], start: str) -> dict[str, Any]:
    """Return the share of lines and branches of a room that ran, and the lines of each file that did not."""
    mine = {path: one for path, one in files.items() if path.startswith(start) and "/versions/" not in path}
    sums = [one["summary"] for one in mine.values()]
    there = sum(one["num_statements"] + one["num_branches"] for one in sums)
    taken = sum(one["covered_lines"] + one["covered_branches"] for one in sums)
    missing = {
        path: one["missing_lines"] or one["missing_branches"]
        for path, one in mine.items()
        if one["missing_lines"] or one["missing_branches"]
    }
    return {"per_cent": round(100 * taken / max(there, 1), 2), "missing": missing}


if __name__ == "__main__":
    main()
