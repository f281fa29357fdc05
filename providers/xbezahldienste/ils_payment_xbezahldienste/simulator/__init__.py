"""A simulated payment service that speaks XBezahldienste 1.0.0, with its payment page.

Fields, limits, states and error codes are spelled as FITKO publishes them; HTTP status codes of errors
and everything behind the interface are ours. It stands for ePayBL, pmPayment and ePay21 alike: they
differ by the way of authenticating.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment.testing.simulator import RealWorld
from ils_payment_xbezahldienste.simulator.api import TOKEN_PATH, Api, Door
from ils_payment_xbezahldienste.simulator.book import Book, NotPayableError, SimulatedService
from ils_payment_xbezahldienste.simulator.faults import Faults
from ils_payment_xbezahldienste.simulator.page import Page

if TYPE_CHECKING:
    from ils_payment.model import RawRequest, Reply
    from ils_payment.testing.simulator import SimulatorWorld

__all__ = ["TOKEN_PATH", "NotPayableError", "SimulatedService", "XBezahldiensteSimulator"]


class XBezahldiensteSimulator:
    """One end point of one payment service.

    Beside :meth:`handle` and :meth:`truth` there are the hands of payer and clock in :attr:`book` (``pay``,
    ``cancel``, ``fail``, ``pay_late``, ...) and the switches :attr:`service` and :attr:`faults`.
    """

    webhook_url: str | None = None
    """Kept and never used: the interface has no notices."""

    def __init__(
        self,
        world: SimulatorWorld | None = None,
        *,
        basic: tuple[str, str] | None = None,
        oauth2: tuple[str, str] | None = None,
        service: SimulatedService | None = None,
        public_url: str | None = None,
        seed: int = 0,
    ) -> None:
        """Open an end point.

        *basic* is the user and password, *oauth2* the client's id and secret; with neither, whoever reaches
        the server is let in, because TLS has seen the client's certificate. *public_url* is the address of
        interface and page; without it the ``Host`` of the request.
        """
        way = "basic" if basic else "oauth2" if oauth2 else "certificate"
        self.service = service or SimulatedService()
        self.public_url = public_url
        self.faults = Faults()
        self.book = Book(world or RealWorld(), self.service, seed)
        self._api = Api(self.book, self.faults, Door(way=way, pair=basic or oauth2))
        self._page = Page(self.book)

    @classmethod
    def demo(cls, **options: Any) -> XBezahldiensteSimulator:  # noqa: ANN401 - the constructor's own options
        """Return the end point of ``ils-payment demo``."""
        return cls(**options)

    def handle(self, request: RawRequest) -> Reply:
        """Answer one request to the interface or the payment page."""
        self.book.tick()
        if request.path.startswith("/paypage/") and request.method in {"GET", "POST"}:
            return self._page.handle(request)
        return self._api.handle(request, self._address(request))

    def _address(self, request: RawRequest) -> str:
        if self.public_url:
            return self.public_url.rstrip("/")
        return f"http://{request.headers.get('host', 'localhost')}"

    def change_password(self, password: str) -> None:
        """Let another password, or secret of the client, be the right one."""
        self._api.change_password(password)

    def revoke_tokens(self) -> None:
        """Let every token end before its time."""
        with self.book.lock:
            self._api.tokens.clear()

    def start_sender(self) -> None:
        """Do nothing: the interface has no notices."""

    def stop_sender(self) -> None:
        """Do nothing: the interface has no notices."""

    def truth(self) -> dict[str, Any]:
        """Return the whole state as JSON types, with the money that was taken, by currency."""
        self.book.tick()
        with self.book.lock:
            taken: dict[str, int] = {}
            for one in self.book.transactions.values():
                if one.taken:
                    taken[one.taken_in] = taken.get(one.taken_in, 0) + one.taken
            return {
                "transactions": self.book.truth(),
                "taken": taken,
                "requests": dict(self._api.requests),
            }
