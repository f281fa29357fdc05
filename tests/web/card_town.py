"""A town whose library renews cards, and what tests of the card's pages share."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from ils_payment.domain.by_law import Band, Category, FeeKind, Period, Tariff, Version
from ils_payment.flows.desk import Desk
from ils_payment.model import PatronRef
from tests.conftest import Town, settings_for

OLE = "21234000012376"
"""Ole's card ended forty days ago; he owes 15.00."""


def tariff(cents: int = 1000, **category: Any) -> Tariff:
    """Adults pay *cents* for twelve months, may renew 30 days before the end; children renew at the desk."""
    adults = Category(
        **{
            "key": "adult",
            "codes": ("ERW",),
            "label": {"de": "Erwachsene", "en": "Adults"},
            "kind": "annual_fee",
            "bands": (Band(cents=cents),),
            "period": Period(months=12),
            "lead_days": 30,
            **category,
        }
    )
    children = replace(
        adults,
        key="child",
        codes=("KIND",),
        online=False,
        why={"de": "Kinderausweise verlängern wir an der Theke.", "en": "Come to the desk for children."},
    )
    annual = FeeKind(
        key="annual_fee", label={"de": "Jahresgebühr", "en": "Annual fee"}, cost_centre="2720", account="43"
    )
    version = Version(
        valid_from=date(2026, 1, 1), kinds={"annual_fee": annual}, categories=(adults, children)
    )
    return Tariff(currency="EUR", versions=(version,))


class CardTown(Town):
    """The town, renewing cards by its by-law."""

    def __init__(self, url: str, *, cents: int = 1000, **library: Any) -> None:
        koha = settings_for(url).libraries["lindental"].library_system
        super().__init__(url, library_system={"plugin": "koha", **koha.own, "renew": True}, **library)
        self.prices(tariff(cents))

    def prices(self, priced: Tariff | None) -> None:
        """Put another by-law into force."""
        self.changes(tariff=priced)

    def changes(self, **desk: Any) -> None:
        """Change the desk of the library."""
        self.desk: Desk = replace(self.desk, **desk)
        self.house.libraries = {**self.house.libraries, "lindental": self.desk}

    def renews_by(self, **renewal: Any) -> None:
        """Change the table ``renewal``."""
        table = self.desk.settings.renewal.model_copy(update=renewal)
        self.changes(settings=self.desk.settings.model_copy(update={"renewal": table}))

    @property
    def today(self) -> date:
        return self.world.now().astimezone(self.desk.settings.zone).date()

    @property
    def next_year(self) -> date:
        """Until when a card that has ended is renewed today."""
        return self.today.replace(year=self.today.year + 1)

    def ref(self, patron: str) -> PatronRef:
        return PatronRef(str(self.koha.patron_ids[patron]))

    def valid_until(self, patron: str = "expired") -> date:
        """What Koha says now."""
        found = self.desk.system.card(self.ref(patron)).valid_until
        assert found is not None
        return found

    def renews_at_the_desk(self, patron: str = "expired", days: int = 365) -> None:
        """Let a clerk renew the card, without us."""
        until = self.today + timedelta(days=days)
        self.koha.change(self.koha.patron_ids[patron], expiry_date=until.isoformat())

    def pays(self, payment_id: str) -> None:
        """Let the payer pay, and everything that follows happen."""
        self.stripe.pay(self.session_of(payment_id))
        self.deliver_webhooks()
        self.run()


def ids_in(page: str) -> list[str]:
    """The payments that a page links to."""
    return re.findall(r"/lindental/payments/([0-9A-Z]{26})", page)
