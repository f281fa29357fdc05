"""Switches for what goes wrong between us and a payment service."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Fault:
    """One thing that goes wrong ``left`` more times, with the operation ``only`` (None: any)."""

    kind: str
    left: int
    only: str | None = None
    status: int = 500
    code: str = ""
    body: bytes | None = None
    after_effect: bool = False
    seconds: float = 0


@dataclass
class Faults:
    """What waits to go wrong. Callers hold the simulator's lock."""

    waiting: list[Fault] = field(default_factory=list)

    def fail_next(
        self,
        n: int = 1,
        *,
        status: int = 500,
        code: str = "",
        after_effect: bool = False,
        only: str | None = None,
    ) -> None:
        """Answer the next *n* requests with *status* and ``functionalCode`` *code* (none if empty).

        *after_effect*: the operation is carried out first.
        """
        fault = Fault(kind="fail", left=n, only=only, status=status, code=code, after_effect=after_effect)
        self.waiting.append(fault)

    def garble_next(self, body: bytes, n: int = 1, *, status: int = 200, only: str | None = None) -> None:
        """Carry out the next *n* requests and answer *body* instead: a proxy's page, half a message."""
        self.waiting.append(
            Fault(kind="fail", left=n, only=only, status=status, body=body, after_effect=True)
        )

    def delay_next(self, seconds: float, n: int = 1, *, only: str | None = None) -> None:
        """Let *seconds* pass before the next *n* operations take effect."""
        self.waiting.append(Fault(kind="delay", left=n, only=only, seconds=seconds))

    def lose_answer(self, n: int = 1, *, only: str | None = None) -> None:
        """Carry out the next *n* requests and drop the connection instead of answering."""
        self.waiting.append(Fault(kind="lose_answer", left=n, only=only))

    def lose_request(self, n: int = 1, *, only: str | None = None) -> None:
        """Drop the connection of the next *n* requests without any effect."""
        self.waiting.append(Fault(kind="lose_request", left=n, only=only))

    def plan(self, operation: str) -> dict[str, Fault]:
        """Take what is waiting for *operation*: at most one fault of each kind, by kind."""
        plan: dict[str, Fault] = {}
        for fault in list(self.waiting):
            if fault.kind in plan or fault.only not in {None, operation}:
                continue
            plan[fault.kind] = fault
            fault.left -= 1
            if fault.left <= 0:
                self.waiting.remove(fault)
        return plan
