"""What has been recorded, for pages, API and command line; reads our own ledger only."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ils_payment.domain import marker
from ils_payment.domain import refunds as rules
from ils_payment.domain.states import UNPAID
from ils_payment.flows import tariffs
from ils_payment.flows.views import CaseView, PaidLine, PaymentView, RefundView, RenewalView, Whereabouts
from ils_payment.model import WHOLE_ACCOUNT, State
from ils_payment.store import (
    attempts,
    cases,
    chain,
    claims,
    orders,
    patrons,
    payments,
    reasons,
    refunds,
    renewals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import LocalText, PatronRef
    from ils_payment.store.records import Case, Payment, Refund
    from ils_payment.store.unit import Unit

_RECENTLY = timedelta(hours=6)
"""For so long "back" in the browser may lead to a payment for the whole account."""


def payment(house: House, payment_id: str) -> PaymentView | None:
    """Return one payment, None when there is none with this id."""
    with house.store.read() as unit:
        found = payments.load(unit, payment_id)
        return _view(house, unit, found) if found else None


def named(house: House, name: str) -> PaymentView | None:
    """Return the payment with the id *name*, or with the number *name* as somebody read it out."""
    with house.store.read() as unit:
        found = payments.id_of_number(unit, marker.tidy(name))
    return payment(house, found or name)


def history(house: House, desk: Desk, patron: PatronRef) -> tuple[PaymentView, ...]:
    """Return the patron's payments in this library, the newest first."""
    with house.store.read() as unit:
        known = patrons.known_id(unit, desk.patrons, patron)
        if known is None:
            return ()
        return tuple(_view(house, unit, found) for found in payments.of_patron(unit, known, desk.key))


def paid_with(
    house: House,
    desk: Desk,
    patron: PatronRef,
    keys: Iterable[str],
    until: date | None = None,
    *,
    cents: int | None = None,
) -> str | None:
    """Return the id of the patron's newest payment here, void ones apart, that has one of these fees.

    One that renews the card *until* this day is named as well. The fee that stands for a whole account comes
    back, so it names a payment of the last hours only, and with *cents* only one of that sum.
    """
    wanted = set(keys)
    with house.store.read() as unit:
        known = patrons.known_id(unit, desk.patrons, patron)
        for found in payments.of_patron(unit, known, desk.key) if known else ():
            if found.state is State.VOID:
                continue
            sold = renewals.of_payment(unit, found) if until else None
            recent = house.world.now() - found.created_at < _RECENTLY and cents in {None, found.cents}
            theirs = {line.claim_key for line in found.lines if recent or line.claim_key != WHOLE_ACCOUNT}
            if (sold and sold.until == until) or theirs & wanted:
                return found.id
    return None


def newest(
    house: House, *, library: str | None = None, state: str | None = None, limit: int = 50
) -> tuple[PaymentView, ...]:
    """Return the newest payments, for the command line."""
    with house.store.read() as unit:
        found = payments.newest(unit, library=library, state=state, limit=limit)
        return tuple(_view(house, unit, one) for one in found)


def belongs_to(house: House, desk: Desk, payment_id: str, patron: PatronRef) -> bool:
    """Tell whether a payment is this patron's own, and of this library."""
    with house.store.read() as unit:
        found = payments.load(unit, payment_id)
        if found is None or found.library != desk.key:
            return False
        return patrons.patron_ref(unit, found.patron_id, desk.patrons) == patron


def whereabouts(house: House, payment_id: str) -> Whereabouts:
    """Return where a payment is found in library system and provider; LookupError when there is none."""
    with house.store.read() as unit:
        found = payments.load(unit, payment_id)
        if found is None:
            raise LookupError(payment_id)
        attempt = attempts.latest(unit, payment_id)
        credited = (order.remote_ref for order in orders.of_payment(unit, payment_id))
        system, ref = patrons.met_at(unit, found.patron_id)
        desk = house.libraries.get(found.library)
        if desk is not None and desk.patrons != system:
            # Whoever looked for the id there would find somebody else.
            ref = None
        return Whereabouts(
            library_system=system,
            patron=ref,
            fees=tuple(line.fee_ref for line in found.lines if line.fee_ref),
            credits=tuple(one for one in credited if one),
            session=attempt.session_ref if attempt else None,
        )


def running(house: House, unit: Unit, patron_id: str) -> tuple[PaymentView, ...]:
    """Return the payments that hold fees of a patron."""
    ids = dict.fromkeys(claims.of_patron(unit, patron_id).values())
    found = (payments.load(unit, one) for one in ids)
    return tuple(_view(house, unit, one) for one in found if one)


def case_list(
    house: House, *, open_only: bool = True, library: str | None = None, only_new: bool = False
) -> tuple[CaseView, ...]:
    """Return cases, the oldest first; *only_new*: those of the last 24 hours."""
    with house.store.read() as unit:
        since = unit.now - timedelta(days=1) if only_new else None
        found = cases.listed(unit, open_only=open_only, library=library, since=since)
        return tuple(_case(unit, one) for one in found)


def refunds_of(house: House, payment_id: str) -> tuple[RefundView, ...]:
    """Return the refunds and chargebacks of a payment in order, for staff."""
    with house.store.read() as unit:
        return tuple(_refund_for_staff(unit, one) for one in refunds.of_payment(unit, payment_id))


