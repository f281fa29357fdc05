"""Koha's OpenAPI checks of what comes in, with the words it uses (JSON::Validator, as seen)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ils_payment_koha.simulator.render import NULL_PATRON_FIELDS, Problem, unhandled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import RawRequest

_FORM = "application/x-www-form-urlencoded"
_NOTHING = object()


@dataclass(frozen=True)
class Field:
    """One property of a body, or one parameter."""

    kind: str
    required: bool = False
    nullable: bool = False
    read_only: bool = False
    minimum: int | None = None
    is_day: bool = False
    choices: tuple[str, ...] = ()
    items: Field | None = None


_TEXT = Field("string")
_TEXT_OR_NULL = Field("string", nullable=True)
_DAY_OR_NULL = Field("string", nullable=True, is_day=True)

CREDIT = {
    "account_lines_ids": Field("array", items=Field("integer")),
    "amount": Field("number", required=True, minimum=0),
    "credit_type": _TEXT,
    "date": Field("string", is_day=True),
    "description": _TEXT,
    "library_id": _TEXT_OR_NULL,
    "note": _TEXT,
    "payment_type": _TEXT,
}
DEBIT = {
    "account_line_id": Field("integer", nullable=True, read_only=True),
    "amount": Field("number", required=True, minimum=0),
    "amount_outstanding": Field("number"),
    "cash_register_id": Field("integer", nullable=True),
    "checkout_id": Field("integer", nullable=True),
    "date": _TEXT,
    "description": _TEXT_OR_NULL,
    "interface": _TEXT_OR_NULL,
    "internal_note": _TEXT_OR_NULL,
    "item_id": Field("integer", nullable=True),
    "library_id": _TEXT_OR_NULL,
    "patron_id": Field("integer"),
    "payout_type": _TEXT_OR_NULL,
    "status": _TEXT_OR_NULL,
    "timestamp": _TEXT,
    "type": _TEXT_OR_NULL,
    "user_id": Field("integer", nullable=True),
}
PASSWORD = {"identifier": _TEXT, "password": Field("string", required=True), "userid": _TEXT}
TOKEN = {"client_id": _TEXT, "client_secret": _TEXT, "grant_type": Field("string", required=True)}
PATRON = dict.fromkeys(NULL_PATRON_FIELDS, _TEXT_OR_NULL) | {
    "anonymized": Field("boolean", read_only=True),
    "autorenew_checkouts": Field("boolean"),
    "cardnumber": _TEXT_OR_NULL,
    "category_id": Field("string", required=True),
    "check_previous_checkout": _TEXT,
    "date_enrolled": _DAY_OR_NULL,
    "date_of_birth": _DAY_OR_NULL,
    "date_renewed": _DAY_OR_NULL,
    "expiry_date": _DAY_OR_NULL,
    "incorrect_address": Field("boolean", nullable=True),
    "lang": _TEXT,
    "library_id": Field("string", required=True),
    "login_attempts": Field("integer", nullable=True),
    "patron_card_lost": Field("boolean", nullable=True),
    "patron_id": Field("integer"),
    "privacy": Field("integer"),
    "privacy_guarantor_checkouts": Field("integer"),
    "privacy_guarantor_fines": Field("boolean"),
    "restricted": Field("boolean", read_only=True),
    "sms_provider_id": Field("integer", nullable=True),
    "surname": Field("string", required=True, nullable=True),
    "updated_on": _TEXT,
    "userid": _TEXT_OR_NULL,
}
PAGING = {
    "_match": Field("string", choices=("contains", "exact", "starts_with", "ends_with")),
    "_order_by": _TEXT,
    "_page": Field("integer"),
    "_per_page": Field("integer"),
    "q": _TEXT,
}
EMBEDS = ("extended_attributes", "checkouts+count", "overdues+count", "account_balance", "library")


def body(request: RawRequest, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the checked JSON body of *request*, with coerced values; raise the 400 or 500 Koha answers.

    The content type does not count, except that a form makes Koha fail (seen).
    """
    if request.headers.get("content-type", "").startswith(_FORM):
        raise unhandled()
    if not request.body:
        raise _refused([("Missing property.", "/body")])
    try:
        value = json.loads(request.body, parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        value = ""
    if not isinstance(value, dict):
        raise _refused([(f"Expected object - got {_name(value)}.", "/body")])
    return check(value, fields, where="/body")


def form(request: RawRequest, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the checked form fields of *request*; anything but a form has none."""
    is_form = request.headers.get("content-type", "").startswith(_FORM)
    pairs = parse_qsl(request.body.decode(), keep_blank_values=True) if is_form else []
    return check(dict(pairs), fields, where="")


def check(value: Mapping[str, Any], fields: Mapping[str, Field], *, where: str) -> dict[str, Any]:
    """Return *value* coerced to *fields*; raise one Problem that lists everything wrong."""
    wrong: list[tuple[str, str]] = []
    unknown = sorted(set(value) - set(fields))
    if unknown:
        wrong.append((f"Properties not allowed: {', '.join(unknown)}.", where))
    coerced: dict[str, Any] = {}
    for name, rule in sorted(fields.items()):
        given = value.get(name, _NOTHING)
        if given is _NOTHING:
            if rule.required:
                wrong.append(("Missing property.", f"{where}/{name}"))
            continue
        coerced[name] = _value(given, rule, f"{where}/{name}", wrong)
    if wrong:
        raise _refused(wrong)
    return coerced


def integer(text: str, where: str) -> int:
    """Return a path parameter as an integer or raise Koha's 400."""
    if not _is_int(text):
        raise _refused([("Expected integer - got string.", where)])
    return int(text)


def accepted(request: RawRequest, produces: tuple[str, ...]) -> str:
    """Return the type of *produces* that *request* asks for.

    ``*/*`` is served where JSON alone is offered, and refused with 406 where there is a choice
    (seen); a request without ``Accept`` is taken like ``*/*`` (inferred).
    """
    asked = [part.split(";")[0].strip() for part in request.headers.get("accept", "*/*").split(",")]
    for kind in asked:
        if kind in produces:
            return kind
    if {"*/*", "application/*"} & set(asked):
        if len(produces) == 1:
            return produces[0]
        raise Problem(406, "bare", more=list(produces))
    message = f"Expected {', '.join(produces)} - got {asked[0]}."
    raise _refused([(message, "/header/Accept")])


def _refused(wrong: list[tuple[str, str]]) -> Problem:
    return Problem(400, "errors", more=[{"message": message, "path": path} for message, path in wrong])


def _name(value: object) -> str:
    kinds = {bool: "boolean", Decimal: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else kinds[type(value)]


def _value(given: Any, rule: Field, path: str, wrong: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - any JSON
    """Return *given* as *rule* wants it; what does not fit is added to *wrong*."""
    if rule.read_only:
        wrong.append(("Read-only.", path))
        return None
    if given is None and rule.nullable:
        return None
    fitting = _coerce(given, rule.kind)
    if fitting is _NOTHING:
        wrong.append((f"Expected {rule.kind} - got {_name(given)}.", path))
        return None
    if rule.minimum is not None and fitting < rule.minimum:
        wrong.append((f"{Decimal(fitting).normalize():f} < minimum({rule.minimum})", path))
    if rule.choices and fitting not in rule.choices:
        wrong.append((f"Not in enum list: {', '.join(rule.choices)}.", path))
    if rule.is_day:
        wrong += [(message, path) for message in _day_faults(fitting)]
    if rule.items:
        fitting = [_value(entry, rule.items, f"{path}/{at}", wrong) for at, entry in enumerate(fitting)]
    return fitting


def _coerce(given: Any, kind: str) -> Any:  # noqa: ANN401 - any JSON
    """Return *given* as *kind*, or ``_NOTHING``; numbers and texts pass for each other (seen)."""
    match kind, given:
        case "string", str():
            return given
        case "string", Decimal():
            return f"{given.normalize():f}"
        case "boolean", bool():
            return given
        case "boolean", "true" | "1":
            return True
        case "boolean", "false" | "0":
            return False
        case "array", list():
            return given
        case "number" | "integer", Decimal() | str() if _is_int(str(given)):
            return Decimal(str(given)) if kind == "number" else int(given)
        case "number", Decimal():
            return given
        case "number", str():
            return _number(given)
    return _NOTHING


def _number(text: str) -> Any:  # noqa: ANN401 - a Decimal or the mark of nothing
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _NOTHING
    return number if number.is_finite() else _NOTHING


def _is_int(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", text) is not None


def _day_faults(text: str) -> list[str]:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return ["Does not match date format."]
    try:
        date.fromisoformat(text)
    except ValueError:
        return ["Day out of range."]
    return []
