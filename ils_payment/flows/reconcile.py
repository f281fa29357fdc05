"""Reconcile: provider's list <-> ledger <-> markers in the library system, for one library and some days.

What differs is a case, each difference once for ever; money is never corrected by itself. A payment
that the provider took and the ledger has not noticed is read again first, like after a notice: that
is looking, not correcting. A question that was not answered makes the report incomplete, never clean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.domain import ledger
from ils_payment.domain.refunds import RefundState
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows.advance import take_up
from ils_payment.flows.reconcile_cards import cards
from ils_payment.flows.work import quarantine
from ils_payment.model import MarkerSupport, PayState
from ils_payment.ports import Listing
from ils_payment.store import (
    attempts,
    cases,
    chain,
    installation,
    journal,
    orders,
    patrons,
    payments,
    records,
    refunds,
)
from ils_payment.store import reconciling as rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ils_payment.flows.house import Desk, House
    from ils_payment.model import Actor, Credit, ListedPayment, PatronRef

log = structlog.get_logger(__name__)

MARGIN = timedelta(hours=1)
"""What was paid just now may still be on its way from the provider into the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that does not fit. ``new``: a case was opened for it now, not earlier."""

    kind: str
    subject: str
    payment_id: str | None
    facts: dict[str, Any]
    new: bool


@dataclass(slots=True)
class Report:
    """What one reconciliation compared and found.

    ``gaps`` name what could not be compared this time, ``beyond`` what a program can never compare here,
    because a provider or the library system shows no lists: a person has to.
    """

    library: str
    since: datetime
    until: datetime
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    def count(self, what: str) -> None:
        """Count one thing that was compared."""
        self.counts[what] = self.counts.get(what, 0) + 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the steps of one reconciliation share."""

    house: House
    desk: Desk
    report: Report

    def differs(self, kind: str, subject: str, payment_id: str | None, facts: dict[str, Any]) -> None:
        """Open a case for a difference, unless there was one for just this before."""
        with self.house.store.unit() as unit:
            # What no payment here belongs to is one case for all libraries that share an account.
            known = rows.case_known(unit, self.desk.key if payment_id else None, kind, subject)
            if known:
                pass
            elif payment_id is None:
                cases.open_case(unit, self.desk.key, None, kind, facts, subject)
            else:
                payments.hold_late(unit, payment_id, kind, facts, what="reconciled", subject=subject)
        self.house.world.failpoint("reconcile.case")
        found = Difference(kind=kind, subject=subject, payment_id=payment_id, facts=facts, new=not known)
        self.report.differences.append(found)


def reconcile(house: House, desk: Desk, since: datetime, until: datetime, actor: Actor) -> Report:
    """Compare one library's books from *since* to *until* (exclusive) with both other sides."""
    report = Report(desk.key, since, until)
    work = Comparison(house, desk, report)
    for name in desk.providers:
        try:
            _provider(work, name)
        except RemoteError as error:
            report.gaps.append(f"provider {name}: {error}")
    _library_system(work)
    with house.store.unit() as unit:
        facts = {
            "since": since.isoformat(),
            "until": until.isoformat(),
            "differences": len(report.differences),
            "new": sum(one.new for one in report.differences),
            "gaps": len(report.gaps),
            "beyond": len(report.beyond),
            **report.counts,
        }
        what = "reconcile_incomplete" if report.gaps else "reconciled"
        journal.append(unit, actor.name, what, facts, desk.key)
    house.world.failpoint("reconcile.done")
    house.wake()
    return report


def begin(house: House, desk: Desk, days: int) -> datetime:
    """Return from when on to compare: *days* before the end of what was compared without a gap so far.

    After a restore: from the backup on, and from the oldest payment that was not at its end then.
    """
    with house.store.read() as unit:
        if installation.is_unreconciled(unit):
            return (rows.unsettled_since(unit, desk.key) or unit.now) - timedelta(days=days)
        covered = rows.first_payment(unit, desk.key) or unit.now
        for row in reversed(journal.newest(unit, what="reconciled", library=desk.key, limit=1000)):
            since, until = (datetime.fromisoformat(row["facts"][key]) for key in ("since", "until"))
            if since <= covered:
                covered = max(covered, until)
    return covered - timedelta(days=days)


def release(house: House, reports: Sequence[Report], actor: Actor, *, by_hand: str = "") -> bool:
    """After a restore: let the program write outside again once every library was compared without a gap.

    A comparison counts only if it begins before anything that the lost ledger may have changed. *by_hand* is
    what a person says of having compared what no program can; it stands in the journal.
    """
    with house.store.read() as unit:
        needed = {key: rows.unsettled_since(unit, key) or unit.now for key in house.libraries}
        restored = journal.last_at(unit, "restore") or journal.last_at(unit, "pause_until_reconciled")
    complete = {
        report.library
        for report in reports
        if not report.gaps
        and (by_hand or not report.beyond)
        and report.since <= needed[report.library]
        and (restored is None or report.until >= restored)
    }
    if complete != set(house.libraries):
        return False
    with house.store.unit() as unit:
        if installation.is_unreconciled(unit):
            installation.set_unreconciled(unit, unreconciled=False)
            facts = {"by_hand": by_hand[:200]} if by_hand else {}
            journal.append(unit, actor.name, "restored_ledger_compared", facts)
    house.wake()
    return True


