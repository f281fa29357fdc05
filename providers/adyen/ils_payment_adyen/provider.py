"""The way of a payment through Adyen: a payment link or a hosted session, and signed notices."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from ils_payment.errors import RemoteError, RemoteGarbledError, RemoteRefusedError
from ils_payment.model import (
    NoticeOutcome,
    ProviderCapabilities,
    ReadSupport,
    Redirect,
    RefundSupport,
    Reply,
    Started,
    StartRefused,
    Unclear,
)
from ils_payment_adyen import checks, refunding, wire
from ils_payment_adyen.client import (
    Checkout,
    describe,
    is_certainly_refused,
    questions,
    status_of,
    translate,
)
from ils_payment_adyen.config import AdyenConfig
from ils_payment_adyen.webhook import read_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.model import (
        Attempt,
        CannotTell,
        Finding,
        Forged,
        Notice,
        Observation,
        RawRequest,
        Refunded,
        RefundOrder,
        RefundRefused,
    )
    from ils_payment.ports import Host, PluginConfig

KEY_LIFETIME = timedelta(days=7)
"""Adyen's documentation says 31 days in newer and 7 in older copies; the shorter one is safe."""

LONGEST_PENDING = timedelta(days=7)
"""Cards, Pay by Bank and Trustly confirm at once or by the next day (inferred)."""

# Adyen repeats whatever is not answered with a 2xx for thirty days, and one that fails holds up the rest.
_STATUS = {NoticeOutcome.STORED: 200, NoticeOutcome.FORGED: 401, NoticeOutcome.BUSY: 503}


