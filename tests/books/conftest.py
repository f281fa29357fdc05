"""A town whose provider can also say what it paid out."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from ils_payment.model import Actor, Payout

TREASURER = Actor("cli:treasurer", "treasurer")
YESTERDAY = date(2026, 11, 21)


class PaysOut:
    """The town's provider, which lists the payouts that a test lays down."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.listed: list[Payout] = []
        self.asked: list[tuple[datetime, datetime]] = []
        self.on_asked: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def capabilities(self) -> Any:
        from dataclasses import replace

        return replace(self._provider.capabilities(), payouts=True)

    def payouts(self, since: datetime, until: datetime) -> list[Payout]:
        self.asked.append((since, until))
        if self.on_asked:
            self.on_asked()
        return list(self.listed)


def with_books(town: Any) -> Any:
    """Let the provider pay out, settle one payment, and begin the next day."""
    town.provider = PaysOut(town.desk.providers["stripe"])
    town.desk.providers["stripe"] = town.provider
    town.paid = pay_one(town)
    town.world.pass_time(days=1)
    return town


@pytest.fixture
def books(town: Any) -> Any:
    """The town on SQLite with one settled payment, a day later."""
    return with_books(town)


@pytest.fixture
def each_books(each_town: Any) -> Any:
    """The same on both kinds of database."""
    return with_books(each_town)


def pay_one(town: Any, **options: Any) -> str:
    """Pay and settle what is payable; return the payment's id."""
    payment_id: str = town.started(**options)
    town.stripe.pay(town.session_of(payment_id), "card")
    town.house.make_due(payment_id)
    town.run()
    return payment_id
