"""What stands around the program in ``make kill``: both remotes, database, web server, processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.cli.runners import runner_of
from ils_payment.flows.house import open_store
from ils_payment.loading import load_settings
from ils_payment.store.upgrade import upgrade
from ils_payment.testing.simulator import serve
from ils_payment.world import World
from tests.faults.kill_door import Door
from tests.free_port import free_port

if TYPE_CHECKING:
    from tests.faults.kill_databases import Database

LIBRARY = "lindental"
PIN = "4711"
PATIENCE = 60.0
SECRETS = {"KILL_KOHA": "koha-secret", "KILL_STRIPE": "sk_test_kill", "KILL_HOOK": "whsec_kill"}

CONFIGURATION = """\
[server]
public_url = "http://127.0.0.1:{door}"
port = {port}
database = "{database}"
runner = "{runner}"

[libraries.lindental]
name = "Stadtbücherei Lindental"
test_cards = [{cards}]

[libraries.lindental.library_system]
plugin = "koha"
url = "{koha}/api/v1"
client_id = "ils-payment"
client_secret = {{ env = "KILL_KOHA" }}
library_id = "ZENTRALE"

[libraries.lindental.providers.stripe]
api_key = {{ env = "KILL_STRIPE" }}
webhook_secrets = [{{ env = "KILL_HOOK" }}]
statement_descriptor = "STADTBUECHEREI"
api_base = "{stripe}"

[[libraries.lindental.methods]]
method = "card"
provider = "stripe"
"""


class Process:
    """One process of the program, which dies and is started again."""

    def __init__(self, town: Town, name: str, command: str, port: int | None) -> None:
        self._town, self._command = town, command
        self.name, self.port = name, port
        self.pid = 0
        self._log = town.folder / f"{name}.log"
        self._seen = 0

    def start(self) -> None:
        """Start it; it may take a moment until it works."""
        self._seen = self._log.stat().st_size if self._log.exists() else 0
        self.pid = self._town.launch(self._log, "--config", str(self._town.config(self)), self._command)

    def runs(self) -> bool:
        """Tell whether the process is there: a start on a database that is away fails at once."""
        return bool(self.pid) and Path(f"/proc/{self.pid}").exists()

    def works(self) -> bool:
        """Tell whether it answers, or has said that it settles."""
        if self.port is None:
            return b"settles what is due" in self._log.read_bytes()[self._seen :]
        with suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=2).ok
        return False

    def told(self) -> str:
        """Return what it last wrote, for whoever wonders why it does not work."""
        last = self._log.read_text(encoding="utf-8")[-2000:] if self._log.exists() else ""
        return f"{self.name} (process {self.pid}, {'runs' if self.runs() else 'gone'}): {last}"

    def send(self, number: int) -> None:
        """Send a signal; it may have gone by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it at once, whatever it is doing."""
        self.send(signal.SIGKILL)
        while self.runs():
            time.sleep(0.005)


class Town:
    """Everything that is real except the two remotes, and these are served over real HTTP."""

    koha_kind, stripe_kind = KohaSimulator, StripeSimulator
    haste: tuple[str, ...] = ("--hurry",)

    def __init__(self, folder: Path, database: Database, *, cards: int, seed: int) -> None:
        self.folder, self.database = folder, database
        self._stack = ExitStack()
        self.koha = self.koha_kind.demo(client_secret=SECRETS["KILL_KOHA"], seed=seed)
        self.stripe = self.stripe_kind.demo(
            api_key=SECRETS["KILL_STRIPE"], webhook_secret=SECRETS["KILL_HOOK"], seed=seed
        )
        self.cards = [f"5{number:09}" for number in range(cards)]
        self.processes = [
            Process(self, f"{kind}{place}", kind, free_port() if kind == "serve" else None)
            for place, kind in enumerate(self.kinds())
        ]
        self.door = Door([one.port for one in self.processes if one.port is not None])
        self.address = f"http://127.0.0.1:{self.door.port}"
        self.remotes = (
            self._stack.enter_context(serve(self.koha)),
            self._stack.enter_context(serve(self.stripe)),
        )
        self.runner = "embedded" if database.name == "sqlite" else "procrastinate"
        self._prepare()
        self._launcher = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.kill_launcher", *self.haste],
            env={**os.environ, **SECRETS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._said() != "ready":
            raise RuntimeError("the launcher did not start")

    def kinds(self) -> list[str]:
        """Return the commands that are run, each in a process of its own."""
        return ["serve"] if self.database.name == "sqlite" else ["serve", "serve", "worker", "worker"]

    def _prepare(self) -> None:
        os.environ.update(SECRETS)
        for one in self.processes:
            self.config(one).write_text(
                CONFIGURATION.format(
                    door=self.door.port,
                    port=one.port or 1,
                    database=self.database.url,
                    runner=self.runner,
                    cards=", ".join(f'"{card}"' for card in self.cards),
                    koha=self.remotes[0],
                    stripe=self.remotes[1],
                ),
                encoding="utf-8",
            )
        settings = load_settings(self.config(self.processes[0]))
        store = open_store(settings, World())
        upgrade(store)
        store.close()
        runner_of(settings).upgrade()

    def config(self, process: Process) -> Path:
        """Return where the configuration of a process stands: each has a port of its own."""
        return self.folder / f"{process.name}.toml"

    def asked(self) -> int:
        """Return how many calls the remotes have had so far."""
        return sum(self.koha._requests.values()) + sum(self.stripe._api.requests.values())

    def launch(self, log: Path, *arguments: str) -> int:
        """Let the launcher fork a process; return its id."""
        assert self._launcher.stdin is not None
        self._launcher.stdin.write("\t".join([str(log), *arguments]) + "\n")
        self._launcher.stdin.flush()
        return int(self._said())

    def _said(self) -> str:
        assert self._launcher.stdout is not None
        return self._launcher.stdout.readline().strip()

    def open(self) -> None:
        """Start every process and wait until all work."""
        for one in self.processes:
            one.start()
        self.wait_for_all()

    def send_webhooks(self) -> None:
        """Let the provider send its webhooks, until this town is closed."""
        self.stripe.webhook_url = f"{self.address}/webhooks/{LIBRARY}/stripe"
        self.stripe.start_sender()

    def revive(self) -> None:
        """Start what has died, as a service manager does."""
        for one in self.processes:
            if not one.runs():
                one.start()

    def wait_for_all(self) -> None:
        """Wait until every process works, and start again what could not."""
        deadline = time.monotonic() + PATIENCE
        while not all(one.works() for one in self.processes):
            if time.monotonic() > deadline:
                raise RuntimeError("not everything starts:\n" + "\n".join(map(Process.told, self.processes)))
            self.revive()
            time.sleep(0.05)

    def close(self) -> None:
        """End everything that was started."""
        self.stripe.stop_sender()
        for one in self.processes:
            if one.runs():
                one.send(signal.SIGCONT)
                one.kill()
        self._launcher.kill()
        self._launcher.communicate()
        self.door.close()
        self._stack.close()
