"""What ``ils-payment check`` finds about cost centres and accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.flows.tariffs import booked_kind
from ils_payment.model import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from ils_payment.flows.desk import Desk


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


def of_accounts(desk: Desk, paid: Collection[str], today: date) -> Iterator[Finding]:
    """Name the fee kinds, configured or *paid* before, that have no place to book in the treasury."""
    version = desk.tariff.at(today) if desk.tariff else None
    online = {one.key for one in version.kinds.values() if one.online} if version else set()
    lacking = []
    for kind in sorted({*desk.settings.fee_kinds, *online, *paid}):
        found = booked_kind(desk, kind, today)
        if found is None or not (found.account and found.cost_centre):
            lacking.append(kind)
    if lacking:
        yield Finding(
            Level.WARNING,
            "accounts",
            f"fee kinds without account or cost centre: {', '.join(lacking)}",
            f"Write both into [libraries.{desk.key}.fee_kinds.KIND], or into the tariff's fee kinds. "
            "What was paid before stays as it was.",
        )
