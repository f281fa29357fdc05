"""The signed token with which an OPAC hands a patron over (``docs/handing-over.md``)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt

from ils_payment.model import PatronRef

if TYPE_CHECKING:
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House

ALGORITHM = "HS256"
LONGEST_LIFE = 120
"""Seconds between ``iat`` and ``exp``."""
LEEWAY = 10
"""Seconds by which the clocks of the two machines may differ."""
MAX_LENGTH = 4096
PURPOSE = "pay"
_LONGEST_ID = 200
MOST_FEES = 200
"""So many chosen fees a token may name; they fit into one that may be sent in an address."""
_FEE = re.compile(r"[\x21-\x7e]{1,60}")
"""A library system's id of a fee, as text without spaces; other ids stand in no token."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A patron whom the OPAC vouches for; the token must still be used up under ``digest``.

    ``fees`` are the fees that the patron ticked in the OPAC, by the library system's ids: a wish that
    ticks boxes, and no proof that they exist, belong to the patron or may be paid. Empty: no wish.
    """

    patron: PatronRef
    language: str | None
    fees: tuple[str, ...]
    digest: str
    forget_at: datetime
    kid: str


class TokenError(Exception):
    """A token that opens nothing.

    ``code`` (``refused``, ``expired``, ``used``) chooses the words for the patron; ``kid`` and the
    text are for the administrator's log. The token itself is in neither.
    """

    def __init__(self, code: str, reason: str, kid: str = "") -> None:
        """Keep the cause."""
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.kid = kid


def audience(house: House, library: str) -> str:
    """Return the ``aud`` that a token for *library* carries."""
    return f"{house.settings.server.public_url}/{library}"


def verify(house: House, desk: Desk, token: str, now: datetime) -> HandedOver:
    """Return whom *token* hands over, or raise TokenError. Changes nothing."""
    if not token or len(token) > MAX_LENGTH:
        raise TokenError("refused", "there is no token, or it is too long")
    arrival = desk.settings.arrival
    kid, secret = _key(desk, token)
    try:
        # The times are compared below, with the clock of the house.
        claims = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=audience(house, desk.key),
            issuer=arrival.issuer,
            options={
                "require": ["iss", "aud", "iat", "exp", "jti", "sub"],
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidTokenError as error:
        raise TokenError("refused", f"{type(error).__name__}: {error}", kid) from None
    expires = _check_times(claims, now, kid)
    return _handed_over(desk, claims, expires, kid)


def _key(desk: Desk, token: str) -> tuple[str, str]:
    """Return name and secret of the key that the token names. Only configured keys are tried."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise TokenError("refused", f"it is no JWT: {error}") from None
    named = header.get("kid")
    for key in desk.settings.arrival.keys:
        if key.kid == named:
            return key.kid, key.secret.get_secret_value()
    # What a stranger wrote there is not repeated in the log.
    raise TokenError("refused", "its kid is missing or names no configured key")


def _check_times(claims: dict[str, Any], now: datetime, kid: str) -> int:
    """Compare the times, all in whole seconds; return ``exp``."""
    issued, expires = claims["iat"], claims["exp"]
    before = claims.get("nbf", issued)
    if not all(type(value) is int and 0 < value < 2**40 for value in (issued, expires, before)):
        raise TokenError("refused", "iat, exp (and nbf) must be whole seconds since 1970", kid)
    second = int(now.timestamp())
    if not issued < expires <= issued + LONGEST_LIFE:
        raise TokenError("refused", f"exp must be 1 to {LONGEST_LIFE} seconds after iat", kid)
    if max(issued, before) > second + LEEWAY:
        ahead = max(issued, before) - second
        raise TokenError("refused", f"it was issued {ahead} s in the future: compare the clocks", kid)
    if second >= expires + LEEWAY:
        raise TokenError("expired", f"it expired {second - expires} s ago", kid)
    return int(expires)


def _handed_over(desk: Desk, claims: dict[str, Any], expires: int, kid: str) -> HandedOver:
    for name in ("jti", "sub"):
        value = claims[name]
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST_ID:
            raise TokenError(
                "refused", f"{name} must be a text of 1 to {_LONGEST_ID} printable characters", kid
            )
    if claims.get("purpose", PURPOSE) != PURPOSE:
        raise TokenError("refused", f"its purpose is not {PURPOSE!r}", kid)
    language = claims.get("lang")
    once = f"{desk.key}\n{claims['iss']}\n{claims['jti']}"
    return HandedOver(
        patron=PatronRef(claims["sub"]),
        language=language if language in desk.settings.languages else None,
        fees=_fees(claims.get("fees", []), kid),
        digest=hashlib.sha256(once.encode()).hexdigest(),
        forget_at=datetime.fromtimestamp(expires, UTC) + timedelta(seconds=LEEWAY + 60),
        kid=kid,
    )


def _fees(named: Any, kid: str) -> tuple[str, ...]:  # noqa: ANN401 - whatever the token says
    """Return the ticked fees, or raise TokenError: half a choice would be another one than the patron's."""
    if (
        not isinstance(named, list)
        or len(named) > MOST_FEES
        or not all(isinstance(fee, str) and _FEE.fullmatch(fee) for fee in named)
    ):
        raise TokenError("refused", f"fees must be a list of at most {MOST_FEES} ids as text", kid)
    return tuple(named)
