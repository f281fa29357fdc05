"""Reading back: what came of a settle call, asked of the library system itself.

A marker counts only once, with the same cents and nothing left unapplied; the fees must be closed,
the balance not below zero, and no foreign credit may have come between. Anything else is a case.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ils_payment.domain import settling
from ils_payment.errors import RemoteAbsentError
from ils_payment.flows.work import applied, hold, quarantine, step
from ils_payment.model import Input, State
from ils_payment.store import orders, patrons

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.domain.settling import Before
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.flows.work import Work
    from ils_payment.model import Applied, Credit

MAX_UNCLEAR = 3
"""One call and at most two repetitions after unclear answers; then a person looks."""


def look_back(work: Work) -> tuple[datetime | None, bool]:
    """Before a repeated try: say (when to come back, whether calling again is right)."""
    doubtful = [one for one in work.order.tries if one.outcome != "not_applied"]
    readable = work.desk.reads_markers
    if readable:
        there = work.desk.system.find_credits(work.patron, work.order.marker)
        if there:
            _found(work, there)
            return None, False
    if not doubtful:
        return None, True
    last = doubtful[-1]
    if work.payment.state is State.SETTLING:
        # A try without a result: whoever made the call crashed before it knew.
        step(work, Input.UNCLEAR, facts={"reason": last.reason or "no result was recorded"})
    if work.now < last.started_at + quarantine(work.desk):
        return next_look(work), False
    problem = _why_not_again(work, last.outcome, readable=readable)
    if problem is not None:
        hold(work, "unclear", {"reason": problem})
        return None, False
    return None, True


def _why_not_again(work: Work, last_outcome: str | None, *, readable: bool) -> str | None:
    """Say after the quarantine why the same credit must not be written again; None: it is surely absent."""
    if not readable:
        return "the marker cannot be read back"
    if last_outcome == "applied":
        return "it was confirmed, but its marker is not there"
    if sum(one.unclear for one in work.order.tries) >= MAX_UNCLEAR:
        return "it stayed unclear after repetitions"
    if not read_path_is_fresh(work.house, work.desk):
        return "nothing proves that an absent marker would be seen"
    return None


def next_look(work: Work) -> datetime:
    """Look for the marker soon, then less often, and at the end of the quarantine."""
    work.reread_order()
    started = work.order.tries[-1].started_at
    end = started + quarantine(work.desk)
    soon = work.now + max((work.now - started) / 2, timedelta(seconds=5))
    return min(soon, end) if end > work.now else soon


def read_path_is_fresh(house: House, desk: Desk) -> bool:
    """Prove that an absent marker would be seen: the newest one that we confirmed is readable."""
    with house.store.read() as unit:
        newest = orders.newest_confirmed(unit, desk.key)
        ref = patrons.patron_ref(unit, newest[0], desk.patrons) if newest else None
    if newest is None or ref is None:
        return False
    try:
        return bool(desk.system.find_credits(ref, newest[1]))
    except RemoteAbsentError:
        # The patron of that marker is gone; this says nothing about the patron at hand.
        return False


def earlier_is_there(work: Work) -> bool:
    """Before an order that a person let begin anew: hold if an earlier credit for its lines is there.

    A credit for other lines is none of its business: a person may have called that one booked.
    """
    with work.house.store.read() as unit:
        known = orders.of_payment(unit, work.payment.id)
    doubtful = [
        one
        for one in known
        if one.state == "given_up"
        and any(a_try.outcome != "not_applied" for a_try in one.tries)
        and set(one.line_ids) & set(work.order.line_ids)
    ]
    if not work.desk.reads_markers:
        return False
    for earlier in doubtful:
        there = work.desk.system.find_credits(work.patron, earlier.marker)
        if there:
            hold(work, "marker_wrong", {"earlier": earlier.marker, "credit": there[0].remote_ref})
            return True
    return False


def _found(work: Work, there: Sequence[Credit]) -> None:
    """Take a marker that is already there, with the same proof as after a call that answered."""
    one = there[0]
    if len(there) > 1 or one.cents != work.order.cents or one.unapplied:
        facts = {"credits": len(there), "cents": one.cents, "unapplied": one.unapplied}
        hold(work, "marker_wrong", facts)
        return
    wrong = _what_is_wrong(work, _before(work, one))
    if wrong:
        hold(work, "read_back", {"wrong": wrong, "credit": one.remote_ref})
        return
    applied(work, Input.MARKER_FOUND, one.remote_ref)


def _before(work: Work, credit: Credit) -> Before:
    """Return what the account said before the try that made *credit*: the last one that began before it."""
    snapshots = [one.before for one in work.order.tries]
    earlier = [s for s in snapshots if credit.at is None or s.read_at.replace(microsecond=0) <= credit.at]
    return earlier[-1] if earlier else snapshots[0]


def read_back(work: Work, outcome: Applied) -> None:
    """Read afterwards what the call did; anything but exactly that is a case."""
    if outcome.unapplied or outcome.applied != work.order.cents:
        wrong: str | None = "not all of the credit was used for fees"
    else:
        # Where the account opens only with the patron's PIN, the answer to the call is all there is.
        looks = work.desk.system.capabilities().unattended_read
        wrong = _what_is_wrong(work, work.order.tries[-1].before) if looks else None
    if wrong:
        hold(work, "read_back", {"wrong": wrong, "credit": outcome.remote_ref})
        return
    applied(work, Input.APPLIED, outcome.remote_ref)


def _what_is_wrong(work: Work, before: Before) -> str | None:
    """Compare the account and its newest credits with what was ordered."""
    after = work.desk.account(work.patron)
    wrong = settling.wrong_in_account(work.lines, before, after)
    if wrong is not None or not work.desk.system.capabilities().credit_list:
        return wrong
    recent = work.desk.system.recent_credits(work.patron, before.read_at)
    with work.house.store.read() as unit:
        ours = orders.markers_of_patron(unit, work.payment.patron_id)
    return settling.wrong_in_credits(work.order.marker, work.order.cents, before, after, recent, ours)
