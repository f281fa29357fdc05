"""Payments: freezing with claims, the lease, and the one way in which a state changes."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    bindparam,
    insert,
    literal,
    or_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy import case as whether

from ils_payment.domain import ledger
from ils_payment.domain.states import ENDED
from ils_payment.model import State
from ils_payment.store import cases, chain, claims
from ils_payment.store.records import Line, Payment, to_json
from ils_payment.store.tables import (
    credit_orders,
    micros,
    payment_lines,
    payments,
    private_payments,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.domain.ledger import Posting
    from ils_payment.store.unit import Unit

LONGEST_WAIT = timedelta(days=1)
"""No rule lets a payment wait for longer: what is due much later, a clock that was ahead has put off."""

# Statements that each step needs are built once: building takes longer than executing.
_LOAD = select(payments).where(payments.c.id == bindparam("payment"))
_LOAD_LOCKED = _LOAD.with_for_update()
_LINES = (
    select(payment_lines)
    .where(payment_lines.c.payment_id == bindparam("payment"))
    .order_by(payment_lines.c.position)
)
_HOLDER = select(payments.c.lease_owner).where(payments.c.id == bindparam("payment")).with_for_update()
_AS_READ = (payments.c.id == bindparam("payment"), payments.c.fence == bindparam("as_read"))
"""The payment, if nobody else has taken it since it was read."""
_WOKEN = select(payments.c.due_at).where(*_AS_READ).with_for_update()
_RELEASE = (
    update(payments).where(*_AS_READ).values(lease_owner=None, lease_until=None, due_at=bindparam("due"))
)
_MOVE = update(payments).where(*_AS_READ).returning(payments.c.held)
_WAKE = (
    update(payments)
    .where(payments.c.id == bindparam("payment"))
    .values(
        due_at=whether(
            (
                type_coerce(payments.c.due_at, BigInteger) <= bindparam("now", type_=BigInteger),
                type_coerce(payments.c.due_at, BigInteger) - literal(1, BigInteger),
            ),
            else_=bindparam("now", type_=BigInteger),
        )
    )
)


class StaleFenceError(Exception):
    """Somebody else has taken the payment over since it was read: what was learned is only a fact now."""


def create(unit: Unit, values: dict[str, Any], lines: Sequence[Line], private: dict[str, Any]) -> None:
    """Insert a payment with its frozen lines and claims; AlreadyClaimedError when a fee is held.

    *values* are the columns of ``payments``; *private* holds the fee texts by line id.
    """
    unit.connection.execute(
        insert(payments).values(
            **values, state=State.CREATED, held=False, captured=0, fence=0, created_at=unit.now
        )
    )
    unit.connection.execute(
        insert(payment_lines),
        [
            {
                "id": line.id,
                "payment_id": values["id"],
                "position": place,
                "kind": line.kind,
                "claim_key": line.claim_key,
                "fee_ref": line.fee_ref,
                "cents": line.cents,
                "cost_centre": line.cost_centre,
                "account": line.account,
                "tax_code": line.tax_code,
            }
            for place, line in enumerate(lines)
        ],
    )
    claims.take(unit, values["id"], values["patron_id"], (line.claim_key for line in lines))
    key = unit.world.random_bytes(32)
    written = to_json(private)
    covered = hmac.new(key, written.encode(), hashlib.sha256).hexdigest()
    unit.connection.execute(
        insert(private_payments).values(payment_id=values["id"], key=key, lines=written, digest=covered)
    )
    facts = {
        "cents": values["cents"],
        "lines": [[line.id, line.cents] for line in lines],
        "method": values["method"],
        "provider": values["provider"],
        "private": covered,
        "frozen": chain.frozen(values, [asdict(line) for line in lines]),
    }
    chain.append(unit, values["id"], "created", State.CREATED, facts)


def load(unit: Unit, payment_id: str, *, lock: bool = False) -> Payment | None:
    """Return a payment with its lines; *lock* keeps others from changing it in this transaction."""
    query = _LOAD_LOCKED if lock else _LOAD
    row = unit.connection.execute(query, {"payment": payment_id}).mappings().first()
    return _payment(unit, row) if row else None


def id_of_number(unit: Unit, number: str) -> str | None:
    """Return the payment whose receipt has *number*, or one of whose credits carries it as its marker."""
    found = unit.connection.execute(select(payments.c.id).where(payments.c.receipt_number == number)).scalar()
    if found is None:
        by_marker = select(credit_orders.c.payment_id).where(credit_orders.c.marker == number)
        found = unit.connection.execute(by_marker).scalar()
    return found


def _payment(unit: Unit, row: Any) -> Payment:  # noqa: ANN401 - a row mapping
    lines = unit.connection.execute(_LINES, {"payment": row["id"]}).mappings()
    fields = {
        name: row[name] for name in Payment.__dataclass_fields__ if name not in {"lines", "state", "left"}
    }
    return Payment(
        **fields,
        state=State(row["state"]),
        lines=tuple(Line(**{name: line[name] for name in Line.__dataclass_fields__}) for line in lines),
    )


def of_patron(unit: Unit, patron: str, library: str, *, limit: int = 100) -> list[Payment]:
    """Return the payments of a patron in one of the libraries that share the patron, the newest first."""
    rows = unit.connection.execute(
        select(payments)
        .where(payments.c.patron_id == patron, payments.c.library == library)
        .order_by(payments.c.created_at.desc())
        .limit(limit)
    ).mappings()
    return [_payment(unit, row) for row in rows]


def newest(
    unit: Unit, *, library: str | None = None, state: str | None = None, limit: int = 50
) -> list[Payment]:
    """Return payments for a list, the newest first."""
    query = select(payments).order_by(payments.c.created_at.desc()).limit(limit)
    if library is not None:
        query = query.where(payments.c.library == library)
    if state is not None:
        query = query.where(payments.c.state == state)
    return [_payment(unit, row) for row in unit.connection.execute(query).mappings()]


def lease(unit: Unit, payment_id: str, owner: str, seconds: float) -> Payment | None:
    """Take a payment for *owner* with a rising fence; None when somebody else has it.

    ``left`` is set when its last worker never gave it back: that one has died, or sleeps.
    """
    now = unit.lease_clock()
    left = unit.connection.execute(_HOLDER, {"payment": payment_id}).scalar() is not None
    taken = unit.connection.execute(
        update(payments)
        .where(
            payments.c.id == payment_id, or_(payments.c.lease_until.is_(None), payments.c.lease_until < now)
        )
        .values(fence=payments.c.fence + 1, lease_owner=owner, lease_until=now + int(seconds * 1_000_000))
    )
    payment = load(unit, payment_id) if taken.rowcount else None
    return replace(payment, left=left) if payment else None


def release(unit: Unit, payment: Payment, due_at: datetime | None) -> None:
    """Give a payment back and say when it is due next, unless somebody else has it by now.

    A wake-up that came meanwhile (``due_at`` earlier than what was read) is not overwritten.
    """
    as_read = {"payment": payment.id, "as_read": payment.fence}
    woken = unit.connection.execute(_WOKEN, as_read).scalar()
    if woken is not None and woken != payment.due_at and (due_at is None or woken < due_at):
        due_at = woken
    if due_at is not None:
        due_at = min(due_at, unit.now + LONGEST_WAIT)
    unit.connection.execute(_RELEASE, {**as_read, "due": due_at})


def due(unit: Unit, limit: int) -> list[str]:
    """Return the ids of payments that are due and in nobody's hands, the longest waiting first."""
    now = unit.lease_clock()
    rows = unit.connection.execute(
        select(payments.c.id)
        .where(
            payments.c.due_at.is_not(None),
            or_(payments.c.due_at <= unit.now, payments.c.due_at > unit.now + 7 * LONGEST_WAIT),
            or_(payments.c.lease_until.is_(None), payments.c.lease_until < now),
        )
        .order_by(payments.c.due_at)
        .limit(limit)
    )
    return list(rows.scalars())


