"""A stage: one town in which a scenario is played by a program that dies where it is told to.

A scenario calls the methods of :class:`Stage`. Those that let the *program* work survive its death:
it is started again on the same database, as a service manager does, and the scenario goes on. What
the world outside does (payer, bank, desk, clerks of the library) never dies with it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ils_payment_stripe.simulator import NotPayableError
from sqlalchemy import event, func, select, util

from ils_payment.errors import RemoteError
from ils_payment.flows import pay, tell
from ils_payment.flows.advance import advance, forget_old_notices
from ils_payment.flows.desk import Desk
from ils_payment.flows.house import open_house
from ils_payment.model import RawRequest, Reply
from ils_payment.store.tables import payments, private_mails
from ils_payment.store.unit import Store
from ils_payment.testing.simulator import Simulator
from ils_payment.testing.world import Crash, SimulatedWorld
from tests.conftest import KOHA, STRIPE, Town, settings_for
from tests.flows.renewing import replace_desk, system_table, tariff
from tests.flows.truths import every_id, of

CREDIT = "credits.add"
_COMPILED: Any = util.LRUCache(500)
_DIALECT: dict[str, Any] = {}
HORIZON = timedelta(days=12)
"""Within so long after the last fault everything has to end, or somebody has to know."""


@dataclass(frozen=True, slots=True)
class Death:
    """The program dies at the failpoint number *place* of a run: as it is reached, or right after what it
    announces (the next commit, call to the outside or mail; at the end of the step where there is none).
    """

    place: int
    after: bool


class Effects(SimulatedWorld):
    """A world that tells when a mail is out."""

    on_effect: Callable[[], None] = staticmethod(lambda: None)

    def send_mail(self, recipient: str, subject: str, body: str) -> None:
        """Send, and say so."""
        super().send_mail(recipient, subject, body)
        self.on_effect()


@dataclass
class _Watched:
    """A remote that says when it has carried out a request, before the answer is on its way."""

    remote: Any
    world: Effects

    def handle(self, request: RawRequest) -> Reply:
        reply = self.remote.handle(request)
        if request.method != "GET":
            # A question leaves nothing behind.
            self.world.on_effect()
        return reply

    def truth(self) -> dict[str, Any]:
        return self.remote.truth()


class StageTown(Town):
    """The town on a copied database that is not synced to the disk: it lies in memory anyway."""

    world: Effects

    def __init__(self, ledger: Path) -> None:
        from ils_payment_koha.simulator import KohaSimulator
        from ils_payment_stripe.simulator import StripeSimulator

        from ils_payment.model import PatronRef

        self.world = Effects()
        self.koha = KohaSimulator.demo(self.world)
        self.stripe = StripeSimulator.demo(world=self.world, public_url=f"http://{STRIPE}")
        self.watched: dict[str, Simulator] = {
            KOHA: _Watched(self.koha, self.world),
            STRIPE: _Watched(self.stripe, self.world),
        }
        self.world.remotes = dict(self.watched)
        self.settings = settings_for(f"sqlite:///{ledger}")
        self.sells_cards = False
        self.furnish: Callable[[Desk], Desk] = lambda desk: desk
        self.erika = PatronRef(str(self.koha.patron_ids["erika"]))
        self.open()

    def open(self) -> None:
        """Start the program."""
        self.house = open_house(self.settings, self.world)
        engine = self.house.store.engine
        event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA synchronous=OFF"))
        engine.dispose()
        # What SQL a statement becomes is the same for every copy of the ledger.
        engine._compiled_cache, engine.dialect = _COMPILED, _DIALECT.setdefault("sqlite", engine.dialect)
        _tell_commits(self.house.store, self.world)
        desk = self.house.libraries["lindental"]
        if self.sells_cards:
            desk = replace(desk, tariff=tariff())
        self.house = replace_desk(self.house, desk.key, self.furnish(desk))
        self.desk = self.house.libraries["lindental"]

    def sell_cards(self) -> None:
        """Sell card renewals from now on: a tariff, and a Koha that lets cards be renewed."""
        self.house.close()
        url = self.settings.server.database
        self.settings, self.sells_cards = settings_for(url, library_system=system_table(url)), True
        self.open()


def _tell_commits(store: Store, world: Effects) -> None:
    """Let each commit of *store* be told to *world* as soon as it is done."""
    inner = store._writing

    def writing() -> Any:
        return _Told(inner(), world)

    store._writing = writing  # type: ignore[method-assign]  # this store only


class _Told:
    """The context manager of a write transaction: its commit is a failpoint on both sides, and an effect."""

    def __init__(self, inner: Any, world: Effects) -> None:
        self.inner, self.world = inner, world
        self.place = _caller()

    def __enter__(self) -> Any:
        return self.inner.__enter__()

    def __exit__(self, *raised: object) -> Any:
        if raised[0] is not None:
            return self.inner.__exit__(*raised)
        try:
            self.world.failpoint(f"commit.before {self.place}")
        except Crash as crash:
            # What is not committed dies with the process.
            self.inner.__exit__(type(crash), crash, crash.__traceback__)
            raise
        answer = self.inner.__exit__(None, None, None)
        self.world.on_effect()
        self.world.failpoint(f"commit.after {self.place}")
        return answer


def _caller() -> str:
    """Return the function of the program that opened the transaction, e.g. ``settle._begin_try``."""
    frame = sys._getframe()
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]  # it ends with None
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(("ils_payment.", "tests.conftest")) and module != "ils_payment.store.unit":
            return f"{module.rsplit('.', 1)[-1]}.{frame.f_code.co_name}"
    return "unknown"


class Stage:
    """One run of one scenario; *deaths* in the order in which they come."""

    def __init__(self, template: Path, ledger: Path, deaths: tuple[Death, ...] = ()) -> None:
        shutil.copy(template, ledger)
        self.town = StageTown(ledger)
        self.koha, self.stripe, self.world = self.town.koha, self.town.stripe, self.town.world
        self.deaths = list(deaths)
        self.passed: list[str] = []
        self.log: list[str] = []
        """What happened in order: ``pass``, ``effect`` (it outlives a death), ``world``, ``step``."""
        self.died: list[str] = []
        self.interludes: dict[str, Callable[[], object]] = {}
        self._armed: str | None = None
        self._depth = 0
        self.earlier: set[str] = set()
        self.earlier_sessions: set[str] = set()
        self.world.on_failpoint = self._pass
        self.world.on_effect = self._effect

    def sell_cards(self, patron: str = "jan", days: int = 10) -> None:
        """Let the library sell card renewals, and a patron's card end in *days*."""
        self.town.sell_cards()
        ends = self.world.now().date() + timedelta(days=days)
        self.koha.change(self.koha.patron_ids[patron], expiry_date=ends.isoformat())

    def settle_somebody_first(self) -> None:
        """Settle another patron's payment undisturbed: its marker proves that the way of reading is fresh."""
        passing, self.world.on_failpoint = self.world.on_failpoint, None
        self.begin("blocked")
        self.pay()
        self.hear()
        self.world.pass_time(seconds=2)
        self.log.clear()
        self.earlier = set(every_id(self.town))
        self.earlier_sessions = set(self.stripe.book.sessions)
        self.world.on_failpoint = passing

    # --- dying ----------------------------------------------------------------------------------

    def _pass(self, name: str) -> None:
        self.passed.append(name)
        self.log.append("pass")
        if self.deaths and self.deaths[0].place == len(self.passed) - 1:
            if not self.deaths.pop(0).after:
                self.died.append(name)
                raise Crash(name)
            self._armed = name
        interlude = self.interludes.pop(name, None)
        if interlude is not None:
            interlude()
            self.log.append("world")

    def _effect(self) -> None:
        self.log.append("effect")
        if self._armed is not None:
            self.died.append(self._armed)
            self._armed = None
            raise Crash(self.died[-1])

    def program(self, step: Callable[[], Any]) -> Any:
        """Let the program do *step*; None when it died meanwhile, or a remote could not be asked."""
        self._depth += 1
        try:
            answer = step()
        except Crash:
            if self._depth > 1:
                # The step around this one belongs to the same process.
                raise
            self.restart()
            return None
        except RemoteError:
            # What a page shows as "try again later".
            answer = None
        finally:
            self._depth -= 1
        if self._depth:
            return answer
        self.log.append("step")
        if self._armed is not None:
            # Nothing came after it in this step.
            self.died.append(self._armed)
            self._armed = None
            self.restart()
        return answer

    def restart(self) -> None:
        """Start the program anew on the same database."""
        self.town.house.close()
        outbox = self.stripe._outbox
        for key, delivery in outbox.deliveries.items():
            if delivery.state == "sent":
                # Whoever was to answer this webhook has died: it comes again.
                outbox.answered(key, None, self.world.now())
        self.town.open()

    # --- the program ----------------------------------------------------------------------------

    def begin(self, patron: str = "jan", **options: Any) -> Any:
        """Confirm a payment as the fees page does."""
        return self.program(lambda: self.town.begin(patron=of(self.town, patron), **options))

    def cancel(self) -> None:
        """Cancel every payment that has not been paid, from the status page."""
        for payment_id in every_id(self.town):
            self.program(partial(pay.cancel, self.town.house, payment_id))

    def hear(self) -> None:
        """Take in the webhooks that are due, and do what follows from them at this instant."""
        self.program(self.town.deliver_webhooks)
        self.program(lambda: self.town.run(rounds=100))

    def chores(self) -> None:
        """Do what is done every half minute: tell staff, send mails, forget old notices."""
        for chore in (tell.alarms, tell.send_mails, forget_old_notices):
            self.program(partial(chore, self.town.house))

    def advance_all(self) -> None:
        """Let another worker try to advance every payment, whoever has it."""
        for payment_id in every_id(self.town):
            advance(self.town.house, payment_id)

    def another_worker(self, seconds: int) -> None:
        """Let *seconds* pass, and another worker try to advance every payment."""
        self.world.pass_time(seconds=seconds)
        self.advance_all()

    def later(self, **span: float) -> None:
        """Let time pass, then hear and do the chores."""
        self.world.pass_time(**span)
        self.hear()
        self.chores()

    # --- the world ------------------------------------------------------------------------------

    def fee(self, cents: int, patron: str = "jan") -> int:
        """Charge a fee in Koha; return its line."""
        return self.koha.add_fee(self.koha.patron_ids[patron], cents)

    def open_sessions(self) -> list[str]:
        """Return the provider sessions in which can be paid now."""
        self.stripe.tick()
        return [key for key, one in self.stripe.book.sessions.items() if one["status"] == "open"]

    def each_open(self, act: Callable[..., object], *args: Any, **options: Any) -> None:
        """Let the payer do *act* in every open session, by the method it was opened for."""
        for key in self.open_sessions():
            method = self.stripe.book.sessions[key]["payment_method_types"][0]
            act(key, *args, method=method, **options)

    def pay(self) -> None:
        """Pay whatever is open, by the method it was opened for."""
        for key in self.open_sessions():
            self.stripe.pay(key, self.stripe.book.sessions[key]["payment_method_types"][0])

    def bank(self, *, pays: bool) -> None:
        """Let the payer's bank decide what is pending."""
        for key in list(self.stripe.book.pending):
            (self.stripe.succeed_pending if pays else self.stripe.fail_pending)(key)

    def each_paid(self, act: Callable[..., object], *args: Any) -> None:
        """Do *act* to every session that took money."""
        for key in list(self.stripe.book.sessions):
            try:
                act(key, *args)
            except NotPayableError:
                continue

    def desk(self, what: str, patron: str = "jan", cents: int | None = None) -> None:
        """Let a clerk take cash for (``pay_at_desk``) or write off (``waive``) the patron's open fees."""
        patron_id = self.koha.patron_ids[patron]
        for line in self.koha.tables.lines_of(patron_id):
            if line.amount > 0 and line.outstanding > 0:
                getattr(self.koha, what)(patron_id, line.line_id, cents or int(line.outstanding * 100))
                return

    def leave(self, host: str) -> None:
        """Let a remote be away."""
        self.world.remotes.pop(host, None)

    def come_back(self) -> None:
        """Let all remotes be there."""
        self.world.remotes.update(self.town.watched)

    def at(self, name: str, act: Callable[[], object]) -> None:
        """Do *act* when the failpoint *name* is passed the next time."""
        self.interludes[name] = act

    # --- the end --------------------------------------------------------------------------------

    def drain(self) -> None:
        """Let no more faults happen, and time pass from one due instant to the next."""
        self.come_back()
        self.world.mail_works = True
        self.koha.faults.failures.clear()
        self.koha.faults.deadlocks = 0
        self.koha.database_down(down=False)
        self.stripe.faults.waiting.clear()
        self.stripe.webhooks.drop = False
        self.interludes.clear()
        end = self.world.now() + HORIZON
        while (now := self.world.now()) < end:
            deaths = len(self.died)
            # What comes late takes effect also when nobody asks Koha any more.
            self.koha.truth()
            self.hear()
            self.chores()
            self.bank(pays=False)
            for key, one in list(self.stripe.book.refunds.items()):
                if one["status"] == "pending":
                    self.stripe.finish_refund(key)
            following = self._next_instant()
            if following is None:
                if len(self.died) == deaths:
                    return
                # What it was about to do when it died is still to be done.
                following = now
            # Whole seconds in the way of a clock, and never none.
            self.world.pass_time(seconds=max((following - now).total_seconds(), 0) + 1)

    def _next_instant(self) -> datetime | None:
        """Return the earliest instant at which anything is to be done."""
        with self.town.house.store.read() as unit:
            due = unit.connection.execute(
                select(payments.c.due_at, payments.c.lease_until).where(payments.c.due_at.is_not(None))
            ).all()
            mail = unit.connection.execute(select(func.min(private_mails.c.due_at))).scalar()
        leases = [timedelta(microseconds=row.lease_until or 0) + _EPOCH for row in due]
        instants = [max(row.due_at, lease) for row, lease in zip(due, leases, strict=True)]
        instants += [] if mail is None else [mail]
        instants += [
            one.due for one in self.stripe._outbox.deliveries.values() if one.state == "waiting" and one.due
        ]
        instants += [at for at, _ in self.koha.faults.late]
        return min(instants, default=None)

    def close(self) -> None:
        """Take the stage down."""
        self.town.close()


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
