"""Why people decided as they did: private texts, of which the chains hold a digest only."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, or_, select

from ils_payment.store.case_tables import private_reasons

if TYPE_CHECKING:
    from ils_payment.model import Actor
    from ils_payment.store.unit import Unit


def keep(
    unit: Unit,
    actor: Actor,
    text: str,
    *,
    payment_id: str | None = None,
    case_id: str | None = None,
    refund_id: str | None = None,
) -> str:
    """Keep a reason under a key of its own and return the digest for the chain."""
    key = unit.world.random_bytes(32)
    digest = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    unit.connection.execute(
        insert(private_reasons).values(
            id=unit.world.new_id(),
            payment_id=payment_id,
            case_id=case_id,
            refund_id=refund_id,
            actor=actor.name,
            at=unit.now,
            key=key,
            text=text,
            digest=digest,
        )
    )
    return digest


def of_refund(unit: Unit, refund_id: str) -> list[str]:
    """Return why somebody asked for a refund, and why it was not approved; nothing after it was erased."""
    query = select(private_reasons.c.text).where(private_reasons.c.refund_id == refund_id)
    return list(unit.connection.execute(query.order_by(private_reasons.c.at)).scalars())


def of(unit: Unit, *, payment_id: str | None, case_id: str | None = None) -> list[Any]:
    """Return the reasons about a payment or a case, the oldest first; erased ones are gone."""
    about = []
    if payment_id is not None:
        about.append(private_reasons.c.payment_id == payment_id)
    if case_id is not None:
        about.append(private_reasons.c.case_id == case_id)
    return list(
        unit.connection.execute(select(private_reasons).where(or_(*about)).order_by(private_reasons.c.at))
    )
