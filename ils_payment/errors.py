"""Every error that the product expects: one root, one child for each cause.

Each error says *what* happened in one sentence and *mend*: what the person who runs the
installation does next. The command line prints both and exits 1; no traceback. A patron never
sees either text: pages say what happened in words of their own.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ILSPaymentError(Exception):
    """The root of all expected errors."""

    def __init__(self, what: str, *, mend: str = "") -> None:
        """Keep *what* happened and the *mend*; neither may hold personal data or a secret."""
        super().__init__(what)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        """Both sentences, for a log line or the command line."""
        return f"{self.what} {self.mend}".strip()


class ConfigurationError(ILSPaymentError):
    """The configuration has a wrong, missing or unknown entry; nothing was started."""


class PluginError(ILSPaymentError):
    """A plugin that the configuration names is missing, broken or lacks its extra packages."""


def installing(extra: str) -> str:
    """Return the mend where what *extra* of the package brings is not installed."""
    pip = Path(sys.executable).with_name("pip")
    return f"In the program's checkout, type: {pip} install '.[{extra}]'"


class SchemaError(ILSPaymentError):
    """The database is not as this version needs it (older schema, a trigger missing)."""


class StoreBusyError(ILSPaymentError):
    """The database could not be written to in time; the caller may try again."""


class RemoteError(ILSPaymentError):
    """A library system or provider could not answer a question that changes nothing there."""


class RemoteUnavailableError(RemoteError):
    """The remote is down, slow or in maintenance: asking again later may work."""


class RemoteRefusedError(RemoteError):
    """The remote refuses us (credentials, rights): an administrator has to mend it."""


class RemoteAbsentError(RemoteRefusedError):
    """The remote no longer has what was asked about, such as a patron: asking again cannot help."""


class PinNeededError(RemoteRefusedError):
    """The library system answers only with the patron's PIN: the patron has to sign in (again)."""


class RemoteGarbledError(RemoteError):
    """The remote answered something that its specification does not allow."""


class InvariantError(ILSPaymentError):
    """A rule that must always hold does not: the payment at hand is held with a case."""


def causes(error: BaseException) -> list[BaseException]:
    """Return *error* and what it was made of; requests and urllib3 wrap errors in several ways."""
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        cause = queue.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            queue += [*cause.args, getattr(cause, "reason", None), cause.__cause__]
    return found


_UNREACHABLE: Mapping[str, tuple[str, str, str]] = {
    "proxy": (
        "the outgoing proxy does not pass the call on",
        "Look at HTTPS_PROXY and NO_PROXY in secrets.env, and ask who runs the proxy.",
        "",
    ),
    "name": (
        "this host cannot find its name (DNS)",
        "Is the name right? Try: getent hosts NAME. Behind a proxy, set HTTPS_PROXY in secrets.env.",
        "Is the name right? Try: getent hosts NAME",
    ),
    "refused": (
        "it refuses the connection",
        "Is the url right, is the web server there running, and does its firewall let us in?",
        "Are host and port right, is the server there running, and does its firewall let us in?",
    ),
    "certificate": (
        "its TLS certificate is not accepted",
        "Renew it, use the host name it is for, or name its authority in server.ca_bundle.",
        "Renew it, use the host name it is for, or name its authority in ca_file.",
    ),
    "tls": (
        "no TLS connection came about",
        "Is that port one for https? Ask who runs proxy and firewall.",
        "Does the server, or a stunnel before it, speak TLS at that port from the first byte?",
    ),
    "way": (
        "no way leads there",
        "Let the firewall pass https from this host; behind a proxy, set HTTPS_PROXY in secrets.env.",
        "Let the firewall pass TCP from this host to that port; is the VPN or tunnel up, where there is one?",
    ),
    "late": (
        "nobody answers there in time",
        "",
        "Does the firewall pass TCP from this host, is the VPN or tunnel up, and does that port speak TLS?",
    ),
}
"""Why a connection fails: the words for it, and the mend over https and over TCP alone ("": never so)."""


def why_unreachable(error: BaseException, *, tcp: bool = False) -> tuple[str, str]:
    """Return why a connection failed, and the mend; the error's own text holds the address and is not told.

    Both are empty when *error* says nothing of the kind: the connection may have stood. *tcp*: a socket was
    being connected, so no web server, url or proxy has to do with it.
    """
    found = causes(error)
    kind = _kind(found, tcp=tcp)
    if kind is None:
        return "", ""
    why, over_https, over_tcp = _UNREACHABLE[kind]
    for cause in found:
        if kind == "certificate" and isinstance(cause, ssl.SSLCertVerificationError):
            why = f"{why}: {cause.verify_message}"
    return why, over_tcp if tcp else over_https


def _kind(found: Sequence[BaseException], *, tcp: bool) -> str | None:
    names = {type(cause).__name__ for cause in found}
    no_way = {errno.ENETUNREACH, errno.EHOSTUNREACH}
    kinds = {
        "proxy": "ProxyError" in names,
        "name": "NameResolutionError" in names or any(isinstance(one, socket.gaierror) for one in found),
        "refused": any(isinstance(one, ConnectionRefusedError) for one in found),
        "certificate": any(isinstance(one, ssl.SSLCertVerificationError) for one in found),
        "tls": any(isinstance(one, ssl.SSLError) for one in found),
        "way": bool(names & {"ConnectTimeout", "ConnectTimeoutError"})
        or any(isinstance(one, OSError) and one.errno in no_way for one in found),
        # Over http a timeout may be that of an answer, and the connection may have stood.
        "late": tcp and "TimeoutError" in names,
    }
    return next((kind for kind, is_so in kinds.items() if is_so), None)
