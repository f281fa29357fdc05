"""Transport to the payment service: its three ways of authenticating, and errors in the house's words.

Each call is made once; nothing is repeated here.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from ils_payment.errors import RemoteRefusedError, RemoteUnavailableError, why_unreachable
from ils_payment_xbezahldienste.config import Authentication

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from ils_payment.ports import Host
    from ils_payment_xbezahldienste.config import XBezahldiensteConfig

TOKEN_MARGIN = 30
"""A token is given up so many seconds before its end: a call takes time."""

TOKEN_LIFE = 60
"""For so many seconds a token is used that does not say how long it lasts."""


class NoAnswerError(RemoteUnavailableError):
    """The request may have arrived, and no whole answer came back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, undecoded."""

    status: int
    body: bytes


class Client:
    """One end point of one payment service."""

    def __init__(self, config: XBezahldiensteConfig, host: Host) -> None:
        """Keep what is needed; no I/O before the first call."""
        self._config = config
        self._host = host
        self._sessions = threading.local()
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None

    def send(self, method: str, path: str, body: str | None = None) -> Answer:
        """Make one call to *path* below the base address.

        NoAnswerError when nobody can tell whether it arrived; another RemoteError when it was never
        made, because there was no token for it.
        """
        authorize = self._authorization()
        self._host.failpoint("xbezahldienste.before_call")
        answer = self._request(
            method,
            f"{self._config.base}/{path}",
            authorize,
            data=None if body is None else body.encode(),
            headers={"accept": "application/json, application/problem+json"}
            | ({"content-type": "application/json"} if body is not None else {}),
        )
        self._host.failpoint("xbezahldienste.after_call")
        if answer.status == 401:
            with self._lock:
                self._token = None
        return answer

    def token(self) -> str:
        """Return a token for client credentials (RFC 6749, 4.4), the one of before while it lasts."""
        with self._lock:
            if self._token is None or self._host.monotonic() >= self._token[1]:
                self._token = self._new_token()
            return self._token[0]

    def _new_token(self) -> tuple[str, float]:
        asked = self._host.monotonic()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id,
            "client_secret": _text(self._config.client_secret),
        }
        try:
            answer = self._request(
                "POST", self._config.token_url, _as_it_is, data=form, headers={"accept": "application/json"}
            )
        except NoAnswerError as error:
            # The payment itself was never asked for.
            raise RemoteUnavailableError(f"No token: {error.what}", mend=error.mend) from None
        if answer.status in {400, 401, 403}:
            raise RemoteRefusedError(
                f"No token: the address for tokens answered HTTP {answer.status}.",
                mend="Compare client_id and client_secret with what the payment service gave you.",
            )
        try:
            given: Any = json.loads(answer.body.decode()) if answer.status == 200 else None
            token, life = given["access_token"], given.get("expires_in", TOKEN_LIFE + TOKEN_MARGIN)
            seconds = float(life) - TOKEN_MARGIN
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            token, seconds = None, 0.0
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RemoteUnavailableError(
                f"No token: the address for tokens answered HTTP {answer.status} without one.",
                mend="Look whether token_url is the address that the payment service named.",
            )
        return token, asked + max(seconds, 0.0)

    def _authorization(self) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
        """Return what adds our authentication; requests would otherwise look for one in ``~/.netrc``."""
        if self._config.authentication is Authentication.CERTIFICATE:
            return _as_it_is
        if self._config.authentication is Authentication.OAUTH2:
            value = f"Bearer {self.token()}"
        else:
            pair = f"{self._config.user}:{_text(self._config.password)}".encode()
            value = f"Basic {b64encode(pair).decode()}"

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["authorization"] = value
            return request

        return authorize

    def _request(
        self,
        method: str,
        url: str,
        authorize: Callable[[requests.PreparedRequest], requests.PreparedRequest],
        *,
        data: bytes | dict[str, str] | None,
        headers: dict[str, str],
    ) -> Answer:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = self._host.session(certificate=self._config.certificate)
        try:
            answer = session.request(method, url, data=data, headers=headers, auth=authorize)
            return Answer(answer.status_code, answer.content)
        except OSError as error:  # Those of requests are such, and so is a certificate that went away.
            why, mend = why_unreachable(error)
            cause = f"no whole answer ({type(error).__name__})"
            raise NoAnswerError(
                f"{urlsplit(url).hostname} gave {f'{cause}: {why}' if why else cause}.",
                mend=mend or "Nothing to do unless it lasts; then ask the payment service.",
            ) from None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