class AdyenProvider:
    """One merchant account of one library."""

    Config: ClassVar[type[PluginConfig]] = AdyenConfig

    def __init__(self, config: AdyenConfig, host: Host) -> None:
        """Keep what is needed; the SDK's client does no I/O before the first call."""
        self._config = config
        self._host = host
        self._checkout = Checkout(config, host)
        self._links = config.checkout == "links"
        self._keys = [key.get_secret_value() for key in config.hmac_keys]

    def capabilities(self) -> ProviderCapabilities:
        """Say what a merchant account can do; a session cannot be read at will, nor closed.

        Adyen's lists of payments and payouts are reports of its back office, which are not read: their
        layout is the account's own choice. So neither is declared.
        """
        return ProviderCapabilities(
            live=self._config.live,
            read=ReadSupport.FULL if self._links else ReadSupport.WITH_RETURN,
            notices=True,
            close=self._links,
            find=True,
            key_lifetime=KEY_LIFETIME,
            longest_pending=LONGEST_PENDING,
            redirect_origins=(self._config.redirect_origin,),
            currencies=wire.CURRENCIES,
            refund=RefundSupport.PARTIAL,
            notices_decide=True,
            finds_refunds=False,
            account=self._config.merchant_account,
        )

    def methods(self) -> Sequence[str]:
        """Card always; instant bank transfer where Adyen has one for the library's currency."""
        bank = self._host.library.currency in wire.INSTANT_METHODS or self._config.allow_klarna
        return (wire.CARD, wire.INSTANT) if bank else (wire.CARD,)

    def check(self) -> list[Finding]:
        """Look at key, mode, merchant account, methods and the payment page."""
        return checks.check(self._checkout, self._config, self._host, self.methods())

    def prepare(self, attempt: Attempt) -> str:
        """Return the request as canonical JSON; ConfigurationError for a method that is gone."""
        return wire.as_text(wire.request_for(attempt, self._config, payee=self._host.library.name))

    def start(self, attempt: Attempt) -> Started | StartRefused | Unclear:
        """Make the page from the stored request under the attempt's key, and look at what came."""
        try:
            made = self._make(attempt)
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
            if is_certainly_refused(error):
                return StartRefused(reason=describe(error))
            return Unclear(reason=describe(error))
        wrong = self._complaint(made, attempt)
        if not wrong:
            return _started(made)
        seen = self._ended(made)
        if seen is not None and seen.final:
            return StartRefused(reason=wrong)
        return Unclear(reason=f"{wrong}; the page could not be ended")

    def find(self, attempt: Attempt) -> Started | CannotTell | None:
        """Say whether an attempt has a page by repeating the stored request under its key.

        Adyen gives the first answer again, or, if the first call never arrived, makes the page now. Where it
        refuses, it refused the first call too, or never got it (that an answer is repeated before the
        request is looked at is inferred). When its time is over nobody can pay on a page whose address
        only a lost answer told. A wrong link that was paid counts as started, without its page: what came
        has to be read.
        """
        ends = datetime.fromisoformat(json.loads(attempt.request)["expiresAt"])
        if self._host.now() - attempt.created_at >= KEY_LIFETIME:
            return None
        try:
            made = self._make(attempt)
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
            if not is_certainly_refused(error) or status_of(error) in {401, 403, 404}:
                raise translate(error) from None
            return None
        wrong = self._complaint(made, attempt)
        if not wrong:
            return _started(made)
        seen = self._ended(made)
        ours = made.get("reference") == attempt.reference
        if ours and seen is not None and seen.may_hold_money:
            return _started({**made, "url": json.loads(attempt.request)["returnUrl"]})
        if (seen is not None and seen.final) or self._host.now() >= ends:
            return None
        raise RemoteGarbledError(
            f"The payment page of an attempt is not as asked for ({wrong}) and could not be ended.",
            mend="End it in Adyen's Customer Area, then type: ils-payment check",
        )

    def read(self, session_ref: str, return_params: Mapping[str, str] | None = None) -> Observation:
        """Read a link; a session's result only with what Adyen added to the way back.

        The result belongs to the session: Adyen refuses one of another session, and its reference is
        compared by the core.
        """
        live = self._config.live
        if self._links:
            with questions():
                return wire.of_link(self._checkout.link(session_ref), live=live)
        result = (return_params or {}).get("sessionResult", "")
        if not result or (return_params or {}).get("sessionId", session_ref) != session_ref:
            raise RemoteRefusedError(
                "A session of Adyen's cannot be read without the result that it gave to its own payer.",
                mend="Nothing to do: the notice tells what became of it.",
            )
        with questions():
            found = self._checkout.session_result(session_ref, result)
        if found.get("id") != session_ref:
            raise RemoteGarbledError(
                "Adyen's answer is about another session.", mend="Type: ils-payment check"
            )
        return wire.of_session(found, live=live)

    def close(self, session_ref: str) -> Observation:
        """Let a link expire; Adyen refuses that for one that is over already, and reading tells why."""
        if not self._links:
            raise RemoteRefusedError(
                "A hosted session of Adyen's cannot be closed.", mend="Nothing to do: it ends by itself."
            )
        with questions():
            try:
                self._checkout.expire_link(session_ref)
            except Exception as error:
                if status_of(error) not in {400, 422}:
                    raise
        return self.read(session_ref)

    def notice(self, request: RawRequest, now: datetime) -> Sequence[Notice] | Forged:
        """Verify and translate; see :mod:`ils_payment_adyen.webhook`."""
        password = self._config.webhook_password
        return read_request(
            request,
            self._keys,
            user=self._config.webhook_user,
            password=password.get_secret_value() if password else "",
            closes=not self._links,
        )

    def reply(self, outcome: NoticeOutcome) -> Reply:
        """Answer so that Adyen repeats (for up to thirty days) whatever is not stored."""
        return Reply(status=_STATUS[outcome])

    def refund(self, order: RefundOrder) -> Refunded | RefundRefused | Unclear:
        """Give money back: **money moves here**; see :mod:`ils_payment_adyen.refunding`."""
        return refunding.refund(self._checkout, self._host, self._config.merchant_account, order)

    def _make(self, attempt: Attempt) -> dict[str, Any]:
        request = json.loads(attempt.request)
        make = self._checkout.make_link if self._links else self._checkout.start_session
        return make(request, attempt.key)

    def _complaint(self, made: Mapping[str, Any], attempt: Attempt) -> str:
        return wire.complaint(made, json.loads(attempt.request), origin=self._config.redirect_origin)

    def _ended(self, made: Mapping[str, Any]) -> Observation | None:
        """End a link that is not as asked for, and say what is true of it then; None if that failed."""
        if not self._links:
            return None
        try:
            return self.close(str(made["id"]))
        except (RemoteError, KeyError):
            return None


def _started(made: Mapping[str, Any]) -> Started:
    return Started(
        session_ref=str(made["id"]),
        interaction=Redirect(str(made["url"])),
        expires_at=wire.expiry(made),
    )
