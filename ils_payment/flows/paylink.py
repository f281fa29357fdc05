"""Pay link: renew one card from its present expiry, without signing in, whoever pays.

The token in the address names our random id of the patron, the expiry that the card must still have, and
until when the link is good, under a MAC of the installation's secret. It is no session: whoever holds it
sees an amount, two days and the end of a card number, and can do nothing but pay for the renewal. It may
be opened as often as one likes; the card is renewed once, because its expiry is another one afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ils_payment.domain.renewing import CARD
from ils_payment.domain.tariff import NoQuote, Quote
from ils_payment.domain.tariff_words import spoken
from ils_payment.errors import ILSPaymentError, RemoteAbsentError
from ils_payment.flows import offer, see, show
from ils_payment.flows.views import MethodChoice
from ils_payment.store import claims, patrons, reminders

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Card, PatronRef

LONGEST = timedelta(days=180)
"""No link is good for longer; so long it is kept whom it is for."""

_TOKEN = re.compile(r"([0-9A-Z]{26})\.([0-9]{8})\.([0-9]{1,12})\.([A-Za-z0-9_-]{22})", re.ASCII)
_MAC_BYTES = 16
"""128 bits of the MAC: enough against guessing, and a QR code that old telephones can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a token says: the patron, the expiry for which it is good, its own end (epoch second)."""

    patron_id: str
    base: date
    ends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """What the page of a link shows.

    ``state``: ``payable``, or why not: ``altered``, ``over``, ``renewed``, ``running``, ``early``,
    ``refused``. ``number`` is masked. ``day``: until when the card is renewed, or from when it can be.
    ``continue_url``: where a running payment of this renewal alone can be paid on. ``patron`` is for
    ``pay.begin`` and no page.
    """

    state: str
    number: str = ""
    currency: str = ""
    quote: Quote | None = None
    methods: tuple[MethodChoice, ...] = ()
    day: date | None = None
    continue_url: str | None = None
    paused: bool = False
    patron: PatronRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeLink:
    """A link for a letter, until when it is good, and what it pays for; None: from ``from_day`` on only."""

    url: str
    good_until: datetime
    quote: Quote | None
    from_day: date | None


class NoLinkError(ILSPaymentError):
    """No link can be made for this card."""


def make(house: House, desk: Desk, patron: PatronRef, life: timedelta) -> MadeLink:
    """Make a link that is good for *life* (at most LONGEST). Raises NoLinkError, RemoteError."""
    card = desk.system.card(patron)
    quote = offer.quote(house, desk, patron, card)
    from_day = quote.from_day if isinstance(quote, NoQuote) and quote.code == "too_early" else None
    if card.valid_until is None or (isinstance(quote, NoQuote) and from_day is None):
        why = (
            f"The patron reads: {spoken(quote.text, 'en')}"
            if isinstance(quote, NoQuote)
            else "It has no end."
        )
        raise NoLinkError(
            f"No link can be made for this card. {why}",
            mend="ils-payment tariff quote says what renewing it would cost, and why not.",
        )
    last_day = desk.day_of(house.world.now() + min(life, LONGEST))
    if from_day is not None and from_day > last_day:
        raise NoLinkError(
            f"This card can be renewed from {from_day} on, and the link would end before, on {last_day}.",
            mend=_later(from_day, desk.day_of(house.world.now())),
        )
    with house.store.unit() as unit:
        patron_id = patrons.patron_id(unit, desk.patrons, patron)
        reminders.keep(unit, patron_id, card.valid_until)
        ends = unit.now + min(life, LONGEST)
    return MadeLink(
        url=url(house, desk, patron_id, card.valid_until, ends),
        good_until=ends,
        quote=quote if isinstance(quote, Quote) else None,
        from_day=from_day,
    )


def _later(from_day: date, today: date) -> str:
    """Return what helps where a link would end before *from_day*."""
    days = (from_day - today).days + 1
    if days > LONGEST.days:
        return f"Make the link later: none is good for more than {LONGEST.days} days."
    return f"Make the link later, or let it live longer: --days {days} or more."


def url(house: House, desk: Desk, patron_id: str, base: date, ends: datetime) -> str:
    """Return the absolute address that pays for renewing the card that is valid until *base*."""
    ticket = Ticket(patron_id=patron_id, base=base, ends=int(ends.timestamp()))
    return f"{house.settings.server.public_url}/{desk.key}/renew/{_signed(house, desk.key, ticket)}"


def read(house: House, library: str, token: str) -> Ticket | None:
    """Return what *token* says, None unless it was made here, for this library, and is unaltered."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    patron_id, day, ends, _ = found.groups()
    try:
        base_day = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return None
    ticket = Ticket(patron_id=patron_id, base=base_day, ends=int(ends))
    expected = _signed(house, library, ticket)
    return ticket if hmac.compare_digest(token.encode(), expected.encode()) else None


def _signed(house: House, library: str, ticket: Ticket) -> str:
    said = f"{ticket.patron_id}.{ticket.base:%Y%m%d}.{ticket.ends}"
    mac = hmac.new(house.installation.secret, f"renew:{library}:{said}".encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(mac[:_MAC_BYTES]).decode().rstrip('=')}"


def look(house: House, desk: Desk, token: str) -> LinkView:
    """Say what the link is good for now. Raises RemoteError while the library system does not answer.

    An altered or old link asks nobody outside.
    """
    ticket = read(house, desk.key, token)
    if ticket is None:
        return LinkView(state="altered")
    with house.store.read() as unit:
        patron = patrons.patron_ref(unit, ticket.patron_id, desk.patrons)
        running = claims.of_patron(unit, ticket.patron_id).get(CARD)
    if patron is None or house.world.now().timestamp() > ticket.ends:
        return LinkView(state="over")
    try:
        card = desk.system.card(patron)
    except RemoteAbsentError:
        return LinkView(state="over")
    if card.valid_until is not None and card.valid_until > ticket.base:
        return LinkView(state="renewed", number=see.masked(card.number), day=card.valid_until)
    if running is not None:
        return LinkView(
            state="running", number=see.masked(card.number), continue_url=_continue_url(house, running)
        )
    if card.valid_until != ticket.base:
        return LinkView(state="refused", number=see.masked(card.number))
    return _offered(house, desk, patron, card)


def _continue_url(house: House, payment_id: str) -> str | None:
    """Return where to pay on; a payment that has fees in it is its patron's own affair."""
    found = show.payment(house, payment_id)
    alone = found is not None and all(line.renews for line in found.lines)
    return found.continue_url if found and alone and not found.looking else None


def _offered(house: House, desk: Desk, patron: PatronRef, card: Card) -> LinkView:
    """Return the price, or that there is none; why not is nothing for a stranger's eyes."""
    number = see.masked(card.number)
    quote = offer.quote(house, desk, patron, card)
    if isinstance(quote, NoQuote):
        early = quote.code == "too_early" and quote.from_day is not None
        return LinkView(state="early" if early else "refused", number=number, day=quote.from_day)
    if desk.settings.renewal.fees_first and desk.account(patron).fees:
        return LinkView(state="refused", number=number)
    least = ((offered.method, desk.minimum(offered.method) or 0) for offered in desk.settings.methods)
    return LinkView(
        state="payable",
        number=number,
        currency=desk.settings.currency,
        quote=quote,
        methods=tuple(
            MethodChoice(method=method, minimum_cents=cents)
            for method, cents in least
            if cents <= quote.cents
        ),
        paused=house.paused,
        patron=patron,
    )
