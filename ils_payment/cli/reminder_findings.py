"""What ``ils-payment check`` finds about the mails before a card ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.model import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.flows.desk import Desk


def of_reminders(desk: Desk) -> Iterator[Finding]:
    """Tell that patrons get mails, and which days come before some cards can be renewed."""
    days = sorted(desk.settings.reminders.days_before, reverse=True)
    if not days:
        return
    yield Finding(Level.OK, "reminders", f"on: mails {_named(days)} days before a card ends")
    versions = desk.tariff.versions if desk.tariff else ()
    leads = [one.lead_days for version in versions for one in version.categories if one.online]
    lead = min(leads, default=max(days))
    early = [one for one in days if one > lead]
    if early:
        yield Finding(
            Level.WARNING,
            "reminders",
            f"{_named(early)} days before is too early: some cards can be renewed only {lead} days before",
            f"Lower libraries.{desk.key}.reminders.days_before, or raise lead_days in the tariff.",
        )


def _named(days: list[int]) -> str:
    return ", ".join(str(one) for one in days)
