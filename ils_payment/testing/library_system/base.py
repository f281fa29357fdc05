"""What the tests of a library system's contract share: how they ask, and how they make orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.model import Applied, CreditOrder, NotApplied, OrderLine, PatronRef, Unclear
from ils_payment.testing.contract import Contract
from ils_payment.testing.stands import LibraryStand, Person

if TYPE_CHECKING:
    from ils_payment.model import Account, Card, SettleOutcome, SystemCapabilities

MARKER, OTHER_MARKER = "ILSP-7K3M9Q-4", "ILSP-7K3M9R-6"


class LibraryTests(Contract):
    """``system`` is the adapter, ``can`` what it declares."""

    stand: LibraryStand
    system: Any
    can: SystemCapabilities

    def opened(self) -> None:
        """Connect the adapter."""
        self.system = self.stand.open()
        self.can = self.system.capabilities()
        self.people: list[Person] = []

    def confidential(self) -> list[str]:
        """Return the credentials, and card numbers and PINs of the patrons of this test."""
        personal = [text for person in self.people for text in (person.card, person.pin)]
        return [*self.stand.secrets, *personal]

    def patron(self, *fees: int, **fields: Any) -> Person:  # noqa: ANN401 - fields of a patron
        """Register a patron who owes *fees*; without any wish, take whom the stand has."""
        person = self.stand.add_patron(**fields) if fees or fields else self.stand.someone()
        self.people.append(person)
        for cents in fees:
            self.stand.add_fee(person, cents)
        return person

    def ref(self, person: Person) -> PatronRef:
        """Return the reference of *person*, by a sign-in where nothing is read without the PIN."""
        if self.can.unattended_read:
            found = self.system.find_patron(person.card)
        else:
            found = self.system.sign_in(person.card, person.pin)
        assert isinstance(found, str), f"the stand's own patron was not found: {found!r}"
        return PatronRef(found)

    def account(self, person: Person) -> Account:
        """Read the account as it is now."""
        account: Account = self.system.account(self.ref(person))
        return account

    def card(self, person: Person) -> Card:
        """Read the card as it is now."""
        card: Card = self.system.card(self.ref(person))
        return card

    def order(self, person: Person, **changes: Any) -> CreditOrder:  # noqa: ANN401 - fields of the order
        """Return the order to pay what *person* owes: all of it, or the first fee where that cannot be."""
        fees = self.account(person).fees
        taken = fees if self.can.batch else fees[:1]
        lines = tuple(
            OrderLine(ref=fee.ref, claim_key=fee.claim_key, cents=fee.cents, kind=fee.kind) for fee in taken
        )
        fields: dict[str, Any] = {
            "patron": self.ref(person),
            "marker": MARKER,
            "cents": sum(line.cents for line in changes.get("lines", lines)),
            "currency": self.stand.library.currency,
            "method": "card",
            "lines": lines,
        }
        return CreditOrder(**(fields | changes))

    def settle(self, order: CreditOrder) -> SettleOutcome:
        """Settle, look whether the outcome is one at all, and note what it says."""
        outcome: SettleOutcome = self.tell(self.system.settle(order))
        assert isinstance(outcome, Applied | NotApplied | Unclear)
        return outcome

    def nothing_was_written(self, person: Person) -> None:
        """Look into the books: no credit, and every fee is as open as it was charged."""
        self.stand.catch_up()
        assert self.stand.credits(person) == []
        assert 0 not in self.stand.open_fees(person)
