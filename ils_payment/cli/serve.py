"""``ils-payment serve`` and ``worker``: the program itself."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import socket
import threading
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import click
from sqlalchemy.engine import make_url

from ils_payment.cli.logs import configure, quiet_threads
from ils_payment.cli.rooms import (
    DatabaseError,
    database_errors,
    ledger_file,
    no_folder,
    prove_writable,
    world_of,
)
from ils_payment.cli.runners import runner_of
from ils_payment.errors import ConfigurationError
from ils_payment.flows import remind, tell
from ils_payment.flows.advance import advance, due, forget_old_notices
from ils_payment.flows.house import House, open_house
from ils_payment.flows.seal import seal_changes, seal_hidden
from ils_payment.flows.subject import every, forget_old
from ils_payment.loading import check_live, check_plugin_tables, load_settings
from ils_payment.plugins import Plugins
from ils_payment.runner import Chores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ils_payment.config import Settings


@click.command()
@click.pass_obj
def serve(config: Path | None) -> None:
    """Run the program: pages, webhooks, and the runner that settles."""
    import uvicorn

    from ils_payment.web.app import create_app
    from ils_payment.web.serving import server_config

    settings = ready_settings(config)
    end_on_signals()
    with (
        listening(settings.server.bind, settings.server.port) as listener,
        alone(settings),
        opened_house(settings) as house,
        running(house),
    ):
        click.echo(
            f"ils-payment serves {settings.server.public_url} on port {settings.server.port}.", err=True
        )
        uvicorn.Server(server_config(create_app(house), settings)).run(sockets=[listener])


@click.command()
@click.pass_obj
def worker(config: Path | None) -> None:
    """Run the runner alone, beside a serve on another host (PostgreSQL only)."""
    settings = ready_settings(config)
    if is_sqlite(settings):
        raise ConfigurationError(
            "A worker of its own needs PostgreSQL: SQLite has one writer, and serve does this work itself.",
            mend="Run serve alone, or set server.database to postgresql://user@host/name.",
        )
    end_on_signals()
    with opened_house(settings) as house, running(house):
        click.echo("ils-payment settles what is due.", err=True)
        threading.Event().wait()


def is_sqlite(settings: Settings) -> bool:
    """Tell whether the ledger is an SQLite file."""
    return make_url(settings.server.database).get_backend_name() == "sqlite"


def ready_settings(config: Path | None) -> Settings:
    """Load the configuration with the tables of its plugins, and log as it says."""
    settings = load_settings(config)
    check_plugin_tables(settings, Plugins(settings.plugin_names()))
    configure(settings.server.log_format, logging.INFO)
    quiet_threads()
    return settings


@contextmanager
def opened_house(settings: Settings) -> Iterator[House]:
    """Open the house with everything checked that can be checked without asking anybody outside."""
    with database_errors(settings):
        house = open_house(settings, world_of(settings))
    with closing(house):
        prove_writable(house.store, settings)
        with database_errors(settings):
            runner_of(settings).check()
        check_live(settings, {key for key, desk in house.libraries.items() if desk.live})
        yield house


def chores_of(house: House) -> list[Callable[[House], None]]:
    """Return what is done beside the runner about every half minute, in this order."""
    forget = every(house, timedelta(hours=1), forget_old)
    hidden = every(house, timedelta(days=1), seal_hidden)
    return [
        tell.alarms,
        remind.Reminders(),
        tell.send_mails,
        forget_old_notices,
        seal_changes,
        hidden,
        forget,
    ]


@contextmanager
def running(house: House) -> Iterator[None]:
    """Let runner and chores work until the context ends; what they have in hands is finished."""
    runner = runner_of(house.settings)
    chores = Chores([partial(chore, house) for chore in chores_of(house)])
    house.wake = runner.wake
    with ExitStack() as stack:
        runner.start(partial(advance, house), partial(due, house))
        stack.callback(runner.stop)
        chores.start()
        stack.callback(chores.stop)
        yield


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the lock beside an SQLite ledger: two programs would settle side by side."""
    path = ledger_file(settings)
    if path is None:
        yield
        return
    if not path.parent.is_dir():
        raise no_folder(path)
    try:
        file = open(f"{path}.lock", "w", encoding="utf-8")  # noqa: PTH123, SIM115 - closed by the context below
    except OSError as error:
        raise DatabaseError(
            f"The lock {path}.lock cannot be written ({error.strerror}).",
            mend="Run this as the user of the service, who may write in that folder.",
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseError(
                f"Another ils-payment serves {path} already.",
                mend="Stop it first: systemctl stop ils-payment",
            ) from None
        yield


@contextmanager
def listening(bind: str, port: int) -> Iterator[socket.socket]:
    """Open the port before anything else, so that an occupied one is told in a sentence."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        listener = socket.create_server((bind, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigurationError(
                f"This host has no address {bind}, so nothing can listen there.",
                mend="Write an address of this host into server.bind (ip address lists them); "
                "127.0.0.1 where the web server in front runs on the same host.",
            ) from None
        raise ConfigurationError(
            f"Cannot listen on {bind} port {port}: {os.strerror(error.errno or 0)}.",
            mend="Choose a port above 1023 (lower ones are for root): the web server is in front."
            if error.errno == errno.EACCES
            else "Stop what listens there, or choose another port.",
        ) from None
    with listener:
        yield listener


def end_on_signals() -> None:
    """End in order on SIGTERM and SIGINT: uvicorn raises them again when it has finished."""

    def leave(_number: int, _frame: object) -> NoReturn:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
