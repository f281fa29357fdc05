"""One API request on its way through the simulator, and the shapes that all operations share."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment_stripe.simulator.book import Book, Thing
    from ils_payment_stripe.simulator.payer import Payer

MAX_EXPAND_DEPTH = 4

WITHIN_CHARGE = 10
"""How many refunds an expanded charge shows (documented)."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that was understood: parameters as JSON types, the key's mode and rights."""

    payer: Payer
    params: dict[str, Any]
    live: bool
    rights: frozenset[str] | None
    key_shown: str
    host: str
    ids: tuple[str, ...] = ()
    cause: dict[str, str | None] = field(default_factory=dict)

    @property
    def book(self) -> Book:
        """Return what the simulator remembers."""
        return self.payer.book

    def need(self, right: str) -> None:
        """Refuse unless the key has *right*; writing includes reading, and a secret key may everything."""
        room = right.partition(":")[0]
        if self.rights is None or right in self.rights or f"{room}:write" in self.rights:
            return
        message = f"The provided key '{self.key_shown}' does not have the right '{right}' on this account."
        raise Refusal(403, message)


def show(call: Call, thing: Thing, paths: list[str] | None = None) -> Thing:
    """Return a copy of *thing* for an answer, with the fields that the request expands."""
    shown = copy.deepcopy(thing)
    for path in call.params.get("expand", []) if paths is None else paths:
        steps = path.split(".")
        if len(steps) > MAX_EXPAND_DEPTH:
            raise Refusal(400, f"You cannot expand more than 4 levels of a property: {path}", param="expand")
        _expand(call, shown, steps, path)
    return shown


def _expand(call: Call, thing: Thing, steps: list[str], path: str) -> None:
    """Put the objects behind *steps* into *thing*."""
    name, rest = steps[0], steps[1:]
    fetch = _EXPANDABLE.get((thing["object"], name))
    if fetch is None:
        message = f"This property cannot be expanded ({path})."
        raise Refusal(400, message, param="expand")
    inner = thing.get(name)
    if not isinstance(inner, dict):
        inner = thing[name] = fetch(call, thing)
    if rest and inner is not None:
        if rest[0] == "data":
            for one in inner["data"]:
                _expand(call, one, rest[1:], path)
        else:
            _expand(call, inner, rest, path)


def _intent(call: Call, thing: Thing) -> Thing | None:
    call.need("payment_intents:read")
    key = thing["payment_intent"]
    return copy.deepcopy(call.book.intents[key]) if key else None


def _charge(call: Call, key: str | None) -> Thing | None:
    call.need("charges:read")
    return copy.deepcopy(call.book.charges[key]) if key else None


def _refunds(call: Call, thing: Thing) -> Thing:
    call.need("refunds:read")
    refunds = copy.deepcopy(call.book.refunds_of(thing["id"]))
    more = len(refunds) > WITHIN_CHARGE
    return a_list(refunds[:WITHIN_CHARGE], f"/v1/charges/{thing['id']}/refunds", has_more=more)


def _lines(call: Call, thing: Thing) -> Thing:
    lines = copy.deepcopy(call.book.line_items[thing["id"]])
    return a_list(lines, f"/v1/checkout/sessions/{thing['id']}/line_items")


def _source(call: Call, thing: Thing) -> Thing | None:
    """Return what a balance transaction is about, as far as the key may see it."""
    book, key = call.book, thing["source"]
    if key is None:
        return None
    shelves = {"ch": book.charges, "re": book.refunds, "du": book.disputes, "po": book.payouts}
    rooms = {"ch": "charges", "re": "refunds", "du": "disputes", "po": "payouts"}
    prefix = key.partition("_")[0]
    call.need(f"{rooms[prefix]}:read")
    return copy.deepcopy(shelves[prefix][key])


_EXPANDABLE: dict[tuple[str, str], Callable[[Call, Thing], Thing | None]] = {
    ("checkout.session", "payment_intent"): _intent,
    ("checkout.session", "line_items"): _lines,
    ("payment_intent", "latest_charge"): lambda call, thing: _charge(call, thing["latest_charge"]),
    ("charge", "payment_intent"): _intent,
    ("charge", "refunds"): _refunds,
    ("refund", "payment_intent"): _intent,
    ("refund", "charge"): lambda call, thing: _charge(call, thing["charge"]),
    ("balance_transaction", "source"): _source,
    ("dispute", "payment_intent"): _intent,
    ("dispute", "charge"): lambda call, thing: _charge(call, thing["charge"]),
}


def a_list(data: list[Thing], url: str, *, has_more: bool = False) -> Thing:
    """Return Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def page_of(call: Call, things: list[Thing], url: str) -> Thing:
    """Return the page of *things* (newest first) that the request's cursor and limit ask for."""
    params = call.params
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise Refusal(400, "This value must be between 1 and 100.", param="limit")
    chosen = [
        one for one in things if call.book.live(one) == call.live and in_range(one, params.get("created"))
    ]
    ids = [one["id"] for one in chosen]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in ids:
            raise Refusal(400, f"No such object: '{params[name]}'", code="resource_missing", param=name)
    if "starting_after" in params:
        chosen = chosen[ids.index(params["starting_after"]) + 1 :]
    if "ending_before" in params:
        before = chosen[: ids.index(params["ending_before"])]
        page, has_more = before[-limit:], len(before) > limit
    else:
        page, has_more = chosen[:limit], len(chosen) > limit
    paths = params.get("expand", [])
    if not all(path.startswith("data.") for path in paths):
        raise Refusal(400, "The properties of a list's objects are expanded as data.<name>.", param="expand")
    inner = [path.removeprefix("data.") for path in paths]
    return a_list([show(call, one, inner) for one in page], url, has_more=has_more)


def in_range(thing: Thing, wanted: Any, name: str = "created") -> bool:  # noqa: ANN401 - an integer, a dictionary or nothing
    """Return whether *thing*'s time lies where the request wants it."""
    if wanted is None:
        return True
    instant = thing[name]
    if isinstance(wanted, int):
        return bool(instant == wanted)
    return bool(
        instant > wanted.get("gt", -1)
        and instant >= wanted.get("gte", 0)
        and instant < wanted.get("lt", instant + 1)
        and instant <= wanted.get("lte", instant)
    )
