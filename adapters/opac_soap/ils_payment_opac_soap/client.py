"""Transport: one HTTP call for each request, our session with the library system, what a failure means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from ils_payment.errors import (
    ConfigurationError,
    RemoteAbsentError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
    why_unreachable,
)
from ils_payment.transport import never_sent
from ils_payment_opac_soap import texts, tree
from ils_payment_opac_soap.building import Builder
from ils_payment_opac_soap.outcomes import Answer, Error, error_of, succeeded
from ils_payment_opac_soap.preset import SignIn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.ports import Host
    from ils_payment_opac_soap.building import Prepared
    from ils_payment_opac_soap.config import SOAPConfig
    from ils_payment_opac_soap.preset import Errors, Operation
    from ils_payment_opac_soap.tree import Tree

_MOST_BYTES = 5 * 1024 * 1024


class NotSentError(RemoteUnavailableError):
    """The call failed before anything of it was sent: the library system certainly knows nothing of it."""


class PINRefusedError(RemoteError):
    """Card and PIN do not fit."""


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    until: float


class SOAPClient:
    """Calls of one library's system. Keeps WSDLs and a session's token, which may be lost at any time."""

    def __init__(self, config: SOAPConfig, host: Host) -> None:
        """Keep *config* and *host*; no I/O."""
        self._config = config
        self._host = host
        self.builder = Builder(config)
        # Replaced as a whole, never changed: two threads at worst both sign in.
        self._token: _Token | None = None

    def ask(self, operation: Operation, values: Mapping[str, str]) -> Tree:
        """Return the content of a successful answer to a call that moves no money; raise RemoteError.

        A session that has ended is begun anew, and the question asked once more.
        """
        errors = self.errors_of(operation)
        had_token = self._token is not None
        answer = self._exchange(operation, values)
        if operation.session and had_token and error_of(answer, errors) is Error.SESSION:
            self.forget_session()
            answer = self._exchange(operation, values)
        if succeeded(answer, operation):
            return answer.content
        raise self._refusal(operation, answer, errors)

    def prepare_write(
        self, operation: Operation, values: Mapping[str, str], lines: Sequence[Mapping[str, str]] = ()
    ) -> Prepared:
        """Build a call that writes, with a session that stands; RemoteError or ConfigurationError."""
        return self.builder.build(operation, self._complete(operation, values), lines)

    def send(self, prepared: Prepared) -> Answer:
        """Send a request exactly once: **money moves here** if it is one that pays.

        NotSentError when certainly nothing arrived; any other RemoteError leaves it open.
        """
        limit = self._config.deadline_seconds
        try:
            with self._host.session(deadline=limit, max_bytes=_MOST_BYTES) as session:
                # A netrc file of the machine would add credentials of its own.
                session.auth = self._authenticate
                response = session.post(
                    prepared.url,
                    data=prepared.body,
                    headers=dict(prepared.headers),
                    timeout=limit,
                    allow_redirects=False,
                )
                return _answer(response)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise failure(error, urlsplit(prepared.url).netloc) from None

    def errors_of(self, operation: Operation) -> Errors:
        """Return the error map of an operation: its own, or for questions the preset's."""
        return operation.errors or self._config.spoken.errors

    def forget_session(self) -> None:
        """Drop the session, so that the next call begins a new one."""
        self._token = None

    def sign_in_again(self) -> None:
        """Begin a session now, whether or not one stands; raise RemoteError."""
        self.forget_session()
        self._session()

    def _complete(self, operation: Operation, values: Mapping[str, str]) -> dict[str, str]:
        """Add to *values* what every operation may name."""
        config, library = self._config, self._host.library
        today = library.day_of(self._host.now())
        known = {
            **config.all_values,
            "user": config.user,
            "password": config.password.get_secret_value() if config.password else "",
            "currency": library.currency,
            "language": library.languages[0],
            "today": texts.day_text(today, config.spoken.dates_for(operation)),
            "token": "",
        }
        login = config.spoken.operations.login
        if operation.session and login is not None:
            known["token"] = self._session()
        return {**known, **values}

    def _session(self) -> str:
        """Return the token of a session, begun anew if need be."""
        login = self._config.spoken.operations.login
        token = self._token
        if login is None:
            return ""
        if token is None or token.until <= self._host.monotonic():
            begun = self._host.monotonic()
            answer = self.ask(login.model_copy(update={"session": False}), {})
            value = tree.first(answer, login.token)
            if not value:
                raise RemoteGarbledError("The answer to the login holds no token.")
            token = _Token(value, begun + self._config.session_minutes * 60)
            self._token = token
        return token.value

    def _exchange(self, operation: Operation, values: Mapping[str, str]) -> Answer:
        try:
            prepared = self.builder.build(operation, self._complete(operation, values))
        except ConfigurationError as error:
            raise RemoteRefusedError(error.what, mend=error.mend) from None
        return self.send(prepared)

    def _authenticate(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request by HTTP Basic where the configuration says so; otherwise leave it alone."""
        config = self._config
        if config.http_user is not None and config.http_password is not None:
            secret = config.http_password.get_secret_value()
            requests.auth.HTTPBasicAuth(config.http_user, secret)(request)
        return request

    def _refusal(self, operation: Operation, answer: Answer, errors: Errors) -> RemoteError:
        """Return what an answer without success means for a question."""
        kind = error_of(answer, errors)
        name = operation.name
        if kind is Error.REFUSED:
            return PINRefusedError(f"The library system refuses {name}: card and PIN do not fit.")
        if kind in {None, Error.UNKNOWN} and _refuses(operation, answer):
            return PINRefusedError(f"The library system refuses {name}: card and PIN do not fit.")
        if kind is Error.ABSENT:
            return RemoteAbsentError("The library system has no such patron.")
        if kind in {Error.AUTHENTICATION, Error.SESSION} or answer.status in {401, 403}:
            return RemoteRefusedError(
                f"The library system refuses our credentials for {name} ({answer.status}).",
                mend="Look at user, password and the values, and at the rights of that account.",
            )
        if kind is Error.PERMANENT:
            return RemoteRefusedError(f"The library system refuses {name}.", mend="Its log says why.")
        if answer.document is None and answer.status == 200:
            return RemoteGarbledError(
                f"The answer to {name} cannot be read: {answer.problem}.",
                mend="Does the address lead to the service itself?",
            )
        if answer.document is None and answer.status in {301, 302, 307, 308, 404, 405, 415}:
            return RemoteRefusedError(
                f"There is no such service at the address of {name} ({answer.status}).",
                mend="Correct url, or urls, and compare with the maker's documents.",
            )
        if kind is None and answer.document is not None and answer.status == 200:
            return RemoteGarbledError(
                f"The answer to {name} is none that the preset knows.",
                mend="Does the preset fit this version? ils-payment check shows how each answer is read.",
            )
        return RemoteUnavailableError(
            f"The library system failed at {name} ({answer.status}).",
            mend="Try again; look into its log if it stays.",
        )


def _refuses(operation: Operation, answer: Answer) -> bool:
    """Tell whether an answer refuses card and PIN in the preset's words; a fault never does."""
    said = operation.refused if isinstance(operation, SignIn) else ()
    return bool(said) and not answer.is_fault and all(one.holds(answer.content) for one in said)


def _answer(response: requests.Response) -> Answer:
    """Read the document of an answer, whatever its status: SOAP faults come with 500."""
    found = re.search(r"charset=\"?([A-Za-z0-9._-]+)", response.headers.get("Content-Type", ""))
    try:
        return Answer(response.status_code, tree.read(response.content, found[1] if found else None))
    except tree.TreeError as error:
        return Answer(response.status_code, None, str(error))


def failure(error: BaseException, host: str) -> RemoteUnavailableError:
    """Name what went wrong. Only the kind is told: an error's own text holds the address and its query."""
    kind = type(error).__name__
    why, mend = why_unreachable(error)
    if never_sent(error):
        return NotSentError(
            f"The library system at {host} cannot be reached: {why or 'the connection failed'} ({kind}).",
            mend=mend or "Is url right, and is the web server there running?",
        )
    return RemoteUnavailableError(
        f"The connection to the library system broke: {why or 'no whole answer came'} ({kind}).",
        mend=mend or "Try again; look into its log if it stays.",
    )
