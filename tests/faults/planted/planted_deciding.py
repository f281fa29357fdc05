"""Defects in what people decide: refunds, counter-debits, cases, comparisons, exports, restored ledgers."""

from __future__ import annotations

import itertools

from ils_payment_koha.adapter import KohaSystem
from ils_payment_stripe.provider import StripeProvider

from ils_payment.domain import refunds as rules
from ils_payment.flows import comparison, decide, deciding, refund, reversals
from ils_payment.model import RefundOrder
from ils_payment.store import cases, installation
from tests.faults.planted.registry import defect, instead

ASKED = ("refund_asked", "clerk_decides")


@defect(*ASKED)
def second_person_not_needed(patch):
    """A refund goes out as soon as one person has asked for it."""
    patch.setattr(deciding, "needs_second_person", lambda *_args: False)


@defect(*ASKED)
def refund_without_reserve(patch):
    """A refund that was asked for reserves nothing in the ledger."""
    instead(patch, rules, "reserve", lambda *_args: [])


@defect(*ASKED)
def refund_above_the_rest(patch):
    """A refund may be a cent more than is left."""

    def choose(original, postings, lines):
        return [(line, book, cents + 1) for line, book, cents in original(postings, lines)]

    instead(patch, rules, "choose", choose)


@defect(*ASKED)
def refund_under_another_key_each_time(patch):
    """A refund that is repeated is a new one to the provider."""
    count = itertools.count()

    def order(**facts):
        return RefundOrder(**{**facts, "key": f"{facts['key']}{next(count)}"})

    patch.setattr(refund, "RefundOrder", order)


@defect("refund_keys_forgotten")
def refund_not_looked_for_before_repeating(patch):
    """A refund without an answer is repeated without a look at the provider's list."""
    patch.setattr(StripeProvider, "find_refunds", lambda _self, _session: ())


@defect("decided_while_unclear")
def refund_without_waiting_for_settling(patch):
    """Money is given back while a settle call may still take effect."""
    patch.setattr(refund, "_wait_for_settling", lambda *_args: None)
    for asked in (decide, deciding):
        patch.setattr(asked, "may_still_settle", lambda *_args: False)


@defect(*ASKED)
def refund_never_returned_in_the_books(patch):
    """A refund that has left stays reserved in the ledger."""
    instead(patch, rules, "returned", lambda *_args: [])


@defect(*ASKED)
def counter_debit_forgotten(patch):
    """A fee that stays is not charged again after its refund."""
    patch.setattr(refund, "charge", lambda *_args: None)


@defect("charge_answer_lost", "charge_applied_late")
def counter_debit_not_looked_for(patch):
    """A counter-debit without an answer is charged again without a look."""
    patch.setattr(KohaSystem, "find_charges", lambda _self, _patron, _marker: [])


@defect("clerk_stale", "clerks_at_once")
def case_decided_twice(patch):
    """A decision counts whatever version of the case the person has seen."""

    def resolve(original, house, actor, case_id, _version, decision):
        with house.store.read() as unit:
            case = cases.load(unit, case_id)
        return original(house, actor, case_id, case.version if case else 0, decision)

    instead(patch, decide, "resolve", resolve)


@defect("clerk_decides")
def case_stays_open_when_decided(patch):
    """A decision moves the money and leaves its case open."""
    instead(patch, cases, "change", lambda original, unit, case, **_more: original(unit, case))


@defect("refund_full", "refund_partial", "chargeback")
def reversal_at_the_provider_not_booked(patch):
    """Money that went back at the provider alone is not taken out of the books."""
    patch.setattr(reversals, "take", lambda _unit, payment, _seen: payment)


@defect("refund_full", "refund_partial", "chargeback")
def reversal_without_a_case(patch):
    """Money that went back at the provider alone is booked, and nobody is told."""

    def external(original, unit, payment, reversal, known):
        after = original(unit, payment, reversal, known)
        unit.connection.exec_driver_sql(
            "DELETE FROM cases WHERE payment_id = ? AND kind IN ('reversed', 'chargeback')", (payment.id,)
        )
        return after

    instead(patch, reversals, "_external", external)


@defect("backup_restored")
def settle_right_after_a_restore(patch):
    """A ledger that was put back writes outside before it was compared."""
    patch.setattr(installation, "is_unreconciled", lambda _unit: False)


@defect("backup_restored")
def comparison_that_says_nothing(patch):
    """What comparing the books finds opens no case."""
    patch.setattr(comparison.Comparison, "differs", lambda *_args: None)
