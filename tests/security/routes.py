"""Every route of the application, found by looking and not by remembering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute

from ils_payment.web.app import browser_app

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ils_payment.flows.house import House


def every_route(house: House) -> list[tuple[str, str]]:
    """Method and path pattern of each route of pages, API and staff; HEAD stands beside its GET."""
    found = {(method, path) for methods, path in _walk(browser_app(house).routes) for method in methods}
    return sorted((method, path) for method, path in found if method != "HEAD")


def _walk(routes: Iterable[Any]) -> Iterator[tuple[Iterable[str], str]]:
    """Follow what is included into what; each router knows its prefix only."""
    for route in routes:
        inner = getattr(route, "effective_candidates", None)
        if inner is not None:
            yield from _walk(inner())
        elif isinstance(getattr(route, "original_route", route), APIRoute):
            yield route.methods or (), route.path


def filled(path: str, **values: str) -> str:
    """The pattern with values; what is not named gets a value that leads nowhere."""
    known = {"library": "lindental", "payment_id": "0" * 26, "file": "style.css", **values}
    for name, value in known.items():
        path = path.replace("{" + name + "}", value)
    for name in ("case_id", "refund_id"):
        path = path.replace("{" + name + "}", "0" * 26)
    return path
