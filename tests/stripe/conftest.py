"""What the tests of the Stripe simulator share: one server, a clock, the SDK's client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.testing.simulator import serve

KEY = "sk_test_simulator"


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
