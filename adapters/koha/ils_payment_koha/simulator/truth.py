"""What a test and the demo may know: the simulated Koha's books as JSON types, amounts in cents."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ils_payment_koha.simulator.accounts import Accounts
    from ils_payment_koha.simulator.state import Line, Tables


def cents(amount: Decimal) -> int | str:
    """Return *amount* in cents; what is no whole cent is a text, so that nobody calculates with it unseen."""
    exact = amount.scaleb(2)
    return int(exact) if exact == exact.to_integral_value() else f"{exact.normalize():f}"


def truth(tables: Tables, accounts: Accounts) -> dict[str, Any]:
    """Return, for each patron id, fees, credits and balance."""
    with tables.lock:
        return {str(patron_id): _account(tables, accounts, patron_id) for patron_id in sorted(tables.patrons)}


def _account(tables: Tables, accounts: Accounts, patron_id: int) -> dict[str, Any]:
    lines = tables.lines_of(patron_id)
    record = tables.patrons[patron_id].record
    return {
        "card": record["cardnumber"],
        "expiry_date": record["expiry_date"],
        "restricted": record["restricted"],
        "balance": cents(accounts.balance(patron_id)),
        "fees": {str(line.line_id): _fee(line) for line in lines if line.credit_type is None},
        "credits": {
            str(line.line_id): _credit(tables, line) for line in lines if line.credit_type is not None
        },
    }


def _fee(line: Line) -> dict[str, Any]:
    return {
        "type": line.debit_type,
        "status": line.status,
        "amount": cents(line.amount),
        "outstanding": cents(line.outstanding),
    }


def _credit(tables: Tables, line: Line) -> dict[str, Any]:
    """Return a credit with what each debit got of it; more than once the same debit adds up."""
    applied: dict[str, Decimal] = {}
    for offset in tables.offsets:
        if offset.credit_id == line.line_id:
            key = str(offset.debit_id)
            applied[key] = applied.get(key, Decimal(0)) + offset.amount
    return {
        "type": line.credit_type,
        "marker": line.note,
        "amount": cents(-line.amount),
        "unapplied": cents(-line.outstanding),
        "applied": {debit_id: cents(amount) for debit_id, amount in applied.items()},
    }
