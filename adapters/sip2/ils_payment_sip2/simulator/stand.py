"""SIP2 on the stand of the contract kit: a lump without ids, positions with ids, reading by PIN only."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import SecretStr

from ils_payment.testing.books import Books
from ils_payment.testing.books_stand import BooksStand
from ils_payment.testing.line import LATE_SECONDS
from ils_payment.testing.line import Fault as KitFault
from ils_payment.testing.stands import Call, Person
from ils_payment_sip2.adapter import SIP2System
from ils_payment_sip2.config import SIP2Config
from ils_payment_sip2.dialect import dialect_of
from ils_payment_sip2.simulator.faults import Fault, Habits
from ils_payment_sip2.simulator.server import SIP2Simulator
from ils_payment_sip2.simulator.talk import Talk

_PASSWORD, _KEY = "canary-of-the-terminal", "canary-of-the-key-" + "k" * 32
_CODES = {Call.READ: "63", Call.SETTLE: "37"}
_ADDRESS = "sip2.test:6001"
_FOREVER = 10_000_000
_FAULTS = {
    KitFault.REQUEST_LOST: (Fault.NEVER_DONE, 0),
    KitFault.ANSWER_LOST: (Fault.LOST, 0),
    KitFault.TIMEOUT_BEFORE: (Fault.LATE, _FOREVER),
    KitFault.TIMEOUT_AFTER: (Fault.SILENT, 0),
    KitFault.ERROR_BEFORE: (Fault.RESEND, 0),
    KitFault.ERROR_AFTER: (Fault.OTHER_CODE, 0),
    KitFault.CUT: (Fault.CUT, 0),
    KitFault.GARBLED: (Fault.DAMAGED_FOR_EVER, 0),
    KitFault.LATE: (Fault.LATE, LATE_SECONDS),
}


class _Door:
    """The server's port; it knows the connections that are open."""

    def __init__(self, server: SIP2Simulator) -> None:
        self._server = server
        self._talks: list[Talk] = []

    def open(self) -> Talk:
        """Accept a connection."""
        self._talks.append(self._server.open())
        return self._talks[-1]

    def truth(self) -> dict[str, Any]:
        """Return the server's own truth."""
        return self._server.truth()

    def close_all(self) -> None:
        """Close all connections."""
        for talk in self._talks:
            talk.over = True


class SIP2Stand(BooksStand):
    """A server that names no fees and answers without a PIN."""

    name = "sip2"
    secrets = (_PASSWORD, _KEY)
    charset = "cp850"
    preset: ClassVar[str] = "evergreen"
    dialect: ClassVar[dict[str, Any]] = {}
    connections: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        dialect = dialect_of(self.preset, self.dialect)
        habits = Habits(refuses_surplus=dialect.surplus == "refused")
        self.server = SIP2Simulator(self.simulated, dialect=dialect, password=_PASSWORD, habits=habits)
        self.door = _Door(self.server)
        self.simulated.streams[_ADDRESS] = self.door

    @property
    def books(self) -> Books:
        """The books behind the simulated library system."""
        return self.server.books

    def catch_up(self) -> None:
        """Let payments that come late have come."""
        self.server.truth()

    def open(self) -> SIP2System:
        """Return the adapter."""
        config = SIP2Config.model_validate(
            {
                "host": "sip2.test",
                "port": 6001,
                "security": "tunnel",
                "preset": self.preset,
                "dialect": self.dialect,
                "patron_key": SecretStr(_KEY),
                "user": "kasse",
                "password": SecretStr(_PASSWORD),
                "institution": "LINDENTAL",
                "location": "ZENTRALE",
                "connections": self.connections,
            }
        )
        return SIP2System(config, self.host)

    def break_next(self, call: Call, fault: KitFault) -> None:
        """Let the next message with this code go wrong."""
        kind, seconds = _FAULTS[fault]
        self.server.go_wrong(kind, _CODES[call], seconds=seconds)

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.server.mend()

    def calls(self, call: Call) -> int:
        """Count the messages with this code."""
        return int(self.server.truth()["requests"].get(_CODES.get(call, ""), 0))

    def sent(self) -> int:
        """Count all messages."""
        return sum(self.server.truth()["requests"].values())

    def go_away(self) -> None:
        """Close every connection, and accept no other."""
        self.door.close_all()
        self.simulated.streams.clear()

    def refuse_us(self) -> None:
        """Change the terminal's password; connections that are logged in are closed."""
        self.server.password = "another"
        self.door.close_all()

    def block(self, person: Person) -> None:
        """Take the right to borrow away."""
        self.server.books.patrons[person.key].flags = "Y" + " " * 13


class GossipStand(SIP2Stand):
    """A server that names positions by id."""

    name = "sip2-gossip"
    preset = "gossip"
    dialect: ClassVar[dict[str, Any]] = {"reads_without_pin": True}


class PinStand(SIP2Stand):
    """A server that answers with the patron's PIN only."""

    name = "sip2-pin"
    preset = "generic"
