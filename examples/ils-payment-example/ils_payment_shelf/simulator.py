"""A Shelf to try things with: a patron, some fees, and its books for tests to see."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ils_payment.model import RawRequest, Reply
from ils_payment.testing.simulator import RealWorld

if TYPE_CHECKING:
    from ils_payment.testing.simulator import SimulatorWorld


class ShelfSimulator:
    """One Shelf with one patron; amounts are decimal numbers, on the wire they are text."""

    demo_card, demo_pin = "1001", "2468"

    def __init__(self, world: SimulatorWorld | None = None, *, token: str = "shelf-token") -> None:  # noqa: S107 - it opens a simulator
        self.world = world or RealWorld()
        self.token = token
        self.fees: dict[str, dict[str, Any]] = {
            "f1": {"kind": "LATE", "text": "Late return", "since": "2026-10-01", "open": Decimal("4.50")},
            "f2": {"kind": "CARD", "text": "New card", "since": "2026-11-02", "open": Decimal("3.00")},
        }
        self.payments: list[dict[str, Any]] = []
        self.crash_after_writing = 0
        self._lock = threading.Lock()

    def truth(self) -> dict[str, Any]:
        """Return the books."""
        with self._lock:
            return {
                "open": {key: str(fee["open"]) for key, fee in self.fees.items()},
                "payments": [{**one, "amount": str(one["amount"])} for one in self.payments],
            }

    def handle(self, request: RawRequest) -> Reply:
        """Answer one request; all of it under one lock, as a small system does."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _reply(403, {"error": "token"})
        with self._lock:
            if request.method == "POST":
                content = json.loads(request.body)
                return self._log_in(content) if request.path == "/login" else self._pay(request.path, content)
            return self._look(request)

    def _look(self, request: RawRequest) -> Reply:
        if request.path == "/status":
            return _reply(200, {"version": "7.1"})
        if request.path == "/patrons":
            found = parse_qs(request.query).get("card") == [self.demo_card]
            return _reply(200, {"patrons": ["p1"] if found else []})
        if request.path == "/patrons/p1":
            fees = [
                {"id": key, **fee, "open": str(fee["open"])} for key, fee in self.fees.items() if fee["open"]
            ]
            return _reply(
                200, {"card": self.demo_card, "valid_until": "2027-06-30", "blocked": False, "fees": fees}
            )
        if request.path == "/patrons/p1/payments":
            return _reply(200, {"payments": [_shown(one) for one in self.payments]})
        return _reply(404, {"error": "path"})

    def _log_in(self, content: dict[str, str]) -> Reply:
        if (content["card"], content["pin"]) != (self.demo_card, self.demo_pin):
            return _reply(401, {"error": "card or pin"})
        return _reply(200, {"patron": "p1"})

    def _pay(self, path: str, content: dict[str, Any]) -> Reply:
        """Look at everything, then book; a reference that is there already gets its payment shown again."""
        if path != "/patrons/p1/payments":
            return _reply(404, {"error": "patron"})
        for known in self.payments:
            if known["reference"] == content["reference"]:
                return _reply(200, _shown(known))
        lines = {line["fee"]: Decimal(line["amount"]) for line in content["lines"]}
        if any(key not in self.fees or amount > self.fees[key]["open"] for key, amount in lines.items()):
            return _reply(409, {"error": "fee"})
        for key, amount in lines.items():
            self.fees[key]["open"] -= amount
        payment = {
            "id": f"b{len(self.payments) + 1}",
            "reference": content["reference"],
            "amount": sum(lines.values()),
            "at": self.world.now().replace(microsecond=0).isoformat(),
        }
        self.payments.append(payment)
        if self.crash_after_writing:
            self.crash_after_writing -= 1
            return _reply(500, {"error": "crash"})
        return _reply(201, _shown(payment))


def _shown(payment: dict[str, Any]) -> dict[str, Any]:
    return {**payment, "amount": str(payment["amount"])}


def _reply(status: int, content: dict[str, Any]) -> Reply:
    return Reply(
        status=status, body=json.dumps(content).encode(), headers=(("content-type", "application/json"),)
    )
