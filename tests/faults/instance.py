"""One process of the program: a house of its own over the shared database, killed and started again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.flows.advance import advance, due
from ils_payment.flows.house import House, open_desk
from ils_payment.store import installation

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.store.unit import Store
    from tests.faults.scheduler import Task
    from tests.faults.stage import Stage

log = structlog.get_logger(__name__)

HANDS = 2
"""How many payments one process has in hands at a time."""


class BrokenError(Exception):
    """The process that should have answered has died, or is not there."""


class Instance:
    """A process. ``house`` is None while it is dead."""

    def __init__(self, setting: Stage, number: int, store: Store) -> None:
        self.setting = setting
        self.number = number
        self.store = store
        self.house: House | None = None
        self.tasks: list[Task] = []
        self.dying = False
        self.starts_at = 0.0
        self.rests_until = 0.0
        self.hands = 0
        self.opened = 0
        self.open()

    def open(self) -> None:
        """Start the process: plugins, desks and connections are new, as after an exec."""
        kit, settings = self.setting.kit, self.setting.settings
        world = self.setting.world
        desks = {
            key: self.setting.furnished(open_desk(key, library, kit.plugins, world))
            for key, library in settings.libraries.items()
        }
        self.store.world = world
        with self.store.read() as unit:
            ours = installation.read(unit)
        self.house = House(settings, self.store, world, kit.plugins, desks, ours)
        self.opened += 1

    def call(self, name: str, work: Callable[[House], Any]) -> Any:
        """Have a request served by this process; BrokenError when it dies over it."""
        house = self.house
        if house is None:
            raise BrokenError(name)
        task = self.spawn(name, lambda: work(house))
        self.setting.scheduler.join(task, at_once=True)
        if task.crashed:
            raise BrokenError(name)
        if task.error is not None:
            raise task.error
        return task.result

    def spawn(self, name: str, work: Callable[[], Any]) -> Task:
        task = self.setting.scheduler.spawn(f"{self.number}:{name}", work, instance=self)
        self.tasks.append(task)
        return task

    def left(self, task: Task) -> None:
        """Forget a task that has ended."""
        if task in self.tasks:
            self.tasks.remove(task)

    def die(self, delay: float) -> None:
        """Let the process die as soon as the hub has control; it starts again after *delay* seconds."""
        self.dying = True
        self.starts_at = self.setting.scheduler.seconds + delay

    def bury(self) -> None:
        """End every task of the dead process and close its connections, as the operating system does."""
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            self.setting.scheduler.kill(task)
        self.store.engine.dispose()
        self.house, self.dying, self.hands = None, False, 0

    # --- the runner, as ils_payment.runner does it with threads ---

    def may_run(self, seconds: float) -> bool:
        return self.house is not None and self.hands < HANDS and self.rests_until <= seconds

    def run(self) -> Task:
        """Look for due payments and advance one of them."""
        house = self.house
        if house is None:
            raise BrokenError("run")
        self.hands += 1
        return self.spawn("runner", lambda: self._run(house))

    def _run(self, house: House) -> None:
        rng = self.setting.rng
        try:
            waiting = due(house, 100)
            if waiting:
                advance(house, waiting[int(rng.random() * len(waiting))])
            else:
                self._rest()
        except Exception:
            # The runner's threads log and go on, too.
            log.exception("advance_failed")
            self._rest()
        self.hands -= 1

    def _rest(self) -> None:
        self.rests_until = self.setting.scheduler.seconds + 2.0
