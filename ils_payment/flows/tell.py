"""Tell: staff of cases and unsettled payments, patrons by a receipt. A stopped mail server stops no money."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.flows import letters, remind, show
from ils_payment.store import mails, payments

if TYPE_CHECKING:
    from ils_payment.flows.house import House

log = structlog.get_logger(__name__)

A_DAY = timedelta(days=1)

PATIENCE = timedelta(minutes=30)
"""A payment that is paid and not settled for so long is told to staff."""

GIVE_UP = timedelta(days=2)
"""A mail that cannot be sent for so long is forgotten, with its address; cases are told anew each day."""


def queue_receipt(house: House, payment_id: str, recipient: str, language: str) -> bool:
    """Queue the receipt for *recipient*; False when it was asked for before, or nothing is paid yet."""
    with house.store.unit() as unit:
        payment = payments.load(unit, payment_id, lock=True)
        if payment is None or payment.paid_at is None or mails.receipt_was_asked(unit, payment_id):
            return False
        mails.queue(unit, "receipt", recipient, payment_id, language)
        payments.record(unit, payment, "receipt_queued", {})
    house.wake()
    return True


def alarms(house: House) -> None:
    """Queue mails to staff for new cases and overdue payments, and again every day until they end."""
    with house.store.read() as unit:
        cases = mails.untold_cases(unit)
        late = payments.overdue(unit, paid=PATIENCE, unpaid=A_DAY, pending=_longest_pending(house))
    if not cases and not late:
        return
    with house.store.unit() as unit:
        for case in cases:
            recipient = _staff(house, case.library)
            if recipient and mails.told(unit, case.id):
                mails.queue(unit, "case", recipient, case.payment_id, _language(house, case.library), case.id)
        for payment in late:
            if not mails.alarmed(unit, payment.id):
                continue
            log.error("payment_overdue", payment=payment.id, library=payment.library, state=payment.state)
            if recipient := _staff(house, payment.library):
                mails.queue(unit, "unsettled", recipient, payment.id, _language(house, payment.library))


def _longest_pending(house: House) -> timedelta:
    providers = [provider for desk in house.libraries.values() for provider in desk.providers.values()]
    return max([A_DAY, *(provider.capabilities().longest_pending for provider in providers)])


def _staff(house: House, library: str) -> str | None:
    desk = house.libraries.get(library)
    return desk.settings.staff_email if desk and house.world.can_mail else None


def _language(house: House, library: str) -> str:
    return house.libraries[library].settings.languages[0]


def send_mails(house: House) -> None:
    """Send what is due; one mail that fails is tried again later and hinders no other."""
    if not house.world.can_mail:
        return
    with house.store.read() as unit:
        waiting = mails.due(unit)
    for mail in waiting:
        wait = min(timedelta(minutes=2) * 2**mail.tries, timedelta(hours=2))
        with house.store.unit() as unit:
            mine = mails.take(unit, mail, wait)
            given_up = unit.now - mail.created_at > GIVE_UP
        if mine and (_is_sent(house, mail) or given_up):
            with house.store.unit() as unit:
                mails.sent(unit, mail.id)


def _is_sent(house: House, mail: Any) -> bool:  # noqa: ANN401 - a row of private_mails
    """Write and send one mail; True when it is out, or no longer wanted."""
    try:
        letter = _write(house, mail)
        if letter is not None:
            house.world.failpoint("mail.before_send")
            house.world.send_mail(mail.recipient, letter.subject, letter.body)
    except Exception as error:  # noqa: BLE001 - a strange address or text must not silence the other mails
        # The text of an error may hold the address, so only what we said ourselves is logged.
        reason = str(error) if isinstance(error, OSError) else type(error).__name__
        log.warning("mail_not_sent", kind=mail.kind, payment=mail.payment_id, reason=reason)
        return False
    return True


def _write(house: House, mail: Any) -> letters.Letter | None:  # noqa: ANN401 - a row of private_mails
    if mail.kind == "reminder":
        return remind.letter(house, mail)
    view = show.payment(house, mail.payment_id) if mail.payment_id else None
    case = show.case(house, mail.case_id) if mail.kind == "case" else None
    desk = house.libraries.get(view.library if view else case.library if case else "")
    if desk is None:
        return None
    if mail.kind == "case":
        return letters.case(desk.settings, view, case, mail.language) if case and not case.closed_at else None
    if view is None:  # pragma: no cover - only a case can be about no payment
        return None
    if mail.kind == "receipt":
        return letters.receipt(desk.settings, view, mail.language)
    return letters.unsettled(desk.settings, view, mail.language)
