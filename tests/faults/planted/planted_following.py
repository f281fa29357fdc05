"""Defects in what follows a payment: blocks that are lifted, and what is said of eLending."""

from __future__ import annotations

from dataclasses import replace

from ils_payment.flows import unblock
from ils_payment.model import Verdict
from tests.faults.planted.registry import defect, instead


@defect("other_block")
def every_block_is_lifted(patch):
    """A payment lifts also the blocks that hang on something else."""
    patch.setattr(unblock, "_liftable", lambda _block: True)


@defect("elending_fails")
def open_without_an_answer(patch):
    """Where a platform does not answer, it counts as open."""

    def cannot_tell(original, look, name, error):
        return replace(original(look, name, error), verdict=Verdict.OPEN, asked=True)

    original = unblock._Look.cannot_tell
    patch.setattr(
        unblock._Look, "cannot_tell", lambda look, name, error: cannot_tell(original, look, name, error)
    )


@defect("elending_fails")
def platform_asked_once(patch):
    """A platform that did not answer is not asked again."""

    def due_at(original, kept, now):
        return original(kept, now) if kept is None else None

    instead(patch, unblock, "_due_at", due_at)
