"""Offer: what renewing a card costs today, and why it cannot be had where it cannot. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ils_payment.domain.renewing import CARD
from ils_payment.domain.tariff import NoQuote, Quote
from ils_payment.errors import RemoteError
from ils_payment.flows import see, tariffs
from ils_payment.flows.views import CardView
from ils_payment.store import claims, patrons

if TYPE_CHECKING:
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.flows.views import FeesView
    from ils_payment.model import Card, ContactData, LocalText, PatronRef

log = structlog.get_logger(__name__)

_DESK: LocalText = {
    "de": "Ihr Ausweis kann hier nicht verlängert werden. Das macht gern das Personal der Bibliothek.",
    "en": "Your card cannot be renewed here. The library's staff will gladly do it.",
}


def card(house: House, desk: Desk, patron: PatronRef) -> CardView:
    """Read the card fresh and say what renewing it costs, or why not. Raises RemoteError."""
    read = desk.system.card(patron)
    found = quote(house, desk, patron, read)
    with house.store.read() as unit:
        known = patrons.known_id(unit, desk.patrons, patron)
        running = claims.of_patron(unit, known).get(CARD) if known else None
    today = desk.day_of(house.world.now())
    return CardView(
        number=read.number,
        valid_until=read.valid_until,
        expired=read.valid_until is not None and read.valid_until < today,
        blocks=read.blocks,
        currency=desk.settings.currency,
        quote=found if isinstance(found, Quote) else None,
        why_not=found if isinstance(found, NoQuote) else None,
        running=running,
        fees_first=desk.settings.renewal.fees_first,
    )


def fees_and_card(house: House, desk: Desk, patron: PatronRef) -> tuple[FeesView, CardView | None]:
    """Read the fees, and the card beside them; fees can be paid also while the card cannot be read.

    None where no card is ever renewed here. Raises RemoteError for the fees only.
    """
    fees = see.fees(house, desk, patron)
    if not renews(desk):
        return fees, None
    try:
        return fees, card(house, desk, patron)
    except RemoteError as error:
        log.warning("card_unavailable", library=desk.key, reason=str(error))
        return fees, None


def card_and_fees(house: House, desk: Desk, patron: PatronRef) -> tuple[CardView, FeesView | None]:
    """Read the card, and the fees beside it where it can be renewed (else None). Raises RemoteError."""
    read = card(house, desk, patron)
    return read, see.fees(house, desk, patron) if read.quote else None


def renews(desk: Desk) -> bool:
    """Tell whether this library renews any card here."""
    return desk.tariff is not None and desk.renewing is not None


def contact(desk: Desk, patron: PatronRef) -> ContactData | None:
    """Read what the patron confirms before a renewal; None where nobody asks. Raises RemoteError."""
    system = desk.contacting
    if system is None or not desk.settings.renewal.confirm_contact:
        return None
    return system.contact(patron)


def quote(
    house: House, desk: Desk, patron: PatronRef, card: Card, *, ignore_lead: bool = False
) -> Quote | NoQuote:
    """Say what renewing the *patron*'s *card* costs today, or why it cannot be had. Raises RemoteError."""
    if desk.renewing is None:
        return NoQuote(code="cannot_renew", text=_DESK)
    if desk.tariff is None:
        return NoQuote(code="no_tariff", text=_DESK)
    return tariffs.quote_for(desk, patron, card, desk.day_of(house.world.now()), ignore_lead=ignore_lead)
