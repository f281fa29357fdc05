"""Library systems that a preset describes, on the stand of the contract kit: one for each way of paying."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr

from ils_payment.testing.stands import Call, LibraryStand, Person, SeenCredit, long_ahead
from ils_payment_opac_soap.adapter import SOAPSystem
from ils_payment_opac_soap.config import SOAPConfig
from ils_payment_opac_soap.simulator.server import SOAPSimulator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import RawRequest

_PASSWORD, _KEY = "canary-of-our-account", "canary-of-the-key-" + "k" * 32
_NOBODY = {"absent": ["com.sirsidynix.symws.service.exceptions.PatronServiceException.other"]}
"""The simulator's own word for a patron who is not there; that of the real system is not public."""


class SymphonyStand(LibraryStand):
    """A session, one call for each fee, no marker that is found again."""

    name = "opac-soap"
    secrets = (_PASSWORD, _KEY)
    preset: ClassVar[str] = "symphony"
    more: ClassVar[Mapping[str, Any]] = {"values": {"client_id": "ILS-PAYMENT"}, "errors": _NOBODY}
    elements: ClassVar[Mapping[Call, bytes]] = {
        Call.READ: b"LookupPatronInfoRequest",
        Call.SETTLE: b"RecordPaymentsRequest",
    }

    def __init__(self) -> None:
        super().__init__()
        self.server = SOAPSimulator(self.simulated, preset=self.preset)
        self.server.voice.staff = ("kasse", _PASSWORD)
        self.serve("localhost:6002", self.server)

    def open(self) -> SOAPSystem:
        """Return the adapter."""
        config = SOAPConfig.model_validate(
            {
                "preset": self.preset,
                "url": "http://localhost:6002/services",
                "user": "kasse",
                "password": SecretStr(_PASSWORD),
                "patron_key": SecretStr(_KEY),
                "payment_type": "ONLINE",
                **self.more,
            }
        )
        return SOAPSystem(config, self.host)

    def is_call(self, call: Call, request: RawRequest) -> bool:
        """Tell it by the element in the body."""
        return call in self.elements and self.elements[call] in request.body

    def refuse_us(self) -> None:
        """Change our password; sessions that stand are ended."""
        if not hasattr(type(self.server.voice), "staff"):
            super().refuse_us()
        self.server.voice.staff = ("kasse", "another")
        self.server.end_sessions()

    def add_patron(
        self, *, name: str = "Erika Mustermann", valid_until: date | None = None, email: str = ""
    ) -> Person:
        """Register a patron."""
        card = f"29999{len(self.server.books.patrons):09}"
        self.server.books.add_patron(card, f"pin-{card}", name, valid_until or long_ahead(self))
        return Person(card=card, pin=f"pin-{card}", key=card)

    def add_fee(self, person: Person, cents: int, *, text: str = "Gebühr", since: date | None = None) -> None:
        """Charge a fee."""
        self.server.books.add_fee(person.key, cents, text, since=since or self.world.now().date())

    def grow(self, person: Person, cents: int) -> None:
        """Let the only fee rise."""
        [fee] = self.server.books.patrons[person.key].fees
        fee.open += cents
        fee.cents += cents

    def pay_at_desk(self, person: Person, cents: int) -> None:
        """Take cash for the oldest fee."""
        self.server.books.pay(person.key, cents, at=self.world.now())

    def open_fees(self, person: Person) -> list[int]:
        """Return what is open of each fee."""
        return [fee.open for fee in self.server.books.patrons[person.key].fees]

    def credits(self, person: Person) -> list[SeenCredit]:
        """Return every payment."""
        return [
            SeenCredit(cents=one.cents, marker=one.marker, unapplied=one.unapplied)
            for one in self.server.books.patrons[person.key].payments
        ]


class MarkerStand(SymphonyStand):
    """The same, where the library lets markers be looked for."""

    name = "opac-soap-marker"
    more: ClassVar[Mapping[str, Any]] = {**SymphonyStand.more, "enable": ["credits"]}


class ArenaStand(SymphonyStand):
    """The PIN for each question, all fees in one call."""

    name = "opac-soap-arena"
    preset = "arena"
    more: ClassVar[Mapping[str, Any]] = {"values": {"member": "LINDENTAL"}}
    elements: ClassVar[Mapping[Call, bytes]] = {Call.READ: b"GetDebts", Call.SETTLE: b"AddPayment"}


class NCIPStand(SymphonyStand):
    """Documents without an envelope; the card can be renewed."""

    name = "opac-soap-ncip"
    preset = "ncip"
    more: ClassVar[Mapping[str, Any]] = {
        "values": {"agency": "LINDENTAL", "our_agency": "ILS-PAYMENT"},
        "enable": ["renew"],
    }
    elements: ClassVar[Mapping[Call, bytes]] = {
        Call.READ: b"LookupUser",
        Call.SETTLE: b"CreateUserFiscalTransaction",
        Call.RENEW: b"UpdateUser",
    }

    def block(self, person: Person) -> None:
        """Take the right to borrow away."""
        self.server.books.patrons[person.key].flags = "Y" + " " * 13

    def expiries(self, person: Person) -> list[date]:
        """Return every expiry that was written."""
        return list(self.server.voice.expiries.get(person.key, []))

    def renew_at_desk(self, person: Person) -> None:
        """Let a clerk renew the card."""
        patron = self.server.books.patrons[person.key]
        patron.valid_until = patron.valid_until.replace(year=patron.valid_until.year + 1)
        self.server.voice.expiries.setdefault(person.key, []).append(patron.valid_until)
