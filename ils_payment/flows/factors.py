"""What staff prove themselves with: argon2id passwords, codes of an authenticator, recovery codes, links.

Needs the extra ``staff``; nothing that patrons use imports this.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from functools import cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pyotp import TOTP

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.world import World

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
RECOVERY_CODES = 10
STEP_SECONDS = 30
TOLERANCE = 1
"""Time steps before and after the present one whose code counts, for clocks that differ."""

_SALT_BYTES = 16
_TOTP_BYTES = 20
_CODE_LENGTH = 24
"""120 random bits: enough that a plain digest of it tells nothing."""

# OWASP's second profile: a sign-in takes 46 MiB for some ten milliseconds.
_HASHER = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)


def hashed(world: World, password: str) -> str:
    """Return the argon2id hash of *password*."""
    return _HASHER.hash(password, salt=world.random_bytes(_SALT_BYTES))


def password_fits(stored: str | None, password: str) -> bool:
    """Tell whether *password* fits; without a stored hash it takes as long, and does not."""
    try:
        return _HASHER.verify(stored or _nobodys(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    """Return a hash with the same cost that is nobody's password."""
    return _HASHER.hash("nobody's password", salt=bytes(_SALT_BYTES))


def enrolment_secret(secret: bytes, token: str) -> bytes:
    """Return the shared secret that belongs to a one-time link: the same at each look at its page."""
    return hmac.new(secret, f"staff-totp:{token}".encode(), hashlib.sha256).digest()[:_TOTP_BYTES]


def written(shared: bytes) -> str:
    """Write a shared secret as authenticators want it typed: base 32."""
    return base64.b32encode(shared).decode()


def address(shared: bytes, login: str, issuer: str) -> str:
    """Return the ``otpauth:`` address that the QR code holds."""
    return TOTP(written(shared)).provisioning_uri(name=login, issuer_name=issuer)


def step_of(shared: bytes, typed: str, now: datetime) -> int | None:
    """Return the time step whose code was typed, None when it is none of the tolerated ones."""
    code = "".join(sign for sign in typed if sign.isdigit())
    totp = TOTP(written(shared))
    present = int(now.timestamp()) // STEP_SECONDS
    fitting = None
    for step in range(present - TOLERANCE, present + TOLERANCE + 1):
        # All are compared, so that the time tells nothing.
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            fitting = step
    return fitting


def recovery_codes(world: World) -> tuple[str, ...]:
    """Return new recovery codes, in groups of four signs."""
    plain = (world.random_text(_CODE_LENGTH) for _ in range(RECOVERY_CODES))
    return tuple("-".join(re.findall("....", code)) for code in plain)


def digest(kind: str, secret: str) -> str:
    """Return how the database knows a recovery code or a link; *kind* keeps the two apart."""
    return hashlib.sha256(f"staff-{kind}:{secret}".encode()).hexdigest()


def tidy_code(typed: str) -> str:
    """Return a recovery code as it was made, however it was typed; other text is no code afterwards."""
    signs = "".join(sign for sign in typed.upper() if sign.isalnum())
    read = signs.replace("O", "0").replace("I", "1").replace("L", "1")
    return "-".join(re.findall("....", read)) if len(read) == _CODE_LENGTH else ""
