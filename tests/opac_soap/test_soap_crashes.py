"""The program dies at each point around a payment and is started again: at most one payment, or a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ils_payment.flows.house import open_house
from ils_payment.model import State
from ils_payment.testing.world import Crash
from tests.flows.decisions import kinds
from tests.opac_soap.soap_town import SOAPTown

CALM = [
    "settle.leased", "settle.fees_stand", "settle.before_call", "opac_soap.settle.before",
    "opac_soap.settle.after", "settle.after_call", "settle.recorded", "settle.applied",
]  # fmt: skip
HARMLESS = {"settle.leased", "settle.fees_stand", "settle.applied"}
TOWNS: dict[str, dict[str, Any]] = {
    "marker": {"preset": "symphony", "enable": ["credits"]},
    "no marker": {"preset": "ncip"},
    "pin": {"preset": "arena"},
}


@pytest.fixture
def town(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    built = SOAPTown(f"sqlite:///{tmp_path}/ledger.db", **TOWNS[request.param])
    yield built
    built.close()


def _until_the_end(town: SOAPTown, payment_id: str) -> None:
    town.stripe.pay(town.session_of(payment_id))
    town.deliver_webhooks()
    try:
        town.run_for(hours=2, rounds=8)
    except Crash:
        town.world.on_failpoint = None
        town.house.close()
        town.house = open_house(town.settings, town.world)
        town.desk = town.house.libraries["lindental"]
        town.run_for(hours=2, rounds=8)


@pytest.mark.parametrize("town", TOWNS, indirect=True)
def test_a_calm_payment_passes_these_points(town):
    payment_id = town.started(only=1)
    before = len(town.world.failpoints)
    _until_the_end(town, payment_id)
    passed = town.world.failpoints[before:]
    assert [name for name in dict.fromkeys(passed) if name.startswith(("settle.", "opac_soap."))] == CALM


@pytest.mark.parametrize("town", TOWNS, indirect=True)
@pytest.mark.parametrize("point", CALM)
def test_a_crash_never_pays_twice_and_never_forgets(town, point, request):
    payment_id = town.started(only=1)

    def die(name: str) -> None:
        if name == point:
            raise Crash(name)

    town.world.on_failpoint = die
    _until_the_end(town, payment_id)
    assert town.sent() <= 1
    readable = "enable" in town.settings.libraries["lindental"].library_system.model_dump()
    booked = [one["amount"] for one in town.booked()]
    if point in HARMLESS or (readable and booked):
        ended = (town.view(payment_id).state, kinds(town, payment_id), booked)
        assert ended == (State.SETTLED, [], [450])
    else:
        # Whether the call was made, or what it did, is not known, and nothing tells.
        assert kinds(town, payment_id) == ["unclear"]
