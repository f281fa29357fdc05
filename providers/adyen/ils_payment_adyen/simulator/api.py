"""The operations of Checkout v72 that are imitated: who asks, what for, and what goes wrong on the way."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from ils_payment.model import RawRequest, Reply
from ils_payment.testing.simulator import DROPPED
from ils_payment_adyen.simulator.shapes import problem_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment_adyen.simulator.book import Book, Thing
    from ils_payment_adyen.simulator.faults import Fault, Faults

_ROUTES = (
    ("sessions", "POST", "/v72/sessions"),
    ("sessions.result", "GET", "/v72/sessions/([^/]+)"),
    ("links", "POST", "/v72/paymentLinks"),
    ("links.read", "GET", "/v72/paymentLinks/([^/]+)"),
    ("links.update", "PATCH", "/v72/paymentLinks/([^/]+)"),
    ("methods", "POST", "/v72/paymentMethods"),
    ("refunds", "POST", "/v72/payments/([^/]+)/refunds"),
)
LONGEST_KEY = 64


class RefusalError(Exception):
    """Adyen refuses a request, in the form of its ServiceError."""

    def __init__(self, status: int, code: str, message: str, kind: str = "validation") -> None:
        """Keep what is answered."""
        super().__init__(message)
        self.status = status
        self.body = {"status": status, "errorCode": code, "message": message, "errorType": kind}


class Api:
    """Answers requests under ``/v72``."""

    def __init__(self, book: Book, faults: Faults, api_key: str) -> None:
        """Keep the parts."""
        self.book = book
        self.faults = faults
        self.api_key = api_key
        self.requests: Counter[str] = Counter()
        self.bodies: list[tuple[str, Any]] = []
        self.keys_seen: Counter[str] = Counter()
        self._kept: dict[str, tuple[str, Reply]] = {}

    def handle(self, request: RawRequest, address: str) -> Reply:
        """Answer one request; ``status=0`` stands for a connection that was dropped."""
        found = _operation(request)
        if found is None:
            return Reply(status=404, body=b"Not Found")
        operation, ref = found
        with self.book.lock:
            self.requests[operation] += 1
            fault = self.faults.next(operation)
            if fault is not None and not fault.after_effect:
                return _struck(fault)
            try:
                reply = self._once(operation, ref, request, address)
            except RefusalError as refusal:
                reply = _json(refusal.status, refusal.body)
            return _struck(fault) if fault is not None else reply

    def _once(self, operation: str, ref: str, request: RawRequest, address: str) -> Reply:
        """Carry out one request, a POST at most once for each idempotency key."""
        if request.headers.get("x-api-key") != self.api_key:
            raise RefusalError(401, "000", "HTTP Status Response - Unauthorized", "security")
        body = _body(request)
        self.bodies.append((operation, body))
        key = request.headers.get("idempotency-key", "")
        if request.method != "POST" or not key:
            return self._carry_out(operation, ref, request, body, address)
        if len(key) > LONGEST_KEY:
            raise RefusalError(400, "702", "The idempotency key is too long.")
        self.keys_seen[key] += 1
        used_for = json.dumps([operation, ref, body], sort_keys=True)
        kept = self._kept.get(key)
        if kept is not None:
            if kept[0] != used_for:
                # Unverified: what Adyen answers to a key that comes with another request.
                raise RefusalError(422, "704", "The idempotency key was used for another request.")
            return kept[1]
        reply = self._carry_out(operation, ref, request, body, address)
        self._kept[key] = (used_for, reply)
        return reply

    def forget_keys(self) -> None:
        """Forget the idempotency keys, as after their lifetime."""
        self._kept.clear()

    def _carry_out(self, operation: str, ref: str, request: RawRequest, body: Any, address: str) -> Reply:  # noqa: ANN401 - parsed JSON
        problem = problem_of(operation, body)
        if problem:
            raise RefusalError(422, "14_0434", problem)
        if isinstance(body, dict) and body.get("merchantAccount", self.book.account) != self.book.account:
            raise RefusalError(403, "901", "Invalid Merchant Account", "security")
        run: dict[str, Callable[[], Reply]] = {
            "sessions": lambda: self._open("session", body, address),
            "links": lambda: self._open("link", body, address),
            "sessions.result": lambda: self._result(ref, request),
            "links.read": lambda: _json(200, self._link(ref)),
            "links.update": lambda: self._expire(ref),
            "methods": lambda: _json(
                200, {"paymentMethods": [{"type": one, "name": one} for one in self.book.offered]}
            ),
            "refunds": lambda: self._refund(ref, body),
        }
        return run[operation]()

    def _open(self, kind: str, body: Thing, address: str) -> Reply:
        if body["amount"]["value"] <= 0:
            raise RefusalError(422, "100", "No amount specified")
        ends = body.get("expiresAt")
        if ends and datetime.fromisoformat(ends) <= self.book.world.now():
            raise RefusalError(422, "14_0422", "The expiry lies in the past.")
        page = self.book.open_page(kind, body, address)
        shown = {**body, "id": page["id"], "url": page["url"], "expiresAt": page["expires_at"]}
        if kind == "link":
            shown["status"] = page["status"]
        else:
            shown["sessionData"] = "Ab02b4c0!simulated"
        return _json(201, shown)

    def _link(self, ref: str) -> Thing:
        page = self.book.pages.get(ref)
        if page is None or page["kind"] != "link":
            raise RefusalError(404, "14_0408", "There is no such payment link.")
        return {
            **page["wanted"],
            "id": ref,
            "url": page["url"],
            "status": page["status"],
            "expiresAt": page["expires_at"],
        }

    def _expire(self, ref: str) -> Reply:
        self._link(ref)
        if not self.book.expire(ref):
            raise RefusalError(422, "14_0416", "The payment link is over already.")
        return _json(200, self._link(ref))

    def _result(self, ref: str, request: RawRequest) -> Reply:
        """Say what a session's result says; it never changes afterwards (documented)."""
        given = parse_qs(request.query).get("sessionResult", [""])[0]
        page = self.book.pages.get(ref)
        if page is None or not page["result"] or given != page["result"]:
            raise RefusalError(422, "14_0438", "The session result does not belong to the session.")
        paid = [
            {
                "pspReference": psp,
                "resultCode": "Authorised",
                "amount": {"value": payment["cents"], "currency": payment["currency"]},
            }
            for psp in page["payments"]
            if (payment := self.book.payments[psp])["status"] == "authorised"
        ]
        body = {"id": ref, "status": page["result_status"], "reference": page["wanted"]["reference"]}
        return _json(200, body | ({"payments": paid} if page["result_status"] == "completed" else {}))

    def _refund(self, psp: str, body: Thing) -> Reply:
        payment = self.book.payments.get(psp)
        if payment is None or payment["status"] != "authorised":
            raise RefusalError(422, "167", "Original pspReference required for this operation")
        if body["amount"]["currency"] != payment["currency"]:
            raise RefusalError(422, "137", "Invalid amount specified")
        ref = self.book.refund(psp, body["amount"]["value"], body.get("reference", ""))
        shown = {**body, "paymentPspReference": psp, "pspReference": ref, "status": "received"}
        return _json(201, shown)


