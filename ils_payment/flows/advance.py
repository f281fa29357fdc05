"""``advance``: the one thing that notice, return page, sweep and retry all ask for. Idempotent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ils_payment.flows.hands import in_hands
from ils_payment.flows.observe import observe
from ils_payment.flows.settle import settle
from ils_payment.model import State
from ils_payment.store import attempts, payments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.flows.house import House
    from ils_payment.store.records import Payment

log = structlog.get_logger(__name__)

_PAID = frozenset({State.PAID, State.SETTLING, State.UNKNOWN})


def advance(house: House, payment_id: str) -> None:
    """Bring a payment as far as it gets now; doing it twice, or at the same time, does no harm."""

    def work(payment: Payment) -> datetime | None:
        desk = house.libraries.get(payment.library)
        if desk is None:
            log.error("library_not_configured", payment=payment.id, library=payment.library)
            return None
        due = None
        if payment.state not in _PAID:
            due = observe(house, desk, payment)
            with house.store.read() as unit:
                current = payments.load(unit, payment.id)
            if current is None or current.fence != payment.fence:
                return due
            payment = current
        # A held payment makes no outside writes: a person decides.
        if payment.state in _PAID and not payment.held:
            return settle(house, desk, payment)
        return due

    in_hands(house, payment_id, work)


def due(house: House, limit: int) -> Sequence[str]:
    """Return the payments that want ``advance`` now, after turning new notices into due payments."""
    with house.store.read() as unit:
        news = bool(attempts.new_notices(unit, 1))
    if news:
        take_notices(house)
    with house.store.read() as unit:
        return payments.due(unit, limit)


def take_notices(house: House, limit: int = 500) -> None:
    """Make the payments due that new notices are about. A notice is a reason to read, nothing more."""
    with house.store.unit() as unit:
        for notice in attempts.new_notices(unit, limit):
            payment_id = attempts.payment_of(unit, notice)
            if payment_id is None:
                # Another installation at the same provider account: counted, not a case.
                log.info("notice_of_no_payment_here", library=notice.library, provider=notice.provider)
                attempts.handled(unit, notice, "foreign")
            else:
                payments.make_due(unit, payment_id)
                attempts.handled(unit, notice, "due")
    house.world.failpoint("notices.taken")
