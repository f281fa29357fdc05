"""Patrons in the simulated Koha: what a listing embeds, and what ``PUT`` demands, checks and changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator.accounts import Accounts
from ils_payment_koha.simulator.render import (
    NULL_PATRON_FIELDS,
    PATRON_DEFAULTS,
    Problem,
    Renderer,
    not_found,
    patron,
)
from ils_payment_koha.simulator.schema import Field
from ils_payment_koha.simulator.state import Patron, Tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment_koha.simulator.habits import KohaHabits

COLUMNS = (
    *NULL_PATRON_FIELDS, *PATRON_DEFAULTS, "cardnumber", "category_id", "date_enrolled", "expiry_date",
    "library_id", "patron_id", "surname", "updated_on", "userid",
)  # fmt: skip
_BOOLEANS = {"incorrect_address", "patron_card_lost", "restricted", "autorenew_checkouts"}
_NO_FILTERS = {
    "anonymized",
    "date_renewed",
    "middle_name",
    "overdrive_auth_token",
    "privacy_guarantor_fines",
    "pronouns",
}
FILTERS = {
    name: Field("boolean" if name in _BOOLEANS else "string") for name in COLUMNS if name not in _NO_FILTERS
}


@dataclass
class Patrons:
    """Reads and changes patrons."""

    tables: Tables
    habits: KohaHabits
    accounts: Accounts
    renderer: Renderer
    now: Callable[[], datetime]

    def get(self, patron_id: int) -> Patron:
        """Return a patron or raise 404."""
        if patron_id not in self.tables.patrons:
            raise not_found("Patron not found.")
        return self.tables.patrons[patron_id]

    def embedded(self, row: dict[str, Any], names: list[str]) -> dict[str, Any]:
        """Return a listed patron with what ``x-koha-embed`` asked for; loans are not simulated: 0."""
        debits = [line.outstanding for line in self.tables.lines_of(row["patron_id"])]
        values: dict[str, Any] = {
            "account_balance": self.renderer.total(debits),
            "checkouts+count": 0,
            "extended_attributes": self.attributes(row["patron_id"]),
            "library": self.tables.libraries.get(row["library_id"]),
            "overdues+count": 0,
        }
        return row | {name.replace("+", "_"): values[name] for name in names}

    def attributes(self, patron_id: int) -> list[dict[str, Any]]:
        """Return a patron's extended attributes as the specification has them (read, not seen)."""
        return [
            {"extended_attribute_id": number, "type": kind, "value": value}
            for number, kind, value in self.get(patron_id).attributes
        ]

    def put(self, patron_id: int, body: dict[str, Any], *, user: Patron) -> dict[str, Any]:
        """Set the fields that were sent, over any change made meanwhile (seen); charge for a new category."""
        if patron_id not in self.tables.patrons:
            raise not_found("Patron not found")
        row = self.tables.patrons[patron_id]
        self._check(row, body)
        changed = {
            name: value for name, value in body.items() if name != "patron_id" and row.record[name] != value
        }
        new_category = "category_id" in changed
        now = self.now()
        self.tables.change_patron(patron_id, changed, by="api", at=now)
        if changed:
            row.record["updated_on"] = self.renderer.time(now)
        fee = self.tables.categories[row.record["category_id"]].fee
        if new_category and self.habits.fee_on_change_patron_category and fee:
            where = row.record["library_id"]
            self.accounts.charge(patron_id, fee, "ACCOUNT_RENEW", library_id=where, user_id=user.patron_id)
        return patron(row)

    def renew(self, patron_id: int, *, by: str, **line: Any) -> str:  # noqa: ANN401 - columns of a line
        """Renew as Koha itself does (read): its own day, ``date_renewed``, and the fee as an open debit."""
        row = self.tables.patrons[patron_id]
        category, now = self.tables.categories[row.record["category_id"]], self.now()
        today = self.renderer.day(now)
        expiry = row.record["expiry_date"] or today
        bases = {"now": today, "dateexpiry": expiry, "combination": max(today, expiry)}
        base = date.fromisoformat(bases[self.habits.borrower_renewal_period_base])
        until = category.expiry(base).isoformat()
        fields = {"expiry_date": until, "date_renewed": today, "updated_on": self.renderer.time(now)}
        self.tables.change_patron(patron_id, fields, by=by, at=now)
        if category.fee:
            where = row.record["library_id"]
            self.accounts.charge(patron_id, category.fee, "ACCOUNT_RENEW", library_id=where, **line)
        return until

    def _check(self, row: Patron, body: dict[str, Any]) -> None:
        if body["library_id"] not in self.tables.libraries:
            raise Problem(400, "error", "Given library_id does not exist")
        if body["category_id"] not in self.tables.categories:
            raise Problem(400, "error", "Given category_id does not exist")
        if self._taken(row, "cardnumber", body):
            raise Problem(409, "error", "Duplicate ID", {"conflict": "cardnumber"})
        if self._taken(row, "userid", body):
            raise Problem(400, "error", f"Problem with {body['userid']}")
        if body.get("patron_id", row.patron_id) != row.patron_id:
            raise Problem(400, "error", f"Problem with {row.record['userid']}")

    def _taken(self, row: Patron, column: str, body: dict[str, Any]) -> bool:
        value = body.get(column)
        others = (other for other in self.tables.patrons.values() if other is not row)
        return value is not None and any(other.record[column] == value for other in others)
