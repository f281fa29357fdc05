"""What is true of a payment at the end, from all sides: ledger, chain, claims, cases, Koha and Stripe."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select

from ils_payment.domain.ledger import Book, balances
from ils_payment.domain.states import ENDED
from ils_payment.flows import show
from ils_payment.model import PatronRef
from ils_payment.store import chain, orders, payments
from ils_payment.store.records import Payment
from ils_payment.store.tables import claims, notices
from ils_payment.store.tables import payments as payments_table
from tests.conftest import Town

DUE = 1250
"""What Erika can pay online, in cents."""


def load(town: Town, payment_id: str) -> Payment:
    with town.house.store.read() as unit:
        found = payments.load(unit, payment_id)
    assert found is not None
    return found


def trail(town: Town, payment_id: str) -> list[str]:
    with town.house.store.read() as unit:
        return [row["what"] for row in chain.read_audit(unit, payment_id)]


def every_id(town: Town) -> list[str]:
    with town.house.store.read() as unit:
        return list(unit.connection.execute(select(payments_table.c.id)).scalars())


def marked(town: Town, payment_id: str) -> list[dict[str, Any]]:
    """The credits in Koha that carry a marker of this payment, whoever's account they are in."""
    with town.house.store.read() as unit:
        markers = {order.marker for order in orders.of_payment(unit, payment_id)}
    accounts = town.koha.truth()["patrons"].values()
    return [one for account in accounts for one in account["credits"].values() if one["marker"] in markers]


def captured(town: Town, payment_id: str) -> int:
    """The cents that Stripe took for sessions of this payment."""
    truth = town.stripe.truth()
    total = 0
    for session in truth["sessions"].values():
        if session["metadata"]["payment"] == payment_id:
            intent = truth["payment_intents"].get(session["payment_intent"] or "", {})
            total += intent.get("amount_received", 0)
    return total


def ending(town: Town, payment_id: str) -> dict[str, Any]:
    """Everything that counts of one payment; chain and ledger are held to their rules on the way."""
    view = town.view(payment_id)
    with town.house.store.read() as unit:
        postings = chain.read_postings(unit, payment_id)
        claimed = unit.connection.execute(
            select(claims.c.claim_key).where(claims.c.payment_id == payment_id)
        ).all()
        assert chain.broken_at(unit, payment_id) is None
    sums = Counter[str]()
    for (book, line), cents in balances(postings).items():
        sums[str(book)] += cents
        # No line of an account but the provider's may ever be below zero: nothing is settled twice.
        assert book is Book.PROVIDER or cents > 0, (book, line, cents)
    assert sum(sums.values()) == 0
    cases = [one for one in show.case_list(town.house) if one.payment_id == payment_id]
    return {
        "state": str(view.state),
        "void": view.void_reason,
        "held": view.held,
        "cases": [one.kind for one in cases],
        "claims": len(claimed),
        "books": {name: cents for name, cents in sums.items() if cents},
        "credits": [(one["amount"], one["unapplied"]) for one in marked(town, payment_id)],
        "captured": captured(town, payment_id),
    }


def settled(cents: int = DUE) -> dict[str, Any]:
    return {
        "state": "settled",
        "void": None,
        "held": False,
        "cases": [],
        "claims": 0,
        "books": {"provider": -cents, "library_system": cents},
        "credits": [(cents, 0)],
        "captured": cents,
    }


def void(reason: str) -> dict[str, Any]:
    return {
        "state": "void",
        "void": reason,
        "held": False,
        "cases": [],
        "claims": 0,
        "books": {},
        "credits": [],
        "captured": 0,
    }


def held(state: str, *cases: str, cents: int = DUE, **more: Any) -> dict[str, Any]:
    """A payment whose money lies in the account of cases; no credit unless *more* says so."""
    return {
        "state": state,
        "void": None,
        "held": True,
        "cases": list(cases),
        "claims": 4,
        "books": {"provider": -cents, "case": cents} if cents else {},
        "credits": [],
        "captured": cents,
        **more,
    }


def open_cents(town: Town, patron: str = "erika") -> list[int]:
    """What Koha says is still open of each fee, in the order in which they arose."""
    fees = town.koha_account(patron)["fees"].values()
    return [fee["outstanding"] for fee in fees]


def sessions(town: Town) -> list[dict[str, Any]]:
    return list(town.stripe.truth()["sessions"].values())


def pay_calls(town: Town) -> int:
    """How many settle calls have reached Koha or would have."""
    path = "/account/credits"
    return sum(method == "POST" and url.endswith(path) for method, url in town.world.requests)


def notice_outcomes(town: Town) -> list[str | None]:
    with town.house.store.read() as unit:
        return list(unit.connection.execute(select(notices.c.handled)).scalars())


def hear(town: Town) -> None:
    """Deliver the webhooks that are due, and do what follows from them at this instant."""
    town.deliver_webhooks()
    town.run()


def paid(town: Town, **options: Any) -> str:
    """Begin a payment and pay it by card; nothing has been heard of it yet."""
    payment_id = town.started(**options)
    town.stripe.pay(town.session_of(payment_id))
    return payment_id


def of(town: Town, patron: str) -> PatronRef:
    return PatronRef(str(town.koha.patron_ids[patron]))


def all_claims_are_of_running_payments(town: Town) -> bool:
    with town.house.store.read() as unit:
        holders = set(unit.connection.execute(select(claims.c.payment_id)).scalars())
    return all((one := load(town, key)).held or one.state not in ENDED for key in holders)
