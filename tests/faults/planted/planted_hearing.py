"""Defects in what is believed of webhooks, return pages and the provider's answers."""

from __future__ import annotations

import itertools
from dataclasses import replace

from ils_payment_stripe import webhook

from ils_payment.domain import ledger, states
from ils_payment.domain.states import Move
from ils_payment.flows import advance, observe
from ils_payment.flows.house import House
from ils_payment.model import Input, PayState, State
from ils_payment.store import attempts, intake, payments
from ils_payment.web.intake import Intake, Outcome
from tests.faults.planted.registry import defect, instead


@defect("webhook_duplicated")
def no_dedupe_of_notices(patch):
    """A notice that comes again is stored as another one."""
    count = itertools.count()

    def row(original, library, provider, notice):
        return original(library, provider, replace(notice, key=f"{notice.key}_{next(count)}"))

    instead(patch, intake, "row", row)


@defect("webhook_forged", "webhook_mangled")
def forged_webhook_stored(patch):
    """The signature of a webhook is not looked at."""
    patch.setattr(webhook, "_verify", lambda *_args: None)


@defect("lock_timeout", "disk_full", "read_only", "commit_lost_before")
def webhook_acknowledged_before_the_commit(patch):
    """A webhook is answered with 200 although the database has not taken it."""

    def write(original, self, batch):
        original(self, batch)
        return [Outcome.STORED] * len(batch)

    original = Intake._write
    patch.setattr(Intake, "_write", lambda self, batch: write(original, self, batch))


@defect()
def trusting_the_notice(patch):
    """A notice that says "completed" counts as paid, without reading the provider."""

    def take_notices(original, house, limit=500):
        with house.store.unit() as unit:
            for notice in attempts.new_notices(unit, limit):
                found = attempts.payment_of(unit, notice)
                payment = payments.load(unit, found, lock=True) if found else None
                if payment and payment.state is State.OPEN and notice.kind == "checkout.session.completed":
                    _believe(unit, payment)
        return original(house, limit)

    instead(patch, advance, "take_notices", take_notices)


def _believe(unit, payment):
    payments.move(
        unit,
        payment,
        "paid_right",
        to=State.PAID,
        postings=ledger.paid(payment.amounts()),
        captured=payment.cents,
        paid_at=unit.now,
    )


@defect()
def paid_by_redirect_alone(patch):
    """Whoever comes back from the provider's page has paid."""

    def make_due(original, self, payment_id):
        with self.store.unit() as unit:
            payment = payments.load(unit, payment_id, lock=True)
            if payment and payment.state is State.OPEN:
                _believe(unit, payment)
        return original(self, payment_id)

    original = House.make_due
    patch.setattr(House, "make_due", lambda self, payment_id: make_due(original, self, payment_id))


def _seen(patch, change):
    """Let the core see *change* of each observation instead of what was read."""

    def compare(original, desk, payment, seen):
        return original(desk, payment, change(seen, payment))

    instead(patch, observe, "_compare", compare)


@defect("paid_wrong_amount")
def any_amount_is_right(patch):
    """The captured amount is not compared with the payment's."""
    _seen(patch, lambda seen, payment: replace(seen, captured=payment.cents))


@defect("paid_wrong_currency")
def any_currency_is_right(patch):
    """The captured currency is not compared with the payment's."""
    _seen(patch, lambda seen, payment: replace(seen, currency=payment.currency))


@defect()
def any_reference_is_right(patch):
    """A session counts whosever payment it belongs to."""
    _seen(patch, lambda seen, payment: replace(seen, reference=payment.id))


@defect()
def any_mode_is_right(patch):
    """Whether money is real or play money is not compared."""
    _seen(patch, lambda seen, payment: replace(seen, live=payment.live))


@defect()
def pending_treated_as_paid(patch):
    """What the payer's bank has not decided counts as paid."""
    _seen(
        patch,
        lambda seen, payment: (
            replace(seen, state=PayState.PAID, captured=payment.cents)
            if seen.state is PayState.PENDING
            else seen
        ),
    )


@defect()
def void_without_final(patch):
    """A session that is open, and whose payer has not come back, counts as over."""
    _seen(
        patch,
        lambda seen, _payment: (
            replace(seen, state=PayState.VOID, final=True) if seen.state is PayState.OPEN else seen
        ),
    )


@defect("paid_after_end")
def expired_session_forgotten(patch):
    """Money that comes for a session that was given up is not seen."""
    for what in (Input.PAID_RIGHT, Input.PAID_WRONG):
        patch.setitem(states.TABLE, (State.VOID, what), Move())


@defect("webhook_never", "webhook_former_secret")
def sweep_that_stops(patch):
    """An open session is not read again by itself."""
    instead(patch, observe, "next_look", lambda _original, _house, _payment: None)
    instead(patch, payments, "release", _never_due)


def _never_due(original, unit, payment, due_at):
    return original(unit, payment, None if payment.state is State.OPEN else due_at)


@defect()
def paid_twice_into_the_books(patch):
    """Seeing again that a payment is paid books it again."""
    patch.setitem(states.TABLE, (State.PAID, Input.PAID_RIGHT), Move(State.PAID))
    patch.setitem(states.TABLE, (State.SETTLED, Input.PAID_RIGHT), Move(State.PAID))


@defect("refund_full", "refund_partial", "chargeback", "chargeback_won")
def settle_after_a_refund_at_the_provider(patch):
    """Money that went back at the provider is not looked for."""
    instead(patch, observe, "learn", lambda original, *args, **more: _without_reversals(original, args, more))


def _without_reversals(original, args, more):
    house, desk, payment, seen = args
    return original(house, desk, payment, replace(seen, reversals=()), **more)
