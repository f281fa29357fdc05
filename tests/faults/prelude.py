"""What came before: in most schedules somebody has paid already, so that a confirmed marker can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.flows import pay, see
from ils_payment.flows.views import Begun
from ils_payment.model import PatronRef
from tests.faults.kit import CARDS

if TYPE_CHECKING:
    from ils_payment.flows.house import House
    from tests.faults.play import Play

LIBRARY = "lindental"
SECONDS = 60.0


def play(hub: Play) -> None:
    """Let one more patron pay undisturbed, before anybody else comes and anything goes wrong."""
    setting = hub.setting
    if setting.rng.random() >= setting.size.prelude:
        return
    setting.mix.calm = True
    name = f"Kanari{setting.seed}x"
    patron = setting.koha.add_patron(
        CARDS[-1],
        "4711",
        surname=name,
        firstname=name,
        category_id="ERW",
        library_id="ZENTRALE",
        charge=False,
    )
    setting.charge(patron)
    ref = PatronRef(str(patron))

    def begin(house: House) -> Any:
        desk = house.libraries[LIBRARY]
        lines = see.fees(house, desk, ref).lines
        cents = sum(line.cents for line in lines)
        return pay.begin(house, desk, ref, [line.key for line in lines], "card", "de", cents)

    def first() -> None:
        begun = setting.instances[0].call("begin", begin)
        if not isinstance(begun, Begun):
            raise TypeError(f"the first payment did not begin: {begun}")
        (session,) = setting.stripe.book.sessions
        setting.stripe.pay(session)

    setting.scheduler.spawn("the first patron", first)
    hub.until(SECONDS)
    setting.mix.calm = False