def make_due(unit: Unit, payment_id: str) -> bool:
    """Make a payment due now; False when there is none with this id.

    One that is due already becomes due a microsecond earlier: whoever has it in hands sees by another
    ``due_at`` that somebody called, even within the same instant (:func:`release`).
    """
    done = unit.connection.execute(_WAKE, {"payment": payment_id, "now": micros(unit.now)})
    return bool(done.rowcount)


def check_fence(unit: Unit, payment: Payment) -> Payment:
    """Return the payment as it is now; StaleFenceError when it has passed into other hands since."""
    current = load(unit, payment.id, lock=True)
    if current is None or current.fence != payment.fence:
        raise StaleFenceError(payment.id)
    return current


def move(
    unit: Unit,
    payment: Payment,
    what: str,
    *,
    to: State | None = None,
    case: str | None = None,
    subject: str = "",
    facts: dict[str, Any] | None = None,
    postings: Sequence[Posting] = (),
    **columns: Any,  # noqa: ANN401 - further columns of payments
) -> Payment:
    """Change a payment in one transaction: state, postings, audit row, claims, and perhaps a case.

    Raises StaleFenceError when the payment has passed into other hands since it was read. With
    *case* (about *subject*), the payment is held; whatever waits for settling in a held payment moves
    to the account of cases.
    """
    state = to or payment.state
    if case is not None and cases.was_decided(unit, payment.library, case, subject):
        # A person has looked at just this before.
        case = None
    if case is not None:
        # Only a case holds, and what was held meanwhile by somebody else stays so.
        columns["held"] = True
    held = unit.connection.execute(
        _MOVE.values(state=state, **columns), {"payment": payment.id, "as_read": payment.fence}
    ).scalar()
    if held is None:
        raise StaleFenceError(payment.id)
    moved = list(postings)
    if held:
        # Also what comes to a payment that was held before: nobody will settle it by itself.
        moved += ledger.to_case([*chain.read_postings(unit, payment.id), *moved])
    told = dict(facts or {}) if case is None else {**(facts or {}), "case": case}
    chain.append(unit, payment.id, what, state, told, moved)
    if case is not None:
        cases.open_case(unit, payment.library, payment.id, case, facts or {}, subject)
    if state in ENDED:
        claims.free(unit, payment.id)
    reread = load(unit, payment.id)
    if reread is None:  # pragma: no cover - the row was changed a few lines above
        raise LookupError(payment.id)
    return reread


