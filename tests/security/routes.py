"""Every route of the application, found by looking and not by remembering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute

from ils_payment.web.app import browser_app

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ils_payment.flows.house import House


def every_route(house: House) -> list[tuple[str, str]]:
    """Method and path pattern of each route of pages and API; HEAD stands beside its GET."""
    found = {
        (method, route.path) for route in _walk(browser_app(house).routes) for method in route.methods or ()
    }
    return sorted((method, path) for method, path in found if method != "HEAD")


def _walk(routes: Iterable[Any]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            assert not route.include_context.prefix, "a prefix stands at its router here"
            yield from _walk(included.routes)


def filled(path: str, **values: str) -> str:
    """The pattern with values; what is not named gets a value that leads nowhere."""
    known = {"library": "lindental", "payment_id": "0" * 26, "file": "style.css", **values}
    for name, value in known.items():
        path = path.replace("{" + name + "}", value)
    for name in ("number", "case_id", "account_id"):
        path = path.replace("{" + name + "}", "0" * 26)
    return path
