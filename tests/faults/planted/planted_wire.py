"""Defects in the plugins: what is sent to Koha and Stripe, and how their answers are sorted."""

from __future__ import annotations

import json
from dataclasses import replace

from ils_payment_koha import client, settling, wire
from ils_payment_koha.client import KohaClient
from ils_payment_koha.settling import Verdict
from ils_payment_stripe import wire as stripe_wire

from ils_payment.errors import RemoteError
from ils_payment.model import Applied
from tests.faults.planted.registry import defect, instead


def _row(patch, verdict, *statuses):
    """Let Koha's answers with *statuses* mean *verdict*."""
    rows = tuple(
        replace(row, verdict=verdict) if row.status in statuses else row for row in settling.OUTCOMES
    )
    patch.setattr(settling, "OUTCOMES", rows)


@defect("ils_applied_late")
def not_applied_for_every_500(patch):
    """An error of Koha's, or of the web server before it, counts as "nothing was booked"."""
    _row(patch, Verdict.NOT_APPLIED, 500, 502, 503, 504)


@defect("ils_applied_late")
def lost_answer_counts_as_not_sent(patch):
    """Any broken connection counts as one that never was."""
    patch.setattr(client, "never_sent", lambda _error: True)


@defect("ils_lost_applied", "ils_applied_late")
def settle_call_repeated_by_the_transport(patch):
    """The transport sends the settle call again when no answer came."""

    def write(original, self, *call):
        try:
            return original(self, *call)
        except RemoteError:
            return original(self, *call)

    original = KohaClient.write
    patch.setattr(KohaClient, "write", lambda self, *call: write(original, self, *call))


@defect("ils_answer_garbled")
def applied_for_a_garbled_201(patch):
    """A 201 that cannot be read counts as a booked credit."""

    def booked(_original, body, order):
        found = body if isinstance(body, dict) else {}
        return Applied(remote_ref=str(found.get("account_line_id", "?")), applied=order.cents, unapplied=0)

    instead(patch, settling, "_booked", booked)


@defect()
def account_total_instead_of_lines(patch):
    """The credit names no lines: Koha uses it for the oldest fees."""

    def text(original, order, **more):
        fields = json.loads(original(order, **more), parse_float=str)
        fields["account_lines_ids"] = []
        amount = fields.pop("amount")
        return f'{{"amount": {amount}, {json.dumps(fields)[1:]}'

    instead(patch, settling, "credit_text", text)


@defect()
def cents_lost_in_floats(patch):
    """Koha's amounts are turned into cents by way of floating point, and cut off."""

    def cents_of(original, value, currency):
        return int(float(value) * 100) if value is not None else original(value, currency)

    original = wire.cents_of
    patch.setattr(wire, "cents_of", lambda value, currency: cents_of(original, value, currency))


@defect()
def rounded_to_ten_cents(patch):
    """The amount of a credit is rounded to ten cents."""

    def text(original, order, **more):
        return original(replace(order, cents=order.cents // 10 * 10), **more)

    instead(patch, settling, "credit_text", text)


@defect("paid_after_end")
def expired_session_reads_as_void_for_ever(patch):
    """A session that has expired counts as unpaid, whatever its money says."""
    from ils_payment.model import PayState

    def observation(original, session, disputes=()):
        seen = original(session, disputes)
        if session.get("status") != "expired":
            return seen
        return replace(seen, state=PayState.VOID, captured=0, final=True, reversals=())

    instead(patch, stripe_wire, "observation", observation)


@defect()
def marker_left_out_of_the_note(patch):
    """Koha gets no marker with the credit."""
    instead(
        patch, settling, "credit_text", lambda original, order, **more: _without_note(original, order, more)
    )


def _without_note(original, order, more):
    return original(order, **more).replace(f'"note": "{order.marker}"', '"note": ""')
