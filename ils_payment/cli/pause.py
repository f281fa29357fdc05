"""``ils-payment pause`` and ``resume``: whether new payments are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.rooms import ledger
from ils_payment.errors import ILSPaymentError
from ils_payment.flows.backup import set_apart
from ils_payment.store import installation, journal

if TYPE_CHECKING:
    from pathlib import Path


class NotReconciledError(ILSPaymentError):
    """The ledger was put back from a backup and not compared with the others since."""


@click.command()
@click.option(
    "--until-reconciled",
    is_flag=True,
    help="The database was put back (snapshot, point in time): write nothing outside until reconcile ran.",
)
@click.pass_obj
def pause(config: Path | None, *, until_reconciled: bool) -> None:
    """Accept no new payments. What is paid is settled all the same; the running program obeys at once."""
    with ledger(config) as house:
        if until_reconciled:
            set_apart(house.store, typing())
        else:
            with house.store.unit() as unit:
                installation.pause(unit, paused=True)
                journal.append(unit, typing().name, "pause", {})
    if until_reconciled:
        click.echo("Paused: no new payments, and nothing is written outside. Now: ils-payment reconcile")
    else:
        click.echo("Paused: no new payments are accepted, paid ones finish. Undo it with: ils-payment resume")


@click.command()
@click.pass_obj
def resume(config: Path | None) -> None:
    """Accept new payments again."""
    with ledger(config) as house, house.store.unit() as unit:
        if installation.is_unreconciled(unit):
            raise NotReconciledError(
                "This ledger was put back and does not know what happened since.",
                mend="Type: ils-payment reconcile (it knows the days), decide its cases; resume then.",
            )
        installation.pause(unit, paused=False)
        journal.append(unit, typing().name, "resume", {})
    click.echo("Resumed: new payments are accepted.")
