"""The ground truth of a schedule, and the three reports out of which a stranger can check it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.setting import Setting

Row = dict[str, Any]


class Truth:
    """What Stripe and Koha themselves know, by payment and marker; amounts in cents."""

    def __init__(self, setting: Setting) -> None:
        book, tables = setting.stripe.book, setting.koha.tables
        self.captured_by_payment: dict[str, int] = defaultdict(int)
        self.returned_by_payment: dict[str, int] = defaultdict(int)
        for session in book.sessions.values():
            intent = book.intents.get(session["payment_intent"] or "")
            if intent is None:
                continue
            payment = session["metadata"]["payment"]
            self.captured_by_payment[payment] += intent.get("amount_received", 0)
            charge = book.charges.get(intent.get("latest_charge") or "")
            if charge is not None:
                self.returned_by_payment[payment] += charge["amount_refunded"] + _lost(book, charge)
        self.credits = [
            line
            for line in tables.lines.values()
            if line.credit_type is not None and line.note.startswith("ILSP-")
        ]

    def of_marker(self, marker: str) -> list[Any]:
        """Return the credits that carry *marker*, in whoever's account."""
        return [line for line in self.credits if line.note == marker]


def _lost(book: Any, charge: Row) -> int:
    """Return what disputes have taken of a charge and not given back."""
    return sum(
        one["amount"]
        for one in book.disputes.values()
        if one["charge"] == charge["id"] and one["status"] != "won"
    )


def write(setting: Setting) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the provider's list, Koha's credits, and our export of postings, as rows of plain values."""
    lost = setting.lost
    provider, koha, ledger = provider_list(setting), koha_credits(setting), postings(setting)
    if lost is not None:
        # What a restored ledger never heard of is in cases of their own, which another invariant holds.
        provider = [row for row in provider if row["reference"] not in lost.payments]
        # A credit order that was not tried yet is made again under the number of its payment.
        strange = lost.markers - {row["marker"] for row in setting.query("SELECT marker FROM credit_orders")}
        koha = [row for row in koha if row["note"] not in strange | lost.charge_markers]
    return provider, koha, ledger


def exports(setting: Setting) -> list[str]:
    """Return the export files that were made, each as the treasury has got it."""
    return [row["content"] for row in setting.query("SELECT content FROM exports ORDER BY number")]


def provider_list(setting: Setting) -> list[Row]:
    """Return one row for each payment at the provider, as its dashboard exports them."""
    truth = Truth(setting)
    return [
        {"reference": payment, "captured": cents, "returned": truth.returned_by_payment[payment]}
        for payment, cents in truth.captured_by_payment.items()
        if cents
    ]


def koha_credits(setting: Setting) -> list[Row]:
    """Return one row for each credit in Koha, with what it was used for, and for each debit of ours."""
    tables = setting.koha.tables
    used: dict[int, dict[str, int]] = defaultdict(dict)
    for offset in tables.offsets:
        part = used[offset.credit_id]
        part[str(offset.debit_id)] = part.get(str(offset.debit_id), 0) + int(offset.amount * 100)
    return [
        {
            "credit": line.line_id if line.credit_type is not None else "",
            "debit": "" if line.credit_type is not None else line.line_id,
            "patron": line.patron_id,
            "note": line.note,
            "cents": abs(int(line.amount * 100)),
            "unused": abs(int(line.outstanding * 100)),
            "fees": used.get(line.line_id, {}),
            "fee_amounts": {
                key: int(tables.lines[int(key)].amount * 100) for key in used.get(line.line_id, {})
            },
        }
        for line in tables.lines.values()
        if line.credit_type is not None or line.note.startswith("ILSP-")
    ]


def postings(setting: Setting) -> list[Row]:
    """Return one row for each posting of our ledger, and whether a case is open for its payment."""
    return [dict(row) for row in setting.query(_POSTINGS)]


_POSTINGS = """
SELECT p.payment_id AS payment, y.receipt_number,
       (SELECT group_concat(o.marker, '+') FROM credit_orders o WHERE o.payment_id = p.payment_id) AS marker,
       coalesce(l.fee_ref, r.charge_ref) AS line, p.source, p.destination,
       p.cents, y.currency, p.at,
       EXISTS (SELECT 1 FROM cases c WHERE c.payment_id = p.payment_id AND c.closed_at IS NULL) AS open_case,
       EXISTS (SELECT 1 FROM cases c
               WHERE c.payment_id = p.payment_id AND c.closed_at IS NOT NULL) AS decided,
       EXISTS (SELECT 1 FROM exported e
               WHERE e.payment_id = p.payment_id AND e.number = p.number) AS exported,
       r.charge_marker AS card_marker,
       (SELECT c.cents FROM payment_lines c WHERE c.id = r.line_id) AS card_cents
FROM postings p
JOIN payments y ON y.id = p.payment_id
LEFT JOIN renewals r ON r.payment_id = p.payment_id
LEFT JOIN payment_lines l ON l.id = p.line_id
ORDER BY p.payment_id, p.number
"""
