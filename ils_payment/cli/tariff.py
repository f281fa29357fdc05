"""``ils-payment tariff``: whether a tariff can be meant so, and what a card costs by it. Changes nothing."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ils_payment.cli.days import Day
from ils_payment.cli.output import json_option, plain, print_json, print_table
from ils_payment.cli.payments import amount
from ils_payment.cli.rooms import known_library, world_of
from ils_payment.cli.tariff_findings import compared, of_file, uneven, without_praise
from ils_payment.config.tariff_file import load_tariff, read_tariff
from ils_payment.domain.tariff import NoQuote, quote
from ils_payment.domain.tariff_words import spoken
from ils_payment.errors import ConfigurationError, ILSPaymentError
from ils_payment.flows.house import open_desk
from ils_payment.flows.tariffs import quote_for
from ils_payment.loading import load_settings
from ils_payment.model import Card, Level
from ils_payment.plugins import Plugins
from ils_payment.world import World

if TYPE_CHECKING:
    from ils_payment.domain.tariff import Quote
    from ils_payment.flows.desk import Desk


class NoSuchPatronError(ILSPaymentError):
    """The library system knows no patron with this card."""


_FILE = click.Path(path_type=Path, dir_okay=False)
_on = click.option("--on", "on", type=Day(), metavar="DAY", help="As if it were this day; else today.")


@click.group()
def tariff() -> None:
    """Check a tariff, and ask it what a card costs."""


@tariff.command("check")
@click.argument("file", type=_FILE, required=False)
@click.option("--library", metavar="KEY", help="Compare with this library, and with its library system.")
@_on
@json_option
@click.pass_obj
def check_tariff(
    config: Path | None, file: Path | None, library: str | None, on: date | None, *, as_json: bool
) -> None:
    """Explain every contradiction in the tariff FILE; without FILE in that of the library.

    With --library also whether the library system takes the same price, where it tells. Exits 1 when there
    is an error; a warning alone is exit 0.
    """
    desk = _desk(config, library, file) if library else None
    path = file or (Path(desk.settings.tariff) if desk and desk.settings.tariff else None)
    if path is None:
        raise ConfigurationError(
            f"libraries.{library} names no tariff." if library else "There is no tariff to check.",
            mend="Name the file or the library: ils-payment tariff check FILE, or --library KEY",
        )
    read = read_tariff(path)
    day = on or _today(desk)
    beside = uneven(read.tariff) if desk is None else compared(read.tariff, desk, day)
    rows = without_praise([*of_file(read, day), *beside])
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("Result", "Line", "Key", "Seen", "What to do"),
            [(row.level, str(row.line or ""), row.key, row.seen, row.mend) for row in rows],
            empty="Nothing was checked.",
        )
    if any(row.level is Level.ERROR for row in rows):
        sys.exit(1)


@tariff.command("quote")
@click.option("--library", metavar="KEY", help="Ask the tariff of this library.")
@click.option("--file", type=_FILE, metavar="FILE", help="Ask this tariff, without any configuration.")
@click.option("--card", metavar="NUMBER", help="Read this card in the library system.")
@click.option("--category", metavar="CODE", help="Instead of a card: a patron category.")
@click.option("--born", type=Day(), metavar="DAY", help="With --category: the date of birth.")
@click.option(
    "--valid-until", type=Day(), metavar="DAY", help="With --category: the card's expiry; else today."
)
@click.option("--evidence-until", type=Day(), metavar="DAY", help="Last day of evidence for a reduction.")
@_on
@json_option
@click.pass_obj
def quote_card(
    config: Path | None,
    /,
    library: str | None,
    file: Path | None,
    *,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - what click has parsed
) -> None:
    """Say what renewing a card would cost today, or why it is not renewed online. Changes nothing.

    Either --card with --library, or --category with --born and --valid-until and without any library system.
    """
    if (library is None) == (file is None):
        raise click.UsageError("Name either --library or --file.")
    if (asked["card"] is None) == (asked["category"] is None):
        raise click.UsageError("Name either --card or --category.")
    if asked["card"] and library is None:
        raise click.UsageError("A card can be read only with --library.")
    if asked["card"]:
        currency, found = _of_card(_desk(config, library or ""), asked)
    else:
        currency, found = _of_category(config, library, file, asked)
    if as_json:
        print_json({"renewable": not isinstance(found, NoQuote), "currency": currency, **plain(found)})
    else:
        _say(found, currency)


def _of_card(desk: Desk, asked: dict[str, Any]) -> tuple[str, Quote | NoQuote]:
    """Read the card and ask as the pages would."""
    if desk.renewing is None:
        click.echo("This library system cannot renew cards; the price is told all the same.", err=True)
    patron = desk.system.find_patron(asked["card"])
    if patron is None:
        raise NoSuchPatronError(
            "The library system knows no patron with this card number.", mend="Correct the number."
        )
    card = desk.system.card(patron)
    day = asked["on"] or _today(desk)
    return desk.settings.currency, quote_for(desk, patron, card, day, evidence_until=asked["evidence_until"])


def _of_category(
    config: Path | None, library: str | None, file: Path | None, asked: dict[str, Any]
) -> tuple[str, Quote | NoQuote]:
    """Ask the tariff alone; neither a library system nor any other plugin is opened."""
    zone = None
    if library is not None:
        known = load_settings(config)
        known_library(known, library)
        settings = known.libraries[library]
        if settings.tariff is None:
            raise ConfigurationError(
                f"libraries.{library} names no tariff.", mend="Name its file with --file."
            )
        file, zone = Path(settings.tariff), settings.zone
    of = load_tariff(file or Path())
    day = asked["on"] or World().now().astimezone(zone).date()
    if asked["valid_until"] is None:
        click.echo(f"Assumed: the card is valid until {day}; say otherwise with --valid-until.", err=True)
    card = Card(
        number=None,
        valid_until=asked["valid_until"] or day,
        category=asked["category"],
        birth_date=asked["born"],
    )
    return of.currency, quote(of, card, day, evidence_until=asked["evidence_until"])


def _desk(config: Path | None, library: str, file: Path | None = None) -> Desk:
    """Open one library, without a database; with another tariff *file* its own is not read."""
    settings = load_settings(config)
    known_library(settings, library)
    found = settings.libraries[library]
    if file is not None:
        found = found.model_copy(update={"tariff": None})
    return open_desk(library, found, Plugins(settings.plugin_names()), world_of(settings))


def _today(desk: Desk | None) -> date:
    """Return the day at the library; without one, that of this machine."""
    now: datetime = World().now()
    return desk.day_of(now) if desk else now.astimezone().date()


def _say(found: Quote | NoQuote, currency: str) -> None:
    if isinstance(found, NoQuote):
        since = f", from {found.from_day} on" if found.from_day else ""
        click.echo(f"Not renewed online ({found.code}{since}).")
        click.echo(f"The patron reads: {spoken(found.text, 'en')}")
        return
    click.echo(f"{amount(found.cents, currency)}  {spoken(found.label, 'en')}, category {found.category}")
    click.echo(f"Valid until {found.base}, then until {found.until}")
    click.echo(
        f"By the tariff of {found.version}: cost centre {found.cost_centre or '-'}, "
        f"account {found.account or '-'}, tax code {found.tax_code or '-'}"
    )
