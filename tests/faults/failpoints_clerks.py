"""What clerks do on a stage. One whose decision got lost looks again, and decides anew if it is not there."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, reconcile, show
from ils_payment.flows.comparison import Report
from ils_payment.flows.decision import Decided, Decision
from ils_payment.store import refunds
from tests.faults.failpoints_stage import Stage
from tests.flows.decisions import CLERK, TREASURER
from tests.flows.truths import every_id

LEASE_IS_OVER = 130


def fresh(stage: Stage) -> list[str]:
    """Return the payments that the scenario itself began, the oldest first."""
    return [one for one in every_id(stage.town) if one not in stage.earlier]


def _twice(stage: Stage, step: Any) -> None:
    """Let a clerk try *step* until it answers something else than "busy", at most three times."""
    for _ in range(3):
        answer = stage.program(step)
        if isinstance(answer, Decided) and answer.code != "busy":
            return
        stage.world.pass_time(seconds=LEASE_IS_OVER)


def ask_refund(stage: Stage, meaning: Meaning = Meaning.FEE_DROPPED, *, lines: int | None = None) -> None:
    """Ask for a refund of each payment (of its first *lines* lines), unless one is there already."""
    for payment_id in fresh(stage):
        chosen = show.line_ids(stage.town.house, payment_id)[:lines] if lines else None
        decision = Decision(
            choice=Choice.REFUND,
            reason="asked at the desk",
            meaning=meaning,
            lines=tuple(chosen) if chosen else None,
        )

        def ask(payment_id: str = payment_id, decision: Decision = decision) -> Decided:
            if waiting(stage, payment_id):
                return Decided(code="done")
            return decide.refund(stage.town.house, CLERK, payment_id, decision)

        _twice(stage, ask)


def waiting(stage: Stage, payment_id: str) -> list[str]:
    """Return the refunds of a payment that wait for a second person."""
    with stage.town.house.store.read() as unit:
        return [one.id for one in refunds.of_payment(unit, payment_id) if one.state == "asked"]


def approve(stage: Stage) -> None:
    """Let the second person approve every refund that waits."""
    for payment_id in fresh(stage):
        for refund_id in waiting(stage, payment_id):
            _twice(stage, partial(_approve, stage, refund_id))


def _approve(stage: Stage, refund_id: str) -> Decided:
    return decide.approve(stage.town.house, TREASURER, refund_id)


def withdraw(stage: Stage) -> None:
    """Let a person withdraw every refund that waits."""
    for payment_id in fresh(stage):
        for refund_id in waiting(stage, payment_id):
            _twice(stage, partial(_withdraw, stage, refund_id))


def _withdraw(stage: Stage, refund_id: str) -> Decided:
    return decide.withdraw(stage.town.house, CLERK, refund_id, "a mistake")


def resolve(stage: Stage, choice: Choice, **more: Any) -> None:
    """Decide every open case in the same way, where that is possible."""
    for case in show.case_list(stage.town.house):
        decision = Decision(choice=choice, reason="looked at both sides", **more)
        _twice(
            stage,
            lambda one=case, what=decision: decide.resolve(
                stage.town.house, CLERK, one.case_id, one.version, what
            ),
        )


def _compare(stage: Stage, since: datetime, until: datetime) -> Report:
    return reconcile.reconcile(stage.town.house, stage.town.desk, since, until, CLERK)


def compare(stage: Stage, days: int = 3) -> None:
    """Reconcile the last days; what died over it is done again."""
    for _ in range(2):
        until = stage.world.now() + timedelta(minutes=1)
        since = until - timedelta(days=days)
        done = stage.program(partial(_compare, stage, since, until))
        if done is not None:
            return
        stage.world.pass_time(seconds=LEASE_IS_OVER)
