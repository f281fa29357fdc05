"""What the benchmarks measure on: the program in a process of its own, its remotes simulated in this one.

The program is ``ils-payment serve`` itself, or (``measured=True``) the same parts on a world that notes when
each outside call and each failpoint happened. All times are ``time.monotonic``, which the processes of a
machine share.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import uvicorn
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.cli.serve import end_on_signals, running
from ils_payment.cli.walk import Browser, Confirmed, confirm_everything
from ils_payment.flows.house import open_house
from ils_payment.loading import load_settings
from ils_payment.testing.simulator import serve
from ils_payment.web.app import create_app
from ils_payment.web.serving import server_config
from ils_payment.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

LIBRARY = "library"
NOTES_PATH = "/benchmark-notes"
COMMITTED = "notice committed"
SECRETS = {
    "BENCHMARK_KOHA": "demo-secret",
    "BENCHMARK_STRIPE": "sk_test_benchmark",
    "BENCHMARK_WEBHOOK": "whsec_benchmark",
}


@dataclass(frozen=True, slots=True)
class Notes:
    """What the measured program noted: outside calls as (from, to), and named points in time."""

    calls: list[tuple[float, float]]
    points: list[tuple[float, str]]

    def outside(self, start: float, end: float) -> float:
        """Return the seconds between *start* and *end* in which the program waited for somebody else."""
        return sum(to - begin for begin, to in self.calls if start <= begin and to <= end)

    def first(self, name: str, after: float) -> float | None:
        """Return when the point *name* was first passed after *after*."""
        return min((at for at, point in self.points if point == name and at > after), default=None)


@dataclass(frozen=True, slots=True)
class Stage:
    """The program's address and process, and the two simulated remotes."""

    address: str
    process: subprocess.Popen[bytes]
    koha: KohaSimulator
    stripe: StripeSimulator

    def notes(self) -> Notes:
        """Ask the measured program what it noted so far."""
        return Notes(**requests.get(self.address + NOTES_PATH, timeout=30).json())

    def visitor(self) -> tuple[Browser, requests.Session]:
        """Return a browser and the session that holds its cookies."""
        session = World().session(deadline=30, max_bytes=5 * 1024 * 1024)
        return Browser(session), session

    def sign_in(self, browser: Browser) -> None:
        """Let the patron sign in."""
        page = browser.open(f"{self.address}/{LIBRARY}/")
        pin = {"card": self.koha.demo_card, "pin": self.koha.demo_pin}
        browser.submit(page, page.form_with("pin"), pin, [])

    def confirm(self, browser: Browser) -> Confirmed:
        """Charge a fee of 1.50, and let the patron sign in and confirm all payable fees."""
        self.koha.add_fee(self.koha.patron_ids["erika"], 150, "RESERVE", "Vormerkung")
        start = f"{self.address}/{LIBRARY}/"
        return confirm_everything(browser, start, self.koha.demo_card, self.koha.demo_pin)

    def pay(self, confirmed: Confirmed) -> None:
        """Let the payer pay at the provider, whose webhook follows; the browser stays away."""
        self.stripe.pay(confirmed.page.url.partition("?")[0].rsplit("/", 1)[-1])

    def library_calls(self) -> int:
        """Return how many requests the library system has counted."""
        return sum(self.koha.truth()["requests"].values())


@contextmanager
def staged(*, measured: bool) -> Iterator[Stage]:
    """Serve the remotes, start the program between them, and stop everything at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ils-payment-bench-")))
        koha = KohaSimulator.demo(client_secret=SECRETS["BENCHMARK_KOHA"])
        stripe = StripeSimulator.demo(
            api_key=SECRETS["BENCHMARK_STRIPE"], webhook_secret=SECRETS["BENCHMARK_WEBHOOK"]
        )
        remotes = stack.enter_context(serve(koha)), stack.enter_context(serve(stripe))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        path = folder / "config.toml"
        path.write_text(_configuration(folder, port, *remotes, koha.demo_card), encoding="utf-8")
        process = stack.enter_context(_program(path, measured=measured))
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(process, address)
        stripe.webhook_url = f"{address}/webhooks/{LIBRARY}/stripe"
        stripe.start_sender()
        stack.callback(stripe.stop_sender)
        yield Stage(address, process, koha, stripe)


def _configuration(folder: Path, port: int, koha: str, stripe: str, card: str) -> str:
    return f"""\
