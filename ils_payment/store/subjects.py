"""What is known about a person, and forgetting it: private rows go, the books stay as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, or_, select, update

from ils_payment.domain.refunds import RESERVED
from ils_payment.domain.states import ENDED
from ils_payment.store.case_tables import cases, private_reasons, refunds
from ils_payment.store.renewal_tables import elending_answers, private_reminders, renewals
from ils_payment.store.tables import (
    attempts,
    audit,
    credit_orders,
    payment_lines,
    payments,
    private_mails,
    private_patrons,
    private_payments,
    private_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select, Table

    from ils_payment.store.unit import Unit

_CHUNK = 500


def lock(unit: Unit, patron: str) -> None:
    """Keep new payments of the patron out until the end of the transaction."""
    unit.connection.execute(
        select(private_patrons.c.id).where(private_patrons.c.id == patron).with_for_update()
    )


def payments_of(unit: Unit, patron: str) -> list[str]:
    """Return the ids of all payments of a patron, the oldest first."""
    query = select(payments.c.id).where(payments.c.patron_id == patron)
    return list(unit.connection.execute(query.order_by(payments.c.created_at, payments.c.id)).scalars())


def unfinished(unit: Unit, patron: str) -> list[str]:
    """Return the receipt numbers of the patron's payments that still need to know whose they are."""
    query = select(payments.c.receipt_number).where(payments.c.patron_id == patron, ~_at_its_end())
    return [str(one) for one in unit.connection.execute(query.order_by(payments.c.created_at)).scalars()]


def _at_its_end() -> ColumnElement[bool]:
    """Tell of a payment that it is over: no case is open, and no refund is under way."""
    open_case = exists().where(cases.c.payment_id == payments.c.id, cases.c.closed_at.is_(None))
    waits = (refunds.c.state == "done") & refunds.c.charge_state.in_(["due", "tried"])
    running = exists().where(
        refunds.c.payment_id == payments.c.id, or_(refunds.c.state.in_([*RESERVED]), waits)
    )
    return payments.c.state.in_([*ENDED]) & payments.c.held.is_(False) & ~open_case & ~running


def known(unit: Unit, patron: str) -> dict[str, Any]:
    """Return everything that is known about a patron, table by table, without secrets."""
    ids = payments_of(unit, patron)
    texts = {
        row.payment_id: json.loads(row.lines)
        for row in _of(unit, private_payments, ids, private_payments.c.payment_id)
    }
    about = _rows_by_payment(unit, ids)
    found = [
        {
            **{name: row[name] for name in _PAYMENT},
            "lines": [
                {**{name: line[name] for name in _LINE}, "text": texts.get(row["id"], {}).get(line["id"])}
                for line in about["payment_lines"].get(row["id"], [])
            ],
            **{name: about[name].get(row["id"], []) for name in _TOLD if name != "payment_lines"},
        }
        for row in _mappings(unit, payments, ids, payments.c.id)
    ]
    ref = unit.connection.execute(
        select(private_patrons.c.patron_ref).where(private_patrons.c.id == patron)
    ).scalar()
    sessions = select(*(private_sessions.c[name] for name in _SESSION)).where(
        private_sessions.c.patron_id == patron
    )
    reminders = select(*(private_reminders.c[name] for name in _REMINDER)).where(
        private_reminders.c.patron_id == patron
    )
    mails = select(*(private_mails.c[name] for name in _MAIL), private_mails.c.facts).where(
        private_mails.c.patron_id == patron
    )
    return {
        "patron": ref,
        "sessions": [dict(row) for row in unit.connection.execute(sessions).mappings()],
        "reminders": [dict(row) for row in unit.connection.execute(reminders).mappings()],
        "reminder_mails": [
            {**row, "facts": json.loads(row["facts"] or "{}")}
            for row in unit.connection.execute(mails).mappings()
        ],
        "payments": sorted(found, key=lambda one: (one["created_at"], one["id"])),
    }


_PAYMENT = (
    "id", "library", "state", "held", "void_reason", "cents", "captured", "currency", "method", "provider",
    "live", "language", "receipt_number", "created_at", "paid_at", "settled_at",
)  # fmt: skip
_SESSION = ("library", "language", "created_at", "seen_at", "ends_at")
_REMINDER = ("valid_until", "days_before", "at")
_MAIL = ("kind", "recipient", "created_at")
_LINE = ("id", "kind", "fee_ref", "cents", "cost_centre", "account", "tax_code")
_TOLD: dict[str, tuple[Table, tuple[str, ...]]] = {
    "payment_lines": (payment_lines, _LINE),
    "attempts": (attempts, ("provider", "session_ref", "money_ref", "outcome", "created_at")),
    "credits": (credit_orders, ("marker", "cents", "state", "remote_ref", "confirmed_at")),
    "refunds": (
        refunds,
        ("kind", "state", "meaning", "cents", "provider_ref", "asked_at", "ended_at", "charge_ref"),
    ),
    "renewals": (renewals, ("tariff", "base", "until", "state", "renewed_at", "charge_ref")),
    "elending": (elending_answers, ("platform", "verdict", "code", "as_of")),
    "cases": (cases, ("id", "kind", "facts", "opened_at", "closed_at", "resolution")),
    "reasons": (private_reasons, ("at", "text")),
    "mails": (private_mails, _MAIL),
    "history": (audit, ("number", "at", "what", "state")),
}


