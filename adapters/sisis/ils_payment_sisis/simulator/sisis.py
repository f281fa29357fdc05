"""The town behind the three doors: who has a card, what is owed, what is blocked, and what goes wrong."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Self

from ils_payment_sip2.dialect import dialect_of
from ils_payment_sip2.simulator import SIP2Simulator

from ils_payment.testing.demo import DemoLibrary
from ils_payment.testing.faults import Faults
from ils_payment.testing.simulator import RealWorld, serve
from ils_payment.testing.streams import serve_stream
from ils_payment_sisis.simulator import ncip
from ils_payment_sisis.simulator.faults import Fault, Habits
from ils_payment_sisis.simulator.slnp import SLNPServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ils_payment.model import RawRequest, Reply
    from ils_payment.testing.books import Patron
    from ils_payment.testing.demo import MakeSecret
    from ils_payment.testing.simulator import SimulatorWorld

BLOCKED = "21234000012369"


class SISISSimulator:
    """A SISIS in process or over sockets: ``slnp`` and ``till`` are its TCP doors, itself the gateway."""

    demo_card, demo_pin = SIP2Simulator.demo_card, SIP2Simulator.demo_pin
    """Whoever tries the demo signs in with these."""

    def __init__(
        self,
        world: SimulatorWorld | None = None,
        *,
        password: str = "demo-secret",  # noqa: S107 - it opens nothing but this simulator
        slnp_login: str = "none",
        own_commands: bool = False,
        habits: Habits | None = None,
    ) -> None:
        self.world = world or RealWorld()
        self.till = SIP2Simulator.demo(self.world, dialect=dialect_of("generic", {}), password=password)
        self.books = self.till.books
        self.slnp = SLNPServer(self)
        self.slnp_login = slnp_login
        self.own_commands = own_commands
        self.habits = habits or Habits()
        self.must_change_pin = ""
        self.is_shut = False
        self.blocks: dict[str, tuple[str, str]] = {
            BLOCKED: ("3", "Zurückgegebenes Buch beschädigt,\nbitte melden")
        }
        self.renewals: dict[str, list[date]] = {}
        self._password = password
        self._faults: Faults[Fault] = Faults()
        self._delay = 0.0
        self._requests: Counter[str] = Counter()
        self._lock = threading.RLock()

    @classmethod
    def demo(cls, world: SimulatorWorld | None = None, **options: Any) -> Self:  # noqa: ANN401 - as __init__
        """Return the small library of the plugin ``sip2``, with SISIS in front of it."""
        return cls(world, **options)

    @classmethod
    @contextmanager
    def stage_demo(cls, secret: MakeSecret, port: int) -> Iterator[DemoLibrary]:
        """Serve SLNP and SIP2 over TCP for ``ils-payment demo``, and the books over HTTP beside them."""
        password, named = secret("sisis-sip2-password")
        town = cls.demo(password=password)
        with (
            serve_stream(town.slnp, port=port) as (host, reads),
            serve_stream(town.till) as (_, writes),
            serve(town) as books,
        ):
            table = {
                "plugin": "sisis",
                "slnp": {"host": host, "port": reads, "security": "tunnel"},
                "writes": {
                    "host": host,
                    "port": writes,
                    "security": "tunnel",
                    "preset": "generic",
                    "patron_key": secret("sisis-patron-key")[1],
                    "user": town.till.user,
                    "password": named,
                    "institution": "LINDENTAL",
                },
            }
            yield DemoLibrary(
                simulator=town,
                address=books,
                table=table,
                cards=tuple(town.books.patrons),
                absent={"renew": "no public command of SISIS renews a card"},
            )

    def handle(self, request: RawRequest) -> Reply:
        """Answer as the NCIP2SLNP gateway."""
        self._catch_up()
        return ncip.answer(self, request)

    def truth(self) -> dict[str, Any]:
        """Return every patron's books in cents, and how often each command, question and message came."""
        self._catch_up()
        whole = self.till.truth()
        return {**whole, "requests": {**whole["requests"], **self._requests}, "renewals": self.renewals}

    def go_wrong(self, fault: Fault, question: str, n: int = 1, *, seconds: float = 0.0) -> None:
        """Let the next *n* answers to *question* (a command; fiscal, data, blocks) go wrong."""
        with self._lock:
            self._faults.waiting.extend([(fault, question, seconds)] * n)

    def mend(self) -> None:
        """Let nothing go wrong any more; what is to come late still comes."""
        with self._lock:
            self._faults.mend()

    def take_fault(self, question: str) -> Fault | None:
        """Count *question*; return, and use up, the first fault that is meant for it."""
        self._catch_up()
        with self._lock:
            self._requests[question] += 1
            found = self._faults.take(question)
            if found is None:
                return None
            fault, self._delay = found
            return fault

    def postpone(self, effect: Callable[[], object]) -> None:
        """Let *effect* come as late as its fault says."""
        with self._lock:
            self._faults.postpone(self.world.now(), self._delay, effect)

    def patron(self, card: str) -> Patron | None:
        """Return the patron with this number, whatever its case."""
        return next(
            (one for key, one in self.books.patrons.items() if key.lower() == card.strip().lower()), None
        )

    def renew(self, patron: Patron, until: date | None) -> None:
        """Give a card a new end: the day that is named, else a year more."""
        with self._lock:
            patron.valid_until = until or patron.valid_until + timedelta(days=365)
            self.renewals.setdefault(patron.card, []).append(patron.valid_until)

    def may_log_in(self, command: str, parameters: dict[str, str]) -> bool:
        """Tell whether a connection begins as this installation wants it."""
        self.take_fault(command)
        if command == "SLNPServerInit":
            return self.slnp_login == "opac" and {"Kennung", "Datenbank"} <= parameters.keys()
        return self.slnp_login == "staff" and parameters.get("SIASPasswort") == self._password

    def refuse_us(self) -> None:
        """Let both passwords be others from now on, and the gateway let nobody in from here."""
        self.is_shut = True
        self._password += "-new"
        self.till.password += "-new"

    def _catch_up(self) -> None:
        with self._lock:
            ripe = self._faults.due(self.world.now())
        for effect in ripe:
            effect()
