"""Stripe's own books, for reconciliation and export: what came in, and what was paid out with which fees.

Both are read from the balance transactions: one arises when money is taken (not when the payer
began), and each carries Stripe's fee.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import ListedPayment, PaymentPage, Payout, PayoutEntry
from ils_payment_stripe import reversals
from ils_payment_stripe.client import questions
from ils_payment_stripe.reversals import cents_in, garbled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    import stripe
    from stripe.params import BalanceTransactionListParams, PayoutListParams

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "charge": "payment",
        "refund": "refund",
        "refund_failure": "refund",
        "dispute": "chargeback",
        "dispute_reversal": "chargeback",
        "fee": "fee",
        "network_cost": "fee",
        "tax": "fee",
    }
)
"""Stripe's reporting categories (documented) in the house's words; every other one is ``other``."""

_OWN = frozenset({"payout", "payout_reversal"})
"""The payout's own transaction, which takes the whole sum out of the balance."""


def payments(
    client: stripe.StripeClient, since: datetime, until: datetime, cursor: str | None
) -> PaymentPage:
    """Return one page of the money that was taken; *cursor* is the last transaction of the page before.

    The session is not told: finding it would be a call for each payment. Our reference was put into
    the PaymentIntent's metadata, which Stripe copies to the charge (documented).
    """
    # Stripe tells whole seconds: one is at or after an instant when it is at or after the next whole one.
    first, end = math.ceil(since.timestamp()), math.ceil(until.timestamp())
    params: BalanceTransactionListParams = {
        "created": {"gte": first, "lt": end},
        "limit": 100,
        "expand": ["data.source"],
    }
    if cursor is not None:
        params["starting_after"] = cursor
    with questions():
        page = client.v1.balance_transactions.list(params)
        entries = [entry.to_dict() for entry in page.data]
        # A payment and its refunds may stand in one page: it is told once.
        found = {one.money_ref: one for entry in entries for one in _listed(client, entry)}
        return PaymentPage(
            payments=tuple(found.values()), cursor=str(entries[-1]["id"]) if page.has_more else None
        )


def _listed(client: stripe.StripeClient, entry: Mapping[str, Any]) -> Iterator[ListedPayment]:
    """Return the payment behind a balance transaction; none for fees and the like.

    A refund or dispute of these days leads to a payment that may be weeks older.
    """
    kind = KINDS.get(str(entry.get("reporting_category")))
    if kind not in {"payment", "refund", "chargeback"}:
        return
    charge = _source(entry)
    if kind != "payment":
        if not isinstance(charge.get("charge"), str):
            return
        charge = client.v1.charges.retrieve(str(charge["charge"])).to_dict()
    if charge.get("object") != "charge" or charge.get("status") != "succeeded" or not charge.get("captured"):
        return
    disputes = []
    if charge.get("disputed"):
        listed = client.v1.disputes.list({"charge": str(charge["id"]), "limit": 100})
        disputes = [one.to_dict() for one in listed.auto_paging_iter()]
    metadata = charge.get("metadata") or {}
    yield ListedPayment(
        session_ref="",
        money_ref=_money_ref(charge),
        reference=str(metadata.get("payment") or ""),
        installation=str(metadata.get("installation") or ""),
        captured=cents_in(charge, "amount_captured"),
        reversed=cents_in(charge, "amount_refunded")
        + reversals.cents_gone(reversals.reversals((), disputes)),
        currency=str(charge.get("currency")).upper(),
        live=charge.get("livemode") is True,
        at=datetime.fromtimestamp(cents_in(entry, "created"), UTC),
    )


def payouts(client: stripe.StripeClient, since: datetime, until: datetime, time_zone: str) -> list[Payout]:
    """Return the payouts whose day of arrival begins, by the library's calendar, in the time asked for.

    Only those that Stripe calls paid: an earlier status is a plan, and a failed one came back.
    """
    margin = timedelta(days=1)
    params: PayoutListParams = {
        "arrival_date": {
            "gte": int((since - margin).timestamp()),
            "lt": int((until + margin).timestamp()),
        },
        "status": "paid",
        "limit": 100,
    }
    found = []
    with questions():
        for listed in client.v1.payouts.list(params).auto_paging_iter():
            payout = listed.to_dict()
            arrival = datetime.fromtimestamp(cents_in(payout, "arrival_date"), UTC).date()
            begins = datetime.combine(arrival, time(), ZoneInfo(time_zone))
            if payout.get("status") == "paid" and since <= begins < until:
                found.append(_payout(client, payout, arrival))
    return found


def _payout(client: stripe.StripeClient, payout: Mapping[str, Any], arrival: date) -> Payout:
    """Read what is in one payout; a manual one has no entries, because Stripe assigns none (documented)."""
    ref = str(payout["id"])
    entries: list[PayoutEntry] = []
    if payout.get("automatic"):
        if payout.get("reconciliation_status") == "in_progress":
            raise RemoteUnavailableError(
                f"Stripe is still assigning transactions to the payout {ref}.",
                mend="Ask again in a few hours; until then the payout's entries are not complete.",
            )
        inside = client.v1.balance_transactions.list({"payout": ref, "limit": 100, "expand": ["data.source"]})
        entries = [line for entry in inside.auto_paging_iter() for line in payout_entries(entry.to_dict())]
    return Payout(
        ref=ref,
        cents=cents_in(payout, "amount"),
        currency=str(payout.get("currency")).upper(),
        arrival=arrival,
        entries=tuple(entries),
    )


def payout_entries(entry: Mapping[str, Any]) -> Iterator[PayoutEntry]:
    """Return the lines of one balance transaction: itself, and a fee given back as one of its own."""
    category = str(entry.get("reporting_category"))
    if category in _OWN:
        return
    ref, fee = str(entry["id"]), cents_in(entry, "fee")
    source = entry.get("source")
    yield PayoutEntry(
        ref=ref,
        kind=KINDS.get(category, "other"),
        cents=cents_in(entry, "amount"),
        fee=max(fee, 0),
        money_ref=_money_ref(source) if isinstance(source, dict) else "",
    )
    if fee < 0:
        yield PayoutEntry(ref=f"{ref}:fee", kind="fee", cents=-fee, fee=0)


def _source(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    source = entry.get("source")
    if not isinstance(source, dict):
        raise garbled("the source of a balance transaction was asked for in full and came as an id")
    return source


def _money_ref(source: Mapping[str, Any]) -> str:
    """Return the PaymentIntent of a charge, refund or dispute; a charge without one stands for itself."""
    ref = source.get("payment_intent")
    if ref is None and source.get("object") == "charge":
        ref = source.get("id")
    return str(ref.get("id") if isinstance(ref, dict) else ref or "")
