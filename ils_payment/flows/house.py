"""The whole house at work: settings, store, world, and one desk for each library."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import structlog

from ils_payment.config import Library
from ils_payment.errors import ConfigurationError, RemoteGarbledError
from ils_payment.flows.calls import Watch, watched
from ils_payment.flows.desk_checks import check_desk
from ils_payment.flows.tariffs import open_category_fees, open_tariff
from ils_payment.loading import plugin_config
from ils_payment.model import MarkerSupport, RenewSupport
from ils_payment.money import parse
from ils_payment.plugins import Plugins
from ils_payment.ports import LibraryInfo
from ils_payment.store import installation, patrons, payments
from ils_payment.store.installation import Installation
from ils_payment.store.unit import Store
from ils_payment.world import PluginHost

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import date, datetime

    from ils_payment.config import Settings
    from ils_payment.domain.tariff import Tariff
    from ils_payment.flows.tariffs import CategoryFees
    from ils_payment.model import Account, PatronRef
    from ils_payment.ports import (
        Charging,
        Contacting,
        ELendingPlatform,
        Evidencing,
        Expiring,
        LibrarySystem,
        Lifting,
        PaymentProvider,
        Renewing,
    )
    from ils_payment.world import World

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """One library at work."""

    key: str
    settings: Library
    system: LibrarySystem
    providers: Mapping[str, PaymentProvider]
    tariff: Tariff | None = None
    category_fees: CategoryFees | None = None
    """What the library system takes itself, where it tells."""
    elending: Mapping[str, ELendingPlatform] = field(default_factory=dict)
    """The library's eLending platforms by the names of their tables."""

    @property
    def patrons(self) -> str:
        """Return the name under which patrons are known: libraries that share a system share its patrons."""
        return self.settings.patrons_known_as or self.system.capabilities().identity or self.key

    @property
    def signs_in(self) -> bool:
        """Tell whether patrons can come in here with card number and PIN."""
        return self.settings.arrival.card_and_pin and self.system.capabilities().sign_in

    @property
    def hands_over(self) -> bool:
        """Tell whether an OPAC can hand patrons over: it has a key, and knows how patrons are named here."""
        return bool(self.settings.arrival.keys) and self.system.capabilities().handed_over

    # What is declared is implemented, or the desk would not have been opened (desk_checks); so each door
    # below is the library system itself.

    @property
    def charging(self) -> Charging | None:
        """Return the library system as one that charges debits, None where it does not."""
        return cast("Charging", self.system) if self.system.capabilities().can_charge else None

    @property
    def renewing(self) -> Renewing | None:
        """Return the library system as one that renews cards, None where it does not."""
        renews = self.system.capabilities().can_renew is not RenewSupport.NO
        return cast("Renewing", self.system) if renews else None

    @property
    def lifting(self) -> Lifting | None:
        """Return the library system as one that lifts blocks, None where it does not."""
        return cast("Lifting", self.system) if self.system.capabilities().can_lift else None

    @property
    def expiring(self) -> Expiring | None:
        """Return the library system as one that lists cards by their expiry, None where it does not."""
        return cast("Expiring", self.system) if self.system.capabilities().lists_expiring else None

    @property
    def contacting(self) -> Contacting | None:
        """Return the library system as one that shows contact data, None where it does not."""
        return cast("Contacting", self.system) if self.system.capabilities().shows_contact else None

    @property
    def evidencing(self) -> Evidencing | None:
        """Return the library system as one that knows of evidence, None where it does not."""
        return cast("Evidencing", self.system) if self.system.capabilities().shows_evidence else None

    def day_of(self, instant: datetime) -> date:
        """Return the day of *instant* at the library."""
        return instant.astimezone(self.settings.zone).date()

    @property
    def reads_markers(self) -> bool:
        """Tell whether a credit can be found by its marker at any time."""
        can = self.system.capabilities()
        return can.marker is MarkerSupport.READABLE and can.unattended_read

    @property
    def live(self) -> bool:
        """Tell whether any provider of this library moves real money."""
        return any(provider.capabilities().live for provider in self.providers.values())

    def account(self, patron: PatronRef) -> Account:
        """Read a patron's account; a list that the library system cut is no answer. Raises RemoteError."""
        account = self.system.account(patron)
        if not account.complete:
            raise RemoteGarbledError(
                "The library system did not list all fees of a patron.",
                mend="Raise its limit for lists, or let the patron pay at the desk.",
            )
        return account

    def minimum(self, method: str) -> int | None:
        """Return the smallest sum for *method* in cents, None when it is not offered."""
        for offered in self.settings.methods:
            if offered.method == method:
                return parse(Decimal(offered.minimum_amount), self.settings.currency)
        return None

    @property
    def two_persons_from(self) -> int:
        """Return the amount in cents from which on a refund needs a second person."""
        return parse(Decimal(self.settings.two_persons_from), self.settings.currency)

    def provider_of(self, method: str) -> str:
        """Return the name of the provider that serves *method* (KeyError when it is not offered)."""
        return {offered.method: offered.provider for offered in self.settings.methods}[method]


