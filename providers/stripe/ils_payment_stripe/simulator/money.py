"""Payment intents, charges, refunds, disputes, events and the account: everything beside sessions."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator.call import page_of, show
from ils_payment_stripe.simulator.refusal import Refusal, no_such

if TYPE_CHECKING:
    from ils_payment_stripe.simulator.book import Thing
    from ils_payment_stripe.simulator.call import Call

EVENTS_KEPT = 30 * 86_400


def account(call: Call) -> Thing:
    """``GET /v1/account``."""
    return call.book.account.as_object(call.book.opened)


def payment_intent(call: Call) -> Thing:
    """``GET /v1/payment_intents/{id}``."""
    return show(call, call.book.intent(call.ids[0], live=call.live))


def payment_intents(call: Call) -> Thing:
    """``GET /v1/payment_intents``, newest first."""
    return page_of(call, _matching(call, call.book.intents), "/v1/payment_intents")


def charge(call: Call) -> Thing:
    """``GET /v1/charges/{id}``."""
    return show(call, call.book.charge(call.ids[0], live=call.live))


def charges(call: Call) -> Thing:
    """``GET /v1/charges``, newest first."""
    return page_of(call, _matching(call, call.book.charges, "payment_intent"), "/v1/charges")


def refund(call: Call) -> Thing:
    """``GET /v1/refunds/{id}``."""
    return show(call, call.book.refund(call.ids[0], live=call.live))


def refunds(call: Call) -> Thing:
    """``GET /v1/refunds``, newest first."""
    return page_of(call, _matching(call, call.book.refunds, "payment_intent", "charge"), "/v1/refunds")


def dispute(call: Call) -> Thing:
    """``GET /v1/disputes/{id}``."""
    return show(call, call.book.dispute(call.ids[0], live=call.live))


def disputes(call: Call) -> Thing:
    """``GET /v1/disputes``, newest first."""
    return page_of(call, _matching(call, call.book.disputes, "payment_intent", "charge"), "/v1/disputes")


def create_refund(call: Call) -> Thing:
    """``POST /v1/refunds``: at most what is left of the charge."""
    wish = call.params
    taken = _charge_of(call, wish)
    rest = taken["amount"] - taken["amount_refunded"]
    if rest <= 0:
        message = f"Charge {taken['id']} has already been refunded."
        raise Refusal(400, message, code="charge_already_refunded")
    fought_over = (one for one in call.book.disputes.values() if one["charge"] == taken["id"])
    if any(one["status"] != "won" for one in fought_over):
        raise Refusal(400, f"Charge {taken['id']} has been charged back.", code="charge_disputed")
    cents = wish.get("amount", rest)
    if cents < 1:
        raise Refusal(400, "Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if cents > rest:
        message = f"Refund amount ({cents}) is greater than the unrefunded amount of the charge ({rest})."
        raise Refusal(400, message, param="amount")
    return show(call, call.payer.refund(taken, cents, wish, call.cause))


def event(call: Call) -> Thing:
    """``GET /v1/events/{id}``."""
    found = call.book.events.get(call.ids[0])
    if found is None or found["livemode"] != call.live:
        raise no_such("event", call.ids[0], "id")
    return show(call, found)


def events(call: Call) -> Thing:
    """``GET /v1/events``, newest first, of the last 30 days (retention: documentation, not verified)."""
    wish = call.params
    if "type" in wish and "types" in wish:
        raise Refusal(400, "You may only specify one of these parameters: type, types.", param="types")
    patterns = wish.get("types") or ([wish["type"]] if "type" in wish else ["*"])
    since = call.book.seconds() - EVENTS_KEPT
    chosen = [
        one
        for one in reversed(call.book.events.values())
        if one["created"] >= since
        and any(fnmatchcase(one["type"], pattern) for pattern in patterns)
        and wish.get("delivery_success") in {None, _delivered(call, one)}
    ]
    return page_of(call, chosen, "/v1/events")


def webhook_endpoint(call: Call) -> Thing:
    """``GET /v1/webhook_endpoints/{id}``."""
    found = [
        one for one in call.book.endpoints() if one["id"] == call.ids[0] and one["livemode"] == call.live
    ]
    if not found:
        raise no_such("webhook endpoint", call.ids[0], "webhook_endpoint")
    return found[0]


def webhook_endpoints(call: Call) -> Thing:
    """``GET /v1/webhook_endpoints``: the one endpoint, if the simulator knows where it is."""
    return page_of(call, call.book.endpoints(), "/v1/webhook_endpoints")


def _delivered(call: Call, thing: Thing) -> bool:
    """Return whether every webhook of an event has arrived; one without a webhook counts as delivered."""
    delivery = call.book.outbox.deliveries.get(thing["id"])
    return delivery is None or delivery.state == "delivered"


def _matching(call: Call, shelf: dict[str, Thing], *names: str) -> list[Thing]:
    """Return the things whose named fields are as the request says, newest first."""
    wanted = {name: call.params[name] for name in names if name in call.params}
    return [
        one for one in reversed(shelf.values()) if all(one[name] == value for name, value in wanted.items())
    ]


def _charge_of(call: Call, wish: dict[str, Any]) -> Thing:
    """Return the charge that a refund request means."""
    if ("charge" in wish) == ("payment_intent" in wish):
        raise Refusal(400, "Exactly one of charge and payment_intent has to be given.", param="charge")
    if "charge" in wish:
        return call.book.charge(wish["charge"], live=call.live)
    intent = call.book.intent(wish["payment_intent"], live=call.live)
    if intent["status"] != "succeeded":
        message = f"This PaymentIntent ({intent['id']}) has no successful charge to refund."
        raise Refusal(400, message, code="payment_intent_unexpected_state", param="payment_intent")
    return call.book.charges[intent["latest_charge"]]
