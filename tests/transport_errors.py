"""Errors of a transport as ``requests`` wraps them."""

from __future__ import annotations

import ssl

import requests
import urllib3
import urllib3.exceptions

POOL = urllib3.HTTPSConnectionPool("koha.example")


def retried(reason: Exception) -> urllib3.exceptions.MaxRetryError:
    """What urllib3 raises when it has given up."""
    return urllib3.exceptions.MaxRetryError(POOL, "/", reason)


def tls(error: ssl.SSLError) -> requests.exceptions.SSLError:
    """An error of TLS, as the caller of ``requests`` sees it."""
    return requests.exceptions.SSLError(retried(urllib3.exceptions.SSLError(error)))


def tls_because(reason: str) -> requests.exceptions.SSLError:
    """An error of TLS with OpenSSL's word for its *reason*."""
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return tls(error)
