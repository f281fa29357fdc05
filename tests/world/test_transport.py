"""A call counts as not sent only when that is certain, and only this machine is a loopback."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any

import pytest
import requests
import urllib3.connection
import urllib3.exceptions

from ils_payment.transport import is_loopback, never_sent
from tests.transport_errors import retried, tls, tls_because

SOCKET: Any = urllib3.connection.HTTPConnection("koha.example")


@pytest.mark.parametrize(
    ("error", "before"),
    [
        (requests.ConnectionError(retried(urllib3.exceptions.NewConnectionError(SOCKET, "refused"))), True),
        (
            requests.ConnectionError(
                retried(urllib3.exceptions.NameResolutionError("h", SOCKET, socket.gaierror()))
            ),
            True,
        ),
        (requests.exceptions.ConnectTimeout(), True),
        (tls(ssl.SSLCertVerificationError(1, "self-signed")), True),
        (tls_because("TLSV1_ALERT_PROTOCOL_VERSION"), True),
        (tls_because("UNEXPECTED_EOF_WHILE_READING"), False),
        (tls_because("WRONG_VERSION_NUMBER"), False),
        (requests.exceptions.ProxyError(retried(urllib3.exceptions.NewConnectionError(SOCKET, "x"))), False),
        (
            requests.ConnectionError(
                urllib3.exceptions.ProtocolError("aborted", http.client.RemoteDisconnected("closed"))
            ),
            False,
        ),
        (requests.exceptions.ReadTimeout(), False),
        (requests.exceptions.Timeout(), False),
        (requests.exceptions.ChunkedEncodingError(), False),
        (requests.ConnectionError(), False),
        (ConnectionResetError(), False),
    ],
)
def test_only_errors_before_sending_are_certain(error, before):
    assert never_sent(error) is before


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
        (None, False),
    ],
)
def test_a_loopback_is_this_machine_and_nothing_else(host, here):
    assert is_loopback(host) is here
