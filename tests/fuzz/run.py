"""Run atheris on every target for so many seconds, each in a process of its own; one JSON line in the end.

What a run finds is written to `tests/fuzz/found/`; put it into `tests/fuzz/corpus/<target>/` when it is
mended, and the ordinary tests keep it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))


def main() -> None:
    """Run the targets that are named, else all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("targets", nargs="*")
    given = options.parse_args()
    if given.inside:
        inside(given.targets[0], given.seconds)
        return
    from tests.fuzz.targets import TARGETS

    results = {name: outside(name, given.seconds) for name in given.targets or TARGETS}
    crashes = sum(result["crashes"] for result in results.values())
    runs = sum(result["executions"] for result in results.values())
    print(json.dumps({"targets": results, "executions": runs, "crashes": crashes}))
    sys.exit(1 if crashes else 0)


def outside(name: str, seconds: int) -> dict[str, int]:
    """Fuzz one target in a process of its own, which ends with the first thing it finds."""
    command = [sys.executable, __file__, "--inside", "--seconds", str(seconds), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.findall(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    if done.returncode or not found:
        print(done.stdout[-2000:] + done.stderr[-4000:], file=sys.stderr)
    return {"executions": int(found[-1]) if found else 0, "crashes": int(done.returncode != 0 or not found)}


def inside(name: str, seconds: int) -> None:
    """Be the process that fuzzes."""
    import atheris

    with atheris.instrument_imports(include=["ils_payment", "ils_payment_stripe", "jwt"]):
        from tests.fuzz.targets import CORPUS, TARGETS
    for folder in (HERE / "found" / name, CORPUS / name):
        folder.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-timeout=20",
        "-print_final_stats=1",
        f"-artifact_prefix={HERE}/found/{name}/",
        # New inputs go to a folder that is not kept; the seeds are read only.
        str(HERE / "found" / name),
        str(CORPUS / name),
    ]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
