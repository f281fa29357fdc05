"""Reconcile, the cards: what was renewed with a payment, compared with card and debits of the patron."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.domain import ledger
from ils_payment.domain.ledger import Book
from ils_payment.domain.renewing import Found
from ils_payment.flows.renew import says, says_of
from ils_payment.store import chain, payments
from ils_payment.store import reconciling as rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.comparison import Comparison
    from ils_payment.model import Card, Charge, PatronRef
    from ils_payment.store.records import Renewal
    from ils_payment.store.unit import Unit


def cards(work: Comparison, patron_id: str, ref: PatronRef) -> None:
    """Compare the patron's renewals: each debit stands once, and the card is as good as was sold.

    A card whose money went back is not renewed all the same. Raises RemoteError.
    """
    with work.house.store.read() as unit:
        known = rows.renewals_of_patron(unit, patron_id, work.desk.key)
        returned = {one.payment_id for one in known if _given_back(unit, one)}
    sold = [one for one in known if one.state == "renewed" and one.payment_id not in returned]
    doubtful = [one for one in known if one.state != "renewed" and one.tried and one.payment_id in returned]
    for renewal in known:
        _debit(work, ref, renewal)
    if not sold and not doubtful:
        return
    card = work.desk.system.card(ref)
    _is_long_enough(work, card, sold)
    for renewal in doubtful:
        _is_not_renewed(work, card, renewal, sold)


def _is_long_enough(work: Comparison, card: Card, sold: Sequence[Renewal]) -> None:
    """Compare the card with the last day that was sold and paid for."""
    last = max(sold, key=lambda one: one.until, default=None)
    if last is None:
        return
    if card.valid_until is None or card.valid_until >= last.until:
        work.report.count("library_agrees")
        return
    facts = {"until": last.until.isoformat(), "valid_until": card.valid_until.isoformat()}
    work.differs("card_shorter", f"{last.payment_id}:{card.valid_until}", last.payment_id, facts)


def _is_not_renewed(work: Comparison, card: Card, renewal: Renewal, sold: Sequence[Renewal]) -> None:
    """Look whether a call that was never answered has renewed the card, though its money went back."""
    bought_again = any(one.until == card.valid_until for one in sold)
    if bought_again or says_of(work.desk, renewal, card) is not Found.DONE:
        work.report.count("library_agrees")
        return
    facts = {"until": renewal.until.isoformat(), **says(card)}
    work.differs("renewed_unpaid", renewal.payment_id, renewal.payment_id, facts)


def _given_back(unit: Unit, renewal: Renewal) -> bool:
    """Tell whether the money of a renewal went back, or is about to: a clerk may have cut the card short."""
    held = ledger.balances(chain.read_postings(unit, renewal.payment_id))
    return any((book, renewal.line_id) in held for book in (Book.TO_RETURN, Book.RETURNED, Book.OUTSIDE))


def _debit(work: Comparison, ref: PatronRef, renewal: Renewal) -> None:
    """Compare one debit of a renewal with what carries its marker."""
    system = work.desk.charging
    if renewal.charge_marker is None or system is None:
        return
    with work.house.store.read() as unit:
        payment = payments.load(unit, renewal.payment_id)
    line = payment.renewal_line if payment else None
    if line is None:  # pragma: no cover - a renewal has its line
        return
    there = system.find_charges(ref, renewal.charge_marker)
    right = [one.cents for one in there] == [line.cents]
    unexpected = bool(there) and renewal.charge_state not in {"due", "tried", "done"}
    if unexpected and right:
        unexpected = not written_by_hand(work, renewal.payment_id, "renewal_unbooked", "", there[0])
    if unexpected or (renewal.charge_state == "done" and not right):
        facts = {"marker": renewal.charge_marker, "found": len(there), "cents": line.cents}
        work.differs("charge_differs", f"{renewal.charge_marker}:{len(there)}", renewal.payment_id, facts)
    else:
        work.report.count("library_agrees")


def written_by_hand(work: Comparison, payment_id: str, kind: str, subject: str, debit: Charge) -> bool:
    """Tell whether a person has written a debit with our number, because a case had asked for it.

    One that was there before the case is a call of ours that nobody had seen: the person may have charged
    the same once more.
    """
    with work.house.store.read() as unit:
        asked = rows.asked_by_hand(unit, payment_id, kind, subject)
    return asked is not None and debit.at is not None and debit.at >= asked
