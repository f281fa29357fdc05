"""The transactions of the simulated payment service, and the hands of payer, bank and clock."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ils_payment.testing.simulator import SimulatorWorld

METHODS = ("CREDITCARD", "PAYPAL", "OTHER")
"""What the page offers; the interface has GIROPAY and PAYDIRECT too, by which nobody can pay any more."""


class NotPayableError(Exception):
    """The payer tried something that this transaction's state does not allow (it is over already)."""


@dataclass(kw_only=True)
class SimulatedService:
    """Switches of the payment service that a test may turn at any time.

    ``originator_id`` and ``end_point_id`` are the only ones that it knows. ``required_booking_data``: names
    that each item must carry. ``request_id_is_transaction_id``: it has no ids of its own (the interface
    allows that). ``refuses_empty_parts``: an empty ``bookingData`` and any ``requestor`` are refused, as
    seen with ePay21. ``capitals_only``: a ``purpose`` with small letters is refused, as ePayBL's operators
    document. ``timeout_seconds``: after so long an untouched transaction fails. ``lag_seconds``: for so
    long after the payer's last click the interface still says INITIAL. ``ready``: what ``status`` says.
    ``name`` stands on the payment page.
    """

    originator_id: str = "bibliothek"
    end_point_id: str = "08115003"
    required_booking_data: tuple[str, ...] = ()
    request_id_is_transaction_id: bool = False
    refuses_empty_parts: bool = True
    capitals_only: bool = False
    timeout_seconds: int = 1800
    lag_seconds: int = 0
    ready: bool = True
    name: str = "Simulierte Stadtkasse"


@dataclass(kw_only=True)
class Transaction:
    """One transaction: what was asked for, and what became of it.

    ``told`` is the status that the interface shows until ``lag_until``. ``taken`` is the money that the
    payer really gave, in cents of ``taken_in``.
    """

    id: str
    request: dict[str, Any]
    made_at: datetime
    status: str = "INITIAL"
    told: str = "INITIAL"
    lag_until: datetime | None = None
    paid_at: datetime | None = None
    method: str | None = None
    reference: str | None = None
    taken: int = 0
    taken_in: str = ""

    @property
    def cents(self) -> int:
        """Return what is to be paid."""
        return int(Decimal(self.request["grosAmount"]) * 100)


