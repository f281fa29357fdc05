"""One library at work: its settings, its library system, its providers, and what they can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import MarkerSupport, RenewSupport
from ils_payment.money import parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from ils_payment.config import Library
    from ils_payment.domain.tariff import Tariff
    from ils_payment.flows.category_fees import CategoryFees
    from ils_payment.model import Account, PatronRef
    from ils_payment.ports import (
        Charging,
        Contacting,
        ELendingPlatform,
        Evidencing,
        Expiring,
        LibrarySystem,
        Lifting,
        PaymentProvider,
        Renewing,
    )


@dataclass(frozen=True, slots=True)
class Desk:
    """One library at work."""

    key: str
    settings: Library
    system: LibrarySystem
    providers: Mapping[str, PaymentProvider]
    tariff: Tariff | None = None
    category_fees: CategoryFees | None = None
    """What the library system takes itself, where it tells."""
    elending: Mapping[str, ELendingPlatform] = field(default_factory=dict)
    """The library's eLending platforms by the names of their tables."""

    @property
    def patrons(self) -> str:
        """Return the name under which patrons are known: libraries that share a system share its patrons."""
        return self.settings.patrons_known_as or self.system.capabilities().identity or self.key

    @property
    def signs_in(self) -> bool:
        """Tell whether patrons can come in here with card number and PIN."""
        return self.settings.arrival.card_and_pin and self.system.capabilities().sign_in

    @property
    def hands_over(self) -> bool:
        """Tell whether an OPAC can hand patrons over: it has a key, and knows how patrons are named here."""
        return bool(self.settings.arrival.keys) and self.system.capabilities().handed_over

    # What is declared is implemented, or the desk would not have been opened (desk_checks); so each door
    # below is the library system itself.

    @property
    def charging(self) -> Charging | None:
        """Return the library system as one that charges debits, None where it does not."""
        return cast("Charging", self.system) if self.system.capabilities().can_charge else None

    @property
    def renewing(self) -> Renewing | None:
        """Return the library system as one that renews cards, None where it does not."""
        renews = self.system.capabilities().can_renew is not RenewSupport.NO
        return cast("Renewing", self.system) if renews else None

    @property
    def lifting(self) -> Lifting | None:
        """Return the library system as one that lifts blocks, None where it does not."""
        return cast("Lifting", self.system) if self.system.capabilities().can_lift else None

    @property
    def expiring(self) -> Expiring | None:
        """Return the library system as one that lists cards by their expiry, None where it does not."""
        return cast("Expiring", self.system) if self.system.capabilities().lists_expiring else None

    @property
    def contacting(self) -> Contacting | None:
        """Return the library system as one that shows contact data, None where it does not."""
        return cast("Contacting", self.system) if self.system.capabilities().shows_contact else None

    @property
    def evidencing(self) -> Evidencing | None:
        """Return the library system as one that knows of evidence, None where it does not."""
        return cast("Evidencing", self.system) if self.system.capabilities().shows_evidence else None

    def day_of(self, instant: datetime) -> date:
        """Return the day of *instant* at the library."""
        return instant.astimezone(self.settings.zone).date()

    @property
    def reads_markers(self) -> bool:
        """Tell whether a credit can be found by its marker at any time."""
        can = self.system.capabilities()
        return can.marker is MarkerSupport.READABLE and can.unattended_read

    @property
    def live(self) -> bool:
        """Tell whether any provider of this library moves real money."""
        return any(provider.capabilities().live for provider in self.providers.values())

    def account(self, patron: PatronRef) -> Account:
        """Read a patron's account; a list that the library system cut is no answer. Raises RemoteError."""
        account = self.system.account(patron)
        if not account.complete:
            raise RemoteGarbledError(
                "The library system did not list all fees of a patron.",
                mend="Raise its limit for lists, or let the patron pay at the desk.",
            )
        return account

    def minimum(self, method: str) -> int | None:
        """Return the smallest sum for *method* in cents, None when it is not offered."""
        for offered in self.settings.methods:
            if offered.method == method:
                return parse(Decimal(offered.minimum_amount), self.settings.currency)
        return None

    @property
    def two_persons_from(self) -> int:
        """Return the amount in cents from which on a refund needs a second person."""
        return parse(Decimal(self.settings.two_persons_from), self.settings.currency)

    def provider_of(self, method: str) -> str:
        """Return the name of the provider that serves *method* (KeyError when it is not offered)."""
        return {offered.method: offered.provider for offered in self.settings.methods}[method]
