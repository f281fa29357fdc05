"""Switches for what goes wrong between an integration and Stripe's API."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.model import Reply


@dataclass(kw_only=True)
class Fault:
    """One thing that goes wrong ``left`` more times, with the operation ``only`` (None: any)."""

    kind: str
    left: int
    only: str | None = None
    status: int = 500
    after_effect: bool = False
    seconds: float = 0
    should_retry: bool | None = None


@dataclass(kw_only=True)
class Plan:
    """What goes wrong with one request."""

    delay_before: float = 0
    delay_after: float = 0
    failure: Fault | None = None
    instead: Reply | None = None
    lose_request: bool = False
    lose_answer: bool = False


@dataclass
class Faults:
    """The switches of the API; webhooks have their own. Callers hold the simulator's lock."""

    waiting: list[Fault] = field(default_factory=list)
    rate_limit: int | None = None
    _recent: deque[float] = field(default_factory=deque)

    def fail_next(
        self,
        n: int = 1,
        *,
        status: int = 500,
        after_effect: bool = False,
        only: str | None = None,
        should_retry: bool | None = None,
    ) -> None:
        """Answer the next *n* requests with *status*.

        *after_effect*: the operation is carried out first. *should_retry*: send
        ``Stripe-Should-Retry``. A 500 is kept under the idempotency key and comes again with it,
        as Stripe documents; any other status is not kept, and after an effect the same key then
        brings the true answer.
        """
        fault = Fault(
            kind="fail",
            left=n,
            only=only,
            status=status,
            after_effect=after_effect,
            should_retry=should_retry,
        )
        self.waiting.append(fault)

    def delay_next(
        self, seconds: float, n: int = 1, *, after_effect: bool = False, only: str | None = None
    ) -> None:
        """Let *seconds* pass before (or after) the next *n* operations take effect."""
        kind = "delay_after" if after_effect else "delay_before"
        self.waiting.append(Fault(kind=kind, left=n, only=only, seconds=seconds))

    def lose_answer(self, n: int = 1, *, only: str | None = None) -> None:
        """Carry out the next *n* requests and drop the connection instead of answering."""
        self.waiting.append(Fault(kind="lose_answer", left=n, only=only))

    def lose_request(self, n: int = 1, *, only: str | None = None) -> None:
        """Drop the connection of the next *n* requests without any effect."""
        self.waiting.append(Fault(kind="lose_request", left=n, only=only))

    def plan(self, operation: str) -> Plan:
        """Take what is waiting for *operation*: at most one fault of each kind."""
        plan = Plan()
        taken: set[str] = set()
        for fault in list(self.waiting):
            if fault.kind in taken or fault.only not in {None, operation}:
                continue
            taken.add(fault.kind)
            fault.left -= 1
            if fault.left <= 0:
                self.waiting.remove(fault)
            self._note(plan, fault)
        return plan

    def _note(self, plan: Plan, fault: Fault) -> None:
        if fault.kind == "fail":
            plan.failure = fault
        elif fault.kind == "delay_after":
            plan.delay_after = fault.seconds
        elif fault.kind == "delay_before":
            plan.delay_before = fault.seconds
        elif fault.kind == "lose_answer":
            plan.lose_answer = True
        else:
            plan.lose_request = True

    def too_many(self, now: datetime) -> bool:
        """Count one request, and say whether the account has had too many in the last second."""
        if self.rate_limit is None:
            return False
        instant = now.timestamp()
        while self._recent and self._recent[0] <= instant - 1:
            self._recent.popleft()
        if len(self._recent) >= self.rate_limit:
            return True
        self._recent.append(instant)
        return False
