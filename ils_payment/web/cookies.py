"""Cookies and form tokens: what a browser holds of us, and what can be derived from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ils_payment.flows.house import House

FORM = "form"
"""The cookie of a visitor who is not signed in: the sign-in form is bound to it."""


class Flags(TypedDict):
    """The attributes of every cookie."""

    path: str
    secure: bool
    httponly: bool
    samesite: Literal["lax", "strict"]


def encrypted(house: House) -> bool:
    """Tell whether patrons reach us over https; the configuration allows http on this host only."""
    return house.settings.server.public_url.startswith("https://")


def name(house: House, what: str) -> str:
    """Return the full name of the cookie *what*.

    ``__Host-`` binds it to this very host over https. Browsers refuse the prefix (and some the
    Secure attribute) on plain http, so a demonstration on this host goes without.
    """
    return f"__Host-ils-payment-{what}" if encrypted(house) else f"ils-payment-{what}"


def session(library: str) -> str:
    """Return which cookie holds the session at *library*; no key of a library meets another cookie's name."""
    return f"session-{library}"


def flags(house: House, *, strict: bool = False) -> Flags:
    """Return the attributes. Lax: the way back from the provider comes from another site."""
    same_site: Literal["lax", "strict"] = "strict" if strict else "lax"
    return {"path": "/", "secure": encrypted(house), "httponly": True, "samesite": same_site}


def new_value(house: House) -> str:
    """Return 256 random bits as text."""
    return base64.urlsafe_b64encode(house.world.random_bytes(32)).rstrip(b"=").decode()


def give(house: House, response: Response, what: str, value: str, *, strict: bool = False) -> None:
    """Set a cookie that lives as long as the browser window; the server ends sessions itself.

    A *strict* one is not sent when another site leads here.
    """
    response.set_cookie(name(house, what), value, **flags(house, strict=strict))


def take_back(house: House, response: Response, what: str) -> None:
    """Delete a cookie."""
    response.delete_cookie(name(house, what), **flags(house))


def held(house: House, request: Request, what: str) -> str | None:
    """Return the value of the cookie *what*, None when there is none."""
    return request.cookies.get(name(house, what)) or None


def digest(kind: str, value: str) -> str:
    """Return how the database knows *value*; ``kind`` keeps page and API sessions apart."""
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()


def csrf(house: House, value: str) -> str:
    """Return the form token that belongs to the cookie value *value*."""
    return hmac.new(house.installation.secret, f"csrf:{value}".encode(), hashlib.sha256).hexdigest()
