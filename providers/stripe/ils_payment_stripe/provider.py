"""The way of a payment through Stripe's hosted Checkout page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

import stripe

from ils_payment.errors import RemoteError, RemoteGarbledError
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
from ils_payment_stripe import books, checks, refunding, wire
from ils_payment_stripe.client import connect, describe, is_certainly_refused, questions, translate
from ils_payment_stripe.config import StripeConfig
from ils_payment_stripe.webhook import read_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from stripe.params.checkout import SessionCreateParams

    from ils_payment.model import (
        Attempt,
        CannotTell,
        Finding,
        Forged,
        Notice,
        Observation,
        PaymentPage,
        Payout,
        RawRequest,
        Refunded,
        RefundOrder,
        RefundRefused,
        Reversal,
    )
    from ils_payment.ports import Host, PluginConfig

KEY_LIFETIME = timedelta(hours=24)
"""Stripe keeps idempotency keys at least this long (documented)."""

LONGEST_PENDING = timedelta(days=7)
"""Card, Pay by Bank and Klarna confirm at once (documented); the days are for a slow bank (inferred)."""

# Refunds are part of a charge only where they are asked for.
_EXPAND = ["payment_intent.latest_charge.refunds"]
_FIND_MARGIN = timedelta(hours=14)
"""Stripe lists by its own clock: ours may be wrong by minutes, or by the hours of a time zone."""
_STATUS = {NoticeOutcome.STORED: 200, NoticeOutcome.FORGED: 400, NoticeOutcome.BUSY: 503}


class StripeProvider:
    """One Stripe account of one library."""

    Config: ClassVar[type[PluginConfig]] = StripeConfig

    def __init__(self, config: StripeConfig, host: Host) -> None:
        """Keep what is needed; the SDK's client does no I/O before the first call."""
        self._config = config
        self._host = host
        self._client = connect(config, host)
        self._secrets = [secret.get_secret_value() for secret in config.webhook_secrets]

    def capabilities(self) -> ProviderCapabilities:
        """Say what a Checkout account can do."""
        return ProviderCapabilities(
            live=self._config.live,
            read=ReadSupport.FULL,
            notices=True,
            close=True,
            find=True,
            key_lifetime=KEY_LIFETIME,
            longest_pending=LONGEST_PENDING,
            redirect_origins=(self._config.page_origin,),
            currencies=wire.CURRENCIES,
            refund=RefundSupport.PARTIAL,
            listing=True,
            payouts=True,
            smallest=wire.SMALLEST.get(self._host.library.currency, 0),
        )

    def methods(self) -> Sequence[str]:
        """Card always; instant bank transfer where Stripe has one for the library's currency."""
        bank = self._host.library.currency in wire.INSTANT_CURRENCIES or self._config.allow_klarna
        return (wire.CARD, wire.INSTANT) if bank else (wire.CARD,)

    def check(self) -> list[Finding]:
        """Look at key, rights, methods, webhook endpoint and clock."""
        return checks.check(self._client, self._config, self._host, self.methods())

    def prepare(self, attempt: Attempt) -> str:
        """Return the session's parameters as canonical JSON; ConfigurationError for a method that is gone."""
        methods = wire.stripe_methods(
            attempt.method, attempt.currency, allow_klarna=self._config.allow_klarna
        )
        request = wire.request_for(
            attempt,
            methods,
            statement_descriptor=self._config.statement_descriptor,
            payee=self._host.library.name,
        )
        return wire.as_text(request)

    def start(self, attempt: Attempt) -> Started | StartRefused | Unclear:
        """Create the session from the stored request under the attempt's key, and look at what came.

        A session that is not as asked for is ended at once, so that nobody can pay it.
        """
        try:
            session = self._create(attempt)
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
            if is_certainly_refused(error):
                return StartRefused(reason=describe(error))
            return Unclear(reason=describe(error))
        wrong = self._complaint(session, attempt)
        if not wrong:
            return _started(session, attempt)
        seen = self._ended(session)
        if seen is not None and seen.final:
            return StartRefused(reason=wrong)
        return Unclear(reason=f"{wrong}; the session could not be ended")

    def find(self, attempt: Attempt) -> Started | CannotTell | None:
        """Say whether an attempt has a session.

        Within the key's lifetime the stored request is repeated under the same key: Stripe gives
        the first answer again, or, if the first call never arrived, makes the session now. That
        is harmless: only we learn its address, and the stored ``expires_at`` ends it. A minute
        after the attempt this ``expires_at`` is too close for a new session, so Stripe refuses and
        makes none. A refusal, and an error that Stripe stored under the key, prove nothing about
        the first call (that Stripe replays before it validates is inferred), so then, and after
        the key's lifetime, the account's sessions of those minutes are searched for the attempt.
        """
        if self._host.now() - attempt.created_at < KEY_LIFETIME:
            try:
                session = self._create(attempt)
            except Exception as error:  # noqa: BLE001 - the SDK raises whatever a strange answer leads it to
                if not _leaves_a_search(error):
                    raise translate(error) from None
            else:
                return self._accepted(session, attempt)
        found = self._search(attempt)
        return None if found is None else self._accepted(found, attempt)

    def read(self, session_ref: str, return_params: Mapping[str, str] | None = None) -> Observation:
        """Read session, intent, charge and refunds in one call.

        Disputes are asked for only if the charge has one, and refunds only if they are more than the
        ten that come with a charge.
        """
        with questions():
            session = self._client.v1.checkout.sessions.retrieve(session_ref, {"expand": _EXPAND})
            plain = session.to_dict()
            charge = wire.charge_of(plain) or {}
            listed = charge.get("refunds") or {}
            refunds, disputes = listed.get("data") or [], []
            if listed.get("has_more"):
                every = self._client.v1.refunds.list({"charge": str(charge["id"]), "limit": 100})
                refunds = [refund.to_dict() for refund in every.auto_paging_iter()]
            if charge.get("disputed"):
                found = self._client.v1.disputes.list({"charge": str(charge["id"]), "limit": 100})
                disputes = [dispute.to_dict() for dispute in found.auto_paging_iter()]
            return wire.observation(plain, disputes, refunds)

    def close(self, session_ref: str) -> Observation:
        """Expire the session; Stripe refuses that for one that is over already, and reading tells why."""
        with questions():
            try:
                self._client.v1.checkout.sessions.expire(session_ref)
            except stripe.InvalidRequestError as error:
                if error.http_status != 400:
                    raise
        return self.read(session_ref)

    def notice(self, request: RawRequest, now: datetime) -> Sequence[Notice] | Forged:
        """Verify and translate; see :mod:`ils_payment_stripe.webhook`."""
        return read_request(request, self._secrets, now, live=self._config.live)

    def reply(self, outcome: NoticeOutcome) -> Reply:
        """Answer so that Stripe repeats (for up to three days) whatever is not stored."""
        return Reply(status=_STATUS[outcome])

    def refund(self, order: RefundOrder) -> Refunded | RefundRefused | Unclear:
        """Give money back: **money moves here**; see :mod:`ils_payment_stripe.refunding`."""
        return refunding.refund(self._client, self._host, order)

    def find_refunds(self, session_ref: str) -> Sequence[Reversal]:
        """Return all refunds and disputes of a session's money, those that failed or were won included."""
        return refunding.find_refunds(self._client, session_ref)

    def payments(self, since: datetime, until: datetime, cursor: str | None = None) -> PaymentPage:
        """List what the account took, by the second; foreign payments are listed without a reference."""
        return books.payments(self._client, since, until, cursor)

    def payouts(self, since: datetime, until: datetime) -> Sequence[Payout]:
        """List what arrived at the bank; only automatic payouts have entries (documented)."""
        return books.payouts(self._client, since, until, self._host.library.time_zone)

    def _create(self, attempt: Attempt) -> dict[str, Any]:
        params = cast("SessionCreateParams", json.loads(attempt.request))
        return self._client.v1.checkout.sessions.create(params, {"idempotency_key": attempt.key}).to_dict()

    def _complaint(self, session: Mapping[str, Any], attempt: Attempt) -> str:
        return wire.complaint(
            session, json.loads(attempt.request), live=self._config.live, origin=self._config.page_origin
        )

    def _accepted(self, session: Mapping[str, Any], attempt: Attempt) -> Started | None:
        """Return the session as started, or None once a wrong one has been ended.

        A wrong one that was paid counts as started, without its page: what came has to be read.
        """
        wrong = self._complaint(session, attempt)
        if not wrong:
            return _started(session, attempt)
        seen = self._ended(session)
        if seen is not None and seen.final:
            return None
        ours = (session.get("metadata") or {}).get("attempt") == attempt.key
        if ours and seen is not None and seen.may_hold_money:
            return _started({**session, "url": None}, attempt)
        raise RemoteGarbledError(
            f"The Stripe session of an attempt is not as asked for ({wrong}) and could not be ended.",
            mend="End the session in Stripe's dashboard, then type: ils-payment check",
        )

    def _ended(self, session: Mapping[str, Any]) -> Observation | None:
        """End a session that is not as asked for, and say what is true of it then; None if that failed."""
        try:
            return self.close(str(session["id"]))
        except (RemoteError, KeyError):
            return None

    def _search(self, attempt: Attempt) -> dict[str, Any] | None:
        """Look for the attempt among the sessions made around it; lists are read fresh (inferred)."""
        first = int((attempt.created_at - _FIND_MARGIN).timestamp())
        last = int((attempt.created_at + _FIND_MARGIN).timestamp())
        with questions():
            sessions = self._client.v1.checkout.sessions.list(
                {"created": {"gte": first, "lte": last}, "limit": 100}
            )
            for session in sessions.auto_paging_iter():
                plain = session.to_dict()
                if (plain.get("metadata") or {}).get("attempt") == attempt.key:
                    return plain
        return None


def _started(session: Mapping[str, Any], attempt: Attempt) -> Started:
    """Return the session; one that is over has no page any more, so our own page says what is true.

    Our page's address comes from the stored request, which alone is the same on every repetition.
    """
    page = session.get("url") or json.loads(attempt.request)["success_url"]
    return Started(
        session_ref=str(session["id"]),
        interaction=Redirect(str(page)),
        expires_at=wire.expiry(session),
    )


def _leaves_a_search(error: Exception) -> bool:
    """Tell whether repeating gave an answer of Stripe's that only a look at its sessions can complete."""
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return False
    status = error.http_status if isinstance(error, stripe.StripeError) else None
    return is_certainly_refused(error) or isinstance(error, stripe.IdempotencyError) or (status or 0) >= 500
