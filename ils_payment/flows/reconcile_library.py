"""Reconcile, the library system: the ledger's orders compared with the markers in the patrons' accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ils_payment.domain import ledger
from ils_payment.domain.decisions import Choice
from ils_payment.domain.ledger import Book
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows.reconcile_cards import cards, written_by_hand
from ils_payment.flows.work import quarantine
from ils_payment.store import (
    cases,
    chain,
    orders,
    patrons,
    payments,
    records,
)
from ils_payment.store import reconciling as rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.comparison import Comparison
    from ils_payment.model import Credit, PatronRef

MARGIN = timedelta(hours=1)
"""What was paid just now may still be on its way from the provider into the ledger."""

_NOT_BY_HAND = frozenset({Book.TO_SETTLE, Book.CASE, Book.LIBRARY_SYSTEM})
"""What waits, or was settled after all, does not count as booked by hand any more."""


def compare_library_system(work: Comparison) -> None:
    """Compare the markers in the accounts of the patrons that paid with the credit orders, both ways."""
    if not work.desk.reads_markers:
        return
    with work.house.store.read() as unit:
        people = rows.patrons_between(unit, work.desk.key, work.report.since, work.report.until)
    for patron_id in people:
        with work.house.store.read() as unit:
            ref = patrons.patron_ref(unit, patron_id, work.desk.patrons)
            erased = patrons.met_at(unit, patron_id)[0] is None
        if ref is None:
            # In a library system that is another one now, the id names somebody else.
            work.report.count("patrons_erased" if erased else "patrons_elsewhere")
            continue
        work.report.count("patrons")
        try:
            _patron(work, patron_id, ref)
        except RemoteAbsentError:
            # A patron who was deleted takes the account along: nothing is left to compare.
            work.report.count("patrons_gone")
        except RemoteError as error:
            work.report.gaps.append(f"a patron's account: {error}")


def _patron(work: Comparison, patron_id: str, ref: PatronRef) -> None:
    """Compare one patron's marked credits and counter-debits with the orders."""
    with work.house.store.read() as unit:
        known = rows.orders_of_patron(unit, patron_id, work.desk.key)
        charges = rows.charges_of_patron(unit, patron_id, work.desk.key)
    in_account: list[Credit] = []
    if work.desk.system.capabilities().credit_list:
        since = min([work.report.since, *(one.tries[0].started_at for one in known if one.tries)])
        in_account = [one for one in work.desk.system.recent_credits(ref, since - MARGIN) if one.marker]
        markers = {order.marker for order in known}
        for credit in in_account:
            if credit.marker not in markers:
                _orphan(work, patron_id, credit)
    for order in known:
        _order(work, ref, order)
    for refund in charges:
        _charge(work, ref, refund)
    cards(work, patron_id, ref)


def _orphan(work: Comparison, patron_id: str, credit: Credit) -> None:
    """Look at a credit whose marker belongs to no order of this patron that was known a moment ago."""
    marker = str(credit.marker)
    with work.house.store.read() as unit:
        order = orders.by_marker(unit, marker)
        payment_id = order.payment_id if order else payments.id_of_number(unit, marker)
        library = rows.library_of(unit, payment_id) if payment_id else None
    if library not in {None, work.desk.key}:
        # Another library of this installation shares the library system.
        return
    if order is not None and order.patron_id == patron_id:
        # It was ordered just now.
        return
    facts = {"marker": marker, "credit": credit.remote_ref, "cents": credit.cents}
    work.differs("orphan_marker", f"{marker}:{credit.remote_ref}", payment_id, facts)


def _order(work: Comparison, ref: PatronRef, read_before: records.Order) -> None:
    """Compare one credit order with what carries its marker; its tries are read after the account."""
    there = work.desk.system.find_credits(ref, read_before.marker)
    with work.house.store.read() as unit:
        order = orders.by_marker(unit, read_before.marker) or read_before
        payment = payments.load(unit, order.payment_id)
        # A person who has this payment on the list knows of its credits.
        known = rows.has_open_case(unit, order.payment_id)
    if payment is None:  # pragma: no cover - a foreign key says otherwise
        return
    running = payment.state in PAID_UNSETTLED and not payment.held
    last = order.tries[-1].started_at if order.tries else None
    recent = last is not None and work.house.world.now() < last + quarantine(work.desk)
    if order.state != "applied" and last is not None and (running or recent):
        work.report.count("in_progress")
        return
    facts = {
        "marker": order.marker,
        "order": order.cents,
        "found": len(there),
        "cents": sum(one.cents for one in there),
        "unapplied": sum(one.unapplied for one in there),
    }
    subject = f"{order.marker}:{len(there)}:{facts['cents']}"
    if order.state == "applied":
        if not there:
            work.differs("marker_missing", subject, order.payment_id, facts)
        elif len(there) > 1:
            work.differs("marker_twice", subject, order.payment_id, facts)
        elif there[0].cents != order.cents:
            work.differs("marker_other_amount", subject, order.payment_id, facts)
        else:
            work.report.count("library_agrees")
    elif there and not known and not _is_called_booked(work, order, there):
        work.differs("marker_unexpected", subject, order.payment_id, facts)
    else:
        work.report.count("library_agrees")


def _is_called_booked(work: Comparison, order: records.Order, there: Sequence[Credit]) -> bool:
    """Tell whether a person has called the fees of an order booked, and meant just what is *there*.

    Either the case that was decided has named the credit; or the person has written it with our number as
    a note, as the case had asked for, and said so in the reference.
    """
    if [(one.cents, one.unapplied) for one in there] != [(order.cents, 0)]:
        return False
    with work.house.store.read() as unit:
        postings = chain.read_postings(unit, order.payment_id)
        booked = {one.line_id for one in postings if one.destination is Book.BY_HAND}
        booked -= {line for book, line in ledger.balances(postings) if book in _NOT_BY_HAND}
        if not booked.issuperset(order.line_ids):
            return False
        for facts in chain.said(unit, order.payment_id, Choice.BOOKED_BY_HAND):
            case = cases.load(unit, facts.get("decided", ""))
            named = case.facts.get("credit") if case else None
            if named == there[0].remote_ref or order.marker in facts.get("reference", ""):
                return True
    return False


def _charge(work: Comparison, ref: PatronRef, refund: records.Refund) -> None:
    """Compare one counter-debit with what carries its marker."""
    system = work.desk.charging
    if system is None:
        return
    there = system.find_charges(ref, str(refund.charge_marker))
    right = [one.cents for one in there] == [refund.charge_cents]
    unexpected = bool(there) and refund.charge_state not in {"due", "tried", "done"}
    if unexpected and right:
        unexpected = not written_by_hand(work, refund.payment_id, "charge_by_hand", refund.id, there[0])
    if unexpected or (refund.charge_state == "done" and not right):
        facts = {"marker": refund.charge_marker, "found": len(there), "cents": refund.charge_cents}
        subject = f"{refund.charge_marker}:{len(there)}"
        work.differs("charge_differs", subject, refund.payment_id, facts)
    else:
        work.report.count("library_agrees")
