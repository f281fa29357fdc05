"""What eLending platforms said after a payment: one row for each payment and platform, codes only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from ils_payment.model import HINDRANCE_KINDS, LIFTERS, Hindrance, Verdict
from ils_payment.store.records import to_json
from ils_payment.store.renewal_tables import elending_answers

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.model import Answer
    from ils_payment.store.unit import Unit

_CODE = re.compile(r"[A-Za-z0-9_.:+-]{0,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One answer as it is kept; ``tries`` counts how often the question was put."""

    verdict: Verdict
    asked: bool
    code: str
    hindrances: tuple[Hindrance, ...]
    as_of: datetime
    tries: int


def of_payment(unit: Unit, payment_id: str) -> dict[str, Kept]:
    """Return what is known after a payment, by the name of the platform's table."""
    query = select(elending_answers).where(elending_answers.c.payment_id == payment_id)
    return {
        row.platform: Kept(
            verdict=Verdict(row.verdict),
            asked=row.asked,
            code=row.code,
            hindrances=tuple(
                Hindrance(kind=kind, lifted_by=lifter, text=text)
                for kind, lifter, text in json.loads(row.hindrances)
            ),
            as_of=row.as_of,
            tries=row.tries,
        )
        for row in unit.connection.execute(query)
    }


def put(unit: Unit, payment_id: str, platform: str, answer: Answer, tries: int) -> Kept:
    """Keep *answer* in place of an earlier one, and return it as it is kept.

    A plugin may be a stranger's: what is none of the known words is kept as ``other``, and a code that
    could be more than a code is not kept.
    """
    kept = Kept(
        verdict=answer.verdict,
        asked=answer.asked,
        code=answer.code if _CODE.fullmatch(answer.code) else "",
        hindrances=tuple(_known(one) for one in answer.hindrances),
        as_of=answer.as_of,
        tries=tries,
    )
    values = {
        "verdict": str(kept.verdict),
        "asked": kept.asked,
        "code": kept.code,
        "hindrances": to_json([[one.kind, one.lifted_by, one.text] for one in kept.hindrances]),
        "as_of": kept.as_of,
        "tries": tries,
    }
    dialect = sqlite if unit.connection.dialect.name == "sqlite" else postgresql
    unit.connection.execute(
        dialect.insert(elending_answers)
        .values(payment_id=payment_id, platform=platform, **values)
        .on_conflict_do_update(
            index_elements=[elending_answers.c.payment_id, elending_answers.c.platform], set_=values
        )
    )
    return kept


def _known(hindrance: Hindrance) -> Hindrance:
    """Return *hindrance* in the known words."""
    return Hindrance(
        kind=hindrance.kind if hindrance.kind in HINDRANCE_KINDS else "other",
        lifted_by=hindrance.lifted_by if hindrance.lifted_by in LIFTERS else "library",
        text=hindrance.text,
    )
