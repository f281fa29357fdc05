"""The simulated API's table of routes, and the specification that is made from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator import catalogue

if TYPE_CHECKING:
    from ils_payment.model import RawRequest
    from ils_payment_koha.simulator.access import Permission

BASE_PATH = "/api/v1"
_JSON = ("application/json",)
_READ: Permission = {"borrowers": "edit_borrowers"}
_LIST: Permission = [
    {"borrowers": "edit_borrowers"},
    {"tools": "label_creator"},
    {"serials": "routing"},
    {"acquisition": "order_manage"},
]
_WHOLE: Permission = {"borrowers": "1"}
_PAY: Permission = {"updatecharges": "remaining_permissions"}
_ACCOUNT: Permission = {"borrowers": "edit_borrowers", "updatecharges": "remaining_permissions"}
_CATALOGUE: Permission = {"catalogue": "1"}
_CIRCULATE: Permission = {"circulate": "circulate_remaining_permissions"}


@dataclass(frozen=True)
class Route:
    """One operation: where it is found, who may call it, what it produces."""

    method: str
    template: str
    operation: str
    permission: Permission = None
    produces: tuple[str, ...] = _JSON
    public: bool = False

    def captured(self, method: str, path: str) -> dict[str, str] | None:
        """Return the path parameters where *path* is this route's, else None."""
        if method != self.method:
            return None
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


ROUTES = (
    Route("GET", "/", "spec", public=True),
    Route("POST", "/oauth/token", "token", public=True),
    Route("POST", "/auth/password/validation", "password.validation", _WHOLE),
    Route("GET", "/patrons", "patrons.list", _LIST),
    Route("GET", "/patrons/{patron_id}", "patrons.get", _READ),
    Route("PUT", "/patrons/{patron_id}", "patrons.put", _WHOLE),
    Route("GET", "/patrons/{patron_id}/extended_attributes", "attributes.list", _READ),
    Route("DELETE", "/patrons/{patron_id}", "patrons.delete", {"borrowers": "delete_borrowers"}),
    Route("GET", "/patrons/{patron_id}/account", "account.get", _ACCOUNT),
    Route("GET", "/patrons/{patron_id}/account/credits", "credits.list", _ACCOUNT),
    Route("POST", "/patrons/{patron_id}/account/credits", "credits.add", _PAY),
    Route("GET", "/patrons/{patron_id}/account/debits", "debits.list", _ACCOUNT),
    Route("POST", "/patrons/{patron_id}/account/debits", "debits.add", _PAY),
    Route("GET", "/items", "items.list", _CATALOGUE),
    Route("GET", "/items/{item_id}", "items.get", _CATALOGUE),
    Route("GET", "/biblios", "biblios.list", _CATALOGUE, catalogue.FORMS),
    Route("GET", "/biblios/{biblio_id}", "biblios.get", _CATALOGUE, catalogue.FORMS),
    Route("GET", "/biblios/{biblio_id}/items", "biblios.items", _CATALOGUE),
    Route("GET", "/public/biblios/{biblio_id}", "biblios.get", None, catalogue.PUBLIC_FORMS, public=True),
    Route("GET", "/public/biblios/{biblio_id}/items", "biblios.items.public", public=True),
    Route("GET", "/libraries", "libraries.list", _CATALOGUE),
    Route("GET", "/libraries/{library_id}", "libraries.get", _CATALOGUE),
    Route("GET", "/checkouts", "checkouts.list", _CIRCULATE),
)

NEWER_ROUTES = (
    *ROUTES,
    Route("GET", "/patron_categories", "categories.list", {"parameters": "manage_patron_categories"}),
    Route("GET", "/public/patrons/{patron_id}/self_renewal", "self_renewal.start"),
    Route("POST", "/public/patrons/{patron_id}/self_renewal", "self_renewal.submit"),
)
"""With what the development version after 26.02 has (read, not seen)."""


def found_route(request: RawRequest, *, newer: bool) -> tuple[Route, dict[str, str]] | None:
    """Return the route of *request* and its path parameters; None where this Koha has none."""
    if not request.path.startswith(BASE_PATH):
        return None
    path = request.path.removeprefix(BASE_PATH) or "/"
    for route in NEWER_ROUTES if newer else ROUTES:
        captured = route.captured(request.method, path)
        if captured is not None:
            return route, captured
    return None


def specification(*, newer: bool = False) -> dict[str, Any]:
    """Return the live specification that Koha serves to anybody: its paths, methods and rights."""
    paths: dict[str, dict[str, Any]] = {}
    for route in NEWER_ROUTES if newer else ROUTES:
        entry: dict[str, Any] = {"operationId": route.operation, "produces": list(route.produces)}
        if route.permission is not None:
            entry["x-koha-authorization"] = {"permissions": route.permission}
        paths.setdefault(route.template, {})[route.method.lower()] = entry
    del paths["/"]
    info = {"title": "Koha REST API", "version": "1"}
    return {"swagger": "2.0", "basePath": BASE_PATH, "info": info, "paths": paths}
