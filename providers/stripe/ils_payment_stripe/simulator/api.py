"""The v1 API: who asks, what for, and what goes wrong on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ils_payment.model import RawRequest, Reply
from ils_payment_stripe.simulator.account import ENDIVE
from ils_payment_stripe.simulator.call import Call
from ils_payment_stripe.simulator.forms import decode
from ils_payment_stripe.simulator.idempotency import IdempotencyKeys
from ils_payment_stripe.simulator.refusal import Refusal, json_reply
from ils_payment_stripe.simulator.routes import Operation, find_operation
from ils_payment_stripe.simulator.schema import schema_of, typed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.testing.simulator import SimulatorWorld
    from ils_payment_stripe.simulator.book import Book
    from ils_payment_stripe.simulator.faults import Fault, Faults, Plan
    from ils_payment_stripe.simulator.payer import Payer


class Api:
    """Answers requests under ``/v1``."""

    def __init__(self, payer: Payer, faults: Faults, api_key: str, latency_seconds: float) -> None:
        """Keep the parts; *api_key* is the secret key that may do everything."""
        self.payer = payer
        self.book: Book = payer.book
        self.faults = faults
        self.api_key = api_key
        self.latency_seconds = latency_seconds
        self.keys = IdempotencyKeys()
        self.requests: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.paused = 0.0

    @property
    def world(self) -> SimulatorWorld:
        """Return the world outside."""
        return self.book.world

    def handle(self, request: RawRequest, address: str) -> Reply:
        """Answer one request; ``status=0`` stands for a connection that was dropped."""
        with self.book.lock:
            request_id = self.book.new_id("req_", 14)
        try:
            reply = self._route(request, address, request_id)
        except Refusal as refusal:
            reply = refusal.reply()
            if not any(name == "stripe-should-retry" for name, _ in reply.headers):
                reply = replace(reply, headers=(*reply.headers, ("stripe-should-retry", "false")))
        version = request.headers.get("stripe-version", ENDIVE)
        headers = (*reply.headers, ("request-id", request_id), ("stripe-version", version))
        with self.book.lock:
            self.answers[reply.status] += 1
        return replace(reply, headers=headers)

    def _route(self, request: RawRequest, address: str, request_id: str) -> Reply:
        """Find the operation, check the key, and carry out under the faults that are waiting."""
        operation, ids = find_operation(request)
        live, rights, shown = self._authenticate(request.headers)
        with self.book.lock:
            self.requests[operation.name] += 1
            self.versions[request.headers.get("stripe-version", "none")] += 1
            plan = self.faults.plan(operation.name)
            limited = self.faults.too_many(self.world.now())
        if plan.lose_request:
            return Reply(status=0)
        if limited:
            raise Refusal(429, "Too many requests in too short a time.", code="rate_limit")
        call = Call(
            payer=self.payer,
            params={},
            live=live,
            rights=rights,
            key_shown=shown,
            host=address,
            ids=ids,
            cause={"id": request_id, "idempotency_key": request.headers.get("idempotency-key")},
        )
        call.need(operation.right)
        reply = self._once(operation, request, call, plan)
        self._pause(f"stripe.{operation.name}.after", plan.delay_after)
        return Reply(status=0) if plan.lose_answer else plan.instead or reply

    def _once(self, operation: Operation, request: RawRequest, call: Call, plan: Plan) -> Reply:
        """Carry out *operation*, for a POST at most once for each idempotency key."""
        before = f"stripe.{operation.name}.before"
        seconds = self.latency_seconds + plan.delay_before
        key = request.headers.get("idempotency-key")
        if operation.method != "POST" or key is None:
            self._pause(before, seconds)
            return self._carry_out(operation, request, call, plan)[0]
        sent = decode(text_of(request))
        used_for = (request.method, request.path, sent)
        with self.book.lock:
            request_id, now = str(call.cause["id"]), self.world.now()
            kept = self.keys.begin(key, live=call.live, used_for=used_for, request_id=request_id, now=now)
        self._pause(before, seconds)
        if kept is not None:
            return failed(plan.failure) if plan.failure else kept
        keep = False
        try:
            reply, keep = self._carry_out(operation, request, call, plan)
        except Refusal:
            with self.book.lock:
                self.keys.forget(key, live=call.live)
            raise
        with self.book.lock:
            if keep:
                self.keys.keep(key, live=call.live, reply=reply)
            else:
                self.keys.forget(key, live=call.live)
        return reply

    def _carry_out(
        self, operation: Operation, request: RawRequest, call: Call, plan: Plan
    ) -> tuple[Reply, bool]:
        """Return the answer, and whether an idempotency key keeps it."""
        failure = plan.failure
        if failure and not failure.after_effect:
            return failed(failure), failure.status == 500
        schema = schema_of(operation.params)
        also = frozenset(self.book.account.preview_methods)
        params = typed(schema, decode(text_of(request)), also=also)
        with self.book.lock:
            body = operation.run(replace(call, params=params))
        reply = json_reply(200, body)
        if failure and failure.status != 500:
            plan.instead = failed(failure)
        return (failed(failure) if failure and failure.status == 500 else reply), True

    def _authenticate(self, headers: Mapping[str, str]) -> tuple[bool, frozenset[str] | None, str]:
        """Return the key's mode, its rights (None: all) and how it may be shown; refuse a wrong one."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        challenge = (("www-authenticate", 'Bearer realm="Stripe"'),)
        if scheme.lower() != "bearer" or not key:
            raise Refusal(401, "You did not provide an API key.", headers=challenge)
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}"
        rights = self.book.account.keys.get(key)
        if key != self.api_key and rights is None:
            raise Refusal(401, f"Invalid API Key provided: {shown}", headers=challenge)
        return is_live(key), None if rights is None else frozenset(rights), shown

    def _pause(self, name: str, seconds: float) -> None:
        """Give others a turn at a named point; no lock is held here."""
        with self.book.lock:
            self.paused += seconds
        self.world.pause(name, seconds)


def is_live(key: str) -> bool:
    """Return the mode of an API key."""
    return key.startswith(("sk_live_", "rk_live_"))


def text_of(request: RawRequest) -> str:
    """Return the form of a request: its body, or the query of a GET."""
    if request.method == "GET":
        return request.query
    if "json" in request.headers.get("content-type", ""):
        raise Refusal(400, "API v1 takes form-encoded bodies, not JSON.")
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        raise Refusal(400, "Invalid request: the body is not UTF-8.") from None


def failed(fault: Fault) -> Reply:
    """Return the answer that a fault switch asks for."""
    kinds: dict[int, dict[str, Any]] = {
        409: {"type": "invalid_request_error", "code": "lock_timeout"},
        429: {"type": "invalid_request_error", "code": "rate_limit"},
    }
    error = kinds.get(fault.status, {"type": "api_error"})
    body = {"error": {**error, "message": f"The simulator was told to answer {fault.status}."}}
    if fault.should_retry is None:
        return json_reply(fault.status, body)
    return json_reply(fault.status, body, (("stripe-should-retry", str(fault.should_retry).lower()),))
