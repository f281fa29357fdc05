"""Library systems that a preset describes, on the stand of the contract kit: one for each way of paying."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr

from ils_payment.testing.books import Books
from ils_payment.testing.books_stand import BooksStand
from ils_payment.testing.stands import Call, Person
from ils_payment_opac_soap.adapter import SOAPSystem
from ils_payment_opac_soap.config import SOAPConfig
from ils_payment_opac_soap.simulator.server import SOAPSimulator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import RawRequest

_PASSWORD, _KEY = "canary-of-our-account", "canary-of-the-key-" + "k" * 32
_NOBODY = {"absent": ["com.sirsidynix.symws.service.exceptions.PatronServiceException.other"]}
"""The simulator's own word for a patron who is not there; that of the real system is not public."""


class SymphonyStand(BooksStand):
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

    @property
    def books(self) -> Books:
        """The books behind the simulated library system."""
        return self.server.books

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
