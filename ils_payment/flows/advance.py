"""``advance``: the one thing that notice, return page, sweep and retry all ask for. Idempotent."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.domain.states import ENDED, PAID_UNSETTLED
from ils_payment.errors import RemoteError
from ils_payment.flows import unblock
from ils_payment.flows.choose import FREE
from ils_payment.flows.hands import backoff, in_hands
from ils_payment.flows.observe import observe
from ils_payment.flows.refund import send as send_refunds
from ils_payment.flows.renew_late import last_look
from ils_payment.flows.settle import settle
from ils_payment.flows.work import WHILE_SHUT, tell_observers
from ils_payment.model import State
from ils_payment.store import attempts, evidence, installation, patrons, payments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.store.records import Payment
    from ils_payment.store.unit import Unit

log = structlog.get_logger(__name__)

KEEP_NOTICES = timedelta(days=90)
"""Providers repeat a webhook for days, the most patient one for thirty."""


def advance(house: House, payment_id: str) -> None:
    """Bring a payment as far as it gets now; doing it twice, or at the same time, does no harm."""
    take_up(house, payment_id)


def take_up(house: House, payment_id: str) -> bool:
    """Do what :func:`advance` does, and say whether it could: False when somebody else has it in hands."""

    def work(payment: Payment) -> datetime | None:
        desk = house.libraries.get(payment.library)
        if desk is None:
            log.error("library_not_configured", payment=payment.id, library=payment.library)
            return house.world.now() + timedelta(hours=1)
        if payment.left and payment.state is State.SETTLED:
            # Whoever settled it may have died before this; rather twice than never.
            tell_observers(house, payment)
        # The provider is asked each time, also about a payment that only waits for being settled: it may
        # have been refunded, and the notice of that is spent with this very call.
        due, unheard = _look(house, desk, payment)
        with house.store.read() as unit:
            current = payments.load(unit, payment.id)
        if current is None or current.fence != payment.fence:
            return due
        payment = current
        # A held payment makes no outside writes but the refunds that persons have approved.
        if payment.state in PAID_UNSETTLED and not payment.held:
            due = settle(house, desk, payment)
        again = send_refunds(house, desk, payment) if payment.captured else None
        later = _follow_up(house, desk, payment)
        return min((one for one in (due, unheard, again, later) if one is not None), default=None)

    return in_hands(house, payment_id, work)


def _look(house: House, desk: Desk, payment: Payment) -> tuple[datetime | None, datetime | None]:
    """Ask the provider; return when to come back, and when to ask again if it did not answer.

    What was paid goes on (settle, refund) also while the provider does not answer. The notice that led
    here is spent, so the question is asked again whatever becomes of that.
    """
    if payment.provider == FREE:
        return None, None
    if payment.provider not in desk.providers:
        # While a payment goes on, the start refuses this; another host may have another configuration.
        log.error("provider_not_configured", payment=payment.id, provider=payment.provider)
        return None, None if payment.state in ENDED else house.world.now() + timedelta(hours=1)
    try:
        return observe(house, desk, payment), None
    except RemoteError as error:
        if not payment.captured:
            raise
        log.warning("not_read_again", payment=payment.id, library=desk.key, reason=str(error))
        return None, house.world.now() + backoff(house, payment)


def _follow_up(house: House, desk: Desk, payment: Payment) -> datetime | None:
    """Do what comes after settling; none of it can hold up money, and each has its own retry."""
    with house.store.read() as unit:
        waits = installation.is_unreconciled(unit)
        current = payments.load(unit, payment.id)
        patron = patrons.patron_ref(unit, payment.patron_id, desk.patrons)
    if current is None or current.fence != payment.fence or current.state is not State.SETTLED:
        return None
    if patron is None:
        return None
    if waits:
        # A restored ledger writes nothing outside, and a lifted block is such a thing.
        return house.world.now() + WHILE_SHUT
    again = last_look(house, desk, current, patron) if current.renewal_line else None
    later = unblock.follow(house, desk, current)
    return min((one for one in (again, later) if one is not None), default=None)


def due(house: House, limit: int) -> Sequence[str]:
    """Return the payments that want ``advance`` now, after turning new notices into due payments."""
    with house.store.read() as unit:
        news = bool(attempts.new_notices(unit, 1))
    if news:
        take_notices(house)
    with house.store.read() as unit:
        return payments.due(unit, limit)


def forget_old_notices(house: House) -> None:
    """Delete notices that no provider repeats any more; the audit trail keeps what they led to."""
    with house.store.read() as unit:
        oldest, before = attempts.oldest_notice(unit), unit.now - KEEP_NOTICES
    if oldest is not None and oldest < before:
        with house.store.unit() as unit:
            attempts.forget_notices(unit, before)


def take_notices(house: House, limit: int = 500) -> None:
    """Make the payments due that new notices are about. A notice is a reason to read.

    Where it is more than that (``notices_decide``), what it is evidence of goes into the payment's trail.
    """
    with house.store.unit() as unit:
        unknown = [
            notice for notice in attempts.new_notices(unit, limit, take=True) if not _matched(unit, notice)
        ]
        if unknown:
            # Whoever learns just now whose money it is has committed before this, or looks after us.
            installation.lock(unit)
        for notice in unknown:
            if not _matched(unit, notice):
                # Another installation at the same provider account: counted, not a case.
                log.info("notice_of_no_payment_here", library=notice.library, provider=notice.provider)
                attempts.handled(unit, notice, "foreign")
    house.world.failpoint("notices.taken")


def _matched(unit: Unit, notice: Any) -> bool:  # noqa: ANN401 - a row of notices
    """Make the payment due that a notice is about, and keep what it is evidence of; False without one."""
    payment_id = attempts.payment_of(unit, notice)
    if payment_id is None:
        return False
    if notice.observation is not None:
        evidence.hear(unit, payment_id, notice.key, notice.kind, notice.observation)
    payments.make_due(unit, payment_id)
    attempts.handled(unit, notice, "due")
    return True
