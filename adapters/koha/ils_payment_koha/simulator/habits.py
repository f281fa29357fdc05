"""How the simulated Koha is configured, how it behaves, and what a test makes go wrong."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RECORDED_LATENCY: Mapping[str, float] = MappingProxyType(
    {
        "token": 0.057,
        "patrons.list": 0.087,
        "patrons.get": 0.138,
        "patrons.put": 0.141,
        "account.get": 0.071,
        "debits.list": 0.065,
        "debits.add": 0.080,
        "credits.list": 0.065,
        "credits.add": 0.113,
        "password.validation": 0.153,
        "biblios.get": 0.091,
    }
)
"""Seconds by operation: medians of 20 calls over loopback to a Koha on two cores, as seen.

An operation that is not named here (items, libraries, ...) was not measured; it takes as long as
the fastest that was."""


@dataclass(kw_only=True)
class KohaHabits:
    """System preferences and manners of one simulated Koha; the defaults are those it was recorded with.

    They may be changed while it runs, as an administrator changes system preferences.

    ``apply_window`` is how many seconds lie in each of the two gaps of a credit (stored but not
    yet read, read but not yet written); 0 still lets other requests in, in a world that uses it.
    ``deadlock_rate`` is the chance that a credit which overlaps with another one of the same
    patron becomes MariaDB's victim: 500, and the credit stays unapplied. ``float_noise`` adds
    the smallest binary error to every amount (never seen; JSON floats allow it).
    ``newer`` adds the paths of versions after 23.05 that were only read (patron categories, self-renewal).
    ``borrower_renewal_period_base`` is from when the desk renews: ``now``, ``dateexpiry`` or ``combination``.
    """

    basic_auth: bool = True
    oauth: bool = True
    token_seconds: int = 3600
    failed_login_attempts: int = 5
    require_payment_type: bool = False
    use_cash_registers: bool = False
    auto_credit_number: bool = False
    fee_on_change_patron_category: bool = True
    borrower_renewal_period_base: str = "now"
    newer: bool = False
    default_page_size: int = 20
    timezone: str = "Europe/Berlin"
    apply_window: float = 0.0
    deadlock_rate: float = 0.4
    float_noise: bool = False
    realistic_latency: bool = False
    latency: Mapping[str, float] = field(default_factory=lambda: RECORDED_LATENCY)


@dataclass(kw_only=True)
class Failure:
    """What happens to one coming request: its ``status`` (0: the connection is dropped), and when it acts."""

    status: int
    operation: str | None
    after_effect: bool = False
    late_seconds: float | None = None


@dataclass
class Faults:
    """Switches that a test turns while the simulator runs; all of them are off at first."""

    failures: deque[Failure] = field(default_factory=deque)
    delays: deque[float] = field(default_factory=deque)
    late: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)
    deadlocks: int = 0
    database_down: bool = False

    def take(self, operation: str) -> Failure | None:
        """Return, and use up, the first failure that is meant for *operation*."""
        for failure in self.failures:
            if failure.operation in {None, operation}:
                self.failures.remove(failure)
                return failure
        return None

    def due(self, now: datetime) -> list[Callable[[], object]]:
        """Return, and forget, what was to take effect by *now*, oldest first."""
        ripe = sorted((entry for entry in self.late if entry[0] <= now), key=lambda entry: entry[0])
        self.late = [entry for entry in self.late if entry[0] > now]
        return [effect for _, effect in ripe]

    def postpone(self, now: datetime, seconds: float, effect: Callable[[], object]) -> None:
        """Keep *effect* until *seconds* after *now*."""
        self.late.append((now + timedelta(seconds=seconds), effect))
