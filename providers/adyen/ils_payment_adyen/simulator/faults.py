"""Switches for what goes wrong between an integration and Adyen's API."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Fault:
    """One thing that goes wrong ``left`` more times, with the operation ``only`` (None: any)."""

    kind: str
    left: int
    only: str | None = None
    status: int = 500
    after_effect: bool = False
    transient: bool = False
    body: bytes | None = None


@dataclass
class Faults:
    """The switches of the API; notices have their own."""

    waiting: list[Fault] = field(default_factory=list)

    def lose_request(self, n: int = 1, *, only: str | None = None) -> None:
        """Drop the next *n* requests before anything is done."""
        self.waiting.append(Fault(kind="lose_request", left=n, only=only))

    def lose_answer(self, n: int = 1, *, only: str | None = None) -> None:
        """Carry out the next *n* requests and drop the connection."""
        self.waiting.append(Fault(kind="lose_answer", left=n, only=only, after_effect=True))

    def fail(
        self,
        n: int = 1,
        *,
        status: int = 500,
        only: str | None = None,
        after_effect: bool = False,
        transient: bool = False,
        body: bytes | None = None,
    ) -> None:
        """Answer the next *n* requests with *status*; *body* in place of Adyen's own form of an error."""
        self.waiting.append(
            Fault(
                kind="fail",
                left=n,
                only=only,
                status=status,
                after_effect=after_effect,
                transient=transient,
                body=body,
            )
        )

    def next(self, operation: str) -> Fault | None:
        """Take the fault that strikes *operation* now, if any."""
        for fault in self.waiting:
            if fault.left > 0 and fault.only in {None, operation}:
                fault.left -= 1
                return fault
        return None
