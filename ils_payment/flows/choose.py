"""Choose: what a patron confirmed, read fresh: the fees, and the renewal of the card.

What is not just as it was confirmed starts nothing: the page is shown again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from ils_payment.domain import payable
from ils_payment.domain.tariff import Quote
from ils_payment.errors import PinNeededError, RemoteError
from ils_payment.flows import offer, see
from ils_payment.flows.views import NotBegun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Account, Card, Fee, PatronRef

log = structlog.get_logger(__name__)

FREE = "none"
"""Method and provider of a payment of nothing: a renewal that is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the patron confirmed: fees by claim key, a renewal ``until`` a day (None: none), the sum."""

    keys: frozenset[str]
    method: str
    expected_cents: int
    until: date | None = None

    @property
    def free(self) -> bool:
        """Tell whether nothing is to be paid: the card alone is renewed, and that costs nothing."""
        return self.until is not None and not self.keys and self.expected_cents == 0

    @property
    def way(self) -> str:
        """Return the method that the payment is written down with."""
        return FREE if self.free else self.method


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen fees with the most that may be paid for fees, and what the renewal costs (None: none).

    ``card`` is the card as it was read for the quote; ``read_at`` is when the account was read, as whoever
    read it says, and ``asked_at`` when we asked for it, by our clock.
    """

    fees: tuple[Fee, ...]
    limit: int
    read_at: datetime
    asked_at: datetime
    quote: Quote | None = None
    card: Card | None = None


def choose(house: House, desk: Desk, patron: PatronRef, wish: Wish) -> Choice | NotBegun:
    """Read fees and card fresh and pick what was chosen, or say why this cannot be what was confirmed.

    PinNeededError where the library system wants the PIN again.
    """
    if not wish.keys and wish.until is None:
        return NotBegun(code="nothing_chosen")
    asked_at = house.world.now()
    try:
        account = desk.account(patron)
        card = desk.system.card(patron) if wish.until else None
        quote = offer.quote(house, desk, patron, card) if card else None
    except PinNeededError:
        raise
    except RemoteError as error:
        log.warning("library_unavailable", library=desk.key, reason=str(error))
        return NotBegun(code="library_unavailable")
    if wish.until is not None and not isinstance(quote, Quote):
        return NotBegun(code="not_renewable")
    price = quote if isinstance(quote, Quote) else None
    chosen = [fee for fee in see.judge(house, desk, account) if fee.claim_key in wish.keys]
    problem = _problem(desk, account, chosen, price, wish)
    if problem is not None:
        return NotBegun(code=problem)
    return Choice(
        fees=tuple(chosen),
        limit=payable.limit(account),
        read_at=account.read_at,
        asked_at=asked_at,
        quote=price,
        card=card,
    )


def _problem(
    desk: Desk, account: Account, chosen: Sequence[Fee], price: Quote | None, wish: Wish
) -> str | None:
    """Name the first reason for which the chosen *fees* and *price* are not what was confirmed."""
    owed = sum(fee.cents for fee in chosen)
    total = owed + (price.cents if price else 0)
    if {fee.claim_key for fee in chosen} != wish.keys or total != wish.expected_cents:
        return "changed"
    if price is not None and price.until != wish.until:
        return "changed"
    if not all(fee.payable for fee in chosen):
        return "not_payable"
    if price is not None and desk.settings.renewal.fees_first and len(chosen) < len(account.fees):
        return "fees_first"
    return "above_balance" if owed > payable.limit(account) else None


def minimum(desk: Desk, wish: Wish) -> int | None:
    """Return the smallest sum in cents that can be paid like this, None when the method is not offered."""
    if wish.free:
        return 0
    least = desk.minimum(wish.method)
    return None if least is None else max(least, desk.system.capabilities().min_cents)


def may_pay(desk: Desk, patron: PatronRef, method: str) -> bool:
    """Tell whether this patron may pay now: with play money only test cards may. Raises RemoteError."""
    live = desk.live if method == FREE else desk.providers[desk.provider_of(method)].capabilities().live
    if live:
        return True
    if not desk.settings.test_cards:
        return False
    return desk.system.card(patron).number in desk.settings.test_cards
