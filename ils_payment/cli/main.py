"""``ils-payment``, the entry point: an expected error becomes its cause and its mend, without a traceback."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import click

from ils_payment import __version__
from ils_payment.cli.lazy import LazyGroup
from ils_payment.cli.output import say
from ils_payment.errors import ILSPaymentError

COMMANDS = {
    "init": ("ils_payment.cli.init:init", "Write a commented configuration."),
    "check": ("ils_payment.cli.check:check", "Test every connection, right and capability."),
    "plugins": ("ils_payment.cli.plugins:plugins", "List the installed plugins."),
    "db": ("ils_payment.cli.db:db", "Create or upgrade the database; show its schema."),
    "serve": ("ils_payment.cli.serve:serve", "Run the program: pages, webhooks and the runner."),
    "worker": ("ils_payment.cli.serve:worker", "Run the runner alone (PostgreSQL only)."),
    "pause": ("ils_payment.cli.pause:pause", "Accept no new payments; paid ones finish."),
    "resume": ("ils_payment.cli.pause:resume", "Accept new payments again."),
    "payments": ("ils_payment.cli.payments:payments", "List payments, or show one with its history."),
    "cases": ("ils_payment.cli.cases:cases", "List, show and decide what a person must decide."),
    "refunds": ("ils_payment.cli.refunds:refunds", "Ask for a refund, approve or withdraw one."),
    "reconcile": ("ils_payment.cli.reconcile:reconcile", "Compare provider, ledger and library system."),
    "export": ("ils_payment.cli.export:export", "Write closed days as a file for the treasury."),
    "tariff": ("ils_payment.cli.tariff:tariff", "Check a tariff, and ask it what a card costs."),
    "verify": ("ils_payment.cli.verify:verify", "Prove that the ledger is as it was written."),
    "backup": ("ils_payment.cli.backup:backup", "Copy the ledger while the program works."),
    "restore": ("ils_payment.cli.backup:restore", "Put a backup into an empty database."),
    "elending": ("ils_payment.cli.elending:elending", "Ask eLending platforms about a patron."),
    "subject": ("ils_payment.cli.subject:subject", "Tell or erase what is known about a person."),
    "link": ("ils_payment.cli.link:link", "Make a pay link for a card renewal, also as QR code."),
    "staff": ("ils_payment.cli.staff:staff", "Make, list, reset and disable staff accounts."),
    "demo": ("ils_payment.cli.demo:demo", "Try everything against a simulated library and provider."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Configuration file; else $ILS_PAYMENT_CONFIG, else /etc/ils-payment/config.toml.",
)
@click.version_option(__version__, prog_name="ils-payment")
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Let patrons pay library fees online, and settle them in the library system."""
    from ils_payment.cli.logs import configure

    configure()
    ctx.obj = config


def main() -> None:
    """Run the command line; exit 1 with cause and mend on every error that can be expected."""
    try:
        cli(prog_name="ils-payment")
    except ILSPaymentError as error:
        say(f"Error: {error.what}", err=True)
        if error.mend:
            say(f"What to do: {error.mend}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # The output goes to a disk that is full; what the command did before stands.
        click.echo("Error: The output could not be written: no space is left on the device.", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
