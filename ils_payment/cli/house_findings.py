"""What ``ils-payment check`` finds about the ledger's own state and about the pages for staff."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ils_payment.errors import installing
from ils_payment.model import Finding, Level
from ils_payment.store import installation

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
