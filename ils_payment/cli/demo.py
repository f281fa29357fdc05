"""``ils-payment demo``: the real program between a simulated library system and a simulated provider."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import threading
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ils_payment.cli.demo_files import TARIFF, configuration
from ils_payment.cli.demo_renew import (
    CHILD_CARD,
    CHILD_PIN,
    EXPIRED_CARD,
    EXPIRED_PIN,
    ONLEIHE_PATH,
    let_cards_expire,
    renewed,
)
from ils_payment.cli.demo_stage import DEMO_PORT, LIBRARY, PATIENCE, Stage, truth_of
from ils_payment.cli.logs import configure
from ils_payment.cli.rooms import world_of
from ils_payment.cli.serve import end_on_signals, listening, opened_house, running
from ils_payment.cli.walk import Browser, Confirmed, JourneyError, confirm_everything, pay_by_card
from ils_payment.errors import PluginError
from ils_payment.flows import show
from ils_payment.flows.house import open_store
from ils_payment.loading import load_settings
from ils_payment.plugins import SIMULATOR_GROUP, installed, load
from ils_payment.store.upgrade import upgrade
from ils_payment.testing.demo import Stageable
from ils_payment.testing.simulator import TRUTH_PATH, serve
from ils_payment.world import World

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from ils_payment.flows.house import House
    from ils_payment.testing.demo import DemoLibrary


@click.command()
@click.option("--auto", is_flag=True, help="Walk a journey unattended and print one JSON line.")
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
    help="Which one is simulated: koha, opac-soap or sip2.",
)
@click.option(
    "--library-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the simulated library system [any].",
)
@click.option(
    "--stripe-port", type=click.IntRange(0, 65535), default=0, help="Port of the simulated Stripe [any]."
)
def demo(  # each is an option of the command line
    port: int | None,
    library_system: str,
    library_port: int,
    stripe_port: int,
    journey: str,
    *,
    auto: bool,
) -> None:
    """Try everything: a simulated library system, a simulated Stripe, and the real program between them.

    Prints one address to open in a browser, and the card number and PIN to use. No money moves;
    everything lies in a temporary folder and is gone at the end.
    """
    configure("text", logging.ERROR if auto else logging.WARNING)
    end_on_signals()
    wanted = (0 if auto else DEMO_PORT) if port is None else port
    with (
        tempfile.TemporaryDirectory(prefix="ils-payment-demo-") as folder,
        staged(Path(folder), wanted, library_port, stripe_port, library_system) as stage,
    ):
        if auto and journey in stage.library.absent:
            click.echo(json.dumps({"state": "absent", "reason": stage.library.absent[journey]}))
            return
        if auto:
            sys.exit(0 if {"fees": _walked, "renew": renewed}[journey](stage) else 1)
        _invite(stage)
        threading.Event().wait()


@contextmanager
def staged(
    folder: Path, port: int, library_port: int, stripe_port: int, library_system: str = "koha"
) -> Iterator[Stage]:
    """Start the simulated remotes and the real program; stop all of it at the end."""
    with ExitStack() as stack:
        # Program and remotes share one interpreter here: with the usual five milliseconds, waiting for the
        # hand-over from one to the other would take longer than the work.
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(0.0005)
        listener = stack.enter_context(listening("127.0.0.1", port))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        secrets = _secrets(folder)
        library = stack.enter_context(_library(library_system, folder, library_port))
        stripe = _simulator("stripe").demo(api_key=secrets["stripe"], webhook_secret=secrets["webhook"])
        if "renew" not in library.absent:
            let_cards_expire(library.simulator)
        stripe_address = stack.enter_context(serve(stripe, port=stripe_port))
        path = folder / "config.toml"
        path.write_text(configuration(LIBRARY, folder, address, library, stripe_address), encoding="utf-8")
        (folder / "tariff.toml").write_text(TARIFF, encoding="utf-8")
        settings = load_settings(path)
        with closing(open_store(settings, world_of(settings))) as store:
            upgrade(store)
        house = stack.enter_context(opened_house(settings))
        stack.enter_context(running(house))
        stack.enter_context(_web(house, listener))
        stripe.webhook_url = f"{address}/webhooks/{LIBRARY}/stripe"
        stripe.start_sender()
        stack.callback(stripe.stop_sender)
        yield Stage(address, house, library, stripe, path)


def _simulator(name: str) -> Any:  # noqa: ANN401 - each remote has its own switches
    """Find a simulated remote by name: the demo uses what any other program could use."""
    point = installed(SIMULATOR_GROUP).get(name)
    if point is None:
        raise PluginError(
            f"The simulator {name!r} is not installed.", mend=f"Type: pip install 'ils-payment[{name}]'"
        )
    return load(point)


def _library(name: str, folder: Path, port: int) -> AbstractContextManager[DemoLibrary]:
    """Begin to serve the simulated library system *name*; its secrets lie in *folder*."""
    found = _simulator(name)
    if not isinstance(found, Stageable):
        raise PluginError(f"The simulator {name!r} is none of a library system with a demo.")
    return found.stage_demo(lambda secret: _secret(folder, secret, World().random_text(40)), port)


def _secrets(folder: Path) -> dict[str, str]:
    """Make up secrets and write each into a file that nobody else can read, as in real life."""
    world = World()
    made = {
        "stripe": f"sk_test_{world.random_text(24)}",
        "webhook": f"whsec_{world.random_text(32)}",
    }
    for name, secret in made.items():
        _secret(folder, name, secret)
    return made


def _secret(folder: Path, name: str, secret: str) -> tuple[str, dict[str, str]]:
    """Write a secret into a file of its own; return it, and how the configuration names it."""
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(secret, encoding="utf-8")
    return secret, {"file": str(path)}


@contextmanager
def _web(house: House, listener: socket.socket) -> Iterator[None]:
    """Serve the pages and the webhooks in a thread, with the settings of the real program."""
    import uvicorn

    from ils_payment.web.app import create_app
    from ils_payment.web.serving import server_config

    server = uvicorn.Server(server_config(create_app(house), house.settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    with ExitStack() as stack:
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()

        stack.callback(stop)
        deadline = house.world.monotonic() + PATIENCE
        while not server.started:
            if not thread.is_alive() or house.world.monotonic() > deadline:
                raise JourneyError("The program did not start.", mend="Its log above says why.")
            thread.join(0.02)
        yield


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
    click.echo(f"    {program} link --library {LIBRARY} --card {EXPIRED_CARD}")
    click.echo(f"    {program} cases list")
    click.echo("")
    click.echo(f"  The simulated library system shows its books under {stage.library.address}{TRUTH_PATH}")
    click.echo("  No money moves. Ctrl-C ends it.")


def _walked(stage: Stage) -> bool:
    """Walk the journey, print its line, and say whether the library system itself has the fees as paid."""
    session = stage.house.world.session(deadline=PATIENCE, max_bytes=5 * 1024 * 1024)
    browser = Browser(session)
    click.echo(f"The program serves {stage.address}.", err=True)
    chosen = confirm_everything(
        browser, f"{stage.address}/{LIBRARY}/", stage.system.demo_card, stage.system.demo_pin
    )
    before = sum(truth_of(stage)["requests"].values())
    page = pay_by_card(browser, chosen.page)
    deadline = stage.house.world.monotonic() + PATIENCE
    while page.state != "settled" and stage.house.world.monotonic() < deadline:
        threading.Event().wait(0.05)
        page = browser.open(page.url)
    truth = truth_of(stage)
    payment = show.payment(stage.house, page.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1])
    if payment is None:
        raise JourneyError("The status page leads to no payment.")
    took = (payment.settled_at - payment.paid_at) if payment.settled_at and payment.paid_at else None
    line = {
        "state": payment.state,
        "amount": payment.cents,
        "paid_to_settled_ms": round(took.total_seconds() * 1000, 1) if took else None,
        "library_calls": sum(truth["requests"].values()) - before,
    }
    click.echo(json.dumps(line))
    return payment.state == "settled" and _is_paid(truth, stage.system.demo_card, chosen)


def _is_paid(truth: dict[str, Any], card: str, chosen: Confirmed) -> bool:
    """Compare the books with the journey: these fees closed by credits of this sum, nothing left over."""
    [patron] = [one for one in truth["patrons"].values() if one["card"] == card]
    marked = [one for one in patron["credits"].values() if one["marker"]]
    # Without ids of fees, the one that was chosen stands for all.
    whole = not set(chosen.fees) <= set(patron["fees"])
    fees = patron["fees"] if whole else chosen.fees
    closed = all(patron["fees"][fee]["outstanding"] == 0 for fee in fees)
    unapplied = sum(one["unapplied"] for one in marked)
    return closed and (sum(one["amount"] for one in marked), unapplied) == (chosen.cents, 0)
