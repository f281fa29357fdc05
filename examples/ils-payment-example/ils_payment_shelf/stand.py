"""Shelf on the stand of the contract kit: the plugin before its simulator, and what the books say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pydantic import SecretStr

from ils_payment.model import RawRequest
from ils_payment.testing.stands import Call, LibraryStand, Person, SeenCredit, long_ahead
from ils_payment_shelf.adapter import ShelfConfig, ShelfSystem
from ils_payment_shelf.simulator import ShelfSimulator

_TOKEN = "canary-of-the-token"  # noqa: S105 - it opens a simulator


class ShelfStand(LibraryStand):
    """A Shelf that the kit can fill, break and look into."""

    name = "shelf"
    secrets = (_TOKEN,)

    def __init__(self) -> None:
        super().__init__()
        self.shelf = ShelfSimulator(self.simulated, token=_TOKEN)
        self.serve("shelf.test", self.shelf)

    def open(self) -> ShelfSystem:
        """Return the plugin as the program makes it."""
        return ShelfSystem(ShelfConfig(url="https://shelf.test", token=SecretStr(_TOKEN)), self.host)

    def is_call(self, call: Call, request: RawRequest) -> bool:
        """Know the money call by its path; a reading is one of a patron."""
        is_payment = request.path.endswith("/payments") and request.method == "POST"
        return is_payment if call is Call.SETTLE else request.path.startswith("/patrons/") and not is_payment

    def refuse_us(self) -> None:
        """Withdraw the token."""
        self.shelf.token = "another"  # noqa: S105 - it opens a simulator

    def add_patron(
        self, *, name: str = "Erika Mustermann", valid_until: date | None = None, email: str = ""
    ) -> Person:
        """Register a patron; Shelf knows neither names nor addresses."""
        card = f"29999{len(self.shelf.patrons):05}"
        until = (valid_until or long_ahead(self)).isoformat()
        key = self.shelf.add_patron(card, f"pin-{card}", valid_until=until)
        return Person(card=card, pin=f"pin-{card}", key=key)

    def add_fee(self, person: Person, cents: int, *, text: str = "Gebühr", since: date | None = None) -> None:
        """Charge a fee."""
        day = since or self.world.now().date()
        self.shelf.add_fee(person.key, str(Decimal(cents).scaleb(-2)), text, since=day.isoformat())

    def grow(self, person: Person, cents: int) -> None:
        """Let the only fee rise."""
        [fee] = self._fees(person)
        self.shelf.fees[fee]["open"] += Decimal(cents).scaleb(-2)

    def pay_at_desk(self, person: Person, cents: int) -> None:
        """Take cash for the oldest open fee."""
        fee = next(key for key in self._fees(person) if self.shelf.fees[key]["open"])
        self.shelf.pay_at_desk(fee, str(Decimal(cents).scaleb(-2)))

    def block(self, person: Person) -> None:
        """Block the patron by hand."""
        self.shelf.patrons[person.key]["blocked"] = True

    def open_fees(self, person: Person) -> list[int]:
        """Return what is open of each fee."""
        self.catch_up()
        return [int(self.shelf.fees[key]["open"].scaleb(2)) for key in self._fees(person)]

    def credits(self, person: Person) -> list[SeenCredit]:
        """Return every payment."""
        self.catch_up()
        return [
            SeenCredit(cents=int(one["amount"].scaleb(2)), marker=one["reference"] or "")
            for one in self.shelf.payments
            if one["patron"] == person.key
        ]

    def _fees(self, person: Person) -> list[str]:
        return [key for key, fee in self.shelf.fees.items() if fee["patron"] == person.key]
