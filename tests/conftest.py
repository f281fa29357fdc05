"""What all tests share: a database of each kind, and a small town with a library at work in one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_stripe.simulator import StripeSimulator
from sqlalchemy import select

from ils_payment import plugins
from ils_payment.config import Settings
from ils_payment.flows import pay, see, show
from ils_payment.flows.advance import advance, due
from ils_payment.flows.house import House, open_house
from ils_payment.flows.views import Begun, NotBegun, PaymentView
from ils_payment.model import PatronRef, RawRequest
from ils_payment.store import intake
from ils_payment.store.tables import micros, payments
from ils_payment.testing.world import SimulatedWorld
from tests.ledgers import MOULD, PostgreSQL, lay_down, memory, postgresql

# Each run tries the same examples, and a crowded machine fails nothing by being slow.
settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

# What is installed stays so while tests run, and to look is half of the work of opening a house.
plugins.installed = cache(plugins.installed)

KOHA = "koha.test"
STRIPE = "127.0.0.1:12111"


def pytest_configure(config: pytest.Config) -> None:
    """Let the folders of tests lie in memory, where committing to a database need not wait for a disk."""
    if place := memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", place)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """A real PostgreSQL of this test process."""
    with postgresql() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql_server: PostgreSQL) -> Iterator[str]:
    """A database of its own for one test, with an empty ledger."""
    with postgresql_server.database(MOULD) as url:
        yield url


@pytest.fixture
def bare_postgresql_url(postgresql_server: PostgreSQL) -> Iterator[str]:
    """A database of its own for one test, without any table."""
    with postgresql_server.database("template1") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty ledger; a test that asks for it runs on both kinds of database."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    url = f"sqlite:///{tmp_path}/ledger.db"
    lay_down(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without any table, of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("bare_postgresql_url"))
    return f"sqlite:///{tmp_path}/ledger.db"


def settings_for(url: str, **library: Any) -> Settings:
    """The configuration of the town's library; *library* changes or adds keys of its table."""
    table = {
        "name": "Stadtbücherei Lindental",
        "staff_email": "team@lindental.example",
        "test_cards": [
            "21234000012345",
            "21234000012383",
            "21234000012376",
            "21234000012369",
            "21234000012352",
        ],
        "library_system": {
            "plugin": "koha",
            "url": f"https://{KOHA}/api/v1",
            "client_id": "ils-payment",
            "client_secret": {"env": "TOWN_KOHA_SECRET"},
            "library_id": "ZENTRALE",
        },
        "providers": {
            "stripe": {
                "api_key": {"env": "TOWN_STRIPE_KEY"},
                "webhook_secrets": [{"env": "TOWN_STRIPE_WEBHOOK"}],
                "statement_descriptor": "STADTBUECHEREI",
                "api_base": f"http://{STRIPE}",
            }
        },
        "methods": [
            {"method": "card", "provider": "stripe", "minimum_amount": "1.00"},
            {"method": "instant_bank_transfer", "provider": "stripe"},
        ],
        "not_payable": [
            {
                "older_than_days": 1000,
                "text": {
                    "de": "An die Stadtkasse abgegeben: bitte dort zahlen.",
                    "en": "Handed over to the treasury.",
                },
            }
        ],
        "fee_kinds": {
            "OVERDUE": {
                "label": {"de": "Säumnisgebühr", "en": "Overdue fee"},
                "cost_centre": "4711",
                "account": "331100",
                "tax_code": "A1",
            }
        },
        **library,
    }
    os.environ.update(
        TOWN_KOHA_SECRET="demo-secret",
        TOWN_STRIPE_KEY="sk_test_simulator",
        TOWN_STRIPE_WEBHOOK="whsec_simulator",
    )
    return Settings.model_validate(
        {
            "server": {"public_url": "https://pay.lindental.example", "database": url},
            "libraries": {"lindental": table},
        }
    )


