"""The simulated server: it accepts connections, answers messages, and goes wrong where a test wants it."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from ils_payment.model import RawRequest, Reply
from ils_payment.testing import town
from ils_payment.testing.books import Books
from ils_payment.testing.demo import DemoLibrary
from ils_payment.testing.faults import Faults
from ils_payment.testing.simulator import RealWorld, serve
from ils_payment.testing.streams import serve_stream
from ils_payment_sip2.dialect import PRESETS, dialect_of
from ils_payment_sip2.simulator.faults import Fault, Habits
from ils_payment_sip2.simulator.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ils_payment.testing.books import Patron
    from ils_payment.testing.demo import MakeSecret
    from ils_payment.testing.simulator import SimulatorWorld
    from ils_payment_sip2.dialect import Dialect
    from ils_payment_sip2.simulator.talk import Answer


class SIP2Simulator:
    """A SIP2 server in process (:meth:`open`) or over TCP (``ils_payment.testing.streams.serve_stream``)."""

    demo_card, demo_pin = town.CARD, town.PIN
    """Whoever tries the demo signs in with these."""

    def __init__(
        self,
        world: SimulatorWorld | None = None,
        *,
        preset: str = "generic",
        dialect: Dialect | None = None,
        user: str = "kasse",
        password: str = "demo-secret",  # noqa: S107 - it opens nothing but this simulator
        habits: Habits | None = None,
    ) -> None:
        self.world = world or RealWorld()
        self.dialect = dialect or PRESETS[preset]
        self.user, self.password = user, password
        self.habits = habits or Habits()
        self.books = Books()
        self._faults: Faults[Fault] = Faults()
        self._requests: Counter[str] = Counter()
        self._lock = threading.RLock()

    @classmethod
    def demo(cls, world: SimulatorWorld | None = None, **options: Any) -> Self:  # noqa: ANN401 - as __init__
        """Return a server of a small library; :mod:`ils_payment.testing.town` says who its patrons are."""
        simulator = cls(world, **options)
        town.fill(simulator.books, simulator.world.now().date())
        return simulator

    @classmethod
    @contextmanager
    def stage_demo(cls, secret: MakeSecret, port: int) -> Iterator[DemoLibrary]:
        """Serve the small library over TCP for ``ils-payment demo``, and its books over HTTP beside it."""
        password, named = secret("sip2-password")
        dialect = {"fee_lines": "text", "reads_without_pin": True}
        simulator = cls.demo(dialect=dialect_of("generic", dialect), password=password)
        with serve_stream(simulator, port=port) as (host, served), serve(simulator) as books:
            table = {
                "plugin": "sip2",
                "host": host,
                "port": served,
                "security": "tunnel",
                "preset": "generic",
                "dialect": dialect,
                "patron_key": secret("sip2-patron-key")[1],
                "user": simulator.user,
                "password": named,
                "institution": "LINDENTAL",
            }
            yield DemoLibrary(
                simulator=simulator,
                address=books,
                table=table,
                cards=tuple(simulator.books.patrons),
                absent={"renew": "SIP2 has no message that renews a card"},
            )

    def handle(self, request: RawRequest) -> Reply:
        """Answer over HTTP, where nothing is but the ground truth."""
        return Reply(status=404)

    def open(self) -> Talk:
        """Accept one connection."""
        return Talk(self)

    def go_wrong(self, fault: Fault, code: str = "37", n: int = 1, *, seconds: float = 0.0) -> None:
        """Let the next *n* messages with *code* go wrong; *seconds* is for what comes late."""
        with self._lock:
            self._faults.waiting.extend([(fault, code, seconds)] * n)

    def mend(self) -> None:
        """Let nothing go wrong any more; what is to come late still comes."""
        with self._lock:
            self._faults.mend()

    def truth(self) -> dict[str, Any]:
        """Return every patron's books in cents, and how often each message came."""
        self._catch_up()
        return {"patrons": self.books.truth(), "requests": dict(self._requests)}

    def respond(self, code: str, fixed: str, fields: dict[str, str]) -> tuple[Answer, Fault | None]:
        """Let a message of a known terminal take effect; return the answer, and what goes wrong with it."""
        self._catch_up()
        with self._lock:
            self._requests[code] += 1
            taken = self._faults.take(code)
        fault, seconds = taken or (None, 0.0)
        act = {"23": self._patron, "63": self._patron, "35": self._end, "37": self._pay, "99": self._status}
        if code not in act:
            return ("96", "", []), fault
        if fault is Fault.LATE:
            self._faults.postpone(self.world.now(), seconds, lambda: act[code](code, fixed, fields))
            return ("96", "", []), fault
        if fault in {Fault.NEVER_DONE, Fault.RESEND}:
            return ("96", "", []), fault
        if fault is Fault.REFUSED:
            return ("38", f"N{self._stamp()}", self._echo(fields)), fault
        return act[code](code, fixed, fields), fault

    def count(self, code: str) -> None:
        """Count a message that is answered without looking into the books."""
        with self._lock:
            self._requests[code] += 1

    def _catch_up(self) -> None:
        with self._lock:
            effects: list[Callable[[], object]] = self._faults.due(self.world.now())
        for effect in effects:
            effect()

    def _status(self, _code: str, _fixed: str, _fields: dict[str, str]) -> Answer:
        online = "Y" if self.habits.online else "N"
        bx = self.habits.bx if self.habits.bx is not None else "YNNNYYYYYYNNNNNN"
        fixed = f"{online}NNNNN005003{self._stamp()}2.00"
        return "98", fixed, [("AO", "LINDENTAL"), *([("BX", bx)] if bx else [])]

    def _end(self, _code: str, _fixed: str, fields: dict[str, str]) -> Answer:
        return "36", f"Y{self._stamp()}", self._echo(fields)

    def _patron(self, code: str, fixed: str, fields: dict[str, str]) -> Answer:
        patron = self.books.patrons.get(fields.get("AA", ""))
        wanted, counts = ("24", "") if code == "23" else ("64", "0000" * 6)
        if patron is None or ("AD" not in fields and not self.dialect.reads_without_pin):
            told = [*self._echo(fields), ("AE", ""), ("BL", "N"), ("AF", "Ausweis nicht gültig")]
            return wanted, f"YYYY{' ' * 10}000{self._stamp()}{counts}", told
        still = [fee for fee in patron.fees if fee.open]
        if code == "63":
            counts = f"000000000000{len(still):04}00000000"
        flags = self._flags(patron)
        valid = not self.habits.denies_expired or patron.valid_until >= self.world.now().date()
        told = [*self._echo(fields), ("AE", patron.name), ("BL", "Y" if valid else "N")]
        if "AD" in fields and self.habits.judges_pins:
            right = self.habits.takes_any_pin or fields["AD"] == patron.pin
            told.append(("CQ", "Y" if right else "N"))
        told.append(("BH", self.habits.currency))
        if self.habits.shows_sum:
            told.append(("BV", self._amount(patron.balance)))
        told += self._lines(patron, fixed[21:]) if code == "63" else []
        if self.dialect.expiry_field:
            told.append((self.dialect.expiry_field, f"{patron.valid_until:%Y%m%d}"))
        if self.dialect.category_field:
            told.append((self.dialect.category_field, patron.category))
        return wanted, f"{flags}000{self._stamp()}{counts}", told

    def _flags(self, patron: Patron) -> str:
        """Return the fourteen flags; who owes more than ten gets the one for fees, and may not borrow."""
        flags = list(patron.flags)
        if patron.balance > 1000:
            flags[0] = flags[11] = "Y"
        if patron.valid_until < self.world.now().date():
            flags[:4] = "YYYY"
        return "".join(flags)

    def _lines(self, patron: Patron, summary: str) -> list[tuple[str, str]]:
        place = self.dialect.summary
        if place is None or summary[place : place + 1] != "Y":
            return []
        told: list[tuple[str, str]] = []
        for fee in patron.fees:
            if not fee.open:
                continue
            if self.dialect.fee_lines == "text":
                told.append(("AV", f"{fee.text} {self._amount(fee.open)} {self.habits.currency}"))
            elif self.dialect.fee_lines == "gossip":
                told += [("FA", self._amount(fee.open)), ("FB", fee.fee_id), ("FC", f"{fee.since:%d.%m.%Y}")]
                told += [("FD", ""), ("FE", fee.kind), ("FF", fee.text)]
        return told

    def _pay(self, _code: str, fixed: str, fields: dict[str, str]) -> Answer:
        mark = self.dialect.decimal_mark
        cents = int(Decimal(fields.get("BV", "0").replace(mark, ".")).scaleb(2))
        done = fixed[22:25] == self.habits.currency and self.books.pay(
            fields.get("AA", ""),
            cents,
            at=self.world.now(),
            marker=fields.get("BK", ""),
            payment_type=fixed[20:22],
            fee_ids=[fields["CG"]] if "CG" in fields else None,
            refuses_surplus=self.habits.refuses_surplus,
        )
        told = [*self._echo(fields), ("BK", fields.get("BK", ""))]
        if not done:
            return "38", f"N{self._stamp()}", [*told, ("AF", "Zahlung abgelehnt")]
        if "CG" in fields and self.dialect.fee_lines == "gossip":
            told += [("FA", fields["BV"]), ("FB", fields["CG"]), ("FG", fields["BV"])]
        return "38", f"Y{self._stamp()}", told

    def _echo(self, fields: dict[str, str]) -> list[tuple[str, str]]:
        return [("AO", fields.get("AO", "")), ("AA", fields.get("AA", ""))]

    def _stamp(self) -> str:
        return f"{self.world.now():%Y%m%d    %H%M%S}"

    def _amount(self, cents: int) -> str:
        return f"{Decimal(cents).scaleb(-2):.2f}".replace(".", self.dialect.decimal_mark)
