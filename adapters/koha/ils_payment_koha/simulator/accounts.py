"""Money in the simulated Koha: debits, credits, and how a credit is applied to debits.

A credit is stored in one transaction and applied in another, and the amounts are read without a
lock (read in the code, seen in 30 rounds): so simultaneous credits pay the same debit twice, and
a failure after the first transaction leaves a credit that no call of the API can apply.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator.render import Problem, Renderer, unhandled
from ils_payment_koha.simulator.state import DEBIT_TYPES, Line, Offset, Tables, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment_koha.simulator.habits import Faults, KohaHabits

_REGISTER_PAYMENT_TYPES = {"CASH", "SIP00"}


@dataclass
class Accounts:
    """Books debits and credits into *tables*; *pause* lets other requests in, at named points."""

    tables: Tables
    habits: KohaHabits
    faults: Faults
    renderer: Renderer
    rng: random.Random
    now: Callable[[], datetime]
    pause: Callable[[str, float], None]
    applying: set[tuple[int, int]] = field(default_factory=set)

    def add_credit(self, patron_id: int, body: dict[str, Any], *, user_id: int) -> Line:
        """Store a credit, apply it to the listed lines, let the rest flow to the patron's other debits."""
        credit = self._store_credit(patron_id, body, user_id=user_id)
        with self.tables.lock:
            self.applying.add((patron_id, credit.line_id))
        try:
            if body.get("account_lines_ids"):
                self._apply(credit, body["account_lines_ids"])
            if credit.outstanding:
                self._apply(credit, self._open_debits(patron_id))
        finally:
            with self.tables.lock:
                self.applying.discard((patron_id, credit.line_id))
        return credit

    def add_debit(self, patron_id: int, body: dict[str, Any]) -> Line:
        """Store a debit; the date and the user that are given do not count, the user is the patron (seen)."""
        kind = body.get("type")
        with self.tables.lock:
            if kind is None:
                raise unhandled()
            if not body["amount"]:
                raise Problem(400, "error", "Amount should be a positive decimal")
            line_id = self.tables.take_line_id()
            if kind not in DEBIT_TYPES:
                raise Problem(400, "error", "Account type was not recognised")
            self._known_library(body.get("library_id"))
            return self._keep(
                line_id,
                patron_id,
                stored(body["amount"]),
                debit_type=kind,
                description=body.get("description") or "",
                note=body.get("internal_note") or "",
                library_id=body.get("library_id"),
                item_id=body.get("item_id"),
                user_id=patron_id,
            )

    def charge(self, patron_id: int, amount: Decimal, debit_type: str, **more: Any) -> Line:  # noqa: ANN401 - columns
        """Store a debit as Koha itself or a clerk does: no check, any column."""
        with self.tables.lock:
            return self._keep(
                self.tables.take_line_id(), patron_id, stored(amount), debit_type=debit_type, **more
            )

    def pay(self, patron_id: int, amount: Decimal, line_ids: list[int], **more: Any) -> Line:  # noqa: ANN401 - columns
        """Book a payment at the desk: one clerk, no gap, exactly the listed lines, no surplus."""
        with self.tables.lock:
            credit = self._keep(self.tables.take_line_id(), patron_id, -stored(amount), **more)
            self._write(credit, self._read(line_ids))
            return credit

    def balance(self, patron_id: int) -> Decimal:
        """Return what the patron owes after all credit."""
        with self.tables.lock:
            return sum((line.outstanding for line in self.tables.lines_of(patron_id)), Decimal(0))

    def _store_credit(self, patron_id: int, body: dict[str, Any], *, user_id: int) -> Line:
        payment_type = body.get("payment_type")
        with self.tables.lock:
            if not body["amount"]:
                raise unhandled()
            if self.habits.require_payment_type and not payment_type:
                raise unhandled()
            if self.habits.use_cash_registers and payment_type in _REGISTER_PAYMENT_TYPES:
                raise unhandled()
            line_id = self.tables.take_line_id()
            self._known_library(body.get("library_id"))
            credit = self._keep(
                line_id,
                patron_id,
                -stored(body["amount"]),
                credit_type=self._credit_type(body.get("credit_type", "PAYMENT")),
                credit_number=self._credit_number(),
                description=body.get("description", ""),
                note=body.get("note", ""),
                payment_type=payment_type,
                library_id=body.get("library_id"),
                user_id=user_id,
            )
            if "date" in body:
                credit.date = self.renderer.midnight(body["date"])
            return credit

    def _apply(self, credit: Line, line_ids: list[int]) -> None:
        window = self.habits.apply_window
        self.pause("credit.between_store_and_apply", window)
        with self.tables.lock:
            debits = self._read(line_ids)
            if not credit.outstanding or any(debit.amount <= 0 for debit in debits):
                # A credit among the ids, or a credit of 0.00: Koha throws, and the credit stays (seen).
                raise unhandled()
        self.pause("credit.between_read_and_write", window)
        with self.tables.lock:
            if debits and self._is_deadlock_victim(credit):
                raise unhandled()
            self._write(credit, debits)

    def _read(self, line_ids: list[int]) -> list[Line]:
        """Return copies of the listed lines, by id whatever the order asked for, of any patron (seen)."""
        wanted = sorted(set(line_ids) & set(self.tables.lines))
        return [replace(self.tables.lines[line_id]) for line_id in wanted]

    def _write(self, credit: Line, debits: list[Line]) -> None:
        """Book *credit* on *debits* as they were read; what was written meanwhile is lost."""
        now = self.now()
        available = -credit.outstanding
        for debit in debits:
            if available <= 0:
                break
            part = min(debit.outstanding, available)
            available -= part
            line = self.tables.lines[debit.line_id]
            line.outstanding, line.timestamp = _as_perl(debit.outstanding - part), now
            self.tables.offsets.append(Offset(credit_id=credit.line_id, debit_id=debit.line_id, amount=part))
        credit.outstanding, credit.timestamp = -_as_perl(available), now

    def _is_deadlock_victim(self, credit: Line) -> bool:
        """Return whether MariaDB picks this credit; the last of those that overlap always gets through."""
        if self.faults.deadlocks > 0:
            self.faults.deadlocks -= 1
            return True
        own = (credit.patron_id, credit.line_id)
        overlaps = any(other[0] == own[0] for other in self.applying - {own})
        if not overlaps or self.rng.random() >= self.habits.deadlock_rate:
            return False
        # From here on this credit is in nobody's way any more.
        self.applying.discard(own)
        return True

    def _open_debits(self, patron_id: int) -> list[int]:
        with self.tables.lock:
            lines = self.tables.lines_of(patron_id)
            return [line.line_id for line in lines if line.amount > 0 and line.outstanding > 0]

    def _keep(self, line_id: int, patron_id: int, amount: Decimal, **more: Any) -> Line:  # noqa: ANN401 - columns
        now = self.now()
        line = Line(
            line_id=line_id,
            patron_id=patron_id,
            amount=amount,
            outstanding=amount,
            **{"date": now, "timestamp": now, **more},
        )
        self.tables.lines[line_id] = line
        return line

    def _known_library(self, library_id: str | None) -> None:
        """Raise what an unknown branch ends in: the database refuses the row, nothing is booked (seen)."""
        if library_id is not None and library_id not in self.tables.libraries:
            raise unhandled()

    def _credit_type(self, code: str) -> str:
        """Return the code as the table has it, case apart; Koha adds one that it does not know (seen)."""
        for known in self.tables.credit_types:
            if known.casefold() == code.casefold():
                return known
        self.tables.credit_types.append(code)
        return code

    def _credit_number(self) -> str | None:
        if not self.habits.auto_credit_number:
            return None
        self.tables.last_credit_number += 1
        return str(self.tables.last_credit_number)


def _as_perl(amount: Decimal) -> Decimal:
    """Return the result of a calculation as Perl's doubles leave it: 15 digits (seen with 1e30)."""
    return stored(Decimal(f"{float(amount):.15g}"))
