"""What the reconciliation asks the ledger: payments, orders and counter-debits of some days."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from ils_payment.domain.decisions import Choice
from ils_payment.domain.ledger import Book
from ils_payment.domain.refunds import RESERVED
from ils_payment.domain.states import ENDED
from ils_payment.store import journal, orders, refunds
from ils_payment.store.case_tables import cases
from ils_payment.store.case_tables import refunds as refunds_table
from ils_payment.store.journal_tables import journal as journal_rows
from ils_payment.store.records import Renewal
from ils_payment.store.renewal_tables import renewals as renewals_table
from ils_payment.store.tables import audit, credit_orders, credit_tries, payments, postings

if TYPE_CHECKING:
    from ils_payment.store.records import Order, Refund
    from ils_payment.store.unit import Unit


def case_known(unit: Unit, library: str | None, kind: str, subject: str) -> bool:
    """Tell whether there was ever a case of this *kind* about this *subject* (None: in any library)."""
    query = select(cases.c.id).where(cases.c.kind == kind, cases.c.subject == subject)
    if library is not None:
        query = query.where(cases.c.library == library)
    return unit.connection.execute(query).first() is not None


def has_open_case(unit: Unit, payment_id: str) -> bool:
    """Tell whether a person already has something to decide about a payment."""
    query = select(cases.c.id).where(cases.c.payment_id == payment_id, cases.c.closed_at.is_(None))
    return unit.connection.execute(query).first() is not None


def asked_by_hand(unit: Unit, payment_id: str, kind: str, subject: str) -> datetime | None:
    """Return when the newest such case asked a person to write something by hand, if that was done."""
    query = select(cases.c.opened_at, cases.c.resolution).where(
        cases.c.payment_id == payment_id, cases.c.kind == kind, cases.c.subject == subject
    )
    row = unit.connection.execute(query.order_by(cases.c.opened_at.desc()).limit(1)).first()
    return row.opened_at if row and row.resolution in {Choice.BOOKED_BY_HAND, Choice.NO_ACTION} else None


def paid_between(
    unit: Unit, library: str, provider: str, since: datetime, until: datetime, *, live: bool
) -> list[str]:
    """Return the payments, of real or of play money, that the ledger learned to be paid in that time."""
    return list(
        unit.connection.execute(
            select(payments.c.id)
            .where(
                payments.c.library == library,
                payments.c.provider == provider,
                payments.c.live.is_(live),
                payments.c.paid_at >= since,
                payments.c.paid_at < until,
            )
            .order_by(payments.c.paid_at)
        ).scalars()
    )


def patrons_between(unit: Unit, library: str, since: datetime, until: datetime) -> list[str]:
    """Return whose payments were begun, paid, tried to be settled, or given back in that time."""
    here = select(payments.c.patron_id).where(payments.c.library == library)
    paid = here.where(
        or_(
            and_(payments.c.created_at >= since, payments.c.created_at < until),
            and_(payments.c.paid_at >= since, payments.c.paid_at < until),
        )
    )
    tried = (
        here.join(credit_orders, credit_orders.c.payment_id == payments.c.id)
        .join(credit_tries, credit_tries.c.order_id == credit_orders.c.id)
        .where(credit_tries.c.started_at >= since, credit_tries.c.started_at < until)
    )
    back = here.join(postings, postings.c.payment_id == payments.c.id).where(
        postings.c.at >= since,
        postings.c.at < until,
        postings.c.destination.in_([Book.RETURNED, Book.OUTSIDE]),
    )
    return sorted(unit.connection.execute(paid.union(tried, back)).scalars())


def orders_of_patron(unit: Unit, patron_id: str, library: str) -> list[Order]:
    """Return every credit order of a patron in a library."""
    ids = unit.connection.execute(
        select(payments.c.id).where(payments.c.patron_id == patron_id, payments.c.library == library)
    ).scalars()
    return [order for one in ids for order in orders.of_payment(unit, one)]


def charges_of_patron(unit: Unit, patron_id: str, library: str) -> list[Refund]:
    """Return the refunds of a patron whose fee stays and was charged again, or should be."""
    ids = unit.connection.execute(
        select(payments.c.id)
        .join(refunds_table, refunds_table.c.payment_id == payments.c.id)
        .where(
            payments.c.patron_id == patron_id,
            payments.c.library == library,
            refunds_table.c.charge_marker.is_not(None),
        )
        .distinct()
    ).scalars()
    return [one for key in ids for one in refunds.of_payment(unit, key) if one.charge_marker is not None]


def renewals_of_patron(unit: Unit, patron_id: str, library: str) -> list[Renewal]:
    """Return the card renewals of a patron in a library."""
    rows = unit.connection.execute(
        select(renewals_table)
        .join(payments, payments.c.id == renewals_table.c.payment_id)
        .where(payments.c.patron_id == patron_id, payments.c.library == library)
    ).mappings()
    return [Renewal(**row) for row in rows]


def library_of(unit: Unit, payment_id: str) -> str | None:
    """Return the library of a payment."""
    return unit.connection.execute(select(payments.c.library).where(payments.c.id == payment_id)).scalar()


def first_payment(unit: Unit, library: str) -> datetime | None:
    """Return when the oldest payment of a library was begun."""
    return unit.connection.execute(
        select(payments.c.created_at)
        .where(payments.c.library == library)
        .order_by(payments.c.created_at)
        .limit(1)
    ).scalar()


def unsettled_since(unit: Unit, library: str) -> datetime:
    """Return from when on a restored ledger may lack something, as it stood when it was put back.

    What it has learned since must not hide what it lacks.
    """
    rows = journal.put_back(unit)
    said = [told for row in rows if (told := _said(row["facts"], library))]
    if len(said) < len(rows) or not rows:
        # A version of before wrote nothing of it down: then it counts how the ledger stands now.
        said.append(_left_at(unit, library, journal.last_restore(unit) or unit.now))
    return min(said)


def _said(facts: dict[str, Any], library: str) -> datetime | None:
    told = facts.get("since", {}).get(library) or facts.get("written")
    return datetime.fromisoformat(told) if told else None


def as_put_back(unit: Unit) -> dict[str, Any]:
    """Return, for the journal of a ledger that is put back just now, from when on it may lack something.

    That is by library; and for those without payments, when anything was written last.
    """
    keys = unit.connection.execute(select(payments.c.library).distinct().order_by(payments.c.library))
    return {
        "since": {key: _left_at(unit, key, unit.now).isoformat() for key in keys.scalars()},
        "written": _last_moment(unit, unit.now).isoformat(),
    }


def _left_at(unit: Unit, library: str, put_back: datetime) -> datetime:
    """Return the ledger's own last moment, or when the oldest payment was begun that is not at its end.

    Whichever is earlier; a payment with a refund that is not at its end counts as well.
    """
    here = payments.c.library == library
    newest = unit.connection.execute(
        select(func.max(audit.c.at)).join(payments, payments.c.id == audit.c.payment_id).where(here)
    ).scalar()
    running = select(payments.c.created_at).where(here, payments.c.state.not_in([*ENDED]))
    refunding = (
        select(payments.c.created_at)
        .join(refunds_table, refunds_table.c.payment_id == payments.c.id)
        .where(
            here,
            or_(
                refunds_table.c.state.in_([*RESERVED]),
                refunds_table.c.charge_state.in_(["due", "tried"]),
            ),
        )
    )
    begun = unit.connection.execute(running.union(refunding)).scalars()
    since: datetime = min([newest or _last_moment(unit, put_back), *begun])
    return since


def _last_moment(unit: Unit, put_back: datetime) -> datetime:
    """Return when anything was written before the ledger was put back: for a library without payments."""
    written = select(func.max(journal_rows.c.at)).where(journal_rows.c.at < put_back)
    last: datetime | None = unit.connection.execute(written).scalar()
    return last or put_back
