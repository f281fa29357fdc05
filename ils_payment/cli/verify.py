"""``ils-payment verify``: whether the ledger is as it was written."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from ils_payment.cli.output import instant, json_option, print_json, print_table
from ils_payment.cli.rooms import ledger, zone_of
from ils_payment.flows.verify import verify as verify_ledger
from ils_payment.money import to_decimal

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from ils_payment.flows.verify import Report


@click.command()
@click.option(
    "--seal",
    metavar="HASH",
    help="A seal that was kept outside (log, paper): prove that everything up to it still stands.",
)
@json_option
@click.pass_obj
def verify(config: Path | None, seal: str | None, *, as_json: bool) -> None:
    """Derive every balance and every chain anew from the rows; name what was changed, deleted or cut off.

    Asks nobody outside, writes nothing, and may run while the program works. Exits 1 when anything is wrong.
    """
    wanted = seal.strip().lower() if seal else None
    if wanted is not None and not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise click.UsageError("This is no seal (64 digits 0-9 a-f): copy it from the log's line `sealed`.")
    with ledger(config) as house:
        report = verify_ledger(house, seal=wanted)
        zone = zone_of(house)
    if as_json:
        print_json(_flat(report))
    else:
        _print(report, seal, zone)
    if report.findings:
        sys.exit(1)


def _flat(report: Report) -> dict[str, object]:
    return {
        "sound": not report.findings,
        "payments": report.payments,
        "history_rows": report.history_rows,
        "postings": report.postings,
        "journal_rows": report.journal_rows,
        "seals": report.seals,
        "exports": report.exports,
        "unsealed": report.unsealed,
        "balances": [
            {"account": account, "currency": currency, "mode": mode, "cents": cents}
            for (account, currency, mode), cents in sorted(report.balances.items())
        ],
        "seal": {"number": report.seal_number, "at": report.sealed_at},
        "findings": report.findings,
    }


def _print(report: Report, seal: str | None, zone: tzinfo) -> None:
    print_table(
        ("Account", "Balance", "Currency", "Mode"),
        [
            (account, str(to_decimal(cents, currency)), currency, mode)
            for (account, currency, mode), cents in sorted(report.balances.items())
        ],
        empty="No money has moved yet.",
    )
    click.echo(
        f"{report.payments} payment(s), {report.history_rows} rows of history, {report.postings} posting(s), "
        f"{report.journal_rows} rows of the journal, {report.seals} seal(s), {report.exports} export(s)."
    )
    if report.unsealed:
        click.echo(f"{report.unsealed} payment(s) changed since the last seal; serve or worker seals them.")
    if seal and report.sealed_at is not None:
        click.echo(
            f"Seal {report.seal_number} of {instant(report.sealed_at, zone)} stands, and what it covers."
        )
    for finding in report.findings:
        click.echo(f"WRONG: {finding}")
    if report.findings:
        click.echo(
            f"{len(report.findings)} finding(s). Keep this database and all backups as they are, find out "
            "who could write to it, compare with provider and library system, and treat it as an incident."
        )
    else:
        click.echo("Everything fits.")