def _rows_by_payment(unit: Unit, ids: Sequence[str]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    about: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, (table, columns) in _TOLD.items():
        about[name] = {}
        for row in _mappings(unit, table, ids, table.c.payment_id):
            told = {column: row[column] for column in columns}
            if "facts" in told:
                told["facts"] = json.loads(told["facts"])
            about[name].setdefault(row["payment_id"], []).append(told)
    return about


def _of(unit: Unit, table: Table, ids: Sequence[str], column: ColumnElement[str]) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(ids), _CHUNK):
        query = select(table).where(column.in_(ids[start : start + _CHUNK]))
        found.extend(unit.connection.execute(query.order_by(*table.primary_key.columns)))
    return found


def _mappings(unit: Unit, table: Table, ids: Sequence[str], column: ColumnElement[str]) -> list[Any]:
    return [row._mapping for row in _of(unit, table, ids, column)]  # noqa: SLF001 - SQLAlchemy's public name


def forget_payments(unit: Unit, ids: Sequence[str]) -> None:
    """Delete the private rows of payments: texts with their keys, reasons, mails."""
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        about = select(cases.c.id).where(cases.c.payment_id.in_(some))
        given = select(refunds.c.id).where(refunds.c.payment_id.in_(some))
        unit.connection.execute(delete(private_payments).where(private_payments.c.payment_id.in_(some)))
        unit.connection.execute(
            delete(private_reasons).where(
                or_(
                    private_reasons.c.payment_id.in_(some),
                    private_reasons.c.case_id.in_(about),
                    private_reasons.c.refund_id.in_(given),
                )
            )
        )
        unit.connection.execute(delete(private_mails).where(private_mails.c.payment_id.in_(some)))


def forget_patron(unit: Unit, patron: str) -> None:
    """Delete who a patron is: the library system's id, sessions, reminders; the books keep our id."""
    unit.connection.execute(delete(private_reminders).where(private_reminders.c.patron_id == patron))
    unit.connection.execute(delete(private_mails).where(private_mails.c.patron_id == patron))
    unit.connection.execute(delete(private_sessions).where(private_sessions.c.patron_id == patron))
    unit.connection.execute(
        update(private_patrons).where(private_patrons.c.id == patron).values(patron_ref=None)
    )


def old_payments(unit: Unit, library: str, before: datetime, limit: int) -> list[str]:
    """Return payments with private rows to which nothing happened since *before*.

    The rows stay locked until the end of the transaction; those that somebody works on are left out.
    """
    moved = exists().where(audit.c.payment_id == payments.c.id, audit.c.at >= before)
    kept = or_(
        exists().where(private_payments.c.payment_id == payments.c.id),
        exists().where(private_reasons.c.payment_id == payments.c.id),
    )
    query = (
        select(payments.c.id)
        .where(payments.c.library == library, payments.c.created_at < before, kept, ~moved, _at_its_end())
        .order_by(payments.c.created_at)
    )
    return _locked(unit, query, payments.c.id, limit)


def nameless(unit: Unit, limit: int) -> list[str]:
    """Return patrons who paid once, and of whom no payment needs or keeps anything private any more.

    The rows stay locked until the end of the transaction; those that somebody works on are left out.
    """
    theirs = payments.c.patron_id == private_patrons.c.id
    needed = exists().where(
        theirs, or_(~_at_its_end(), exists().where(private_payments.c.payment_id == payments.c.id))
    )
    reminded = exists().where(private_reminders.c.patron_id == private_patrons.c.id)
    signed_in = exists().where(private_sessions.c.patron_id == private_patrons.c.id)
    query = select(private_patrons.c.id).where(
        private_patrons.c.patron_ref.is_not(None), exists().where(theirs), ~needed, ~reminded, ~signed_in
    )
    return _locked(unit, query, private_patrons.c.id, limit)


def _locked(unit: Unit, query: Select[Any], key: ColumnElement[str], limit: int) -> list[str]:
    """Return the first *limit* ids of *query*, locked, without those that somebody works on.

    It is asked once more with the locks in hand: what was committed while it ran the first time, such as a
    new payment of a patron, it could not see.
    """
    found = unit.connection.execute(query.limit(limit).with_for_update(skip_locked=True)).scalars().all()
    return list(unit.connection.execute(query.where(key.in_(found))).scalars())


def forget_orphans(unit: Unit, library: str, before: datetime) -> int:
    """Delete the reasons about cases of no payment that were closed before *before*; return how many."""
    closed = select(cases.c.id).where(
        cases.c.library == library, cases.c.payment_id.is_(None), cases.c.closed_at < before
    )
    done = unit.connection.execute(delete(private_reasons).where(private_reasons.c.case_id.in_(closed)))
    return int(done.rowcount)
