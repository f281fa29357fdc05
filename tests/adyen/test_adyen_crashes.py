"""The program dies at every failpoint of a journey with Adyen, and is started again on the same ledger."""

from __future__ import annotations

import pytest

from ils_payment.flows.house import open_house
from ils_payment.model import State
from ils_payment.store import chain
from ils_payment.testing.world import Crash
from tests.faults.failpoints import named_in_source
from tests.flows.decisions import approved, books, kinds, only_refund

DUE = 1250


class Journey:
    """Pay, settle, give back; the program dies at the failpoint number *crash_at* (None: never)."""

    def __init__(self, town, crash_at=None):
        self.town = town
        self.crash_at = crash_at
        self.names = []
        self.died = ""
        self.before = 0

    def _pass(self, name):
        self.names.append(name)
        if len(self.names) - 1 == self.crash_at:
            self.died = name
            raise Crash(name)

    def _survive(self, step):
        try:
            step()
        except Crash:
            self.town.house.close()
            self.town.house = open_house(self.town.settings, self.town.world)
            self.town.desk = self.town.house.libraries["lindental"]

    def _wait(self, minutes):
        for _ in range(minutes):
            self._payer()
            self.town.world.pass_time(minutes=1)
            self._survive(self.town.hear)

    def _payer(self):
        for page in self.town.adyen.truth()["pages"].values():
            if page["status"] == "active" and self._was_led_to(page):
                self.town.adyen.book.pay(page["id"])

    def _was_led_to(self, page):
        """Tell whether the payer knows the page: nobody can pay on one whose address was lost."""
        return self.town.view(page["wanted"]["reference"]).continue_url == page["url"]

    def play(self):
        town = self.town
        # A first credit that was confirmed proves that reading in the library system is fresh.
        first = town.started(only=1)
        town.adyen.book.pay(town.session_of(first))
        town.hear()
        assert town.view(first).state is State.SETTLED
        self.before = town.adyen.truth()["captured"]["EUR"]
        town.world.pass_time(minutes=1)
        town.world.on_failpoint = self._pass
        self._survive(town.begin)
        self._wait(25)
        known = [page["wanted"]["reference"] for page in town.adyen.truth()["pages"].values()]
        payment_id = next((one for one in known if one != first), None)
        if payment_id is not None and town.view(payment_id).state is State.SETTLED:
            town.world.on_failpoint = None
            approved(town, payment_id)
            town.world.on_failpoint = self._pass
            self._survive(town.run)
            self._wait(25)
        town.world.on_failpoint = None
        return payment_id


@pytest.fixture
def journeys(town_with):
    return lambda checkout, crash_at=None: Journey(town_with(checkout=checkout), crash_at)


def test_the_journey_passes_every_failpoint_that_adyen_names(journeys):
    journey = journeys("links")
    journey.play()
    assert {name for name in named_in_source() if name.startswith("adyen.")} <= set(journey.names)


# Both ways share all but the page's own calls, so the second dies at every third place only.
@pytest.mark.parametrize(("checkout", "stride"), [("links", 1), ("sessions", 3)])
def test_a_crash_at_any_failpoint_settles_once_and_gives_back_once(journeys, checkout, stride):
    calm = journeys(checkout)
    calm.play()
    assert len(calm.names) > 30
    ended = set()
    for crash_at in range(0, len(calm.names), stride):
        journey = journeys(checkout, crash_at)
        payment_id = journey.play()
        town, where = journey.town, (crash_at, journey.died)
        assert journey.died, where
        if payment_id is None or town.view(payment_id).state is State.VOID:
            assert town.adyen.truth()["captured"] == {"EUR": journey.before}, where
            ended.add("void")
            continue
        assert town.view(payment_id).state is State.SETTLED, where
        cents = DUE - journey.before
        assert sorted(one["amount"] for one in town.credits()) == sorted([journey.before, cents]), where
        assert only_refund(town, payment_id).state == "done", where
        assert books(town, payment_id) == {"provider": -cents, "returned": cents}, where
        assert town.adyen.truth()["refunded"] == cents, where
        assert len(town.adyen.truth()["refunds"]) == 1, where
        assert kinds(town, payment_id) == [], where
        with town.house.store.read() as unit:
            assert chain.broken_at(unit, payment_id) is None, where
        ended.add("settled")
    assert "settled" in ended
