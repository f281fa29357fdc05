"""Transport to Adyen: the SDK on the host's HTTP sessions, and its exceptions in the house's words."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import Adyen
import requests
from Adyen.exceptions import AdyenAPIResponseError, AdyenError

from ils_payment.errors import (
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
    why_unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ils_payment.ports import Host
    from ils_payment_adyen.config import AdyenConfig

API_VERSION = "v72"
_REFUSALS = frozenset({400, 401, 403, 404, 422})
_LATER = "Nothing to do unless it lasts; see status.adyen.com."


class NoAnswerError(AdyenError):  # type: ignore[misc]  # the SDK has no types
    """A call without a whole answer, with cause and mend."""

    def __init__(self, error: requests.RequestException, host: str) -> None:
        """Name the kind of *error*, and *host* only: the path and the query of the call are not told."""
        why, self.mend = why_unreachable(error)
        cause = f"no whole answer ({type(error).__name__})"
        super().__init__(f"{cause}; {host}: {why}" if why else cause)


class HouseHTTPClient:
    """The SDK's transport on sessions of the host; the SDK's own would bring its own limits and CA bundle."""

    user_agent = "adyen-python-api-library/16 ils-payment"

    def __init__(self, host: Host) -> None:
        """Keep *host*; a session is made for each thread at its first call."""
        self._host = host
        self._sessions = threading.local()

    def request(
        self,
        method: str,
        url: str,
        json: Any = None,  # noqa: ANN401 - whatever the SDK was given
        data: Any = None,  # noqa: ANN401 - see above
        username: str = "",
        password: str = "",
        xapikey: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[str, Any, int, Mapping[str, str]]:
        """Send one request, once, and return body, request, status and headers."""
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = self._host.session()
        self._host.failpoint("adyen.before_call")
        sent = {**(headers or {}), "x-api-key": xapikey}
        try:
            answer = session.request(method, url, headers=sent, json=json, data=data)
            # Adyen's answers are UTF-8 whatever the header says.
            text = answer.content.decode("utf-8", errors="replace")
        except requests.RequestException as error:
            raise NoAnswerError(error, urlsplit(url).netloc) from None
        self._host.failpoint("adyen.after_call")
        return text, json, answer.status_code, answer.headers


class Checkout:
    """The calls of Checkout v72 that are needed, each once and without a repetition of its own."""

    def __init__(self, config: AdyenConfig, host: Host) -> None:
        """Build the SDK's client; no I/O yet."""
        self._account = config.merchant_account
        adyen = Adyen.Adyen(
            xapikey=config.api_key.get_secret_value(),
            platform=config.platform,
            merchant_account=config.merchant_account,
            live_endpoint_prefix=config.live_prefix or None,
        )
        adyen.client.http_client = HouseHTTPClient(host)
        adyen.client.http_init = True
        checkout = adyen.checkout
        self._payments = checkout.payments_api
        self._links = checkout.payment_links_api
        self._modifications = checkout.modifications_api
        if config.api_base:
            for api in (self._payments, self._links, self._modifications):
                api.baseUrl = f"{config.api_base}/{API_VERSION}"

    def start_session(self, request: Mapping[str, Any], key: str) -> dict[str, Any]:
        """``POST /sessions``."""
        return _plain(self._payments.sessions(dict(request), idempotency_key=key))

    def session_result(self, ref: str, result: str) -> dict[str, Any]:
        """``GET /sessions/{id}``; the SDK encodes neither the path nor the query."""
        query = {"sessionResult": quote(result, safe="")}
        return _plain(
            self._payments.get_result_of_payment_session(quote(ref, safe=""), query_parameters=query)
        )

    def make_link(self, request: Mapping[str, Any], key: str) -> dict[str, Any]:
        """``POST /paymentLinks``."""
        return _plain(self._links.payment_links(dict(request), idempotency_key=key))

    def link(self, ref: str) -> dict[str, Any]:
        """``GET /paymentLinks/{id}``."""
        return _plain(self._links.get_payment_link(quote(ref, safe="")))

    def expire_link(self, ref: str) -> dict[str, Any]:
        """``PATCH /paymentLinks/{id}``."""
        return _plain(self._links.update_payment_link({"status": "expired"}, quote(ref, safe="")))

    def methods(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """``POST /paymentMethods``."""
        return _plain(self._payments.payment_methods(dict(request)))

    def refund(self, money_ref: str, request: Mapping[str, Any], key: str) -> dict[str, Any]:
        """``POST /payments/{paymentPspReference}/refunds``: money moves here."""
        where = quote(money_ref, safe="")
        return _plain(self._modifications.refund_captured_payment(dict(request), where, idempotency_key=key))


def _plain(result: Any) -> dict[str, Any]:  # noqa: ANN401 - the SDK has no types
    """Return the parsed body of an answer; raise RemoteGarbledError for one that is no JSON object."""
    message = result.message
    if not isinstance(message, dict):
        raise garbled("the body is no object")
    return message


def garbled(what: str) -> RemoteGarbledError:
    """Make the error of an answer that is against Adyen's specification; *what* is not personal."""
    return RemoteGarbledError(
        f"Adyen's answer is not as its API specifies it: {what}.", mend="Look for an update of ils-payment."
    )


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of Adyen's answer, None when there was none."""
    status = error.status_code if isinstance(error, AdyenAPIResponseError) else None
    return status if isinstance(status, int) else None


def is_certainly_refused(error: Exception) -> bool:
    """Tell whether *error* was given before anything was created.

    Validation (400, 422) and credentials (401, 403) come before any effect (documented). A key that is in
    use, a limit, every 5xx, a broken connection, a refusal that Adyen itself calls transient, and one that
    is not in Adyen's own form (a proxy's page) leave it open.
    """
    if not isinstance(error, AdyenAPIResponseError) or not isinstance(error.message, dict):
        return False
    transient = str((error.headers or {}).get("Transient-Error", "")).lower() == "true"
    return status_of(error) in _REFUSALS and not transient and _code(error) != "704"


def _code(error: Exception) -> str:
    """Return Adyen's error code. 704 is a key whose first request is still running (documented)."""
    return str(error.error_code or "") if isinstance(error, AdyenAPIResponseError) else ""


def describe(error: Exception) -> str:
    """Return what Adyen said, for the administrator: status and codes, never its sentence or the request.

    Adyen's messages repeat values of the request, and the SDK's exceptions hold the request whole.
    """
    if isinstance(error, NoAnswerError):
        return f"Adyen gave {error.message}"
    if isinstance(error, RemoteError):
        return str(error)
    if not isinstance(error, AdyenAPIResponseError):
        return f"the answer was not as Adyen specifies it ({type(error).__name__})"
    code = _code(error)
    kind = error.message.get("errorType") if isinstance(error.message, dict) else None
    facts = [f"HTTP {status_of(error)}", f"error {code}" if code.isalnum() else "", kind, error.psp]
    return f"Adyen answered ({', '.join(str(fact)[:60] for fact in facts if fact)})"


def translate(error: Exception) -> RemoteError:
    """Return the house's error for an exception of the SDK while a question was asked."""
    if isinstance(error, RemoteError):
        return error
    what, status = f"{describe(error)}.", status_of(error)
    if status == 401:
        return RemoteRefusedError(
            what, mend="Put a valid key into api_key; the old one may have been replaced."
        )
    if status == 403:
        return RemoteRefusedError(
            what, mend="Give the API credential the roles that docs/adyen.md lists; compare merchant_account."
        )
    if isinstance(error, NoAnswerError):
        return RemoteUnavailableError(what, mend=error.mend or _LATER)
    if status is not None and (status >= 500 or status in {409, 429} or not is_certainly_refused(error)):
        return RemoteUnavailableError(what, mend=_LATER)
    if status is not None:
        return RemoteRefusedError(what, mend="Type: ils-payment check")
    return RemoteGarbledError(what, mend="Look for an update of ils-payment.")


@contextmanager
def questions() -> Iterator[None]:
    """Let only RemoteError out, while something is asked that moves no money."""
    try:
        yield
    except RemoteError:
        raise
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
        raise translate(error) from None
