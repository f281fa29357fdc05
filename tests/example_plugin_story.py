"""Pays through the example plugin, in an environment into which program and plugin were installed.

It prints one JSON object: where the code came from, and what the simulated Shelf says at the end.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import ils_payment
from ils_payment.config import Settings
from ils_payment.flows import pay, see, show
from ils_payment.flows.advance import advance, due
from ils_payment.flows.house import open_house, open_store
from ils_payment.flows.views import Begun
from ils_payment.plugins import SIMULATOR_GROUP, installed
from ils_payment.store.upgrade import upgrade
from ils_payment.testing.world import SimulatedWorld

STRIPE = "127.0.0.1:12111"
ADDRESS = "https://shelf.example"


def settings(folder: Path) -> Settings:
    """The configuration of a town that has Shelf."""
    os.environ.update(STORY_TOKEN="shelf-token", STORY_KEY="sk_test_simulator", STORY_HOOK="whsec_simulator")
    library = {
        "name": "Town Library",
        "test_cards": ["1001"],
        "library_system": {"plugin": "shelf", "url": ADDRESS, "token": {"env": "STORY_TOKEN"}},
        "providers": {
            "stripe": {
                "api_key": {"env": "STORY_KEY"},
                "webhook_secrets": [{"env": "STORY_HOOK"}],
                "statement_descriptor": "TOWN LIBRARY",
                "api_base": f"http://{STRIPE}",
            }
        },
        "methods": [{"method": "card", "provider": "stripe"}],
    }
    server = {"public_url": "https://pay.example", "database": f"sqlite:///{folder}/ledger.db"}
    return Settings.model_validate({"server": server, "libraries": {"town": library}})


def tell(folder: Path, *, crash: bool) -> dict[str, Any]:
    """Sign in, see the fees, pay all of them; *crash*: Shelf dies after it has booked, before it answers."""
    simulators = {name: point.load() for name, point in installed(SIMULATOR_GROUP).items()}
    world = SimulatedWorld()
    shelf = simulators["shelf"](world)
    shelf.crash_after_writing = int(crash)
    stripe = simulators["stripe"].demo(world=world, public_url=f"http://{STRIPE}")
    world.remotes = {"shelf.example": shelf, STRIPE: stripe}
    store = open_store(settings(folder), world)
    upgrade(store)
    store.close()
    house = open_house(settings(folder), world)
    desk = house.libraries["town"]
    findings = desk.system.check()
    patron = desk.system.sign_in(shelf.demo_card, shelf.demo_pin)
    assert isinstance(patron, str)
    assert not isinstance(desk.system.sign_in(shelf.demo_card, "0000"), str)
    assert desk.system.find_patron(shelf.demo_card) == patron
    assert desk.system.find_patron("100") is None
    view = see.fees(house, desk, patron)
    begun = pay.begin(
        house, desk, patron, [line.key for line in view.lines], "card", "en", view.payable_cents
    )
    assert isinstance(begun, Begun), begun
    [session] = stripe.truth()["sessions"]
    stripe.pay(session, "card")
    house.make_due(begun.payment_id)
    states = []
    for _ in range(80):
        for payment_id in due(house, 10):
            advance(house, payment_id)
        found = show.payment(house, begun.payment_id)
        assert found is not None
        states.append(found.state.value)
        if found.state.value == "settled":
            break
        world.pass_time(seconds=30)
    house.close()
    return {
        "states": list(dict.fromkeys(states)),
        "findings": [str(finding.level) for finding in findings],
        "truth": shelf.truth(),
    }


def main() -> None:
    """Tell both stories."""
    folder = Path(sys.argv[1])
    told: dict[str, Any] = {
        "program": ils_payment.__file__,
        "plugin": str(distribution("ils-payment-example").locate_file("ils_payment_shelf")),
        "requires": distribution("ils-payment-example").requires,
    }
    for name, crash in (("plain", False), ("crash", True)):
        (folder / name).mkdir()
        told[name] = tell(folder / name, crash=crash)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
