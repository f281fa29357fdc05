"""Stripe on the stand of the contract kit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from ils_payment.model import RawRequest
from ils_payment.testing.stands import Call, NotPayable, ProviderStand, SeenRefund, SeenSession
from ils_payment_stripe.config import StripeConfig
from ils_payment_stripe.provider import StripeProvider
from ils_payment_stripe.reversals import REFUND_KEY
from ils_payment_stripe.simulator import NotPayableError, StripeSimulator
from ils_payment_stripe.simulator.objects import PAYER

_KEY, _WEBHOOK_SECRET = "sk_test_canary_of_the_key", "whsec_canary_of_the_webhook"
_ADDRESS = "127.0.0.1:12111"
_SESSIONS = "/v1/checkout/sessions"
_METHODS = {"card": "card", "instant_bank_transfer": "pay_by_bank"}


class StripeStand(ProviderStand):
    """One Stripe account with cards and Pay by Bank."""

    name = "stripe"
    secrets = (_KEY, _WEBHOOK_SECRET)
    minimum = 50
    payer = (PAYER["email"], PAYER["name"])

    def __init__(self) -> None:
        super().__init__()
        self.stripe = StripeSimulator.demo(
            world=self.simulated,
            api_key=_KEY,
            webhook_secret=_WEBHOOK_SECRET,
            webhook_url="https://pay.town.example/webhooks/town/stripe",
            public_url=f"http://{_ADDRESS}",
        )
        self.serve(_ADDRESS, self.stripe)

    def open(self) -> StripeProvider:
        """Return the provider with the account's secret key."""
        config = StripeConfig(
            api_key=SecretStr(_KEY),
            webhook_secrets=(SecretStr(_WEBHOOK_SECRET),),
            statement_descriptor="STADTBUECHEREI",
            api_base=f"http://{_ADDRESS}",
        )
        return StripeProvider(config, self.host)

    def is_call(self, call: Call, request: RawRequest) -> bool:
        """Know a call by method and path."""
        method, path = request.method, request.path
        return {
            Call.START: (method, path) == ("POST", _SESSIONS),
            Call.READ: method == "GET" and path.startswith(f"{_SESSIONS}/"),
            Call.CLOSE: method == "POST" and path.endswith("/expire"),
            Call.REFUND: (method, path) == ("POST", "/v1/refunds"),
        }[call]

    def refuse_us(self) -> None:
        """Roll the secret key."""
        self.stripe.roll_key("sk_test_another")

    def pay(self, session_ref: str, method: str, *, cents: int | None = None) -> None:
        """Pay on the hosted page."""
        with _payer():
            if cents is None:
                self.stripe.pay(session_ref, _METHODS[method])
            else:
                self.stripe.pay_other_amount(session_ref, cents, _METHODS[method])

    def pay_later(self, session_ref: str, method: str) -> None:
        """Finish the page; the bank has not decided."""
        self.stripe.pay_pending(session_ref, _METHODS[method])

    def decide(self, session_ref: str, *, success: bool) -> None:
        """Let the bank decide."""
        (self.stripe.succeed_pending if success else self.stripe.fail_pending)(session_ref)

    def decline(self, session_ref: str, method: str) -> None:
        """Let a try fail."""
        self.stripe.decline(session_ref, _METHODS[method])

    def expire(self, session_ref: str) -> None:
        """Let time pass until the session is over."""
        over = self._books("sessions")[session_ref]["expires_at"] + 1
        self.simulated.pass_time(seconds=over - self.world.now().timestamp())

    def refund_by_hand(self, session_ref: str, cents: int) -> None:
        """Refund in the dashboard."""
        with _payer():
            self.stripe.refund_in_dashboard(session_ref, cents)

    def charge_back(self, session_ref: str) -> None:
        """Let the payer dispute the charge."""
        self.stripe.dispute(session_ref)

    def fail_refund(self, ref: str) -> None:
        """Let a refund fail days later."""
        self.stripe.finish_refund(ref, success=False)

    def pay_out(self) -> None:
        """Let the days of a payout pass."""
        for _ in range(6):
            self.simulated.pass_time(days=1)
            self.stripe.tick()

    def sessions(self) -> list[SeenSession]:
        """Return the account's sessions."""
        return [
            SeenSession(
                ref=one["id"],
                reference=one["client_reference_id"],
                cents=one["amount_total"],
                currency=one["currency"],
                payable=one["status"] == "open",
            )
            for one in self._books("sessions").values()
        ]

    def refunds(self, session_ref: str) -> list[SeenRefund]:
        """Return the refunds of a session's intent."""
        intent = self._books("sessions")[session_ref]["payment_intent"]
        return [
            SeenRefund(
                ref=one["id"],
                key=one["metadata"].get(REFUND_KEY, ""),
                cents=one["amount"],
                counts=one["status"] not in {"failed", "canceled"},
            )
            for one in self._books("refunds").values()
            if one["payment_intent"] == intent
        ]

    def notices(self) -> list[RawRequest]:
        """Take the due webhooks."""
        return [parcel.raw_request() for parcel in self.stripe.due_deliveries()]

    def foreign_notices(self, session_ref: str) -> list[RawRequest]:
        """Return webhooks of a kind that the endpoint was subscribed to by mistake."""
        self.notices()
        self.stripe.book.outbox.subscribed = ("customer.created",)
        self.stripe.book.emit("customer.created", {"id": "cus_1", "object": "customer", "livemode": False})
        return self.notices()

    def signed_with_another_key(self, session_ref: str) -> list[RawRequest]:
        """Return the webhooks of the session under a secret that nobody configured."""
        self.stripe.webhooks.sign_with = ("whsec_of_somebody_else",)
        return self.notices()

    def _books(self, kind: str) -> dict[str, dict[str, Any]]:
        self.catch_up()
        books: dict[str, dict[str, Any]] = self.stripe.truth()[kind]
        return books


@contextmanager
def _payer() -> Iterator[None]:
    """Say in the kit's word that a session cannot be paid, or given back."""
    try:
        yield
    except NotPayableError as error:
        raise NotPayable from error
