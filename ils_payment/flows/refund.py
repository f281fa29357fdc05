"""Refund: give money back, whole or per line, before or after settling.

Asked by one person and, from the configured amount on, approved by a second. The cents are
reserved in the ledger when they are asked for, so no two refunds can promise the same cent. Then:
no settle call may still take effect; the provider is asked under the refund's key, after looking
whether an earlier try arrived (providers forget keys); the library system is told where the fee
stays (:mod:`ils_payment.flows.charge`). What no rule decides becomes a case.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.domain import refunds as rules
from ils_payment.domain.evidence import reversals as reversals_in
from ils_payment.domain.ledger import Book, balances
from ils_payment.domain.refunds import RefundState
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.errors import InvariantError, RemoteAbsentError, RemoteError
from ils_payment.flows import after_refund, case_money
from ils_payment.flows.charge import charge
from ils_payment.flows.hands import backoff
from ils_payment.flows.renew_late import came_late, doubt_no_more
from ils_payment.flows.reversals import catch_up
from ils_payment.flows.work import SEND_WITHIN, WHILE_SHUT, quarantine
from ils_payment.model import (
    Refunded,
    RefundOrder,
    RefundRefused,
    ReversalState,
    State,
)
from ils_payment.ports import FindingRefunds, Refunding
from ils_payment.store import (
    attempts,
    cases,
    chain,
    evidence,
    installation,
    journal,
    orders,
    patrons,
    payments,
    refunds,
    renewals,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Protocol

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Reversal
    from ils_payment.ports import PaymentProvider
    from ils_payment.store.records import AttemptRow, Payment, Refund
    from ils_payment.store.unit import Unit

    class _GivingBack(PaymentProvider, Refunding, Protocol):
        """A provider that gives money back; Python has no word for two types at once."""


log = structlog.get_logger(__name__)

PATIENCE = timedelta(days=4)
"""A refund that cannot be sent for so long becomes a case."""

LONGEST_PENDING = timedelta(days=14)
"""A refund that has not left for so long becomes a case: banks take up to ten working days."""


def send(house: House, desk: Desk, payment: Payment) -> datetime | None:
    """Bring the approved refunds of a payment as far as they get now; return when to come back."""
    with house.store.read() as unit:
        if installation.is_unreconciled(unit):
            return unit.now + WHILE_SHUT
        running = refunds.running(unit, payment.id)
        payment = (payments.load(unit, payment.id) if running else None) or payment
    due: list[datetime] = []
    for refund in running:
        try:
            again = _send_one(house, desk, payment, refund)
        except RemoteError as error:
            log.warning("refund_waits", payment=payment.id, refund=refund.id, reason=str(error))
            again = house.world.now() + backoff(house, payment)
        if again is not None:
            due.append(again)
            _tell_if_stuck(house, payment, refund)
        payment = _reread(house, payment)
    return min(due, default=None)


def _tell_if_stuck(house: House, payment: Payment, refund: Refund) -> None:
    """Open a case, once, about a refund or counter-debit that does not come to its end; it is tried on."""
    refund = _fresh(house, refund)
    patience = LONGEST_PENDING if refund.state is RefundState.PENDING else PATIENCE
    if house.world.now() - _approved_at(house, refund) < patience:
        return
    with house.store.unit() as unit:
        if not cases.was_opened(unit, payment.library, "refund_stuck", refund.id):
            facts = {"refund": refund.id, "cents": refund.cents, "is": str(refund.state)}
            payments.hold_late(
                unit, payment.id, "refund_stuck", facts, what="refund_stuck", subject=refund.id
            )


def _send_one(house: House, desk: Desk, payment: Payment, refund: Refund) -> datetime | None:
    """Bring one refund, and the counter-debit that may follow it, as far as they get now."""
    if refund.state is not RefundState.DONE:
        due = _give_back(house, desk, payment, refund)
        refund = _fresh(house, refund)
        if refund.state is not RefundState.DONE:
            return due
    if refund.charge_state in {"due", "tried"}:
        return charge(house, desk, _reread(house, payment), refund)
    return None


def _give_back(house: House, desk: Desk, payment: Payment, refund: Refund) -> datetime | None:
    """Look for the refund at the provider, and send it when it is not there and may be sent."""
    provider = desk.providers.get(payment.provider)
    if provider is None:
        # The start refuses this; another host, with another configuration, may have it.
        log.error("provider_not_configured", payment=payment.id, provider=payment.provider)
        return house.world.now() + backoff(house, payment)
    if not isinstance(provider, Refunding):
        _fail(house, payment, refund, "the provider cannot give money back")
        return None
    if refund.state is RefundState.PENDING:
        return _follow(house, payment, refund, _found(house, payment, provider))
    due = _wait_for_settling(house, desk, payment, refund)
    if due is not None or _fresh(house, refund).state is RefundState.FAILED:
        return due
    # Also before the first try: a restored ledger may have forgotten one, and the provider its key.
    found = _found(house, payment, provider)
    if any(one.key == refund.key for one in found):
        return _follow(house, payment, refund, found)
    if not _may_repeat(house, payment, refund, provider):
        if not refund.tries:
            _fail(house, payment, refund, "it may have been sent before the ledger was restored")
            return None
        return house.world.now() + backoff(house, payment)
    return _try(house, payment, refund, provider)


def _found(house: House, payment: Payment, provider: PaymentProvider) -> Sequence[Reversal]:
    """Return what left of a payment's money: by the provider's own list, or by what its notices told."""
    if isinstance(provider, FindingRefunds) and provider.capabilities().finds_refunds:
        return provider.find_refunds(_attempt(house, payment).session_ref or "")
    with house.store.read() as unit:
        told = evidence.told(unit, payment.id)
    return reversals_in(one for each in told for one in each.reversals)


def _may_repeat(house: House, payment: Payment, refund: Refund, provider: PaymentProvider) -> bool:
    """Tell whether one more try cannot become a second refund.

    Where nobody can look whether an earlier try arrived, only its idempotency key keeps it from being
    carried out twice, and the provider forgets that after a while. Then a notice, or a person, has to tell.
    """
    can = provider.capabilities()
    if can.finds_refunds:
        return True
    with house.store.read() as unit:
        first = chain.first_said(unit, payment.id, "refund_try", {"refund": refund.id})
        restored = journal.last_restore(unit)
    if first is None and restored is not None and restored >= refund.asked_at:
        # A restored ledger may have forgotten a try, which was not made before it was asked for.
        first = refund.asked_at
    return first is None or house.world.now() < first + can.key_lifetime - SEND_WITHIN


def _wait_for_settling(house: House, desk: Desk, payment: Payment, refund: Refund) -> datetime | None:
    """Before the first try for unsettled money: no settle call may still take effect.

    A marker that is there after all stops the refund: a person has to decide anew.
    """
    if refund.tries or payment.state not in PAID_UNSETTLED:
        return None
    # What became of other lines says nothing of the money that goes back.
    unsettled = {line for line, book, _ in refund.parts if book in {Book.TO_SETTLE, Book.CASE}}
    with house.store.read() as unit:
        tried = [
            one
            for one in orders.of_payment(unit, payment.id)
            if one.state != "applied" and one.tries and unsettled & set(one.line_ids)
        ]
        patron = patrons.patron_ref(unit, payment.patron_id, desk.patrons)
        renewal = renewals.of_payment(unit, payment)
    now = house.world.now()
    if renewal is not None and now < (over := renewals.doubtful_until(renewal, quarantine(desk))):
        return over
    card = renewal is not None and renewal.line_id in unsettled
    after_all = came_late(house, desk, payment, patron) if card and patron is not None else None
    if after_all is not None:
        _fail(house, payment, refund, after_all.what)
        doubt_no_more(house, payment, after_all)
        return None
    for order in tried:
        # A credit that was confirmed is why a person decided; only what nobody knew can stop the refund.
        doubtful = [one for one in order.tries if one.unclear]
        if doubtful and now < doubtful[-1].started_at + quarantine(desk):
            return doubtful[-1].started_at + quarantine(desk)
        if not doubtful or not desk.reads_markers or patron is None:
            continue
        try:
            there = desk.system.find_credits(patron, order.marker)
        except RemoteAbsentError:
            # The patron is gone there, so nobody can look any more: what the two persons decided counts.
            continue
        if there:
            _fail(house, payment, refund, "the credit is in the library system after all", order.marker)
            return None
    return None


def _try(house: House, payment: Payment, refund: Refund, provider: _GivingBack) -> datetime | None:
    """Commit the try, make the one call, and take what it answered."""
    with house.store.unit() as unit:
        payments.check_fence(unit, payment)
        if not _is_as_approved(unit, refund):
            raise InvariantError("the refund is not as it was asked for and approved")
        begun = refunds.change(
            unit, refund, state=RefundState.TRIED, tries=refund.tries + 1, tried_at=unit.now
        )
        if begun is None:  # pragma: no cover - whoever changes a refund has the payment in hands
            return unit.now + backoff(house, payment)
        payments.record(unit, payment, "refund_try", {"refund": refund.id, "try": begun.tries})
    house.world.failpoint("refund.before_call")
    if house.world.now() > (begun.tried_at or begun.asked_at) + SEND_WITHIN:
        # This host slept; somebody else may have made the call instead.
        return house.world.now() + backoff(house, payment)
    attempt = _attempt(house, payment)
    order = RefundOrder(
        key=refund.key,
        session_ref=attempt.session_ref or "",
        money_ref=attempt.money_ref or "",
        reference=payment.id,
        cents=refund.cents,
        currency=_currency(house, payment, refund),
    )
    outcome = provider.refund(order)
    house.world.failpoint("refund.after_call")
    if isinstance(outcome, Refunded):
        return _taken(house, payment, begun, outcome.ref, outcome.state)
    if isinstance(outcome, RefundRefused):
        # An earlier try that got lost may be why; only the provider's list proves that there is none.
        found = _found(house, payment, provider)
        if any(one.key == begun.key for one in found):
            return _follow(house, payment, begun, found)
        if outcome.permanent or house.world.now() - _approved_at(house, begun) > PATIENCE:
            _fail(house, payment, begun, outcome.reason)
            return None
    log.warning("refund_not_sent", payment=payment.id, refund=refund.id, reason=outcome.reason)
    return house.world.now() + backoff(house, payment)


def _is_as_approved(unit: Unit, refund: Refund) -> bool:
    """Hold a refund against the chain: the same cents were asked for, and somebody approved it."""
    same = {"refund": refund.id}
    return (
        refund.cents == sum(cents for _, _, cents in refund.parts)
        and chain.has_said(unit, refund.payment_id, "refund_asked", {**same, "cents": refund.cents})
        and chain.has_said(unit, refund.payment_id, "refund_approved", same)
    )


def _follow(house: House, payment: Payment, refund: Refund, found: Sequence[Reversal]) -> datetime | None:
    """Take what the provider's own list says of this refund."""
    for one in found:
        if one.key == refund.key or (refund.provider_ref is not None and one.ref == refund.provider_ref):
            if one.cents != refund.cents:
                _fail(
                    house,
                    payment,
                    refund,
                    "the provider gave back another amount",
                    one.ref,
                    provider_ref=None,
                )
                # The next look books what has left as what it is: not this refund.
                return house.world.now()
            return _taken(house, payment, refund, one.ref, one.state)
    return house.world.now() + backoff(house, payment)


