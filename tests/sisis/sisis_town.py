"""The town whose library system is SISIS: the real flows and store, a simulated SISIS and Stripe."""

from __future__ import annotations

import os
from typing import Any

from ils_payment_sisis.simulator import Habits, SISISSimulator
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.flows.house import House, open_house
from ils_payment.model import PatronRef
from ils_payment.testing.world import SimulatedWorld
from tests.conftest import STRIPE, Town, settings_for
from tests.ledgers import lay_down
from tests.sisis.conftest import CARD, PASSWORD, PIN, connect, table


class SISISTown(Town):
    """As the town, with another library system."""

    def __init__(
        self,
        url: str,
        *,
        habits: Habits | None = None,
        library: dict[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        os.environ["TOWN_STRIPE_KEY"] = "sk_test_simulator"
        self.world = SimulatedWorld()
        self.sisis = SISISSimulator.demo(self.world, password=PASSWORD, habits=habits, own_commands=True)
        self.stripe = StripeSimulator.demo(world=self.world, public_url=f"http://{STRIPE}")
        self.world.remotes = {STRIPE: self.stripe}
        connect(self.world, self.sisis)
        written = {"plugin": "sisis", **table(**changes)}
        self.settings = settings_for(url, library_system=written, **(library or {}))
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
        return dict(self.sisis.truth()["patrons"][CARD])

    def booked(self) -> list[dict[str, Any]]:
        """What was booked for Erika."""
        return list(self.books()["credits"].values())

    def sent(self, what: str) -> int:
        """How often a command or message came."""
        return int(self.sisis.truth()["requests"].get(what, 0))

    def pay(self, payment_id: str) -> None:
        """The payer pays on the provider's page, and the program hears of it."""
        self.stripe.pay(self.session_of(payment_id))
        self.deliver_webhooks()
        self.run()
