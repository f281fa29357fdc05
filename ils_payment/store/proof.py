"""Everything that ``verify`` reads, in pieces that fit into memory however large the ledger is."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from ils_payment.domain.proof import Facts
from ils_payment.domain.refunds import RUNNING, RefundState
from ils_payment.model import State
from ils_payment.store import chain
from ils_payment.store.case_tables import cases, private_reasons, refunds
from ils_payment.store.journal_tables import exported, exports, journal, sealed_heads
from ils_payment.store.renewal_tables import renewals
from ils_payment.store.tables import (
    audit,
    claims,
    credit_orders,
    payment_lines,
    payments,
    postings,
    private_payments,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Table

    from ils_payment.store.unit import Unit

BATCH = 500
"""So many payments are read at a time."""


_SOLD = frozenset({"renewal_sold", "renewal_on_top"})
_SENT = RUNNING | {RefundState.DONE}
_GONE = [
    select(table.c.payment_id)
    .outerjoin(payments, payments.c.id == table.c.payment_id)
    .where(payments.c.id.is_(None))
    .distinct()
    for table in (sealed_heads, audit, postings, payment_lines, exported)
]


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of one payment, as they are."""

    payment: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    trail: Sequence[dict[str, Any]]
    postings: Sequence[Any]
    private: Sequence[Any]
    reasons: Sequence[Any]
    refunds: Sequence[Any]
    orders: Sequence[Any]
    claims: int
    cases: int
    heads: Sequence[Any]
    renewals: Sequence[Any]

    @property
    def facts(self) -> Facts:
        """Return what the rules of :mod:`ils_payment.domain.proof` look at. ValueError: a code is none."""
        first = self._created()
        named = first.get("lines")
        return Facts(
            state=State(self.payment["state"]),
            held=self.payment["held"],
            cents=self.payment["cents"],
            captured=self.payment["captured"],
            lines={line["id"]: line["cents"] for line in self.lines},
            frozen=dict(named) if named is not None else None,
            postings=[chain.posting(row) for row in self.postings],
            refunds=[
                (RefundState(row.state), sum(part[2] for part in json.loads(row.parts)))
                for row in self.refunds
            ],
            applied=sum(row.cents for row in self.orders if row.state == "applied"),
            unbooked=self._unbooked(),
            claims=self.claims,
            cases=self.cases,
        )

    def _created(self) -> dict[str, Any]:
        return dict(json.loads(self.trail[0]["facts"])) if self.trail else {}

    def broken(self) -> list[str]:
        """Return what does not fit the hashes: trail, sealed heads, frozen columns, private texts."""
        found = []
        place = chain.broken_in(self.trail, self.postings, self.payment["state"])
        if place is not None:
            found.append(f"its history was changed at row {place}")
        known = {row["number"]: row["hash"] for row in self.trail}
        gone = [head.number for head in self.heads if known.get(head.number) != head.hash]
        if gone:
            found.append(f"row {min(gone)} of its history is not the one that was sealed")
        first = self._created()
        if "frozen" in first and first["frozen"] != chain.frozen(self.payment, self.lines):
            found.append("the payment or one of its lines is not as it was frozen")
        for name, states in (("paid_at", {"paid", "settled"}), ("settled_at", {"settled"})):
            said = {row["at"] for row in self.trail if row["state"] in states}
            if self.payment[name] is not None and self.payment[name] not in said:
                found.append(f"its {name} is no instant of its history")
        return [*found, *self._refunds(), *self._renewal(), *self._texts(first)]

    def _unbooked(self) -> int:
        """Return the cents of a renewal for which the library system keeps no books."""
        alone = {row.line_id for row in self.renewals if row.charge_state == "none"}
        return sum(line["cents"] for line in self.lines if line["id"] in alone)

    def _renewal(self) -> list[str]:
        """Compare a renewal with what the history says was sold, and that it was seen renewed."""
        said = [(row["what"], json.loads(row["facts"])) for row in self.trail]
        sold = {(one.get("tariff"), one.get("until")) for what, one in said if what in _SOLD}
        seen = {one.get("valid_until") for what, one in said if what == "renewed"}
        found = []
        for row in self.renewals:
            if row.state == "renewed" and row.until.isoformat() not in seen:
                found.append("its card counts as renewed to a day that its history does not know")
            elif row.state != "renewed" and (row.tariff, row.until.isoformat()) not in sold:
                found.append("its renewal is not as it was sold")
        return found

    def _refunds(self) -> list[str]:
        """Compare each refund that was asked for here with what the history says of asking and approving."""
        said = [(row["what"], json.loads(row["facts"])) for row in self.trail]
        asked = {facts.get("refund"): facts.get("cents") for what, facts in said if what == "refund_asked"}
        approved = {facts.get("refund") for what, facts in said if what == "refund_approved"}
        found = []
        for row in self.refunds:
            if row.asked_by == "provider":
                continue
            if row.cents != sum(part[2] for part in json.loads(row.parts)) or asked.get(row.id) != row.cents:
                found.append(f"refund {row.number} is not as it was asked for")
            elif RefundState(row.state) in _SENT and row.id not in approved:
                found.append(f"refund {row.number} was approved by nobody")
        return found

    def _texts(self, first: Mapping[str, Any]) -> list[str]:
        """Compare private texts with their digests; what was erased is not there and not compared."""
        covered = {json.loads(row["facts"]).get("reason_digest") for row in self.trail}
        return [
            *(
                "the texts of its fees are not those that the history covers"
                for row in self.private
                if not _is_digest(row.key, row.lines, row.digest) or first.get("private") != row.digest
            ),
            *(
                "a reason is not the one that the history covers"
                for row in self.reasons
                if not _is_digest(row.key, row.text, row.digest) or row.digest not in covered
            ),
        ]


