"""``ils-payment export``: closed days as a file for the treasury."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.days import Day
from ils_payment.cli.output import json_option, print_json, print_table
from ils_payment.cli.rooms import known_library, ledger, whole_house
from ils_payment.errors import ILSPaymentError, RemoteError
from ils_payment.flows.export import export as export_days
from ils_payment.flows.export import listed
from ils_payment.money import to_decimal

if TYPE_CHECKING:
    from datetime import date

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.export import Exported
    from ils_payment.flows.house import House


class FileExistsAlreadyError(ILSPaymentError):
    """The file to write is there already."""


@click.command()
@click.option("--library", required=True, metavar="KEY", help="Of this library.")
@click.option("--from", "first", type=Day(), metavar="DAY", help="First day, like 2026-11-01.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="Last day; it must be over.")
@click.option("--list", "listing", is_flag=True, help="List the exports, and the days that no export has.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the file here, and a summary to the terminal; else the file goes to standard output.",
)
@click.option(
    "--without-payouts", is_flag=True, help="Do not ask providers; payouts come with a later export."
)
@json_option
@click.pass_obj
def export(
    config: Path | None,
    library: str,
    first: date | None,
    last: date | None,
    output: Path | None,
    *,
    listing: bool,
    without_payouts: bool,
    as_json: bool,
) -> None:
    """Export closed days as CSV, one row for each fee line; payouts and fees are rows of their own.

    The same days again give the same file to the byte. Exits 1 when the sums differ from those of the
    ledger or of the bank, and says where. With --list nothing is exported.
    """
    if listing:
        _list(config, library, as_json=as_json)
        return
    if first is None or last is None:
        raise click.UsageError("Name the days with --from and --to, or type --list to see what is exported.")
    if output is None and as_json:
        raise click.UsageError("--json prints the summary, so the file needs a place: --output FILE.")
    with whole_house(config) as house:
        desk = named_library(house, library)
        if output is not None:
            _free(output)
        try:
            made = export_days(house, desk, typing(), first, last, with_payouts=not without_payouts)
        except RemoteError as error:
            error.mend += " Or leave payouts and fees to a later export: --without-payouts."
            raise
    if output is None:
        # The bytes as they were kept: a text stream would change the ends of the lines.
        sys.stdout.flush()
        sys.stdout.buffer.write(made.kept.content.encode())
        sys.stdout.buffer.flush()
        _say(made, err=True)
        return
    write_new(output, made.kept.content.encode())
    if as_json:
        print_json(summary(made, output))
    else:
        _told(made, output)


def _told(made: Exported, output: Path) -> None:
    """Print what was written: the sums of each day, and the same by where they are booked."""
    click.echo(f"Wrote {output}.")
    _say(made)
    if not made.rows:
        click.echo("The file has a header only.")
        return
    for columns, totals in (((), made.totals), (("Cost centre", "Account"), made.by_account)):
        print_table(
            ("Day", "Currency", "Mode", *columns, "What", "Sum"),
            [
                (*key, name, str(to_decimal(cents, key[1])))
                for key, sums in sorted(totals.items())
                for name, cents in sorted(sums.items())
            ],
            empty="",
        )


def _list(config: Path | None, library: str, *, as_json: bool) -> None:
    """Print which days are exported and which are not, so that completeness can be shown."""
    with ledger(config) as house:
        known_library(house.settings, library)
        found = listed(house, library)
    if as_json:
        rows = [
            {
                "export": one.number,
                "from": one.first_day,
                "to": one.last_day,
                "at": one.at,
                "sha256": one.sha256,
            }
            for one in found.exports
        ]
        print_json({"exports": rows, "gaps": [{"from": first, "to": last} for first, last in found.gaps]})
        return
    print_table(
        ("Export", "From", "To", "SHA-256"),
        [(str(one.number), str(one.first_day), str(one.last_day), one.sha256) for one in found.exports],
        empty="Nothing was exported yet.",
    )
    for first, last in found.gaps:
        click.echo(f"In no export: {first} to {last}.")
    if not found.gaps:
        click.echo("Every day until yesterday is in an export.")


def named_library(house: House, key: str) -> Desk:
    """Return a library that the configuration names; a usage error otherwise."""
    known_library(house.settings, key)
    return house.libraries[key]


def _say(made: Exported, *, err: bool = False) -> None:
    kept, again = made.kept, ", made before and handed out again" if made.repeated else ""
    click.echo(
        f"Export {kept.number} of {kept.library}, {kept.first_day} to {kept.last_day}{again}: "
        f"{made.rows} row(s), {made.late} of them late. SHA-256 {kept.sha256}",
        err=err,
    )
    for note in made.notes:
        click.echo(f"Note: {note}.", err=err)


def summary(made: Exported, output: Path) -> dict[str, Any]:
    """Return what ``--json`` prints; sums are minor units."""
    return {
        "export": made.kept.number,
        "library": made.kept.library,
        "from": made.kept.first_day,
        "to": made.kept.last_day,
        "file": str(output),
        "sha256": made.kept.sha256,
        "rows": made.rows,
        "late": made.late,
        "repeated": made.repeated,
        "totals": [
            {"day": day, "currency": currency, "mode": mode, **sums}
            for (day, currency, mode), sums in sorted(made.totals.items())
        ],
        "by_account": [
            {**dict(zip(("day", "currency", "mode", "cost_centre", "account"), key, strict=True)), **sums}
            for key, sums in sorted(made.by_account.items())
        ],
        "notes": made.notes,
    }


def _free(path: Path) -> None:
    """Refuse a file that is there, before anything is exported."""
    if path.exists():
        raise FileExistsAlreadyError(f"{path} is there already.", mend="Name another file, or move it away.")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read; ILSPaymentError when it cannot be written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ILSPaymentError(
            f"{path} cannot be written ({error.strerror}).",
            mend="Choose a place where this user may write. The export is kept: ask for the same days again.",
        ) from None
