"""The program dies at each point around a payment and is started again: at most one payment, or a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ils_payment.flows.house import open_house
from ils_payment.model import State
from ils_payment.testing.world import Crash
from tests.flows.decisions import kinds
from tests.sip2.sip2_town import SIP2Town

CALM = [
    "settle.leased", "settle.fees_stand", "settle.before_call", "sip2.settle.before", "sip2.settle.after",
    "settle.after_call", "settle.recorded", "settle.applied",
]  # fmt: skip
BEFORE_THE_CALL = {"settle.leased", "settle.fees_stand"}


@pytest.fixture
def town(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    built = SIP2Town(f"sqlite:///{tmp_path}/ledger.db", **request.param)
    yield built
    built.close()


BOTH = pytest.mark.parametrize("town", [{}, {"dialect": {}}], indirect=True, ids=["readable", "pin"])


def _until_the_end(town: SIP2Town, payment_id: str) -> None:
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


@BOTH
def test_a_calm_payment_passes_these_points(town):
    payment_id = town.started()
    before = len(town.world.failpoints)
    _until_the_end(town, payment_id)
    passed = town.world.failpoints[before:]
    assert [name for name in dict.fromkeys(passed) if name.startswith(("settle.", "sip2."))] == CALM


@BOTH
@pytest.mark.parametrize("point", CALM)
def test_a_crash_never_pays_twice_and_never_forgets(town, point):
    payment_id = town.started()

    def die(name: str) -> None:
        if name == point:
            raise Crash(name)

    town.world.on_failpoint = die
    _until_the_end(town, payment_id)
    paid = [one["amount"] for one in town.booked()]
    assert town.sent("37") <= 1
    if point in {*BEFORE_THE_CALL, "settle.applied"}:
        ended = (town.view(payment_id).state, kinds(town, payment_id), paid)
        assert ended == (State.SETTLED, [], [1250])
    else:
        # Whether the call was made, or what it did, is not known, and no message of SIP2 tells.
        assert kinds(town, payment_id) == ["unclear"]
