"""Reversals: what left again at the provider. Each becomes a refund object; the unforeseen ones a case.

A refund that was asked for here is found again by its key and followed by :mod:`ils_payment.flows.refund`.
That holds also where a restored ledger forgot that it was approved or sent.
Everything else was made at the provider alone (or is a chargeback): an object in state ``external``,
posted at once because the money is gone, and a case, because only a person can say whether the fee
is owed again. Nothing here blocks a patron.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.domain import marker
from ils_payment.domain import refunds as rules
from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import RefundState
from ils_payment.model import ReversalState
from ils_payment.store import chain, payments, refunds
from ils_payment.store.records import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.model import Reversal
    from ils_payment.store.records import Payment, Refund
    from ils_payment.store.unit import Unit


_NOT_SENT = frozenset({RefundState.WITHDRAWN, RefundState.FAILED})


def take(unit: Unit, payment: Payment, seen: Sequence[Reversal]) -> Payment:
    """Compare the provider's reversals with the refunds that are known, and book what is new.

    Each change of a refund goes with a move of its payment, which undoes both in other hands.
    """
    for reversal in seen:
        known = refunds.of_payment(unit, payment.id)
        ours = next((one for one in known if _is_same(one, reversal)), None)
        if ours is not None and ours.state is RefundState.ASKED:
            payment = _approved_before(unit, payment, ours, reversal)
            continue
        if ours is not None and ours.state in _NOT_SENT:
            # A restored ledger forgot that it was approved, and somebody has withdrawn it since; or the
            # provider gave back another amount than it was told to.
            ours = next((one for one in known if one.provider_ref == reversal.ref), None)
        if ours is None:
            payment = _external(unit, payment, reversal, known)
        elif reversal.state is ReversalState.FAILED:
            payment = _came_back(unit, payment, ours, reversal)
        # One that is running is taken up by the refund's own journey, which follows each look.
    return payment


def catch_up(unit: Unit, payment: Payment) -> Payment:
    """Post what left at the provider while its cents were reserved for a refund that did not happen."""
    for refund in refunds.of_payment(unit, payment.id):
        missing = _missing(refund)
        if not missing:
            continue
        postings = chain.read_postings(unit, payment.id)
        parts = rules.take(rules.left(postings), missing)
        if parts:
            refunds.change(unit, refund, parts=to_json([*refund.parts, *parts]))
            payment = payments.move(
                unit,
                payment,
                "reversal_posted",
                facts={"refund": refund.id, "cents": sum(cents for _, _, cents in parts)},
                postings=rules.leave(parts, rules.currency(postings, parts)),
            )
    return payment


def _missing(refund: Refund) -> int:
    """Return how many cents left at the provider alone and are not posted, because they were not here."""
    posted = sum(cents for _, _, cents in refund.parts)
    return refund.cents - posted if refund.state is RefundState.EXTERNAL else 0


def _is_same(refund: Refund, reversal: Reversal) -> bool:
    return refund.key == reversal.key or refund.provider_ref == reversal.ref


def _approved_before(unit: Unit, payment: Payment, refund: Refund, reversal: Reversal) -> Payment:
    """Take up a refund that the provider has, and whose approval a restored ledger forgot."""
    refunds.change(unit, refund, state=RefundState.TRIED, tries=1, tried_at=unit.now, approved_by="provider")
    facts = {"refund": refund.id, "actor": "provider", "at_provider": reversal.ref}
    payment = payments.move(unit, payment, "refund_approved", facts=facts)
    payments.make_due(unit, payment.id)
    return payment


def _external(unit: Unit, payment: Payment, reversal: Reversal, known: Sequence[Refund]) -> Payment:
    """Book money that left at the provider alone."""
    number = marker.in_key(reversal.key)
    if reversal.cents <= 0:
        return payment
    if reversal.state is ReversalState.FAILED:
        forgotten = number is not None and all(one.key != reversal.key for one in known)
        return _forgotten_debit(unit, payment, reversal, str(number)) if forgotten else payment
    postings = chain.read_postings(unit, payment.id)
    parts = rules.take(rules.left(postings), reversal.cents)
    posted = sum(cents for _, _, cents in parts)
    # What was promised to the payer and waits for its second person is here still.
    asked = sum(one.cents for one in known if one.state is RefundState.ASKED)
    promised = max(asked - sum(_missing(one) for one in known), 0)
    more = reversal.cents - posted
    refunds.add(
        unit,
        payment,
        parts,
        kind=reversal.kind,
        state=RefundState.EXTERNAL,
        cents=reversal.cents,
        asked_by="provider",
        provider_ref=reversal.ref,
        ended_at=unit.now,
    )
    case = "chargeback" if reversal.kind == "chargeback" else "reversed"
    currency = rules.currency(postings, parts)
    return payments.move(
        unit,
        payment,
        "reversed",
        case=case,
        subject=reversal.ref,
        facts={
            "cents": reversal.cents,
            "kinds": reversal.kind,
            "at_provider": reversal.ref,
            # More than the ledger has: the same money went back twice.
            "beyond": max(more - promised, 0),
            "promised": min(more, promised),
            "earlier": len(known),
            # A restored ledger has forgotten the refund, and the debit that may have followed it.
            **({"marker": number} if number else {}),
        },
        postings=rules.leave(parts, currency),
    )


def _forgotten_debit(unit: Unit, payment: Payment, reversal: Reversal, number: str) -> Payment:
    """Tell of a refund that a restored ledger has forgotten and that came back: its debit may still stand."""
    refunds.add(
        unit,
        payment,
        [],
        kind=reversal.kind,
        state=RefundState.FAILED,
        cents=reversal.cents,
        asked_by="provider",
        provider_ref=reversal.ref,
        ended_at=unit.now,
    )
    facts = {"at_provider": reversal.ref, "cents": reversal.cents, "marker": number}
    return payments.move(unit, payment, "came_back", case="came_back", subject=reversal.ref, facts=facts)


def _came_back(unit: Unit, payment: Payment, refund: Refund, reversal: Reversal) -> Payment:
    """Book money that did not leave after all: a refund that failed late, a chargeback that was won."""
    if refund.state not in {RefundState.DONE, RefundState.EXTERNAL}:
        return payment
    # A counter-debit that was not tried yet is not made any more; for another, a person has to look.
    charge = "none" if refund.charge_state == "due" else refund.charge_state
    refunds.change(unit, refund, state=RefundState.FAILED, ended_at=unit.now, charge_state=charge)
    facts: dict[str, Any] = {
        "refund": refund.id,
        "at_provider": reversal.ref,
        "lines": [line for line, _, _ in refund.parts],
    }
    if charge != "none":
        facts |= {"marker": refund.charge_marker, "charge": refund.charge_ref}
    currency = rules.currency(chain.read_postings(unit, payment.id), refund.parts)
    # What the provider did alone is undone as if it had not been; a refund that persons wanted needs them.
    back = (
        rules.undo(refund.parts, currency, Book.RETURNED)
        if refund.state is RefundState.EXTERNAL
        else rules.undo_return(refund.parts, currency, Book.RETURNED)
    )
    # What a bank took on top of that refund takes this money now; a case told of it then.
    here = max(refund.cents - sum(_missing(one) for one in refunds.of_payment(unit, payment.id)), 0)
    facts["cents"] = here
    payment = payments.move(
        unit,
        payment,
        "came_back",
        case="came_back" if here else None,
        subject=f"{refund.id}:{reversal.ref}",
        facts=facts,
        postings=back,
    )
    return catch_up(unit, payment)
