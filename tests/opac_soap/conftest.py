"""A simulated library system for each preset and the adapter before it, in one process."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ils_payment_opac_soap.adapter import SOAPSystem
from ils_payment_opac_soap.config import SOAPConfig
from ils_payment_opac_soap.simulator import SOAPSimulator

from ils_payment.model import CreditOrder, OrderLine, PatronRef
from ils_payment.ports import LibraryInfo
from ils_payment.testing.world import SimulatedWorld
from ils_payment.world import PluginHost

CARD, PIN = SOAPSimulator.demo_card, SOAPSimulator.demo_pin
JAN, SELMA, OLE = "21234000012352", "21234000012369", "21234000012376"
PASSWORD, KEY = "demo-secret", "k" * 40
PLACE = "localhost:9999"
LIBRARY = LibraryInfo(
    key="lindental", name="Lindental", currency="EUR", languages=("de",), time_zone="Europe/Berlin"
)
PRESETS = ("arena", "libero", "ncip", "sunrise-rpc", "symphony")
VALUES = {
    "arena": {"member": "LINDENTAL"},
    "libero": {},
    "ncip": {"agency": "LINDENTAL", "our_agency": "ILS-PAYMENT"},
    "sunrise-rpc": {"database": "lindental"},
    "symphony": {"client_id": "ILS-PAYMENT"},
}
MARKER = "ILSP-7K3M9Q-4"
os.environ.update(TEST_SOAP_PASSWORD=PASSWORD, TEST_SOAP_KEY=KEY, TEST_SOAP_CARD=CARD, TEST_SOAP_PIN=PIN)


def table(preset: str = "symphony", **changes: Any) -> dict[str, Any]:
    """The table of a library system as an administrator writes it, with *changes*."""
    return {
        "preset": None if "preset_file" in changes else preset,
        "url": f"http://{PLACE}/services",
        "values": VALUES[preset],
        "user": "kasse",
        "password": {"env": "TEST_SOAP_PASSWORD"},
        "patron_key": {"env": "TEST_SOAP_KEY"},
        "payment_type": "ONLINE",
        **changes,
    }


class Stand:
    """An adapter with its simulated server."""

    def __init__(self, preset: str = "symphony", **changes: Any) -> None:
        self.world = SimulatedWorld()
        self.server = SOAPSimulator.demo(self.world, preset=preset)
        self.world.remotes[PLACE] = self.server
        self.host = PluginHost(self.world, LIBRARY)
        self.config = SOAPConfig.model_validate(table(preset, **changes))
        self.system = SOAPSystem(self.config, self.host)

    @property
    def erika(self) -> PatronRef:
        return self.patron()

    def patron(self, card: str = CARD) -> PatronRef:
        ref = self.system.sign_in(card, self.server.books.patrons[card].pin)
        assert isinstance(ref, str), ref
        return PatronRef(ref)

    def order(self, refs: tuple[str | None, ...] | None = None, **changes: Any) -> CreditOrder:
        """An order for Erika's first fee, or those in *refs*, as the library system shows them."""
        patron = self.erika
        fees = {fee.ref: fee for fee in self.system.account(patron).fees}
        chosen = [fees[ref] for ref in (refs or list(fees)[:1])]
        lines = tuple(
            OrderLine(ref=fee.ref, claim_key=fee.claim_key, cents=fee.cents, kind=fee.kind) for fee in chosen
        )
        order: dict[str, Any] = {
            "patron": patron,
            "marker": MARKER,
            "cents": sum(line.cents for line in lines),
            "currency": "EUR",
            "method": "card",
            "lines": lines,
            **changes,
        }
        return CreditOrder(**order)

    def books(self, card: str = CARD) -> dict[str, Any]:
        return dict(self.server.truth()["patrons"][card])

    def booked(self, card: str = CARD) -> list[tuple[int, str]]:
        return [(one["amount"], one["marker"]) for one in self.books(card)["credits"].values()]

    def sent(self, name: str = "") -> int:
        """How often an element came; without a name, the one that pays."""
        return int(self.server.truth()["requests"].get(name or self.server.voice.pays, 0))


@pytest.fixture
def stand() -> Stand:
    return Stand()
