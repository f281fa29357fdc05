"""Transport to Koha's REST API: credentials, time limits, and what a failed call means.

Every call takes a session, and with it a connection, of its own: a kept connection that Koha's
web server has closed meanwhile would make a call look lost after sending, and a lost money call
costs a quarantine.
"""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode, urlsplit

import requests
import urllib3.exceptions

from ils_payment.errors import RemoteGarbledError, RemoteUnavailableError, causes, why_unreachable
from ils_payment.transport import never_sent
from ils_payment_koha.answers import Answer
from ils_payment_koha.refusals import refuse, refuse_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import Host
    from ils_payment_koha.config import KohaConfig

JSON = "application/json"
SPEC_BYTES = 30 * 1024 * 1024
"""Koha's own description of its API is several megabytes in newer versions (inferred, unverified)."""

_TOKEN_MARGIN = 60.0
"""A token that lives for less than this many seconds is not used for a new call."""


class NotSentError(RemoteUnavailableError):
    """The call failed before anything of it was sent: Koha certainly knows nothing of it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and the reading of the monotonic clock until which it is used."""

    value: str = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call: what is sent, and the limits of its answer."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    text: str | None = None
    content_type: str = JSON
    accept: str = JSON
    deadline: float | None = None
    max_bytes: int = 5 * 1024 * 1024


class KohaClient:
    """Calls of one library's Koha. Keeps nothing but a token, which may be lost at any time."""

    def __init__(self, config: KohaConfig, host: Host) -> None:
        """Keep *config* and *host*; no I/O."""
        self._config = config
        self._host = host
        # Replaced as a whole, never changed: two threads at worst both fetch a token, which Koha
        # allows. A lock held during a call would stop every actor of a simulated world.
        self._token: Token | None = None

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        accept: str = JSON,
        deadline: float | None = None,
    ) -> Answer:
        """Return the answer to a call that moves no money, whatever its status; raise RemoteError.

        A 401 to a token is asked once more with a new one: Koha may have dropped its tokens.
        """
        text = None if body is None else json.dumps(body)
        request = Request(method=method, path=path, query=query, text=text, accept=accept, deadline=deadline)
        had_token = self._token is not None
        answer = self._exchange(request, self.authorization())
        if answer.status == 401 and had_token:
            self.forget_token()
            answer = self._exchange(request, self.authorization())
        return answer

    def read(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        accept: str = JSON,
        deadline: float | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a 200 answer to a GET; raise RemoteError for anything else."""
        return self.read_dated(path, query=query, accept=accept, deadline=deadline).body

    def read_dated(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        accept: str = JSON,
        deadline: float | None = None,
    ) -> Answer:
        """Return a 200 answer to a GET with JSON and Koha's own date; raise RemoteError for anything else."""
        answer = self.ask("GET", path, query=query, accept=accept, deadline=deadline)
        if answer.status != 200:
            refuse(answer)
        if not answer.is_json:
            raise RemoteGarbledError(
                "Koha's answer is not JSON.",
                mend="Does url lead to Koha's REST API, and not to another page?",
            )
        return answer

    def write(self, method: str, path: str, text: str, authorization: str) -> Answer:
        """Send *text* exactly once, to book it (POST) or to store it (PUT); **money moves here**.

        Raises NotSentError when Koha certainly got nothing; any other RemoteError leaves it open.
        """
        return self._exchange(Request(method=method, path=path, text=text), authorization)

    def probe(self) -> Answer:
        """Return the description that Koha gives of its API, without credentials."""
        return self._exchange(Request(method="GET", path="/", max_bytes=SPEC_BYTES))

    def authorization(self) -> str:
        """Return the Authorization header, with a new token if need be; raise RemoteError."""
        config = self._config
        if config.username is not None and config.password is not None:
            pair = f"{config.username}:{config.password.get_secret_value()}"
            return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        token = self._token
        if token is None or token.until <= self._host.monotonic():
            token = self._fetch_token()
            self._token = token
        return f"Bearer {token.value}"

    def forget_token(self) -> None:
        """Drop the token, so that the next call fetches a new one."""
        self._token = None

    def _fetch_token(self) -> Token:
        """Fetch a token with the client's credentials; raise RemoteError with the mend."""
        secret = self._config.client_secret
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id or "",
            "client_secret": secret.get_secret_value() if secret else "",
        }
        request = Request(
            method="POST",
            path="/oauth/token",
            text=urlencode(form),
            content_type="application/x-www-form-urlencoded",
        )
        asked_at = self._host.monotonic()
        answer = self._exchange(request)
        if answer.status != 200:
            refuse_token(answer)
        body = answer.body if isinstance(answer.body, dict) else {}
        value, lifetime = body.get("access_token"), body.get("expires_in")
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise RemoteGarbledError("Koha's answer to the request for a token holds no token.")
        seconds = float(lifetime) if isinstance(lifetime, int | Decimal) else 0.0
        return Token(value, asked_at + seconds - _TOKEN_MARGIN)

    def _exchange(self, request: Request, authorization: str | None = None) -> Answer:
        """Make one call on a connection of its own; raise NotSentError or RemoteUnavailableError."""
        # The wildcard */* is a 406 at some of Koha's paths (seen), so Accept is always explicit.
        headers = {"Accept": request.accept}
        if request.text is not None:
            headers["Content-Type"] = request.content_type
        if authorization is not None:
            headers["Authorization"] = authorization
        limit = request.deadline or self._config.deadline_seconds
        try:
            with self._host.session(deadline=limit, max_bytes=request.max_bytes) as session:
                response = session.request(
                    request.method,
                    self._config.url + request.path,
                    params=request.query,
                    data=None if request.text is None else request.text.encode(),
                    headers=headers,
                    timeout=limit,
                    allow_redirects=False,
                )
                return _answer(response)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise failure(error, urlsplit(self._config.url).netloc) from None


def _answer(response: requests.Response) -> Answer:
    """Parse the body as JSON with exact decimals; what is not JSON stays unparsed."""
    total = response.headers.get("X-Total-Count", "")
    body, is_json = None, True
    try:
        body = json.loads(response.content, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        is_json = False
    return Answer(
        response.status_code,
        body,
        is_json=is_json,
        date=response.headers.get("Date"),
        total=int(total) if total.isdecimal() and total.isascii() else None,
    )


def _no_number(text: str) -> NoReturn:
    """Refuse NaN and the infinities, which JSON does not know."""
    raise ValueError(text)


def failure(error: BaseException, host: str = "") -> RemoteUnavailableError:
    """Name what went wrong. Only the kind is told: an error's own text holds the address and its query."""
    kind = type(error).__name__
    rejected = next((c for c in causes(error) if isinstance(c, ssl.SSLCertVerificationError)), None)
    if rejected is not None:
        return NotSentError(
            f"Koha's TLS certificate is not accepted: {rejected.verify_message}.",
            mend="Renew the certificate, use the host name it is for, or name its authority in ca_bundle.",
        )
    why, mend = why_unreachable(error)
    place = f"Koha at {host}" if host else "Koha"
    if never_sent(error):
        return NotSentError(
            f"{place} cannot be reached: {why or 'the connection failed'} ({kind}).",
            mend=mend or "Is url right, and is Koha's web server running?",
        )
    if why:
        return RemoteUnavailableError(f"The connection to Koha failed: {why} ({kind}).", mend=mend)
    return RemoteUnavailableError(
        f"The connection to Koha failed ({kind}).", mend="Try again; look into Koha's logs if it stays."
    )
