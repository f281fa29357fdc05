"""XBezahldienste on the stand of the contract kit: a payment service that has no ids of its own.

Only there can a start whose answer got lost always be found again.
"""

from __future__ import annotations

from pydantic import SecretStr

from ils_payment.model import RawRequest
from ils_payment.testing.stands import Call, NotPayable, ProviderStand, SeenSession
from ils_payment_xbezahldienste.config import Authentication, XBezahldiensteConfig
from ils_payment_xbezahldienste.provider import XBezahldiensteProvider
from ils_payment_xbezahldienste.simulator import (
    NotPayableError,
    SimulatedService,
    XBezahldiensteSimulator,
)

_USER = "library"
_PASSWORD = "canary-of-the-password"
_ADDRESS = "127.0.0.1:12113"


class XBezahldiensteStand(ProviderStand):
    """One end point that is reached by Basic."""

    name = "xbezahldienste"
    secrets = (_PASSWORD,)

    def __init__(self) -> None:
        super().__init__()
        service = SimulatedService(request_id_is_transaction_id=True)
        self.service = XBezahldiensteSimulator(
            self.simulated, basic=(_USER, _PASSWORD), service=service, public_url=f"http://{_ADDRESS}"
        )
        self.serve(_ADDRESS, self.service)

    def open(self) -> XBezahldiensteProvider:
        """Return the provider."""
        config = XBezahldiensteConfig(
            url=f"http://{_ADDRESS}/",
            originator_id=self.service.service.originator_id,
            end_point_id=self.service.service.end_point_id,
            authentication=Authentication.BASIC,
            user=_USER,
            password=SecretStr(_PASSWORD),
            booking_data={"HHST": "{cost_centre}"},
        )
        return XBezahldiensteProvider(config, self.host)

    def is_call(self, call: Call, request: RawRequest) -> bool:
        """Know a call by its method; the interface has two."""
        ours = request.path.startswith("/paymenttransaction/")
        return ours and request.method == {Call.START: "POST", Call.READ: "GET"}.get(call)

    def refuse_us(self) -> None:
        """Replace the password."""
        self.service.change_password("another")

    def pay(self, session_ref: str, method: str, *, cents: int | None = None) -> None:
        """Pay on the page."""
        try:
            if cents is None:
                self.service.book.pay(session_ref)
            else:
                self.service.book.pay_other_amount(session_ref, cents)
        except NotPayableError as error:
            raise NotPayable from error

    def decline(self, session_ref: str, method: str) -> None:
        """Let a try fail."""
        self.service.book.decline(session_ref)

    def expire(self, session_ref: str) -> None:
        """Let time pass until the payment service gives up."""
        self.simulated.pass_time(seconds=self.service.service.timeout_seconds)

    def sessions(self) -> list[SeenSession]:
        """Return the transactions."""
        self.catch_up()
        return [
            SeenSession(
                ref=key,
                reference=one["references"][0],
                cents=one["cents"],
                currency=one["currency"],
                payable=one["status"] == "INITIAL",
            )
            for key, one in self.service.truth()["transactions"].items()
        ]
