"""How fast webhooks are taken in, next to what the disk could do with one commit for each.

Three processes: this one, a uvicorn that serves the real application on a SQLite file with
``synchronous=FULL``, and a client that sends signed Stripe notices, each with an id of its own, over
keep-alive connections. The limit is a loop of single-row commits by bare ``sqlite3`` into the same file.
Limit and load take turns five times; a ratio compares a load with the limits before and after it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from intake_server import taking_in
from notices import send

CONNECTIONS = (1, 16, 64)
ROUNDS = 5
LIMIT_SECONDS = 0.7
REQUESTS = {1: 700, 16: 3000, 64: 3000}
WARM_UP = 500


def run() -> dict[str, dict[str, Any]]:
    """Measure; return ``{name: {value, limit, ratio, unit, p50_ms, p99_ms}}``, rates per second."""
    with tempfile.TemporaryDirectory(prefix="ils-payment-bench-") as folder:
        database = Path(folder) / "ledger.db"
        with taking_in(f"sqlite:///{database}") as port:
            send([port], 16, WARM_UP)
            rounds = [_round(port, database) for _ in range(ROUNDS)]
            stored = _rows(database, "stripe")
    expected = WARM_UP + ROUNDS * sum(REQUESTS.values())
    assert stored == expected, f"{expected} notices were answered with 200, {stored} are in the database"
    return {f"webhook_sqlite_full_c{count}": summary([one[count] for one in rounds]) for count in CONNECTIONS}


def _round(port: int, database: Path) -> dict[int, dict[str, float]]:
    results = {}
    before = _limit(database)
    for count in CONNECTIONS:
        load = send([port], count, REQUESTS[count])
        after = _limit(database)
        results[count] = compared(load, before, after)
        before = after
    return results


def compared(load: dict[str, float], before: float, after: float) -> dict[str, float]:
    """Set a load beside the mean of the limits before and after it."""
    limit = (before + after) / 2
    return {**load, "limit": limit, "ratio": load["rate"] / limit}


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return the medians of *rounds* as they are shown and kept."""
    middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    return {
        "value": round(middle["rate"]),
        "limit": round(middle["limit"]),
        "ratio": round(middle["ratio"], 2),
        "unit": "requests/s",
        "p50_ms": round(middle["p50_ms"], 2),
        "p99_ms": round(middle["p99_ms"], 2),
    }


def _limit(database: Path) -> float:
    """Return how many single-row commits per second bare sqlite3 makes in the file now."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    insert = (
        "INSERT INTO notices (library, provider, key, kind, session_ref, reference, received_at)"
        " VALUES ('library', 'limit', ?, 'checkout.session.completed', ?, ?, ?) ON CONFLICT DO NOTHING"
    )
    start, done = time.perf_counter(), 0
    prefix = os.urandom(8).hex()
    while (passed := time.perf_counter() - start) < LIMIT_SECONDS:
        key = f"evt_{prefix}{done:012d}"
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(insert, (key, f"cs_test_{key}", key, time.time_ns() // 1000))
        connection.execute("COMMIT")
        done += 1
    connection.close()
    return done / passed


def _rows(database: Path, provider: str) -> int:
    connection = sqlite3.connect(database)
    (count,) = connection.execute("SELECT count(*) FROM notices WHERE provider = ?", (provider,)).fetchone()
    connection.close()
    return int(count)


if __name__ == "__main__":
    for name, result in run().items():
        print(f"{name:26} {json.dumps(result)}")
