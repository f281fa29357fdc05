"""Reconcile, the cards: what was renewed with a payment, compared with card and debits of the patron."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.domain import ledger
from ils_payment.domain.ledger import Book
from ils_payment.ports import Charging
from ils_payment.store import chain, payments
from ils_payment.store import reconciling as rows

if TYPE_CHECKING:
    from ils_payment.flows.reconcile import Comparison
    from ils_payment.model import PatronRef
    from ils_payment.store.records import Renewal
    from ils_payment.store.unit import Unit


def cards(work: Comparison, patron_id: str, ref: PatronRef) -> None:
    """Compare the patron's renewals: each debit stands once, and the card is as good as was sold.

    Raises RemoteError.
    """
    with work.house.store.read() as unit:
        known = rows.renewals_of_patron(unit, patron_id, work.desk.key)
        sold = [one for one in known if one.state == "renewed" and not _given_back(unit, one)]
    for renewal in known:
        _debit(work, ref, renewal)
    if not sold:
        return
    last = max(sold, key=lambda one: one.until)
    valid = work.desk.system.card(ref).valid_until
    if valid is None or valid >= last.until:
        work.report.count("library_agrees")
        return
    facts = {"until": last.until.isoformat(), "valid_until": valid.isoformat()}
    work.differs("card_shorter", f"{last.payment_id}:{valid}", last.payment_id, facts)


def _given_back(unit: Unit, renewal: Renewal) -> bool:
    """Tell whether the money of a renewal went back, or is about to: a clerk may have cut the card short."""
    held = ledger.balances(chain.read_postings(unit, renewal.payment_id))
    return any((book, renewal.line_id) in held for book in (Book.TO_RETURN, Book.RETURNED, Book.OUTSIDE))


def _debit(work: Comparison, ref: PatronRef, renewal: Renewal) -> None:
    """Compare one debit of a renewal with what carries its marker."""
    if renewal.charge_marker is None or not isinstance(work.desk.system, Charging):
        return
    with work.house.store.read() as unit:
        payment = payments.load(unit, renewal.payment_id)
    line = payment.renewal_line if payment else None
    if line is None:  # pragma: no cover - a renewal has its line
        return
    there = work.desk.system.find_charges(ref, renewal.charge_marker)
    unexpected = bool(there) and renewal.charge_state not in {"due", "tried", "done"}
    if unexpected or (renewal.charge_state == "done" and [one.cents for one in there] != [line.cents]):
        facts = {"marker": renewal.charge_marker, "found": len(there), "cents": line.cents}
        work.differs("charge_differs", f"{renewal.charge_marker}:{len(there)}", renewal.payment_id, facts)
    else:
        work.report.count("library_agrees")