def refunds_asked(house: House, *, library: str | None = None) -> tuple[RefundView, ...]:
    """Return the refunds that wait for a second person, the oldest first, for staff."""
    with house.store.read() as unit:
        return tuple(_refund_for_staff(unit, one) for one in refunds.asked(unit, library=library))


def refund(house: House, refund_id: str) -> RefundView | None:
    """Return one refund for staff, None when there is none with this id."""
    with house.store.read() as unit:
        found = refunds.load(unit, refund_id)
        return _refund_for_staff(unit, found) if found else None


def line_ids(house: House, payment_id: str) -> tuple[str, ...]:
    """Return the ids of a payment's lines in order, for decisions about some of them."""
    with house.store.read() as unit:
        found = payments.load(unit, payment_id)
        return tuple(line.id for line in found.lines) if found else ()


def _refund_for_staff(unit: Unit, found: Refund) -> RefundView:
    reason, against = (*reasons.of_refund(unit, found.id), None, None)[:2]
    return replace(_refund(unit, found), reason=reason, reason_against=against)


def _refund(unit: Unit, found: Refund) -> RefundView:
    payment = payments.load(unit, found.payment_id)
    if payment is None:  # pragma: no cover - a foreign key says otherwise
        raise LookupError(found.payment_id)
    return RefundView(
        refund_id=found.id,
        payment_id=payment.id,
        library=payment.library,
        number=payment.receipt_number,
        kind=found.kind,
        state=str(found.state),
        meaning=found.meaning,
        cents=found.cents,
        currency=rules.currency(chain.read_postings(unit, payment.id), found.parts) or payment.currency,
        line_ids=tuple(line for line, _, _ in found.parts if line is not None),
        asked_by=found.asked_by,
        asked_at=found.asked_at,
        approved_by=found.approved_by,
        ended_at=found.ended_at,
        case_id=found.case_id,
        charge_state=found.charge_state,
    )


def case(house: House, case_id: str) -> CaseView | None:
    """Return one case, None when there is none with this id."""
    with house.store.read() as unit:
        found = cases.load(unit, case_id)
        return _case(unit, found) if found else None


def _case(unit: Unit, found: Case) -> CaseView:
    held = payments.load(unit, found.payment_id) if found.payment_id else None
    return CaseView(
        case_id=found.id,
        payment_id=held.id if held else None,
        library=found.library,
        kind=found.kind,
        subject=found.subject,
        opened_at=found.opened_at,
        closed_at=found.closed_at,
        closed_by=found.closed_by,
        resolution=found.resolution,
        version=found.version,
        # A sum that came on top is a case of its own, and says so.
        cents=found.facts.get("cents", min(held.captured or held.cents, held.cents) if held else None),
        currency=held.currency if held else found.facts.get("currency"),
        state=held.state if held else None,
        facts={"number": held.receipt_number, **found.facts} if held else found.facts,
    )


def _view(house: House, unit: Unit, found: Payment) -> PaymentView:
    texts = payments.fee_texts(unit, found.id)
    attempt = attempts.latest(unit, found.id)
    waiting = found.state in UNPAID and found.state is not State.PENDING
    order = next(iter(orders.of_payment(unit, found.id)), None)
    return PaymentView(
        payment_id=found.id,
        number=found.receipt_number,
        library=found.library,
        state=found.state,
        void_reason=found.void_reason,
        held=found.held,
        cents=found.cents,
        currency=found.currency,
        method=found.method,
        provider=found.provider,
        lines=tuple(
            PaidLine(
                kind=line.kind,
                label=_label(house, found.library, line.kind),
                text=texts.get(line.id),
                cents=line.cents,
                cost_centre=line.cost_centre,
                account=line.account,
                tax_code=line.tax_code,
                renews=line == found.renewal_line,
            )
            for line in found.lines
        ),
        created_at=found.created_at,
        paid_at=found.paid_at,
        settled_at=found.settled_at,
        receipt_number=found.receipt_number if found.paid_at else None,
        marker=order.marker if order else None,
        can_cancel=waiting and _closes(house, found),
        continue_url=attempt.url if attempt and waiting else None,
        looking=waiting and found.due_at is not None and found.due_at <= unit.now,
        test=not found.live,
        given_back=_given_back(unit, found),
        renewal=_renewal(unit, found),
    )


def _closes(house: House, found: Payment) -> bool:
    """Tell whether the provider can end a session that nobody has paid in."""
    desk = house.libraries.get(found.library)
    provider = desk.providers.get(found.provider) if desk else None
    return provider is not None and provider.capabilities().close


def _renewal(unit: Unit, found: Payment) -> RenewalView | None:
    line, sold = found.renewal_line, renewals.of_payment(unit, found)
    if line is None or sold is None:
        return None
    return RenewalView(
        base=sold.base, until=sold.until, state=sold.state, tariff=sold.tariff, cents=line.cents
    )


def _given_back(unit: Unit, found: Payment) -> tuple[RefundView, ...]:
    if not found.captured:
        return ()
    return tuple(_refund(unit, one) for one in refunds.of_payment(unit, found.id) if one.state in rules.GONE)


def _label(house: House, library: str, kind: str) -> LocalText | None:
    desk = house.libraries.get(library)
    return tariffs.known_kind(desk, kind, desk.day_of(house.world.now())).label if desk else None
