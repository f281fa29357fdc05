"""The benchmarks' provider: a process that sends signed Stripe notices over keep-alive connections."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET = "whsec_" + "benchmark" * 4
PATH = "/webhooks/library/stripe"


def send(ports: Sequence[int], connections: int, requests: int) -> dict[str, float]:
    """Let another process send *requests* over *connections*, spread over *ports*; return rate, p50, p99."""
    numbers = [str(number) for number in (connections, requests, *ports)]
    answer = subprocess.run([sys.executable, __file__, *numbers], check=True, capture_output=True, text=True)
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
        assert b"\r\n\r\n" in data, data
        self._taken.append(time.perf_counter() - self._sent)
        self.next()


async def _send(ports: Sequence[int], connections: int, requests: int) -> dict[str, float]:
    waiting = [_request(number) for number in range(requests)]
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    callers = []
    for number in range(connections):
        finished: asyncio.Future[None] = loop.create_future()
        make = partial(_Caller, waiting, taken, finished)
        _, caller = await loop.create_connection(make, "127.0.0.1", ports[number % len(ports)])
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


def _request(number: int) -> bytes:
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
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"User-Agent: Stripe/1.0\r\nStripe-Signature: t={moment},v1={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Send as the arguments say; print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("connections", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("ports", type=int, nargs="+")
    options = parser.parse_args()
    print(json.dumps(uvloop.run(_send(options.ports, options.connections, options.requests))))


if __name__ == "__main__":
    main()
