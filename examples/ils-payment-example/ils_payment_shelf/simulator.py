"""A Shelf to try things with: patrons, fees, and its books for tests to see."""

from __future__ import annotations

import json
import re
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ils_payment.model import RawRequest, Reply
from ils_payment.testing.simulator import RealWorld

if TYPE_CHECKING:
    from ils_payment.testing.simulator import SimulatorWorld


class ShelfSimulator:
    """One Shelf, at first with one patron; amounts are decimal numbers, on the wire they are text."""

    demo_card, demo_pin = "1001", "2468"

    def __init__(self, world: SimulatorWorld | None = None, *, token: str = "shelf-token") -> None:  # noqa: S107 - it opens a simulator
        self.world = world or RealWorld()
        self.token = token
        self.patrons: dict[str, dict[str, Any]] = {}
        self.fees: dict[str, dict[str, Any]] = {}
        self.payments: list[dict[str, Any]] = []
        self.crash_after_writing = 0
        self._lock = threading.Lock()
        patron = self.add_patron(self.demo_card, self.demo_pin)
        self.add_fee(patron, "4.50", "Late return", kind="LATE", since="2026-10-01")
        self.add_fee(patron, "3.00", "New card", kind="CARD", since="2026-11-02")

    def add_patron(self, card: str, pin: str, *, valid_until: str = "2027-06-30") -> str:
        """Register a patron and return the id."""
        patron = f"p{len(self.patrons) + 1}"
        self.patrons[patron] = {"card": card, "pin": pin, "valid_until": valid_until, "blocked": False}
        return patron

    def add_fee(self, patron: str, amount: str, text: str, *, kind: str = "OTHER", since: str) -> str:
        """Let a patron owe *amount*, and return the fee's id."""
        key = f"f{len(self.fees) + 1}"
        self.fees[key] = {
            "patron": patron,
            "kind": kind,
            "text": text,
            "since": since,
            "open": Decimal(amount),
        }
        return key

    def pay_at_desk(self, fee: str, amount: str) -> None:
        """Take cash for one fee."""
        with self._lock:
            self._book(self.fees[fee]["patron"], {fee: Decimal(amount)}, reference=None)

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
            wanted = parse_qs(request.query).get("card", [""])[0]
            found = [key for key, patron in self.patrons.items() if patron["card"] == wanted]
            return _reply(200, {"patrons": found})
        parts = re.fullmatch(r"/patrons/([^/]+)(/payments)?", request.path)
        if parts is None or parts[1] not in self.patrons:
            return _reply(404, {"error": "patron"})
        if parts[2]:
            payments = [_shown(one) for one in self.payments if one["patron"] == parts[1]]
            return _reply(200, {"payments": payments})
        patron = {name: value for name, value in self.patrons[parts[1]].items() if name != "pin"}
        fees = [
            {"id": key, **fee, "open": str(fee["open"])}
            for key, fee in self.fees.items()
            if fee["patron"] == parts[1] and fee["open"]
        ]
        return _reply(200, {**patron, "fees": fees})

    def _log_in(self, content: dict[str, str]) -> Reply:
        for key, patron in self.patrons.items():
            if (content["card"], content["pin"]) == (patron["card"], patron["pin"]):
                return _reply(200, {"patron": key})
        return _reply(401, {"error": "card or pin"})

    def _pay(self, path: str, content: dict[str, Any]) -> Reply:
        """Look at everything, then book; a reference that is there already gets its payment shown again."""
        parts = re.fullmatch(r"/patrons/([^/]+)/payments", path)
        if parts is None or parts[1] not in self.patrons:
            return _reply(404, {"error": "patron"})
        for known in self.payments:
            if known["reference"] == content["reference"]:
                return _reply(200, _shown(known))
        lines = {line["fee"]: Decimal(line["amount"]) for line in content["lines"]}
        if not all(self._takes(parts[1], key, amount) for key, amount in lines.items()):
            return _reply(409, {"error": "fee"})
        payment = self._book(parts[1], lines, reference=content["reference"])
        if self.crash_after_writing:
            self.crash_after_writing -= 1
            return _reply(500, {"error": "crash"})
        return _reply(201, _shown(payment))

    def _takes(self, patron: str, key: str, amount: Decimal) -> bool:
        fee = self.fees.get(key)
        return fee is not None and fee["patron"] == patron and 0 < amount <= fee["open"]

    def _book(self, patron: str, lines: dict[str, Decimal], *, reference: str | None) -> dict[str, Any]:
        for key, amount in lines.items():
            self.fees[key]["open"] -= amount
        payment = {
            "id": f"b{len(self.payments) + 1}",
            "patron": patron,
            "reference": reference,
            "amount": sum(lines.values()),
            "at": self.world.now().replace(microsecond=0).isoformat(),
        }
        self.payments.append(payment)
        return payment


def _shown(payment: dict[str, Any]) -> dict[str, Any]:
    return {**payment, "amount": str(payment["amount"])}


def _reply(status: int, content: dict[str, Any]) -> Reply:
    return Reply(
        status=status, body=json.dumps(content).encode(), headers=(("content-type", "application/json"),)
    )
