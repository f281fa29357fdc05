"""Koha on the stand of the contract kit: once with all that is configurable, once with the least."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from pydantic import SecretStr

from ils_payment.model import RawRequest
from ils_payment.testing.stands import Call, LibraryStand, Person, SeenCredit, long_ahead
from ils_payment_koha.adapter import KohaSystem
from ils_payment_koha.config import KohaConfig
from ils_payment_koha.simulator.demo import RIGHTS
from ils_payment_koha.simulator.habits import KohaHabits
from ils_payment_koha.simulator.koha import KohaSimulator

_SECRET = "canary-of-the-client"
_ENDINGS = {
    Call.READ: ("GET", "/account"),
    Call.SETTLE: ("POST", "/account/credits"),
    Call.CHARGE: ("POST", "/account/debits"),
}


class KohaStand(LibraryStand):
    """A Koha of the newer kind, with everything switched on."""

    name = "koha"
    secrets = (_SECRET,)
    config: ClassVar[dict[str, Any]] = {"renew": True, "category_fees": True}

    def __init__(self) -> None:
        super().__init__()
        habits = KohaHabits(newer=True)
        rights = (*RIGHTS, "parameters:manage_patron_categories")
        self.koha = KohaSimulator.demo(self.simulated, client_secret=_SECRET, rights=rights, habits=habits)
        self.serve("koha.test", self.koha)

    def open(self) -> KohaSystem:
        """Return an adapter with an API key of its own."""
        config = KohaConfig(
            url="https://koha.test/api/v1",
            client_id="ils-payment",
            client_secret=SecretStr(_SECRET),
            library_id="ZENTRALE",
            **self.config,
        )
        return KohaSystem(config, self.host)

    def is_call(self, call: Call, request: RawRequest) -> bool:
        """Know a call by method and path."""
        if call is Call.RENEW:
            return request.method == "PUT"
        return request.method == _ENDINGS[call][0] and request.path.endswith(_ENDINGS[call][1])

    def refuse_us(self) -> None:
        """Delete the API key, and every token with it."""
        self.koha.tables.clients.clear()
        self.koha.tables.tokens.clear()

    def add_patron(
        self, *, name: str = "Erika Mustermann", valid_until: date | None = None, email: str = ""
    ) -> Person:
        """Register an adult."""
        first, _, last = name.partition(" ")
        card = f"29999{len(self.koha.tables.patrons):09}"
        pin = f"pin-{card}"
        patron_id = self.koha.add_patron(
            card,
            pin,
            charge=False,
            firstname=first,
            surname=last,
            email=email or None,
            category_id="ERW",
            library_id="ZENTRALE",
            expiry_date=(valid_until or long_ahead(self)).isoformat(),
        )
        return Person(card=card, pin=pin, key=str(patron_id))

    def add_fee(self, person: Person, cents: int, *, text: str = "Gebühr", since: date | None = None) -> None:
        """Charge a fee as staff do."""
        days = (self.world.now().date() - since).days if since else 0
        self.koha.add_fee(int(person.key), cents, "MANUAL", text, days_ago=days)

    def add_title(self, person: Person, title: str) -> None:
        """Charge a fine for an item of a new record."""
        book = self.koha.add_biblio([("245", "10", [("a", title)]), ("942", "  ", [("c", "BK")])])
        item = self.koha.add_item(book, f"K{book}", library_id="ZENTRALE", callnumber="K", price=100)
        self.koha.add_fee(int(person.key), 100, "OVERDUE", "", status="RETURNED", item_id=item)

    def grow(self, person: Person, cents: int) -> None:
        """Let the fine rise."""
        [line] = self._fees(person)
        self.koha.grow_fee(int(line), cents)

    def pay_at_desk(self, person: Person, cents: int) -> None:
        """Take cash for the oldest open line."""
        line = next(line for line, fee in self._fees(person).items() if fee["outstanding"])
        self.koha.pay_at_desk(int(person.key), int(line), cents)

    def add_open_credit(self, person: Person, cents: int) -> None:
        """Leave a credit that nobody applied."""
        self.koha.add_open_credit(int(person.key), cents)

    def block(self, person: Person) -> None:
        """Set a restriction."""
        self.koha.restrict(int(person.key))

    def renew_at_desk(self, person: Person) -> None:
        """Renew as a clerk does."""
        self.koha.renew_account(int(person.key))

    def open_fees(self, person: Person) -> list[int]:
        """Return what is open of each line."""
        return [fee["outstanding"] for fee in self._fees(person).values()]

    def credits(self, person: Person) -> list[SeenCredit]:
        """Return every credit line."""
        lines = self._books(person)["credits"].values()
        return [
            SeenCredit(cents=one["amount"], marker=one["marker"] or "", unapplied=one["unapplied"])
            for one in lines
        ]

    def debits(self, person: Person) -> list[SeenCredit]:
        """Return every line with a note of ours."""
        fees = self._fees(person).values()
        return [SeenCredit(cents=fee["amount"], marker=fee["marker"]) for fee in fees if fee["marker"]]

    def expiries(self, person: Person) -> list[date]:
        """Return every new expiry."""
        return [date.fromisoformat(change["to"]) for change in self._books(person)["expiry_changes"]]

    def _fees(self, person: Person) -> dict[str, dict[str, Any]]:
        fees: dict[str, dict[str, Any]] = self._books(person)["fees"]
        return fees

    def _books(self, person: Person) -> dict[str, Any]:
        self.catch_up()
        books: dict[str, Any] = self.koha.truth()["patrons"][person.key]
        return books


class LeastKohaStand(KohaStand):
    """The same with everything off that can be switched off."""

    name = "koha-least"
    config: ClassVar[dict[str, Any]] = {
        "renew": False,
        "category_fees": False,
        "titles": False,
        "sign_in": False,
    }
