"""A town in which cards are renewed: Jan's ends in ten days, and a year costs 15.00."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from ils_payment.domain.by_law import Band, Category, FeeKind, Period, Tariff, Version
from ils_payment.flows import offer, pay
from ils_payment.flows.house import House
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.store import renewals
from ils_payment.store.records import Renewal
from tests.conftest import KOHA, Town, settings_for
from tests.flows.truths import load, of

YEAR = 1500


def tariff(cents: int = YEAR) -> Tariff:
    """A tariff in which adults pay *cents* a year and children nothing."""
    kind = FeeKind(
        key="annual_fee", label={"de": "Jahresgebühr", "en": "Annual fee"}, cost_centre="4711", account="331"
    )
    more: dict[str, Any] = {"kind": "annual_fee", "period": Period(months=12), "lead_days": 42}
    adults = Category(
        key="adult", codes=("ERW",), label={"de": "Erwachsene"}, bands=(Band(cents=cents),), **more
    )
    children = Category(key="child", codes=("KIND",), label={"de": "Kinder"}, bands=(Band(cents=0),), **more)
    version = Version(valid_from=date(2020, 1, 1), kinds={"annual_fee": kind}, categories=(adults, children))
    return Tariff(currency="EUR", versions=(version,))


def system_table(url: str) -> dict[str, Any]:
    """The town's own table for Koha, with which cards can be renewed."""
    system = settings_for(url).libraries["lindental"].library_system
    return {"plugin": system.plugin, **system.own, "renew": True}


class RenewingTown(Town):
    """The town with a tariff and a Koha that lets cards be renewed."""

    def __init__(self, url: str, **library: Any) -> None:
        table = {**system_table(url), **library.pop("library_system", {})}
        super().__init__(url, library_system=table, **library)
        self.with_tariff()
        assert KOHA in table["url"]
        self.jan = of(self, "jan")
        self.today = self.world.now().date()
        self.ends = self.today + timedelta(days=10)
        self.until = self.ends.replace(year=self.ends.year + 1)
        self.koha.change(int(self.jan), expiry_date=self.ends.isoformat())

    def with_tariff(self, cents: int = YEAR) -> None:
        """Let *cents* be the price of a year."""
        desk = replace(self.house.libraries["lindental"], tariff=tariff(cents))
        self.house = replace_desk(self.house, desk.key, desk)
        self.desk = desk

    def renew(
        self, patron: str = "jan", *, fees: bool = False, method: str = "card", cents: int | None = None
    ) -> Begun | NotBegun:
        """Confirm the renewal as the page of the card shows it, with the fees if *fees*."""
        who = of(self, patron)
        quote = offer.card(self.house, self.desk, who).quote
        assert quote is not None
        keys = [fee.claim_key for fee in self.desk.account(who).fees] if fees else []
        total = quote.cents + sum(fee.cents for fee in self.desk.account(who).fees if fees)
        expected = total if cents is None else cents
        return pay.begin(
            self.house, self.desk, who, keys, method if expected else "", "de", expected, until=quote.until
        )

    def sold(self, **options: Any) -> str:
        """Begin a renewal that must begin; return the payment's id."""
        begun = self.renew(**options)
        assert isinstance(begun, Begun), begun
        return begun.payment_id

    def renewal(self, payment_id: str) -> Renewal:
        with self.house.store.read() as unit:
            found = renewals.of_payment(unit, load(self, payment_id))
        assert found is not None
        return found

    def expiry(self, patron: str = "jan") -> str:
        return str(self.koha_account(patron)["expiry_date"])

    def writes(self, patron: str = "jan") -> list[tuple[str, str]]:
        """Every new expiry that Koha was given: by whom, and which."""
        changes = self.koha_account(patron)["expiry_changes"]
        return [(one["by"], one["to"]) for one in changes if one["to"] != self.ends.isoformat()]


def replace_desk(house: House, key: str, desk: Any) -> House:
    house.libraries = {**house.libraries, key: desk}
    return house
