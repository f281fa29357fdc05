"""``ils-payment subject``: what is known about a person, and forgetting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.export import named_library
from ils_payment.cli.output import print_json
from ils_payment.cli.rooms import whole_house
from ils_payment.flows import subject as journeys
from ils_payment.model import PatronRef

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ils_payment.flows.desk import Desk


@click.group()
def subject() -> None:
    """Tell or erase what is known about a person."""


def _whom(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a person."""
    for option in (
        click.option(
            "--patron", metavar="REF", help="The library system's own number (Koha: borrowernumber)."
        ),
        click.option("--card", metavar="NUMBER", help="The number of the card; the library system is asked."),
        click.option("--library", required=True, metavar="KEY", help="Of this library."),
    ):
        command = option(command)
    return command


@subject.command()
@_whom
@click.pass_obj
def export(config: Path | None, library: str, card: str | None, patron: str | None) -> None:
    """Print everything that is known about a person as JSON (articles 15 and 20 GDPR)."""
    with whole_house(config) as house:
        desk = named_library(house, library)
        print_json(journeys.export(house, desk, typing(), _named(desk, card, patron)))


@subject.command()
@_whom
@click.pass_obj
def erase(config: Path | None, library: str, card: str | None, patron: str | None) -> None:
    """Erase what is known about a person (article 17 GDPR); amounts, days and codes stay in the books.

    Refused while a payment of the person is under way or a case is open. Backups keep it until they
    are deleted.
    """
    with whole_house(config) as house:
        desk = named_library(house, library)
        count = journeys.erase(house, desk, typing(), _named(desk, card, patron))
    click.echo(f"Erased: who it was, and the private data of {count} payment(s). The books are as they were.")


def _named(desk: Desk, card: str | None, patron: str | None) -> PatronRef:
    if (card is None) == (patron is None):
        raise click.UsageError("Name the person by --card or by --patron.")
    if patron is not None:
        return PatronRef(patron)
    mend = "Look at the number again, or give the system's own one with --patron (Koha: borrowernumber)."
    return journeys.find(desk, card or "", mend=mend)
