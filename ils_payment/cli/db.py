"""``ils-payment db``: the database's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.output import json_option, print_json
from ils_payment.cli.rooms import opened_store
from ils_payment.cli.runners import runner_of
from ils_payment.errors import SchemaError
from ils_payment.loading import load_settings
from ils_payment.store.migrations import HEAD
from ils_payment.store.upgrade import revision
from ils_payment.store.upgrade import upgrade as upgrade_store

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def db() -> None:
    """Create or upgrade the database; show its schema."""


@db.command()
@click.pass_obj
def upgrade(config: Path | None) -> None:
    """Bring the database to this version's schema; create it where there is none. Harmless when repeated.

    The runner's own tables come with it.
    """
    settings = load_settings(config)
    runner = runner_of(settings)
    with opened_store(config) as store:
        before = revision(store)
        after = upgrade_store(store)
        store.check()
    runner.upgrade()
    click.echo(f"The database is at schema {after}{'' if before != after else ' (as before)'}.")


@db.command()
@json_option
@click.pass_obj
def status(config: Path | None, *, as_json: bool) -> None:
    """Show the schema that the database has and the one that this program needs; exit 1 if they differ."""
    with opened_store(config) as store:
        found = revision(store)
        problem = None
        try:
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
