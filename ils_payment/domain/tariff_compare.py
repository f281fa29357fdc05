"""Whether the tariff and the library system name the same price: there is one price, or no renewal online."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ils_payment.domain.by_law import Category
    from ils_payment.domain.tariff import Quote, Tariff
    from ils_payment.model import CategoryFee


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One patron category (the library system's code) in which the two do not agree.

    ``ours`` are the tariff's prices in cents at whatever age, ``theirs`` is the library system's;
    ``our_months`` and ``their_months`` the periods, None for one that is not in months.
    """

    category: str
    name: str
    ours: tuple[int, ...]
    theirs: int
    our_months: int | None
    their_months: int | None

    @property
    def in_price(self) -> bool:
        """Tell whether the prices differ."""
        return any(cents != self.theirs for cents in self.ours)

    @property
    def in_period(self) -> bool:
        """Tell whether the periods differ; what the library system does not tell cannot."""
        return self.their_months is not None and self.our_months != self.their_months


def differs(tariff: Tariff, fees: Sequence[CategoryFee], today: date) -> list[Difference]:
    """Return the categories whose price or period is another one in the library system.

    Prices by age are compared one by one, as a library system has one price for a category. Categories
    that only one of the two knows are no difference: nobody is quoted a price for them.
    """
    version = tariff.at(today)
    if version is None:
        return []
    compared = []
    for fee in fees:
        category = version.category(fee.category)
        if category is not None:
            prices = {band.cents for band in category.bands if band.cents is not None}
            compared.append(_compared(category, fee, tuple(sorted(prices))))
    return [one for one in compared if one.in_price or one.in_period]


def contradicted(quote: Quote, tariff: Tariff, fees: Sequence[CategoryFee], today: date) -> bool:
    """Tell whether the library system takes another price for this very renewal, or grants another period."""
    version = tariff.at(today)
    category = version.category(quote.category) if version else None
    fee = next((one for one in fees if one.category == quote.category), None)
    if category is None or fee is None:
        return False
    one = _compared(category, fee, (quote.cents,))
    return one.in_price or one.in_period


def _compared(category: Category, fee: CategoryFee, ours: tuple[int, ...]) -> Difference:
    return Difference(
        category=fee.category,
        name=fee.name,
        ours=ours,
        theirs=fee.cents,
        our_months=category.period.months,
        their_months=fee.months,
    )
