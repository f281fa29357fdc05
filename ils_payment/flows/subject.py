"""Subject: tell a person what is known about them, and forget it; the books and their chains stay whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.config.library import Retention
from ils_payment.errors import ILSPaymentError
from ils_payment.flows import paylink
from ils_payment.store import journal, patrons, reminders, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Actor, PatronRef
    from ils_payment.store.unit import Unit

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""So many old payments are forgotten in one transaction."""


class UnknownPersonError(ILSPaymentError):
    """Nothing is known about this person."""


class StillNeededError(ILSPaymentError):
    """The person's data are needed until a payment or case has come to its end."""


def find(desk: Desk, card: str, *, mend: str = "Look at the number again.") -> PatronRef:
    """Ask the library system whose card this is. Raises UnknownPersonError with *mend*, RemoteError."""
    found = desk.system.find_patron(card)
    if found is None:
        raise UnknownPersonError("The library system knows no such card.", mend=mend)
    return found


def export(house: House, desk: Desk, actor: Actor, ref: PatronRef) -> dict[str, Any]:
    """Return everything that is known about a person, and record that it was asked for."""
    with house.store.unit() as unit:
        patron = _known(unit, desk, ref)
        told = subjects.known(unit, patron)
        facts = {"patron": patron, "payments": len(told["payments"])}
        journal.append(unit, actor.name, "subject_export", facts, desk.key)
    return {"library": desk.key, **told}


def erase(house: House, desk: Desk, actor: Actor, ref: PatronRef) -> int:
    """Forget a person; return of how many payments. StillNeededError while one of them is under way."""
    with house.store.unit() as unit:
        patron = _known(unit, desk, ref)
        subjects.lock(unit, patron)
        waiting = subjects.unfinished(unit, patron)
        if waiting:
            raise StillNeededError(
                f"These payments are not at their end, or a case of theirs is open: {', '.join(waiting)}.",
                mend="Look at each with ils-payment payments show NUMBER, decide its cases, and erase then.",
            )
        ids = subjects.payments_of(unit, patron)
        subjects.forget_payments(unit, ids)
        subjects.forget_patron(unit, patron)
        journal.append(unit, actor.name, "subject_erase", {"patron": patron, "payments": len(ids)}, desk.key)
    house.world.failpoint("subject.erased")
    return len(ids)


def _known(unit: Unit, desk: Desk, ref: PatronRef) -> str:
    patron = patrons.known_id(unit, desk.patrons, ref)
    if patron is None:
        raise UnknownPersonError(
            f"Nothing is known about this person in {desk.key}.",
            mend="Who never paid here, or was erased, leaves nothing. Is it the right library and number?",
        )
    return patron


def forget_old(house: House) -> None:
    """Forget the private rows of old payments, and who has only such: a chore, harmless when repeated."""
    with house.store.read() as unit:
        known = patrons.libraries(unit, going_on=False)
    for key in sorted({*house.libraries, *known}):
        desk = house.libraries.get(key)
        # Of a library that is configured no more, what is usual counts.
        before = house.world.now() - (desk.settings.retention if desk else Retention()).span
        with house.store.unit() as unit:
            old = subjects.old_payments(unit, key, before, AT_ONCE)
            subjects.forget_payments(unit, old)
            reasons = subjects.forget_orphans(unit, key, before)
            _record(unit, {"payments": len(old), "reasons": reasons}, key)
    with house.store.unit() as unit:
        now = unit.now
        notes = reminders.forget(
            unit, noted_before=now - paylink.LONGEST, ended_before=(now - timedelta(days=1)).date()
        )
        nameless = subjects.nameless(unit, AT_ONCE)
        for patron in nameless:
            subjects.forget_patron(unit, patron)
        _record(unit, {"patrons": len(nameless), "reminders": notes}, None)
    house.world.failpoint("retention.forgotten")


def _record(unit: Unit, facts: dict[str, int], library: str | None) -> None:
    """Record that something was forgotten, and never what."""
    if any(facts.values()):
        journal.append(unit, "system", "retention", facts, library)
        log.info("forgotten", library=library, **facts)


def every(house: House, span: timedelta, chore: Callable[[House], None]) -> Callable[[House], None]:
    """Return *chore* as one that does nothing until *span* has passed since it was last done here."""
    due = house.world.monotonic()

    def do(house: House) -> None:
        nonlocal due
        if house.world.monotonic() >= due:
            due = house.world.monotonic() + span.total_seconds()
            chore(house)

    return do
