"""What staff read before they decide: a payment with its whole story, and what the library system says now.

Reads only, apart from the journal: whoever looks at a patron's data is written down.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.domain import refunds as rules
from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows import decide, show
from ils_payment.model import MarkerSupport
from ils_payment.store import chain, inbox, journal, orders, patrons, payments, reasons, refunds, staff

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from ils_payment.domain.decisions import Choice
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.flows.views import CaseView, PaymentView, Whereabouts
    from ils_payment.model import Credit
    from ils_payment.store.inbox import Wanted
    from ils_payment.store.records import Payment, Refund
    from ils_payment.store.unit import Unit

PER_PAGE = 50

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of a payment's chain; ``actor`` is the name of who decided, ``reason`` the private text."""

    at: datetime
    what: str
    state: str
    facts: Mapping[str, Any]
    actor: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One decision about a case; ``reason`` None: it was erased. ``reference``: of the booking or voucher."""

    actor: str | None
    at: datetime
    reason: str | None
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What could still be given back of one line; ``place`` is its place in the payment, None for no line."""

    line_id: str | None
    place: int | None
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A payment with all that was recorded about it. ``evidence``: the provider's last answer, if any."""

    payment: PaymentView
    where: Whereabouts
    steps: tuple[Step, ...]
    evidence: Mapping[str, Any] | None
    cases: tuple[CaseView, ...]
    refunds: tuple[Refund, ...]
    choices: tuple[Choice, ...]
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeNow:
    """A frozen line in the library system now: ``open_cents`` None where it is no longer open."""

    open_cents: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySide:
    """What the library system says at this moment; ``problem`` is ``silent`` or ``unknown`` (patron gone).

    ``credits`` are those with our marker, None where the library system cannot list them.
    """

    card: str | None = None
    balance: int | None = None
    fees: tuple[FeeNow, ...] = ()
    credits: tuple[Credit, ...] | None = None
    problem: str = ""


def cases_of(house: House, wanted: Wanted, page: int) -> tuple[tuple[CaseView, ...], bool]:
    """Return one page of cases, and whether more follow."""
    with house.store.read() as unit:
        ids = inbox.case_ids(unit, wanted, limit=PER_PAGE + 1, offset=(page - 1) * PER_PAGE)
    found = (show.case(house, one) for one in ids[:PER_PAGE])
    return tuple(one for one in found if one), len(ids) > PER_PAGE


def newest(house: House, libraries: Collection[str], state: str | None) -> tuple[PaymentView, ...]:
    """Return the newest payments of several libraries."""
    found = [one for key in libraries for one in show.newest(house, library=key, state=state, limit=PER_PAGE)]
    return tuple(sorted(found, key=lambda one: one.created_at, reverse=True)[:PER_PAGE])


def payment_file(house: House, payment_id: str, case_id: str | None = None) -> File | None:
    """Return everything about one payment, None when there is none with this id.

    What can be decided is the answer to the case, if one is named.
    """
    payment = show.payment(house, payment_id)
    if payment is None:
        return None
    with house.store.read() as unit:
        record = payments.load(unit, payment_id)
        if record is None:  # pragma: no cover - payments are never deleted
            return None
        steps = _steps(unit, payment_id)
        about = inbox.case_ids_of(unit, payment_id)
        left = _left(unit, record)
        given_back = tuple(refunds.of_payment(unit, payment_id))
    evidence = next((one.facts for one in reversed(steps) if "evidence" in one.facts), None)
    return File(
        payment=payment,
        where=show.whereabouts(house, payment_id),
        steps=steps,
        evidence=evidence,
        cases=tuple(one for one in (show.case(house, case) for case in about) if one),
        refunds=given_back,
        choices=tuple(decide.choices(house, payment_id, case_id)),
        left=left,
    )


def _left(unit: Unit, payment: Payment) -> tuple[Left, ...]:
    """Return what could be given back, one entry for each line."""
    places = {line.id: place for place, line in enumerate(payment.lines)}
    sums: dict[str | None, int] = {}
    for line, _, cents in rules.left(chain.read_postings(unit, payment.id)):
        sums[line] = sums.get(line, 0) + cents
    return tuple(
        Left(line_id=line, place=places.get(line) if line else None, cents=cents)
        for line, cents in sorted(sums.items(), key=lambda item: places.get(item[0] or "", 99))
    )


