"""Hear: read the provider and learn what is true. Notice, return page and sweep all end up here."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from ils_payment.domain import ledger
from ils_payment.domain.evidence import reversals as reversals_in
from ils_payment.domain.evidence import weigh
from ils_payment.domain.states import ENDED, UNPAID, decide
from ils_payment.errors import InvariantError, RemoteError
from ils_payment.flows import reversals
from ils_payment.flows.work import WHILE_SHUT
from ils_payment.model import Attempt, CannotTell, Input, PayState, ReadSupport, Started, State
from ils_payment.store import attempts, claims, evidence, installation, payments
from ils_payment.store.claims import AlreadyClaimedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Observation, Reversal
    from ils_payment.ports import PaymentProvider
    from ils_payment.store.records import AttemptRow, Payment
    from ils_payment.store.unit import Unit

log = structlog.get_logger(__name__)

LOOKS = (
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=33),
    timedelta(hours=1),
    timedelta(days=1),
)
"""When an open session is read again, counted from the payment's beginning; daily after that."""

POLL = timedelta(minutes=15)
"""So often an open session is read on its first day where no notice would ever tell of a change."""


def observe(
    house: House, desk: Desk, payment: Payment, return_params: Mapping[str, str] | None = None
) -> datetime | None:
    """Ask the provider about the latest attempt and act on the answer; return when to look again.

    Where notices are evidence, what they told is weighed with the answer, or stands for it.
    """
    provider = desk.providers[payment.provider]
    decides = provider.capabilities().notices_decide
    with house.store.read() as unit:
        attempt = attempts.latest(unit, payment.id)
    if attempt is None:  # pragma: no cover - it is committed together with the payment
        return None
    if attempt.session_ref is None and (attempt.outcome == "unclear" or not _told(house, desk, payment)):
        return _look_up(house, desk, payment, attempt)
    try:
        read = _read(house, payment, provider, attempt, return_params)
    except RemoteError as error:
        if not _told(house, desk, payment):
            raise
        log.warning("told_but_not_read", payment=payment.id, library=desk.key, reason=str(error))
        read = None
    # Only now: a notice that came while the provider answered may say more than the answer.
    told = _told(house, desk, payment)
    seen = weigh(read, told)
    if seen is None:
        _take_reversals(house, payment, reversals_in(one for each in told for one in each.reversals))
        return next_look(house, payment)
    ends = attempt.expires_at
    if decides and seen.state is PayState.VOID and ends is not None and house.world.now() < ends:
        # One try in the session is over, as a notice told; the payer may still pay by another.
        return ends
    return learn(house, desk, payment, seen)


def _told(house: House, desk: Desk, payment: Payment) -> list[Observation]:
    """Return what notices were evidence of; nothing where they are no evidence."""
    if not desk.providers[payment.provider].capabilities().notices_decide:
        return []
    with house.store.read() as unit:
        return evidence.told(unit, payment.id)


def _read(
    house: House,
    payment: Payment,
    provider: PaymentProvider,
    attempt: AttemptRow,
    return_params: Mapping[str, str] | None,
) -> Observation | None:
    """Return the provider's answer about the session, None where it cannot be asked now."""
    support = provider.capabilities().read
    askable = support is ReadSupport.FULL or (support is ReadSupport.WITH_RETURN and bool(return_params))
    if attempt.session_ref is None or not askable:
        return None
    house.world.failpoint("observe.before_read")
    seen = provider.read(attempt.session_ref, return_params)
    house.world.failpoint("observe.after_read")
    if payment.state is State.VOID and seen.state is PayState.OPEN and provider.capabilities().close:
        # It was given up here while its start was unclear: nobody shall pay in it any more.
        seen = provider.close(attempt.session_ref)
    return seen


def _take_reversals(house: House, payment: Payment, gone: Sequence[Reversal]) -> None:
    """Book what left again of money that was seen before; the notice of the money itself never came."""
    if gone and payment.captured:
        with house.store.unit() as unit:
            reversals.take(unit, payment, gone)


def _look_up(house: House, desk: Desk, payment: Payment, attempt: AttemptRow) -> datetime | None:
    """Find out whether a start with an unclear outcome made a session."""
    if attempt.outcome != "unclear":
        return None
    provider = desk.providers[payment.provider]
    if not provider.capabilities().find:
        return next_look(house, payment)
    with house.store.read() as unit:
        if installation.is_unreconciled(unit):
            # Looking may repeat the start, and a restored ledger writes nothing outside.
            return unit.now + WHILE_SHUT
    found = provider.find(_as_attempt(payment, attempt))
    if isinstance(found, CannotTell):
        log.warning("start_still_unclear", payment=payment.id, library=desk.key, reason=found.reason)
        return next_look(house, payment)
    with house.store.unit() as unit:
        if isinstance(found, Started):
            record_start(unit, house, payment, attempt.key, found)
            return unit.now
        attempts.ended(unit, attempt.key, "absent")
        payments.move(unit, payment, "start_absent", to=State.VOID, void_reason="not_started")
    return None


