"""Reconcile, the money: a provider account's own list compared with the ledger, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.domain import ledger
from ils_payment.domain.refunds import GONE
from ils_payment.errors import RemoteAbsentError
from ils_payment.flows.advance import take_up
from ils_payment.model import PayState
from ils_payment.ports import Listing
from ils_payment.store import (
    attempts,
    chain,
    payments,
    records,
    refunds,
)
from ils_payment.store import reconciling as rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.flows.comparison import Comparison
    from ils_payment.flows.desk import Desk
    from ils_payment.model import ListedPayment


def listing_of(desk: Desk, name: str) -> Listing | None:
    """Return a provider as one that lists what it took; None where it does not."""
    provider = desk.providers[name]
    return provider if isinstance(provider, Listing) and provider.capabilities().listing else None


def compare_provider(work: Comparison, name: str) -> None:
    """Compare one provider account's own list, where it has one, with the ledger, both ways."""
    provider = listing_of(work.desk, name)
    if provider is None:
        return
    seen: set[str] = set()
    for listed in _listed(work, provider):
        payment_id = _ours(work, name, listed)
        if payment_id is None:
            continue
        seen.add(payment_id)
        _compare(work, payment_id, listed)
    with work.house.store.read() as unit:
        # With a key for real money the provider does not know what was paid in the test before.
        paid = rows.paid_between(
            unit,
            work.desk.key,
            name,
            work.report.since,
            work.report.until,
            live=work.desk.providers[name].capabilities().live,
        )
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
        return payment, sum(one.cents for one in refunds.of_payment(unit, payment_id) if one.state in GONE)


def _not_listed(work: Comparison, name: str, payment_id: str) -> None:
    """Ask about a payment that the ledger has as paid and the list has not: its day may be another."""
    with work.house.store.read() as unit:
        attempt = attempts.latest(unit, payment_id)
        payment = payments.load(unit, payment_id)
    if payment is None or attempt is None or not attempt.session_ref:  # pragma: no cover - paid in one
        work.differs("not_at_provider", payment_id, payment_id, {})
        return
    try:
        seen = work.desk.providers[name].read(attempt.session_ref)
    except RemoteAbsentError:
        # One that is gone must not end the comparison of all others.
        facts = {"provider_says": "absent", "ledger": payment.captured}
        work.differs("not_at_provider", f"{payment_id}:absent", payment_id, facts)
        return
    if seen.state is not PayState.PAID or seen.captured != payment.captured:
        facts = {"provider_says": str(seen.state), "captured": seen.captured, "ledger": payment.captured}
        work.differs("not_at_provider", f"{payment_id}:{seen.state}:{seen.captured}", payment_id, facts)
    else:
        work.report.count("provider_agrees")
