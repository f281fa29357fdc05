"""Taking a payment into one's hands: a lease with a rising fence, and what happens when work fails.

Whatever goes wrong with one payment stays with that payment: a remote that does not answer makes
it due again later, a broken rule holds it with a case. A crash leaves the lease to run out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from ils_payment.domain.states import UNPAID
from ils_payment.errors import RemoteError, StoreBusyError
from ils_payment.store import payments
from ils_payment.store.payments import StaleFenceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ils_payment.flows.house import House
    from ils_payment.store.records import Payment

log = structlog.get_logger(__name__)

LEASE_SECONDS = 120.0
"""Longer than all calls that are made under one lease; after a crash the payment is free after this time."""


def in_hands(house: House, payment_id: str, work: Callable[[Payment], datetime | None]) -> bool:
    """Do *work* on a payment that nobody else works on; False when somebody does.

    *work* gets the payment as it stands and returns when it is due next (None: nothing to do).
    """
    with house.store.unit() as unit:
        payment = payments.lease(unit, payment_id, unit.world.new_id(), LEASE_SECONDS)
    if payment is None:
        return False
    house.world.failpoint("hands.taken")
    try:
        due = work(payment)
    except (RemoteError, StoreBusyError) as error:
        due = house.world.now() + backoff(house, payment)
        log.warning("tried_in_vain", payment=payment.id, library=payment.library, reason=str(error))
    except StaleFenceError:
        log.warning("taken_over", payment=payment.id, library=payment.library)
        return True
    except Exception as error:
        log.exception("broken_rule", payment=payment.id, library=payment.library)
        due = _hold(house, payment, type(error).__name__)
    with house.store.unit() as unit:
        payments.release(unit, payment, due)
    house.world.failpoint("hands.released")
    return True


def backoff(house: House, payment: Payment) -> timedelta:
    """Return how long to wait after a failure: a quarter of the payment's age, 5 s to 1 h."""
    age = house.world.now() - (payment.paid_at or payment.created_at)
    return min(max(age / 4, timedelta(seconds=5)), timedelta(hours=1))


def _hold(house: House, payment: Payment, error: str) -> datetime | None:
    """Hold a payment that met something no rule foresees; unpaid ones go on being looked at."""
    with house.store.unit() as unit:
        current = payments.load(unit, payment.id, lock=True)
        if current is None or current.fence != payment.fence:
            return None
        payments.move(unit, current, "broken_rule", case="broken_rule", facts={"error": error})
    waits = current.state in UNPAID
    return house.world.now() + timedelta(hours=1) if waits else None
