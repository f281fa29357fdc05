"""What is forgotten: notices that no provider repeats any more, and patrons who paid nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, event, func, select, text

from ils_payment.flows.advance import forget_old_notices
from ils_payment.flows.subject import forget_old
from ils_payment.model import PatronRef
from ils_payment.store import patrons, payments, sessions, subjects
from ils_payment.store import unit as unit_of_work
from ils_payment.store.tables import notices
from tests.conftest import Town
from tests.flows.decisions import settled_payment
from tests.flows.meeting import wait_for_waiting
from tests.flows.truths import load, paid


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


@pytest.mark.parametrize("asked", ["private_patrons", "payments"])
def test_what_was_committed_while_old_rows_were_looked_for_is_not_forgotten(
    postgresql_url, monkeypatch, asked
):
    """The statement that looks for them began before the commit, and locks its rows after it."""
    monkeypatch.setattr(unit_of_work, "BUSY_SECONDS", 60)
    town = Town(postgresql_url)
    old = settled_payment(town, only=1)
    patron = load(town, old).patron_id
    if asked == "private_patrons":
        with town.house.store.unit() as unit:
            subjects.forget_payments(unit, [old])
    else:
        town.world.pass_time(days=1000)
    held = create_engine(postgresql_url.replace("postgresql://", "postgresql+psycopg://"))

    def slowly(_connection, _cursor, statement, parameters, *_):
        if statement.startswith(f"SELECT {asked}.id") and "SKIP LOCKED" in statement:
            statement = statement.replace(
                "WHERE", "WHERE (SELECT pg_advisory_xact_lock(7)) IS NOT NULL AND", 1
            )
        return statement, parameters

    event.listen(town.house.store.engine, "before_cursor_execute", slowly, retval=True)
    with ThreadPoolExecutor(1) as pool, held.begin() as gate:
        gate.execute(text("SELECT pg_advisory_xact_lock(7)"))
        chore = pool.submit(forget_old, town.house)
        wait_for_waiting(postgresql_url)
        if asked == "private_patrons":
            paid(town, only=1)
        else:
            with town.house.store.unit() as unit:
                payments.record(unit, load(town, old), "looked_at", {})
        gate.rollback()
        chore.result(30)
    with town.house.store.read() as unit:
        assert patrons.patron_ref(unit, patron, town.desk.patrons) == town.erika
        assert asked == "private_patrons" or payments.fee_texts(unit, old)
    held.dispose()
    town.close()
