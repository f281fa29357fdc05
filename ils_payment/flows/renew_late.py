"""Renew, afterwards: the looks at a card when no call of ours can come late any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ils_payment.domain.renewing import Found
from ils_payment.errors import RemoteAbsentError
from ils_payment.flows.renew import RenewalInWork, says
from ils_payment.flows.work import quarantine
from ils_payment.store import payments, renewals

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Card, PatronRef
    from ils_payment.store.records import Payment


@dataclass(frozen=True, slots=True)
class Late:
    """What a call that was never answered has done after all; ``charge_ref``: the debit that is there."""

    what: str
    charge_ref: str | None = None


def came_late(house: House, desk: Desk, payment: Payment, patron: PatronRef) -> Late | None:
    """Before money goes back: say what a call that was never answered has done after all, None if nothing.

    Asked when no call can come late any more; of a patron who is gone there nothing is left. Raises
    RemoteError.
    """
    with house.store.read() as unit:
        renewal = renewals.of_payment(unit, payment)
    if renewal is None:
        return None
    work = RenewalInWork(house, desk, payment, patron, renewal)
    doubtful = renewal.doubts and renewal.state != "renewed"
    marker = renewal.charge_marker if renewal.charge_state == "tried" else None
    try:
        if doubtful and work.judge(desk.system.card(patron)) is Found.DONE:
            return Late("the card is renewed after all")
        there = desk.charging.find_charges(patron, marker) if marker and desk.charging else ()
        if there:
            ref = there[0].remote_ref if len(there) == 1 else None
            return Late("the debit of the renewal is in the library system after all", ref)
    except RemoteAbsentError:
        pass
    return None


def _card(work: RenewalInWork) -> Card | None:
    """Read the card; None when the patron was deleted: then there is nothing left to look at."""
    try:
        return work.desk.system.card(work.patron)
    except RemoteAbsentError:
        return None


def doubt_no_more(house: House, payment: Payment, late: Late) -> None:
    """Remember that a person was told: who wants the refund all the same gets it the second time."""
    with house.store.unit() as unit:
        renewal = renewals.of_payment(unit, payment)
        if renewal is None:  # pragma: no cover - something has come late of it
            return
        columns: dict[str, Any] = {}
        if late.charge_ref is not None:
            columns = {"charge_state": "done", "charge_ref": late.charge_ref}
        elif renewal.charge_state == "tried":
            columns = {"charge_state": "by_hand"}
        renewals.change(unit, renewal, doubts=0, **columns)
    house.world.failpoint("renew.told")


def last_look(house: House, desk: Desk, payment: Payment, patron: PatronRef) -> datetime | None:
    """Look once more at a renewed card when no call of ours can come late any more; return when to come back.

    Only where a call was never answered; of a patron who is gone there is no card. Raises RemoteError.
    """
    with house.store.read() as unit:
        renewal = renewals.of_payment(unit, payment)
    if renewal is None or renewal.state != "renewed" or not renewal.doubts or renewal.tried_at is None:
        return None
    over = renewal.tried_at + quarantine(desk)
    if house.world.now() < over:
        return over
    work = RenewalInWork(house, desk, payment, patron, renewal)
    card = _card(work)
    with house.store.unit() as unit:
        payments.check_fence(unit, payment)
        work.change(unit, doubts=0)
        if card is None:
            payments.record(unit, payment, "renewed_patron_gone", {})
        elif work.judge(card) is Found.DONE:
            payments.record(unit, payment, "renewed_still", says(card))
        else:
            facts = {**says(card), "until": renewal.until.isoformat()}
            payments.move(unit, payment, "renewed_elsewhere", case="renewed_elsewhere", facts=facts)
    house.world.failpoint("renew.looked")
    return None