def is_shut(house: House) -> bool:
    """Tell whether a restored ledger still waits for being compared."""
    with house.store.read() as unit:
        return installation.is_unreconciled(unit)


# Provider <-> ledger


def _provider(work: Comparison, name: str) -> None:
    """Compare one provider account's own list with the ledger, both ways."""
    provider = work.desk.providers[name]
    if not isinstance(provider, Listing) or not provider.capabilities().listing:
        work.report.beyond.append(f"provider {name} cannot list its payments")
        return
    seen: set[str] = set()
    for listed in _listed(work, provider):
        payment_id = _ours(work, name, listed)
        if payment_id is None:
            continue
        seen.add(payment_id)
        _compare(work, payment_id, listed)
    with work.house.store.read() as unit:
        paid = rows.paid_between(unit, work.desk.key, name, work.report.since, work.report.until)
    for payment_id in paid:
        if payment_id not in seen:
            _not_listed(work, name, payment_id)


def _listed(work: Comparison, provider: Listing) -> Iterator[ListedPayment]:
    cursor = None
    while True:
        page = provider.payments(work.report.since, work.report.until, cursor)
        yield from page.payments
        if page.cursor is None:
            return
        cursor = page.cursor


def _ours(work: Comparison, name: str, listed: ListedPayment) -> str | None:
    """Return the payment that *listed* is; a payment of ours that the ledger lacks is a case."""
    work.report.count("listed")
    with work.house.store.read() as unit:
        found = payments.load(unit, listed.reference) if listed.reference else None
        known = found.id if found else attempts.payment_of_money(unit, name, listed.money_ref)
        library = rows.library_of(unit, known) if known else None
    if known is not None:
        # Another library of this installation may share the account: it compares its own.
        return known if library == work.desk.key else None
    if listed.installation != work.house.installation.name:
        work.report.count("foreign")
        return None
    facts = {"at_provider": listed.money_ref, "cents": listed.captured, "currency": listed.currency}
    work.differs("not_in_ledger", f"{name}:{listed.money_ref}", None, facts)
    return None


def _compare(work: Comparison, payment_id: str, listed: ListedPayment) -> None:
    """Compare one payment with its entry in the provider's list, after reading it again if it lags."""
    payment, gone = _now(work, payment_id)
    if payment.captured != listed.captured or gone != listed.reversed:
        # Late money, or a notice that never came: look once more, as a notice would have made us.
        with work.house.store.unit() as unit:
            payments.make_due(unit, payment_id)
        if not take_up(work.house, payment_id):
            # A worker has it in hands: what it learns now is compared the next time.
            work.report.count("in_progress")
            return
        payment, gone = _now(work, payment_id)
    facts = {"at_provider": listed.money_ref, "listed": listed.captured, "ledger": payment.captured}
    if payment.captured != listed.captured or _currency(work, payment) != listed.currency:
        work.differs("other_amount", f"{payment_id}:{listed.captured}{listed.currency}", payment_id, facts)
    elif gone != listed.reversed:
        facts = {"at_provider": listed.money_ref, "listed": listed.reversed, "ledger": gone}
        work.differs("other_reversals", f"{payment_id}:{listed.reversed}", payment_id, facts)
    else:
        work.report.count("provider_agrees")


def _currency(work: Comparison, payment: records.Payment) -> str:
    """Return the currency in which the ledger has a payment's money."""
    with work.house.store.read() as unit:
        postings = chain.read_postings(unit, payment.id)
    return ledger.currency_of(postings, {one.line_id for one in postings}) or payment.currency


def _now(work: Comparison, payment_id: str) -> tuple[records.Payment, int]:
    """Return a payment and the cents that have left again at the provider, by the ledger."""
    with work.house.store.read() as unit:
        payment = payments.load(unit, payment_id)
        if payment is None:  # pragma: no cover - payments are never deleted
            raise LookupError(payment_id)
        left = {RefundState.PENDING, RefundState.DONE, RefundState.EXTERNAL}
        return payment, sum(one.cents for one in refunds.of_payment(unit, payment_id) if one.state in left)


def _not_listed(work: Comparison, name: str, payment_id: str) -> None:
    """Ask about a payment that the ledger has as paid and the list has not: its day may be another."""
    with work.house.store.read() as unit:
        attempt = attempts.latest(unit, payment_id)
        payment = payments.load(unit, payment_id)
    if payment is None or attempt is None or not attempt.session_ref:  # pragma: no cover - paid in one
        work.differs("not_at_provider", payment_id, payment_id, {})
        return
    seen = work.desk.providers[name].read(attempt.session_ref)
    if seen.state is not PayState.PAID or seen.captured != payment.captured:
        facts = {"provider_says": str(seen.state), "captured": seen.captured, "ledger": payment.captured}
        work.differs("not_at_provider", f"{payment_id}:{seen.state}:{seen.captured}", payment_id, facts)
    else:
        work.report.count("provider_agrees")


