"""A Stripe that cannot be reached: host, cause and mend are told, and nothing of the call."""

from __future__ import annotations

import socket
import ssl

import pytest
import requests
import stripe
from ils_payment_stripe.client import HouseHTTPClient, describe, translate

from ils_payment.errors import why_unreachable
from ils_payment.ports import LibraryInfo
from ils_payment.world import PluginHost, World


def host():
    """Real sockets, as the product has them."""
    info = LibraryInfo(key="x", name="X", currency="EUR", languages=("de",), time_zone="Europe/Berlin")
    return PluginHost(World(), info)


@pytest.mark.parametrize(
    ("url", "proxy", "cause", "mend"),
    [
        ("http://127.0.0.1:1/v1?canary=1", "", "127.0.0.1:1: it refuses the connection", "firewall"),
        ("http://stripe.invalid/v1?canary=1", "", "stripe.invalid: this host cannot find its name", "getent"),
        ("https://api.example/v1?canary=1", "http://127.0.0.1:1", "outgoing proxy", "NO_PROXY"),
    ],
)
def test_host_cause_and_mend_are_told_without_the_query(monkeypatch, url, proxy, cause, mend):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(stripe.APIConnectionError) as caught:
        HouseHTTPClient(host()).request("GET", url, {})
    assert cause in describe(caught.value)
    error = translate(caught.value)
    assert cause in error.what
    assert mend in error.mend
    assert "canary" not in str(error)


def test_other_causes_have_their_mend_too():
    refused = ssl.SSLCertVerificationError(1, "x")
    refused.verify_message = "self-signed certificate"
    assert "self-signed" in why_unreachable(requests.exceptions.SSLError(refused))[0]
    assert "https" in why_unreachable(requests.exceptions.SSLError(ssl.SSLError(1, "WRONG_VERSION")))[1]
    assert "firewall" in why_unreachable(requests.ConnectTimeout())[1]
    assert "DNS" in why_unreachable(requests.ConnectionError(socket.gaierror(-2, "x")))[0]
    assert why_unreachable(requests.ReadTimeout()) == ("", "")
