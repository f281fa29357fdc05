"""What clerks and nightly jobs do in the simulated Koha, apart from the API: tests and the demo play them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator import catalogue, render
from ils_payment_koha.simulator.state import Biblio, Category, Client, Item, Patron, Tables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ils_payment.testing.simulator import SimulatorWorld
    from ils_payment_koha.simulator.accounts import Accounts
    from ils_payment_koha.simulator.patrons import Patrons
    from ils_payment_koha.simulator.render import Renderer


def decimal(cents: int) -> Decimal:
    """Return *cents* as Koha's decimal."""
    return Decimal(cents).scaleb(-2)


class Desk:
    """Operations on the tables that are no API calls; all amounts are cents."""

    tables: Tables
    accounts: Accounts
    patrons: Patrons
    renderer: Renderer
    world: SimulatorWorld

    def add_library(self, library_id: str, name: str, **more: object) -> None:
        """Open a branch."""
        with self.tables.lock:
            self.tables.libraries[library_id] = render.library(library_id=library_id, name=name, **more)

    def add_category(self, category_id: str, fee: int = 0, **more: Any) -> None:  # noqa: ANN401 - columns
        """Make a patron category with its enrolment fee; *more* may be ``name``, ``months`` or ``until``."""
        with self.tables.lock:
            category = Category(category_id=category_id, fee=decimal(fee), **more)
            self.tables.categories[category_id] = category

    def add_patron(
        self,
        cardnumber: str,
        password: str,
        *,
        rights: Iterable[str] = (),
        password_expired: bool = False,
        charge: bool = True,
        **record: object,
    ) -> int:
        """Register a patron and return the id; *record* needs ``surname``, ``category_id``, ``library_id``.

        In a category with a fee the patron owes it at once, by a line without a text (seen),
        unless *charge* is off.
        """
        with self.tables.lock:
            patron_id = max(self.tables.patrons, default=0) + 1
            given = {
                "date_enrolled": self.renderer.day(self.world.now()),
                "expiry_date": None,
                "updated_on": self.renderer.time(self.world.now()),
                "userid": cardnumber,
                **record,
            }
            fields = render.blank_patron(cardnumber=cardnumber, **given)
            category = self.tables.categories[str(fields["category_id"])]
            self.tables.patrons[patron_id] = Patron(
                patron_id=patron_id,
                record=fields,
                password=password,
                rights=frozenset(rights),
                password_expired=password_expired,
            )
            if charge and category.fee:
                self.accounts.charge(patron_id, category.fee, "ACCOUNT", interface="opac")
            return patron_id

    def add_attribute(self, patron_id: int, kind: str, value: str | None) -> None:
        """Give a patron an extended attribute of the type *kind*, beside those that there are."""
        with self.tables.lock:
            taken = [number for one in self.tables.patrons.values() for number, _, _ in one.attributes]
            number = max(taken, default=0) + 1
            self.tables.patrons[patron_id].attributes.append((number, kind, value))

    def add_client(self, client_id: str, secret: str, patron_id: int) -> None:
        """Give a patron an API key."""
        with self.tables.lock:
            self.tables.clients[client_id] = Client(client_id=client_id, secret=secret, patron_id=patron_id)

    def add_biblio(self, fields: list[tuple[str, str, list[tuple[str, str]]]]) -> int:
        """Catalogue a record of (tag, indicators, subfields) and return its id; 999 is added as Koha does."""
        with self.tables.lock:
            biblio_id = len(self.tables.biblios) + 1
            record = catalogue.book([*fields, ("999", "  ", [("c", str(biblio_id)), ("d", str(biblio_id))])])
            created = self.world.now()
            self.tables.biblios[biblio_id] = Biblio(biblio_id=biblio_id, record=record, created=created)
            return biblio_id

    def add_item(self, biblio_id: int, barcode: str, *, library_id: str, callnumber: str, price: int) -> int:
        """Add a copy and return its id."""
        with self.tables.lock:
            item_id = max(self.tables.items, default=0) + 1
            self.tables.items[item_id] = Item(
                item_id=item_id,
                biblio_id=biblio_id,
                barcode=barcode,
                library_id=library_id,
                callnumber=callnumber,
                price=decimal(price),
                created=self.world.now(),
            )
            return item_id

    def delete_item(self, item_id: int) -> None:
        """Discard a copy; fee lines keep its id, as in Koha."""
        with self.tables.lock:
            del self.tables.items[item_id]

    def add_fee(
        self,
        patron_id: int,
        cents: int,
        debit_type: str = "MANUAL",
        description: str = "",
        *,
        status: str | None = None,
        item_id: int | None = None,
        library_id: str | None = None,
        days_ago: int = 0,
        **more: Any,  # noqa: ANN401 - further columns of a line
    ) -> int:
        """Charge a fee as staff or a nightly job does, and return the line's id."""
        since = self.world.now() - timedelta(days=days_ago)
        columns = {"interface": "intranet", "user_id": 1, "date": since, "timestamp": since, **more}
        line = self.accounts.charge(
            patron_id,
            decimal(cents),
            debit_type,
            description=description,
            status=status,
            item_id=item_id,
            library_id=library_id,
            **columns,
        )
        return line.line_id

    def grow_fee(self, line_id: int, cents: int) -> None:
        """Let a fine rise, as the nightly job does while the item is out."""
        with self.tables.lock:
            line = self.tables.lines[line_id]
            line.amount += decimal(cents)
            line.outstanding += decimal(cents)
            line.timestamp = self.world.now()

    def pay_at_desk(self, patron_id: int, line_id: int, cents: int) -> int:
        """Take cash for one line at the desk and return the credit's id."""
        return self._desk_credit(patron_id, line_id, cents, "PAYMENT", payment_type="CASH")

    def waive(self, patron_id: int, line_id: int, cents: int, *, days_ago: int = 0) -> int:
        """Write off (a part of) one line and return the credit's id."""
        since = self.world.now() - timedelta(days=days_ago)
        return self._desk_credit(patron_id, line_id, cents, "WRITEOFF", date=since, timestamp=since)

    def add_open_credit(self, patron_id: int, cents: int, note: str = "") -> int:
        """Leave an unapplied credit in the account (an overpayment, a replaced book) and return its id."""
        amount = decimal(cents)
        credit = self.accounts.pay(
            patron_id, amount, [], credit_type="CREDIT", note=note, interface="intranet", user_id=1
        )
        return credit.line_id

    def restrict(self, patron_id: int, *, on: bool = True) -> None:
        """Set or lift a restriction by hand; the API shows it and can do neither (seen)."""
        self.change(patron_id, restricted=on)

    def change(self, patron_id: int, **fields: object) -> None:
        """Change a patron's record in the staff interface."""
        with self.tables.lock:
            self.tables.change_patron(patron_id, fields, by="desk", at=self.world.now())

    def renew_account(self, patron_id: int) -> str:
        """Renew a card at the desk as a clerk does, fee and all, and return its new last day."""
        with self.tables.lock:
            return self.patrons.renew(patron_id, by="desk", interface="intranet", user_id=1)

    def set_password(self, patron_id: int, password: str, *, expired: bool = False) -> None:
        """Set a patron's password and unlock the account."""
        with self.tables.lock:
            patron = self.tables.patrons[patron_id]
            patron.password, patron.password_expired = password, expired
            patron.record["login_attempts"] = 0

    def set_rights(self, patron_id: int, rights: Iterable[str]) -> None:
        """Give a user exactly *rights*."""
        with self.tables.lock:
            self.tables.patrons[patron_id].rights = frozenset(rights)

    def _desk_credit(self, patron_id: int, line_id: int, cents: int, credit_type: str, **more: Any) -> int:  # noqa: ANN401 - columns
        columns = {"credit_type": credit_type, "interface": "intranet", "user_id": 1, **more}
        return self.accounts.pay(patron_id, decimal(cents), [line_id], **columns).line_id
