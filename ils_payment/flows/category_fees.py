"""What the library system itself takes in its patron categories, where it tells."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ils_payment.ports import Pricing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ils_payment.model import CategoryFee
    from ils_payment.ports import LibrarySystem

FRESH_SECONDS = 300.0
"""For so long the library system is not asked again what its categories cost: they change once a year."""


class CategoryFees:
    """What the library system takes in its patron categories, asked every few minutes at most."""

    def __init__(self, system: Pricing, monotonic: Callable[[], float]) -> None:
        """Keep the door; nothing is asked before the first quote."""
        self._system = system
        self._monotonic = monotonic
        self._lock = Lock()
        self._fees: Sequence[CategoryFee] = ()
        self._read_at: float | None = None

    def get(self) -> Sequence[CategoryFee]:
        """Return the fees, read within the last minutes. Raises RemoteError.

        An answer that has become old is not used when a new one cannot be had: a quote from it could be
        wrong, and the card could not be read either.
        """
        with self._lock:
            now = self._monotonic()
            if self._read_at is None or now - self._read_at > FRESH_SECONDS:
                self._fees = self._system.category_fees()
                self._read_at = now
            return self._fees


def open_category_fees(system: LibrarySystem, monotonic: Callable[[], float]) -> CategoryFees | None:
    """Return the category fees of a library system that shows them; None for any other."""
    if not system.capabilities().prices_categories or not isinstance(system, Pricing):
        return None
    return CategoryFees(system, monotonic)
