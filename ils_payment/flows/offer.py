"""Offer: what renewing a card costs today, and why it cannot be had where it cannot. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.domain.renewing import CARD
from ils_payment.domain.tariff import NoQuote, Quote
from ils_payment.flows import tariffs
from ils_payment.flows.views import CardView
from ils_payment.model import RenewSupport
from ils_payment.store import patrons, payments

if TYPE_CHECKING:
    from ils_payment.flows.house import Desk, House
    from ils_payment.model import Card, LocalText, PatronRef

_DESK: LocalText = {
    "de": "Ihr Ausweis kann hier nicht verlängert werden. Das macht gern das Personal der Bibliothek.",
    "en": "Your card cannot be renewed here. The library's staff will gladly do it.",
}


def card(house: House, desk: Desk, patron: PatronRef) -> CardView:
    """Read the card fresh and say what renewing it costs, or why not. Raises RemoteError."""
    read = desk.system.card(patron)
    found = quote(house, desk, read)
    with house.store.read() as unit:
        known = patrons.known_id(unit, desk.patrons, patron)
        running = payments.claimed(unit, known).get(CARD) if known else None
    today = house.world.now().astimezone(desk.settings.zone).date()
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


def quote(house: House, desk: Desk, card: Card, *, ignore_lead: bool = False) -> Quote | NoQuote:
    """Say what renewing *card* costs today, or why it cannot be renewed here. Raises RemoteError."""
    if desk.system.capabilities().can_renew is RenewSupport.NO:
        return NoQuote(code="cannot_renew", text=_DESK)
    if desk.tariff is None:
        return NoQuote(code="no_tariff", text=_DESK)
    return tariffs.quote_for(desk, card, tariffs.today_at(house, desk), ignore_lead=ignore_lead)
