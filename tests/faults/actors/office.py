"""Two clerks and a treasurer at the staff desk: they decide cases, ask for refunds, approve, withdraw.

They are honest and careful: money whose credit lies in the library system already is booked, not given
back. But they act at any moment, at once, and on pages that are old. Not every case gets decided.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.errors import ILSPaymentError
from ils_payment.flows import decide, show
from ils_payment.flows.decision import Decision
from ils_payment.model import Actor
from tests.faults.instance import BrokenError
from tests.faults.invariants.base import Broken
from tests.faults.reports import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ils_payment.flows.house import House
    from ils_payment.flows.views import CaseView, RefundView
    from tests.faults.setting import Setting

CLERKS = (Actor("clerk-1", "clerk"), Actor("clerk-2", "clerk"))
TREASURER = Actor("treasurer-1", "treasurer")
DEEDS = ("clerk_decides", "clerk_stale", "clerks_at_once", "refund_asked")
APPROVALS = ("refund_approved", "refund_same_person", "refund_withdrawn", "refund_both_at_once")
ENDING = (Choice.SETTLE_AGAIN, Choice.BOOKED_BY_HAND, Choice.NO_ACTION)
"""Choices after which nothing of the case is left."""

SETTLED = "SELECT id FROM payments WHERE state = 'settled' AND NOT held ORDER BY id"


def start(setting: Setting) -> None:
    """Open the office for some visits, if anybody works in it at all."""
    office = Office(setting)
    if office.deeds:
        setting.scheduler.spawn("office", office.work)


def calm(setting: Setting) -> None:
    """Let the staff come in on the first day after the faults, too."""
    office = Office(setting)
    for after in (60, 12_000, 40_000, 80_000):
        if office.deeds:
            setting.scheduler.spawn("office", office.visit, after=after)


class Office:
    """The staff desk and those who sit at it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.mix = setting.mix
        self.rng = setting.mix.people_rng
        self.deeds = [name for name in (*DEEDS, *APPROVALS) if name in setting.mix.chance]

    def work(self) -> None:
        for _ in range(self.rng.choice((2, 3, 5))):
            self.setting.scheduler.sleep(self.rng.choice((20, 200, 1200, 4000)))
            if self.setting.mix.calm:
                return
            self.visit()

    def visit(self) -> None:
        """Do one or two things that can be done now."""
        for _ in range(self.rng.choice((1, 2))):
            name = self.mix.wants(self._able())
            if name is not None:
                self._do(name)

    def _able(self) -> Sequence[str]:
        cases = self.setting.query("SELECT 1 FROM cases WHERE closed_at IS NULL LIMIT 1")
        asked = self.setting.query("SELECT 1 FROM refunds WHERE state = 'asked' LIMIT 1")
        able = list(DEEDS[:3]) if cases else []
        able += ["refund_asked"] if self.setting.query(SETTLED) else []
        # What waits for the treasurer is done first.
        return APPROVALS if asked and self.rng.random() < 0.7 else able

    def _do(self, name: str) -> None:
        match name:
            case "clerk_decides":
                self._decide(self._a_case(), self.rng.choice(CLERKS))
            case "clerk_stale":
                seen = self._a_case()
                told = self._decide(seen, CLERKS[0], version=seen.version - 1) if seen else None
                self._hold(told in {None, "conflict"}, f"a decision on an old page was {told}")
            case "clerks_at_once":
                self._both(self._a_case())
            case "refund_asked":
                self._ask_for_refund()
            case _:
                self._approve(name)

    def ask(self, name: str, work: Callable[[House], Any]) -> Any:
        """Have a staff page served; None when the browser shows an error."""
        instance = self.setting.alive()
        if instance is None:
            return None
        try:
            return instance.call(name, work)
        except (BrokenError, ILSPaymentError, LookupError) as error:
            # LookupError: what the page was about is not in the restored ledger.
            self.setting.scheduler.note(f"office: {name}: {type(error).__name__}")
            return None

    def _a_case(self) -> CaseView | None:
        seen = self.ask("cases", show.case_list)
        return self.rng.choice(seen) if seen else None

    def _both(self, case: CaseView | None) -> None:
        if case is None:
            return
        told: list[str | None] = []

        def decide_it(clerk: Actor) -> None:
            told.append(self._decide(case, clerk))

        others = [
            self.setting.scheduler.spawn(f"office {clerk.name}", partial(decide_it, clerk))
            for clerk in CLERKS
        ]
        for other in others:
            self.setting.scheduler.join(other)
        won = [one for one in told if one in {"done", "second_person"}]
        self._hold(len(won) <= 1, f"two clerks decided {case.kind} in the same version: {told}")

    def _decide(self, case: CaseView | None, clerk: Actor, version: int | None = None) -> str | None:
        """Decide *case* with one of the choices that the page offers; return what came of it."""
        if case is None:
            return None
        able: Sequence[Choice] | None = decide.ORPHAN_CHOICES
        lines: tuple[str, ...] = ()
        if case.payment_id is not None:
            payment_id = case.payment_id
            able = self.ask("choices", lambda house: decide.choices(house, payment_id, case.case_id))
            lines = self.ask("lines", lambda house: show.line_ids(house, payment_id)) or ()
        if not able:
            return None
        choice = self.rng.choice(list(able))
        if self._is_credited(case.payment_id) and Choice.BOOKED_BY_HAND in able:
            choice = Choice.BOOKED_BY_HAND
        decision = self._decision(choice, lines)
        seen = case.version if version is None else version
        told = self.ask("decide", lambda house: decide.resolve(house, clerk, case.case_id, seen, decision))
        code = told.code if told is not None else None
        self.setting.scheduler.note(f"{clerk.name} decides {case.kind}: {choice}: {code}")
        if code == "done" and choice in ENDING:
            (row,) = self.setting.query("SELECT closed_at FROM cases WHERE id = ?", case.case_id)
            self._hold(row["closed_at"], f"{choice} was done, and its case is still open")
        return code

    def _decision(self, choice: Choice, lines: Sequence[str]) -> Decision:
        some = None
        if choice in {Choice.REFUND, Choice.REFUNDED_OUTSIDE} and len(lines) > 1 and self.rng.random() < 0.5:
            some = tuple(self.rng.sample(list(lines), self.rng.randint(1, len(lines) - 1)))
        return Decision(
            choice=choice,
            reason="looked at both sides",
            reference="Kasse 2026/117",
            meaning=self.rng.choice((*Meaning, Meaning.FEE_STAYS)),
            lines=some,
        )

    def _is_credited(self, payment_id: str | None) -> bool:
        """Look into Koha, as a careful clerk does, whether a credit of the payment lies there."""
        rows = self.setting.query("SELECT marker FROM credit_orders WHERE payment_id = ?", payment_id or "")
        truth = Truth(self.setting)
        return any(truth.of_marker(row["marker"]) for row in rows)

    def _ask_for_refund(self) -> None:
        rows = self.setting.query(SETTLED)
        if not rows:
            return
        payment_id = self.rng.choice(rows)["id"]
        clerk = self.rng.choice(CLERKS)
        lines = self.ask("lines", lambda house: show.line_ids(house, payment_id)) or ()
        decision = self._decision(Choice.REFUND, lines)
        told = self.ask("refund", lambda house: decide.refund(house, clerk, payment_id, decision))
        self.setting.scheduler.note(f"{clerk.name} asks for a refund: {told.code if told else told}")

    def _approve(self, name: str) -> None:
        asked: Sequence[RefundView] | None = self.ask("refunds", show.refunds_asked)
        if not asked:
            return
        one = self.rng.choice(asked)
        approve = partial(self._say, "approve", lambda house: decide.approve(house, TREASURER, one.refund_id))
        withdraw = partial(
            self._say, "withdraw", lambda house: decide.withdraw(house, TREASURER, one.refund_id, "no")
        )
        match name:
            case "refund_approved":
                approve()
            case "refund_withdrawn":
                withdraw()
            case "refund_same_person":
                asker = Actor(one.asked_by, "clerk")
                code = self._say("approve", lambda house: decide.approve(house, asker, one.refund_id))
                self._hold(code not in {"done", "second_person"}, f"{one.asked_by} approved an own refund")
            case _:
                told: list[str | None] = []
                for work in (approve, withdraw):
                    self.setting.scheduler.spawn("office", partial(_tell, told, work))
                self.setting.scheduler.sleep(200)
                self._hold(told.count("done") <= 1, "a refund was both approved and withdrawn")

    def _say(self, name: str, work: Callable[[House], Any]) -> str | None:
        told = self.ask(name, work)
        code = told.code if told is not None else None
        self.setting.scheduler.note(f"office: {name}: {code}")
        return code

    def _hold(self, condition: object, what: str) -> None:
        if not condition:
            raise Broken("decisions", what)


def _tell(told: list[str | None], work: Callable[[], str | None]) -> None:
    told.append(work())
