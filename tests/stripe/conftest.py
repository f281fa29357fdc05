"""What the tests of the Stripe simulator share: one server, a clock, the SDK's client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from ils_payment_stripe.config import StripeConfig
from ils_payment_stripe.provider import StripeProvider
from ils_payment_stripe.simulator import StripeSimulator
from pydantic import SecretStr

from ils_payment.model import Attempt, AttemptLine
from ils_payment.ports import LibraryInfo
from ils_payment.testing.simulator import serve
from ils_payment.world import PluginHost, World

KEY = "sk_test_simulator"
LIBRARY = LibraryInfo(
    key="town", name="Town Library", currency="EUR", languages=("de",), time_zone="Europe/Berlin"
)


class Clock:
    """A world whose time moves only when somebody waits or the test says so."""

    def __init__(self):
        self.instant = datetime(2026, 11, 21, 19, 42, tzinfo=UTC)
        self.meanwhile = {}

    def now(self):
        return self.instant

    def pause(self, name, seconds):
        self.instant += timedelta(seconds=seconds)
        action = self.meanwhile.pop(name, None)
        if action:
            action()


class Exchangeable:
    """One server for all tests: starting one for each would take most of the time."""

    simulator: Any = None

    def handle(self, request):
        return self.simulator.handle(request)

    def truth(self):
        return self.simulator.truth()


@pytest.fixture(scope="session")
def stripe_server():
    exchangeable = Exchangeable()
    with serve(exchangeable) as address:
        yield exchangeable, address


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def simulator(clock):
    return StripeSimulator(clock)


@pytest.fixture
def url(stripe_server, simulator, monkeypatch):
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    exchangeable, address = stripe_server
    exchangeable.simulator = simulator
    return address


@pytest.fixture
def client():
    def connect(url, key=KEY, **options):
        return stripe.StripeClient(key, base_addresses={"api": url}, max_network_retries=0, **options)

    return connect


@pytest.fixture
def sessions(url, client):
    return client(url).v1.checkout.sessions


@pytest.fixture
def wish():
    """Return a maker of session requests; a field that is given as None is left out."""

    def make(**changes):
        line = {"currency": "eur", "unit_amount": 1250, "product_data": {"name": "Mahngebühr"}}
        request = {
            "mode": "payment",
            "line_items": [{"price_data": line, "quantity": 1}],
            "success_url": "https://pay.example/back?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://pay.example/cancelled",
            "client_reference_id": "pay_1",
            "metadata": {"payment": "pay_1"},
        }
        return {name: value for name, value in {**request, **changes}.items() if value is not None}

    return make


@pytest.fixture
def refused():
    """Return a caller that gives back the SDK's exception."""

    def attempt(call, *args, **kwargs):
        with pytest.raises(stripe.StripeError) as caught:
            call(*args, **kwargs)
        return caught.value

    return attempt


class HouseWorld(World):
    """The program's world on the simulator's clock, with failpoints that a test can listen to."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.passed: list[str] = []

    def now(self):
        return self.clock.now()

    def failpoint(self, name):
        self.passed.append(name)


@pytest.fixture
def house_world(clock):
    return HouseWorld(clock)


@pytest.fixture
def house(url, house_world):
    """The provider as the core has it, at the simulated Stripe."""
    config = StripeConfig(
        api_key=SecretStr(KEY),
        webhook_secrets=(SecretStr("whsec_simulator"),),
        statement_descriptor="STADTBIBLIOTHEK",
        api_base=url,
    )
    return StripeProvider(config, PluginHost(house_world, LIBRARY))


@pytest.fixture
def take(house, simulator, clock):
    """Return a maker of payments that have been paid; it gives the session's id."""

    def make(reference="PAY1", cents=1250, method="card", **changes):
        attempt = Attempt(
            key=f"KEY-{reference}",
            reference=reference,
            cents=cents,
            currency="EUR",
            method=method,
            lines=(AttemptLine(text="Gebühr", cents=cents),),
            language="de",
            return_url="https://pay.example/r",
            cancel_url="https://pay.example/c",
            created_at=clock.now(),
            **changes,
        )
        started = house.start(replace(attempt, request=house.prepare(attempt)))
        simulator.pay(started.session_ref, method="card" if method == "card" else "pay_by_bank")
        return started.session_ref

    return make
