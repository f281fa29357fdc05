"""A simulated SIP2 server and the adapter before it, in one process and on a standing clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ils_payment_sip2.adapter import SIP2System
from ils_payment_sip2.config import SIP2Config
from ils_payment_sip2.dialect import dialect_of
from ils_payment_sip2.simulator import Habits, SIP2Simulator

from ils_payment.model import CreditOrder, OrderLine, PatronRef
from ils_payment.ports import LibraryInfo
from ils_payment.testing.world import SimulatedWorld
from ils_payment.world import PluginHost

CARD, PIN = SIP2Simulator.demo_card, SIP2Simulator.demo_pin
PASSWORD, KEY = "canary-of-the-terminal", "k" * 40
SERVER = ("sip2.test", 6001)
LIBRARY = LibraryInfo(
    key="lindental", name="Lindental", currency="EUR", languages=("de",), time_zone="Europe/Berlin"
)
os.environ.update(TEST_SIP2_PASSWORD=PASSWORD, TEST_SIP2_KEY=KEY, TEST_SIP2_CARD=CARD)


def table(**changes: Any) -> dict[str, Any]:
    """The table of a library system as an administrator writes it, with *changes*."""
    return {
        "host": SERVER[0],
        "port": SERVER[1],
        "security": "tunnel",
        "preset": "generic",
        "dialect": {"reads_without_pin": True},
        "patron_key": {"env": "TEST_SIP2_KEY"},
        "user": "kasse",
        "password": {"env": "TEST_SIP2_PASSWORD"},
        "institution": "LINDENTAL",
        "location": "ZENTRALE",
        "deadline_seconds": 5,
        **changes,
    }


class Stand:
    """An adapter with its simulated server."""

    def __init__(self, *, habits: Habits | None = None, **changes: Any) -> None:
        written = table(**changes)
        self.world = SimulatedWorld()
        dialect = dialect_of(written["preset"], written["dialect"])
        self.server = SIP2Simulator.demo(self.world, dialect=dialect, password=PASSWORD, habits=habits)
        self.world.streams[f"{SERVER[0]}:{SERVER[1]}"] = self.server
        self.host = PluginHost(self.world, LIBRARY)
        self.config = SIP2Config.model_validate(written)
        self.system = SIP2System(self.config, self.host)

    @property
    def erika(self) -> PatronRef:
        ref = self.system.sign_in(CARD, PIN)
        assert isinstance(ref, str), ref
        return PatronRef(ref)

    def patron(self, card: str) -> PatronRef:
        ref = self.system.find_patron(card)
        assert ref is not None
        return ref

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

    def account(self, card: str = CARD) -> dict[str, Any]:
        return dict(self.server.truth()["patrons"][card])

    def credits(self) -> list[tuple[int, str]]:
        return [(one["amount"], one["marker"]) for one in self.account()["credits"].values()]

    def sent(self, code: str) -> int:
        return int(self.server.truth()["requests"].get(code, 0))


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Any]:
    """Builds towns, each on a database of its own."""
    # The town needs what stands above.
    from tests.sip2.sip2_town import SIP2Town

    towns: list[SIP2Town] = []

    def build(**changes: Any) -> SIP2Town:
        towns.append(SIP2Town(f"sqlite:///{tmp_path}/ledger-{len(towns)}.db", **changes))
        return towns[-1]

    yield build
    for town in towns:
        town.close()
