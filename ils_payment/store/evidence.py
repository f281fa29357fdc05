"""What authenticated notices were evidence of, kept in the payment's audit trail.

The notices themselves are forgotten after some weeks; the trail is not, and its hashes cover it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ils_payment.model import Observation, PayState, Reversal, ReversalState
from ils_payment.store import chain, payments
from ils_payment.store.tables import audit

if TYPE_CHECKING:
    from ils_payment.store.unit import Unit

TOLD = "told"


def as_json(observation: Observation) -> str:
    """Return *observation* as text for the row of its notice."""
    return json.dumps(asdict(observation))


def hear(unit: Unit, payment_id: str, key: str, kind: str, observation: str) -> None:
    """Write what the notice *key* is evidence of into the payment's trail, once."""
    payment = payments.load(unit, payment_id, lock=True)
    if payment is None or chain.has_said(unit, payment_id, TOLD, {"notice": key}):
        return
    facts = {"notice": key, "kind": kind, "observation": json.loads(observation)}
    payments.record(unit, payment, TOLD, facts)


def told(unit: Unit, payment_id: str) -> list[Observation]:
    """Return everything that notices told of a payment, in the order in which it was heard."""
    rows = unit.connection.execute(
        select(audit.c.facts)
        .where(audit.c.payment_id == payment_id, audit.c.what == TOLD)
        .order_by(audit.c.number)
    ).scalars()
    return [_observation(json.loads(row)["observation"]) for row in rows]


def _observation(said: dict[str, Any]) -> Observation:
    gone = tuple(Reversal(**{**one, "state": ReversalState(one["state"])}) for one in said["reversals"])
    return Observation(**{**said, "state": PayState(said["state"]), "reversals": gone})
