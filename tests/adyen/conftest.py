"""What the tests of Adyen share: the simulator on a standing clock, the provider, and a town with it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ils_payment_adyen.config import AdyenConfig
from ils_payment_adyen.provider import AdyenProvider
from ils_payment_adyen.simulator import KEY, AdyenSimulator
from ils_payment_koha.simulator import KohaSimulator
from pydantic import SecretStr

from ils_payment.flows.house import House, open_house
from ils_payment.model import Attempt, AttemptLine, Forged, PatronRef
from ils_payment.ports import LibraryInfo
from ils_payment.store import intake
from ils_payment.testing.world import SimulatedWorld
from ils_payment.world import PluginHost
from tests.conftest import KOHA, Town, settings_for
from tests.ledgers import lay_down

ADYEN = "127.0.0.1:12112"
ACCOUNT = "LibraryECOM"
LIBRARY = LibraryInfo(
    key="town", name="Town Library", currency="EUR", languages=("de",), time_zone="Europe/Berlin"
)


def config(**changes: Any) -> AdyenConfig:
    table: dict[str, Any] = {
        "api_key": SecretStr("AQE-simulator"),
        "merchant_account": ACCOUNT,
        "hmac_keys": (SecretStr(KEY),),
        "statement": "STADTBUECHEREI",
        "api_base": f"http://{ADYEN}",
    }
    return AdyenConfig(**{**table, **changes})


@pytest.fixture
def world():
    return SimulatedWorld()


@pytest.fixture
def adyen(world):
    simulator = AdyenSimulator(world, public_url=f"http://{ADYEN}")
    world.remotes = {ADYEN: simulator}
    return simulator


@pytest.fixture
def provider(world, adyen):
    """Return a maker of the provider as the core has it."""

    def make(**changes: Any) -> AdyenProvider:
        return AdyenProvider(config(**changes), PluginHost(world, LIBRARY))

    return make


@pytest.fixture
def attempt(world):
    """Return a maker of attempts with the request that *house* prepared for them."""

    def make(house: AdyenProvider, **changes: Any) -> Attempt:
        values: dict[str, Any] = {
            "key": "KEY1",
            "reference": "PAY1",
            "cents": 1250,
            "currency": "EUR",
            "method": "card",
            "lines": (AttemptLine(text="Säumnisgebühr", cents=1250),),
            "language": "de",
            "return_url": "https://pay.example/r?t=1",
            "cancel_url": "https://pay.example/c",
            "created_at": world.now(),
            "installation": "INSTALLATION",
            **changes,
        }
        return Attempt(**{**values, "request": house.prepare(Attempt(**values))})

    return make


class AdyenTown(Town):
    """The town of the other tests, with Adyen in the place of Stripe."""

    def __init__(self, url: str, **table: Any) -> None:
        self.world = SimulatedWorld()
        self.koha = KohaSimulator.demo(self.world)
        self.adyen = AdyenSimulator(self.world, public_url=f"http://{ADYEN}")
        self.world.remotes = {KOHA: self.koha, ADYEN: self.adyen}
        os.environ.update(TOWN_ADYEN_KEY="AQE-simulator", TOWN_ADYEN_HMAC=KEY)
        self.settings = settings_for(
            url,
            providers={
                "adyen": {
                    "api_key": {"env": "TOWN_ADYEN_KEY"},
                    "merchant_account": ACCOUNT,
                    "hmac_keys": [{"env": "TOWN_ADYEN_HMAC"}],
                    "statement": "STADTBUECHEREI",
                    "api_base": f"http://{ADYEN}",
                    **table,
                }
            },
            methods=[
                {"method": "card", "provider": "adyen", "minimum_amount": "1.00"},
                {"method": "instant_bank_transfer", "provider": "adyen"},
            ],
        )
        lay_down(url)
        self.house: House = open_house(self.settings, self.world)
        self.desk = self.house.libraries["lindental"]
        self.erika = PatronRef(str(self.koha.patron_ids["erika"]))

    def session_of(self, payment_id: str) -> str:
        pages = self.adyen.truth()["pages"].values()
        [found] = [page["id"] for page in pages if page["wanted"]["reference"] == payment_id]
        return str(found)

    def money_of(self, payment_id: str) -> str:
        """The reference of the money that was taken for a payment."""
        paid = self.adyen.truth()["payments"].items()
        [found] = [
            psp for psp, one in paid if one["reference"] == payment_id and one["status"] == "authorised"
        ]
        return str(found)

    def deliver_webhooks(self) -> int:
        parcels = self.adyen.due_deliveries()
        for parcel in parcels:
            notices = self.desk.providers["adyen"].notice(parcel.raw_request(), self.world.now())
            assert not isinstance(notices, Forged), notices
            rows = [intake.row("lindental", "adyen", notice) for notice in notices]
            if rows:
                with self.house.store.unit() as unit:
                    intake.store(unit, rows)
            self.adyen.answered(parcel, 200)
        return len(parcels)

    def hear(self) -> None:
        """Deliver what is due and do what follows from it."""
        self.deliver_webhooks()
        self.run()


@pytest.fixture(params=["links", "sessions"])
def adyen_town(request, tmp_path):
    """The town in both ways of Adyen's payment pages."""
    built = AdyenTown(f"sqlite:///{tmp_path}/ledger.db", checkout=request.param)
    yield built
    built.close()


@pytest.fixture
def town_with(tmp_path):
    """Return a maker of one town with further keys of the provider's table."""
    towns: list[AdyenTown] = []

    def make(**table: Any) -> AdyenTown:
        towns.append(AdyenTown(f"sqlite:///{tmp_path}/ledger{len(towns)}.db", **table))
        return towns[-1]

    yield make
    for one in towns:
        one.close()
