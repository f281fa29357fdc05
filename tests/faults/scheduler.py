"""Tasks are greenlets; a seeded scheduler decides who goes on, and time passes only when it says so."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from ils_payment.testing.world import Crash

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.faults.instance import Instance


class StuckError(Exception):
    """The schedule never comes to rest: something is done again and again."""


class Task(greenlet):  # type: ignore[misc]  # greenlet comes without types
    """One line of work. ``instance`` is the process it runs in; None: it is outside of the program."""

    def __init__(self, scheduler: Scheduler, name: str, work: Callable[[], Any], instance: Instance | None):
        super().__init__(self._run_work, scheduler.hub)
        self.scheduler = scheduler
        self.name = name
        self.work = work
        self.instance = instance
        self.ready_at = scheduler.now()
        self.awaits: Task | None = None
        self.finished = False
        self.crashed = False
        self.result: Any = None
        self.error: Exception | None = None
        self.writing = False
        self.caller: Task | None = None
        """Who has begun this task: of a call to a remote, whoever makes it."""

    def _run_work(self) -> None:
        try:
            self.result = self.work()
        except Crash:
            self.crashed = True
        except Exception as error:  # noqa: BLE001 - whoever waits for the task gets it
            self.error = error
        self.finished = True

    def ready(self, now: float) -> bool:
        if self.awaits is not None and self.awaits.finished:
            return True
        return self.ready_at <= now


class Scheduler:
    """Runs tasks until none is left; every choice comes from *rng*, every choice is in the trace."""

    def __init__(self, rng: random.Random, *, limit: int = 20_000) -> None:
        self.rng = rng
        self.hub = getcurrent()
        self.tasks: list[Task] = []
        self.seconds = 0.0
        self.steps = 0
        self.limit = limit
        self.next_one: Task | None = None
        self.trace: list[str] = []
        self._digest = hashlib.sha256()

    def now(self) -> float:
        return self.seconds

    def note(self, line: str) -> None:
        """Add *line* to the story; the same seed tells the same story."""
        entry = f"{self.seconds:.3f} {line}"
        self.trace.append(entry)
        self._digest.update(entry.encode())

    def seal(self, text: str) -> None:
        """Let the fingerprint cover *text*, which is no part of the story."""
        self._digest.update(text.encode())

    def fingerprint(self) -> str:
        """Return a hash of every step, of the story, and of what was sealed."""
        return self._digest.hexdigest()

    @property
    def current(self) -> Task | None:
        running = getcurrent()
        return running if isinstance(running, Task) else None

    # --- inside of tasks ---

    def spawn(
        self, name: str, work: Callable[[], Any], *, instance: Instance | None = None, after: float = 0.0
    ) -> Task:
        task = Task(self, name, work, instance)
        task.ready_at = self.seconds + after
        task.caller = self.current
        self.tasks.append(task)
        return task

    def switch(self) -> None:
        """Let others go on."""
        self.hub.switch()

    def sleep(self, seconds: float) -> None:
        task = self.current
        if task is None:
            self.seconds += seconds
            return
        task.ready_at = self.seconds + seconds
        self.hub.switch()

    def join(self, other: Task, *, patience: float = float("inf"), at_once: bool = False) -> bool:
        """Wait for *other*; False when it has not finished after *patience* seconds."""
        task = self.current
        if task is None:
            raise RuntimeError("only a task can wait for another one")
        if at_once:
            self.next_one = other
        until = self.seconds + patience
        while not other.finished and self.seconds < until:
            task.awaits, task.ready_at = other, until
            self.hub.switch()
        task.awaits = None
        return other.finished

    # --- in the hub ---

    def step(self, task: Task) -> None:
        """Let *task* go on until it switches or ends."""
        self.steps += 1
        if self.steps > self.limit:
            raise StuckError(f"{self.limit} steps and no end; the last was {task.name}")
        self._digest.update(f"{self.seconds} {task.name}".encode())
        task.awaits = None if task.awaits is not None and task.awaits.finished else task.awaits
        task.switch()
        if task.finished:
            self.tasks.remove(task)
            if task.instance is not None:
                task.instance.left(task)

    def kill(self, task: Task) -> None:
        """End *task* as its process dies; only the hub may do so."""
        if not task.finished:
            if not task.dead and task.gr_frame is not None:
                task.throw(Crash)
            task.finished = task.crashed = True
        if task in self.tasks:
            self.tasks.remove(task)

    def end(self) -> None:
        """End every task, before the garbage collector does so in the middle of another schedule."""
        for task in list(self.tasks):
            self.kill(task)

    def choose(self) -> Task | None:
        """Return a task that can go on now."""
        if self.next_one is not None:
            chosen, self.next_one = self.next_one, None
            if not chosen.finished:
                return chosen
        ready = [task for task in self.tasks if task.ready(self.seconds)]
        if not ready:
            return None
        return ready[0] if len(ready) == 1 else ready[int(self.rng.random() * len(ready))]

    def next_instant(self) -> float:
        """Return when the next task wakes up by itself."""
        return min((task.ready_at for task in self.tasks), default=float("inf"))
