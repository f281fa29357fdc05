"""The town whose library system speaks SIP2: the real flows and store, a simulated server and Stripe."""

from __future__ import annotations

import os
from typing import Any

from ils_payment_sip2.dialect import dialect_of
from ils_payment_sip2.simulator import Habits, SIP2Simulator
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.flows.house import House, open_house
from ils_payment.model import PatronRef
from ils_payment.testing.world import SimulatedWorld
from tests.conftest import STRIPE, Town, settings_for
from tests.ledgers import lay_down
from tests.sip2.conftest import CARD, PASSWORD, PIN, SERVER, table


class SIP2Town(Town):
    """As the town, with another library system."""

    def __init__(self, url: str, *, habits: Habits | None = None, **changes: Any) -> None:
        os.environ["TOWN_SIP2_PASSWORD"] = PASSWORD
        written = table(**changes)
        self.world = SimulatedWorld()
        dialect = dialect_of(written["preset"], written["dialect"])
        self.server = SIP2Simulator.demo(self.world, dialect=dialect, password=PASSWORD, habits=habits)
        self.world.streams = {f"{SERVER[0]}:{SERVER[1]}": self.server}
        self.stripe = StripeSimulator.demo(world=self.world, public_url=f"http://{STRIPE}")
        self.world.remotes = {STRIPE: self.stripe}
        self.settings = settings_for(url, library_system={"plugin": "sip2", **written})
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

    def sent(self, code: str) -> int:
        """How often a message came."""
        return int(self.server.truth()["requests"].get(code, 0))

    def pay(self, payment_id: str) -> None:
        """The payer pays on the provider's page, and the program hears of it."""
        self.stripe.pay(self.session_of(payment_id))
        self.deliver_webhooks()
        self.run()