def _is_digest(key: bytes, text: str, digest: str) -> bool:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == digest


def batches(unit: Unit) -> Iterator[list[Rows]]:
    """Return all payments with all their rows, some hundred at a time, in the order of their ids."""
    last = ""
    while True:
        query = select(payments).where(payments.c.id > last).order_by(payments.c.id).limit(BATCH)
        found = unit.connection.execute(query).mappings().all()
        if not found:
            return
        last = found[-1]["id"]
        yield _with_rows(unit, found)


def _with_rows(unit: Unit, found: Sequence[Any]) -> list[Rows]:
    ids = [row["id"] for row in found]

    def of(table: Table, order: str | None = None) -> dict[str, list[Any]]:
        rows: dict[str, list[Any]] = defaultdict(list)
        query = select(table).where(table.c.payment_id.in_(ids))
        if order:
            query = query.order_by(table.c.payment_id, table.c[order])
        for row in unit.connection.execute(query):
            rows[row.payment_id].append(row)
        return rows

    trails, moved, lines = of(audit, "number"), of(postings, "number"), of(payment_lines, "position")
    private, reasons, refunded = of(private_payments), of(private_reasons, "at"), of(refunds, "number")
    orders, claimed, held, heads = of(credit_orders), of(claims), of(cases), of(sealed_heads, "number")
    sold = of(renewals)
    return [
        Rows(
            payment=row,
            lines=[line._mapping for line in lines[row["id"]]],  # noqa: SLF001 - SQLAlchemy's public name
            trail=[dict(one._mapping) for one in trails[row["id"]]],  # noqa: SLF001 - the same
            postings=moved[row["id"]],
            private=private[row["id"]],
            reasons=reasons[row["id"]],
            refunds=refunded[row["id"]],
            orders=orders[row["id"]],
            claims=len(claimed[row["id"]]),
            cases=sum(1 for case in held[row["id"]] if case.closed_at is None),
            heads=heads[row["id"]],
            renewals=sold[row["id"]],
        )
        for row in found
    ]


def deleted(unit: Unit) -> Iterator[str]:
    """Return the ids of payments that some row still speaks of and that are not there any more."""
    for gone in _GONE:
        yield from unit.connection.execute(gone).scalars()


def trail_of_the_house(unit: Unit) -> Iterator[dict[str, Any]]:
    """Return the rows of the journal in order, without having all of them in memory."""
    rows = unit.connection.execute(
        select(journal).order_by(journal.c.number).execution_options(yield_per=1000)
    )
    for row in rows.mappings():
        yield dict(row)


def heads_by_seal(unit: Unit) -> Iterator[tuple[int, list[tuple[str, int, str]]]]:
    """Return (number of the seal, its heads as (payment, row, hash)) in the order of the seals."""
    rows = unit.connection.execute(
        select(sealed_heads)
        .order_by(sealed_heads.c.seal, sealed_heads.c.payment_id)
        .execution_options(yield_per=1000)
    )
    for seal, heads in groupby(rows, key=lambda row: row.seal):
        yield seal, [(head.payment_id, head.number, head.hash) for head in heads]


def unsealed(unit: Unit) -> int:
    """Return how many payments have rows that no seal covers yet."""
    newest = select(audit.c.payment_id, func.max(audit.c.number).label("number")).group_by(audit.c.payment_id)
    heads = newest.subquery()
    fits = and_(sealed_heads.c.payment_id == heads.c.payment_id, sealed_heads.c.number == heads.c.number)
    query = select(func.count()).select_from(heads).outerjoin(sealed_heads, fits)
    return int(unit.connection.execute(query.where(sealed_heads.c.payment_id.is_(None))).scalar_one())


def kept_exports(unit: Unit) -> Iterator[tuple[Any, int]]:
    """Return each export with its content, and how many postings are marked as covered by it."""
    numbers = list(unit.connection.execute(select(exports.c.number).order_by(exports.c.number)).scalars())
    for number in numbers:
        row = unit.connection.execute(select(exports).where(exports.c.number == number)).one()
        covered = select(func.count()).where(exported.c.export == number).select_from(exported)
        yield row, unit.connection.execute(covered).scalar_one()


def reasons_of_no_payment(unit: Unit) -> list[str]:
    """Return the digests of reasons that belong to no payment and that do not fit their text."""
    rows = unit.connection.execute(select(private_reasons).where(private_reasons.c.payment_id.is_(None)))
    return [row.id for row in rows if not _is_digest(row.key, row.text, row.digest)]
