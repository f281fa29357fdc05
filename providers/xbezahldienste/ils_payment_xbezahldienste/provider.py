"""The way of a payment through a payment service that speaks XBezahldienste.

The interface has no notice, no refund and no way to end a transaction: the return page and the sweep
read, a refund is an order to the treasury, and an abandoned page ends by the service's own time limit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from ils_payment.errors import (
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    CannotTell,
    Forged,
    NoticeOutcome,
    ProviderCapabilities,
    ReadSupport,
    Redirect,
    Reply,
    Started,
    StartRefused,
    Unclear,
)
from ils_payment_xbezahldienste import checks, wire
from ils_payment_xbezahldienste.client import Client, NoAnswerError
from ils_payment_xbezahldienste.config import XBezahldiensteConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ils_payment.model import Attempt, Finding, Notice, Observation, RawRequest
    from ils_payment.ports import Host, PluginConfig
    from ils_payment_xbezahldienste.client import Answer

METHODS = ("payment_page", "card", "instant_bank_transfer")
"""The payer chooses on the payment page, whatever was chosen before: the request has no field for it."""

UNREACHABLE_AFTER = timedelta(hours=24)
"""After so long a page whose address nobody ever learned is taken for over.

The payment service ends it by a time limit of its own (documented); how long that is, nobody says.
"""

LONGEST_PENDING = timedelta(days=7)
"""The interface has no state for a slow bank; the days are for a word that it may get (inferred)."""

_STATUS = {NoticeOutcome.STORED: 200, NoticeOutcome.FORGED: 404, NoticeOutcome.BUSY: 503}


class XBezahldiensteProvider:
    """One end point of one payment service of one library."""

    Config: ClassVar[type[PluginConfig]] = XBezahldiensteConfig

    def __init__(self, config: XBezahldiensteConfig, host: Host) -> None:
        """Keep what is needed; no I/O."""
        self._config = config
        self._host = host
        self._client = Client(config, host)
        self._path = f"{config.originator_id}/{config.end_point_id}"

    def capabilities(self) -> ProviderCapabilities:
        """Say what the interface has: start and read, and nothing else."""
        return ProviderCapabilities(
            live=self._config.live,
            read=ReadSupport.FULL,
            notices=False,
            close=False,
            find=True,
            # A repeated requestId never gets the first answer again.
            key_lifetime=timedelta(0),
            longest_pending=LONGEST_PENDING,
            redirect_origins=self._config.origins,
            currencies=(wire.CURRENCY,),
            line_accounts=self._config.line_accounts,
        )

    def methods(self) -> Sequence[str]:
        """Return the words under which the payment page can be offered."""
        return METHODS

    def check(self) -> list[Finding]:
        """Authenticate and ask for the state of this end point; no transaction is made."""
        return checks.check(self._client, self._config, self._host, self._path)

    def prepare(self, attempt: Attempt) -> str:
        """Return the PaymentRequest as JSON text with exact decimal amounts."""
        return wire.as_text(wire.request_for(attempt, self._config, self._host.library.name))

    def start(self, attempt: Attempt) -> Started | StartRefused | Unclear:
        """Make the transaction from the stored request. A wrong one cannot be ended, so it stays unclear."""
        try:
            answer = self._post(attempt)
        except NoAnswerError as error:
            return Unclear(reason=error.what)
        except RemoteError as error:
            return StartRefused(reason=error.what)
        if answer.status not in {200, 201}:
            code, told = wire.problem(answer.body)
            reason = _said(answer.status, code, told)
            refused = wire.is_refused(answer.status, code)
            return StartRefused(reason=reason) if refused else Unclear(reason=reason)
        try:
            transaction = wire.parsed(answer.body)
        except RemoteGarbledError as error:
            return Unclear(reason=error.what)
        wrong = self._complaint(transaction, attempt)
        return Unclear(reason=wrong) if wrong else _started(transaction, attempt)

    def find(self, attempt: Attempt) -> Started | CannotTell | None:
        """Say whether an attempt has a transaction.

        A payment service without ids of its own answers to the requestId (seen), so that is asked for
        first. Any other is asked by the stored request under the same requestId, which makes at most one
        transaction: either it makes the one that never arrived, or it answers ``PAYMENT_EXISTS``
        (documented). Then the page's address was in the lost answer alone: nobody has it, and nobody can
        pay there. The claim stays until the payment service must have ended it.
        """
        found = self._read(attempt.key, attempt)
        if found is None:
            answer = self._post(attempt)
            code, told = wire.problem(answer.body)
            if answer.status not in {200, 201}:
                if code == wire.EXISTS:
                    return self._unreachable(attempt, "it exists, and its id was in the answer that got lost")
                raise _error(answer.status, code, told)
            found = wire.parsed(answer.body)
        wrong = self._complaint(found, attempt)
        if wrong and not wire.may_hold_money(found, attempt.key):
            return self._unreachable(attempt, wrong)
        return _started(found, attempt)

    def read(self, session_ref: str, return_params: Mapping[str, str] | None = None) -> Observation:
        """Read the transaction; the way back into our page carries no result (documented)."""
        answer = self._get(session_ref)
        if answer.status != 200:
            raise _error(answer.status, *wire.problem(answer.body))
        return wire.observation(wire.parsed(answer.body), live=self._config.live)

    def close(self, session_ref: str) -> Observation:
        """Refuse: the interface has no way to end a transaction, and ``close`` is not declared."""
        raise RemoteRefusedError(
            "XBezahldienste cannot end a transaction.",
            mend="Nothing to do: the payment service ends it by its own time limit.",
        )

    def notice(self, request: RawRequest, now: datetime) -> Sequence[Notice] | Forged:
        """Refuse: the interface sends no notices, so whoever sends one is somebody else."""
        return Forged("XBezahldienste sends no notices")

    def reply(self, outcome: NoticeOutcome) -> Reply:
        """Answer as for any other provider; only somebody else would ever read it."""
        return Reply(status=_STATUS[outcome])

    def _post(self, attempt: Attempt) -> Answer:
        return self._client.send("POST", f"paymenttransaction/{self._path}", attempt.request)

    def _get(self, transaction_id: str) -> Answer:
        return self._client.send("GET", f"paymenttransaction/{self._path}/{quote(transaction_id, safe='')}")

    def _read(self, transaction_id: str, attempt: Attempt) -> dict[str, Any] | None:
        """Return the transaction with this id if it is the attempt's; None where that proves nothing."""
        answer = self._get(transaction_id)
        if answer.status in {401, 403} or answer.status >= 500:
            raise _error(answer.status, *wire.problem(answer.body))
        if answer.status != 200:
            return None
        found = wire.parsed(answer.body)
        echo = found.get("paymentRequest")
        return found if isinstance(echo, dict) and echo.get("requestId") == attempt.key else None

    def _complaint(self, transaction: Mapping[str, Any], attempt: Attempt) -> str:
        return wire.complaint(transaction, wire.parsed(attempt.request), self._config.origins)

    def _unreachable(self, attempt: Attempt, reason: str) -> CannotTell | None:
        if self._host.now() - attempt.created_at < UNREACHABLE_AFTER:
            return CannotTell(reason=reason)
        return None


