"""Idempotency keys as Stripe documents them for API v1.

The first answer of a key, 500s included, is kept for 24 hours and given again with
``Idempotent-Replayed: true``. The same key with other parameters, or for another address, is an
error; a key whose first request is still running is a conflict. Nothing is kept when the
parameters were refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ils_payment_stripe.simulator.refusal import Refusal

if TYPE_CHECKING:
    from ils_payment.model import Reply

KEPT = timedelta(hours=24)
LONGEST_REQUEST = timedelta(seconds=60)
"""After this time a request that left no answer counts as never carried out (inferred)."""

MAX_LENGTH = 255


@dataclass
class _Entry:
    """What a key was first used for, and the answer (None while it is being made)."""

    used_for: object
    since: datetime
    request_id: str
    reply: Reply | None = None


class IdempotencyKeys:
    """The keys of one account and mode. Callers hold the simulator's lock."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[tuple[bool, str], _Entry] = {}
        self.seen: dict[str, int] = {}

    def begin(
        self, key: str, *, live: bool, used_for: object, request_id: str, now: datetime
    ) -> Reply | None:
        """Claim *key*; return the kept answer if there is one, refuse a misuse."""
        if len(key) > MAX_LENGTH:
            raise Refusal(
                400, f"An idempotency key has at most {MAX_LENGTH} characters.", kind="idempotency_error"
            )
        self.seen[key] = self.seen.get(key, 0) + 1
        entry = self._entries.get((live, key))
        if entry is None or now - entry.since >= (LONGEST_REQUEST if entry.reply is None else KEPT):
            self._entries[live, key] = _Entry(used_for, now, request_id)
            return None
        if entry.used_for != used_for:
            message = f"The idempotency key '{key}' was first used with other parameters or another address."
            raise Refusal(400, message, kind="idempotency_error")
        if entry.reply is None:
            message = f"A request with the idempotency key '{key}' is still in progress."
            retry = (("stripe-should-retry", "true"),)
            raise Refusal(
                409, message, kind="idempotency_error", code="idempotency_key_in_use", headers=retry
            )
        replayed = (("idempotent-replayed", "true"), ("original-request", entry.request_id))
        return replace(entry.reply, headers=entry.reply.headers + replayed)

    def keep(self, key: str, *, live: bool, reply: Reply) -> None:
        """Keep the answer of a request that was carried out."""
        self._entries[live, key].reply = reply

    def forget(self, key: str, *, live: bool) -> None:
        """Free a key whose request did not get as far as being carried out."""
        self._entries.pop((live, key), None)
