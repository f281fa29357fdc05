"""``ils-payment staff``: the accounts of the staff pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.output import instant, json_option, print_json, print_table
from ils_payment.cli.rooms import ledger, zone_of
from ils_payment.domain.roles import Role
from ils_payment.errors import ConfigurationError, PluginError, installing

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from ils_payment.flows.house import House


@click.group()
def staff() -> None:
    """Make, list, reset and disable the accounts of the staff pages."""


@staff.command("add")
@click.argument("name")
@click.option(
    "--role", type=click.Choice([str(role) for role in Role]), required=True, help="What the account is for."
)
@click.option(
    "--library",
    "libraries",
    multiple=True,
    metavar="KEY",
    help="A library that the person works for; may be given again. Without it: all.",
)
@click.pass_obj
def add(config: Path | None, name: str, role: str, libraries: tuple[str, ...]) -> None:
    """Make an account and print the one-time link with which NAME chooses a password."""
    with ledger(config) as house:
        link = _accounts(house).add(house, name, Role(role), libraries, typing().name)
    _print_link(link)


@staff.command("list")
@json_option
@click.pass_obj
def list_accounts(config: Path | None, *, as_json: bool) -> None:
    """List all accounts."""
    with ledger(config) as house:
        found = _accounts(house).listed(house)
        zone = zone_of(house)
    if as_json:
        print_json(
            [
                {
                    "id": one.id,
                    "name": one.name,
                    "login": one.login,
                    "role": one.role,
                    "libraries": one.libraries,
                    "ready": not one.local or one.totp is not None,
                    "created_at": one.created_at,
                    "disabled_at": one.disabled_at,
                }
                for one in found
            ]
        )
        return
    print_table(
        ("Name", "Role", "Libraries", "Signs in", "Made", "Disabled", "Id"),
        [
            (
                one.name,
                str(one.role),
                ", ".join(one.libraries) if one.libraries is not None else "all",
                ("by password" if one.totp else "not set up yet") if one.local else "by OIDC",
                instant(one.created_at, zone),
                instant(one.disabled_at, zone),
                one.id,
            )
            for one in found
        ],
        empty="There is no account. Type: ils-payment staff add NAME --role clerk",
    )


@staff.command("reset")
@click.argument("name")
@click.pass_obj
def reset(config: Path | None, name: str) -> None:
    """Take password, authenticator and sessions of NAME away, and print a new one-time link.

    A disabled account can come in again with it.
    """
    with ledger(config) as house:
        link = _accounts(house).reset(house, name, typing().name)
    _print_link(link)


@staff.command("disable")
@click.argument("name")
@click.pass_obj
def disable(config: Path | None, name: str) -> None:
    """Sign NAME (or the account with this id) out and let it never come in again."""
    with ledger(config) as house:
        _accounts(house).disable(house, name, typing().name)
    click.echo(f"{name} is signed out and cannot come in any more.")


def _accounts(house: House) -> ModuleType:
    """Return the journeys of accounts; they need packages that the rest of the program does not."""
    if house.settings.staff is None:
        raise ConfigurationError(
            "The staff pages are switched off.", mend="Add the table [staff] to the configuration."
        )
    try:
        from ils_payment.flows import staff_accounts
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ils_payment"):
            raise
        raise PluginError(
            f"Staff accounts need the package {error.name}, which is not installed.",
            mend=installing("staff"),
        ) from None
    return staff_accounts


def _print_link(link: str) -> None:
    if not link:
        click.echo("The person can sign in through the identity provider again.")
        return
    click.echo(link)
    click.echo("Hand this address to its owner. It works once, within 24 hours.", err=True)
