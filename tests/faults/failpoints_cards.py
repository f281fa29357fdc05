"""What has to be true of a renewed card after a scenario and a drain without faults, as Koha has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ils_payment.store import patrons, renewals
from ils_payment.store.records import Payment
from ils_payment.store.renewal_tables import renewals as renewals_table
from ils_payment.store.tables import payments
from tests.conftest import Town


@dataclass(frozen=True, slots=True)
class RenewedCard:
    """What a payment paid for a card: the cents, and the debit that was charged for it."""

    cents: int
    debit: str | None


def hold_card_rules(town: Town, payment: Payment, end: dict[str, Any]) -> RenewedCard | None:
    """Hold the renewal in *payment* to the rules; return what it cost, None where it renews no card."""
    with town.house.store.read() as unit:
        renewal = renewals.of_payment(unit, payment)
        patron = patrons.patron_ref(unit, payment.patron_id, town.desk.patrons)
        others = unit.connection.execute(
            select(payments.c.captured)
            .join(renewals_table, renewals_table.c.payment_id == payments.c.id)
            .where(
                payments.c.patron_id == payment.patron_id,
                payments.c.id != payment.id,
                renewals_table.c.until == (renewal.until if renewal else None),
                payments.c.captured == payments.c.cents,
            )
        ).all()
    if renewal is None or payment.renewal_line is None:
        return None
    cents, until = payment.renewal_line.cents, renewal.until.isoformat()
    changes = [
        one
        for one in town.koha.tables.expiry_changes
        if one.by == "api" and one.after == until and str(one.patron_id) == patron
    ]
    told = end["held"] or bool(end["cases"])
    # A second change is a call that came late, over what somebody else had written meanwhile.
    assert len(changes) <= 1 + len(others) or told, (payment.id, changes)
    # The same day may have been sold once more, after this payment was cancelled.
    paid = others or end["captured"] == payment.cents
    assert not changes or paid, (payment.id, "renewed and not paid")
    debits = [
        line
        for line in town.koha.tables.lines.values()
        if line.credit_type is None and renewal.charge_marker and line.note == renewal.charge_marker
    ]
    assert len(debits) <= 1, (payment.id, debits)
    assert renewal.state == "renewed" or not debits, (payment.id, "a debit for a card that is not renewed")
    if end["state"] == "settled":
        assert renewal.state == "renewed", (payment.id, renewal)
        assert changes, (payment.id, "counts as renewed, and never was")
        assert [int(one.amount * 100) for one in debits] == ([cents] if cents else []), (payment.id, debits)
    if not told:
        assert not any(one.outstanding for one in debits), (payment.id, "a debt of ours is left", debits)
    return RenewedCard(cents=cents, debit=renewal.charge_ref)
