"""The stands on which the contract kits prove a plugin: an adapter, its simulated remote, and the truth.

A plugin's simulator brings one small module, ``stand.py``, with a subclass of :class:`LibraryStand` or
:class:`ProviderStand`. It connects the adapter to the simulator, stages what a test asks for, and tells what
the remote's own books say. What a stand cannot stage it leaves as it is here: then the tests that need it say
so and are skipped. Amounts are cents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from ils_payment.ports import LibraryInfo
from ils_payment.testing.line import Fault, Line
from ils_payment.testing.world import SimulatedWorld
from ils_payment.world import PluginHost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.model import RawRequest
    from ils_payment.ports import LibrarySystem, PaymentProvider
    from ils_payment.testing.simulator import Simulator
    from ils_payment.world import World

LIBRARY = LibraryInfo(
    key="town", name="Stadtbücherei", currency="EUR", languages=("de", "en"), time_zone="Europe/Berlin"
)


class CannotStageError(Exception):
    """This stand cannot do what a test asks for; the test is skipped and says so."""


class Call(StrEnum):
    """The calls that a test breaks and counts, whatever the remote names them."""

    READ = "an account, or a session"
    SETTLE = "settle"
    CHARGE = "charge"
    RENEW = "renew"
    START = "start"
    CLOSE = "close"
    REFUND = "refund"


class Stand:
    """What both kinds of stands have.

    ``name`` is what the results are counted under. ``secrets`` must never be seen in a message, a log line or
    a finding: credentials of the plugin. ``world`` is the world that the plugin lives in, ``host`` its host.
    ``nonce`` is in every key that must be new: a real system remembers those of earlier tests.
    """

    name: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]] = ()
    library: ClassVar[LibraryInfo] = LIBRARY
    nonce = ""

    def __init__(self) -> None:
        self.world: World = self.make_world()
        self.host = PluginHost(self.world, self.library)
        self.lines: list[Line] = []

    def make_world(self) -> World:
        """Return the world of this stand; a standing clock and remotes in process unless told otherwise."""
        return SimulatedWorld()

    @property
    def simulated(self) -> SimulatedWorld:
        """Return the world where it is a simulated one; CannotStageError otherwise."""
        if not isinstance(self.world, SimulatedWorld):
            raise CannotStageError("the clock of a real system cannot be moved")
        return self.world

    def serve(self, address: str, simulator: Simulator) -> None:
        """Let *simulator* answer at *address* (``host:port``, or the host alone), behind a line."""
        line = Line(simulator, self.simulated)
        self.lines.append(line)
        self.simulated.remotes[address] = line

    def is_call(self, call: Call, request: RawRequest) -> bool:
        """Tell whether *request* is *call*; only for stands whose remote is reached over HTTP."""
        raise CannotStageError(f"this stand cannot tell which request is {call}")

    def break_next(self, call: Call, fault: Fault) -> None:
        """Let *fault* happen to the next *call*."""
        self._has_lines()
        for line in self.lines:
            line.break_next(lambda request: self.is_call(call, request), fault)

    def mend(self) -> None:
        """Let no fault wait any more; what is to come late still comes."""
        for line in self.lines:
            line.mend()

    def calls(self, call: Call) -> int:
        """Return how often *call* was sent."""
        self._has_lines()
        return sum(self.is_call(call, request) for line in self.lines for request in line.requests)

    def sent(self) -> int:
        """Return how many calls of any kind were sent."""
        self._has_lines()
        return sum(len(line.requests) for line in self.lines)

    def catch_up(self) -> None:
        """Let take effect what was to come late; call this before the books are looked at."""
        for line in self.lines:
            line.catch_up()

    def go_away(self) -> None:
        """Let the remote refuse connections from now on."""
        self._has_lines()
        self.simulated.remotes.clear()

    def _has_lines(self) -> None:
        if not self.lines:
            raise CannotStageError("calls to this system can be neither broken nor counted")

    def refuse_us(self) -> None:
        """Let the remote refuse the plugin's credentials from now on, those that it handed out included."""
        raise CannotStageError("the credentials of this stand cannot be withdrawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A patron on a stand; ``key`` is the stand's own word for who that is."""

    card: str
    pin: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCredit:
    """One credit in the remote's books. ``marker`` is "" where it carries none."""

    cents: int
    marker: str
    unapplied: int = 0


class LibraryStand(Stand):
    """One library system to be proved.

    ``charset``: what texts of fees can be written in.
    """

    charset: ClassVar[str] = "utf-8"

    def open(self) -> LibrarySystem:
        """Return the adapter, new and connected to this stand's library system."""
        raise NotImplementedError

    # --- what a test stages -------------------------------------------------------------------

    def someone(self) -> Person:
        """Return a patron of whom a test only needs that there is one."""
        return self.add_patron()

    def add_patron(
        self, *, name: str = "Erika Mustermann", valid_until: date | None = None, email: str = ""
    ) -> Person:
        """Register a patron who owes nothing; the card is valid until *valid_until*, or for a long time."""
        raise CannotStageError("this stand cannot register patrons")

    def add_fee(self, person: Person, cents: int, *, text: str = "Gebühr", since: date | None = None) -> None:
        """Let *person* owe *cents* by one more fee, since a day (None: today), which can be paid online."""
        raise CannotStageError("this stand cannot charge fees")

    def add_title(self, person: Person, title: str) -> None:
        """Let *person* owe a fee for an item with this *title*; for systems with ``titles``."""
        raise CannotStageError("this stand has no titles")

    def grow(self, person: Person, cents: int) -> None:
        """Let the patron's only fee rise by *cents*."""
        raise CannotStageError("fees of this stand do not grow")

    def pay_at_desk(self, person: Person, cents: int) -> None:
        """Take *cents* for the patron's oldest open fee at the desk."""
        raise CannotStageError("nobody is at the desk of this stand")

    def add_open_credit(self, person: Person, cents: int) -> None:
        """Leave *cents* in the patron's account that no fee uses."""
        raise CannotStageError("this library system has no open credit")

    def block(self, person: Person) -> None:
        """Let a clerk block *person* by hand."""
        raise CannotStageError("this stand cannot block patrons")

    def block_for_fees(self, person: Person) -> None:
        """Let a block hang on fees that are paid; for systems with ``can_lift``."""
        raise CannotStageError("this stand cannot block patrons for fees")

    def renew_at_desk(self, person: Person) -> None:
        """Let a clerk renew the card."""
        raise CannotStageError("nobody is at the desk of this stand")

    # --- what the remote's books say ----------------------------------------------------------

    def open_fees(self, person: Person) -> list[int]:
        """Return what is open of each fee of *person*, oldest first; 0 for one that is paid."""
        raise CannotStageError("this stand does not show its books")

    def credits(self, person: Person) -> list[SeenCredit]:
        """Return every credit, oldest first, those of the desk included."""
        raise CannotStageError("this stand does not show its books")

    def debits(self, person: Person) -> list[SeenCredit]:
        """Return every debit that carries a marker, oldest first; for systems with ``can_charge``."""
        raise CannotStageError("this stand does not show its books")

    def expiries(self, person: Person) -> list[date]:
        """Return every expiry that was written since the patron was registered, oldest first."""
        raise CannotStageError("this stand does not show its books")

    def blocks(self, person: Person) -> int:
        """Return how many blocks there are; for systems with ``can_lift``."""
        raise CannotStageError("this stand does not show its books")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSession:
    """One session in the provider's books; ``payable``: a payer can pay in it now."""

    ref: str
    reference: str
    cents: int
    currency: str
    payable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRefund:
    """One refund in the provider's books: with our key where it has one; ``counts``: it left, or will."""

    ref: str
    key: str
    cents: int
    counts: bool = True


class NotPayable(Exception):
    """The provider does not let anybody pay in this session."""


class ProviderStand(Stand):
    """One provider to be proved.

    ``minimum`` and ``maximum`` are the smallest and largest sums that it takes. ``signs_time``: a notice
    that is verified much later or earlier than it was signed is refused; ``signs_bodies``: all bytes of a
    notice are signed, not a choice of its fields. ``knows_whose_money``: a refund for another payment's money
    can be seen to be wrong. ``payer``: what the simulator tells of its payers, which nobody may repeat.
    """

    minimum: ClassVar[int] = 1
    maximum: ClassVar[int] = 9_999_999
    signs_time: ClassVar[bool] = True
    signs_bodies: ClassVar[bool] = True
    knows_whose_money: ClassVar[bool] = True
    payer: ClassVar[tuple[str, ...]] = ()

    def open(self) -> PaymentProvider:
        """Return the provider, new and connected to this stand's account."""
        raise NotImplementedError

    # --- what payer, bank, clock and clerk do --------------------------------------------------

    def pay(self, session_ref: str, method: str, *, cents: int | None = None) -> None:
        """Pay at once: in full, or *cents* that nobody asked for. Raises NotPayable."""
        raise CannotStageError("nobody pays on this stand")

    def pay_later(self, session_ref: str, method: str) -> None:
        """Finish the page with a payment that the bank decides later."""
        raise CannotStageError("payments of this provider are never pending")

    def decide(self, session_ref: str, *, success: bool) -> None:
        """Let the bank decide a payment that is pending."""
        raise CannotStageError("payments of this provider are never pending")

    def decline(self, session_ref: str, method: str) -> None:
        """Let one try to pay fail; the payer may try again."""
        raise CannotStageError("this stand cannot refuse a payer")

    def expire(self, session_ref: str) -> None:
        """Let the session's time be over."""
        raise CannotStageError("sessions of this stand do not expire")

    def refund_by_hand(self, session_ref: str, cents: int) -> None:
        """Give money back as a person does in the provider's own pages; NotPayable where none is left."""
        raise CannotStageError("nobody refunds by hand on this stand")

    def charge_back(self, session_ref: str) -> None:
        """Let the payer's bank take the whole back."""
        raise CannotStageError("there are no chargebacks on this stand")

    def fail_refund(self, ref: str) -> None:
        """Let a refund fail after all; *ref* as in :class:`SeenRefund`."""
        raise CannotStageError("refunds of this stand do not fail")

    def pay_out(self) -> None:
        """Let time pass until what was taken has arrived at the bank."""
        raise CannotStageError("this stand pays nothing out")

    # --- what the provider's books say, and what it sends ---------------------------------------

    def sessions(self) -> list[SeenSession]:
        """Return every session, oldest first."""
        raise CannotStageError("this stand does not show its books")

    def refunds(self, session_ref: str) -> list[SeenRefund]:
        """Return every refund of a session's money, oldest first."""
        raise CannotStageError("this stand does not show its books")

    def notices(self) -> list[RawRequest]:
        """Take the notices that are due now, as they would be posted."""
        raise CannotStageError("this stand sends no notices")

    def foreign_notices(self, session_ref: str) -> list[RawRequest]:
        """Return genuine notices of kinds that are not needed, or of things that are not ours."""
        raise CannotStageError("this stand sends no other notices")

    def signed_with_another_key(self, session_ref: str) -> list[RawRequest]:
        """Return the notices of a session as somebody would sign them who does not have the key."""
        raise CannotStageError("this stand cannot sign with another key")

    def forge(self, request: RawRequest) -> Sequence[RawRequest]:
        """Return *request* without its signature, or with a wrong one, in headers unless told otherwise."""
        return (replace(request, headers={}), replace(request, headers=dict.fromkeys(request.headers, "x")))

    def money_of(self, session_ref: str) -> Mapping[str, str]:
        """Return fields of a refund order beside the session, where the provider needs any."""
        return {}

    def return_params(self, session_ref: str) -> Mapping[str, str] | None:
        """Return what the provider adds to the way back; for providers that are read ``with_return``."""
        return None


def long_ahead(stand: Stand) -> date:
    """Return a day on which cards are still valid."""
    return stand.world.now().date() + timedelta(days=400)
