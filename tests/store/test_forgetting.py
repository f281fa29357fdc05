"""What is forgotten: notices that no provider repeats any more, and patrons who paid nothing."""

from __future__ import annotations

from sqlalchemy import func, select

from ils_payment.flows.advance import forget_old_notices
from ils_payment.model import PatronRef
from ils_payment.store import patrons, sessions
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
    town.stripe.pay(town.session_of(town.started(patron=PatronRef(str(town.koha.patron_ids["jan"])))))
    assert town.deliver_webhooks() == 1
    town.run()
    forget_old_notices(town.house)
    assert _kept(town) == 1, "it was handled, and the provider may still repeat it"


def test_a_patron_who_only_looked_is_not_kept_and_one_who_paid_is(each_town):
    town = each_town
    payment = town.started()
    with town.house.store.unit() as unit:
        looked = patrons.patron_id(unit, town.desk.patrons, PatronRef("999"))
    with town.house.store.unit() as unit:
        sessions.purge(unit, unit.now)
    with town.house.store.read() as unit:
        assert patrons.patron_ref(unit, looked, town.desk.patrons) is None
        assert patrons.known_id(unit, town.desk.patrons, town.erika) is not None
    assert town.view(payment)
