"""The interface of the simulated payment service: who asks, what for, and what goes wrong on the way."""

from __future__ import annotations

import base64
import hmac
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ils_payment.model import RawRequest, Reply
from ils_payment_xbezahldienste.simulator.shapes import Refusal, check_request

if TYPE_CHECKING:
    from ils_payment_xbezahldienste.simulator.book import Book
    from ils_payment_xbezahldienste.simulator.faults import Fault, Faults

TOKEN_PATH = "/oauth/token"
TOKEN_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Door:
    """Who may come in: a *pair* by Basic or for a token, or (None) whoever TLS has let through."""

    way: str = "certificate"
    pair: tuple[str, str] | None = None


class Api:
    """Answers requests under ``/paymenttransaction``, ``/status`` and ``/oauth/token``."""

    def __init__(self, book: Book, faults: Faults, door: Door) -> None:
        """Keep the parts."""
        self.book = book
        self.faults = faults
        self.door = door
        self.requests: Counter[str] = Counter()
        self.tokens: dict[str, datetime] = {}

    def change_password(self, password: str) -> None:
        """Let another password be the right one; tokens of before end."""
        with self.book.lock:
            if self.door.pair is not None:
                self.door = Door(way=self.door.way, pair=(self.door.pair[0], password))
            self.tokens.clear()

    def handle(self, request: RawRequest, base: str) -> Reply:
        """Answer one request; ``status=0`` stands for a connection that was dropped."""
        operation, ids = _operation(request)
        with self.book.lock:
            self.requests[operation] += 1
            plan = self.faults.plan(operation)
        if "delay" in plan:
            self.book.world.pause(f"xbezahldienste.{operation}", plan["delay"].seconds)
        if "lose_request" in plan:
            return Reply(status=0)
        failure = plan.get("fail")
        if failure is not None and not failure.after_effect:
            return _failed(failure)
        try:
            with self.book.lock:
                reply = self._answer(operation, ids, request, base)
        except Refusal as refusal:
            reply = _problem(refusal.status, refusal.code, refusal.detail)
        if "lose_answer" in plan:
            return Reply(status=0)
        return reply if failure is None else _failed(failure)

    def _answer(self, operation: str, ids: list[str], request: RawRequest, base: str) -> Reply:
        if operation == "token":
            return self._give_token(request)
        if operation == "unknown":
            raise Refusal(404, "UNSPECIFIED", "Diese Adresse gibt es nicht.")
        self._authenticate(request)
        service = self.book.service
        if ids[:2] != [service.originator_id, service.end_point_id]:
            raise Refusal(403, "NO_VALID_ORIGINATOR_OR_ENDPOINT", "Der Mandant ist nicht bekannt.")
        if operation == "status":
            if not service.ready:
                raise Refusal(503, "UNSPECIFIED", "Der Bezahldienst ist nicht bereit.")
            return _json(200, {})
        if operation == "start":
            return self._start(request, base)
        found = self.book.transactions.get(ids[2])
        if found is None:
            raise Refusal(404, "VALIDATION_ERROR", "Diese Transaktion gibt es nicht.")
        return _json(200, self.book.shown(found, base))

    def _start(self, request: RawRequest, base: str) -> Reply:
        try:
            wish = json.loads(request.body.decode(), parse_float=Decimal)
        except ValueError:
            raise Refusal(400, "VALIDATION_ERROR", "Das ist kein JSON.") from None
        check_request(wish, self.book.service)
        if self.book.known(wish["requestId"]) is not None:
            raise Refusal(400, "PAYMENT_EXISTS", "Mit dieser ID gibt es schon eine Transaktion.")
        return _json(200, self.book.shown(self.book.add(wish), base))

    def _authenticate(self, request: RawRequest) -> None:
        if self.door.pair is None:
            return
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if self.door.way == "oauth2":
            ends = self.tokens.get(value) if scheme == "Bearer" else None
            if ends is None or self.book.world.now() >= ends:
                raise Refusal(401, "FORBIDDEN", "Das Token gilt nicht.")
            return
        wanted = base64.b64encode(":".join(self.door.pair).encode()).decode()
        if scheme != "Basic" or not hmac.compare_digest(value, wanted):
            raise Refusal(401, "FORBIDDEN", "Die Anmeldung passt nicht.")

    def _give_token(self, request: RawRequest) -> Reply:
        """Answer as RFC 6749 has it; the client's id and secret come in the form."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode(errors="replace")).items()}
        if (form.get("client_id"), form.get("client_secret")) != self.door.pair or self.door.way != "oauth2":
            return _json(401, {"error": "invalid_client"})
        if form.get("grant_type") != "client_credentials":
            return _json(400, {"error": "unsupported_grant_type"})
        token = self.book.new_token()
        self.tokens[token] = self.book.world.now() + TOKEN_LIFE
        life = int(TOKEN_LIFE.total_seconds())
        return _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": life})


def _operation(request: RawRequest) -> tuple[str, list[str]]:
    first, *ids = request.path.strip("/").split("/")
    shapes = {
        ("POST", "paymenttransaction", 2): "start",
        ("GET", "paymenttransaction", 3): "read",
        ("GET", "status", 2): "status",
        ("POST", "oauth", 1): "token",
    }
    return shapes.get((request.method, first, len(ids)), "unknown"), ids


def _failed(fault: Fault) -> Reply:
    if fault.body is not None:
        return Reply(status=fault.status, body=fault.body, headers=(("content-type", "text/html"),))
    return _problem(fault.status, fault.code, "Der Simulator sollte so antworten.")


def _problem(status: int, code: str, detail: str) -> Reply:
    body: dict[str, Any] = {"status": status, "title": "Fehler", "detail": detail}
    if code:
        body["functionalCode"] = code
    return Reply(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        headers=(("content-type", "application/problem+json"),),
    )


def _json(status: int, body: dict[str, Any]) -> Reply:
    """Return *body* with amounts as a program prints them that keeps them in floating point: ``12.5``."""
    return Reply(
        status=status,
        body=json.dumps(body, default=float, ensure_ascii=False).encode(),
        headers=(("content-type", "application/json"), ("cache-control", "no-store")),
    )
