"""The whole house at work: settings, store, world, and one desk for each library."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog

from ils_payment.config import Library
from ils_payment.domain.payable import Rule
from ils_payment.errors import ConfigurationError, PluginError, RemoteGarbledError
from ils_payment.flows.calls import Watch, watched
from ils_payment.loading import plugin_config
from ils_payment.model import ReadSupport, RefundSupport, RenewSupport
from ils_payment.money import MoneyError, parse
from ils_payment.plugins import Plugins
from ils_payment.ports import (
    Charging,
    Contacting,
    Expiring,
    LibraryInfo,
    Lifting,
    Listing,
    PayingOut,
    Pricing,
    Refunding,
    Renewing,
)
from ils_payment.store import installation, payments
from ils_payment.store.installation import Installation
from ils_payment.store.unit import Store
from ils_payment.world import PluginHost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ils_payment.config import Settings
    from ils_payment.domain.tariff import Tariff
    from ils_payment.model import Account, PatronRef
    from ils_payment.ports import LibrarySystem, PaymentProvider
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

    @property
    def patrons(self) -> str:
        """Return the name under which patrons are known: libraries that share a system share its patrons."""
        return self.system.capabilities().identity or self.key

    @property
    def live(self) -> bool:
        """Tell whether any provider of this library moves real money."""
        return any(provider.capabilities().live for provider in self.providers.values())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the configured rules of what may not be paid online."""
        return tuple(
            Rule(text=rule.text, kind=rule.kind, status=rule.status, older_than_days=rule.older_than_days)
            for rule in self.settings.not_payable
        )

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
    return House(settings, store, world, plugins, desks, ours, watch)


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
    desk = Desk(key, library, system, providers)
    _check_reading(desk)
    _check_doors(desk)
    _check_renewal(desk)
    _check_methods(desk)
    return desk


def _check_doors(desk: Desk) -> None:
    """Refuse a plugin that declares what it does not implement."""
    system = desk.system.capabilities()
    declared: list[tuple[str, object, bool, type]] = [
        ("library_system", desk.system, declares, door)
        for declares, door in (
            (system.can_charge, Charging),
            (system.can_renew is not RenewSupport.NO, Renewing),
            (system.can_lift, Lifting),
            (system.lists_expiring, Expiring),
            (system.prices_categories, Pricing),
            (system.shows_contact, Contacting),
        )
    ]
    for name, provider in desk.providers.items():
        can = provider.capabilities()
        where = f"providers.{name}"
        declared += [
            (where, provider, can.refund is not RefundSupport.NONE, Refunding),
            (where, provider, can.listing, Listing),
            (where, provider, can.payouts, PayingOut),
        ]
    for where, plugin, declares, door in declared:
        if declares and not isinstance(plugin, door):
            raise PluginError(
                f"libraries.{desk.key}.{where}: the plugin declares what it has not: {door.__name__}.",
                mend="Tell the author of the plugin; an older or newer version may be right.",
            )


def _check_renewal(desk: Desk) -> None:
    """Refuse to let patrons confirm contact data that nobody can show them."""
    if desk.settings.renewal.confirm_contact and not desk.system.capabilities().shows_contact:
        raise ConfigurationError(
            f"libraries.{desk.key}.renewal.confirm_contact: this library system does not show contact data.",
            mend="Leave the key away; patrons renew without this step then.",
        )


def _check_reading(desk: Desk) -> None:
    """Refuse a provider that cannot be read at any time: what it took could not be told for sure."""
    for name, provider in desk.providers.items():
        if provider.capabilities().read is not ReadSupport.FULL:
            raise PluginError(
                f"libraries.{desk.key}.providers.{name}: this provider cannot be read at any time.",
                mend="This version works only with providers that can be read; choose another.",
            )


def _check_methods(desk: Desk) -> None:
    """Refuse methods that their provider does not know, and amounts that are none."""
    try:
        _ = desk.two_persons_from
    except (MoneyError, ArithmeticError):
        raise ConfigurationError(
            f"libraries.{desk.key}.two_persons_from is not an amount: {desk.settings.two_persons_from!r}",
            mend="Write it like 0.00.",
        ) from None
    for place, method in enumerate(desk.settings.methods):
        where = f"libraries.{desk.key}.methods[{place}]"
        known = desk.providers[method.provider].methods()
        if method.method not in known:
            raise ConfigurationError(
                f"{where}: the provider {method.provider} does not offer the method {method.method!r}.",
                mend=f"It offers: {', '.join(known)}.",
            )
        try:
            desk.minimum(method.method)
        except (MoneyError, ArithmeticError):
            raise ConfigurationError(
                f"{where}.minimum_amount is not an amount: {method.minimum_amount!r}",
                mend="Write it like 1.00.",
            ) from None
