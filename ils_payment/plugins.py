"""Loads by name what the configuration names, and gives one typed method for each hook."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar

import pluggy
import structlog

from ils_payment import hookspecs
from ils_payment._markers import PROJECT
from ils_payment.errors import PluginError, installing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ils_payment.model import SettledPayment
    from ils_payment.ports import ELendingPlatform, LibrarySystem, PaymentProvider, Runner

_T = TypeVar("_T")

GROUP = "ils_payment"
SIMULATOR_GROUP = "ils_payment.simulators"

_CALLED = {
    "library_system": "library system",
    "providers": "payment provider",
    "elending": "eLending platform",
    "runner": "runner",
}
"""What a plugin is that a key of the configuration names."""

log = structlog.get_logger(__name__)


def installed(group: str = GROUP) -> dict[str, EntryPoint]:
    """Return the installed entry points of *group* by name, without importing any of them."""
    return {point.name: point for point in entry_points(group=group)}


class Plugins:
    """The plugins that were named; built-in ones come through the same door as a stranger's."""

    def __init__(self, names: Iterable[str]) -> None:
        """Load each name once; raise PluginError for one that is absent or cannot be imported."""
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        known = installed()
        for name in sorted(set(names)):
            point = known.get(name)
            if point is None:
                raise PluginError(
                    f"The plugin {name!r} is not installed.",
                    mend=f"Installed plugins: {', '.join(sorted(known)) or 'none'}. "
                    "Correct the name, or install the package that brings it.",
                )
            self._manager.register(load(point), name=name)
        self._check()
        self._systems = {
            n: c for found in self._manager.hook.ils_payment_library_systems() for n, c in found.items()
        }
        self._providers = {
            n: c for found in self._manager.hook.ils_payment_providers() for n, c in found.items()
        }
        self._platforms = {
            n: c for found in self._manager.hook.ils_payment_elending_platforms() for n, c in found.items()
        }
        self._runners = {n: c for found in self._manager.hook.ils_payment_runners() for n, c in found.items()}

    def _check(self) -> None:
        """Refuse misspelt hooks: pluggy would silently never call them."""
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            name = self._manager.get_name(error.plugin)
            raise PluginError(
                f"The plugin {name!r} implements a hook that does not exist: {error}",
                mend="Update the plugin, or report it to its author.",
            ) from error

    def library_system(self, name: str) -> type[LibrarySystem]:
        """Return the class of the library system *name*; PluginError if no loaded plugin has it."""
        return self._named(self._systems, name, "library_system")

    def provider(self, name: str) -> type[PaymentProvider]:
        """Return the class of the payment provider *name*; PluginError if no loaded plugin has it."""
        return self._named(self._providers, name, "providers")

    def elending(self, name: str) -> type[ELendingPlatform]:
        """Return the class of the eLending platform *name*; PluginError if no loaded plugin has it."""
        return self._named(self._platforms, name, "elending")

    def runner(self, name: str) -> type[Runner]:
        """Return the class of the runner *name*; PluginError if no loaded plugin has it."""
        return self._named(self._runners, name, "runner")

    def payment_settled(self, payment: SettledPayment) -> None:
        """Tell every observer; one that fails is logged and hinders nobody."""
        for implementation in self._manager.hook.ils_payment_payment_settled.get_hookimpls():
            try:
                # An implementation may leave out arguments, as pluggy allows.
                implementation.function(*[payment] * len(implementation.argnames))
            except Exception:  # An observer is a stranger's code and must not stop money.
                log.exception(
                    "observer_failed", plugin=implementation.plugin_name, payment=payment.payment_id
                )

    @property
    def names(self) -> Mapping[str, list[str]]:
        """Return what was loaded, by the key of the configuration that names it."""
        return {
            "library_system": sorted(self._systems),
            "providers": sorted(self._providers),
            "elending": sorted(self._platforms),
            "runner": sorted(self._runners),
        }

    @staticmethod
    def _named(known: dict[str, type[_T]], name: str, key: str) -> type[_T]:
        if name not in known:
            raise PluginError(
                f"The plugin {name!r} is no {_CALLED[key]}.",
                mend=f"There is: {', '.join(kinds()[key]) or 'none'}.",
            )
        return known[name]


def kinds() -> Mapping[str, list[str]]:
    """Import all installed plugins; return what they bring as :attr:`Plugins.names` does."""
    usable = []
    for name in installed():
        try:
            Plugins({name})
        except PluginError:
            continue  # One that cannot be imported could not be chosen either.
        usable.append(name)
    return Plugins(usable).names


def load(point: EntryPoint) -> object:
    """Import what *point* names; a missing SDK becomes the command that installs it."""
    try:
        return point.load()
    except ModuleNotFoundError as error:
        raise PluginError(
            f"The plugin {point.name!r} needs the Python package {error.name!r}, which is not installed.",
            # An entry point names its extra where that is called otherwise than the plugin.
            mend=installing(next(iter(point.extras), point.name)),
        ) from error
    except Exception as error:
        raise PluginError(
            f"The plugin {point.name!r} cannot be imported: {type(error).__name__}: {error}",
            mend="Update or remove the plugin.",
        ) from error
