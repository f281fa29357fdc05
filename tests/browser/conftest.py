"""A real Chromium, and a server that shows every page in every state."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.browser.looking import a_page
from tests.web.exhibition import application

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser; a machine without one fails the tests rather than passing over them.

    It goes before the tests of other files come: as long as it is driven, this thread has an event loop.
    """
    named = os.environ.get("ILS_PAYMENT_CHROMIUM")
    path = named or next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None or shutil.which(path) is None:
        pytest.fail(
            "The browser tests need a Chromium. Type: apt install chromium, or set ILS_PAYMENT_CHROMIUM to"
            " the path of one (make test finds or installs one by itself).",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Later:
    """An application that is built once its address is known."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port of this process; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 15
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def exhibition() -> Iterator[str]:
    """The address below which every exhibit is shown."""
    with served(application()) as address:
        yield f"{address}/lindental/show"


@pytest.fixture(scope="module")
def looked_at(chromium: Browser) -> Iterator[Any]:
    """One page for all visits that change nothing; it collects what the browser complains about."""
    with a_page(chromium) as page:
        yield page
