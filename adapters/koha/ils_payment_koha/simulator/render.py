"""How the simulated Koha writes: JSON, numbers, times, error shapes, one object each. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ils_payment.model import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ils_payment_koha.simulator.habits import KohaHabits
    from ils_payment_koha.simulator.state import Item, Line, Patron

JSON_TYPE = "application/json;charset=UTF-8"
AUTH_JSON_TYPE = "application/json; charset=utf8"
"""Answers that Koha gives before its OpenAPI layer carry the other spelling (seen)."""

NULL_PATRON_FIELDS = (
    "address", "address2", "altaddress_address", "altaddress_address2", "altaddress_city",
    "altaddress_country", "altaddress_email", "altaddress_notes", "altaddress_phone",
    "altaddress_postal_code", "altaddress_state", "altaddress_street_number", "altaddress_street_type",
    "altcontact_address", "altcontact_address2", "altcontact_city", "altcontact_country",
    "altcontact_firstname", "altcontact_phone", "altcontact_postal_code", "altcontact_state",
    "altcontact_surname", "city", "country", "date_of_birth", "date_renewed", "email", "fax",
    "firstname", "gender", "initials", "last_seen", "middle_name", "mobile", "opac_notes", "other_name",
    "overdrive_auth_token", "phone", "postal_code", "pronouns", "relationship_type", "secondary_email",
    "secondary_phone", "sms_number", "sms_provider_id", "staff_notes", "state", "statistics_1",
    "statistics_2", "street_number", "street_type", "title",
)  # fmt: skip
PATRON_DEFAULTS: dict[str, Any] = {
    "anonymized": False, "autorenew_checkouts": True, "check_previous_checkout": "inherit",
    "incorrect_address": False, "lang": "default", "login_attempts": 0, "patron_card_lost": False,
    "privacy": 1, "privacy_guarantor_checkouts": 0, "privacy_guarantor_fines": False,
    "restricted": False,
}  # fmt: skip
NULL_ITEM_FIELDS = (
    "acquisition_source", "call_number_source", "checked_out_date", "coded_location_qualifier",
    "collection_code", "copy_number", "damaged_date", "extended_subfields", "holds_count",
    "internal_notes", "inventory_number", "last_checkout_date", "location", "lost_date",
    "materials_notes", "new_status", "permanent_location", "public_notes", "renewals_count",
    "restricted_status", "serial_issue_number", "uri", "withdrawn_date",
)  # fmt: skip
ITEM_DEFAULTS: dict[str, Any] = {
    "checkouts_count": 0, "damaged_status": 0, "effective_item_type_id": "BK",
    "effective_not_for_loan_status": 0, "exclude_from_local_holds_priority": False, "item_type_id": "BK",
    "lost_status": 0, "not_for_loan_status": 0, "withdrawn": 0,
}  # fmt: skip
ITEM_FIELDS = (
    *NULL_ITEM_FIELDS, *ITEM_DEFAULTS, "acquisition_date", "biblio_id", "call_number_sort", "callnumber",
    "external_id", "holding_library_id", "home_library_id", "item_id", "last_seen_date", "purchase_price",
    "replacement_price", "replacement_price_date", "timestamp",
)  # fmt: skip
PUBLIC_ITEM_FIELDS = (
    "acquisition_date", "biblio_id", "callnumber", "checked_out_date", "copy_number", "damaged_status",
    "effective_item_type_id", "effective_not_for_loan_status", "external_id", "holding_library_id",
    "home_library_id", "item_id", "item_type_id", "location", "lost_status", "not_for_loan_status",
    "public_notes", "restricted_status", "serial_issue_number", "uri", "withdrawn",
)  # fmt: skip
LIBRARY_FIELDS = (
    "address1", "address2", "address3", "city", "country", "email", "fax", "geolocation", "illemail",
    "ip", "library_id", "marc_org_code", "name", "notes", "phone", "postal_code", "reply_to_email",
    "return_path_email", "state", "url",
)  # fmt: skip
CREDIT_FIELDS = (
    "account_line_id", "amount", "amount_outstanding", "cash_register_id", "date", "description",
    "interface", "internal_note", "library_id", "patron_id", "payment_type", "status", "timestamp",
    "type", "user_id",
)  # fmt: skip
DEBIT_FIELDS = (
    "account_line_id", "amount", "amount_outstanding", "cash_register_id", "checkout_id", "date",
    "description", "interface", "internal_note", "item_id", "library_id", "patron_id", "payout_type",
    "status", "timestamp", "type", "user_id",
)  # fmt: skip


def reply(
    status: int, body: object, *, content_type: str = JSON_TYPE, headers: Iterable[tuple[str, str]] = ()
) -> Reply:
    """Return *body* as Koha writes JSON: keys in order, no blanks, UTF-8."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Reply(status=status, body=text.encode(), headers=(("Content-Type", content_type), *headers))


