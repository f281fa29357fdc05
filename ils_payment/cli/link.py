"""``ils-payment link``: a link, and its QR code, with which anybody can pay for the renewal of one card."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from ils_payment.cli.export import named_library
from ils_payment.cli.output import json_option, print_json
from ils_payment.cli.rooms import whole_house, zone_of
from ils_payment.errors import ConfigurationError
from ils_payment.flows import paylink, subject

KINDS = (".svg", ".png")


@click.command()
@click.option("--library", required=True, metavar="KEY", help="Of this library.")
@click.option(
    "--card", required=True, metavar="NUMBER", help="Number of the card; the library system is asked."
)
@click.option(
    "--days",
    type=click.IntRange(1, paylink.LONGEST.days),
    default=30,
    show_default=True,
    help="For so many days the link is good.",
)
@click.option(
    "--qr",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the link as QR code, too: a file that ends in .svg or .png.",
)
@json_option
@click.pass_obj
def link(config: Path | None, library: str, card: str, days: int, qr: Path | None, *, as_json: bool) -> None:
    """Print a link with which anybody can pay for the renewal of a card, without signing in; for letters.

    Whoever has the link sees the amount, the new expiry and the end of the card number, nothing else. Once
    the card is renewed, by whatever way, the link says so and takes no money.
    """
    if qr is not None and qr.suffix.lower() not in KINDS:
        raise click.UsageError("The QR code is written as .svg or .png: name the file accordingly.")
    with whole_house(config) as house:
        desk = named_library(house, library)
        made = paylink.make(house, desk, subject.find(desk, card), timedelta(days=days))
        zone = zone_of(house, library)
    if qr is not None:
        _draw(made.url, qr)
    if as_json:
        quote = made.quote
        print_json(
            {
                "url": made.url,
                "good_until": made.good_until,
                "cents": quote.cents if quote else None,
                "renewed_until": quote.until if quote else None,
                "from_day": made.from_day,
                "qr": str(qr) if qr else None,
            }
        )
        return
    click.echo(made.url)
    click.echo(f"Good until {made.good_until.astimezone(zone):%Y-%m-%d %H:%M}.", err=True)
    if made.from_day:
        click.echo(f"It is too early for this card: the link takes money from {made.from_day} on.", err=True)


def _draw(url: str, path: Path) -> None:
    """Write the QR code; it can still be read when a seventh of it is dirty (level M)."""
    import segno

    try:
        segno.make(url, error="m", micro=False).save(str(path), scale=4, border=4)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}).",
            mend="Name a file in a folder that you may write in.",
        ) from None
