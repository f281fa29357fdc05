"""The world of the simulator: its clock is the scheduler's, its wires lead to simulated remotes."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.utils import get_encoding_from_headers
from urllib3.exceptions import NewConnectionError, ProtocolError

from ils_payment.model import RawRequest
from ils_payment.testing.world import Crash, SimulatedWorld

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import FrameType

    from ils_payment.model import Reply
    from tests.faults.mix import Mix
    from tests.faults.scheduler import Scheduler, Task

COMMIT_BEFORE = "commit.before"
COMMIT_AFTER = "commit.after"


class RemoteWorld:
    """What the simulated remotes see: the true time, and pauses in which others go on."""

    def __init__(self, scheduler: Scheduler, mix: Mix, start: datetime) -> None:
        self.scheduler = scheduler
        self.mix = mix
        self.start = start

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.scheduler.seconds)

    def pause(self, name: str, seconds: float) -> None:
        if self.scheduler.current is None:
            return
        if seconds > 0:
            self.scheduler.sleep(seconds)
        elif name.startswith("credit.") and self.mix.rng.random() < self.mix.switching:
            self.scheduler.switch()


class FaultWorld(SimulatedWorld):
    """Clock, chance, wires and failpoints of the program under test."""

    def __init__(self, scheduler: Scheduler, mix: Mix, start: datetime, *, seed: int) -> None:
        super().__init__(seed=seed, start=start)
        self.scheduler = scheduler
        self.mix = mix
        self.start = start
        self.offset = 0.0
        self.passed: Counter[str] = Counter()
        self.crashes = 0
        self.exchange: Callable[[str, RawRequest], Reply | None] = lambda _netloc, _raw: None
        self.ambush: Callable[[str], None] = lambda _name: None
        self.committed: Callable[[], None] = lambda: None
        self.sent: list[tuple[str, str, str]] = []

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.scheduler.seconds + self.offset)

    def monotonic(self) -> float:
        return self.scheduler.seconds

    def pass_time(self, **parts: float) -> None:
        self.scheduler.sleep(timedelta(**parts).total_seconds())

    def failpoint(self, name: str) -> None:
        """Let the process die, stand still, or others go on; inside of a transaction only the first."""
        task = self.scheduler.current
        if task is None or task.instance is None:
            return
        self.passed[f"{name}@{_caller()}" if name in _KILLED_BY else name] += 1
        if name == COMMIT_AFTER:
            self.committed()
        if self._is_killed(name, task):
            raise Crash(name)
        if task.writing:
            return
        self.ambush(name)
        if self.mix.strikes("stall"):
            self.scheduler.note(f"{task.name} stalls at {name}")
            seconds = self.mix.rng.choice((30, 100, 150, 400, 1000))
            # A call that is past its last look at the clock can only be found, not prevented, if it stands
            # still for longer than any quarantine (docs/reliability.md).
            self.scheduler.sleep(min(seconds, 400) if name == "http.before" else seconds)
        elif self.mix.rng.random() < self.mix.switching:
            self.scheduler.sleep(self.mix.rng.choice((0, 0, 0.05, 1)))

    def _is_killed(self, name: str, task: Task) -> bool:
        kind = _KILLED_BY.get(name)
        if name.endswith(("after_call", ".after")) and kind is None:
            kind = "kill_after_call"
        if kind is None or task.instance is None or not self.mix.strikes(kind):
            return False
        self.crashes += 1
        self.scheduler.note(f"{task.name} dies at {name}")
        task.instance.die(self.mix.rng.choice((1, 10, 130, 1000)))
        return True

    def session(self, *, deadline: float, max_bytes: int) -> requests.Session:
        session = _Session()
        wire = _Wire(self, deadline)
        session.mount("https://", wire)
        session.mount("http://", wire)
        return session


def _caller() -> str:
    """Return which journey's function a commit belongs to."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(("ils_payment.flows.", "ils_payment.web.")):
            return f"{module.rpartition('.')[2]}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "elsewhere"


_KILLED_BY = {COMMIT_BEFORE: "kill_before_commit", COMMIT_AFTER: "kill_after_commit"}


class _Session(requests.Session):
    """Prepares requests as always, and gives them to the wire without cookies, proxies and redirects.

    The world's own session follows no redirect either, and nobody here sets a cookie.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def merge_environment_settings(self, *_args: Any, **_kwargs: Any) -> Any:
        return {}

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> requests.Response:
        return self.get_adapter(str(request.url)).send(request)


class _Wire(BaseAdapter):
    """Carries a request to a remote that works on by itself, whatever becomes of the caller."""

    def __init__(self, world: FaultWorld, deadline: float) -> None:
        super().__init__()
        self.world = world
        self.deadline = deadline

    def send(self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any) -> requests.Response:
        world, scheduler = self.world, self.world.scheduler
        parts = urlsplit(request.url or "")
        body = request.body or b""
        raw = RawRequest(
            method=str(request.method),
            path=parts.path,
            query=parts.query,
            headers={name.lower(): str(value) for name, value in request.headers.items()},
            body=body.encode() if isinstance(body, str) else bytes(body),
        )
        world.sent.append((parts.netloc, str(request.url), raw.body.decode(errors="replace")))
        world.failpoint("http.before")
        served = scheduler.spawn(f"{parts.netloc}", lambda: world.exchange(parts.netloc, raw))
        if not scheduler.join(served, patience=self.deadline, at_once=True):
            raise requests.ReadTimeout(request=request)
        if served.error is not None:
            raise RuntimeError("a simulated remote has a defect") from served.error
        reply = served.result
        if reply is None:
            refused = NewConnectionError(None, "connection refused")  # type: ignore[arg-type]  # no pool
            raise requests.ConnectionError(refused, request=request)
        world.failpoint("http.after")
        if reply.status == 0:
            raise requests.ConnectionError(ProtocolError("Connection aborted."), request=request)
        return _response(request, reply)

    def close(self) -> None:
        """Nothing is open."""


def _response(request: requests.PreparedRequest, reply: Reply) -> requests.Response:
    response = requests.Response()
    response.status_code = reply.status
    response.headers.update(reply.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.url = str(request.url)
    response.request = request
    response._content = reply.body
    return response
