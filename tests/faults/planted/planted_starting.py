"""Defects in freezing, claiming and opening the session."""

from __future__ import annotations

import json
from dataclasses import replace

from ils_payment_stripe.provider import StripeProvider
from sqlalchemy import delete

from ils_payment.flows import observe, pay
from ils_payment.model import Started, StartRefused, State, Unclear
from ils_payment.store import attempts, claims, payments, tables
from tests.faults.planted.registry import defect, instead


@defect("two_tabs", "double_click", "two_devices")
def no_claim(patch):
    """Two payments may be open for the same fee."""
    instead(patch, claims, "take", lambda *_args: None)
    instead(patch, claims, "cents", lambda *_args, **_lock: 0)


@defect()
def claim_released_by_our_own_clock(patch):
    """A payment that is two minutes old and not paid lets its fees go, whatever the provider says."""

    def due(original, unit, limit):
        for payment in payments.newest(unit, limit=10):
            if payment.state is State.OPEN and (unit.now - payment.created_at).total_seconds() > 100:
                _OLD.add(payment.id)
        return original(unit, limit)

    def learn(original, house, desk, payment, seen, **more):
        after = original(house, desk, payment, seen, **more)
        if payment.id in _OLD and payment.state is State.OPEN:
            with house.store.unit() as unit:
                unit.connection.execute(delete(tables.claims).where(tables.claims.c.payment_id == payment.id))
        return after

    instead(patch, payments, "due", due)
    instead(patch, observe, "learn", learn)


_OLD: set[str] = set()


@defect("chargeback", "refund_full", "paid_wrong_amount", "ils_deadlock", "fee_paid_at_desk")
def held_payment_lets_its_fees_go(patch):
    """A payment that waits for a person holds its fees no longer."""

    def move(original, unit, payment, what, **more):
        after = original(unit, payment, what, **more)
        if after.held:
            unit.connection.execute(delete(tables.claims).where(tables.claims.c.payment_id == payment.id))
        return after

    instead(patch, payments, "move", move)


@defect()
def claims_never_released(patch):
    """The fees of a payment that has ended stay claimed."""
    instead(patch, claims, "free", lambda *_args: None)


@defect("start_answer_lost", "provider_error", "kill_after_call")
def recomputed_request_under_an_old_key(patch):
    """What was asked of the provider is computed again when it is repeated, instead of taken as stored."""

    def create(original, self, attempt):
        if self._host.now() != attempt.created_at:
            request = json.loads(attempt.request)
            request["expires_at"] = int(self._host.now().timestamp()) + 1900
            attempt = replace(attempt, request=json.dumps(request))
        return original(self, attempt)

    original = StripeProvider._create
    patch.setattr(StripeProvider, "_create", lambda self, attempt: create(original, self, attempt))


@defect("start_answer_lost", "provider_error", "kill_after_call")
def new_key_after_an_unclear_start(patch):
    """A start without an answer is repeated under another key."""
    original = StripeProvider.find

    def find(self, attempt):
        return original(self, replace(attempt, key=f"{attempt.key}2"))

    patch.setattr(StripeProvider, "find", find)


@defect("start_answer_lost", "provider_error")
def unclear_start_counts_as_refused(patch):
    """A start without an answer counts as one that never happened."""
    original = StripeProvider.start

    def start(self, attempt):
        outcome = original(self, attempt)
        return StartRefused(reason=outcome.reason) if isinstance(outcome, Unclear) else outcome

    patch.setattr(StripeProvider, "start", start)


@defect("start_answer_lost", "kill_after_call")
def unclear_start_given_up_unseen(patch):
    """Looking for a session whose start was unclear always finds none."""
    patch.setattr(StripeProvider, "find", lambda _self, _attempt: None)


@defect()
def cancelled_without_asking(patch):
    """Cancelling frees the fees, although the payer can still pay in the session."""

    def cancel(original, house, payment_id):
        with house.store.unit() as unit:
            payment = payments.load(unit, payment_id, lock=True)
            if payment is not None and payment.state is State.OPEN:
                payments.move(unit, payment, "void_final", to=State.VOID, void_reason="cancelled")
        return original(house, payment_id)

    instead(patch, pay, "cancel", cancel)


@defect()
def session_of_a_start_forgotten(patch):
    """The session is not written down when the provider has opened it."""

    def started(original, unit, key, session: Started, _url):
        return original(unit, key, replace(session, session_ref=""), "")

    instead(patch, attempts, "started", started)
