"""What goes wrong between the program and both remotes of a pair."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from ils_payment.model import ReadSupport, RefundSupport
from ils_payment.testing.line import Fault
from ils_payment.testing.stands import Call

if TYPE_CHECKING:
    from tests.faults.pairs.stage import PairStage

AMBIGUOUS = {one.name for one in (Call.SETTLE, Call.START, Call.REFUND, Call.RENEW, Call.CHARGE)}
"""Calls after whose failure nobody knows at once what came of them."""


def start(stage: PairStage) -> None:
    """Let some calls go wrong, and a process be started again."""
    stage.scheduler.spawn("weather", lambda: _blow(stage))


def _blow(stage: PairStage) -> None:
    rng = Random(f"{stage.seed} the weather")
    can = stage.provider_can
    library = [Call.SETTLE, Call.SETTLE, Call.SETTLE, Call.READ]
    if stage.sells_cards:
        library += [Call.RENEW] * 3 + [Call.CHARGE] * stage.can.can_charge
    provider = [Call.START, Call.READ]
    provider += [Call.CLOSE] if can.close else []
    provider += [Call.REFUND] * 2 if can.refund is not RefundSupport.NONE else []
    if can.read is not ReadSupport.FULL:
        provider.remove(Call.READ)
    for _ in range(rng.choice((0, 1, 2, 3, 5))):
        call = rng.choice((*library, None))
        fault = rng.choice(tuple(Fault))
        if call is None:
            call = rng.choice(provider)
            stage.provider.break_next(call, fault)
        else:
            stage.library.break_next(call, fault)
        stage.scheduler.note(f"weather: {call} will meet {fault.name}")
        stage.mix.fired[f"{call.name} {fault.name}"] += 1
        stage.scheduler.sleep(rng.choice((0, 0, 10, 60, 400, 4000)))
        if stage.mix.calm:
            return
    if stage.mix.strikes("restart_in_work"):
        instance = stage.alive()
        if instance is not None:
            stage.scheduler.note(f"process {instance.number} is ended")
            instance.die(5)
