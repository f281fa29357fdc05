"""``ils-payment demo``: the real program between a simulated library system and a simulated provider."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import threading
from pathlib import Path

import click

from ils_payment.cli.demo_matrix import every_pair, play
from ils_payment.cli.demo_pay import paid
from ils_payment.cli.demo_provider import PROVIDERS
from ils_payment.cli.demo_renew import (
    CHILD_CARD,
    CHILD_PIN,
    EXPIRED_CARD,
    EXPIRED_PIN,
    ONLEIHE_PATH,
    renewed,
)
from ils_payment.cli.demo_stage import DEMO_PORT, LIBRARY, Stage
from ils_payment.cli.demo_start import staged
from ils_payment.cli.logs import configure
from ils_payment.cli.serve import end_on_signals
from ils_payment.testing.simulator import TRUTH_PATH


@click.command()
@click.option("--auto", is_flag=True, help="Walk a journey unattended and print one JSON line.")
@click.option(
    "--matrix", is_flag=True, help="With --auto: every library system with every provider, and every journey."
)
@click.option("--json", "as_json", is_flag=True, help="With --matrix: one JSON line instead of a table.")
@click.option(
    "--journey",
    type=click.Choice(["fees", "renew"]),
    default="fees",
    show_default=True,
    help="Which one: pay open fees, or renew an expired card with its fees until the Onleihe lends again.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"Port of the program [{DEMO_PORT}; any with --auto]."
)
@click.option(
    "--library-system",
    default="koha",
    show_default=True,
    help="Which one is simulated: koha, opac-soap, sip2 or sisis.",
)
@click.option(
    "--library-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the simulated library system [any].",
)
@click.option(
    "--provider",
    type=click.Choice(list(PROVIDERS)),
    default="stripe",
    show_default=True,
    help="Which payment provider is simulated.",
)
@click.option(
    "--provider-port", type=click.IntRange(0, 65535), default=0, help="Port of the simulated provider [any]."
)
def demo(  # noqa: PLR0913 - each is an option of the command line
    port: int | None,
    library_system: str,
    library_port: int,
    provider: str,
    provider_port: int,
    journey: str,
    *,
    auto: bool,
    matrix: bool,
    as_json: bool,
) -> None:
    """Try everything: a simulated library system and provider, and the real program between them.

    Prints one address to open in a browser, and the card number and PIN to use. No money moves;
    everything lies in a temporary folder and is gone at the end.
    """
    configure("text", logging.ERROR if auto else logging.WARNING)
    end_on_signals()
    if matrix:
        if not auto:
            raise click.UsageError("--matrix walks by itself: add --auto.")
        sys.exit(0 if play(every_pair(), as_json=as_json) else 1)
    wanted = (0 if auto else DEMO_PORT) if port is None else port
    with (
        tempfile.TemporaryDirectory(prefix="ils-payment-demo-") as folder,
        staged(Path(folder), wanted, (library_system, library_port), (provider, provider_port)) as stage,
    ):
        if auto and journey in stage.library.absent:
            click.echo(json.dumps({"state": "absent", "reason": stage.library.absent[journey]}))
            return
        if auto:
            click.echo(f"The program serves {stage.address}.", err=True)
            done = {"fees": paid, "renew": renewed}[journey](stage)
            click.echo(json.dumps(done.line))
            sys.exit(0 if done.right else 1)
        _invite(stage)
        threading.Event().wait()


def _invite(stage: Stage) -> None:
    click.echo("")
    click.echo(f"  Open     {stage.address}/")
    click.echo(f"  Card     {stage.system.demo_card}")
    click.echo(f"  PIN      {stage.system.demo_pin}")
    click.echo("")
    absent = stage.library.absent.get("renew")
    if absent:
        click.echo(f"  No card can be renewed here: {absent}.")
    else:
        click.echo(f"  A card that has ended, with an open fee: {EXPIRED_CARD}, PIN {EXPIRED_PIN}")
        click.echo("  What the Onleihe is told about it, before and after (3: it may borrow):")
        click.echo(f"    curl -s -d 'sno={EXPIRED_CARD}&pwd={EXPIRED_PIN}' {stage.address}{ONLEIHE_PATH}")
        click.echo(f"  A child's card that has ended, renewed for nothing: {CHILD_CARD}, PIN {CHILD_PIN}")
    click.echo("")
    click.echo("  Commands for staff, with the configuration of this demo (in another terminal):")
    program = f"{Path(sys.executable).with_name('ils-payment')} --config {stage.config}"
    if not absent:
        click.echo(f"    {program} link --library {LIBRARY} --card {EXPIRED_CARD}")
    click.echo(f"    {program} cases list")
    click.echo("")
    click.echo(f"  The simulated library system shows its books under {stage.library.address}{TRUTH_PATH}")
    click.echo("  No money moves. Ctrl-C ends it.")
