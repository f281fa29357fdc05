"""A simulated Adyen: payment links, hosted sessions, refunds, and signed notices with their bad habits.

It imitates Checkout v72 as Adyen's API description has it, and the standard webhook. Wordings are our own.
What Adyen does not publish is marked where it is imitated.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from ils_payment.testing.simulator import RealWorld
from ils_payment_adyen.simulator.api import Api
from ils_payment_adyen.simulator.book import Book, NotPayableError
from ils_payment_adyen.simulator.faults import Faults
from ils_payment_adyen.simulator.outbox import RETRY_SECONDS, Habits, Outbox, Parcel
from ils_payment_adyen.simulator.page import Page
from ils_payment_adyen.simulator.sender import Sender

if TYPE_CHECKING:
    from ils_payment.model import RawRequest, Reply
    from ils_payment.testing.simulator import SimulatorWorld

__all__ = ["AdyenSimulator", "Habits", "NotPayableError", "Parcel"]

DEMO_RETRY_SECONDS = (1, 2, 4, 8, 15, 30, 60, 120)
KEY = "44" * 32


class AdyenSimulator:
    """One merchant account with one webhook.

    Beside :meth:`handle` and :meth:`truth` there are the hands of payer, bank and clock on ``book``
    (``pay``, ``decline``, ``pay_later``, ``charge_back``, ...), and the switches ``faults`` and ``habits``.
    """

    def __init__(  # noqa: PLR0913 - each is a switch with a default, given by name
        self,
        world: SimulatorWorld | None = None,
        *,
        api_key: str = "AQE-simulator",
        merchant_account: str = "LibraryECOM",
        hmac_key: str = KEY,
        webhook_url: str | None = None,
        webhook_auth: tuple[str, str] | None = None,
        public_url: str | None = None,
        live: bool = False,
        seed: int = 0,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        refund_seconds: float | None = 0,
        pending_seconds: float = 20,
    ) -> None:
        """Open an account.

        *webhook_url* is where :meth:`start_sender` posts to. *public_url* is the address of the pages;
        without it the ``Host`` of the request that made them. *refund_seconds*: after how long a refund
        is through (None: never by itself); *pending_seconds*: how long a payment that a bank confirms
        later takes.
        """
        self.world = world or RealWorld()
        self.lock = threading.RLock()
        self.public_url = public_url
        self.outbox = Outbox(hmac_key, webhook_url, webhook_auth, retry_seconds, live=live)
        self.book = Book(
            self.world,
            self.lock,
            self.outbox,
            account=merchant_account,
            seed=seed,
            refund_seconds=refund_seconds,
            pending_seconds=pending_seconds,
        )
        self.faults = Faults()
        self._api = Api(self.book, self.faults, api_key)
        self._page = Page(self.book)
        self._sender = Sender(self)

    @classmethod
    def demo(cls, **options: Any) -> AdyenSimulator:  # noqa: ANN401 - the constructor's own options
        """Return the account of ``ils-payment demo``."""
        return cls(retry_seconds=DEMO_RETRY_SECONDS, refund_seconds=10, pending_seconds=10, **options)

    @property
    def habits(self) -> Habits:
        """Return the switches of the deliveries."""
        return self.outbox.habits

    @property
    def webhook_url(self) -> str | None:
        """Return where notices are posted to; set it when the product's address is known."""
        return self.outbox.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.outbox.url = url

    def handle(self, request: RawRequest) -> Reply:
        """Answer one request to the API or to a page."""
        self.book.tick()
        if request.path.startswith("/pay/"):
            return self._page.handle(request)
        host = request.headers.get("host", "test.adyen.link")
        return self._api.handle(request, self.public_url or f"http://{host}")

    def due_deliveries(self) -> list[Parcel]:
        """Take every notice that is due now, signed; report what came of it with :meth:`answered`."""
        self.book.tick()
        with self.lock:
            return self.outbox.take_due(self.world.now())

    def answered(self, parcel: Parcel, status: int | None) -> None:
        """Note the endpoint's answer (None: there was none); anything but a 2xx is repeated later."""
        with self.lock:
            self.outbox.answered(parcel, status, self.world.now())

    def start_sender(self) -> None:
        """Post due notices to ``webhook_url`` from a thread, until :meth:`stop_sender`."""
        self._sender.start()

    def stop_sender(self) -> None:
        """Stop the thread; what is waiting keeps waiting."""
        self._sender.stop()

    def truth(self) -> dict[str, Any]:
        """Return the whole state as JSON types."""
        self.book.tick()
        with self.lock:
            return {
                "account": self.book.account,
                "pages": copy.deepcopy(self.book.pages),
                "payments": copy.deepcopy(self.book.payments),
                "refunds": copy.deepcopy(self.book.refunds),
                "captured": self.book.captured(),
                "refunded": self.book.refunded(),
                "events": [one.as_truth() for one in self.outbox.deliveries],
                "deliveries": [one.as_truth() for one in self.outbox.deliveries],
                "requests": dict(self._api.requests),
                "bodies": copy.deepcopy(self._api.bodies),
                "idempotency_keys": dict(self._api.keys_seen),
            }
