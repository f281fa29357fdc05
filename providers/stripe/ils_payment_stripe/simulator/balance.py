"""The simulated account's balance: its transactions with fees, and the daily payouts to the bank.

Shapes are those of the SDK's types. That a payout of each day takes what is available, and how long
money takes to become so, is the account's to choose; amounts of fees are made up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator.call import in_range, page_of, show
from ils_payment_stripe.simulator.refusal import Refusal, no_such

if TYPE_CHECKING:
    from ils_payment_stripe.simulator.book import Book, Thing
    from ils_payment_stripe.simulator.call import Call

DAY = 86_400


def collect(book: Book, charge: Thing) -> None:
    """Put the money of a charge into the balance, less the fee."""
    method = charge["payment_method_details"]["type"]
    fee = book.account.fee_base + (charge["amount"] * book.account.fee_per_mille + 500) // 1000
    kind = "charge" if method == "card" else "payment"
    charge["balance_transaction"] = record(book, charge, kind, "charge", charge["amount"], fee)["id"]


def give_back(book: Book, refund: Thing) -> None:
    """Take a refund out of the balance; the fee of the payment stays with Stripe."""
    method = refund["destination_details"]["type"]
    kind = "refund" if method == "card" else "payment_refund"
    refund["balance_transaction"] = record(book, refund, kind, "refund", -refund["amount"])["id"]


def take_back(book: Book, refund: Thing) -> None:
    """Put a refund that failed into the balance again."""
    made = record(book, refund, "refund_failure", "refund_failure", refund["amount"])
    refund["failure_balance_transaction"] = made["id"]


def withdraw(book: Book, dispute: Thing) -> None:
    """Take a dispute's money and its fee out of the balance."""
    fee = book.account.dispute_fee
    made = record(book, dispute, "adjustment", "dispute", -dispute["amount"], fee)
    dispute["balance_transactions"].append(made)


def reinstate(book: Book, dispute: Thing) -> None:
    """Bring back a won dispute's money, with its fee (that the fee comes back is inferred)."""
    fee = -book.account.dispute_fee
    made = record(book, dispute, "adjustment", "dispute_reversal", dispute["amount"], fee)
    dispute["balance_transactions"].append(made)


def record(book: Book, source: Thing | None, kind: str, category: str, cents: int, fee: int = 0) -> Thing:
    """Write one balance transaction about *source*."""
    created = book.seconds()
    made: Thing = {
        "id": f"txn_{len(book.transactions) + 1:024}",
        "object": "balance_transaction",
        "amount": cents,
        "available_on": midnight(created) + book.account.payout_lag_days * DAY,
        "balance_type": "payments",
        "created": created,
        "currency": source["currency"] if source else book.account.currency,
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [],
        "net": cents - fee,
        "reporting_category": category,
        "source": source["id"] if source else None,
        "status": "pending",
        "type": kind,
    }
    book.transactions[made["id"]] = made
    book.transaction_modes[made["id"]] = book.live(source) if source else book.mode
    book.waiting.append(made["id"])
    return made


def pay_out_due(book: Book) -> None:
    """Make the payouts of the days that have begun, and let those arrive whose day has come."""
    now = book.seconds()
    if now < book.next_payouts:
        return
    book.next_payouts = midnight(now) + DAY
    days = sorted({book.transactions[key]["available_on"] for key in book.waiting})
    for day in (one for one in days if one <= now):
        available = [key for key in book.waiting if book.transactions[key]["available_on"] <= day]
        for group in sorted(
            {(book.transactions[key]["currency"], book.transaction_modes[key]) for key in available}
        ):
            _pay_out(book, day, group, available)
    for payout in book.payouts.values():
        if payout["status"] == "in_transit" and payout["arrival_date"] <= now:
            payout["status"] = "paid"


def _pay_out(book: Book, day: int, group: tuple[str, bool], available: list[str]) -> None:
    """Pay out what is available in one currency and mode; less than nothing waits for better days."""
    keys = [
        key for key in available if (book.transactions[key]["currency"], book.transaction_modes[key]) == group
    ]
    total = sum(book.transactions[key]["net"] for key in keys)
    if total <= 0:
        return
    currency, live = group
    payout = new_payout(book, total + book.account.payout_difference, day, currency, live=live)
    for key in (*keys, payout["balance_transaction"]):
        book.transactions[key]["status"] = "available"
        book.paid_out[key] = payout["id"]
    book.waiting = [key for key in book.waiting if key not in book.paid_out]


def new_payout(
    book: Book, cents: int, day: int, currency: str, *, live: bool, automatic: bool = True
) -> Thing:
    """Write a payout of *cents* that is made on *day* and arrives on the next."""
    payout: Thing = {
        "id": f"po_{len(book.payouts) + 1:024}",
        "object": "payout",
        "amount": cents,
        "arrival_date": day + DAY,
        "automatic": automatic,
        "balance_transaction": None,
        "created": day,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_1Simulated",
        "failure_code": None,
        "failure_message": None,
        "livemode": live,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed" if automatic else "not_applicable",
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit",
        "type": "bank_account",
    }
    book.payouts[payout["id"]] = payout
    made = record(book, payout, "payout", "payout", -cents)
    book.waiting.remove(made["id"])
    made.update(available_on=day, status="available")
    payout["balance_transaction"] = made["id"]
    return payout


def midnight(seconds: int) -> int:
    """Return the beginning of the day (UTC) in which an instant lies."""
    day = datetime.fromtimestamp(seconds, UTC).replace(hour=0, minute=0, second=0)
    return int(day.timestamp())


# --- the API ------------------------------------------------------------------------------------


def transaction(call: Call) -> Thing:
    """``GET /v1/balance_transactions/{id}``."""
    found = call.book.transactions.get(call.ids[0])
    if found is None or call.book.live(found) != call.live:
        raise no_such("balance transaction", call.ids[0], "id")
    return show(call, found)


def transactions(call: Call) -> Thing:
    """``GET /v1/balance_transactions``, newest first; of a payout only where Stripe chose what is in it."""
    wish, book = call.params, call.book
    payout = wish.get("payout")
    if payout is not None and not _payout(call, payout)["automatic"]:
        message = "Balance transaction history can only be filtered on automatic transfers, not manual."
        raise Refusal(400, message, param="payout")
    chosen = [
        one
        for one in reversed(book.transactions.values())
        if all(one[name] == wish[name] for name in ("currency", "source", "type") if name in wish)
        and (payout is None or book.paid_out.get(one["id"]) == payout)
    ]
    return page_of(call, chosen, "/v1/balance_transactions")


def payout_of(call: Call) -> Thing:
    """``GET /v1/payouts/{id}``."""
    return show(call, _payout(call, call.ids[0]))


def payouts(call: Call) -> Thing:
    """``GET /v1/payouts``, newest first."""
    wish: dict[str, Any] = call.params
    chosen = [
        one
        for one in reversed(call.book.payouts.values())
        if in_range(one, wish.get("arrival_date"), "arrival_date")
        and wish.get("status") in {None, one["status"]}
    ]
    return page_of(call, chosen, "/v1/payouts")


def _payout(call: Call, key: str) -> Thing:
    found = call.book.payouts.get(key)
    if found is None or found["livemode"] != call.live:
        raise no_such("payout", key, "payout")
    return found