@dataclass(slots=True)
class House:
    """Everything that the journeys need."""

    settings: Settings
    store: Store
    world: World
    plugins: Plugins
    libraries: Mapping[str, Desk]
    installation: Installation
    watch: Watch = field(default_factory=Watch)
    """Hears of every call to a remote."""
    wake: Callable[[], None] = lambda: None
    """Tells the runner that something is due; set by whoever runs it, may be called from any thread."""

    def make_due(self, payment_id: str) -> bool:
        """Ask for ``advance`` of a payment soon; False when there is no such payment."""
        with self.store.unit() as unit:
            found = payments.make_due(unit, payment_id)
        self.wake()
        return found

    @property
    def paused(self) -> bool:
        """Tell whether no new payments are accepted; paid ones are finished all the same."""
        with self.store.read() as unit:
            return installation.is_paused(unit)

    def pause(self, *, paused: bool) -> None:
        """Accept no new payments, or accept them again."""
        with self.store.unit() as unit:
            installation.pause(unit, paused=paused)

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def open_store(settings: Settings, world: World) -> Store:
    """Return the store that the configuration names, unchecked."""
    password = settings.server.database_password
    return Store(settings.server.database, world, password=password.get_secret_value() if password else None)


def open_house(settings: Settings, world: World) -> House:
    """Load the plugins, build a desk for each library, and check that the database is as needed."""
    plugins = Plugins(settings.plugin_names())
    watch = Watch(world.monotonic)
    desks = {
        key: open_desk(key, library, plugins, world, watch) for key, library in settings.libraries.items()
    }
    store = open_store(settings, world)
    store.check()
    with store.read() as unit:
        ours = installation.read(unit)
        refuse_missing(desks, patrons.libraries(unit, going_on=True))
        for desk in desks.values():
            refuse_strangers(desk, patrons.known_as(unit, desk.key))
    return House(settings, store, world, plugins, desks, ours, watch)


def refuse_missing(configured: Collection[str], going_on: Iterable[str]) -> None:
    """Refuse to start without a library whose payments go on: nobody would finish them, or tell of them."""
    for key in going_on:
        if key not in configured:
            raise ConfigurationError(
                f"Payments of {key} go on, and the configuration has no [libraries.{key}].",
                mend="Keep the table under its key until they are at their end and all days are exported; a "
                "library that is renamed keeps its key.",
            )


def refuse_strangers(desk: Desk, known: Iterable[str]) -> None:
    """Refuse to go on with payments of patrons whom another library system knows by their ids.

    *known* are the names of the library systems whose patrons have payments that go on.
    """
    others = [one for one in known if one != desk.patrons]
    if others:
        raise ConfigurationError(
            f"Payments of {desk.key} go on, and their patrons belong to {others[0]}; "
            f"the library system is {desk.patrons} now.",
            mend=f'If only its address is new: patrons_known_as = "{others[0]}" in [libraries.{desk.key}]. '
            "If it is another one, go back to the former until these payments are at their end.",
        )


def open_desk(key: str, library: Library, plugins: Plugins, world: World, watch: Watch | None = None) -> Desk:
    """Build the plugins of one library from their own tables of the configuration."""
    watch = watch or Watch(world.monotonic)
    info = LibraryInfo(
        key=key,
        name=library.name,
        currency=library.currency,
        languages=library.languages,
        time_zone=library.time_zone,
    )
    host = PluginHost(world, info)
    kind = plugins.library_system(library.library_system.plugin)
    where = f"libraries.{key}.library_system"
    system = kind(plugin_config(kind, library.library_system, where), host)
    system = watched(system, key, library.library_system.plugin, watch)
    providers = {}
    for name, table in library.providers.items():
        provider = plugins.provider(table.plugin)
        where = f"libraries.{key}.providers.{name}"
        opened = provider(plugin_config(provider, table, where), host)
        providers[name] = watched(opened, key, name, watch)
    elending = {}
    for name, table in library.elending.items():
        platform = plugins.elending(table.plugin)
        where = f"libraries.{key}.elending.{name}"
        elending[name] = watched(platform(plugin_config(platform, table, where), host), key, name, watch)
    desk = Desk(
        key,
        library,
        system,
        providers,
        tariff=open_tariff(key, library),
        category_fees=open_category_fees(system, world.monotonic),
        elending=elending,
    )
    check_desk(desk)
    return desk
