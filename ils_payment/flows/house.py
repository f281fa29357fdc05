"""The whole house at work: settings, store, world, and one desk for each library, opened and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from ils_payment.config import Library
from ils_payment.errors import ConfigurationError
from ils_payment.flows.calls import Watch, watched
from ils_payment.flows.category_fees import open_category_fees
from ils_payment.flows.desk import Desk
from ils_payment.flows.desk_checks import check_desk
from ils_payment.flows.tariffs import open_tariff
from ils_payment.loading import plugin_config
from ils_payment.plugins import Plugins
from ils_payment.ports import LibraryInfo
from ils_payment.store import installation, patrons, payments
from ils_payment.store.installation import Installation
from ils_payment.store.unit import Store
from ils_payment.world import PluginHost

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ils_payment.config import Settings
    from ils_payment.world import World

log = structlog.get_logger(__name__)


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
        names = {key: desk.providers for key, desk in desks.items()}
        refuse_missing_providers(names, patrons.providers(unit, going_on=True))
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


def refuse_missing_providers(
    configured: Mapping[str, Collection[str]], going_on: Iterable[tuple[str, str]]
) -> None:
    """Refuse to start without a provider whose payments go on: nobody could ask it, or give money back there.

    *configured* are the names of the providers of each library, *going_on* those with such payments.
    """
    for key, name in going_on:
        if key in configured and name not in configured[key]:
            raise ConfigurationError(
                f"Payments of {key} with {name} go on, and the configuration has no "
                f"[libraries.{key}.providers.{name}].",
                mend="Keep the table under its name; without methods that name it, nobody begins a payment "
                "with it. A provider that is renamed keeps its name.",
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
