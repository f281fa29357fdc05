"""Charge: write a debit, with a marker: a fee that stays though its money went back, or a renewed card's fee.

The same care as with a credit: one writing call at a time per patron, the try committed before the
call, an unclear answer waited out and looked up, never repeated while it could still take effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from ils_payment.domain.ledger import Book
from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows.hands import LEASE_SECONDS, backoff
from ils_payment.flows.readback import MAX_UNCLEAR, read_path_is_fresh
from ils_payment.flows.work import SEND_WITHIN, quarantine
from ils_payment.model import Applied, ChargeOrder, ChargePurpose, NotApplied
from ils_payment.store import orders, patrons, payments, refunds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import PatronRef
    from ils_payment.ports import Charging
    from ils_payment.store.records import Payment, Refund
    from ils_payment.store.unit import Unit

log = structlog.get_logger(__name__)


class Charged(Protocol):
    """What a row says of its debit."""

    @property
    def charge_state(self) -> str:
        """``none``, ``due``, ``tried``, ``done`` or ``by_hand``."""

    @property
    def charge_marker(self) -> str | None:
        """What is written with the debit and searched for."""

    @property
    def charge_ref(self) -> str | None:
        """The library system's id of the debit, once it is there."""

    @property
    def charge_tries(self) -> int:
        """How often it was tried."""

    @property
    def charge_tried_at(self) -> datetime | None:
        """When it was tried last."""


@dataclass(slots=True)
class Debit:
    """One debit in work. ``save`` changes its row if that is still as it was read; else it returns None."""

    house: House
    desk: Desk
    payment: Payment
    row: Charged
    save: Callable[..., Any]
    cents: int
    kind: str
    purpose: ChargePurpose
    facts: dict[str, Any]
    """What the chain keeps of whose debit it is."""
    subject: str = ""
    then: Callable[[Unit, str], None] = field(default=lambda _unit, _ref: None)
    """What is to be written together with the news that it is there."""


def charge(house: House, desk: Desk, payment: Payment, refund: Refund) -> datetime | None:
    """Bring the counter-debit of a refund as far as it gets now; return when to come back."""
    kinds = {line.id: line.kind for line in payment.lines}
    debit = Debit(
        house,
        desk,
        payment,
        refund,
        refunds.change,
        cents=refund.charge_cents,
        kind=next((kinds[line] for line, _, _ in refund.parts if line in kinds), ""),
        purpose=ChargePurpose.REFUND,
        facts={"refund": refund.id},
        subject=refund.id,
    )
    owner = house.world.new_id()
    with house.store.read() as unit:
        patron = patrons.patron_ref(unit, payment.patron_id, desk.patrons)
        erased = patrons.met_at(unit, payment.patron_id)[0] is None
    if patron is None:
        _by_hand(debit, "the patron was erased" if erased else "the library system is another one now")
        return None
    if any(line is None and book is Book.BY_HAND for line, book, _ in refund.parts):
        # Which fees it was booked for knows only who booked it.
        _by_hand(debit, "a part of it was booked by hand, for no fee of this payment")
        return None
    with house.store.unit() as unit:
        busy = orders.open_of_patron(unit, payment.patron_id) is not None
        if busy or not patrons.lease(unit, payment.patron_id, owner, LEASE_SECONDS):
            return unit.now + backoff(house, payment)
    due = bring(debit, patron)
    with house.store.unit() as unit:
        patrons.release(unit, payment.patron_id, owner)
    return due


def bring(debit: Debit, patron: PatronRef) -> datetime | None:
    """Bring a debit as far as it gets now; the caller holds the patron. Return when to come back."""
    system = debit.desk.charging
    if system is None:
        _by_hand(debit, "the library system cannot be told")
        return None
    try:
        return _look_and_call(debit, system, patron)
    except RemoteAbsentError as error:
        _by_hand(debit, error.what)
        return None
    except RemoteError as error:
        # Only questions raise: no call is on its way, so the patron can be let go.
        log.warning("charge_waits", payment=debit.payment.id, reason=str(error), **debit.facts)
        return debit.house.world.now() + backoff(debit.house, debit.payment)


def _look_and_call(debit: Debit, system: Charging, patron: PatronRef) -> datetime | None:
    """Look for an earlier try first; call once when it is right to."""
    now, row = debit.house.world.now(), debit.row
    # Also before the first try: a restored ledger may have forgotten one.
    found = system.find_charges(patron, str(row.charge_marker))
    if found:
        if [one.cents for one in found] == [debit.cents]:
            _done(debit, found[0].remote_ref)
        else:
            _by_hand(debit, "the debit is not there exactly once")
        return None
    if row.charge_tries:
        over = row.charge_tried_at + quarantine(debit.desk) if row.charge_tried_at else now
        if now < over:
            return over
        if row.charge_tries >= MAX_UNCLEAR or not read_path_is_fresh(debit.house, debit.desk):
            _by_hand(debit, "nothing proves that the debit is absent")
            return None
    return _call(debit, system, patron)


def _call(debit: Debit, system: Charging, patron: PatronRef) -> datetime | None:
    house, payment = debit.house, debit.payment
    with house.store.unit() as unit:
        payments.check_fence(unit, payment)
        tries = debit.row.charge_tries + 1
        tried = debit.save(
            unit, debit.row, charge_state="tried", charge_tries=tries, charge_tried_at=unit.now
        )
        if tried is None:  # pragma: no cover - whoever changes a refund has the payment in hands
            return unit.now + backoff(house, payment)
        debit.row = tried
        payments.record(unit, payment, "charge_try", {**debit.facts, "try": tries})
    house.world.failpoint("charge.before_call")
    outcome = system.charge(
        ChargeOrder(
            patron=patron,
            marker=str(debit.row.charge_marker),
            cents=debit.cents,
            currency=payment.currency,
            kind=debit.kind,
            settled_with=payment.receipt_number,
            send_before=(debit.row.charge_tried_at or house.world.now()) + SEND_WITHIN,
            purpose=debit.purpose,
        )
    )
    house.world.failpoint("charge.after_call")
    if isinstance(outcome, Applied):
        if outcome.applied == debit.cents:
            _done(debit, outcome.remote_ref)
        else:
            _by_hand(debit, "another amount was charged")
        return None
    if isinstance(outcome, NotApplied) and (outcome.permanent or debit.row.charge_tries >= MAX_UNCLEAR):
        _by_hand(debit, outcome.reason)
        return None
    log.warning("charge_waits", payment=payment.id, reason=outcome.reason, **debit.facts)
    return house.world.now() + backoff(house, payment)


def _done(debit: Debit, ref: str) -> None:
    with debit.house.store.unit() as unit:
        if debit.save(unit, debit.row, charge_state="done", charge_ref=ref):
            marker = debit.row.charge_marker
            facts = {**debit.facts, "charge": ref, "marker": marker, "cents": debit.cents}
            payments.record(unit, debit.payment, "charged", facts)
            debit.then(unit, ref)
    debit.house.world.failpoint("charge.done")


def _by_hand(debit: Debit, reason: str) -> None:
    """Say to a person what the library system could not be told."""
    with debit.house.store.unit() as unit:
        if debit.save(unit, debit.row, charge_state="by_hand"):
            facts = {
                **debit.facts,
                "marker": debit.row.charge_marker,
                "cents": debit.cents,
                "reason": reason[:200],
            }
            case = "charge_by_hand" if debit.purpose is ChargePurpose.REFUND else "renewal_unbooked"
            payments.move(unit, debit.payment, case, case=case, subject=debit.subject, facts=facts)
    debit.house.world.failpoint("charge.by_hand")
