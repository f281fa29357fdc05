"""The stand of a simulated library system that keeps :mod:`ils_payment.testing.books`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.testing.stands import LibraryStand, Person, SeenCredit, long_ahead

if TYPE_CHECKING:
    from datetime import date

    from ils_payment.testing.books import Books


class BooksStand(LibraryStand):
    """What desk and clock do to such books, and what the books say; the plugin's own stand adds the rest."""

    @property
    def books(self) -> Books:
        """Return the books that the simulated library system keeps."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Let what comes late have come; nothing does unless the stand says so."""

    def add_patron(
        self,
        *,
        name: str = "Erika Mustermann",
        valid_until: date | None = None,
        email: str = "",
    ) -> Person:
        """Register a patron."""
        card = f"29999{len(self.books.patrons):09}"
        self.books.add_patron(card, f"pin-{card}", name, valid_until or long_ahead(self))
        return Person(card=card, pin=f"pin-{card}", key=card)

    def add_fee(self, person: Person, cents: int, *, text: str = "Gebühr", since: date | None = None) -> None:
        """Charge a fee."""
        self.books.add_fee(person.key, cents, text, since=since or self.world.now().date())

    def grow(self, person: Person, cents: int) -> None:
        """Let the only fee rise."""
        [fee] = self.books.patrons[person.key].fees
        fee.open += cents
        fee.cents += cents

    def pay_at_desk(self, person: Person, cents: int) -> None:
        """Take cash for the oldest open fee."""
        self.books.pay(person.key, cents, at=self.world.now())

    def open_fees(self, person: Person) -> list[int]:
        """Return what is open of each fee."""
        self.catch_up()
        return [fee.open for fee in self.books.patrons[person.key].fees]

    def credits(self, person: Person) -> list[SeenCredit]:
        """Return every payment that came in."""
        self.catch_up()
        return [
            SeenCredit(cents=one.cents, marker=one.marker, unapplied=one.unapplied)
            for one in self.books.patrons[person.key].payments
        ]
