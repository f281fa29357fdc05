"""The program that takes in the benchmarks' webhooks: the real application in a process of its own.

The runner that reads the notices later is not part of it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from notices import SECRET

from ils_payment.config import Settings
from ils_payment.flows.house import open_house, open_store
from ils_payment.store.upgrade import upgrade
from ils_payment.web.app import create_app
from ils_payment.web.serving import server_config
from ils_payment.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRETS = {"BENCH_KEY": "rk_test_benchmark", "BENCH_SECRET": SECRET, "BENCH_KOHA": "x" * 32}


@contextmanager
def taking_in(database: str) -> Iterator[int]:
    """Serve the application over the ledger at the address *database*; yield its port."""
    os.environ.update(_SECRETS)
    store = open_store(_settings(database, 1), World())
    upgrade(store)
    store.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = subprocess.Popen([sys.executable, __file__, database, str(port)])
    try:
        _wait_for(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the server of the benchmark did not start")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server of the benchmark did not listen within 30 s")


def _settings(database: str, port: int) -> Settings:
    library = {
        "name": "Benchmark",
        "library_system": {
            "plugin": "koha",
            "url": "https://koha.example/api/v1",
            "client_id": "x",
            "client_secret": {"env": "BENCH_KOHA"},
            "library_id": "X",
        },
        "providers": {
            "stripe": {
                "api_key": {"env": "BENCH_KEY"},
                "webhook_secrets": [{"env": "BENCH_SECRET"}],
                "statement_descriptor": "BENCHMARK",
            }
        },
        "methods": [{"method": "card", "provider": "stripe"}],
    }
    server = {"public_url": f"http://127.0.0.1:{port}", "database": database, "port": port}
    return Settings.model_validate({"server": server, "libraries": {"library": library}})


def _serve(database: str, port: int) -> None:
    settings = _settings(database, port)
    house = open_house(settings, World())
    uvicorn.Server(server_config(create_app(house), settings)).run()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
