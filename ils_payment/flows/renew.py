"""Renew: the card that was paid for gets its new expiry, and its fee stands in the library system's books.

Money first, then the card, then the books: a renewal that fails leaves money for which a person is
told, never a debt. Three writing calls may each get lost: the expiry, the debit, the credit. Each is
an order of its own, committed before its call and read back after it. The debit is charged as
everywhere (:mod:`ils_payment.flows.charge`), the credit settled like that of any fee.

The expiry is a day that was sold. To write the same day again changes nothing, so a lost answer is
looked up and the call repeated at once. Whatever else the card says is somebody else's doing: a case,
and no call. A call that was never answered may still come late, so the card is read once more when
that is over: a desk that renewed in between is found, and a person decides.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.domain import ledger
from ils_payment.domain.renewing import Found, Sold, judge
from ils_payment.domain.states import ENDED, decide
from ils_payment.domain.tariff import NoQuote
from ils_payment.errors import InvariantError, RemoteAbsentError, RemoteError
from ils_payment.flows import offer
from ils_payment.flows.charge import Debit, bring
from ils_payment.flows.hands import backoff
from ils_payment.flows.readback import MAX_UNCLEAR
from ils_payment.flows.work import SEND_WITHIN, is_last, is_patient, quarantine, tell_observers
from ils_payment.model import (
    ChargePurpose,
    Input,
    NotApplied,
    Renewed,
    RenewOrder,
    RenewSupport,
    Unclear,
)
from ils_payment.store import chain, claims, payments, renewals

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Card, PatronRef, RenewOutcome
    from ils_payment.store.records import Payment, Renewal
    from ils_payment.store.unit import Unit

log = structlog.get_logger(__name__)

SOON = timedelta(seconds=5)


@dataclass(slots=True)
class RenewalInWork:
    """One renewal in work; payment and renewal are replaced whenever they change."""

    house: House
    desk: Desk
    payment: Payment
    patron: PatronRef
    renewal: Renewal

    @property
    def by_rule(self) -> bool:
        """Tell whether the library system follows a rule of its own instead of our day."""
        return _by_rule(self.desk)

    def judge(self, card: Card) -> Found:
        """Say what the card says of what was sold."""
        return says_of(self.desk, self.renewal, card)

    def change(self, unit: Unit, **columns: Any) -> None:  # noqa: ANN401 - columns of renewals
        """Change the renewal; StaleFenceError when somebody else has."""
        changed = renewals.change(unit, self.renewal, **columns)
        if changed is None:
            raise payments.StaleFenceError(self.payment.id)
        self.renewal = changed


def _by_rule(desk: Desk) -> bool:
    return desk.system.capabilities().can_renew is RenewSupport.BY_RULE


def says_of(desk: Desk, renewal: Renewal, card: Card) -> Found:
    """Say what *card* says of what was sold with *renewal*."""
    sold = Sold(base=renewal.base, until=renewal.until, renewed_on=renewal.renewed_on)
    return judge(sold, card, tried=renewal.tried, by_rule=_by_rule(desk))


def renew(work: RenewalInWork) -> datetime | None:
    """Bring a paid renewal up to the credit for it; return when to come back (None: done, or held)."""
    if work.renewal.state in {"due", "again", "tried"}:
        try:
            due = _renew(work)
        except RemoteError as error:
            # Only questions raise: no call is on its way that is not written down.
            due = _unanswered(work, error)
        if due is not None or work.payment.held:
            return due
    if work.renewal.charge_state in {"due", "tried"}:
        return _charge(work)
    if work.renewal.charge_state == "none":  # pragma: no branch - a debit that is there has its order
        _finish(work)
    return None


def _renew(work: RenewalInWork) -> datetime | None:
    """Give the card its new expiry, or say when to come back."""
    card = work.desk.system.card(work.patron)
    found = work.judge(card)
    if found is Found.ELSEWHERE and _is_charged(work, card):
        found = Found.DONE
    if found is Found.ELSEWHERE and work.renewal.state == "again":
        found = _sell_on_top(work, card)
    if found is Found.DONE:
        _renewed(work, card)
        return None
    if found is Found.ELSEWHERE:
        _hold(work, "renewed_elsewhere", says(card))
        return None
    if work.renewal.doubts >= MAX_UNCLEAR:
        _hold(work, "renewal_unclear", {"tries": work.renewal.tries})
        return None
    may_come = renewals.doubtful_until(work.renewal, quarantine(work.desk))
    if work.by_rule and work.house.world.now() < may_come:
        # By its own rule the library system would extend what a late call has extended already.
        return may_come
    if not _begin_try(work):
        return work.house.world.now() + backoff(work.house, work.payment)
    outcome = _call(work)
    _record(work, outcome)
    if isinstance(outcome, NotApplied):
        return _not_renewed(work, outcome)
    if isinstance(outcome, Unclear):
        return work.house.world.now() + SOON
    return _read_back(work)


def _is_charged(work: RenewalInWork, card: Card) -> bool:
    """Tell whether the debit for this very renewal is there: a restored ledger has forgotten both."""
    system, marker = work.desk.charging, work.renewal.charge_marker
    if system is None or marker is None or card.valid_until is None or card.valid_until < work.renewal.until:
        return False
    return bool(system.find_charges(work.patron, marker))


def _sell_on_top(work: RenewalInWork, card: Card) -> Found:
    """A person lets it begin anew and somebody else changed the card: extend what it says now.

    What that costs today is not asked: the patron has paid for one period.
    """
    quote = offer.quote(work.house, work.desk, work.patron, card, ignore_lead=True)
    if isinstance(quote, NoQuote):
        return Found.ELSEWHERE
    facts = {"tariff": quote.version, "until": quote.until.isoformat()}
    with work.house.store.unit() as unit:
        payments.check_fence(unit, work.payment)
        work.change(
            unit,
            state="due",
            tariff=quote.version,
            base=quote.base,
            until=quote.until,
            renewed_on=card.renewed_on,
            tries=0,
            refused=0,
        )
        payments.record(unit, work.payment, "renewal_on_top", facts)
    return work.judge(card)


def _begin_try(work: RenewalInWork) -> bool:
    """Commit the try before the call; False when the payment is held by now."""
    with work.house.store.unit() as unit:
        if payments.check_fence(unit, work.payment).held:
            return False
        line = work.payment.renewal_line
        waiting = ledger.balances(chain.read_postings(unit, work.payment.id))
        if line is None or waiting.get((ledger.Book.TO_SETTLE, line.id), 0) != line.cents:
            raise InvariantError("a card is to be renewed whose money is not here")
        move = decide(work.payment.state, Input.FEES_STAND)
        work.change(
            unit,
            state="tried",
            tries=work.renewal.tries + 1,
            doubts=work.renewal.doubts + 1,
            tried_at=unit.now,
        )
        facts = {"try": work.renewal.tries, "until": work.renewal.until.isoformat()}
        work.payment = payments.move(unit, work.payment, "renew_try", to=move.to, facts=facts)
    work.house.world.failpoint("renew.before_call")
    return True


def _call(work: RenewalInWork) -> RenewOutcome:
    """Make the one call, unless it is too late for it, or the library has switched renewing off since."""
    system = work.desk.renewing
    if system is None:
        return NotApplied(reason="the library system renews no cards", permanent=True)
    send_before = (work.renewal.tried_at or work.house.world.now()) + SEND_WITHIN
    if work.house.world.now() > send_before:
        return NotApplied(reason="not sent in time")
    order = RenewOrder(
        patron=work.patron,
        marker=work.payment.receipt_number,
        base=work.renewal.base,
        until=None if work.by_rule else work.renewal.until,
        send_before=send_before,
    )
    outcome = system.renew_card(order)
    work.house.world.failpoint("renew.after_call")
    return outcome


def _record(work: RenewalInWork, outcome: RenewOutcome) -> None:
    """Commit what the call answered before anything else is done with it."""
    name = {Renewed: "renewed", NotApplied: "not_applied", Unclear: "unclear"}[type(outcome)]
    reason = {} if isinstance(outcome, Renewed) else {"reason": outcome.reason[:200]}
    with work.house.store.unit() as unit:
        if isinstance(outcome, NotApplied):
            refused = work.renewal.refused + 1
            work.change(unit, state="due", doubts=work.renewal.doubts - 1, refused=refused)
        elif isinstance(outcome, Renewed):
            work.change(unit, doubts=work.renewal.doubts - 1)
        facts = {"try": work.renewal.tries, **reason}
        payments.record(unit, work.payment, f"renew_{name}", facts)
    work.house.world.failpoint("renew.recorded")


def _not_renewed(work: RenewalInWork, outcome: NotApplied) -> datetime | None:
    """Try again for days, unless that cannot help."""
    if not outcome.permanent and is_patient(work.house, work.desk, work.payment):
        return work.house.world.now() + backoff(work.house, work.payment)
    _hold(work, "not_renewed", {"reason": outcome.reason[:200]})
    return None


def _unanswered(work: RenewalInWork, error: RemoteError) -> datetime | None:
    """A question was not answered: ask again for days, unless that cannot help; then a person looks."""
    patient = is_patient(work.house, work.desk, work.payment)
    if patient and not isinstance(error, RemoteAbsentError):
        log.warning("tried_in_vain", payment=work.payment.id, library=work.desk.key, reason=str(error))
        return work.house.world.now() + backoff(work.house, work.payment)
    _hold(work, "renewal_unclear" if work.renewal.tried else "not_renewed", {"reason": error.what[:200]})
    return None


def _read_back(work: RenewalInWork) -> datetime | None:
    """Read the card after a call that was answered; anything but what was sold is a case."""
    card = work.desk.system.card(work.patron)
    found = work.judge(card)
    if found is Found.DONE:
        _renewed(work, card)
    else:
        _hold(work, "renewal_unclear" if found is Found.STANDS else "renewed_elsewhere", says(card))
    return None


def says(card: Card) -> dict[str, Any]:
    """Return what the chain keeps of a card."""
    return {"valid_until": card.valid_until.isoformat() if card.valid_until else None}


def _renewed(work: RenewalInWork, card: Card) -> None:
    """Count the card as renewed; one whose day a rule of the library system made earlier than sold is a case.

    Once a person lets it begin anew, what the card says then is what was agreed on.
    """
    shorter = card.valid_until is not None and card.valid_until < work.renewal.until
    if shorter and work.renewal.state != "again":
        _hold(work, "card_shorter", says(card))
        return
    with work.house.store.unit() as unit:
        payments.check_fence(unit, work.payment)
        work.change(unit, state="renewed", renewed_at=unit.now, until=card.valid_until or work.renewal.until)
        payments.record(unit, work.payment, "renewed", says(card))
    work.house.world.failpoint("renew.renewed")


def _charge(work: RenewalInWork) -> datetime | None:
    """Charge what the card costs; with the news of the debit, the payment claims it as its own."""
    line = work.payment.renewal_line
    if line is None:  # pragma: no cover - a payment with a renewal has its line
        raise LookupError(work.payment.id)

    def claim(unit: Unit, ref: str) -> None:
        current = payments.load(unit, work.payment.id, lock=True)
        if current is not None and current.state in ENDED:
            # A host that slept: persons have ended the payment without knowing of this debit.
            facts = {"marker": work.renewal.charge_marker, "charge": ref, "cents": line.cents}
            payments.hold_late(unit, work.payment.id, "charge_differs", facts)
            return
        with suppress(claims.AlreadyClaimedError):
            # Else another payment was begun for it meanwhile: whoever comes second finds it closed.
            claims.take(unit, work.payment.id, work.payment.patron_id, [ref])

    debit = Debit(
        work.house,
        work.desk,
        work.payment,
        work.renewal,
        renewals.change,
        cents=line.cents,
        kind=line.kind,
        purpose=ChargePurpose.RENEWAL,
        facts={"line": line.id},
        then=claim,
    )
    due = bring(debit, work.patron)
    with work.house.store.read() as unit:
        work.payment = payments.load(unit, work.payment.id) or work.payment
        work.renewal = renewals.of_payment(unit, work.payment) or work.renewal
    return due


def _finish(work: RenewalInWork) -> None:
    """End a renewal for which nothing is booked: it was free, or the library system keeps no such books."""
    line = work.payment.renewal_line
    if line is None:  # pragma: no cover - a payment with a renewal has its line
        raise LookupError(work.payment.id)
    with work.house.store.unit() as unit:
        posted = chain.read_postings(unit, work.payment.id)
        last = is_last(unit, work.payment)
        waits = (ledger.Book.TO_SETTLE, line.id) in ledger.balances(posted)
        if not last and not waits:
            return
        columns: dict[str, Any] = {"settled_at": unit.now} if last else {}
        work.payment = payments.move(
            unit,
            work.payment,
            "renewal_settled",
            # As with a marker: what was found done may come from a call that was given up long ago.
            to=decide(work.payment.state, Input.MARKER_FOUND).to if last else None,
            postings=ledger.settled([(line.id, line.cents)], posted) if waits else (),
            **columns,
        )
    work.house.world.failpoint("renew.finished")
    if last:  # pragma: no branch - fees go first, so no order is left
        tell_observers(work.house, work.payment)


def _hold(work: RenewalInWork, case: str, facts: dict[str, Any]) -> None:
    """Hold the payment: a person decides whether the card is extended, or its money goes back."""
    known = {"base": work.renewal.base and work.renewal.base.isoformat(), **facts}
    with work.house.store.unit() as unit:
        work.change(unit, state="given_up")
        known["until"] = work.renewal.until.isoformat()
        work.payment = payments.move(unit, work.payment, case, case=case, facts=known)
    work.house.world.failpoint("renew.held")
