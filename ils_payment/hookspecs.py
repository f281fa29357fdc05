"""Every hook, and nothing else. The hooks hand over classes; :mod:`ils_payment.ports` says what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment._markers import hookspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import SettledPayment
    from ils_payment.ports import ELendingPlatform, LibrarySystem, PaymentProvider, Runner


@hookspec
def ils_payment_library_systems() -> Mapping[str, type[LibrarySystem]]:  # type: ignore[empty-body]  # a spec has no body
    """Return library systems by the name that the configuration uses in ``plugin = "..."``.

    Called once when the plugin has been loaded. No I/O may happen here.
    """


@hookspec
def ils_payment_providers() -> Mapping[str, type[PaymentProvider]]:  # type: ignore[empty-body]  # a spec has no body
    """Return payment providers by the name that the configuration uses.

    Called once when the plugin has been loaded. No I/O may happen here.
    """


@hookspec
def ils_payment_elending_platforms() -> Mapping[str, type[ELendingPlatform]]:  # type: ignore[empty-body]  # a spec has no body
    """Return eLending platforms by the name that the configuration uses.

    Called once when the plugin has been loaded. No I/O may happen here.
    """


@hookspec
def ils_payment_runners() -> Mapping[str, type[Runner]]:  # type: ignore[empty-body]  # a spec has no body
    """Return runners for several hosts by the name that ``server.runner`` uses.

    Called once when the plugin has been loaded. No I/O may happen here.
    """


@hookspec
def ils_payment_payment_settled(payment: SettledPayment) -> None:
    """Observe a payment that has just been settled, for statistics or messages of your own.

    Called after the commit, at least once for each settled payment (a crash can repeat it).
    Money may not move here; an exception is logged and stops nothing.
    """
