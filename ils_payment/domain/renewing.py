"""The pure question of a card renewal: what the card says now, measured by what was sold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from ils_payment.model import Card

CARD = "card-renewal"
"""The claim key of a renewal: one open payment for each patron's card."""


class Found(StrEnum):
    """The card as it is now: as it was sold, renewed by us, or changed by somebody else."""

    STANDS = "stands"
    DONE = "done"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """What was sold: a card that said ``base`` (and ``renewed_on``) shall be valid ``until``."""

    base: date | None
    until: date
    renewed_on: date | None


def judge(sold: Sold, card: Card, *, tried: bool, by_rule: bool = False) -> Found:
    """Say what *card* says of *sold*; *tried*: one of our calls may have changed it, not all were refused.

    A desk that renews at the same time leaves its own day of renewal, even where it grants the same
    expiry. A library system that renews *by_rule* does just that for us too, so there any later expiry
    after a try is ours, also one that is earlier than was sold.
    """
    if by_rule and tried:
        later = card.valid_until is not None and (sold.base is None or card.valid_until > sold.base)
        return Found.DONE if later else Found.STANDS if card.valid_until == sold.base else Found.ELSEWHERE
    if card.renewed_on != sold.renewed_on:
        return Found.ELSEWHERE
    if card.valid_until == sold.until:
        return Found.DONE if tried else Found.ELSEWHERE
    return Found.STANDS if card.valid_until == sold.base else Found.ELSEWHERE