def _taken(house: House, payment: Payment, refund: Refund, ref: str, state: ReversalState) -> datetime | None:
    """Book what the provider did with a refund."""
    if state is ReversalState.FAILED:
        _fail(house, payment, refund, "the provider could not give the money back", ref)
        return None
    if state is ReversalState.PENDING:
        with house.store.unit() as unit:
            pending = refunds.change(unit, refund, state=RefundState.PENDING, provider_ref=ref)
            if pending is not None and refund.state is not RefundState.PENDING:
                payments.record(unit, payment, "refund_pending", {"refund": refund.id, "at_provider": ref})
        return house.world.now() + max(backoff(house, payment), timedelta(minutes=10))
    with house.store.unit() as unit:
        if refunds.change(unit, refund, state=RefundState.DONE, provider_ref=ref, ended_at=unit.now):
            _end(unit, payment, refund, ref)
            after_refund.tell(unit, payment, refund)
    house.world.failpoint("refund.done")
    return None


def _end(unit: Unit, payment: Payment, refund: Refund, ref: str) -> None:
    """Post a refund as returned; a payment of which nothing is left to settle or decide is resolved."""
    postings = chain.read_postings(unit, payment.id)
    moved = rules.returned(refund.parts, rules.currency(postings, refund.parts))
    after = balances([*postings, *moved])
    waiting = {book for book, _ in after} & {Book.TO_SETTLE, Book.CASE, Book.TO_RETURN}
    ends = payment.state in PAID_UNSETTLED and not waiting
    columns: dict[str, Any] = {}
    if ends or payment.state not in PAID_UNSETTLED:
        columns["held"] = bool(cases.open_of_payment(unit, payment.id))
    end = case_money.end_of(unit, payment, postings) if ends else None
    payments.move(
        unit,
        payment,
        "refunded",
        to=end,
        facts={"refund": refund.id, "at_provider": ref, "cents": refund.cents},
        postings=moved,
        **columns,
    )
    if end is State.PAID:
        payments.make_due(unit, payment.id)


