"""``ils-payment backup`` and ``restore``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.output import json_option, print_json
from ils_payment.cli.rooms import database_errors, ledger_file, no_folder, world_of
from ils_payment.cli.serve import alone
from ils_payment.flows.backup import backup as copy
from ils_payment.flows.backup import restore as put_back
from ils_payment.flows.house import open_store
from ils_payment.loading import load_settings
from ils_payment.store.upgrade import revision

if TYPE_CHECKING:
    from ils_payment.config import Settings
    from ils_payment.store.backup import Copy

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=FILE)
@json_option
@click.pass_obj
def backup(config: Path | None, file: Path, *, as_json: bool) -> None:
    """Copy the ledger into the new FILE while the program works; only its owner may read it.

    SQLite: a ledger in one file, looked through. PostgreSQL: pg_dump's own format; the client tools of
    its version are needed.
    """
    settings = load_settings(config)
    with database_errors(settings), closing(open_store(settings, world_of(settings))) as store:
        store.must_exist()
        if revision(store) is None:
            store.check()
        made = copy(store, typing(), file.absolute(), password=_password(settings))
    _tell(made, "Backed up to", as_json=as_json)
    if not as_json:
        click.echo("It holds personal data and the secret that signs sessions: keep it like the original.")


@click.command()
@click.argument("file", type=FILE)
@json_option
@click.pass_obj
def restore(config: Path | None, file: Path, *, as_json: bool) -> None:
    """Put the backup FILE into an empty database. No program may run on it.

    The ledger then takes no payments and writes nothing outside until it was compared with provider and
    library system: it does not know what happened since the backup.
    """
    settings = load_settings(config)
    path = ledger_file(settings)
    if path is not None and not path.parent.is_dir():
        raise no_folder(path)
    with (
        alone(settings),
        database_errors(settings),
        closing(open_store(settings, world_of(settings))) as store,
    ):
        made = put_back(store, path, typing(), file.absolute(), password=_password(settings))
    _tell(made, "Restored from", as_json=as_json)
    if not as_json:
        click.echo("It is paused. What to do now:")
        click.echo("  ils-payment verify")
        click.echo("  ils-payment reconcile      (it knows from which day on; differences become cases)")
        click.echo("  ils-payment resume")
        click.echo(
            "Exports that were made since the backup are forgotten here: keep their files (docs/books.md)."
        )


def _password(settings: Settings) -> str | None:
    secret = settings.server.database_password
    return secret.get_secret_value() if secret else None


def _tell(made: Copy, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(made.path), "bytes": made.size, "sha256": made.sha256, "schema": made.schema})
        return
    click.echo(f"{what} {made.path}: {made.size} bytes, schema {made.schema}, SHA-256 {made.sha256}.")
