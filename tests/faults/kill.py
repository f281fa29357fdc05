"""``make kill``: real processes die by ``kill -9``, the database goes away, and the books are compared.

``KILLS=200`` and ``STOPS=20`` say how often, ``DATABASE=sqlite`` or ``postgresql`` plays one
database only, ``SEED=7`` the same dice, ``KEEP=1`` keeps logs and configuration. Patrons pay all the
while over HTTP, and the simulated library system and provider lose answers, fail after the effect and
are late. On SQLite there is one ``serve``; on PostgreSQL two ``serve`` and two ``worker`` with the
runner procrastinate behind one web server. Then all is well, what is due is finished, and the checks
of ``kill_checks`` are made.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.faults import kill_checks
from tests.faults.kill_databases import Database, PostgreSQL, SQLite
from tests.faults.kill_town import Process, Town
from tests.faults.kill_visitors import Crowd

CARDS = 12_000
DRAIN_SECONDS = 240.0
MOST_CALLS = 60
"""So many calls of the remotes, at most, lie between two deaths; a payment needs about a dozen."""


class Reaper:
    """Kills a process now and then, and takes the database away in between; starts everything again."""

    def __init__(self, town: Town, *, kills: int, stops: int, seed: int) -> None:
        self._town, self._dice = town, random.Random(f"{seed}/reaper")
        turns = ["stop"] * stops + ["kill"] * kills
        self._dice.shuffle(turns)
        self._turns = turns
        self.kills = self.stops = 0

    def work(self) -> None:
        """Take every turn."""
        for number, turn in enumerate(self._turns, start=1):
            if turn == "kill":
                self._kill(self._dice.choice(self._town.processes))
            else:
                self._stop()
            if number % 20 == 0:
                print(f"{self._town.database.name}: {self.kills} kills, {self.stops} stops", file=sys.stderr)

    def _kill(self, victim: Process) -> None:
        """Kill a process that works, at any moment of its work."""
        self._let_them_work()
        if not victim.runs():
            raise RuntimeError(f"{victim.name} died by itself; see its log in {self._town.folder}")
        victim.kill()
        self.kills += 1
        victim.start()

    def _let_them_work(self) -> None:
        """Wait until everything works and the remotes were asked some more: time alone is no progress.

        A loaded machine would otherwise see every process die before its first page.
        """
        self._town.wait_for_all()
        enough = self._town.asked() + self._dice.randrange(MOST_CALLS)
        deadline = time.monotonic() + self._dice.uniform(2.0, 8.0)
        while self._town.asked() < enough and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(self._dice.uniform(0.0, 0.05))

    def _stop(self) -> None:
        """Take the database away for a while; on SQLite the whole process stands still now and then."""
        self._let_them_work()
        victim = self._dice.choice(self._town.processes)
        if self._dice.random() < 0.5 and self._town.database.name == "sqlite":
            victim.send(signal.SIGSTOP)
            time.sleep(self._dice.uniform(0.2, 2.5))
            victim.send(signal.SIGCONT)
        else:
            self._town.database.down()
            time.sleep(self._dice.uniform(0.2, 4.0))
            self._town.database.up()
        self.stops += 1
        self._town.revive()


def play(name: str, *, kills: int, stops: int, seed: int, at_once: int = 4) -> dict[str, object]:
    """Play one database, ``sqlite`` or ``postgresql``; return its line, every violation behind ``found``."""
    folder = Path(tempfile.mkdtemp(prefix="ils-payment-kill-", dir="/tmp"))
    database: Database = SQLite(folder) if name == "sqlite" else PostgreSQL()
    started = time.monotonic()
    with closing(database), closing(Town(folder, database, cards=CARDS, seed=seed)) as town:
        town.open()
        town.send_webhooks()
        crowd = Crowd(town, seed=seed, at_once=at_once)
        reaper = Reaper(town, kills=kills, stops=stops, seed=seed)
        crowd.start()
        reaper.work()
        crowd.stop()
        books = _drained(town)
        found = kill_checks.violations(books) + kill_checks.broken_chains(town)
    print(f"{name}: {dict(crowd.counts)}", file=sys.stderr)
    if left := kill_checks.unfinished(books):
        found.append(
            f"{left} payments or webhooks were not finished after {DRAIN_SECONDS:.0f} s without faults"
        )
    if len(books.captured) < kills // 4:
        found.append(f"only {len(books.captured)} payments were paid: too few to say anything")
    if not found and not os.environ.get("KEEP"):
        shutil.rmtree(folder)
    states = [row["state"] for row in books.payments.values()]
    return {
        "database": name,
        "kills": reaper.kills,
        "stops": reaper.stops,
        "payments": len(states),
        "paid": len(books.captured),
        "settled": states.count("settled"),
        "cases": sum(books.open_cases.values()),
        "notices": len(books.notices),
        "seconds": round(time.monotonic() - started),
        "seed": seed,
        "violations": len(found),
        "found": found,
    }


def _drained(town: Town) -> kill_checks.Books:
    """Let everything be finished without any fault; return the books then."""
    deadline = time.monotonic() + DRAIN_SECONDS
    town.wait_for_all()
    books = kill_checks.read(town)
    while kill_checks.unfinished(books) and time.monotonic() < deadline:
        time.sleep(1.0)
        town.revive()
        books = kill_checks.read(town)
    return books


def main() -> None:
    """Play what the environment asks for; exit 1 when a promise was broken or the numbers fell short."""
    kills, stops = int(os.environ.get("KILLS", "200")), int(os.environ.get("STOPS", "20"))
    wanted = os.environ.get("DATABASE", "both")
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    names = ["sqlite", "postgresql"] if wanted == "both" else [wanted]
    failed = False
    for name in names:
        line = play(name, kills=kills, stops=stops, seed=seed)
        for sentence in line.pop("found")[:50]:  # type: ignore[index]  # a list of sentences
            print(sentence, file=sys.stderr)
        print(json.dumps(line), flush=True)
        failed |= bool(line["violations"]) or (line["kills"], line["stops"]) != (kills, stops)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