def _operation(request: RawRequest) -> tuple[str, str] | None:
    for name, method, path in _ROUTES:
        match = re.fullmatch(path, request.path)
        if match and method == request.method:
            return name, unquote(match[1]) if match.groups() else ""
    return None


def _body(request: RawRequest) -> Any:  # noqa: ANN401 - parsed JSON
    if request.method == "GET":
        return None
    try:
        return json.loads(request.body)
    except ValueError:
        raise RefusalError(400, "702", "The request is not JSON.") from None


def _struck(fault: Fault) -> Reply:
    """Return what a fault makes of an answer."""
    if fault.kind in {"lose_request", "lose_answer"}:
        return Reply(status=DROPPED)
    if fault.body is not None:
        return Reply(status=fault.status, body=fault.body, headers=(("content-type", "text/html"),))
    error = {
        "status": fault.status,
        "errorCode": "901",
        "message": f"The simulator was told to answer {fault.status}.",
        "errorType": "internal",
    }
    more = (("transient-error", "true"),) if fault.transient else ()
    return _json(fault.status, error, more)


def _json(status: int, body: Any, more: tuple[tuple[str, str], ...] = ()) -> Reply:  # noqa: ANN401 - JSON
    headers = (("content-type", "application/json"), *more)
    return Reply(status=status, body=json.dumps(body).encode(), headers=headers)
