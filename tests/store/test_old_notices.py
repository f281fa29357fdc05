"""Notices are kept as long as a provider may repeat them, and no longer."""

from __future__ import annotations

from sqlalchemy import func, select

from ils_payment.flows.advance import forget_old_notices
from ils_payment.store.tables import notices


def _kept(town):
    with town.house.store.read() as unit:
        return unit.connection.execute(select(func.count()).select_from(notices)).scalar_one()


def test_a_handled_notice_is_forgotten_after_ninety_days_and_a_new_one_never(each_town):
    town = each_town
    town.stripe.pay(town.session_of(town.started()))
    assert town.deliver_webhooks() == 1
    town.world.pass_time(days=91)
    forget_old_notices(town.house)
    assert _kept(town) == 1, "nobody has looked at it yet"
    town.run()
    forget_old_notices(town.house)
    assert _kept(town) == 0
