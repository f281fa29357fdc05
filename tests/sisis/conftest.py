"""A simulated SISIS with its three doors and the adapter before it, on a standing clock."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ils_payment_sisis.adapter import SISISSystem
from ils_payment_sisis.config import SISISConfig
from ils_payment_sisis.simulator import Habits, SISISSimulator
from ils_payment_sisis.simulator.slnp import LIST_FEES, RENEW

from ils_payment.model import CreditOrder, OrderLine, PatronRef
from ils_payment.ports import LibraryInfo
from ils_payment.testing.world import SimulatedWorld
from ils_payment.world import PluginHost

CARD, PIN = SISISSimulator.demo_card, SISISSimulator.demo_pin
PASSWORD, KEY = "canary-of-the-till", "k" * 40
READS, WRITES, GATEWAY = ("slnp.test", 9001), ("sip2.test", 6001), "ncip.test"
LIBRARY = LibraryInfo(
    key="lindental", name="Lindental", currency="EUR", languages=("de",), time_zone="Europe/Berlin"
)
os.environ.update(TEST_SISIS_PASSWORD=PASSWORD, TEST_SISIS_KEY=KEY, TEST_SISIS_CARD=CARD, TEST_SISIS_PIN=PIN)
OWN_FEES = {"command": LIST_FEES, "parameters": {"BenutzerNummer": "{card}"}}
OWN_RENEWAL = {
    "command": RENEW,
    "parameters": {"BenutzerNummer": "{card}", "AusweisEnde": "{until}"},
    "expect": {"Ergebnis": "J"},
}
BY_NCIP: dict[str, Any] = {"slnp": None, "ncip": {"url": f"https://{GATEWAY}/ncip2slnp"}}


def table(*, slnp: Any = (), **changes: Any) -> dict[str, Any]:
    """The table of a library system as an administrator writes it, with *changes* (None takes one out)."""
    reads = {"host": READS[0], "port": READS[1], "security": "tunnel", **dict(slnp or {})}
    whole = {
        "slnp": None if slnp is None else reads,
        "writes": {
            "host": WRITES[0],
            "port": WRITES[1],
            "security": "tunnel",
            "preset": "generic",
            "patron_key": {"env": "TEST_SISIS_KEY"},
            "user": "kasse",
            "password": {"env": "TEST_SISIS_PASSWORD"},
            "check_card": {"env": "TEST_SISIS_CARD"},
        },
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def connect(world: SimulatedWorld, town: SISISSimulator) -> None:
    """Let the doors of *town* be where the configuration says."""
    world.streams = {f"{READS[0]}:{READS[1]}": town.slnp, f"{WRITES[0]}:{WRITES[1]}": town.till}
    world.remotes[GATEWAY] = town


class Stand:
    """An adapter with its simulated SISIS."""

    def __init__(self, *, habits: Habits | None = None, login: str = "none", **changes: Any) -> None:
        self.world = SimulatedWorld()
        self.town = SISISSimulator.demo(
            self.world, password=PASSWORD, habits=habits, slnp_login=login, own_commands=True
        )
        connect(self.world, self.town)
        self.host = PluginHost(self.world, LIBRARY)
        self.config = SISISConfig.model_validate(table(**changes))
        self.system = SISISSystem(self.config, self.host)

    @property
    def erika(self) -> PatronRef:
        ref = self.system.sign_in(CARD, PIN)
        assert isinstance(ref, str), ref
        return PatronRef(ref)

    def signed_in(self, card: str) -> PatronRef:
        ref = self.system.sign_in(card, self.town.books.patrons[card].pin)
        assert isinstance(ref, str), ref
        return PatronRef(ref)

    def order(self, cents: int = 1250, **changes: Any) -> CreditOrder:
        line = OrderLine(ref=None, claim_key="account", cents=cents, kind="account")
        order: dict[str, Any] = {
            "patron": self.erika,
            "marker": "ILSP-7K3M9Q-4",
            "cents": cents,
            "currency": "EUR",
            "method": "card",
            "lines": (line,),
            **changes,
        }
        return CreditOrder(**order)

    def credits(self) -> list[tuple[int, str]]:
        booked = self.town.truth()["patrons"][CARD]["credits"].values()
        return [(one["amount"], one["marker"]) for one in booked]

    def sent(self, what: str) -> int:
        return int(self.town.truth()["requests"].get(what, 0))


@pytest.fixture
def stand() -> Stand:
    return Stand()