class Book:
    """All transactions by id, in the order in which they arose. Callers of private steps hold ``lock``."""

    def __init__(self, world: SimulatorWorld, service: SimulatedService, seed: int) -> None:
        """Start empty; ids come from *seed* alone."""
        self.world = world
        self.service = service
        self.lock = threading.RLock()
        self.transactions: dict[str, Transaction] = {}
        self._random = random.Random(seed)

    def add(self, request: dict[str, Any]) -> Transaction:
        """Make one transaction."""
        own = self.service.request_id_is_transaction_id
        key = request["requestId"] if own else f"TX-{self._random.getrandbits(64):016X}"
        made = Transaction(id=key, request=request, made_at=self.world.now())
        self.transactions[key] = made
        return made

    def new_token(self) -> str:
        """Return a token that nobody has yet."""
        return f"{self._random.getrandbits(160):040x}"

    def known(self, request_id: str) -> Transaction | None:
        """Return the transaction that was made under *request_id*."""
        return next(
            (one for one in self.transactions.values() if one.request["requestId"] == request_id), None
        )

    def tick(self) -> None:
        """Let everything happen that is due by the world's clock."""
        with self.lock:
            now = self.world.now()
            patience = timedelta(seconds=self.service.timeout_seconds)
            for one in self.transactions.values():
                if one.status == "INITIAL" and now >= one.made_at + patience:
                    one.status = "FAILED"
                if one.lag_until is None or now >= one.lag_until:
                    one.told, one.lag_until = one.status, None

    # --- on the payment page ------------------------------------------------------------------

    def pay(self, transaction_id: str, method: str = "CREDITCARD") -> None:
        """Pay at once and in full."""
        with self.lock:
            one = self._open(transaction_id)
            self._collect(one, method)
            self._clicked(one)

    def cancel(self, transaction_id: str) -> None:
        """Give up on the page."""
        self._end(transaction_id, "CANCELED")

    def decline(self, transaction_id: str) -> None:
        """Let one try fail: the payer is still there, and the transaction stays as it is (documented)."""
        with self.lock:
            self._open(transaction_id)

    def fail(self, transaction_id: str) -> None:
        """Let the payment service give up, as it does with a suspicion of fraud."""
        self._end(transaction_id, "FAILED")

    def pay_other_amount(self, transaction_id: str, cents: int, currency: str = "EUR") -> None:
        """Pay what nobody asked for; the interface then says so in the request that it repeats."""
        with self.lock:
            one = self._open(transaction_id)
            one.request["grosAmount"] = Decimal(cents).scaleb(-2)
            one.request["currency"] = currency
            self._collect(one, "CREDITCARD")
            self._clicked(one)

    def pay_late(self, transaction_id: str) -> None:
        """Let money arrive for a transaction that failed or was cancelled (nothing published excludes it)."""
        with self.lock:
            self.tick()
            one = self.transactions[transaction_id]
            if one.status not in {"FAILED", "CANCELED"}:
                raise NotPayableError(f"transaction {transaction_id} is {one.status}, not over")
            self._collect(one, "OTHER")
            self.tick()

    # --- steps --------------------------------------------------------------------------------

    def _open(self, transaction_id: str) -> Transaction:
        self.tick()
        one = self.transactions[transaction_id]
        if one.status != "INITIAL":
            raise NotPayableError(f"transaction {transaction_id} is {one.status}")
        return one

    def _end(self, transaction_id: str, status: str) -> None:
        with self.lock:
            one = self._open(transaction_id)
            one.status = status
            self._clicked(one)

    def _clicked(self, one: Transaction) -> None:
        """Let the interface lag behind what has just happened on the page."""
        if self.service.lag_seconds:
            one.lag_until = self.world.now() + timedelta(seconds=self.service.lag_seconds)
        self.tick()

    def _collect(self, one: Transaction, method: str) -> None:
        one.status, one.method, one.paid_at = "PAYED", method, self.world.now()
        one.reference = f"KZ{self._random.randrange(10**10):010}"
        one.taken, one.taken_in = one.cents, one.request["currency"]

    # --- as the interface shows it ------------------------------------------------------------

    def shown(self, one: Transaction, base: str) -> dict[str, Any]:
        """Return the PaymentTransaction; the payment page is named while one can pay there (documented)."""
        service = self.service
        path = f"paymenttransaction/{service.originator_id}/{service.end_point_id}/{one.id}"
        told: dict[str, Any] = {
            "transactionUrl": f"{base}/{path}",
            "transactionId": one.id,
            "status": one.told,
        }
        if one.told == "INITIAL":
            told["transactionRedirectUrl"] = f"{base}/paypage/{one.id}"
        if one.told == "PAYED" and one.paid_at is not None:
            stamp = one.paid_at.astimezone(UTC).isoformat(timespec="milliseconds")
            told["transactionTimestamp"] = stamp.replace("+00:00", "Z")
            told["transactionReference"] = one.reference
            told["paymentMethod"] = one.method
        return {"paymentInformation": told, "paymentRequest": one.request}

    def truth(self) -> dict[str, Any]:
        """Return every transaction as JSON types."""
        return {
            one.id: {
                "requestId": one.request["requestId"],
                "references": sorted({item["reference"] for item in one.request["items"]}),
                "purpose": one.request["purpose"],
                "items": [
                    {
                        "description": item["description"],
                        "cents": int(item["totalNetAmount"] * 100),
                        "bookingData": item.get("bookingData", {}),
                    }
                    for item in one.request["items"]
                ],
                "cents": one.cents,
                "currency": one.request["currency"],
                "status": one.status,
                "told": one.told,
                "method": one.method,
                "transactionReference": one.reference,
                "taken": one.taken,
            }
            for one in self.transactions.values()
        }
