"""What must be true after all the dying, seen from the outside: the books of both remotes against the ledger.

The ledger is read by plain SQL. Nothing of the program takes part, except that it checks the chain
of hashes itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from ils_payment.flows.house import open_store
from ils_payment.loading import load_settings
from ils_payment.store import chain
from ils_payment.world import World

if TYPE_CHECKING:
    from tests.faults.kill_town import Town

Row = dict[str, Any]
UNFINISHED = ("paid", "settling", "unknown")


@dataclass(frozen=True)
class Books:
    """The ledger and the truth of both remotes at one moment."""

    payments: dict[str, Row]
    orders: dict[str, list[Row]]
    postings: dict[str, list[Row]]
    open_cases: Counter[str]
    notices: set[str]
    captured: dict[str, int]
    """Cents that the provider took, by payment id."""
    credits: dict[str, list[Row]]
    """The library system's credits by marker."""
    delivered: set[str]
    waiting: int
    """Webhooks that the provider has still to deliver, and payments that banks have still to decide."""


def read(town: Town) -> Books:
    """Read everything."""
    address = town.database.url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(address)
    with engine.connect() as connection:

        def rows(query: str) -> list[Row]:
            return [dict(row) for row in connection.execute(text(query)).mappings()]

        payments = {row["id"]: row for row in rows("SELECT * FROM payments")}
        orders = _by(rows("SELECT * FROM credit_orders"), "payment_id")
        postings = _by(rows("SELECT * FROM postings"), "payment_id")
        cases = Counter(
            row["payment_id"] for row in rows("SELECT payment_id FROM cases WHERE closed_at IS NULL")
        )
        notices = {row["key"] for row in rows("SELECT key FROM notices")}
    engine.dispose()
    stripe = town.stripe.truth()
    sessions = [one for one in stripe["sessions"].values() if one["payment_status"] == "paid"]
    by_marker: dict[str, list[Row]] = defaultdict(list)
    for patron in town.koha.truth()["patrons"].values():
        for one in patron["credits"].values():
            if (one["marker"] or "").startswith("ILSP-"):
                by_marker[one["marker"]].append(one)
    deliveries = stripe["deliveries"]
    return Books(
        payments=payments,
        orders=orders,
        postings=postings,
        open_cases=cases,
        notices=notices,
        captured={one["client_reference_id"]: one["amount_total"] for one in sessions},
        credits=by_marker,
        delivered={
            one["event"]
            for one in deliveries
            if one["state"] == "delivered" and one["type"].startswith("checkout.session.")
        },
        waiting=sum(one["state"] in {"waiting", "sent"} for one in deliveries)
        + len(town.stripe.book.pending),
    )


def waiting(town: Town) -> int:
    """Count the payments that are neither settled nor held."""
    engine = create_engine(town.database.url.replace("postgresql://", "postgresql+psycopg://"))
    query = text("SELECT count(*) FROM payments WHERE state <> 'settled' AND NOT held")
    with engine.connect() as connection:
        left = int(connection.execute(query).scalar_one())
    engine.dispose()
    return left


def unfinished(books: Books) -> int:
    """Count what the program has still to do without anybody's help."""
    working = [row for row in books.payments.values() if row["state"] in UNFINISHED and not row["held"]]
    unheard = [key for key in books.captured if (books.payments.get(key) or {"captured": 0})["captured"] == 0]
    return len(working) + len(unheard) + books.waiting


def violations(books: Books) -> list[str]:
    """Return one sentence for each broken promise."""
    found = [f"the notice {key} was answered with 200 and is lost" for key in books.delivered - books.notices]
    found += [sentence for key, cents in books.captured.items() for sentence in _captured(books, key, cents)]
    found += [sentence for row in books.payments.values() for sentence in _payment(books, row)]
    known = {order["marker"] for orders in books.orders.values() for order in orders}
    found += [f"the credit {marker} belongs to no payment" for marker in books.credits.keys() - known]
    return found


def _captured(books: Books, key: str, cents: int) -> list[str]:
    row = books.payments.get(key)
    if row is None:
        return [f"{cents} cents were taken for the payment {key}, which the ledger does not know"]
    if row["captured"] != cents:
        return [f"{key}: the provider took {cents}, the ledger says {row['captured']}"]
    if row["state"] == "settled" or books.open_cases[key]:
        return []
    return [f"{key}: paid, {row['state']}, and nobody knows"]


def _payment(books: Books, row: Row) -> list[str]:
    key, found = row["id"], []
    there = [one for order in books.orders.get(key, []) for one in books.credits.get(order["marker"], [])]
    if row["state"] == "settled" and not row["held"]:
        if [one["amount"] for one in there] != [row["cents"]] or any(one["unapplied"] for one in there):
            found.append(f"{key}: settled, and the library system has {there}")
    elif not row["held"] and there:
        found.append(f"{key}: {row['state']}, and the library system has {there}")
    if len(there) > len(books.orders.get(key, [])):
        found.append(f"{key}: more than one credit: {there}")
    if there and key not in books.captured:
        found.append(f"{key}: a credit without money")
    return found + _ledger(books, row)


def _ledger(books: Books, row: Row) -> list[str]:
    """Hold the balances of one payment against its state."""
    balance: Counter[str] = Counter()
    for posting in books.postings.get(row["id"], []):
        balance[posting["source"]] -= posting["cents"]
        balance[posting["destination"]] += posting["cents"]
    taken = row["captured"]
    settled = row["state"] == "settled"
    expected = {
        "provider": -taken,
        "library_system": taken if settled else 0,
        "case": 0 if settled else taken if row["held"] else 0,
        "to_settle": 0 if settled or row["held"] else taken,
    }
    wrong = {name: balance[name] for name, cents in expected.items() if balance[name] != cents}
    return [f"{row['id']}: {row['state']}, the ledger's balances are {dict(balance)}"] if wrong else []


def broken_chains(town: Town) -> list[str]:
    """Return one sentence for each payment whose chain of hashes is not whole."""
    store = open_store(load_settings(town.config(town.processes[0])), World())
    with store.read() as unit:
        ids = unit.connection.execute(text("SELECT id FROM payments")).scalars().all()
        broken = [one for one in ids if chain.broken_at(unit, one) is not None]
    store.close()
    return [f"{one}: its history was changed" for one in broken]


def _by(rows: list[Row], column: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found
