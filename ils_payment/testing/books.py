"""The books of a simulated library system: patrons, fees, payments. Amounts are integer cents."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


@dataclass
class OpenFee:
    """One fee and what is still open of it."""

    fee_id: str
    cents: int
    open: int
    kind: str
    text: str
    since: date


@dataclass(frozen=True)
class Paid:
    """One payment that came in: what it was for, what each fee got, and what no fee took."""

    at: datetime
    cents: int
    marker: str
    payment_type: str
    applied: dict[str, int]

    @property
    def unapplied(self) -> int:
        """Return the cents that no fee took."""
        return self.cents - sum(self.applied.values())


@dataclass
class Patron:
    """One patron with everything that belongs to the card."""

    card: str
    pin: str
    name: str
    valid_until: date
    category: str = "ERW"
    flags: str = " " * 14
    fees: list[OpenFee] = field(default_factory=list)
    payments: list[Paid] = field(default_factory=list)

    @property
    def balance(self) -> int:
        """Return what is owed after surplus has been counted."""
        return sum(fee.open for fee in self.fees) - sum(paid.unapplied for paid in self.payments)


class Books:
    """All patrons; every change is whole or not at all."""

    def __init__(self) -> None:
        self.patrons: dict[str, Patron] = {}
        self._lock = threading.RLock()
        self._number = 100

    def add_patron(self, card: str, pin: str, name: str, valid_until: date, **more: Any) -> Patron:  # noqa: ANN401 - fields of a patron
        """Add a patron."""
        with self._lock:
            self.patrons[card] = Patron(card, pin, name, valid_until, **more)
            return self.patrons[card]

    def add_fee(self, card: str, cents: int, text: str, *, since: date, kind: str = "SONST") -> str:
        """Charge a fee; return its id."""
        with self._lock:
            self._number += 1
            fee_id = f"G{self._number}"
            self.patrons[card].fees.append(OpenFee(fee_id, cents, cents, kind, text, since))
            return fee_id

    def pay(
        self,
        card: str,
        cents: int,
        *,
        at: datetime,
        marker: str = "",
        payment_type: str = "00",
        fee_ids: Collection[str] | None = None,
        refuses_surplus: bool = False,
    ) -> bool:
        """Book a payment on some fees, or on the oldest ones first; False when it is refused."""
        with self._lock:
            patron = self.patrons.get(card)
            if patron is None or cents <= 0:
                return False
            fees = [fee for fee in patron.fees if fee.open and (fee_ids is None or fee.fee_id in fee_ids)]
            if fee_ids is not None and len(fees) != len(fee_ids):
                return False
            if refuses_surplus and cents > sum(fee.open for fee in fees):
                return False
            rest, applied = cents, {}
            for fee in fees:
                part = min(rest, fee.open)
                if part:
                    fee.open -= part
                    applied[fee.fee_id] = part
                    rest -= part
            patron.payments.append(Paid(at, cents, marker, payment_type, applied))
            return True

    def truth(self) -> dict[str, Any]:
        """Return every patron's books by card number, as JSON types."""
        with self._lock:
            return {
                card: {
                    "card": card,
                    "balance": patron.balance,
                    "fees": {
                        fee.fee_id: {"type": fee.kind, "amount": fee.cents, "outstanding": fee.open}
                        for fee in patron.fees
                    },
                    "credits": {
                        str(number): {
                            "at": paid.at.isoformat(),
                            "amount": paid.cents,
                            "marker": paid.marker,
                            "payment_type": paid.payment_type,
                            "applied": dict(paid.applied),
                            "unapplied": paid.unapplied,
                        }
                        for number, paid in enumerate(patron.payments, 1)
                    },
                }
                for card, patron in self.patrons.items()
            }
