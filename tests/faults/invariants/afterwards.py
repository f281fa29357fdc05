"""What has to be true when people have decided, given back, exported, and put a backup back."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ils_payment.flows import show
from ils_payment.flows.verify import verify
from tests.conftest import STRIPE
from tests.faults.invariants.base import Broken, Invariant
from tests.faults.reports import Truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.flows.house import House
    from ils_payment.model import RawRequest, Reply
    from tests.faults.setting import Setting

KEY = "refund"


class RefundsAreWhatWasApproved(Invariant):
    """I8: one refund at the provider for each key, of its cents; no more than was captured, asked by two."""

    name = "I8 refunds"

    def after_step(self) -> None:
        refunds = self.setting.stripe.book.refunds
        if not refunds:
            return
        keys = Counter(key for one in refunds.values() for key in [_key(one)] if key)
        self.hold(all(count == 1 for count in keys.values()), f"refunds by key: {keys}")

    def at_end(self) -> None:
        by_key = {_key(one): one for one in self.setting.stripe.book.refunds.values() if _key(one)}
        rows = {row["key"]: row for row in self.setting.query("SELECT * FROM refunds")}
        lost = self.setting.lost.refund_keys if self.setting.lost else set()
        unknown = set(by_key) - set(rows) - lost
        self.hold(not unknown, f"refunds with keys that we do not know: {unknown}")
        external = {row["provider_ref"] for row in rows.values() if row["state"] == "external"}
        for key, row in rows.items():
            made = by_key.get(key)
            if self.setting.lost and row["state"] == "withdrawn" and made and made["id"] in external:
                # The restored ledger had forgotten the approval, and took it for somebody else's refund.
                continue
            if row["kind"] != "refund" or row["state"] == "external":
                continue
            self.hold(
                not row["approved_by"]
                or row["state"] == "withdrawn"
                or row["approved_by"] != row["asked_by"],
                f"{row['asked_by']} approved an own refund",
            )
            gone = made is not None and made["status"] not in {"failed", "canceled"}
            counts = row["state"] in {"done", "pending"}
            self.hold(gone == counts, f"refund {row['id']} is {row['state']}, the provider has {made}")
            self.hold(
                made is None or made["amount"] == row["cents"], f"refund {row['id']}: other cents: {made}"
            )
            approved = bool(row["approved_by"]) and row["state"] not in {"asked", "withdrawn"}
            # A restored ledger may have forgotten the approval of one that has come back since.
            approved = approved or (self.setting.lost is not None and not gone)
            self.hold(made is None or approved, f"refund {row['id']} was sent and nobody approved it")
        self._sums(list(rows.values()))

    def _sums(self, rows: list[Any]) -> None:
        truth = Truth(self.setting)
        ours: Counter[str] = Counter()
        left: Counter[str] = Counter()
        for row in rows:
            if row["state"] in {"pending", "done", "external"}:
                left[row["payment_id"]] += row["cents"]
            if row["state"] in {"pending", "done"}:
                ours[row["payment_id"]] += row["cents"]
        for payment in self.payments():
            captured = truth.captured_by_payment.get(payment["id"], 0)
            self.hold(ours[payment["id"]] <= captured, f"{payment['id']}: more given back than captured")
            gone = truth.returned_by_payment.get(payment["id"], 0)
            self.hold(
                left[payment["id"]] == gone,
                f"{payment['id']}: {gone} went back at the provider, {left[payment['id']]} in the ledger",
            )


class ChargesAreWhatStayed(Invariant):
    """I3: each counter-debit belongs to a refund whose fee stays, once; or a person was told to look."""

    name = "I3 charges"

    def after_step(self) -> None:
        counts = Counter(line.note for line in self._debits())
        self.hold(all(count == 1 for count in counts.values()), f"counter-debits by marker: {counts}")

    def _debits(self) -> list[Any]:
        lines = self.setting.koha.tables.lines.values()
        return [one for one in lines if one.credit_type is None and one.note.startswith("ILSP-")]

    def at_end(self) -> None:
        cents = {line.note: int(line.amount * 100) for line in self._debits()}
        lost = self.setting.lost.charge_markers.copy() if self.setting.lost else set()
        # Those of renewed cards are held elsewhere.
        lost |= {row[0] for row in self.setting.query("SELECT charge_marker FROM renewals")}
        rows = self.setting.query("SELECT * FROM refunds WHERE charge_marker IS NOT NULL")
        unknown = set(cents) - {row["charge_marker"] for row in rows} - lost
        self.hold(not unknown, f"counter-debits with markers that we do not know: {unknown}")
        for row in rows:
            there = cents.get(row["charge_marker"])
            state = row["charge_state"]
            if state == "by_hand":
                told = self.setting.query(
                    "SELECT 1 FROM cases WHERE kind = 'charge_by_hand' AND subject = ?", row["id"]
                )
                self.hold(told, f"the counter-debit of {row['id']} is to be made by hand, and nobody knows")
                continue
            forgotten = state == "none" and there is not None
            if row["state"] == "failed" and (state == "tried" or forgotten):
                # The money came back before anybody knew, or in a ledger that a restore has lost: the case
                # names the number to look for.
                told = self.setting.query(
                    "SELECT 1 FROM cases WHERE kind IN ('came_back', 'refund_failed') AND instr(facts, ?)",
                    row["charge_marker"],
                )
                self.hold(told, f"the counter-debit of {row['id']} stays unclear, and nobody knows")
                continue
            wanted = row["cents"] if state == "done" else None
            self.hold(there == wanted, f"{row['charge_marker']} is {state}, Koha has {there}")


class RefundsEnd(Invariant):
    """I9: an approved refund ends, or a person knows; so does its counter-debit."""

    name = "I9 refunds"

    def at_end(self) -> None:
        held = {one["patron_id"] for one in self.payments() if one["held"]}
        rows = self.setting.query(
            "SELECT r.*, p.patron_id FROM refunds r JOIN payments p ON p.id = r.payment_id "
            "WHERE r.state IN ('due', 'tried', 'pending') OR r.charge_state IN ('due', 'tried')"
        )
        for row in rows:
            before = row["state"] in {"asked", "external", "failed", "withdrawn"}
            waits = row["state"] == "done" and row["patron_id"] in held
            what = f"refund {row['id']} stays {row['state']}, its counter-debit {row['charge_state']}"
            self.hold(before or waits, what)


class RestoredWritesNothing(Invariant):
    """A restored ledger writes nothing outside before it was compared and released."""

    name = "restored"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.problem: str | None = None
        for gate in (setting.koha_gate, setting.gates[STRIPE]):
            gate.handle = self._watched(gate.handle)  # type: ignore[method-assign]  # it is only watched

    def _watched(self, inner: Callable[[RawRequest], Reply | None]) -> Callable[[RawRequest], Reply | None]:
        def handle(raw: RawRequest) -> Reply | None:
            writes = raw.method == "PUT" or (raw.method == "POST" and raw.path.endswith(_WRITES))
            if writes and self.setting.lost is not None:
                (row,) = self.setting.query("SELECT unreconciled FROM installation")
                if row["unreconciled"]:
                    self.problem = f"{raw.method} {raw.path} before the ledger was compared"
            return inner(raw)

        return handle

    def after_step(self) -> None:
        self.hold(self.problem is None, str(self.problem))

    def at_end(self) -> None:
        if self.setting.lost is None:
            return
        told = [
            json.loads(row["facts"])["at_provider"]
            for row in self.setting.query("SELECT facts FROM cases WHERE kind = 'not_in_ledger'")
        ]
        known = {payment["id"] for payment in self.payments()}
        for intent in self.setting.stripe.book.intents.values():
            strange = intent["amount_received"] and intent["metadata"]["payment"] not in known
            self.hold(not strange or intent["id"] in told, f"{intent['id']} was lost, and nobody was told")


_WRITES = ("/account/credits", "/account/debits", "/v1/refunds", "/v1/checkout/sessions")


class CasesTellEverything(Invariant):
    """I11: a case says who, how much and both sides; a closed one, who closed it and why."""

    name = "I11 cases"

    def at_end(self) -> None:
        house = a_house(self.setting)
        for row in self.setting.query("SELECT * FROM cases"):
            view = show.case(house, row["id"])
            if view is None:
                raise Broken(self.name, f"case {row['id']} ({row['kind']}) cannot be shown")
            if view.payment_id is not None:
                sold = self.setting.query(_CARD_OF, view.payment_id)
                free = sold and not sold[0]["cents"]
                self.hold((view.cents or free) and view.currency, f"{row['kind']} does not say how much")
                where = show.whereabouts(house, view.payment_id)
                self.hold(
                    where.patron and (where.fees or sold) and (where.session or free),
                    f"{row['kind']} does not say where to look: {where}",
                )
            if row["closed_at"] is None:
                continue
            self.hold(row["closed_by"] and row["resolution"], f"{row['kind']} was closed by nobody")
            why = self.setting.query("SELECT 1 FROM private_reasons WHERE case_id = ?", row["id"])
            self.hold(why, f"{row['kind']} was closed without a reason")


_CARD_OF = "SELECT p.cents FROM payments p JOIN renewals r ON r.payment_id = p.id WHERE p.id = ?"


class BooksAreKept(Invariant):
    """I13: each posting of an exported day is in one export; a repeated export is the same to the byte."""

    name = "I13"

    def at_end(self) -> None:
        for days, made in self.setting.exported.items():
            self.hold(len(set(made)) == 1, f"the export of {days} is not the same each time")
        ends = self.setting.query("SELECT max(last_day) AS last, min(first_day) AS first FROM exports")
        if ends[0]["last"] is None:
            return
        zone = self.setting.kit.settings.libraries["lindental"].zone
        marked = {(row["payment_id"], row["number"]) for row in self.setting.query("SELECT * FROM exported")}
        from datetime import UTC, datetime

        for row in self.setting.query("SELECT payment_id, number, at FROM postings"):
            day = datetime.fromtimestamp(row["at"] / 1e6, UTC).astimezone(zone).date().isoformat()
            inside = ends[0]["first"] <= day <= ends[0]["last"]
            is_in = (row["payment_id"], row["number"]) in marked
            self.hold(
                inside == is_in, f"posting {tuple(row)} of {day}: exported {is_in}, days {tuple(ends[0])}"
            )


class LedgerProvesItself(Invariant):
    """``verify`` finds nothing wrong, whatever happened."""

    name = "verify"

    def at_end(self) -> None:
        found = verify(a_house(self.setting)).findings
        self.hold(not found, "; ".join(found))


def _key(refund: dict[str, Any]) -> str:
    return str(refund["metadata"].get(KEY) or "")


def a_house(setting: Setting) -> House:
    """Return a process that runs; one that was dead is started."""
    for instance in setting.instances:
        if instance.house is None:
            instance.open()
        if instance.house is not None:
            return instance.house
    raise Broken("processes", "none starts")


AFTERWARDS: tuple[type[Invariant], ...] = (
    RefundsAreWhatWasApproved,
    ChargesAreWhatStayed,
    RefundsEnd,
    RestoredWritesNothing,
    CasesTellEverything,
    BooksAreKept,
    LedgerProvesItself,
)
