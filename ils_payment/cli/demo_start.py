"""Starting what a demo needs: a simulated library system and provider, and the real program between them."""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ils_payment.cli.demo_files import TARIFF, configuration, references
from ils_payment.cli.demo_provider import PROVIDERS, DemoProvider
from ils_payment.cli.demo_renew import let_cards_expire
from ils_payment.cli.demo_stage import LIBRARY, PATIENCE, Stage
from ils_payment.cli.rooms import world_of
from ils_payment.cli.serve import listening, opened_house, running
from ils_payment.cli.walk import JourneyError
from ils_payment.errors import PluginError, installing
from ils_payment.flows.house import open_store
from ils_payment.loading import load_settings
from ils_payment.plugins import SIMULATOR_GROUP, installed, load
from ils_payment.store.upgrade import upgrade
from ils_payment.testing.demo import Stageable
from ils_payment.testing.simulator import serve
from ils_payment.world import World

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from ils_payment.flows.house import House
    from ils_payment.testing.demo import DemoLibrary


@contextmanager
def staged(
    folder: Path,
    port: int,
    library_system: tuple[str, int] = ("koha", 0),
    provider: tuple[str, int] = ("stripe", 0),
) -> Iterator[Stage]:
    """Start the simulated remotes and the real program; stop all of it at the end."""
    with ExitStack() as stack:
        # Program and remotes share one interpreter here: with the usual five milliseconds, waiting for the
        # hand-over from one to the other would take longer than the work.
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(0.0005)
        listener = stack.enter_context(listening("127.0.0.1", port))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        library = stack.enter_context(_library(*library_system, folder))
        part = PROVIDERS[provider[0]]
        secrets = _secrets(folder, part)
        remote = simulator(provider[0]).demo(**part.options(secrets))
        if "renew" not in library.absent:
            let_cards_expire(library.simulator)
        remote_address = stack.enter_context(serve(remote, port=provider[1]))
        table = part.table(references(folder, secrets), remote_address)
        path = folder / "config.toml"
        text = configuration(LIBRARY, folder, address, library, (provider[0], table))
        path.write_text(text, encoding="utf-8")
        (folder / "tariff.toml").write_text(TARIFF, encoding="utf-8")
        settings = load_settings(path)
        with closing(open_store(settings, world_of(settings))) as store:
            upgrade(store)
        house = stack.enter_context(opened_house(settings))
        stack.enter_context(running(house))
        stack.enter_context(_web(house, listener))
        remote.webhook_url = f"{address}/webhooks/{LIBRARY}/{provider[0]}"
        remote.start_sender()
        stack.callback(remote.stop_sender)
        yield Stage(address, house, library, remote, path)


def simulator(name: str) -> Any:  # noqa: ANN401 - each remote has its own switches
    """Find a simulated remote by name: the demo uses what any other program could use."""
    point = installed(SIMULATOR_GROUP).get(name)
    if point is None:
        raise PluginError(f"The simulator {name!r} is not installed.", mend=installing(name))
    return load(point)


def _library(name: str, port: int, folder: Path) -> AbstractContextManager[DemoLibrary]:
    """Begin to serve the simulated library system *name*; its secrets lie in *folder*."""
    found = simulator(name)
    if not isinstance(found, Stageable):
        raise PluginError(f"The simulator {name!r} is none of a library system with a demo.")
    return found.stage_demo(lambda secret: _secret(folder, secret, World().random_text(40)), port)


def _secrets(folder: Path, part: DemoProvider) -> dict[str, str]:
    """Make up the provider's secrets, each in a file that nobody else can read, as in real life."""
    made = part.secrets(World())
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
