"""The stage of one pair: any library system and any provider, on the stands of their contract kits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, TypeVar

from ils_payment.flows.calls import Watch, watched
from ils_payment.model import RenewSupport
from ils_payment.testing.stands import Stand
from tests.faults.pairs.pairing import pair
from tests.faults.stage import Stage
from tests.flows.renewing import tariff

if TYPE_CHECKING:
    from ils_payment.flows.desk import Desk
    from ils_payment.model import RawRequest, Reply
    from ils_payment.testing.stands import Person
    from tests.faults.kit import Kit

Kind = TypeVar("Kind", bound=Stand)

LIBRARY = "lindental"
PROVIDER = "stripe"
"""The name of the provider's table in the town's configuration, whichever provider stands there."""

CARDS_SHARE = 0.5
"""How many of the schedules sell card renewals, where the library system can renew."""

_START = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Taken:
    """Money that a payer has paid in a session."""

    payment_id: str
    session_ref: str
    cents: int


@dataclass
class Truth:
    """What really happened at the provider, as those saw it who did it."""

    taken: list[Taken] = field(default_factory=list)
    charged_back: set[str] = field(default_factory=set)
    """Payments whose money the payers' banks took back."""
    desk_renewals: int = 0
    """How often the desk has renewed a card."""


class PairStage(Stage):
    """One library system and one provider."""

    def __init__(self, kit: Kit, seed: int, plugin: str) -> None:
        super().__init__(kit, seed)
        library, provider = pair(plugin, seed)
        self.begin(lambda: _START)
        self.library = self._stand(library)
        self.provider = self._stand(provider)
        self.can = self.library.open().capabilities()
        self.provider_can = self.provider.open().capabilities()
        self.sells_cards = (
            self.can.can_renew is not RenewSupport.NO and Random(f"{seed} the cards").random() < CARDS_SHARE
        )
        self.truth = Truth()
        self.stirred = float("inf")
        """When the provider was last asked or used, so that it may have something to tell."""
        self.scheduler.note(f"{self.library.name} and {self.provider.name}")
        self.world.exchange = self._exchange
        rng = Random(f"{seed} the fees")
        self.people = [self._person(rng) for _ in range(rng.choice(self.size.patrons))]
        self.canaries = [*self.library.secrets, *self.provider.secrets, *self.provider.payer]
        for person in self.people:
            self.canaries += [person.card, person.pin, f"Kanari{seed}x"]
        self.settings = self._settings()
        self.open_processes()

    def furnished(self, desk: Desk) -> Desk:
        """Put the plugins of this pair on the desk, new and with connections of their own."""
        watch = Watch(self.world.monotonic)
        return replace(
            desk,
            tariff=tariff() if self.sells_cards else None,
            system=watched(self.library.open(), LIBRARY, self.library.name, watch),
            providers={PROVIDER: watched(self.provider.open(), LIBRARY, PROVIDER, watch)},
        )

    def charge(self, person: Person, rng: Random) -> None:
        """Let *person* owe one fee more, or more of the only one."""
        cents = rng.choice((100, 150, 250, 333, 1000, rng.randint(101, 5000)))
        self.library.add_fee(person, cents, text="Gebühr")

    def stir(self) -> None:
        """Say that something happened at the provider of which it may tell."""
        self.stirred = self.scheduler.seconds

    def _stand(self, kind: type[Kind]) -> Kind:
        """Build a stand in the program's world, so that its remote is reached by the program's wires.

        It has connections for everybody: all tasks share one thread, which must not wait for a free one.
        """
        here = {"make_world": lambda _stand: self.world, "connections": 32}
        return type(kind.__name__, (kind,), here)()

    def _person(self, rng: Random) -> Person:
        ends = None
        if self.sells_cards:
            ends = self.world.now().date() + timedelta(days=rng.choice((-20, 0, 1, 10, 40)))
        person = self.library.add_patron(name=f"Kanari{self.seed}x", valid_until=ends)
        for _ in range(rng.choice((1, 2, 2, 3))):
            self.charge(person, rng)
        return person

    def _settings(self):
        settings = self.kit.settings
        town = settings.libraries[LIBRARY]
        town = town.model_copy(update={"test_cards": tuple(person.card for person in self.people)})
        return settings.model_copy(update={"libraries": {LIBRARY: town}})

    def _exchange(self, netloc: str, raw: RawRequest) -> Reply | None:
        remote = self.world.remotes.get(netloc)
        self.stir()
        return remote.handle(raw) if remote is not None else None
