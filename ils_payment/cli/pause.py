"""``ils-payment pause`` and ``resume``: whether new payments are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.rooms import ledger

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.pass_obj
def pause(config: Path | None) -> None:
    """Accept no new payments. What is paid is settled all the same; the running program obeys at once."""
    with ledger(config) as house:
        house.pause(paused=True)
    click.echo("Paused: no new payments are accepted, paid ones finish. Undo it with: ils-payment resume")


@click.command()
@click.pass_obj
def resume(config: Path | None) -> None:
    """Accept new payments again."""
    with ledger(config) as house:
        house.pause(paused=False)
    click.echo("Resumed: new payments are accepted.")
