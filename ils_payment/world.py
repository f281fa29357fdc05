"""The real clock, ids, network sessions and mail: everything a simulator replaces."""

from __future__ import annotations

import secrets
import smtplib
import socket
import ssl
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.config import Mail
    from ils_payment.ports import LibraryInfo

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O and U, so that an id can be read out on the telephone."""


class World:
    """The real world. Flows take time, chance and outside calls from here and nowhere else."""

    database_clock = True
    """Leases follow the database's clock where hosts share it; a simulated clock switches this off."""

    def __init__(self, *, ca_bundle: str | None = None, mail: Mail | None = None) -> None:
        """Keep the file with more certificate authorities (None: there are no more) and the mail server."""
        self._ca_bundle = ca_bundle
        self._mail = mail

    def now(self) -> datetime:
        """Return the current instant (UTC)."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()

    def random_bytes(self, count: int) -> bytes:
        """Return *count* unpredictable bytes."""
        return secrets.token_bytes(count)

    def new_id(self) -> str:
        """Return a new unguessable id: 26 characters, 128 random bits."""
        return self.random_text(26)

    def random_text(self, length: int) -> str:
        """Return *length* random characters (5 bits each) of an alphabet that can be read out."""
        return "".join(_ALPHABET[byte % 32] for byte in self.random_bytes(length))

    def failpoint(self, name: str) -> None:
        """Mark a commit or an outside call by *name*; only tests do something here."""

    def session(self, *, deadline: float, max_bytes: int) -> requests.Session:
        """Return an HTTP session with the rules of the house (see ``ports.Host.session``)."""
        return DeadlineSession(self, deadline=deadline, max_bytes=max_bytes, ca_bundle=self._ca_bundle)

    def connect(self, address: tuple[str, int], *, deadline: float) -> socket.socket:
        """Return a connected TCP socket."""
        return socket.create_connection(address, timeout=deadline)

    @property
    def can_mail(self) -> bool:
        """Tell whether a mail server is configured."""
        return self._mail is not None

    def send_mail(self, recipient: str, subject: str, body: str) -> None:
        """Hand one plain-text mail to the mail server; raise OSError when that fails."""
        if self._mail is None:
            raise OSError("no mail server is configured")
        message = EmailMessage()
        message["From"] = self._mail.sender
        message["To"] = recipient
        message["Subject"] = subject
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body)
        try:
            with _smtp(self._mail, self._ca_bundle) as server:
                server.send_message(message)
        except smtplib.SMTPException as error:
            # The text of an SMTP error may repeat the recipient, so only its class goes on.
            raise OSError(f"the mail server refused: {type(error).__name__}") from None


@contextmanager
def _smtp(mail: Mail, ca_bundle: str | None) -> Iterator[smtplib.SMTP]:
    """Open and greet the mail server as configured."""
    context = ssl.create_default_context()
    if ca_bundle:
        context.load_verify_locations(ca_bundle)
    if mail.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=20, context=context)
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=20)
    with server:
        if mail.security == "starttls":
            server.starttls(context=context)
        if mail.user:
            server.login(mail.user, mail.password.get_secret_value() if mail.password else "")
        yield server


class PluginHost:
    """What one plugin of one library sees of the world (``ports.Host``)."""

    def __init__(self, world: World, library: LibraryInfo) -> None:
        """Bind *world* to *library*."""
        self._world = world
        self.library = library

    def now(self) -> datetime:
        """Return the current instant (UTC)."""
        return self._world.now()

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return self._world.monotonic()

    def session(
        self,
        *,
        deadline: float = 20.0,
        max_bytes: int = 5 * 1024 * 1024,
        certificate: tuple[str, str] | None = None,
    ) -> requests.Session:
        """Return an HTTP session with the rules of the house."""
        session = self._world.session(deadline=deadline, max_bytes=max_bytes)
        session.cert = certificate
        return session

    def connect(self, address: tuple[str, int], *, deadline: float = 20.0) -> socket.socket:
        """Return a connected TCP socket."""
        return self._world.connect(address, deadline=deadline)

    def failpoint(self, name: str) -> None:
        """Mark an outside call by *name*."""
        self._world.failpoint(name)


class _Adapter(HTTPAdapter):
    """One connection pool that repeats nothing and believes the configured authorities, too."""

    def __init__(self, ca_bundle: str | None) -> None:
        self._ca_bundle = ca_bundle
        super().__init__(max_retries=0, pool_maxsize=16)

    def _with_trust(self, options: dict[str, Any]) -> dict[str, Any]:
        if not self._ca_bundle:
            return options
        # requests adds the public authorities to this; as its "verify" the file would replace them, and
        # nobody could reach the payment provider any more.
        return options | {"ssl_context": ssl.create_default_context(cafile=self._ca_bundle)}

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - requests' own signature
        super().init_poolmanager(*args, **self._with_trust(options))

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - requests' own signature
        return super().proxy_manager_for(proxy, **self._with_trust(options))


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no authentication: without any, requests would send what a netrc file of the machine holds."""
    return request


class DeadlineSession(requests.Session):
    """A session whose calls end in time: a slow trickle of bytes is cut off too.

    ``requests`` only bounds the wait between two bytes; money needs a bound on the whole call,
    because the settle lease must be longer than it. The wait for each line of the headers is bounded
    by itself only: who trickles these is waited for longer, and what comes of it is settled as unclear.
    """

    def __init__(
        self, world: World, *, deadline: float, max_bytes: int, ca_bundle: str | None = None
    ) -> None:
        """Allow *deadline* seconds and *max_bytes* for each call; believe *ca_bundle*, too."""
        super().__init__()
        self._world = world
        self._deadline = deadline
        self._max_bytes = max_bytes
        self.auth = _as_it_is
        adapter = _Adapter(ca_bundle)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own signature
        """Send one request; raise ``requests.Timeout`` when the whole of it takes too long."""
        started = self._world.monotonic()
        kwargs.update(timeout=(min(5.0, self._deadline), self._deadline), stream=True, allow_redirects=False)
        # requests lets REQUESTS_CA_BUNDLE of the environment win over what was configured here, and lets a
        # caller switch the check of certificates off: neither happens.
        kwargs["verify"] = True
        response = super().send(request, **kwargs)
        content = bytearray()
        try:
            # read1() returns after one read of the socket, so that the deadline is looked at between any two.
            while chunk := response.raw.read1(64 * 1024, decode_content=True):
                content += chunk
                if self._world.monotonic() - started > self._deadline:
                    raise requests.ReadTimeout(f"the whole call took longer than {self._deadline} s")
                if len(content) > self._max_bytes:
                    raise requests.exceptions.ContentDecodingError("the answer is too large")
        except requests.RequestException:
            response.close()
            raise
        except urllib3.exceptions.HTTPError as error:
            response.close()
            raise requests.ConnectionError(f"the answer broke off: {type(error).__name__}") from error
        response._content = bytes(content)  # noqa: SLF001 - the body was read here under the deadline
        return response
