"""The addresses of the v1 API that are imitated, each with the SDK's type of its parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment_stripe.simulator import balance, money, sessions
from ils_payment_stripe.simulator.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.model import RawRequest
    from ils_payment_stripe.simulator.book import Thing
    from ils_payment_stripe.simulator.call import Call


@dataclass(frozen=True)
class Operation:
    """One operation under its name in the SDK.

    ``params`` names the SDK's parameter type (``checkout.SessionCreateParams`` lies in
    ``stripe.params.checkout._session_create_params``), ``right`` what a restricted key needs.
    """

    name: str
    method: str
    path: str
    params: str
    right: str
    run: Callable[[Call], Thing]


_ID = "/([^/]+)"
_SESSIONS = "/v1/checkout/sessions"
_READ_SESSIONS, _WRITE_SESSIONS = "checkout_sessions:read", "checkout_sessions:write"


def _session(name: str, method: str, path: str, params: str, run: Callable[[Call], Thing]) -> Operation:
    right = _READ_SESSIONS if method == "GET" else _WRITE_SESSIONS
    return Operation(
        f"checkout.sessions.{name}", method, _SESSIONS + path, f"checkout.Session{params}", right, run
    )


def _pair(
    room: str, kind: str, many: Callable[[Call], Thing], one: Callable[[Call], Thing]
) -> list[Operation]:
    """Return listing and retrieving of one kind of object."""
    path, right = f"/v1/{room}", f"{room}:read"
    return [
        Operation(f"{room}.list", "GET", path, f"{kind}ListParams", right, many),
        Operation(f"{room}.retrieve", "GET", path + _ID, f"{kind}RetrieveParams", right, one),
    ]


OPERATIONS = (
    _session("create", "POST", "", "CreateParams", sessions.create),
    _session("list", "GET", "", "ListParams", sessions.every),
    _session("retrieve", "GET", _ID, "RetrieveParams", sessions.retrieve),
    _session("expire", "POST", f"{_ID}/expire", "ExpireParams", sessions.expire),
    _session("line_items.list", "GET", f"{_ID}/line_items", "LineItemListParams", sessions.line_items),
    *_pair("payment_intents", "PaymentIntent", money.payment_intents, money.payment_intent),
    *_pair("charges", "Charge", money.charges, money.charge),
    Operation(
        "refunds.create", "POST", "/v1/refunds", "RefundCreateParams", "refunds:write", money.create_refund
    ),
    *_pair("refunds", "Refund", money.refunds, money.refund),
    *_pair("disputes", "Dispute", money.disputes, money.dispute),
    *_pair("balance_transactions", "BalanceTransaction", balance.transactions, balance.transaction),
    *_pair("payouts", "Payout", balance.payouts, balance.payout_of),
    *_pair("events", "Event", money.events, money.event),
    *_pair("webhook_endpoints", "WebhookEndpoint", money.webhook_endpoints, money.webhook_endpoint),
    Operation(
        "accounts.retrieve_current",
        "GET",
        "/v1/account",
        "AccountRetrieveCurrentParams",
        "accounts:read",
        money.account,
    ),
)


def find_operation(request: RawRequest) -> tuple[Operation, tuple[str, ...]]:
    """Return the operation at the request's address, and the ids in it."""
    for operation in OPERATIONS:
        match = re.fullmatch(operation.path, request.path)
        if match and operation.method == request.method:
            return operation, match.groups()
    raise Refusal(404, f"Unrecognized request URL ({request.method}: {request.path}).")
