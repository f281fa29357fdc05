"""Scenarios of what follows: blocks are lifted, eLending platforms are asked, patrons are reminded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ils_payment.config.renewal import Reminders
from ils_payment.flows import remind, unblock
from ils_payment.flows.desk import Desk
from ils_payment.model import Block
from tests.faults.failpoints_stage import Stage
from tests.faults.scenarios import scenario
from tests.faults.scenarios_renewing import begin_renewal
from tests.flows.test_unblock import LiftingSystem, Platform
from tests.flows.truths import of


@scenario("settled")
def block_lifted_and_platform_asked(s: Stage) -> None:
    """What the payment lifts is lifted in the library system, and the platform is asked what works again."""
    blocks = [Block(kind="fees", liftable=True)]

    def furnish(desk: Desk) -> Desk:
        system = LiftingSystem(desk.system)
        system.blocks = blocks
        furniture: dict[str, Any] = {"system": system, "elending": {"onleihe": Platform()}}
        return replace(desk, **furniture)

    s.town.furnish = furnish
    s.restart()
    s.begin("jan")
    s.pay()
    s.hear()
    s.later(minutes=1)
    jan = of(s.town, "jan")
    s.program(lambda: unblock.ask_now(s.town.house, s.town.desk, jan, "onleihe", "0815"))


@scenario("settled")
def reminded_and_renewed(s: Stage) -> None:
    """A patron is reminded that the card ends soon, once, and renews it."""

    def furnish(desk: Desk) -> Desk:
        table = Reminders(days_before=(30, 7))
        return replace(desk, settings=desk.settings.model_copy(update={"reminders": table}))

    s.town.furnish = furnish
    s.sell_cards()
    s.koha.change(s.koha.patron_ids["jan"], email="jan.tietze@mail.example")
    for _ in range(2):
        s.program(lambda: remind.Reminders()(s.town.house))
        s.chores()
    reminders = [one for one in s.world.mails if "jan.tietze" in one[0]]
    if len(reminders) > 1:
        raise AssertionError("reminded twice")
    begin_renewal(s)
    s.pay()
    s.hear()
    s.later(minutes=1)
