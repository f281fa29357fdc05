"""What HTTP calls have in common: whether a call that failed was sent, and whether a host is this one."""

from __future__ import annotations

import ssl
from ipaddress import ip_address

import requests
import urllib3.exceptions

from ils_payment.errors import causes

_HANDSHAKE_REASONS = {
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
}
"""OpenSSL's reasons that can only come up before the first byte of a request is sent."""


def never_sent(error: BaseException) -> bool:
    """Tell whether an *error* of ``requests`` came up before the request was sent. In doubt: no.

    Certain are a refused connection, a name that is not found, a connection that was not made in time, and
    a TLS handshake that failed: all of these end before the first byte of the request. A
    ``requests.ConnectionError`` covers a refused connection (before) as well as a broken one (after), so what
    lies below it decides. A connection that ends in the middle of an answer is a TLS error, too, so only
    reasons of the handshake count. What a proxy had passed on when it failed, nobody knows.
    """
    if isinstance(error, requests.exceptions.ProxyError):
        return False
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    found = causes(error)
    if any(isinstance(cause, ssl.SSLError) for cause in found):
        return any(
            isinstance(cause, ssl.SSLCertVerificationError)
            or getattr(cause, "reason", None) in _HANDSHAKE_REASONS
            for cause in found
        )
    return any(
        isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
        for cause in found
    )


def is_loopback(host: str | None) -> bool:
    """Tell whether *host* is this machine, so that nobody can listen on the way."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
