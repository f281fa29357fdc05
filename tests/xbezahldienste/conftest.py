"""What the tests of XBezahldienste share: one server, a clock, and the provider as the core has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ils_payment_xbezahldienste.config import XBezahldiensteConfig
from ils_payment_xbezahldienste.provider import XBezahldiensteProvider
from ils_payment_xbezahldienste.simulator import XBezahldiensteSimulator
from pydantic import SecretStr

from ils_payment.model import Attempt, AttemptLine, Started
from ils_payment.ports import LibraryInfo
from ils_payment.testing.simulator import serve
from ils_payment.testing.world import START, SimulatedWorld
from ils_payment.world import PluginHost, World

LIBRARY = LibraryInfo(
    key="town", name="Stadtbücherei Lindental", currency="EUR", languages=("de",), time_zone="Europe/Berlin"
)
IDS = {"originator_id": "bibliothek", "end_point_id": "08115003"}
USER, PASSWORD = "bibliothek", "CANARY-päss"
BOOKING = {"HHST": "{cost_centre}", "Objektnummer": "{account}"}


def config_for(url: str, **changes: Any) -> XBezahldiensteConfig:
    """The configuration for Basic; *changes* as an administrator would write them."""
    table = {
        "url": url,
        **IDS,
        "authentication": "basic",
        "user": USER,
        "password": SecretStr(PASSWORD),
        "live": True,
        "booking_data": BOOKING,
        **changes,
    }
    return XBezahldiensteConfig.model_validate(
        {name: value for name, value in table.items() if value is not None}
    )


def an_attempt(**changes: Any) -> Attempt:
    """Return an attempt for 12.50 EUR in two lines."""
    first = Attempt(
        key="KEY0000000000000000000001",
        reference="PAY0000000000000000000001",
        number="ILSP-7K3M9Q-4",
        cents=1250,
        currency="EUR",
        method="payment_page",
        lines=(
            AttemptLine(text="Säumnisgebühr", cents=950, cost_centre="4711", account="331100"),
            AttemptLine(text="Vormerkung", cents=300),
        ),
        language="de",
        return_url="https://pay.example/town/return/PAY1?t=abc",
        cancel_url="https://pay.example/town/return/PAY1?t=abc&cancelled=1",
        created_at=START,
    )
    return replace(first, **changes)


def of(cents: int, **changes: Any) -> Attempt:
    """Return an attempt for one line of *cents*."""
    return an_attempt(cents=cents, lines=(AttemptLine(text="Gebühr", cents=cents),), **changes)


class Line:
    """One server for all tests of a file: starting one for each would take most of the time."""

    simulator: Any = None

    def handle(self, request):
        return self.simulator.handle(request)

    def truth(self):
        return self.simulator.truth()


@pytest.fixture(scope="session")
def payment_service():
    line = Line()
    with serve(line) as address:
        yield line, address


class HouseWorld(World):
    """The program's world, really on the network, on the clock of the simulated one."""

    def __init__(self, clock, **options):
        super().__init__(**options)
        self.clock = clock
        self.passed: list[str] = []
        self.deadline = 20.0

    def now(self):
        return self.clock.now()

    def session(self, *, deadline, max_bytes):
        return super().session(deadline=min(deadline, self.deadline), max_bytes=max_bytes)

    def failpoint(self, name):
        self.passed.append(name)


@pytest.fixture
def clock():
    return SimulatedWorld()


@pytest.fixture
def world(clock):
    return HouseWorld(clock)


@pytest.fixture
def simulator(clock):
    return XBezahldiensteSimulator(clock, basic=(USER, PASSWORD))


@pytest.fixture
def url(payment_service, simulator):
    line, address = payment_service
    line.simulator = simulator
    return address


@pytest.fixture
def provider(url, world):
    return XBezahldiensteProvider(config_for(url), PluginHost(world, LIBRARY))


@pytest.fixture
def begin(provider):
    """Return a maker of attempts that were started; it gives the attempt as stored and the outcome."""

    def start(attempt=None):
        stored = attempt or an_attempt()
        stored = replace(stored, request=provider.prepare(stored))
        return stored, provider.start(stored)

    return start


@pytest.fixture
def started(begin):
    """Return a maker of transactions that must start; it gives the session's reference."""

    def start(attempt=None):
        _, outcome = begin(attempt)
        assert isinstance(outcome, Started), outcome
        return outcome.session_ref

    return start
