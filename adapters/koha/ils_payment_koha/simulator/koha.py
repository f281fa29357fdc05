"""The simulated Koha: the order in which it checks a request, and the faults that a test turns on."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from ils_payment.model import RawRequest, Reply
from ils_payment.testing.demo import DemoLibrary
from ils_payment.testing.simulator import RealWorld, serve
from ils_payment_koha.simulator import demo, schema
from ils_payment_koha.simulator.access import Access
from ils_payment_koha.simulator.accounts import Accounts
from ils_payment_koha.simulator.desk import Desk
from ils_payment_koha.simulator.endpoints import Call, Endpoints
from ils_payment_koha.simulator.habits import Failure, Faults, KohaHabits
from ils_payment_koha.simulator.patrons import Patrons
from ils_payment_koha.simulator.render import Problem, Renderer, no_such_path, unhandled
from ils_payment_koha.simulator.routes import found_route
from ils_payment_koha.simulator.state import Tables
from ils_payment_koha.simulator.truth import truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ils_payment.testing.demo import MakeSecret
    from ils_payment.testing.simulator import SimulatorWorld
    from ils_payment_koha.simulator.routes import Route

CREDIT = "credits.add"
RENEWAL = "patrons.put"
"""Both are for the faults: ``koha.lose_answer(operation=RENEWAL)``."""


class KohaSimulator(Desk):
    """Koha's REST API in process (:meth:`handle`) or over HTTP (``ils_payment.testing.simulator.serve``).

    It has no clock, thread or randomness of its own: *world* gives time and pauses, *seed* the dice.
    Operations (for faults, latency and counting) are named in ``routes.ROUTES``, e.g. ``credits.add``.
    """

    demo_card, demo_pin = demo.CARD, demo.PIN
    """Whoever tries the demo signs in with these."""

    def __init__(
        self, world: SimulatorWorld | None = None, *, seed: int = 0, habits: KohaHabits | None = None
    ) -> None:
        self.world = world or RealWorld()
        self.habits = habits or KohaHabits()
        self.faults = Faults()
        self.tables = Tables()
        self.renderer = Renderer(self.habits)
        rng = random.Random(seed)
        now = self.world.now
        self.accounts = Accounts(self.tables, self.habits, self.faults, self.renderer, rng, now, self._pause)
        self._access = Access(self.tables, self.habits, self.faults, rng, now)
        self.patrons = Patrons(self.tables, self.habits, self.accounts, self.renderer, now)
        self._endpoints = Endpoints(
            self.tables, self.habits, self._access, self.accounts, self.patrons, self.renderer
        )
        self.patron_ids: dict[str, int] = {}
        self._gate = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._paused = 0.0

    @classmethod
    def demo(
        cls,
        world: SimulatorWorld | None = None,
        *,
        client_id: str = "ils-payment",
        client_secret: str = "demo-secret",  # noqa: S107 - it opens nothing but this simulator
        rights: Iterable[str] = demo.RIGHTS,
        seed: int = 0,
        habits: KohaHabits | None = None,
    ) -> Self:
        """Return a simulator filled with a small library; ``patron_ids`` then leads to its patrons."""
        simulator = cls(world, seed=seed, habits=habits)
        simulator.patron_ids = demo.fill(
            simulator, client_id=client_id, client_secret=client_secret, rights=rights
        )
        return simulator

    @classmethod
    @contextmanager
    def stage_demo(cls, secret: MakeSecret, port: int) -> Iterator[DemoLibrary]:
        """Serve the small library over HTTP for ``ils-payment demo``."""
        value, named = secret("koha")
        simulator = cls.demo(client_secret=value)
        cards = [patron["card"] for patron in simulator.truth()["patrons"].values()]
        with serve(simulator, port=port) as address:
            table = {
                "plugin": "koha",
                "url": f"{address}/api/v1",
                "client_id": "ils-payment",
                "client_secret": named,
                "library_id": "ZENTRALE",
                "renew": True,
            }
            yield DemoLibrary(simulator=simulator, address=address, table=table, cards=tuple(cards))

    def handle(self, request: RawRequest) -> Reply:
        """Answer one request as Koha 23.05.04 does; status 0 means that the connection is dropped."""
        self._catch_up()
        found = found_route(request, newer=self.habits.newer)
        operation = found[0].operation if found else "unknown"
        with self._gate:
            self._requests[operation] += 1
            failure = self.faults.take(operation)
            delay = self.faults.delays.popleft() if self.faults.delays else 0.0
        self._pause(f"latency.{operation}", delay + self._latency(operation))
        try:
            if found is None:
                raise no_such_path()
            return self._act(self._admit(request, *found), failure)
        except Problem as problem:
            return _broken(failure.status) if failure else problem.reply()

    def truth(self) -> dict[str, Any]:
        """Return every patron's books (cents), the requests by operation, and the seconds spent in pauses."""
        self._catch_up()
        return {
            "patrons": truth(self.tables, self.accounts),
            "credit_types": list(self.tables.credit_types),
            "requests": dict(self._requests),
            "paused_seconds": self._paused,
        }

    def fail_next(
        self, n: int = 1, *, status: int = 500, operation: str | None = None, after_effect: bool = False
    ) -> None:
        """Let the next *n* requests (of *operation*) fail with *status*, before or after they took effect."""
        failures = [Failure(status=status, operation=operation, after_effect=after_effect) for _ in range(n)]
        with self._gate:
            self.faults.failures.extend(failures)

    def lose_answer(self, n: int = 1, *, operation: str | None = CREDIT) -> None:
        """Let the next *n* requests take effect, and drop the connection instead of answering."""
        self.fail_next(n, status=0, operation=operation, after_effect=True)

    def apply_late(self, seconds: float, *, status: int = 504, operation: str | None = CREDIT) -> None:
        """Let the next request be answered with *status* at once and take effect only *seconds* later.

        The effect is seen by whatever asks after that moment.
        """
        with self._gate:
            self.faults.failures.append(Failure(status=status, operation=operation, late_seconds=seconds))

    def delay_next(self, seconds: float, n: int = 1) -> None:
        """Let the next *n* requests take *seconds* longer."""
        with self._gate:
            self.faults.delays.extend([seconds] * n)

    def deadlock_next(self, n: int = 1) -> None:
        """Let MariaDB pick the next *n* credits as deadlock victims: 500, stored and never applied."""
        with self.tables.lock:
            self.faults.deadlocks += n

    def database_down(self, *, down: bool = True) -> None:
        """Stop MariaDB under the running API, or start it again."""
        self.faults.database_down = down

    def _admit(self, request: RawRequest, route: Route, path: dict[str, str]) -> Callable[[], Reply]:
        """Check who asks and for what form, in Koha's order, and return what remains to be done."""
        user = None if route.public else self._access.user(request, route.permission)
        form = schema.accepted(request, route.produces)
        call = Call(request=request, path=path, form=form, user=user)
        return lambda: self._endpoints.answer(route.operation, call)

    def _act(self, effect: Callable[[], Reply], failure: Failure | None) -> Reply:
        if failure is None:
            return effect()
        if failure.late_seconds is not None:
            with self._gate:
                self.faults.postpone(self.world.now(), failure.late_seconds, effect)
        elif failure.after_effect:
            effect()
        return _broken(failure.status)

    def _catch_up(self) -> None:
        """Carry out what was postponed to a moment that has come; its answer is heard by nobody."""
        with self._gate:
            effects = self.faults.due(self.world.now())
        for effect in effects:
            try:
                effect()
            except Problem:
                continue

    def _latency(self, operation: str) -> float:
        table = self.habits.latency
        return table.get(operation, min(table.values())) if self.habits.realistic_latency else 0.0

    def _pause(self, name: str, seconds: float) -> None:
        with self._gate:
            self._paused += seconds
        self.world.pause(name, seconds)


def _broken(status: int) -> Reply:
    """Return what a failing Koha (500) or the web server before it says; 0 drops the connection."""
    if status == 0:
        return Reply(status=0)
    if status == 500:
        return unhandled().reply()
    page = f"<!DOCTYPE HTML><html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Reply(
        status=status, body=page.encode(), headers=(("Content-Type", "text/html; charset=iso-8859-1"),)
    )
