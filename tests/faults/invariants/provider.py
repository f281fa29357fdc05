"""I6, I7 and I8: what the provider says, and what others pretend that it says."""

from __future__ import annotations

from tests.faults.invariants.base import Invariant
from tests.faults.reports import Truth


class NothingForgedCounts(Invariant):
    """A webhook that the provider did not sign leaves no row."""

    name = "I6"

    def at_end(self) -> None:
        rows = self.setting.query(
            "SELECT key FROM notices WHERE key IN ('evt_webhook_forged', 'evt_webhook_mangled')"
        )
        self.hold(not rows, f"stored: {[row['key'] for row in rows]}")
        known = self.setting.stripe.book.events
        strange = [
            row["key"]
            for row in self.setting.query("SELECT key FROM notices")
            if row["key"] not in known and row["key"] != "evt_webhook_unknown_payment"
        ]
        self.hold(not strange, f"notices that the provider never sent: {strange}")


class SettledOnlyWhatWasPaid(Invariant):
    """At the moment of each settle call the provider itself says: paid, this amount, this currency."""

    name = "I7"

    def __init__(self, setting: object) -> None:
        super().__init__(setting)  # type: ignore[arg-type]  # it is the setting
        self.seen = 0

    def after_step(self) -> None:
        settles = self.setting.koha_gate.settles
        while self.seen < len(settles):
            call = settles[self.seen]
            self.seen += 1
            rows = self.setting.query(
                "SELECT p.id, o.position, "
                "EXISTS (SELECT 1 FROM renewals r WHERE r.payment_id = p.id) AS card, "
                "EXISTS (SELECT 1 FROM audit a WHERE a.payment_id = p.id AND what = 'settle_again') AS again "
                "FROM payments p JOIN credit_orders o ON o.payment_id = p.id WHERE o.marker = ?",
                call.marker,
            )
            self.hold(len(rows) == 1, f"a settle call with the marker {call.marker} of no payment")
            paid = self._paid(rows[0]["id"])
            cents = round(float(call.amount) * 100)
            # What is settled again after a decision may be a part: the rest went back to the payer.
            # So may be what is settled beside a card, whose own debit has a credit of its own.
            whole = not (rows[0]["position"] or rows[0]["card"] or rows[0]["again"])
            self.hold(
                len(paid) == 1
                and paid[0][0] == "eur"
                and (cents == paid[0][1] if whole else cents <= paid[0][1]),
                f"{call.marker}: {cents} cents settled, the provider has {paid}",
            )

    def _paid(self, payment_id: str) -> list[tuple[str, int]]:
        book = self.setting.stripe.book
        found = []
        for session in book.sessions.values():
            intent = book.intents.get(session["payment_intent"] or "")
            if session["metadata"]["payment"] == payment_id and intent and intent["amount_received"]:
                found.append((intent["currency"], intent["amount_received"]))
        return found


class ReversalsAreSeen(Invariant):
    """What went back never exceeds what was captured, and a case tells of it, by notice or reconciliation."""

    name = "I8"

    def at_end(self) -> None:
        truth = Truth(self.setting)
        book = self.setting.stripe.book
        intents = {one["id"]: one["metadata"].get("payment") for one in book.intents.values()}
        gone = {
            intents.get(one["payment_intent"])
            for one in [*book.refunds.values(), *book.disputes.values()]
            if one["status"] not in {"won", "failed"}
        }
        for payment in self.payments():
            returned = truth.returned_by_payment.get(payment["id"], 0)
            captured = truth.captured_by_payment.get(payment["id"], 0)
            self.hold(returned <= 2 * captured, f"{payment['id']}: {returned} of {captured} returned")
            if payment["id"] in gone:
                known = payment["any_case"] or payment["decided"]
                self.hold(known, f"{payment['id']}: money went back, and nobody was told")
