"""SISIS on the stands of the contract kit: through SLNP with own commands, and through the gateway."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from ils_payment_sip2.simulator import Fault as TillFault
from pydantic import SecretStr

from ils_payment.testing.books import Books
from ils_payment.testing.books_stand import BooksStand
from ils_payment.testing.line import LATE_SECONDS, Fault
from ils_payment.testing.stands import Call, CannotStageError, Person
from ils_payment_sisis.adapter import SISISSystem
from ils_payment_sisis.config import SISISConfig
from ils_payment_sisis.simulator import faults
from ils_payment_sisis.simulator.sisis import SISISSimulator
from ils_payment_sisis.simulator.slnp import LIST_FEES, RENEW

_SECRET, _KEY = "canary-of-the-till", "canary-of-the-references-00000000"
_NEVER = 10**9
"""So many seconds are more than any test lets pass."""

_READS = {
    Fault.REQUEST_LOST: faults.Fault.NEVER_DONE,
    Fault.ANSWER_LOST: faults.Fault.LOST,
    Fault.TIMEOUT_BEFORE: faults.Fault.LATE,
    Fault.TIMEOUT_AFTER: faults.Fault.SILENT,
    Fault.ERROR_BEFORE: faults.Fault.BROKEN,
    # SLNP has no web server in front; what a gateway of another kind would say is no line of SLNP.
    Fault.ERROR_AFTER: faults.Fault.GARBAGE,
    Fault.CUT: faults.Fault.CUT,
    Fault.GARBLED: faults.Fault.OTHER_COMMAND,
    Fault.LATE: faults.Fault.LATE,
}
_PAYS = {
    Fault.REQUEST_LOST: TillFault.NEVER_DONE,
    Fault.ANSWER_LOST: TillFault.LOST,
    Fault.TIMEOUT_BEFORE: TillFault.LATE,
    Fault.TIMEOUT_AFTER: TillFault.SILENT,
    Fault.ERROR_BEFORE: TillFault.RESEND,
    Fault.ERROR_AFTER: TillFault.OTHER_CODE,
    Fault.CUT: TillFault.CUT,
    Fault.GARBLED: TillFault.DAMAGED_FOR_EVER,
    Fault.LATE: TillFault.LATE,
}
_WORDS = {Call.READ: "SLNPBenutzerKurzKonto", Call.RENEW: RENEW, Call.SETTLE: "37"}


class SISISStand(BooksStand):
    """A SISIS that is read through SLNP, whose library has commands of its own."""

    name = "sisis"
    secrets = (_SECRET, _KEY)
    reads: ClassVar[dict[str, Any]] = {
        "slnp": {
            "host": "slnp.test",
            "port": 9001,
            "security": "tunnel",
            "login": "staff",
            "user": "kasse",
            "branch": "1",
            "password": SecretStr(_SECRET),
            "category_key": "ErfundenGruppe",
            "fees": {"command": LIST_FEES, "parameters": {"BenutzerNummer": "{card}"}},
            "renew": {
                "command": RENEW,
                "parameters": {"BenutzerNummer": "{card}", "AusweisEnde": "{until}"},
                "expect": {"Ergebnis": "J"},
            },
        }
    }

    connections: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.town = SISISSimulator.demo(
            self.simulated, password=_SECRET, slnp_login="staff", own_commands=True
        )
        self.simulated.streams = {"slnp.test:9001": self.town.slnp, "sip2.test:6001": self.town.till}
        self.simulated.remotes["ncip.test"] = self.town

    @property
    def books(self) -> Books:
        """The books behind the simulated library system."""
        return self.town.books

    def open(self) -> SISISSystem:
        """Return an adapter with connections of its own."""
        writes = {
            "host": "sip2.test",
            "port": 6001,
            "security": "tunnel",
            "preset": "generic",
            "user": self.town.till.user,
            "password": SecretStr(_SECRET),
            "patron_key": SecretStr(_KEY),
            "connections": self.connections,
        }
        unknown = ("OpsBenutzerErfundenUnbekannt",)
        config = SISISConfig.model_validate({**self.reads, "absent_errors": unknown, "writes": writes})
        return SISISSystem(config, self.host)

    def break_next(self, call: Call, fault: Fault) -> None:
        """Let the simulated SISIS, or its till, do what comes nearest."""
        seconds = LATE_SECONDS if fault is Fault.LATE else _NEVER
        if call is Call.SETTLE:
            self.town.till.go_wrong(_PAYS[fault], seconds=seconds)
        else:
            self.town.go_wrong(_READS[fault], _WORDS[call], seconds=seconds)

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.town.mend()
        self.town.till.mend()

    def calls(self, call: Call) -> int:
        """Return how often a command or message came."""
        return int(self.town.truth()["requests"].get(_WORDS[call], 0))

    def sent(self) -> int:
        """Return how many commands and messages came."""
        return int(sum(self.town.truth()["requests"].values()))

    def catch_up(self) -> None:
        """Let the books be as they are now."""
        self.town.truth()

    def go_away(self) -> None:
        """Shut all doors."""
        self.simulated.streams.clear()
        self.simulated.remotes.clear()

    def refuse_us(self) -> None:
        """Change the passwords, and shut the gateway, which has none."""
        self.town.refuse_us()

    def add_open_credit(self, person: Person, cents: int) -> None:
        """Refuse: the one fee stands for what is owed after credit, so that none is shown beside it."""
        raise CannotStageError("SISIS takes open credit off before anything is shown")

    def block(self, person: Person) -> None:
        """Set a block with a note."""
        self.town.blocks[person.key] = ("5", "Bitte an der Theke melden")

    def renew_at_desk(self, person: Person) -> None:
        """Renew as a clerk does."""
        self.town.renew(self.town.books.patrons[person.key], None)

    def expiries(self, person: Person) -> list[date]:
        """Return every new end of the card."""
        self.catch_up()
        return list(self.town.renewals.get(person.key, ()))


class GatewaySISISStand(SISISStand):
    """The same SISIS, read through NCIP2SLNP."""

    name = "sisis-ncip"
    reads: ClassVar[dict[str, Any]] = {"ncip": {"url": "https://ncip.test/ncip2slnp"}}
