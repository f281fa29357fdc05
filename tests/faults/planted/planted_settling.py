"""Defects in the settle protocol before and around the one call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ils_payment.flows import advance, readback, settle, work
from ils_payment.flows.work import Work
from ils_payment.model import CreditOrder, NotApplied, OrderLine, Unclear
from ils_payment.store import orders, patrons
from tests.faults.planted.registry import defect, instead

UNCLEAR = ("ils_lost_applied", "ils_applied_late", "ils_error_after", "kill_after_call", "ils_deadlock")


@defect(*UNCLEAR)
def no_read_first(patch):
    """A repeated try does not look whether the credit is there already."""
    patch.setattr(settle, "look_back", lambda _work: (None, True))


@defect("fee_paid_at_desk", "fee_waived")
def fees_not_compared(patch):
    """Whether the fees are still open is not looked at before they are settled."""
    patch.setattr(settle, "stand", lambda _lines, _before, **_more: True)


@defect("fee_waived", "fee_paid_at_desk", "credit_appears")
def open_credit_ignored(patch):
    """A balance that other credit has brought below the fees does not keep them from being settled."""

    def stand(original, lines, before, *, partial):
        owed = sum(line.cents for line in lines)
        return original(lines, replace(before, balance=max(before.balance, owed)), partial=partial)

    instead(patch, settle, "stand", stand)


def _quarantine(patch, span):
    for module in (settle, work, readback):
        patch.setattr(module, "quarantine", lambda _desk: span)


@defect("ils_applied_late")
def quarantine_0(patch):
    """An unclear call is repeated as soon as its credit is not to be seen."""
    _quarantine(patch, timedelta(0))


@defect("ils_applied_late")
def quarantine_of_a_minute(patch):
    """The quarantine is shorter than a call may take to be booked."""
    _quarantine(patch, timedelta(seconds=60))


@defect("unclear_twice")
def quarantine_from_the_first_try(patch):
    """The quarantine is counted from the first try, not from the last one."""

    def look_back(original, one):
        order = one.order
        first = order.tries[0].started_at
        one.order = replace(order, tries=tuple(replace(t, started_at=first) for t in order.tries))
        try:
            return original(one)
        finally:
            one.order = order

    instead(patch, settle, "look_back", look_back)


@defect("ils_applied_late", "ils_lost_applied", "ils_error_after")
def blind_repost_after_unclear(patch):
    """An unclear answer counts as "not applied", and the marker is not looked for."""

    def record(original, one, outcome):
        return original(one, NotApplied(reason="?") if isinstance(outcome, Unclear) else outcome)

    instead(patch, settle, "_record", record)
    patch.setattr(settle, "look_back", lambda _work: (None, True))


@defect("ils_lost_not_applied")
def repeated_for_ever(patch):
    """An unclear call is repeated more often than twice."""
    patch.setattr(readback, "MAX_UNCLEAR", 1_000)


@defect("stall")
def send_before_ignored(patch):
    """A call is made however long ago it was written down."""
    patch.setattr(settle, "SEND_WITHIN", timedelta(days=30))


@defect()
def settle_while_held(patch):
    """A payment that waits for a person is settled all the same."""

    def in_hands(original, house, payment_id, do):
        return original(house, payment_id, lambda payment: do(replace(payment, held=False)))

    instead(patch, advance, "in_hands", in_hands)
    original = settle.settle
    patch.setattr(
        advance, "settle", lambda house, desk, payment: original(house, desk, replace(payment, held=False))
    )


@defect()
def two_settle_orders_of_a_patron_at_once(patch):
    """Two payments of one patron are settled at the same time."""

    def begin_try(original, unit, order, fence, before):
        begun = original(unit, order, fence, before)
        orders.set_state(unit, order, "due")
        return begun

    instead(patch, orders, "begin_try", begin_try)
    instead(patch, patrons, "lease", lambda *_args: True)


@defect()
def patron_lease_skipped(patch):
    """A patron's account is read and written without being taken."""
    instead(patch, patrons, "lease", lambda *_args: True)


_MARKERS: dict[str, str] = {}


@defect()
def marker_reused(patch):
    """All credits of a patron carry the marker of the first one."""
    _MARKERS.clear()

    def order(**facts):
        first = _MARKERS.setdefault(f"{facts['patron']}", facts["marker"])
        return CreditOrder(**{**facts, "marker": first})

    patch.setattr(settle, "CreditOrder", order)


@defect()
def line_of_another_fee(patch):
    """A credit names the line after the one that was paid."""

    def lines(original, self):
        return tuple(
            OrderLine(ref=str(int(one.ref) + 1), claim_key=one.claim_key, cents=one.cents, kind=one.kind)
            for one in original.fget(self)
        )

    original = Work.lines
    patch.setattr(Work, "lines", property(lambda self: lines(original, self)))


@defect("mail_down")
def mail_server_stops_money(patch):
    """A payment is not settled while no mail can be sent."""

    def do_settle(original, house, desk, payment):
        house.world.send_mail("team@lindental.example", "a payment", "is being settled")
        return original(house, desk, payment)

    instead(patch, advance, "settle", do_settle)
