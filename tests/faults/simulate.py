"""``make simulate``: play many schedules, tell what broke, and end with one line of JSON."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.kept import OtherRunError, begin_or_go_on, seed_in
from tests.faults.machine import replay, tallies
from tests.faults.mix import MEETINGS_FROM, sells_cards
from tests.faults.pairs.pairing import PLUGINS
from tests.faults.switches import SWITCHES

if TYPE_CHECKING:
    from tests.faults.kept import Kept
    from tests.faults.machine import Tally

TELL = 1000
"""After so many schedules it is told how far a run is."""

FAILED = Path(__file__).with_name("failed_seeds.txt")


def main() -> int:
    """Play, report, and say by the exit code whether anything broke."""
    parser = _arguments()
    asked = parser.parse_args()
    plugin = asked.plugin or ""
    if asked.replay is not None:
        return _replay(asked.replay, asked.patch, plugin)
    base = asked.seed if asked.seed is not None else asked.keep and seed_in(asked.keep)
    if base is None:
        base = MEETINGS_FROM + secrets.randbelow(10**9) * 1000
    run = {"seed": base, "plugin": plugin, "cards": asked.cards, "patch": asked.patch}
    try:
        kept = begin_or_go_on(asked.keep, run)
    except OtherRunError as other:
        parser.error(str(other))
    failed = failed_seeds(asked.failed, plugin)
    print(f"{asked.schedules} schedules from seed {base} on, and {len(failed)} that failed once.")
    fitting = (seed for seed in count(base) if not asked.cards or sells_cards(seed))
    _play(kept, [*failed, *islice(fitting, asked.schedules)], asked.processes)
    for found in kept.total.found[:3]:
        _replay(found.seed, asked.patch, plugin)
    if asked.report:
        print(report_of_pairs(kept.total) if plugin else report(kept.total))
    print(json.dumps(_last_line(kept)))
    return 1 if kept.total.found else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=3000)
    parser.add_argument("--seed", type=int, help="base seed; without it one is rolled")
    parser.add_argument("--replay", type=int, help="play this one seed and tell its story")
    parser.add_argument("--cards", action="store_true", help="play only schedules in which cards are sold")
    parser.add_argument("--plugin", choices=PLUGINS, help="play pairs of this plugin and others")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--patch", help="plant a defect first: module:attribute of a context manager")
    parser.add_argument("--failed", type=Path, default=FAILED, help="the seeds to play again, one a line")
    parser.add_argument("--report", action="store_true", help="print how often each fault struck")
    parser.add_argument("--keep", type=Path, help="a file that keeps the run: typed again, it goes on")
    return parser


def _play(kept: Kept, seeds: list[int], processes: int | None) -> None:
    """Play those of *seeds* that *kept* has not counted yet, and tell how it goes."""
    total, plugin, patch = kept.total, kept.run["plugin"], kept.run["patch"]
    since = time.monotonic() - kept.seconds
    left = seeds[total.numbers["schedules"] :]
    for tally in tallies(left, patch=patch, processes=processes, plugin=plugin) if left else ():
        total.merge(tally)
        kept.seconds = time.monotonic() - since
        kept.save()
        for found in tally.found:
            print(f"\nSeed {found.seed} breaks {found.invariant}: {found.what}")
            print(f"Replay it: make simulate REPLAY={found.seed}{f' PLUGIN={plugin}' if plugin else ''}")
        played = total.numbers["schedules"]
        if played // TELL > (played - tally.numbers["schedules"]) // TELL:
            print(f"{played} of {len(seeds)} played, {len(total.found)} violations")
        sys.stdout.flush()


def _last_line(kept: Kept) -> dict[str, Any]:
    total, plugin = kept.total, kept.run["plugin"]
    line = {
        "schedules": total.numbers["schedules"],
        "violations": len(total.found),
        "per_second": round(total.numbers["schedules"] / kept.seconds, 1),
        "crashes": total.numbers["crashes"],
        "ambiguous": total.numbers["ambiguous"],
        "captured_payments": total.numbers["captured_payments"],
        "steps": total.numbers["steps"],
        "switches": sum(1 for switch in SWITCHES if total.fired[switch.name]),
        "seed": kept.run["seed"],
    }
    if plugin:
        line |= {"plugin": plugin, "switches": len(total.fired), "pairs": len(pairs_of(total))}
    return line


def failed_seeds(file: Path = FAILED, plugin: str = "") -> list[int]:
    """Return every seed that ever failed: one a line, behind the plugin if there is one, with the reason."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if plugin:
        return [int(word[1]) for word in words if word[0] == plugin]
    return [int(word[0]) for word in words if word[0].isdigit()]


def _replay(seed: int, patch: str | None, plugin: str) -> int:
    outcome = replay(seed, patch=patch, told=True, plugin=plugin)
    print(f"\nThe story of seed {seed}:")
    for line in outcome.story:
        print(f"  {line}")
    print(f"Fingerprint {outcome.fingerprint}")
    if outcome.broken is None:
        print("It holds.")
        return 0
    print(f"It breaks {outcome.broken[0]}: {outcome.broken[1]}")
    return 1


def report(total: Tally) -> str:
    """Return the table of all switches: in how many schedules each struck, or why it cannot."""
    lines = ["| switch | group | schedules |", "|---|---|---|"]
    for switch in SWITCHES:
        struck = f"not here: {switch.absent}" if switch.absent else str(total.fired[switch.name])
        lines.append(f"| {switch.name} | {switch.group} | {struck} |")
    return "\n".join(lines)


def pairs_of(total: Tally) -> dict[str, int]:
    """Return how many schedules each pair had."""
    return {name: times for name, times in sorted(total.numbers.items()) if " " in name}


def report_of_pairs(total: Tally) -> str:
    """Return the tables of the pairs, and of the faults that struck between them."""
    lines = ["| library system and provider | schedules |", "|---|---|"]
    lines += [f"| {name} | {times} |" for name, times in pairs_of(total).items()]
    lines += ["", "| fault that was to strike | schedules |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {times} |" for name, times in sorted(total.fired.items())])


if __name__ == "__main__":
    sys.exit(main())
