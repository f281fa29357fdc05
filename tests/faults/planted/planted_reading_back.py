"""Defects in what is made of the library system's books after a call."""

from __future__ import annotations

from ils_payment.flows import readback, settle
from ils_payment.flows.work import applied
from ils_payment.model import Input
from ils_payment.store import orders
from tests.faults.planted.registry import defect, instead


@defect("ils_deadlock", "ils_applied_in_part")
def marker_with_other_cents_accepted(patch):
    """A credit with our marker counts whatever its amount is, and however much of it was used."""
    patch.setattr(
        readback, "_found", lambda one, there: applied(one, Input.MARKER_FOUND, there[0].remote_ref)
    )


@defect("ils_applied_twice", "fee_paid_at_desk")
def read_back_skipped(patch):
    """What a call has done is not read afterwards."""
    patch.setattr(readback, "_what_is_wrong", lambda _work, _before: None)


@defect("fee_paid_twice")
def balance_below_zero_accepted(patch):
    """An account below zero after our credit is not looked at, nor a clerk's credit beside ours."""
    from ils_payment.domain import settling

    patch.setattr(settling, "wrong_in_account", lambda *_args: None)
    patch.setattr(settling, "wrong_in_credits", lambda *_args: None)


@defect("ils_lost_not_applied", "kill_after_call", "kill_before_commit")
def freshness_proof_skipped(patch):
    """An absent marker counts as absent although nothing proves that it would be seen."""
    name = "read_path_is_fresh" if hasattr(readback, "read_path_is_fresh") else "_read_path_is_fresh"
    patch.setattr(readback, name, lambda *_args: True)


@defect()
def late_result_dropped(patch):
    """What a call answered is written down only as long as nobody else has the payment."""
    instead(patch, orders, "end_try", _only_if_nobody_else)


def _only_if_nobody_else(original, unit, order, number, outcome, *, reason=""):
    fence = unit.connection.exec_driver_sql(
        "SELECT p.fence = t.fence FROM payments p, credit_tries t "
        "WHERE p.id = ? AND t.order_id = ? AND t.number = ?",
        (order.payment_id, order.id, number),
    ).scalar()
    if fence:
        original(unit, order, number, outcome, reason=reason)


@defect()
def confirmed_by_another_credit(patch):
    """The credit is confirmed under the number of another one."""
    instead(
        patch, orders, "confirm", lambda original, unit, order, ref: original(unit, order, str(int(ref) - 1))
    )


@defect()
def result_not_recorded(patch):
    """What a call answered is not written down."""
    patch.setattr(settle, "_record", lambda _work, _outcome: None)
