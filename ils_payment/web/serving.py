"""How uvicorn serves the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from ils_payment.config import Settings

SHUTDOWN_SECONDS = 15


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return the server's settings.

    There is no access log: addresses carry tokens, and the web server in front writes one. The application
    itself decides whose X-Forwarded-For it believes. One process: on SQLite the ledger has one
    writer, and the intake's queue lives in memory.
    """
    return uvicorn.Config(
        app,
        host=settings.server.bind,
        port=settings.server.port,
        lifespan="on",
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
    )