[server]
public_url = "http://127.0.0.1:{port}"
port = {port}
database = "sqlite:///{folder}/ledger.db"

[libraries.{LIBRARY}]
name = "Town Library"
test_cards = ["{card}"]

[libraries.{LIBRARY}.library_system]
plugin = "koha"
url = "{koha}/api/v1"
client_id = "ils-payment"
client_secret = {{ env = "BENCHMARK_KOHA" }}
library_id = "ZENTRALE"

[libraries.{LIBRARY}.providers.stripe]
api_key = {{ env = "BENCHMARK_STRIPE" }}
webhook_secrets = [{{ env = "BENCHMARK_WEBHOOK" }}]
statement_descriptor = "TOWN LIBRARY"
api_base = "{stripe}"

[libraries.{LIBRARY}.elending.onleihe]
mode = "answer"
fee_limit = "20.00"
allowed_networks = ["127.0.0.1"]

[[libraries.{LIBRARY}.methods]]
method = "card"
provider = "stripe"

[[libraries.{LIBRARY}.not_payable]]
older_than_days = 1000
text = {{ en = "Handed over to the city treasury: please pay there." }}
"""


@contextmanager
def _program(config: Path, *, measured: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program in a process of its own, and end it as systemd does."""
    command = [str(Path(sys.executable).with_name("ils-payment")), "--config", str(config)]
    environment = {**os.environ, **SECRETS}
    subprocess.run([*command, "db", "upgrade"], env=environment, check=True, stdout=subprocess.DEVNULL)
    serving = [sys.executable, __file__, str(config)] if measured else [*command, "serve"]
    process = subprocess.Popen(serving, env=environment, stderr=None if measured else subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_healthy(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the program of the benchmark did not start")
        try:
            if requests.get(f"{address}/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise RuntimeError("the program of the benchmark was not healthy within 30 s")


# --- in the measured program's process -----------------------------------------------------------


class NotingWorld(World):
    """The real world, which notes outside calls and failpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[float, float]] = []
        self.points: list[tuple[float, str]] = []

    def failpoint(self, name: str) -> None:
        """Note when the point was passed."""
        self.points.append((time.monotonic(), name))

    def session(self, *, deadline: float, max_bytes: int) -> requests.Session:
        """Return a session that notes how long each request takes, from asking to the whole answer."""
        session = super().session(deadline=deadline, max_bytes=max_bytes)
        send = session.send

        def noting(request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - requests' own signature
            begin = time.monotonic()
            try:
                return send(request, **options)
            finally:
                self.calls.append((begin, time.monotonic()))

        session.send = noting  # type: ignore[method-assign]  # exactly this call is to be measured
        return session


def _with_notes(app: ASGIApp, world: NotingWorld) -> ASGIApp:
    """Show the notes under an address of their own."""

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != NOTES_PATH:
            await app(scope, receive, send)
            return
        body = json.dumps({"calls": world.calls, "points": world.points}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return noting


def _serve_measured(config: Path) -> None:
    settings = load_settings(config)
    world = NotingWorld()
    end_on_signals()
    house = open_house(settings, world)
    with running(house):
        wake = house.wake

        def noting() -> None:
            # The intake wakes the runner right after the commit of new notices, from its own thread.
            if threading.current_thread().name == "intake":
                world.failpoint(COMMITTED)
            wake()

        house.wake = noting
        uvicorn.Server(server_config(_with_notes(create_app(house), world), settings)).run()


if __name__ == "__main__":
    _serve_measured(Path(sys.argv[1]))
