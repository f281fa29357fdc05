"""How fast webhooks are taken in, next to what the disk could do with one commit for each.

Three processes: this one, a uvicorn that serves the real application on a SQLite file with
``synchronous=FULL``, and a client that sends signed Stripe notices, each with an id of its own, over
keep-alive connections. The limit is a loop of single-row commits by bare ``sqlite3`` into the same file.
Limit and load take turns five times; a ratio compares a load with the limits before and after it.
The runner that reads the notices later is not part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from ils_payment.config import Settings
from ils_payment.flows.house import open_house, open_store
from ils_payment.store.upgrade import upgrade
from ils_payment.web.app import create_app
from ils_payment.web.serving import server_config
from ils_payment.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = (1, 16, 64)
ROUNDS = 5
LIMIT_SECONDS = 0.7
REQUESTS = {1: 700, 16: 3000, 64: 3000}
GOAL = 1.0
SECRET = "whsec_" + "benchmark" * 4
PATH = "/webhooks/library/stripe"


def run() -> dict[str, dict[str, Any]]:
    """Measure; return ``{name: {value, limit, ratio, unit, p50_ms, p99_ms}}``, rates per second."""
    with tempfile.TemporaryDirectory(prefix="ils-payment-bench-") as folder:
        database = Path(folder) / "ledger.db"
        with _server(database) as port:
            _load(port, 16, 500)
            rounds = [_round(port, database) for _ in range(ROUNDS)]
            stored = _rows(database, "stripe")
    expected = 500 + ROUNDS * sum(REQUESTS.values())
    assert stored == expected, f"{expected} notices were answered with 200, {stored} are in the database"
    return {
        f"webhook_sqlite_full_c{count}": _summary([one[count] for one in rounds]) for count in CONNECTIONS
    }


def _round(port: int, database: Path) -> dict[int, dict[str, float]]:
    results = {}
    before = _limit(database)
    for count in CONNECTIONS:
        load = _load(port, count, REQUESTS[count])
        after = _limit(database)
        limit = (before + after) / 2
        results[count] = {**load, "limit": limit, "ratio": load["rate"] / limit}
        before = after
    return results


def _summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    return {
        "value": round(middle["rate"]),
        "limit": round(middle["limit"]),
        "ratio": round(middle["ratio"], 2),
        "unit": "requests/s",
        "p50_ms": round(middle["p50_ms"], 2),
        "p99_ms": round(middle["p99_ms"], 2),
    }


# --- the limit -----------------------------------------------------------------------------------


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


# --- the server ----------------------------------------------------------------------------------


@contextmanager
def _server(database: Path) -> Iterator[int]:
    """Start the real application in a process of its own; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, __file__, "--serve", str(database), "--port", str(port)]
    environment = {
        **os.environ,
        "BENCH_KEY": "rk_test_benchmark",
        "BENCH_SECRET": SECRET,
        "BENCH_KOHA": "x" * 32,
    }
    process = subprocess.Popen(command, env=environment)
    try:
        _wait_for(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the server of the benchmark did not start")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server of the benchmark did not listen within 30 s")


def _serve(database: Path, port: int) -> None:
    """Serve the application as ``ils-payment serve`` does, without the runner."""
    library = {
        "name": "Benchmark",
        "library_system": {
            "plugin": "koha",
            "url": "https://koha.example/api/v1",
            "client_id": "x",
            "client_secret": {"env": "BENCH_KOHA"},
            "library_id": "X",
        },
        "providers": {
            "stripe": {
                "api_key": {"env": "BENCH_KEY"},
                "webhook_secrets": [{"env": "BENCH_SECRET"}],
                "statement_descriptor": "BENCHMARK",
            }
        },
        "methods": [{"method": "card", "provider": "stripe"}],
    }
    server = {"public_url": f"http://127.0.0.1:{port}", "database": f"sqlite:///{database}", "port": port}
    settings = Settings.model_validate({"server": server, "libraries": {"library": library}})
    world = World()
    store = open_store(settings, world)
    upgrade(store)
    store.close()
    house = open_house(settings, world)
    uvicorn.Server(server_config(create_app(house), settings)).run()


# --- the load ------------------------------------------------------------------------------------


def _load(port: int, connections: int, requests: int) -> dict[str, float]:
    """Let a process of its own send *requests* over *connections*; return rate, p50 and p99."""
    command = [
        sys.executable,
        __file__,
        "--load",
        str(connections),
        "--port",
        str(port),
        "--requests",
        str(requests),
    ]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(answer.stdout)
    return result


class _Caller(asyncio.Protocol):
    """One connection: sends the next request as soon as the answer to the last one is there."""

    def __init__(self, waiting: list[bytes], taken: list[float], finished: asyncio.Future[None]) -> None:
        self._waiting = waiting
        self._taken = taken
        self._finished = finished
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def next(self) -> None:
        """Send one more, or finish."""
        if not self._waiting:
            self._finished.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(self._waiting.pop())  # type: ignore[attr-defined]  # the transport of a socket

    def data_received(self, data: bytes) -> None:
        """Take an answer: small, and without a body, so it comes in one piece."""
        assert data.startswith(b"HTTP/1.1 200"), data[:200]
        assert data.endswith(b"\r\n\r\n") or b"\r\n\r\n" in data, data
        self._taken.append(time.perf_counter() - self._sent)
        self.next()


async def _send(port: int, connections: int, requests: int) -> dict[str, float]:
    waiting = [_request(port, number) for number in range(requests)]
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    callers = []
    for _ in range(connections):
        finished: asyncio.Future[None] = loop.create_future()
        make = partial(_Caller, waiting, taken, finished)
        _, caller = await loop.create_connection(make, "127.0.0.1", port)
        callers.append((caller, finished))
    start = time.perf_counter()
    for caller, _ in callers:
        caller.next()
    await asyncio.gather(*(finished for _, finished in callers))
    passed = time.perf_counter() - start
    assert len(taken) == requests
    taken.sort()
    return {
        "rate": requests / passed,
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[int(len(taken) * 0.99)] * 1000,
    }


def _request(port: int, number: int) -> bytes:
    """Return a whole HTTP request with a signed notice such as Stripe sends (about 650 bytes of body)."""
    unique = f"{os.getpid()}{time.time_ns()}{number:06d}"
    event = {
        "id": f"evt_{unique}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "type": "checkout.session.completed",
        "data": {
            "object": {
                "id": f"cs_test_{unique}",
                "object": "checkout.session",
                "amount_total": 1250,
                "client_reference_id": f"R{unique}",
                "currency": "eur",
                "metadata": {"payment": f"R{unique}"},
                "mode": "payment",
                "payment_intent": f"pi_{unique}",
                "payment_status": "paid",
                "status": "complete",
                "success_url": "https://pay.library.example/library/payments/" + "x" * 80,
            }
        },
    }
    body = json.dumps(event).encode()
    moment = int(time.time())
    signature = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"User-Agent: Stripe/1.0\r\nStripe-Signature: t={moment},v1={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Run one of the three parts, or all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--load", type=int)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--requests", type=int, default=0)
    options = parser.parse_args()
    if options.serve:
        _serve(options.serve, options.port)
    elif options.load:
        print(json.dumps(uvloop.run(_send(options.port, options.load, options.requests))))
    else:
        for name, result in run().items():
            print(f"{name:26} {json.dumps(result)}")


if __name__ == "__main__":
    main()
