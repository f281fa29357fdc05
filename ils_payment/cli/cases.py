"""``ils-payment cases``: what a person must decide. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.output import instant, json_option, plain, print_json, print_table
from ils_payment.cli.payments import NoSuchRecordError, amount, print_whereabouts
from ils_payment.cli.rooms import ledger
from ils_payment.flows import show as records

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def cases() -> None:
    """List what a person must decide, or show one case and whose it is."""


@cases.command("list")
@click.option("--all", "closed_too", is_flag=True, help="Closed cases too.")
@json_option
@click.pass_obj
def list_cases(config: Path | None, *, closed_too: bool, as_json: bool) -> None:
    """List open cases, the oldest first."""
    with ledger(config) as house:
        found = records.case_list(house, open_only=not closed_too)
    if as_json:
        print_json(found)
        return
    print_table(
        ("Case", "Library", "Kind", "Amount", "Payment", "Opened", "Closed"),
        [
            (
                one.case_id,
                one.library,
                one.kind,
                amount(one.cents, one.currency),
                one.payment_id,
                instant(one.opened_at),
                instant(one.closed_at),
            )
            for one in found
        ],
        empty="There is no case." if closed_too else "There is no open case.",
    )


@cases.command("show")
@click.argument("case_id")
@json_option
@click.pass_obj
def show_case(config: Path | None, case_id: str, *, as_json: bool) -> None:
    """Show one case with its facts and the next steps."""
    with ledger(config) as house:
        found = records.case(house, case_id)
        if found is None:
            raise NoSuchRecordError(
                f"There is no case {case_id!r}.", mend="Type: ils-payment cases list --all"
            )
        where = records.whereabouts(house, found.payment_id)
    if as_json:
        print_json({**plain(found), "whereabouts": plain(where)})
        return
    open_or_closed = f"closed {instant(found.closed_at)}" if found.closed_at else "open"
    click.echo(f"Case {found.case_id} of {found.library}: {found.kind}, {open_or_closed}")
    click.echo(f"Payment {found.payment_id}, {found.state}, {amount(found.cents, found.currency)}")
    print_whereabouts(where)
    print_table(
        ("Fact", "Value"), [(name, str(value)) for name, value in found.facts.items()], empty="No facts."
    )
    click.echo("Next steps:")
    for number, step in enumerate(found.next_steps, start=1):
        click.echo(f"  {number}. {step}")
