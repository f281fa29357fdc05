"""``ils-payment check`` for XBezahldienste: authentication, state of the end point, booking data."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ils_payment.errors import RemoteError
from ils_payment.model import Finding, Level
from ils_payment_xbezahldienste import wire
from ils_payment_xbezahldienste.config import Authentication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.ports import Host
    from ils_payment_xbezahldienste.client import Client
    from ils_payment_xbezahldienste.config import XBezahldiensteConfig


def check(client: Client, config: XBezahldiensteConfig, host: Host, path: str) -> list[Finding]:
    """Return what was seen; without authentication the end point is not asked for."""
    findings = [_mode(config), _currency(host), *_booking(config), _pages(config)]
    known = _authentication(client, config)
    findings += [known] if known else []
    if known is None or known.level is not Level.ERROR:
        findings.append(_end_point(client, path))
    return findings


def _mode(config: XBezahldiensteConfig) -> Finding:
    if config.live:
        return Finding(Level.OK, "mode", "live: real money moves")
    return Finding(
        Level.WARNING,
        "mode",
        "test: fees are settled for test cards only",
        "Write live = true when url leads to the production system.",
    )


def _currency(host: Host) -> Finding:
    if host.library.currency == wire.CURRENCY:
        return Finding(Level.OK, "currency", wire.CURRENCY)
    return Finding(
        Level.ERROR,
        "currency",
        f"the library's is {host.library.currency}, the interface takes EUR only",
        "Choose another provider for this library.",
    )


def _booking(config: XBezahldiensteConfig) -> Iterator[Finding]:
    if config.booking_data:
        yield Finding(
            Level.OK,
            "booking data",
            f"{', '.join(config.booking_data)} with each line, as far as its fee kind has them",
        )
    else:
        yield Finding(
            Level.WARNING,
            "booking data",
            "nothing tells the treasury where each line is booked",
            "Ask it for the names that it expects, and write them into booking_data.",
        )


def _pages(config: XBezahldiensteConfig) -> Finding:
    return Finding(
        Level.OK,
        "payment page",
        f"must lie at {', '.join(config.origins)}; only a payment shows whether it does",
    )


def _authentication(client: Client, config: XBezahldiensteConfig) -> Finding | None:
    """Say whether we can show who we are; whether that is accepted shows with the end point."""
    if config.authentication is Authentication.OAUTH2:
        try:
            client.token()
        except RemoteError as error:
            return Finding(Level.ERROR, "token", error.what, error.mend)
        return Finding(Level.OK, "token", f"given by {urlsplit(config.token_url).hostname}")
    if config.authentication is Authentication.CERTIFICATE:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                config.client_certificate, config.client_key, password=_no_passphrase
            )
        except (OSError, ValueError) as error:
            return Finding(
                Level.ERROR,
                "certificate",
                f"certificate and key cannot be used ({type(error).__name__})",
                "Both are PEM, belong together, and the key has no passphrase: docs/xbezahldienste.md.",
            )
        return Finding(Level.OK, "certificate", "certificate and key belong together")
    return None


def _no_passphrase() -> str:
    """Stand for the question on the terminal, on which a service would hang."""
    return ""


def _end_point(client: Client, path: str) -> Finding:
    try:
        answer = client.send("GET", f"status/{path}")
    except RemoteError as error:
        return Finding(Level.ERROR, "end point", error.what, error.mend)
    if answer.status == 200:
        return Finding(Level.OK, "end point", "known, ready, and it accepts us")
    code, told = wire.problem(answer.body)
    said = ", ".join(part for part in (f"HTTP {answer.status}", code, told) if part)
    if answer.status in {401, 403}:
        return Finding(
            Level.ERROR,
            "end point",
            f"it does not accept us, or not for these ids ({said})",
            "Compare originator_id, end_point_id and the credentials with what the payment service gave you.",
        )
    if answer.status == 503:
        return Finding(
            Level.ERROR, "end point", f"out of order ({said})", "Ask the payment service if it lasts."
        )
    return Finding(
        Level.ERROR,
        "end point",
        f"no answer of the interface's ({said})",
        "Look whether url is the base address that the payment service named.",
    )
