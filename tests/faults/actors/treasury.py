"""The daily reconciliation of provider, ledger and library system: what nobody told us is found by it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from ils_payment.errors import ILSPaymentError
from ils_payment.flows.reconcile import reconcile, release
from ils_payment.model import Actor
from tests.faults.instance import BrokenError

if TYPE_CHECKING:
    from ils_payment.flows.house import House
    from tests.faults.setting import Setting
    from tests.faults.stage import Stage

DAYS = 8
"""How far back it looks: longer than any storm."""


def start(setting: Setting) -> None:
    """In one schedule of ten it runs in the storm, too."""
    if setting.seed % 10 == 0:
        setting.scheduler.spawn("treasury", partial(compare, setting), after=setting.rng.uniform(50, 4000))


def compare(setting: Stage) -> None:
    """Compare everything once; remotes that do not answer are asked again tomorrow."""

    def work(house: House) -> None:
        until = house.world.now()
        actor = Actor("cron", "system")
        reports = [
            reconcile(house, desk, until - timedelta(days=DAYS), until, actor)
            for desk in house.libraries.values()
        ]
        if setting.lost is not None:
            release(house, reports, actor)

    instance = setting.alive()
    if instance is None:
        return
    try:
        instance.call("reconcile", work)
    except BrokenError:
        setting.scheduler.note("the process died over the reconciliation")
    except ILSPaymentError as error:
        setting.scheduler.note(f"reconcile: {type(error).__name__}")
