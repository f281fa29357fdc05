"""The line between a plugin and a simulated HTTP remote: it counts what passes, and breaks where it is told.

Whatever the remote is, a call can get lost in the same ways. So this is here, once, and a simulator needs no
switches of its own for the contract kits; one that is not reached over HTTP has them (:mod:`.stands`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ils_payment.model import RawRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.testing.simulator import Simulator
    from ils_payment.testing.world import SimulatedWorld

LATE_SECONDS = 40
"""After so many seconds a call takes effect that is broken with ``Fault.LATE``."""

_SILENCE_SECONDS = 120
"""Longer than any plugin waits for an answer."""


class Fault(StrEnum):
    """What happens to one call. Where nothing else is said, it takes effect at the remote."""

    REQUEST_LOST = "the connection breaks, and the call has no effect"
    ANSWER_LOST = "the connection breaks instead of an answer"
    TIMEOUT_BEFORE = "no answer comes, and the call has no effect"
    TIMEOUT_AFTER = "no answer comes in time"
    ERROR_BEFORE = "the web server in front says 503, and the call has no effect"
    ERROR_AFTER = "the web server in front says 502 instead of an answer"
    CUT = "half of the answer comes"
    GARBLED = "another answer comes than the specification has: a page with the status of a success"
    LATE = "no answer comes, and the call takes effect only later"

    @property
    def takes_effect(self) -> bool:
        """Tell whether the call has taken effect when the plugin gets no answer."""
        return self not in {Fault.REQUEST_LOST, Fault.TIMEOUT_BEFORE, Fault.ERROR_BEFORE, Fault.LATE}


@dataclass(frozen=True)
class _Break:
    matches: Callable[[RawRequest], bool]
    fault: Fault


class Line:
    """Passes requests on to *remote*; ``requests`` keeps every one that was sent."""

    def __init__(self, remote: Simulator, world: SimulatedWorld) -> None:
        self.requests: list[RawRequest] = []
        self._remote = remote
        self._world = world
        self._breaks: list[_Break] = []
        self._late: list[tuple[datetime, RawRequest]] = []
        self._lock = threading.Lock()

    def break_next(self, matches: Callable[[RawRequest], bool], fault: Fault) -> None:
        """Let *fault* happen to the next request that *matches*."""
        self._breaks.append(_Break(matches, fault))

    def mend(self) -> None:
        """Let no fault wait any more."""
        self._breaks.clear()

    def handle(self, request: RawRequest) -> Reply:
        """Answer as the remote does, or as the fault has it that waits for such a request."""
        self.catch_up()
        with self._lock:
            self.requests.append(request)
            found = next((one for one in self._breaks if one.matches(request)), None)
            if found is not None:
                self._breaks.remove(found)
        return self._remote.handle(request) if found is None else self._broken(request, found.fault)

    def truth(self) -> dict[str, Any]:
        """Return the remote's own truth."""
        self.catch_up()
        return self._remote.truth()

    def catch_up(self) -> None:
        """Let everything take effect that was to do so by now; nobody hears the answers."""
        with self._lock:
            due = [request for at, request in self._late if at <= self._world.now()]
            self._late = [entry for entry in self._late if entry[0] > self._world.now()]
        for request in due:
            self._remote.handle(request)

    def _broken(self, request: RawRequest, fault: Fault) -> Reply:
        reply = self._remote.handle(request) if fault.takes_effect else Reply(status=0)
        match fault:
            case Fault.ERROR_BEFORE:
                return _page(503)
            case Fault.ERROR_AFTER:
                return _page(502)
            case Fault.CUT:
                return Reply(
                    status=reply.status, headers=reply.headers, body=reply.body[: len(reply.body) // 2]
                )
            case Fault.GARBLED:
                return _page(reply.status)
            case Fault.LATE:
                self._late.append((self._world.now() + timedelta(seconds=LATE_SECONDS), request))
            case Fault.TIMEOUT_BEFORE | Fault.TIMEOUT_AFTER:
                self._world.pass_time(seconds=_SILENCE_SECONDS)
            case Fault.REQUEST_LOST | Fault.ANSWER_LOST:
                pass
        return Reply(status=0)


def _page(status: int) -> Reply:
    page = f"<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Reply(status=status, body=page.encode(), headers=(("content-type", "text/html; charset=utf-8"),))