def _fail(
    house: House, payment: Payment, refund: Refund, reason: str, ref: str = "", **columns: str | None
) -> None:
    """End a refund that certainly did not happen: the reservation is undone, and a person decides anew."""
    facts: dict[str, Any] = {
        "refund": refund.id,
        "reason": reason[:200],
        "found": ref,
        "cents": refund.cents,
        "lines": [line for line, _, _ in refund.parts],
    }
    with house.store.unit() as unit:
        restored = journal.last_restore(unit)
        if ref and refund.charge_marker and restored is not None and restored >= refund.asked_at:
            # The provider had it. That it arrived at first may be forgotten, and so may its counter-debit.
            facts["marker"] = refund.charge_marker
        failed_now = {"state": RefundState.FAILED, "ended_at": unit.now, "charge_state": "none", **columns}
        if refunds.change(unit, refund, **failed_now):
            postings = chain.read_postings(unit, payment.id)
            failed = payments.move(
                unit,
                payment,
                "refund_failed",
                case="refund_failed",
                subject=refund.id,
                facts=facts,
                postings=rules.undo(refund.parts, rules.currency(postings, refund.parts)),
            )
            catch_up(unit, failed)
    house.world.failpoint("refund.failed")


def _currency(house: House, payment: Payment, refund: Refund) -> str:
    with house.store.read() as unit:
        return rules.currency(chain.read_postings(unit, payment.id), refund.parts) or payment.currency


def _attempt(house: House, payment: Payment) -> AttemptRow:
    with house.store.read() as unit:
        attempt = attempts.latest(unit, payment.id)
    if attempt is None or attempt.session_ref is None:  # pragma: no cover - a paid payment has its session
        raise LookupError(payment.id)
    return attempt


def _approved_at(house: House, refund: Refund) -> datetime:
    """Return since when a refund may be sent: it waits for its second person as long as that one likes."""
    with house.store.read() as unit:
        said = chain.first_said(unit, refund.payment_id, "refund_approved", {"refund": refund.id})
    return said or refund.asked_at


def _fresh(house: House, refund: Refund) -> Refund:
    with house.store.read() as unit:
        return refunds.get(unit, refund.id)


def _reread(house: House, payment: Payment) -> Payment:
    with house.store.read() as unit:
        return payments.load(unit, payment.id) or payment
