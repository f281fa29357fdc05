"""Adyen on the stand of the contract kit: with payment links, and with sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import SecretStr

from ils_payment.model import RawRequest
from ils_payment.testing.stands import Call, NotPayable, ProviderStand, SeenRefund, SeenSession
from ils_payment_adyen.config import AdyenConfig
from ils_payment_adyen.provider import AdyenProvider
from ils_payment_adyen.simulator import KEY, AdyenSimulator, NotPayableError

_KEY = "AQE-canary-of-the-key"
_ADDRESS = "127.0.0.1:12112"
_METHODS = {"card": "scheme", "instant_bank_transfer": "trustly"}


class AdyenStand(ProviderStand):
    """One merchant account that pays by links."""

    name = "adyen"
    secrets = (_KEY, KEY)
    signs_time = False
    signs_bodies = False
    knows_whose_money = False
    checkout: ClassVar[str] = "links"

    def __init__(self) -> None:
        super().__init__()
        self.adyen = AdyenSimulator(self.simulated, api_key=_KEY, public_url=f"http://{_ADDRESS}")
        self.serve(_ADDRESS, self.adyen)

    def open(self) -> AdyenProvider:
        """Return the provider."""
        table: dict[str, Any] = {
            "api_key": SecretStr(_KEY),
            "merchant_account": "LibraryECOM",
            "hmac_keys": (SecretStr(KEY),),
            "statement": "STADTBUECHEREI",
            "api_base": f"http://{_ADDRESS}",
            "checkout": self.checkout,
        }
        return AdyenProvider(AdyenConfig(**table), self.host)

    def is_call(self, call: Call, request: RawRequest) -> bool:
        """Know a call by method and path."""
        method, path = request.method, request.path
        return {
            Call.START: method == "POST" and path.endswith(("/sessions", "/paymentLinks")),
            Call.READ: method == "GET",
            Call.CLOSE: method == "PATCH",
            Call.REFUND: method == "POST" and path.endswith("/refunds"),
        }[call]

    def refuse_us(self) -> None:
        """Replace the API key."""
        self.adyen._api.api_key = "another"  # noqa: SLF001 - the simulator has no other way yet

    def pay(self, session_ref: str, method: str, *, cents: int | None = None) -> None:
        """Pay on the page."""
        self.adyen.book.tick()
        with _payer():
            self.adyen.book.pay(session_ref, _METHODS[method], cents=cents)

    def pay_later(self, session_ref: str, method: str) -> None:
        """Pay in a way that the bank confirms later."""
        self.adyen.book.pending_seconds = 10_000_000
        self.adyen.book.pay_later(session_ref, _METHODS[method])

    def decide(self, session_ref: str, *, success: bool) -> None:
        """Let the bank decide."""
        self.adyen.book.confirm(self._money(session_ref), success=success)

    def decline(self, session_ref: str, method: str) -> None:
        """Let a try fail."""
        self.adyen.book.decline(session_ref, _METHODS[method])

    def expire(self, session_ref: str) -> None:
        """Let time pass until the page ends."""
        self.simulated.pass_time(days=2)

    def refund_by_hand(self, session_ref: str, cents: int) -> None:
        """Refund in the Customer Area."""
        ref = self.adyen.book.refund(self._money(session_ref), cents, "")
        self.adyen.book.finish_refund(ref)

    def charge_back(self, session_ref: str) -> None:
        """Let the payer's bank take it back."""
        self.adyen.book.charge_back(self._money(session_ref))

    def sessions(self) -> list[SeenSession]:
        """Return the pages."""
        self.catch_up()
        return [
            SeenSession(
                ref=one["id"],
                reference=one["wanted"]["reference"],
                cents=one["wanted"]["amount"]["value"],
                currency=one["wanted"]["amount"]["currency"],
                payable=one["status"] == "active",
            )
            for one in self.adyen.truth()["pages"].values()
        ]

    def refunds(self, session_ref: str) -> list[SeenRefund]:
        """Return the refunds of a page's money."""
        self.catch_up()
        truth = self.adyen.truth()
        return [
            SeenRefund(
                ref=ref,
                key=one["reference"],
                cents=one["cents"],
                counts=one["status"] not in {"refused", "came_back"},
            )
            for ref, one in truth["refunds"].items()
            if one["payment"] in truth["pages"][session_ref]["payments"]
        ]

    def notices(self) -> list[RawRequest]:
        """Take the due notices."""
        return [parcel.raw_request() for parcel in self.adyen.due_deliveries()]

    def foreign_notices(self, session_ref: str) -> list[RawRequest]:
        """Return a report's notice."""
        self.notices()
        self.adyen.book.tell("REPORT_AVAILABLE", "report", self._money(session_ref))
        return self.notices()

    def signed_with_another_key(self, session_ref: str) -> list[RawRequest]:
        """Return the notices under a key that nobody configured."""
        self.adyen.habits.sign_with = "55" * 32
        return self.notices()

    def forge(self, request: RawRequest) -> Sequence[RawRequest]:
        """Take the signature out of the body."""
        return (replace(request, body=request.body.replace(b"hmacSignature", b"other")),)

    def return_params(self, session_ref: str) -> Mapping[str, str] | None:
        """Return what Adyen adds to the way back."""
        return {"sessionId": session_ref, "sessionResult": self.adyen.truth()["pages"][session_ref]["result"]}

    def money_of(self, session_ref: str) -> Mapping[str, str]:
        """Return the reference of the money, which a notice told."""
        payments = self.adyen.truth()["pages"][session_ref]["payments"]
        return {"money_ref": payments[-1]} if payments else {}

    def _money(self, session_ref: str) -> str:
        return str(self.adyen.truth()["pages"][session_ref]["payments"][-1])


class SessionsStand(AdyenStand):
    """The same with hosted sessions, which are read with what the payer brings back only."""

    name = "adyen-sessions"
    checkout = "sessions"


@contextmanager
def _payer() -> Iterator[None]:
    try:
        yield
    except NotPayableError as error:
        raise NotPayable from error
