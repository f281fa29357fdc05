"""Seal: every ten minutes, what changed is covered by one hash, which the log keeps outside as well."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ils_payment.store import seals

if TYPE_CHECKING:
    from ils_payment.flows.house import House
    from ils_payment.store.seals import Seal

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=10)


def seal_changes(house: House) -> None:
    """Make a seal when the last one is old enough and something changed: a chore of every process."""
    with house.store.read() as unit:
        if not _is_due(house, seals.last(unit)):
            return
    seal(house)


def seal(house: House) -> Seal | None:
    """Seal what changed since the last seal, and log it; None when nothing did, or somebody was faster."""
    with house.store.unit() as unit:
        seals.lock(unit)
        previous = seals.last(unit)
        if not _is_due(house, previous):
            return None
        heads = seals.new_heads(unit, seals.through(previous))
        if not heads and (previous is None or previous.number == seals.journal_rows(unit)):
            return None
        made = seals.add(unit, heads, previous)
    house.world.failpoint("seal.made")
    log.info("sealed", seal=made.hash, number=made.number, heads=made.heads)
    return made


def _is_due(house: House, previous: Any) -> bool:  # noqa: ANN401 - a row of the journal
    """Tell whether ten minutes are over, or the last round had more to seal than it took."""
    if previous is None:
        return True
    facts = json.loads(previous.facts)
    return facts["heads"] >= seals.AT_MOST or bool(house.world.now() - previous.at >= EVERY)