def _as_attempt(payment: Payment, attempt: AttemptRow) -> Attempt:
    """Return the attempt as the provider first got it; the stored request is what counts."""
    return Attempt(
        key=attempt.key,
        reference=payment.id,
        cents=payment.cents,
        currency=payment.currency,
        method=payment.method,
        lines=(),
        language=payment.language,
        return_url="",
        cancel_url="",
        created_at=attempt.created_at,
        request=attempt.request,
    )


def record_start(unit: Unit, house: House, payment: Payment, key: str, session: Started) -> str | None:
    """Record that the attempt *key* has a session; a payment that was just created is open now.

    Return the address of the payment page, None where no browser may be sent there: it is not kept then.
    """
    url = session.interaction.url if _may_lead_to(house, payment, session.interaction.url) else None
    attempts.started(unit, key, session, url)
    to = State.OPEN if payment.state is State.CREATED else None
    payments.move(unit, payment, "started", to=to, facts={"session": session.session_ref})
    return url


def _may_lead_to(house: House, payment: Payment, url: str) -> bool:
    """Tell whether a browser may be sent to *url*: a page of the provider's or of ours, and no other."""
    provider = house.libraries[payment.library].providers[payment.provider]
    parts = urlsplit(url)
    origins = {*provider.capabilities().redirect_origins, house.settings.server.public_url}
    if f"{parts.scheme}://{parts.netloc}" in origins:
        return True
    log.error(
        "redirect_refused",
        library=payment.library,
        provider=payment.provider,
        mend="The provider named a payment page of another origin; type: ils-payment check",
    )
    return False


def learn(
    house: House, desk: Desk, payment: Payment, seen: Observation, *, void_reason: str = "expired"
) -> datetime | None:
    """Compare what the provider says with the frozen payment, and take the state table's move."""
    what = _compare(desk, payment, seen)
    if what is None:
        return _read_again(house, payment)
    facts = {
        "captured": seen.captured,
        "currency": seen.currency,
        "live": seen.live,
        "evidence": seen.evidence[:200],
        "mine": seen.reference == payment.id,
    }
    with house.store.unit() as unit:
        if 0 < payment.captured < seen.captured and seen.currency == payment.currency:
            after = _more_came(unit, payment, facts)
        elif what is Input.PAID_WRONG and seen.captured == payment.captured != payment.cents:
            # The books have this sum, and its case was opened when it came.
            after = payment
        else:
            condition, refused, other = _condition(unit, payment, what, seen)
            if other is not None:
                facts["other"] = other
            after = _take(
                unit,
                payment,
                what,
                refused="" if condition else refused,
                facts=facts,
                void_reason=void_reason,
            )
        if seen.money_ref and attempts.learned_money(unit, payment.id, seen.money_ref):
            _offer_again(unit, desk, payment, seen.money_ref)
        if after.state not in UNPAID:
            after = reversals.take(unit, after, seen.reversals)
    house.world.failpoint("observe.learned")
    if after.state is State.VOID:
        return _late_look(house, after)
    if after.state in ENDED:
        return None
    return house.world.now() if after.state is State.PAID and not after.held else _read_again(house, after)


def _offer_again(unit: Unit, desk: Desk, payment: Payment, money_ref: str) -> None:
    """Look once more at notices of this money that came before its payment was known."""
    if desk.providers[payment.provider].capabilities().notices_decide:
        # Whoever finds no payment of such a notice just now has committed that before this, or asks after us.
        installation.lock(unit)
        attempts.offer_again(unit, payment.library, payment.provider, money_ref)


def _compare(desk: Desk, payment: Payment, seen: Observation) -> Input | None:
    """Say which input of the state table an observation is; None when it says nothing new."""
    can = desk.providers[payment.provider].capabilities()
    right = (
        seen.captured == payment.cents
        and seen.currency == payment.currency
        and seen.live == payment.live == can.live
        and (not seen.account or not can.account or seen.account == can.account)
        and seen.reference == payment.id
    )
    if seen.reference != payment.id and seen.state is not PayState.PAID:
        raise InvariantError("the provider session carries another payment's id")
    if seen.state is PayState.PAID:
        return Input.PAID_RIGHT if right else Input.PAID_WRONG
    if seen.state is PayState.PENDING:
        return Input.PENDING
    if seen.state is PayState.VOID and seen.final:
        return Input.VOID_FINAL
    return None