# Ledger <-> library system


def _library_system(work: Comparison) -> None:
    """Compare the markers in the accounts of the patrons that paid with the credit orders, both ways."""
    can = work.desk.system.capabilities()
    if can.marker is not MarkerSupport.READABLE or not can.unattended_read:
        work.report.beyond.append("the library system's markers cannot be read")
        return
    with work.house.store.read() as unit:
        people = rows.patrons_between(unit, work.desk.key, work.report.since, work.report.until)
        erased = [one for one in people if patrons.patron_ref(unit, one) is None]
    for _ in erased:
        work.report.count("patrons_erased")
    for patron_id in people:
        with work.house.store.read() as unit:
            ref = patrons.patron_ref(unit, patron_id)
        if ref is None:
            continue
        work.report.count("patrons")
        try:
            _patron(work, patron_id, ref)
        except RemoteAbsentError:
            # A patron who was deleted takes the account along: nothing is left to compare.
            work.report.count("patrons_gone")
        except RemoteError as error:
            work.report.gaps.append(f"a patron's account: {error}")


def _patron(work: Comparison, patron_id: str, ref: PatronRef) -> None:
    """Compare one patron's marked credits and counter-debits with the orders."""
    with work.house.store.read() as unit:
        known = rows.orders_of_patron(unit, patron_id, work.desk.key)
        charges = rows.charges_of_patron(unit, patron_id, work.desk.key)
    in_account: list[Credit] = []
    if work.desk.system.capabilities().credit_list:
        since = min([work.report.since, *(one.tries[0].started_at for one in known if one.tries)])
        in_account = [one for one in work.desk.system.recent_credits(ref, since - MARGIN) if one.marker]
        markers = {order.marker for order in known}
        for credit in in_account:
            if credit.marker not in markers:
                _orphan(work, patron_id, credit)
    for order in known:
        _order(work, ref, order)
    for refund in charges:
        _charge(work, ref, refund)
    cards(work, patron_id, ref)


def _orphan(work: Comparison, patron_id: str, credit: Credit) -> None:
    """Look at a credit whose marker belongs to no order of this patron that was known a moment ago."""
    marker = str(credit.marker)
    with work.house.store.read() as unit:
        order = orders.by_marker(unit, marker)
        payment_id = order.payment_id if order else payments.id_of_number(unit, marker)
        library = rows.library_of(unit, payment_id) if payment_id else None
    if library not in {None, work.desk.key}:
        # Another library of this installation shares the library system.
        return
    if order is not None and order.patron_id == patron_id:
        # It was ordered just now.
        return
    facts = {"marker": marker, "credit": credit.remote_ref, "cents": credit.cents}
    work.differs("orphan_marker", f"{marker}:{credit.remote_ref}", payment_id, facts)


def _order(work: Comparison, ref: PatronRef, read_before: records.Order) -> None:
    """Compare one credit order with what carries its marker; its tries are read after the account."""
    there = work.desk.system.find_credits(ref, read_before.marker)
    with work.house.store.read() as unit:
        order = orders.by_marker(unit, read_before.marker) or read_before
        payment = payments.load(unit, order.payment_id)
        # A person who has this payment on the list knows of its credits.
        known = rows.has_open_case(unit, order.payment_id)
    if payment is None:  # pragma: no cover - a foreign key says otherwise
        return
    running = payment.state in PAID_UNSETTLED and not payment.held
    last = order.tries[-1].started_at if order.tries else None
    recent = last is not None and work.house.world.now() < last + quarantine(work.desk)
    if order.state != "applied" and last is not None and (running or recent):
        work.report.count("in_progress")
        return
    facts = {
        "marker": order.marker,
        "order": order.cents,
        "found": len(there),
        "cents": sum(one.cents for one in there),
        "unapplied": sum(one.unapplied for one in there),
    }
    subject = f"{order.marker}:{len(there)}:{facts['cents']}"
    if order.state == "applied":
        if not there:
            work.differs("marker_missing", subject, order.payment_id, facts)
        elif len(there) > 1:
            work.differs("marker_twice", subject, order.payment_id, facts)
        elif there[0].cents != order.cents:
            work.differs("marker_other_amount", subject, order.payment_id, facts)
        else:
            work.report.count("library_agrees")
    elif there and not known:
        work.differs("marker_unexpected", subject, order.payment_id, facts)
    else:
        work.report.count("library_agrees")


def _charge(work: Comparison, ref: PatronRef, refund: records.Refund) -> None:
    """Compare one counter-debit with what carries its marker."""
    system = work.desk.charging
    if system is None:
        return
    there = system.find_charges(ref, str(refund.charge_marker))
    right = [one.cents for one in there] == [refund.charge_cents]
    unexpected = bool(there) and refund.charge_state not in {"due", "tried", "done"}
    if unexpected or (refund.charge_state == "done" and not right):
        facts = {"marker": refund.charge_marker, "found": len(there), "cents": refund.charge_cents}
        subject = f"{refund.charge_marker}:{len(there)}"
        work.differs("charge_differs", subject, refund.payment_id, facts)
    else:
        work.report.count("library_agrees")
