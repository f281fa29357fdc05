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


def seal_hidden(house: House) -> None:
    """Seal what earlier seals have looked past because a clock was ahead when one was made: a daily chore."""
    with house.store.read() as unit:
        since = seals.through(seals.last(unit))
        oldest = next(iter(seals.new_heads(unit, None)), None)
    if since is not None and oldest is not None and oldest.at < since - seals.OVERLAP:
        seal(house, hidden=True)


def seal(house: House, *, hidden: bool = False) -> Seal | None:
    """Seal what changed since the last seal, and log it; None when nothing did, or somebody was faster.

    With *hidden* at once, and all that no seal covers, however old it is.
    """
    with house.store.unit() as unit:
        seals.lock(unit)
        previous = seals.last(unit)
        if not hidden and not _is_due(house, previous):
            return None
        since = seals.through(previous)
        # A clock that was far ahead when the last one was made would hide what happens until then.
        everything = hidden or since is None or since > unit.now + EVERY
        heads = seals.new_heads(unit, None if everything else since)
        if not heads and (previous is None or previous.number == seals.journal_rows(unit)):
            return None
        made = seals.add(unit, heads, previous)
    house.world.failpoint("seal.made")
    log.info("sealed", seal=made.hash, number=made.number, heads=made.heads)
    return made


def _is_due(house: House, previous: Any) -> bool:  # noqa: ANN401 - a row of the journal
    """Tell whether ten minutes are over, or the last round had more to seal than it took.

    A seal of a clock that was far ahead is followed at once: nobody waits for an instant that is to come.
    """
    if previous is None:
        return True
    if json.loads(previous.facts)["heads"] >= seals.AT_MOST:
        return True
    return bool(abs(house.world.now() - previous.at) >= EVERY)
