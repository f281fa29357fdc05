"""What ``ils-payment check`` finds about cost centres and accounts that a provider passes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.model import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.flows.house import Desk


def of_booking(desk: Desk) -> Iterator[Finding]:
    """Tell which of them no fee kind has, so that the treasury would get none."""
    versions = desk.tariff.versions if desk.tariff else ()
    kinds = [*desk.settings.fee_kinds.values(), *(one for each in versions for one in each.kinds.values())]
    for name, provider in desk.providers.items():
        asked = provider.capabilities().line_accounts
        empty = " and ".join(word for word in asked if not any(getattr(one, word) for one in kinds))
        if empty:
            yield Finding(
                Level.WARNING,
                "booking data",
                f"{name} passes {empty} on with each line, but no fee kind has any: nothing is sent",
                f"Write {empty} into [libraries.{desk.key}.fee_kinds.KIND], or into the tariff's fee kinds.",
            )
