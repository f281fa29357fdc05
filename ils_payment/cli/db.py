"""``ils-payment db``: the database's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.output import json_option, print_json
from ils_payment.cli.rooms import ledger_file, opened_store
from ils_payment.cli.runners import runner_of
from ils_payment.errors import SchemaError
from ils_payment.flows.backup import upgraded
from ils_payment.loading import load_settings
from ils_payment.store.migrations import HEAD
from ils_payment.store.upgrade import revision

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def db() -> None:
    """Create or upgrade the database; show its schema."""


@db.command()
@click.option("--no-backup", is_flag=True, help="There is a backup already: upgrade without taking one.")
@click.pass_obj
def upgrade(config: Path | None, *, no_backup: bool) -> None:
    """Bring the database to this version's schema; create it where there is none. Harmless when repeated.

    The runner's own tables come with it. An SQLite ledger of an older schema is copied beside itself first;
    with PostgreSQL, take a backup before.
    """
    settings = load_settings(config)
    runner = runner_of(settings)
    file = ledger_file(settings)
    with opened_store(config) as store:
        found = revision(store)
        older = found is not None and found < HEAD
        if older and file is None and not no_backup:
            raise SchemaError(
                f"The ledger is at schema {found}, and there is no way back from an upgrade but a backup.",
                mend="Type: ils-payment backup FILE, and then: ils-payment db upgrade --no-backup",
            )
        kept = None if file is None or no_backup else file.with_name(f"{file.name}.schema-{found}")
        before, after, made = upgraded(store, typing(), kept=kept)
    runner.upgrade()
    if made is not None:
        click.echo(f"The ledger as it was before is in {made.path}; delete it once all is well.")
    click.echo(f"The database is at schema {after}{'' if before != after else ' (as before)'}.")


@db.command()
@json_option
@click.pass_obj
def status(config: Path | None, *, as_json: bool) -> None:
    """Show the schema that the database has and the one that this program needs; exit 1 if they differ."""
    with opened_store(config) as store:
        found = problem = None
        try:
            store.must_exist()
            found = revision(store)
            store.check()
            runner_of(load_settings(config)).check()
        except SchemaError as error:
            problem = error
    if as_json:
        print_json({"schema": found, "needed": HEAD, "problem": problem.what if problem else None})
    elif problem is None:
        click.echo(f"The database is at schema {found}, as this program needs it; every trigger is there.")
    if problem is not None:
        raise problem
