"""The town whose library system a preset describes: real flows and store, simulated server and Stripe."""

from __future__ import annotations

from typing import Any

from ils_payment_opac_soap.simulator import SOAPSimulator
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.flows.house import House, open_house
from ils_payment.model import PatronRef
from ils_payment.testing.world import SimulatedWorld
from tests.conftest import STRIPE, Town, settings_for
from tests.ledgers import lay_down
from tests.opac_soap.conftest import CARD, PIN, PLACE, table


class SOAPTown(Town):
    """As the town, with another library system."""

    def __init__(self, url: str, preset: str = "symphony", **changes: Any) -> None:
        self.world = SimulatedWorld()
        self.server = SOAPSimulator.demo(self.world, preset=preset)
        self.stripe = StripeSimulator.demo(world=self.world, public_url=f"http://{STRIPE}")
        self.world.remotes = {STRIPE: self.stripe, PLACE: self.server}
        written = table(preset, **changes)
        self.settings = settings_for(url, library_system={"plugin": "opac-soap", **written})
        lay_down(url)
        self.house: House = open_house(self.settings, self.world)
        self.desk = self.house.libraries["lindental"]

    @property
    def erika(self) -> PatronRef:  # type: ignore[override]  # she signs in anew each time
        """Erika, who has just signed in."""
        ref = self.desk.system.sign_in(CARD, PIN)
        assert isinstance(ref, str), ref
        return PatronRef(ref)

    def books(self) -> dict[str, Any]:
        """What the simulated library system has of Erika."""
        return dict(self.server.truth()["patrons"][CARD])

    def booked(self) -> list[dict[str, Any]]:
        """What was booked for Erika."""
        return list(self.books()["credits"].values())

    def sent(self) -> int:
        """How often the call that pays came."""
        return int(self.server.truth()["requests"].get(self.server.voice.pays, 0))

    def pay(self, payment_id: str) -> None:
        """The payer pays on the provider's page, and the program hears of it."""
        self.stripe.pay(self.session_of(payment_id))
        self.deliver_webhooks()
        self.run()
