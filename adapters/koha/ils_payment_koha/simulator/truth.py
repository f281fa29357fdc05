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
    """Return, for each patron id, fees, credits and balance, and every new expiry with who wrote it when."""
    with tables.lock:
        applied: dict[int, dict[str, Decimal]] = {}
        for offset in tables.offsets:
            parts, debit = applied.setdefault(offset.credit_id, {}), str(offset.debit_id)
            parts[debit] = parts.get(debit, Decimal(0)) + offset.amount
        ids = sorted(tables.patrons)
        return {str(patron_id): _account(tables, accounts, patron_id, applied) for patron_id in ids}


def _account(
    tables: Tables, accounts: Accounts, patron_id: int, applied: dict[int, dict[str, Decimal]]
) -> dict[str, Any]:
    lines = tables.lines_of(patron_id)
    record = tables.patrons[patron_id].record
    return {
        "card": record["cardnumber"],
        "expiry_date": record["expiry_date"],
        "date_renewed": record["date_renewed"],
        "expiry_changes": [
            {"at": change.at.isoformat(), "by": change.by, "from": change.before, "to": change.after}
            for change in tables.expiry_changes
            if change.patron_id == patron_id
        ],
        "restricted": record["restricted"],
        "balance": cents(accounts.balance(patron_id)),
        "fees": {str(line.line_id): _fee(line) for line in lines if line.credit_type is None},
        "credits": {
            str(line.line_id): _credit(line, applied.get(line.line_id, {}))
            for line in lines
            if line.credit_type is not None
        },
    }


def _fee(line: Line) -> dict[str, Any]:
    return {
        "type": line.debit_type,
        "marker": line.note,
        "status": line.status,
        "amount": cents(line.amount),
        "outstanding": cents(line.outstanding),
    }


def _credit(line: Line, applied: dict[str, Decimal]) -> dict[str, Any]:
    """Return a credit with what each debit got of it; more than once the same debit adds up."""
    return {
        "type": line.credit_type,
        "marker": line.note,
        "amount": cents(-line.amount),
        "unapplied": cents(-line.outstanding),
        "applied": {debit_id: cents(amount) for debit_id, amount in applied.items()},
    }
