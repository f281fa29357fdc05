"""The program dies at every failpoint of a payment at a payment service, and is started again."""

from __future__ import annotations

import pytest

from ils_payment.flows.house import open_house
from ils_payment.model import State
from ils_payment.testing.world import Crash
from tests.faults.failpoints import named_in_source
from tests.flows.truths import DUE, settled, void
from tests.xbezahldienste.test_xbezahldienste_journeys import City, end


class Journey:
    """Pay and settle; the program dies at the failpoint number *crash_at* (None: never)."""

    def __init__(self, city, crash_at=None):
        self.city = city
        self.crash_at = crash_at
        self.names = []
        self.before = 0

    def _pass(self, name):
        self.names.append(name)
        if len(self.names) - 1 == self.crash_at:
            raise Crash(name)

    def _survive(self, step):
        try:
            step()
        except Crash:
            self.city.house.close()
            self.city.house = open_house(self.city.settings, self.city.world)
            self.city.desk = self.city.house.libraries["lindental"]

    def play(self):
        """Return the payment's id, None where the program died before there was one."""
        city = self.city
        # A first credit that was confirmed proves that reading in the library system is fresh.
        first = city.started(only=1)
        city.service.book.pay(city.transaction_of(first))
        city.run_for(minutes=2, rounds=2)
        assert city.view(first).state is State.SETTLED
        self.before = city.service.truth()["taken"]["EUR"]
        city.world.pass_time(minutes=1)
        city.world.on_failpoint = self._pass
        self._survive(lambda: city.begin(method="payment_page"))
        for _ in range(26):
            self._payer()
            city.world.pass_time(hours=1)
            self._survive(city.run)
        city.world.on_failpoint = None
        known = [one["references"][0] for one in city.service.truth()["transactions"].values()]
        return next((one for one in known if one != first), None)

    def _payer(self):
        """Pay where the payer was led to: nobody can pay on a page whose address was lost."""
        for key, one in self.city.service.truth()["transactions"].items():
            page = f"https://bezahlen.test/paypage/{key}"
            led = self.city.view(one["references"][0]).continue_url == page
            if led and one["status"] == "INITIAL":
                self.city.service.book.pay(key)


@pytest.fixture
def journey(tmp_path, monkeypatch):
    built: list[City] = []

    def make(crash_at=None):
        city = City(f"sqlite:///{tmp_path}/{len(built)}.db", monkeypatch)
        city.service.service.timeout_seconds = 3 * 3600
        built.append(city)
        return Journey(city, crash_at)

    yield make
    for city in built:
        city.close()


def test_a_crash_at_any_failpoint_settles_once_or_takes_nothing(journey):
    calm = journey()
    calm.play()
    assert {name for name in named_in_source() if name.startswith("xbezahldienste.")} <= set(calm.names)
    ended = set()
    for crash_at in range(len(calm.names)):
        played = journey(crash_at)
        payment_id = played.play()
        city, where = played.city, (crash_at, played.names[crash_at])
        assert len(city.service.truth()["transactions"]) <= 2, where
        if payment_id is None:
            continue
        rest = DUE - played.before
        state = city.view(payment_id).state
        wanted = settled(rest) if state is State.SETTLED else void("not_started")
        taken = DUE if state is State.SETTLED else played.before
        assert end(city, payment_id) == wanted | {"captured": taken}, where
        assert sum(one["amount"] for one in city.credits()) == taken, where
        ended.add(state)
    assert ended == {State.SETTLED, State.VOID}