@dataclass(eq=False)
class Problem(Exception):
    """An answer other than success; *kind* picks one of the five error shapes that were seen."""

    status: int
    kind: str
    text: str = ""
    more: Any = None

    def reply(self) -> Reply:
        """Return the answer in its shape."""
        match self.kind:
            case "auth":
                extra = {} if self.status != 403 else {"required_permissions": self.more}
                return reply(self.status, {"error": self.text, **extra}, content_type=AUTH_JSON_TYPE)
            case "error":
                return reply(self.status, {"error": self.text, **(self.more or {})})
            case "unhandled":
                text = "Something went wrong, check Koha logs for details."
                return reply(
                    self.status,
                    {"error": text, "error_code": "internal_server_error"},
                    headers=self.more or (),
                )
            case "errors":
                errors = self.more or [{"message": self.text, "path": "/"}]
                return reply(self.status, {"errors": errors, "status": self.status})
            case "bare":
                return reply(self.status, self.more)
            case "list":
                return reply(self.status, self.more, content_type=AUTH_JSON_TYPE)
        raise ValueError(self.kind)


def unhandled() -> Problem:
    """Return the 500 for every exception that Koha does not know; it says nothing about the booking."""
    return Problem(500, "unhandled")


def not_found(text: str) -> Problem:
    """Return the 404 of an object that is not there."""
    return Problem(404, "error", text)


def no_such_path() -> Problem:
    """Return the 404 of a path or a method that the specification does not have."""
    return Problem(404, "errors", "Not Found.")


class Renderer:
    """Writes amounts and times the way one Koha does."""

    def __init__(self, habits: KohaHabits) -> None:
        self._habits = habits
        self._zone = ZoneInfo(habits.timezone)

    def number(self, amount: Decimal) -> float | int:
        """Return *amount* as the JSON number Koha writes: a binary float, an integer from 1e15 on (seen)."""
        value = float(amount)
        if 1e15 <= abs(value) < 1e17 and value == int(value):
            return int(value)
        return (
            math.nextafter(value, math.copysign(math.inf, value))
            if self._habits.float_noise and value
            else value
        )

    def total(self, amounts: list[Decimal]) -> float | int:
        """Return a sum; over no rows at all it is the integer 0 (seen)."""
        return self.number(sum(amounts, Decimal(0))) if amounts else 0

    def time(self, moment: datetime) -> str:
        """Return *moment* in local time with its offset, in whole seconds."""
        return moment.astimezone(self._zone).replace(microsecond=0).isoformat()

    def day(self, moment: datetime) -> str:
        """Return the local day of *moment*."""
        return moment.astimezone(self._zone).date().isoformat()

    def midnight(self, day: str) -> datetime:
        """Return the start of a local *day* (``YYYY-MM-DD``)."""
        return datetime.fromisoformat(day).replace(tzinfo=self._zone)

    def line(self, line: Line) -> dict[str, Any]:
        """Return an account line with every field that any of the three shapes shows."""
        return {
            "account_line_id": line.line_id,
            "amount": self.number(line.amount),
            "amount_outstanding": self.number(line.outstanding),
            "cash_register_id": None,
            "checkout_id": None,
            "credit_number": line.credit_number,
            "credit_type": line.credit_type,
            "date": self.time(line.date),
            "debit_type": line.debit_type,
            "description": line.description,
            "interface": line.interface,
            "internal_note": line.note,
            "item_id": line.item_id,
            "library_id": line.library_id,
            "patron_id": line.patron_id,
            "payment_type": line.payment_type,
            "status": line.status,
            "timestamp": self.time(line.timestamp),
            "user_id": line.user_id,
        }

    def credit(self, line: Line) -> dict[str, Any]:
        """Return a credit as ``GET .../account/credits`` lists it."""
        whole = self.line(line) | {"type": line.credit_type}
        return {name: whole[name] for name in CREDIT_FIELDS}

    def debit(self, line: Line) -> dict[str, Any]:
        """Return a debit as ``.../account/debits`` shows it."""
        whole = self.line(line) | {"type": line.debit_type, "payout_type": None}
        return {name: whole[name] for name in DEBIT_FIELDS}

    def item(self, item: Item) -> dict[str, Any]:
        """Return an item as ``GET /items/{id}`` shows it."""
        day = self.day(item.created)
        time = self.time(item.created)
        shelf = item.callnumber.upper().split()
        sort_key = "_".join([*shelf[:2], "000000000000000", *shelf[2:]])
        return (
            dict.fromkeys(NULL_ITEM_FIELDS)
            | ITEM_DEFAULTS
            | {
                "acquisition_date": day,
                "biblio_id": item.biblio_id,
                "call_number_sort": sort_key,
                "callnumber": item.callnumber,
                "external_id": item.barcode,
                "holding_library_id": item.library_id,
                "home_library_id": item.library_id,
                "item_id": item.item_id,
                "last_seen_date": time,
                "purchase_price": self.number(item.price),
                "replacement_price": self.number(item.price),
                "replacement_price_date": day,
                "timestamp": time,
            }
        )


def patron(row: Patron) -> dict[str, Any]:
    """Return a patron as the API shows it."""
    return {"patron_id": row.patron_id, **row.record}


def blank_patron(**given: object) -> dict[str, Any]:
    """Return a patron record with Koha's defaults and the *given* fields."""
    return {**dict.fromkeys(NULL_PATRON_FIELDS), **PATRON_DEFAULTS, **given}


def library(**given: object) -> dict[str, Any]:
    """Return a library record with Koha's defaults and the *given* fields."""
    return {**dict.fromkeys(LIBRARY_FIELDS), "pickup_location": True, "public": True, **given}
