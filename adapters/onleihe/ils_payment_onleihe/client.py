"""Asks the library's own service what it would answer the Onleihe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from ils_payment.errors import (
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
    why_unreachable,
)
from ils_payment_onleihe import wire

if TYPE_CHECKING:
    from ils_payment.ports import Host

_MOST_BYTES = 64 * 1024


def ask(host: Host, url: str, card: str, pin: str, deadline: float) -> int:
    """Return the status that the service at *url* answers for *card* and *pin*. Raises RemoteError.

    Every failed question may count as a wrong PIN there, so nothing is repeated.
    """
    session = host.session(deadline=deadline, max_bytes=_MOST_BYTES)
    try:
        with session, session.post(url, data={"sno": card, "pwd": pin}) as answer:
            code, body = answer.status_code, answer.content
    except requests.exceptions.ContentDecodingError as error:
        raise RemoteGarbledError("The service that answers the Onleihe sent too much.") from error
    except requests.RequestException as error:
        # The error's own text may hold the address with what was sent, so it goes no further.
        why, mend = why_unreachable(error)
        raise RemoteUnavailableError(
            f"The service that answers the Onleihe cannot be reached: {why or type(error).__name__}.",
            mend=mend,
        ) from None
    if code == 200:
        return wire.status(body)
    if code in {401, 403, 404}:
        raise RemoteRefusedError(
            f"The service that answers the Onleihe refuses us (HTTP {code}).",
            mend="Is it switched on, is the url right, and may this host ask it?",
        )
    raise RemoteUnavailableError(f"The service that answers the Onleihe failed (HTTP {code}).")
