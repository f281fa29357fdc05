"""Defects in leases, fences and wake-ups."""

from __future__ import annotations

from dataclasses import replace

from ils_payment.flows import hands, settle
from ils_payment.store import payments
from ils_payment.store.tables import payments as table
from tests.faults.planted.registry import defect, instead


@defect("stall")
def fence_not_checked(patch):
    """Whoever has lost a payment goes on writing it."""

    def newest(unit, payment):
        current = payments.load(unit, payment.id, lock=True)
        assert current is not None
        return replace(payment, fence=current.fence)

    instead(
        patch, payments, "move",
        lambda original, unit, payment, what, **more: original(unit, newest(unit, payment), what, **more),
    )  # fmt: skip
    instead(patch, payments, "check_fence", lambda _original, unit, payment: newest(unit, payment))


@defect()
def lease_ignored(patch):
    """A payment is taken although somebody else has it."""

    def free(unit, payment_id=None):
        clear = table.update().values(lease_until=None)
        unit.connection.execute(clear if payment_id is None else clear.where(table.c.id == payment_id))

    def lease(original, unit, payment_id, owner, seconds):
        free(unit, payment_id)
        return original(unit, payment_id, owner, seconds)

    def due(original, unit, limit):
        wanted = [one.id for one in payments.newest(unit, limit=100) if one.due_at and one.due_at <= unit.now]
        return wanted or original(unit, limit)

    instead(patch, payments, "lease", lease)
    instead(patch, payments, "due", due)


@defect()
def lease_too_short(patch):
    """A payment is free again before the calls that are made with it have ended."""
    for module in (hands, settle):
        patch.setattr(module, "LEASE_SECONDS", 0.01)


@defect("kill_after_call", "kill_after_commit", "kill_before_commit", "restart_in_work")
def lease_never_ends(patch):
    """What a dead worker had in hands stays with it."""
    patch.setattr(hands, "LEASE_SECONDS", 3.0e8)


@defect()
def release_drops_a_wake_up(patch):
    """A wake-up that comes while a payment is in hands is lost when it is given back."""
    from sqlalchemy import update

    def release(_original, unit, payment, due_at):
        unit.connection.execute(
            update(table)
            .where(table.c.id == payment.id, table.c.fence == payment.fence)
            .values(lease_owner=None, lease_until=None, due_at=due_at)
        )

    instead(patch, payments, "release", release)


@defect("provider_error", "provider_down", "ils_down_minutes")
def error_ends_the_work(patch):
    """A payment whose remote did not answer is not taken up again."""

    def release(original, unit, payment, due_at):
        return original(unit, payment, None if due_at and due_at > unit.now else due_at)

    instead(patch, payments, "release", release)
