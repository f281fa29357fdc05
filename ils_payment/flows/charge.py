"""Charge: after a refund whose fee stays, the patron owes it again, by a counter-debit with a marker.

The same care as with a credit: one writing call at a time per patron, the try committed before the
call, an unclear answer waited out and looked up, never repeated while it could still take effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows.hands import LEASE_SECONDS, backoff
from ils_payment.flows.readback import MAX_UNCLEAR, read_path_is_fresh
from ils_payment.flows.work import SEND_WITHIN, quarantine
from ils_payment.model import Applied, ChargeOrder, NotApplied
from ils_payment.ports import Charging
from ils_payment.store import orders, patrons, payments, refunds

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.flows.house import Desk, House
    from ils_payment.model import PatronRef
    from ils_payment.store.records import Payment, Refund

log = structlog.get_logger(__name__)


def charge(house: House, desk: Desk, payment: Payment, refund: Refund) -> datetime | None:
    """Bring the counter-debit of a refund as far as it gets now; return when to come back."""
    owner = house.world.new_id()
    with house.store.unit() as unit:
        patron = patrons.patron_ref(unit, payment.patron_id)
        busy = orders.open_of_patron(unit, payment.patron_id) is not None
        if patron is not None and (busy or not patrons.lease(unit, payment.patron_id, owner, LEASE_SECONDS)):
            return unit.now + backoff(house, payment)
    if patron is None or not isinstance(desk.system, Charging):
        _by_hand(house, payment, refund, "the library system cannot be told, or the patron was erased")
        return None
    try:
        due = _look_and_call(house, desk, payment, refund, patron)
    except RemoteAbsentError as error:
        _by_hand(house, payment, refund, error.what)
        due = None
    except RemoteError as error:
        # Only questions raise: no call is on its way, so the patron can be let go below.
        log.warning("charge_waits", payment=payment.id, refund=refund.id, reason=str(error))
        due = house.world.now() + backoff(house, payment)
    with house.store.unit() as unit:
        patrons.release(unit, payment.patron_id, owner)
    return due


def _look_and_call(
    house: House, desk: Desk, payment: Payment, refund: Refund, patron: PatronRef
) -> datetime | None:
    """Look for an earlier try first; call once when it is right to."""
    now = house.world.now()
    # Also before the first try: a restored ledger may have forgotten one.
    found = desk.system.find_charges(patron, str(refund.charge_marker))  # type: ignore[attr-defined]  # the caller has looked
    if found:
        if [one.cents for one in found] == [refund.charge_cents]:
            _done(house, payment, refund, found[0].remote_ref)
        else:
            _by_hand(house, payment, refund, "the counter-debit is not there exactly once")
        return None
    if refund.charge_tries:
        over = refund.charge_tried_at + quarantine(desk) if refund.charge_tried_at else now
        if now < over:
            return over
        if refund.charge_tries >= MAX_UNCLEAR or not read_path_is_fresh(house, desk):
            _by_hand(house, payment, refund, "nothing proves that the counter-debit is absent")
            return None
    return _call(house, desk, payment, refund, patron)


def _call(house: House, desk: Desk, payment: Payment, refund: Refund, patron: PatronRef) -> datetime | None:
    with house.store.unit() as unit:
        payments.check_fence(unit, payment)
        tried = refunds.change(
            unit,
            refund,
            charge_state="tried",
            charge_tries=refund.charge_tries + 1,
            charge_tried_at=unit.now,
        )
        if tried is None:  # pragma: no cover - whoever changes a refund has the payment in hands
            return unit.now + backoff(house, payment)
        payments.record(unit, payment, "charge_try", {"refund": refund.id, "try": tried.charge_tries})
    house.world.failpoint("charge.before_call")
    kinds = {line.id: line.kind for line in payment.lines}
    kind = next((kinds[line] for line, _, _ in refund.parts if line in kinds), "")
    outcome = desk.system.charge(  # type: ignore[attr-defined]  # the caller has looked
        ChargeOrder(
            patron=patron,
            marker=str(tried.charge_marker),
            cents=tried.charge_cents,
            currency=payment.currency,
            kind=kind,
            settled_with=payment.receipt_number,
            send_before=(tried.charge_tried_at or house.world.now()) + SEND_WITHIN,
        )
    )
    house.world.failpoint("charge.after_call")
    if isinstance(outcome, Applied):
        if outcome.applied == tried.charge_cents:
            _done(house, payment, tried, outcome.remote_ref)
        else:
            _by_hand(house, payment, tried, "another amount was charged")
        return None
    if isinstance(outcome, NotApplied) and (outcome.permanent or tried.charge_tries >= MAX_UNCLEAR):
        _by_hand(house, payment, tried, outcome.reason)
        return None
    log.warning("charge_waits", payment=payment.id, refund=refund.id, reason=outcome.reason)
    return house.world.now() + backoff(house, payment)


def _done(house: House, payment: Payment, refund: Refund, ref: str) -> None:
    with house.store.unit() as unit:
        if refunds.change(unit, refund, charge_state="done", charge_ref=ref):
            facts = {
                "refund": refund.id,
                "charge": ref,
                "marker": refund.charge_marker,
                "cents": refund.charge_cents,
            }
            payments.record(unit, payment, "charged", facts)
    house.world.failpoint("charge.done")


def _by_hand(house: House, payment: Payment, refund: Refund, reason: str) -> None:
    """Say to a person what the library system could not be told."""
    with house.store.unit() as unit:
        if refunds.change(unit, refund, charge_state="by_hand"):
            facts = {
                "refund": refund.id,
                "marker": refund.charge_marker,
                "cents": refund.charge_cents,
                "reason": reason[:200],
            }
            payments.move(
                unit, payment, "charge_by_hand", case="charge_by_hand", subject=refund.id, facts=facts
            )
    house.world.failpoint("charge.by_hand")