class Town:
    """A library with a simulated Koha and a simulated Stripe, all in this process, on a standing clock."""

    def __init__(self, url: str, **library: Any) -> None:
        self.world = SimulatedWorld()
        self.koha = KohaSimulator.demo(self.world)
        self.stripe = StripeSimulator.demo(world=self.world, public_url=f"http://{STRIPE}")
        self.world.remotes = {KOHA: self.koha, STRIPE: self.stripe}
        self.settings = settings_for(url, **library)
        lay_down(url)
        self.house: House = open_house(self.settings, self.world)
        self.desk = self.house.libraries["lindental"]
        self.erika = PatronRef(str(self.koha.patron_ids["erika"]))

    def close(self) -> None:
        self.house.close()

    def begin(
        self, *, method: str = "card", patron: PatronRef | None = None, only: int | None = None
    ) -> Begun | NotBegun:
        """Confirm all payable fees (or the first *only* of them) as the fees page shows them."""
        who = patron or self.erika
        view = see.fees(self.house, self.desk, who)
        lines = [line for line in view.lines if line.payable][:only]
        total = sum(line.cents for line in lines)
        return pay.begin(self.house, self.desk, who, [line.key for line in lines], method, "de", total)

    def started(self, **options: Any) -> str:
        """Begin a payment that must start; return its id."""
        begun = self.begin(**options)
        assert isinstance(begun, Begun), begun
        return begun.payment_id

    def session_of(self, payment_id: str) -> str:
        """The provider session of a payment."""
        sessions = [
            s for s in self.stripe.truth()["sessions"].values() if s["client_reference_id"] == payment_id
        ]
        assert len(sessions) == 1
        return str(sessions[0]["id"])

    def view(self, payment_id: str) -> PaymentView:
        found = show.payment(self.house, payment_id)
        assert found is not None
        return found

    def deliver_webhooks(self) -> int:
        """Hand every due webhook to the product's own verification and intake; return how many."""
        parcels = self.stripe.due_deliveries()
        for parcel in parcels:
            headers = {name.lower(): value for name, value in parcel.headers.items()}
            request = RawRequest(
                method="POST", path="/webhooks/lindental/stripe", headers=headers, body=parcel.body
            )
            notices = self.desk.providers["stripe"].notice(request, self.world.now())
            assert isinstance(notices, (list, tuple)), notices
            rows = [intake.row("lindental", "stripe", notice) for notice in notices]
            if rows:
                with self.house.store.unit() as unit:
                    intake.store(unit, rows)
            self.stripe.answered(parcel, 200)
        return len(parcels)

    def run(self, *, rounds: int = 20) -> None:
        """Advance what is due until nothing is due at this instant."""
        for _ in range(rounds):
            waiting = due(self.house, 100)
            if not waiting:
                return
            for payment_id in waiting:
                advance(self.house, payment_id)
        raise AssertionError("something stays due for ever")

    def run_for(self, *, rounds: int = 400, **span: float) -> None:
        """Let simulated time pass and advance whatever becomes due meanwhile, step by step."""
        self.run()
        soonest = self._soonest()
        for _ in range(rounds):
            self.world.pass_time(**{unit: amount / rounds for unit, amount in span.items()})
            if soonest is not None and soonest <= micros(self.world.now()):
                self.run()
                soonest = self._soonest()

    def _soonest(self) -> int | None:
        """The microsecond before which nothing is due, so that earlier steps need no look; None: never."""
        with self.house.store.read() as unit:
            waiting = select(payments.c.due_at, payments.c.lease_until).where(payments.c.due_at.is_not(None))
            rows = unit.connection.execute(waiting).all()
        return min((max(micros(due_at), (lease or 0) + 1) for due_at, lease in rows), default=None)

    def credits(self, patron: str = "erika") -> list[dict[str, Any]]:
        """The marked credits that the simulated Koha holds for a patron."""
        account = self.koha_account(patron)
        return [
            credit for credit in account["credits"].values() if (credit["marker"] or "").startswith("ILSP-")
        ]

    def koha_account(self, patron: str = "erika") -> dict[str, Any]:
        return dict(self.koha.truth()["patrons"][str(self.koha.patron_ids[patron])])


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """The town on SQLite."""
    built = Town(f"sqlite:///{tmp_path}/ledger.db")
    yield built
    built.close()


@pytest.fixture
def each_town(database_url: str) -> Iterator[Town]:
    """The town, once on SQLite and once on PostgreSQL."""
    built = Town(database_url)
    yield built
    built.close()
