"""What the authenticator of a member of the staff shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyotp import TOTP

from ils_payment.flows import factors

if TYPE_CHECKING:
    from datetime import datetime


def code_now(shared: bytes, now: datetime) -> str:
    """Return the code that an authenticator shows now."""
    return TOTP(factors.written(shared)).generate_otp(int(now.timestamp()) // factors.STEP_SECONDS)
