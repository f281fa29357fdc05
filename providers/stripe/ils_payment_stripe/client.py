"""Transport to Stripe: the SDK on the host's HTTP sessions, and its exceptions in the house's words."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import stripe

from ils_payment.errors import (
    RemoteAbsentError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
    why_unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ils_payment.ports import Host
    from ils_payment_stripe.config import StripeConfig

API_VERSION = "2026-10-28.endive"

# The SDK would write a random id into the user's home directory and send it with every call.
stripe.enable_telemetry = False
# Its lower levels log whole answers, in which Stripe gives the payer's name and e-mail address.
logging.getLogger("stripe").setLevel(logging.WARNING)

_CONFIDENTIAL = re.compile(r"\b(?:(?:sk|rk|pk)_(?:test|live)_|whsec_)[^\s'\",;]*|https?://[^\s'\",;]+")


class NoAnswerError(stripe.APIConnectionError):
    """A call without a whole answer: what the SDK expects of its transport, with cause and mend."""

    def __init__(self, error: requests.RequestException, host: str) -> None:
        """Name the kind of *error*, and *host* only: the path and the query of the call are not told."""
        why, self.mend = why_unreachable(error)
        cause = f"no whole answer ({type(error).__name__})"
        super().__init__(f"{cause}; {host}: {why}" if why else cause)  # type: ignore[no-untyped-call]  # the SDK's own


class HouseHTTPClient(stripe.HTTPClient):
    """The SDK's transport on sessions of the host.

    The SDK's own client for requests would send its own CA bundle and time limit with each call,
    over those of the host's session, and share one session among threads.
    """

    name = "requests"

    def __init__(self, host: Host) -> None:
        """Keep *host*; a session is made for each thread at its first call."""
        super().__init__()
        self._host = host
        self._sessions = threading.local()

    def request(  # type: ignore[override]  # the base class says str for the body, the SDK passes and takes bytes
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,  # noqa: ANN401 - as the SDK's base class has it
        *,
        _usage: list[str] | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request, once, and return body, status and headers."""
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = self._host.session()
        self._host.failpoint("stripe.before_call")
        try:
            answer = session.request(method, url, headers=dict(headers or {}), data=post_data)
            content = answer.content
        except requests.RequestException as error:
            raise NoAnswerError(error, urlsplit(url).netloc) from None
        self._host.failpoint("stripe.after_call")
        return content, answer.status_code, answer.headers


def connect(config: StripeConfig, host: Host) -> stripe.StripeClient:
    """Return the SDK's client: pinned API version, no retries, no I/O yet."""
    return stripe.StripeClient(
        config.api_key.get_secret_value(),
        stripe_version=API_VERSION,
        max_network_retries=0,
        http_client=HouseHTTPClient(host),
        base_addresses={"api": config.api_base} if config.api_base else None,
    )


def is_certainly_refused(error: Exception) -> bool:
    """Tell whether *error* was given before anything was created.

    Stripe validates first; 400, 401, 403 and 404 create nothing (documented). A key that is in
    use (409), a rate limit (429, which lock timeouts share), a key used with other parameters,
    every 5xx and every broken connection leave it open.
    """
    refusals = (stripe.InvalidRequestError, stripe.AuthenticationError, stripe.PermissionError)
    return isinstance(error, refusals) and error.http_status in {400, 401, 403, 404}


def describe(error: Exception) -> str:
    """Return what Stripe said, for the administrator: no key, no address, at most 300 characters."""
    if not isinstance(error, stripe.StripeError):
        return f"the answer was not as Stripe specifies it ({type(error).__name__})"
    if isinstance(error, stripe.APIConnectionError):
        return f"Stripe gave {error.user_message}"
    facts = [f"HTTP {error.http_status}", error.code, getattr(error, "param", None), error.request_id]
    said = ""
    if error.error is not None:
        # Only a sentence out of Stripe's error object; other bodies (a proxy's page) are not repeated.
        said = f": {_CONFIDENTIAL.sub('[...]', str(error.user_message or ''))[:300]}"
    return f"Stripe answered ({', '.join(str(fact) for fact in facts if fact)}){said}"


def translate(error: Exception) -> RemoteError:
    """Return the house's error for an exception of the SDK while a question was asked."""
    status = error.http_status if isinstance(error, stripe.StripeError) else None
    what = f"{describe(error)}."
    if isinstance(error, stripe.AuthenticationError):
        return RemoteRefusedError(
            what, mend="Put a valid key into api_key; the old one may have been rolled."
        )
    if isinstance(error, stripe.PermissionError):
        return RemoteRefusedError(what, mend="Give the restricted key the rights that docs/stripe.md lists.")
    if isinstance(error, NoAnswerError) and error.mend:
        return RemoteUnavailableError(what, mend=error.mend)
    if isinstance(error, (stripe.APIConnectionError, stripe.RateLimitError)):
        return RemoteUnavailableError(what, mend="Nothing to do unless it lasts; see status.stripe.com.")
    if status is not None and (status >= 500 or status == 409):
        return RemoteUnavailableError(what, mend="Nothing to do unless it lasts; see status.stripe.com.")
    if status == 404:
        return RemoteAbsentError(
            what, mend="The key may belong to another Stripe account or mode: compare them."
        )
    if isinstance(error, stripe.StripeError) and status is not None and 400 <= status < 500:
        return RemoteRefusedError(what, mend="Type: ils-payment check")
    return RemoteGarbledError(what, mend="Compare the API version of the account and look for an update.")


@contextmanager
def questions() -> Iterator[None]:
    """Let only RemoteError out, while something is asked that moves no money."""
    try:
        yield
    except RemoteError:
        raise
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
        raise translate(error) from None