def _steps(unit: Unit, payment_id: str) -> tuple[Step, ...]:
    names = staff.names(unit)
    texts = {one.digest: one.text for one in reasons.of(unit, payment_id=payment_id)}
    found = []
    for row in chain.read_audit(unit, payment_id):
        facts = json.loads(row["facts"])
        actor = facts.pop("actor", None)
        reason = texts.get(facts.pop("reason_digest", None))
        found.append(
            Step(
                at=row["at"],
                what=row["what"],
                state=row["state"],
                facts=facts,
                actor=names.get(actor, actor),
                reason=reason,
            )
        )
    return tuple(found)


def said(house: House, case: CaseView) -> tuple[Said, ...]:
    """Return what was decided about a case: by whom, when, why, and where it was booked."""
    with house.store.read() as unit:
        if case.payment_id is not None:
            steps = _steps(unit, case.payment_id)
            return tuple(
                Said(actor=one.actor, at=one.at, reason=one.reason, reference=one.facts.get("reference", ""))
                for one in steps
                if one.facts.get("decided") == case.case_id
            )
        names = staff.names(unit)
        rows = journal.newest(unit, what=f"decided_{case.resolution}", library=case.library, limit=1000)
        references = {row["facts"]["reason_digest"]: row["facts"].get("reference", "") for row in rows}
        return tuple(
            Said(
                actor=names.get(one.actor, one.actor),
                at=one.at,
                reason=one.text,
                reference=references.get(one.digest, ""),
            )
            for one in reasons.of(unit, payment_id=None, case_id=case.case_id)
        )


def names(house: House) -> dict[str, str]:
    """Return the names of staff by the ids that chain and journal know."""
    with house.store.read() as unit:
        return staff.names(unit)


def asked(house: House, libraries: Collection[str]) -> tuple[tuple[Refund, PaymentView, str | None], ...]:
    """Return the refunds that wait for a second person, each with payment and reason, the oldest first."""
    with house.store.read() as unit:
        waiting = [(one, next(iter(reasons.of_refund(unit, one.id)), None)) for one in refunds.asked(unit)]
    found = ((one, show.payment(house, one.payment_id), why) for one, why in waiting)
    return tuple(
        (one, held, why) for one, held, why in found if held is not None and held.library in libraries
    )


def refund(house: House, refund_id: str) -> tuple[Refund, PaymentView] | None:
    """Return a refund with its payment, None when there is none with this id."""
    with house.store.read() as unit:
        found = refunds.load(unit, refund_id)
    payment = show.payment(house, found.payment_id) if found else None
    return (found, payment) if found and payment else None


# --- asked at this moment ----------------------------------------------------------------------


def library_side(house: House, desk: Desk, payment_id: str) -> LibrarySide:
    """Ask the library system about the patron, the frozen fees and our credits, as they are now."""
    with house.store.read() as unit:
        payment = payments.load(unit, payment_id)
        patron = patrons.patron_ref(unit, payment.patron_id, desk.patrons) if payment else None
        markers = [one.marker for one in orders.of_payment(unit, payment_id)]
    if payment is None or patron is None:
        return LibrarySide(problem="unknown")
    can = desk.system.capabilities()
    if not can.unattended_read:
        return LibrarySide(problem="silent")
    try:
        card = desk.system.card(patron)
        account = desk.system.account(patron)
        ours = None
        if can.marker is MarkerSupport.READABLE:
            ours = tuple(one for marker in markers for one in desk.system.find_credits(patron, marker))
    except RemoteAbsentError:
        return LibrarySide(problem="unknown")
    except RemoteError as error:
        log.warning("case_without_library_system", library=desk.key, reason=str(error))
        return LibrarySide(problem="silent")
    still = {fee.claim_key: fee.cents for fee in account.fees}
    return LibrarySide(
        card=card.number,
        balance=account.balance,
        fees=tuple(FeeNow(open_cents=still.get(line.claim_key)) for line in payment.lines),
        credits=ours,
    )


def of_card(house: House, desk: Desk, card: str) -> tuple[PaymentView, ...] | None:
    """Return the payments of whose card this is now; None when the library system knows no such card.

    The number is handed to the library system and kept nowhere. Raises RemoteError.
    """
    patron = desk.system.find_patron(card)
    if patron is None:
        return None
    return show.history(house, desk, patron)


# --- who looked at what ------------------------------------------------------------------------


def note(house: House, actor: str, what: str, facts: dict[str, Any], library: str | None) -> None:
    """Write into the journal that somebody looked at something."""
    with house.store.unit() as unit:
        journal.append(unit, actor, what, facts, library)
