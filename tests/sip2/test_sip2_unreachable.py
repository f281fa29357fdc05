"""A SIP2 or SLNP server that cannot be reached: what to do fits a socket, and no web server or proxy."""

from __future__ import annotations

import errno
import re
import socket
import ssl

import pytest
from ils_payment_sip2.simulator import SIP2Simulator

from ils_payment.errors import RemoteUnavailableError, why_unreachable
from ils_payment.testing.streams import serve_stream
from tests.sip2.test_sip2_over_tcp import system_at

UNTRUSTED = ssl.SSLCertVerificationError(1, "x")
UNTRUSTED.verify_message = "self-signed certificate"


@pytest.mark.parametrize(
    ("error", "why", "mend"),
    [
        (ConnectionRefusedError(), "refuses", "host and port"),
        (socket.gaierror(-2, "x"), "DNS", "getent"),
        (OSError(errno.EHOSTUNREACH, "x"), "no way", "VPN or tunnel"),
        (TimeoutError(), "in time", "firewall"),
        (UNTRUSTED, "self-signed", "ca_file"),
        (ssl.SSLError(1, "WRONG_VERSION"), "no TLS", "stunnel"),
    ],
)
def test_each_cause_has_its_mend_without_a_word_of_the_web(error, why, mend):
    told = why_unreachable(error, tcp=True)
    assert why in told[0]
    assert mend in told[1]
    assert not re.search("https|web|proxy|url|ca_bundle", " ".join(told), re.IGNORECASE)
    assert why_unreachable(error) != told


def test_a_server_that_is_gone_is_told_so_by_the_plugin():
    with serve_stream(SIP2Simulator.demo()) as gone:
        pass
    with pytest.raises(RemoteUnavailableError) as caught:
        system_at(gone).find_patron("1")
    assert caught.value.mend == why_unreachable(ConnectionRefusedError(), tcp=True)[1]
