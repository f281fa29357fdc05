"""One schedule's stage: database, processes, library, patrons and remotes, all out of one seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator import KohaSimulator
from ils_payment_koha.simulator.demo import RIGHTS
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.model import PatronRef
from tests.conftest import KOHA, STRIPE
from tests.faults.fault_world import RemoteWorld
from tests.faults.kit import CARDS
from tests.faults.lending import Lending
from tests.faults.mix import has_platforms
from tests.faults.remotes import KohaGate, StripeGate
from tests.faults.stage import Stage
from tests.flows.renewing import tariff

if TYPE_CHECKING:
    from ils_payment.flows.desk import Desk
    from ils_payment.model import RawRequest, Reply
    from tests.faults.kit import Kit

_STARTS = {
    "": datetime(2026, 11, 21, 21, 0, tzinfo=UTC),
    "dst_change": datetime(2026, 10, 25, 0, 40, tzinfo=UTC),
    "year_end": datetime(2026, 12, 31, 22, 40, tzinfo=UTC),
}


class Setting(Stage):
    """A library with Koha and Stripe. Closing is the kit's matter: the next schedule starts afresh."""

    def __init__(self, kit: Kit, seed: int) -> None:
        super().__init__(kit, seed)
        self.mix.add_cards(seed)
        self.mix.add_platforms(seed)
        self.mix.add_meetings(seed)
        self.settings = kit.selling if self.sells_cards else kit.settings
        self.begin(lambda: _STARTS[self._calendar()])
        outside = RemoteWorld(self.scheduler, self.mix, self.world.start)
        self.koha = KohaSimulator(outside, seed=seed)
        self.stripe = StripeSimulator.demo(world=outside, public_url=f"http://{STRIPE}", seed=seed)
        self.gates: dict[str, Any] = {
            KOHA: KohaGate(self.koha, self.scheduler, self.mix),
            STRIPE: StripeGate(self.stripe, self.scheduler, self.mix),
        }
        self.koha_gate: KohaGate = self.gates[KOHA]
        self.world.exchange = self._exchange
        self.paid_twice: set[str] = set()
        """The markers whose fees the desk took cash for between our credit and our look at it."""
        self.lending = Lending(self.mix) if has_platforms(seed) else None
        self.canaries: list[str] = [f"kanari{seed}x", *CARDS, "demo-secret", "sk_test_sim", "whsec_sim"]
        self.patrons: list[PatronRef] = self._populate()
        self.open_processes()

    @property
    def sells_cards(self) -> bool:
        """Tell whether cards can be renewed here."""
        return "card_sold" in self.mix.chance

    def furnished(self, desk: Desk) -> Desk:
        """Lay the tariff on a desk that sells card renewals, and connect the platform where there is one."""
        desk = replace(desk, tariff=tariff()) if self.sells_cards else desk
        return self.lending.connected(desk) if self.lending else desk

    def bank_decides_at(self) -> float:
        """Return when Stripe decides the next pending payment; infinite where none is."""
        decided = [at for at, _ in self.stripe.book.pending.values() if at is not None]
        return min(decided) - self._zero if decided else float("inf")

    def bank_decides(self) -> None:
        """Let Stripe decide what is to be decided by now."""
        self.stripe.tick()

    def _calendar(self) -> str:
        for name in ("dst_change", "year_end"):
            if self.mix.has(name):
                self.mix.fired[name] += 1
                return name
        return ""

    def _exchange(self, netloc: str, raw: RawRequest) -> Reply | None:
        gate = self.gates.get(netloc)
        return gate.handle(raw) if gate is not None else None

    def _populate(self) -> list[PatronRef]:
        """Open a small library: some patrons with some fees, and names that must show up nowhere."""
        koha, rng = self.koha, self.rng
        koha.add_library("ZENTRALE", "Zentralbibliothek")
        koha.add_category("ERW", 1500)
        staff: dict[str, Any] = {"category_id": "ERW", "library_id": "ZENTRALE", "charge": False}
        api = koha.add_patron("M0002", "demo-secret", surname="Kasse", userid="kasse", rights=RIGHTS, **staff)
        koha.add_client("ils-payment", "demo-secret", api)
        refs = []
        for number in range(rng.choice(self.size.patrons)):
            name = f"Kanari{self.seed}x"
            patron = koha.add_patron(CARDS[number], "4711", surname=name, firstname=f"{name}vor", **staff)
            for _ in range(rng.choice((1, 2, 2, 3))):
                self.charge(patron)
            refs.append(PatronRef(str(patron)))
        return refs

    def charge(self, patron: int) -> int:
        """Let a patron owe one fee more; the text is the title of a book, which nobody else may read."""
        text = f"Kanari{self.seed}x Titel"
        cents = self.rng.choice((100, 150, 250, 333, 1000, self.rng.randint(101, 5000)))
        return self.koha.add_fee(patron, cents, "MANUAL", text, library_id="ZENTRALE", days_ago=3)