def _started(transaction: Mapping[str, Any], attempt: Attempt) -> Started:
    """Return the transaction; one that is over has no page any more, so our own says what is true."""
    told = wire.information(transaction)
    page = told.get("transactionRedirectUrl") if told.get("status") == "INITIAL" else None
    url = page or wire.parsed(attempt.request)["redirectUrl"]
    return Started(session_ref=str(told["transactionId"]), interaction=Redirect(str(url)))


def _said(status: int, code: str, told: str) -> str:
    facts = f"HTTP {status}, {code}" if code else f"HTTP {status}"
    return f"The payment service answered ({facts}){f': {told}' if told else ''}"


def _error(status: int, code: str, told: str) -> RemoteError:
    """Return the house's error for an answer that is none to the question."""
    what = f"{_said(status, code, told)}."
    if status in {401, 403} or code == "FORBIDDEN":
        return RemoteRefusedError(what, mend="Compare the credentials and ids; type: ils-payment check")
    if status == 429 or status >= 500:
        return RemoteUnavailableError(
            what, mend="Nothing to do unless it lasts; then ask the payment service."
        )
    if 400 <= status < 500:
        return RemoteRefusedError(what, mend="Compare url and ids; type: ils-payment check")
    return RemoteGarbledError(what, mend="Look whether url is the address that the payment service named.")
