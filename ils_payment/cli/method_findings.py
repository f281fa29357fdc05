"""What ``ils-payment check`` finds about the ways to pay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.model import Finding, Level
from ils_payment.money import to_decimal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.flows.desk import Desk


def of_methods(desk: Desk) -> Iterator[Finding]:
    """Name the methods that are offered for sums that their provider refuses."""
    currency = desk.settings.currency
    for place, offered in enumerate(desk.settings.methods):
        smallest = desk.providers[offered.provider].capabilities().smallest
        if (desk.minimum(offered.method) or 0) < smallest:
            least = to_decimal(smallest, currency)
            yield Finding(
                Level.WARNING,
                "smallest sum",
                f"{offered.method} is offered from {offered.minimum_amount} {currency} on, "
                f"but {offered.provider} takes nothing below {least}",
                f'Write minimum_amount = "{least}" or more into libraries.{desk.key}.methods[{place}].',
            )
