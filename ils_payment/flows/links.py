"""The addresses that a provider sends the payer back to, with a token that needs no login.

A banking app often comes back in another browser: the token, good for 24 hours, shows state,
amount and reference of one payment and nothing personal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.flows.house import House

LIFE = timedelta(hours=24)


def return_url(house: House, library: str, payment_id: str, now: datetime) -> str:
    """Return the absolute address for the way back from the provider, valid for 24 hours from *now*."""
    token = sign(house.installation.secret, payment_id, int((now + LIFE).timestamp()))
    return f"{house.settings.server.public_url}/{library}/payments/{payment_id}/return?t={token}"


def sign(secret: bytes, payment_id: str, until: int) -> str:
    """Return the token for *payment_id* that is good until the epoch second *until*."""
    mac = hmac.new(secret, f"return:{payment_id}:{until}".encode(), hashlib.sha256).digest()
    return f"{until}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def is_good(house: House, payment_id: str, token: str) -> bool:
    """Tell whether *token* opens the state of *payment_id* now."""
    until, _, _ = token.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) <= 12):
        return False
    good = hmac.compare_digest(
        token.encode(), sign(house.installation.secret, payment_id, int(until)).encode()
    )
    return good and house.world.now().timestamp() <= int(until)
