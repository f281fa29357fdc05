"""What ``ils-payment check`` finds about the ledger's own state and about the pages for staff."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ils_payment.errors import ConfigurationError, installing
from ils_payment.flows.house import refuse_missing_providers
from ils_payment.model import Finding, Level
from ils_payment.store import installation, patrons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.config import Settings
    from ils_payment.store.unit import Unit


def of_pause(unit: Unit) -> Iterator[Finding]:
    """Tell that no payments are accepted, and whether a restored ledger waits for a comparison."""
    if installation.is_unreconciled(unit):
        yield Finding(
            Level.WARNING,
            "payments",
            "paused until reconciled: the ledger was restored, and nothing is written outside",
            "Type: ils-payment reconcile, decide the cases, and type: ils-payment resume",
        )
    elif installation.is_paused(unit):
        yield Finding(
            Level.WARNING,
            "payments",
            "paused: no new payments are accepted, paid ones finish",
            "Type: ils-payment resume",
        )


def of_providers(settings: Settings, unit: Unit) -> Iterator[Finding]:
    """Tell of providers that have payments in the ledger, and no table in the configuration."""
    going_on = patrons.providers(unit, going_on=True)
    names = {key: library.providers for key, library in settings.libraries.items()}
    try:
        refuse_missing_providers(names, going_on)
    except ConfigurationError as error:
        yield Finding(Level.ERROR, "providers", error.what, error.mend)
    for key, name in patrons.providers(unit, going_on=False):
        if key in names and name not in names[key] and (key, name) not in going_on:
            yield Finding(
                Level.WARNING,
                "providers",
                f"the ledger has payments of {key} with {name}, and the configuration has no "
                f"[libraries.{key}.providers.{name}]",
                "Without it nothing can be refunded, and nobody hears of chargebacks: keep the table.",
            )


def of_staff(settings: Settings) -> Iterator[Finding]:
    """Tell whether the pages for staff have the packages that they need."""
    if settings.staff is None:
        return
    try:
        import_module("ils_payment.web.staff.rooms")
    except ModuleNotFoundError as error:
        seen = f"[staff] needs the package {error.name}, which is not installed: serve will not start"
        yield Finding(Level.ERROR, "staff pages", seen, installing("staff"))
    else:
        yield Finding(Level.OK, "staff pages", "switched on, and their packages are there")
