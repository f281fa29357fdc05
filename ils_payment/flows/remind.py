"""Remind: one mail before a card ends, with a link that pays for its renewal, where the library wants it.

Each reminder (patron, expiry, days before) is noted in the same transaction that queues its mail, under a
key of the database: so it is sent once, whatever crashes and however many hosts do this chore.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.config.fields import MAIL
from ils_payment.domain.tariff import Quote
from ils_payment.errors import RemoteAbsentError, RemoteError
from ils_payment.flows import letters, offer, paylink, see
from ils_payment.store import journal, mails, patrons, reminders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Card, ExpiringCard

log = structlog.get_logger(__name__)

ROUND = 20.0
"""Seconds after which the other chores get their turn; the rest of the day's cards come in the next round."""

REST = 600.0
"""Seconds until a library system that did not answer is asked again."""


@dataclass(slots=True)
class _Day:
    """What is still to be looked at of one library's day; None: it was not listed yet."""

    day: date
    waiting: deque[ExpiringCard] | None = None
    rests_until: float = 0.0
    done: bool = False
    queued: int = 0


@dataclass(slots=True)
class Reminders:
    """The chore: remembers how far it is in today's lists. What it forgets by a crash is listed again."""

    _days: dict[str, _Day] = field(default_factory=dict)

    def __call__(self, house: House) -> None:
        """Queue the mails of today, library by library, as far as the round goes."""
        for key, desk in house.libraries.items():
            now = house.world.now().astimezone(desk.settings.zone)
            if not desk.settings.reminders.days_before or now.hour < desk.settings.reminders.hour:
                continue
            if house.paused or not house.world.can_mail:
                # The link would lead to a closed door, or the mail would wait for a server that is not there.
                continue
            day = self._days.get(key)
            if day is None or day.day != now.date():
                day = self._days[key] = _Day(now.date(), done=_was_done(house, desk, now))
            if not day.done and house.world.monotonic() >= day.rests_until:
                _go_on(house, desk, day)


def _was_done(house: House, desk: Desk, now: datetime) -> bool:
    """Tell whether some process has finished the list of this day."""
    midnight = datetime.combine(now.date(), time(), tzinfo=desk.settings.zone)
    with house.store.read() as unit:
        newest = journal.newest(unit, what="reminders", library=desk.key, limit=1)
    return bool(newest) and newest[0]["at"] >= midnight


def _go_on(house: House, desk: Desk, day: _Day) -> None:
    """List the day's cards, then look at each; a library system that is silent is asked again later."""
    until = house.world.monotonic() + ROUND
    try:
        if day.waiting is None:
            last = day.day + timedelta(days=max(desk.settings.reminders.days_before))
            day.waiting = deque(desk.expiring.expiring(day.day, last) if desk.expiring else ())
        while day.waiting and house.world.monotonic() < until:
            day.queued += _remind(house, desk, day.waiting[0], day.day)
            day.waiting.popleft()
    except RemoteError as error:
        day.rests_until = house.world.monotonic() + REST
        log.warning("reminders_wait", library=desk.key, reason=str(error))
        return
    if day.waiting:
        return
    day.done = True
    with house.store.unit() as unit:
        journal.append(unit, "system", "reminders", {"mails": day.queued}, desk.key)
    if day.queued:
        house.wake()


def days_before(configured: Iterable[int], valid_until: date, today: date) -> int | None:
    """Return which reminder is due for a card: the latest that its last day has come near enough for."""
    left = (valid_until - today).days
    return min((days for days in configured if 0 <= left <= days), default=None)


def _remind(house: House, desk: Desk, listed: ExpiringCard, today: date) -> bool:
    """Queue the mail about one card, if it is due, wanted and possible, and was not queued before."""
    days = days_before(desk.settings.reminders.days_before, listed.valid_until, today)
    recipient = (listed.email or "").strip()
    if days is None or not _is_address(recipient):
        return False
    with house.store.read() as unit:
        known = patrons.known_id(unit, desk.patrons, listed.patron)
        if known and reminders.was_noted(unit, known, listed.valid_until, days):
            return False
    try:
        card = desk.system.card(listed.patron)
    except RemoteAbsentError:
        return False
    quote = offer.quote(house, desk, listed.patron, card)
    if not isinstance(quote, Quote) or card.valid_until != listed.valid_until or not _may_use(desk, card):
        return False
    language = listed.language if listed.language in desk.settings.languages else None
    with house.store.unit() as unit:
        patron = patrons.patron_id(unit, desk.patrons, listed.patron)
        if not reminders.note(unit, patron, listed.valid_until, days):
            return False
        facts = _facts(desk, card, quote)
        mails.queue_reminder(unit, recipient, patron, language or desk.settings.languages[0], facts)
    house.world.failpoint("remind.queued")
    return True


def _is_address(text: str) -> bool:
    return len(text) <= 254 and re.fullmatch(MAIL, text) is not None


def _may_use(desk: Desk, card: Card) -> bool:
    """Tell whether this patron could pay: while there is play money only, nobody else is written to."""
    return desk.live or card.number in desk.settings.test_cards


def _facts(desk: Desk, card: Card, quote: Quote) -> dict[str, Any]:
    return {
        "library": desk.key,
        "number": see.masked(card.number),
        "base": quote.base.isoformat() if quote.base else None,
        "until": quote.until.isoformat(),
        "cents": quote.cents,
    }


def letter(house: House, mail: Any) -> letters.Letter | None:  # noqa: ANN401 - a row of private_mails
    """Write the mail of a queued reminder; None when its library is not served here any more."""
    facts = json.loads(mail.facts)
    desk = house.libraries.get(facts["library"])
    if desk is None:
        return None
    base = date.fromisoformat(facts["base"])
    ends = mail.created_at + timedelta(days=desk.settings.reminders.link_days)
    about = letters.Reminder(
        number=facts["number"],
        base=base,
        until=date.fromisoformat(facts["until"]),
        cents=facts["cents"],
        link=paylink.url(house, desk, mail.patron_id, base, ends),
        link_ends=ends,
        test=not desk.live,
    )
    return letters.reminder(desk.settings, about, mail.language)