def _condition(unit: Unit, payment: Payment, what: Input, seen: Observation) -> tuple[bool, str, str | None]:
    """Answer the condition that some cells of the state table have.

    With it: the kind of case where it is not met, and the number of the other payment that has the fees.
    """
    if payment.state is State.VOID and what in {Input.PENDING, Input.PAID_RIGHT}:
        try:
            keys = [line.claim_key for line in payment.lines]
            claims.take(unit, payment.id, payment.patron_id, keys)
        except AlreadyClaimedError as held:
            other = payments.load(unit, held.payment_id)
            unpaid = other is not None and other.state in UNPAID
            return False, "paid_late" if unpaid else "paid_twice", other.receipt_number if other else None
        # Asked with the claims in hand: taking them may have waited for a payment that was just being booked.
        if claims.booked_meanwhile(unit, payment):
            claims.free(unit, payment.id)
            return False, "paid_twice", None
    return payment.state is not State.RESOLVED or seen.captured == payment.captured, "paid_twice", None


def _take(
    unit: Unit, payment: Payment, what: Input, *, refused: str, facts: dict[str, Any], void_reason: str
) -> Payment:
    """Write the move; an input that changes nothing and repeats what is known leaves no row.

    *refused*: the kind of case where the state table's condition is not met; empty when it is.
    """
    step = decide(payment.state, what, condition=not refused)
    if step.to is None and not step.hold:
        return payment
    columns: dict[str, Any] = {}
    postings: list[ledger.Posting] = []
    case: str | None = None
    if step.hold:
        case = "paid_wrong" if what is Input.PAID_WRONG else refused or "unexpected"
        # One open case of a kind says it all: seeing the same again adds nothing.
        if payment.held and step.to is None:
            return payment
    if step.to is State.PAID:
        columns = {"paid_at": unit.now, "captured": facts["captured"]}
        wrong = what is Input.PAID_WRONG
        if wrong:
            facts = {**facts, "cents": facts["captured"]}
        other = facts["currency"] if facts["currency"] != payment.currency else ""
        postings = ledger.paid_wrong(facts["captured"], other) if wrong else ledger.paid(payment.amounts())
    if step.to is State.VOID:
        columns = {"void_reason": void_reason}
        attempt = attempts.latest(unit, payment.id)
        if attempt:  # pragma: no branch - nobody says void of a payment without one
            attempts.ended(unit, attempt.key, "closed")
    return payments.move(
        unit, payment, str(what), to=step.to, case=case, facts=facts, postings=postings, **columns
    )


def _more_came(unit: Unit, payment: Payment, facts: dict[str, Any]) -> Payment:
    """Book money that came on top of what the books have, whatever state the payment is in, and hold it.

    Each sum is a case of its own: another open question must not hide it.
    """
    cents = facts["captured"] - payment.captured
    return payments.move(
        unit,
        payment,
        str(Input.PAID_WRONG),
        case="paid_wrong",
        subject=f"{payment.id}:{facts['captured']}",
        facts={**facts, "cents": cents},
        postings=ledger.paid_wrong(cents, ""),
        captured=facts["captured"],
    )


def next_look(house: House, payment: Payment) -> datetime | None:
    """Return when the sweep reads this payment's session again."""
    if payment.state not in UNPAID and payment.state is not State.VOID:
        return None
    now = house.world.now()
    for step in LOOKS:
        if payment.created_at + step > now:
            return payment.created_at + step
    return now + timedelta(days=1)


def _read_again(house: House, payment: Payment) -> datetime | None:
    """Return when to read a session again that was just read: often, where no notice would tell of it."""
    due, now = next_look(house, payment), house.world.now()
    if due is None or now >= payment.created_at + LOOKS[-1] or _is_told(house, payment):
        return due
    return min(due, now + POLL)


def _late_look(house: House, payment: Payment) -> datetime | None:
    """Return when to see whether money came after all, where no notice would tell of it."""
    longest = house.libraries[payment.library].providers[payment.provider].capabilities().longest_pending
    again = house.world.now() + timedelta(days=1)
    return None if _is_told(house, payment) or again > payment.created_at + longest else again


def _is_told(house: House, payment: Payment) -> bool:
    """Tell whether the provider sends notices of a payment's session."""
    return house.libraries[payment.library].providers[payment.provider].capabilities().notices