def record(unit: Unit, payment: Payment, what: str, facts: dict[str, Any]) -> None:
    """Append a fact that changes nothing, under whatever fence: what was learned late is never dropped."""
    current = load(unit, payment.id, lock=True)
    if current is None:  # pragma: no cover - payments are never deleted
        raise LookupError(payment.id)
    chain.append(unit, payment.id, what, current.state, {**facts, "fence": payment.fence})


def hold_late(
    unit: Unit,
    payment_id: str,
    case: str,
    facts: dict[str, Any],
    *,
    what: str | None = None,
    subject: str = "",
) -> None:
    """Hold a payment with a case, whoever has it in hands: what was learned too late still needs a person."""
    current = load(unit, payment_id, lock=True)
    if current is None:  # pragma: no cover - payments are never deleted
        raise LookupError(payment_id)
    move(unit, current, what or f"late_{case}", case=case, facts=facts, subject=subject)


def overdue(unit: Unit, *, paid: timedelta, unpaid: timedelta, pending: timedelta) -> list[Payment]:
    """Return payments that should have come to an end by now and of which staff was not told today.

    *paid*: for so long a payment may be paid and not settled; *unpaid* and *pending*: for so long it
    may be open, or pending. A held payment has a case, which is told by itself.
    """
    rows = unit.connection.execute(
        select(payments).where(
            # The words of the partial index.
            text("state NOT IN ('void', 'settled', 'resolved')"),
            payments.c.held.is_(False),
            or_(
                payments.c.paid_at < unit.now - paid,
                payments.c.state.in_([State.CREATED, State.OPEN])
                & (payments.c.created_at < unit.now - unpaid),
                (payments.c.state == State.PENDING) & (payments.c.created_at < unit.now - pending),
            ),
            or_(payments.c.alarmed_at.is_(None), payments.c.alarmed_at < unit.now - timedelta(days=1)),
        )
    ).mappings()
    return [_payment(unit, row) for row in rows]


def fee_texts(unit: Unit, payment_id: str) -> dict[str, str]:
    """Return the fee texts of a payment by line id; empty once they were erased."""
    text = unit.connection.execute(
        select(private_payments.c.lines).where(private_payments.c.payment_id == payment_id)
    ).scalar()
    return dict(json.loads(text)) if text else {}
