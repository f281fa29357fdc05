"""Measure which branches of money, domain, flows and store the tests of these rooms take; one JSON line.

Exits with 1 when a room is below its limit. What cannot be reached is marked in the source, with the reason.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "build" / "coverage.json"
DATA = ROOT / "build" / "coverage" / "data"
FOLDERS = ("domain", "flows", "store", "books", "config", "web", "adyen", "xbezahldienste", "onleihe")
CLI = ("decisions", "ledger", "staff", "check")
# Dying everywhere takes the same ways again, and so does whoever types at random.
WITHOUT = ("flows/test_crash_everywhere.py", "adyen/test_adyen_crashes.py", "web/test_api.py")
TESTS = (
    *(f"--ignore=tests/{name}" for name in WITHOUT),
    *(f"tests/{name}" for name in FOLDERS),
    *(f"tests/cli/test_cli_{name}.py" for name in CLI),
)
LIMITS = {"money": 100, "domain": 100, "flows": 99, "store": 99}
"""What is reached, in per cent; docs/reliability.md names what is missing."""
SETTINGS = """[run]
branch = true
parallel = true
patch = subprocess
data_file = {data}
source_pkgs = ils_payment.money, ils_payment.domain, ils_payment.flows, ils_payment.store
[report]
omit =
    */versions/*
    */migrations/env.py
"""
ROOMS = {
    "money": "ils_payment/money.py",
    **{name: f"ils_payment/{name}/" for name in ("domain", "flows", "store")},
}


def main() -> None:
    """Run the tests under coverage and add up by room."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--least", type=float, help="one limit for all rooms, in per cent")
    options.add_argument("tests", nargs="*", help="folders or files, instead of all of these rooms' tests")
    given = options.parse_args()
    shutil.rmtree(DATA.parent, ignore_errors=True)
    DATA.parent.mkdir(parents=True)
    rules = REPORT.with_name("coverage.ini")
    rules.write_text(SETTINGS.format(data=DATA), encoding="utf-8")
    rule = f"--rcfile={rules}"
    under = [sys.executable, "-m", "coverage"]
    tests = [*under, "run", rule, "-m", "pytest", "-q", "-n", "2", *(given.tests or TESTS)]
    done = subprocess.run(tests, cwd=ROOT, check=False)
    for told in (["combine", rule, "--quiet"], ["json", rule, "--quiet", "-o", str(REPORT)]):
        subprocess.run([*under, *told], cwd=ROOT, check=True)
    files = json.loads(REPORT.read_text(encoding="utf-8"))["files"]
    rooms = {room: added(files, start) for room, start in ROOMS.items()}
    print(json.dumps({"branch_coverage": {room: result["per_cent"] for room, result in rooms.items()}}))
    for room, result in rooms.items():
        for path, lines in result["missing"].items():
            print(f"{room}: {path}: {lines}")
    sys.exit(
        done.returncode or any(one["per_cent"] < (given.least or LIMITS[room]) for room, one in rooms.items())
    )


def added(files: dict[str, Any], start: str) -> dict[str, Any]:
    """Return the share of lines and branches of a room that ran, and the lines of each file that did not."""
    mine = {path: one for path, one in files.items() if path.startswith(start)}
    sums = [one["summary"] for one in mine.values()]
    total = sum(one["num_statements"] + one["num_branches"] for one in sums)
    taken = sum(one["covered_lines"] + one["covered_branches"] for one in sums)
    missing = {
        path: [*one["missing_lines"], *(f"{there}->{to}" for there, to in one["missing_branches"])]
        for path, one in mine.items()
        if one["missing_lines"] or one["missing_branches"]
    }
    return {"per_cent": round(100 * taken / max(total, 1), 2), "missing": missing}


if __name__ == "__main__":
    main()
