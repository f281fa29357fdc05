"""``ils-payment check --live``: a list to print, to do, and to sign."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from ils_payment import __version__
from ils_payment.cli.output import print_json
from ils_payment.cli.rooms import ledger
from ils_payment.flows.golive import checklist

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.golive import Item

WIDTH = 78
"""Characters of a line: a page of A4 in a type that can be read."""


def print_checklist(
    config: Path | None,
    library: str | None,
    checked: str,
    live: Collection[str],
    desks: Mapping[str, Desk],
    *,
    as_json: bool,
) -> None:
    """Print the list of each library (or of *library*).

    *checked* says how the check before it ended; *live* are the libraries whose keys take real money,
    *desks* those whose plugins could be loaded.
    """
    with ledger(config) as house:
        keys = [library] if library else list(house.settings.libraries)
        lists = {key: checklist(house, key, checked, live=key in live, desk=desks.get(key)) for key in keys}
        names = {key: house.settings.libraries[key].name for key in keys}
        day = house.world.now().date()
        ours = house.installation.name
    if as_json:
        print_json(lists)
        return
    for key, items in lists.items():
        click.echo(f"GOING LIVE: {names[key]} ({key})")
        click.echo(f"ils-payment {__version__}, installation {ours}, {day}")
        click.echo("[x] the program has seen all of it in its own books   [ ] a person has to")
        click.echo("=" * WIDTH)
        for number, item in enumerate(items, 1):
            _print(number, item)
        click.echo("Released for real money:")
        click.echo("\nLibrary     who: __________________  when: __________  signed: ________________")
        click.echo("\nTreasury    who: __________________  when: __________  signed: ________________")
        click.echo("\nTechnician  who: __________________  when: __________  signed: ________________\f")


def _print(number: int, item: Item) -> None:
    click.echo(f"[{'x' if item.proven else ' '}] {number:2}. {item.title}")
    for line in textwrap.wrap(item.how, WIDTH - 8):
        click.echo(f"        {line}")
    if item.seen:
        for line in textwrap.wrap(f"Seen: {item.seen}", WIDTH - 8, break_long_words=False):
            click.echo(f"        {line}")
    click.echo("\n        who: __________________  when: __________  signed: ______________\n")
