"""``ils-payment demo --auto --matrix``: what each library system and each provider can do together."""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ils_payment.cli.demo_pay import paid
from ils_payment.cli.demo_provider import PROVIDERS
from ils_payment.cli.demo_renew import renewed
from ils_payment.cli.demo_stage import LIBRARY, PATIENCE, Stage, Walked
from ils_payment.cli.demo_start import simulator, staged
from ils_payment.cli.output import print_table
from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning, RefundState
from ils_payment.errors import ILSPaymentError
from ils_payment.flows import decide, inbox, show
from ils_payment.flows.decision import Decision
from ils_payment.model import Actor, RefundSupport
from ils_payment.plugins import SIMULATOR_GROUP, installed
from ils_payment.testing.demo import Stageable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ils_payment.flows.decision import Decided

TREASURY = "the provider takes no refunds: the treasury pays it out, and the case is closed with its voucher"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a journey came to: ``done``, ``absent`` (declared so, with the reason) or ``failed``."""

    library_system: str
    provider: str
    journey: str
    result: str
    reason: str = ""


def every_pair() -> list[tuple[str, str]]:
    """Return each library system that can be staged with each provider."""
    systems = [name for name in sorted(installed(SIMULATOR_GROUP)) if isinstance(simulator(name), Stageable)]
    return [(system, provider) for system in systems for provider in PROVIDERS]


def play(pairs: Iterable[tuple[str, str]], *, as_json: bool) -> bool:
    """Walk all journeys of *pairs*, print them, and tell whether none failed."""
    cells = [cell for system, provider in pairs for cell in _pair(system, provider)]
    if as_json:
        click.echo(json.dumps({"cells": [asdict(cell) for cell in cells]}))
    else:
        print_table(
            ("Library system", "Provider", "Journey", "Result"),
            [
                (one.library_system, one.provider, one.journey, f"{one.result}: {one.reason}".rstrip(": "))
                for one in cells
            ],
            empty="There is no library system to show.",
        )
    return all(cell.result != "failed" for cell in cells)


def _pair(system: str, provider: str) -> Iterator[Cell]:
    with (
        tempfile.TemporaryDirectory(prefix="ils-payment-demo-") as folder,
        staged(Path(folder), 0, (system, 0), (provider, 0)) as stage,
    ):
        for journey, walk in {"pay": _pay, "refund": _give_back, "renew": _renew}.items():
            try:
                result, reason = walk(stage)
            except ILSPaymentError as error:
                result, reason = "failed", str(error)
            yield Cell(system, provider, journey, result, reason)


def _pay(stage: Stage) -> tuple[str, str]:
    return _told(paid(stage))


def _renew(stage: Stage) -> tuple[str, str]:
    absent = stage.library.absent.get("renew")
    return ("absent", absent) if absent else _told(renewed(stage))


def _told(walked: Walked) -> tuple[str, str]:
    return ("done", "") if walked.right else ("failed", json.dumps(walked.line))


def _give_back(stage: Stage) -> tuple[str, str]:
    """Give back what was just paid, as two persons of the library do; the fee is dropped."""
    house = stage.house
    (payment,) = inbox.newest(house, [LIBRARY], "settled")
    if house.libraries[LIBRARY].providers[payment.provider].capabilities().refund is RefundSupport.NONE:
        return "absent", TREASURY
    wish = Decision(choice=Choice.REFUND, reason="demo", meaning=Meaning.FEE_DROPPED)
    asked = _in_time(lambda: decide.refund(house, Actor("clerk", "clerk"), payment.payment_id, wish))
    refund_id = asked.refund_id
    if refund_id is None:
        return "failed", asked.code
    _in_time(lambda: decide.approve(house, Actor("treasurer", "treasurer"), refund_id))
    deadline = house.world.monotonic() + PATIENCE
    while house.world.monotonic() < deadline:
        refund = show.refund(house, refund_id)
        if refund is not None and refund.state == RefundState.DONE:
            return "done", ""
        threading.Event().wait(0.1)
    return "failed", "the refund did not arrive in time"


def _in_time(decision: Callable[[], Decided]) -> Decided:
    """Decide as soon as no worker has the payment in hands any more, as a person would: after a moment."""
    for _ in range(50):
        done = decision()
        if done.code != "busy":
            return done
        threading.Event().wait(0.1)
    return done
