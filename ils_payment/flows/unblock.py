"""Unblock: what a patron can do again after a payment or renewal, found out by reading and asking.

The money has arrived where it belongs before any of this begins, and nothing here holds it up: a remote
that fails is asked again a few times, and then the answer is that nobody can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from ils_payment.errors import PinNeededError, RemoteAbsentError, RemoteError
from ils_payment.flows import elending_words as words
from ils_payment.flows.views import ELendingView
from ils_payment.model import Answer, Hindrance, Lifted, Question, Unclear, Verdict
from ils_payment.store import elending, patrons, payments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Account, Block, Card, PatronRef
    from ils_payment.ports import Lifting
    from ils_payment.store.elending import Kept
    from ils_payment.store.records import Payment

SYSTEM = "library_system"
"""The row of the library system itself, where it can lift blocks; no platform's table has an underscore."""

WAITS = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=20))
"""After each question without an answer; after the last one nobody asks any more."""
MOST_TRIES = len(WAITS) + 1

HANG_ON_MONEY = frozenset({"fees", "expired"})
"""The kinds of blocks that end with the fees and with the expiry; no other is ever lifted from here."""

_LIFTERS = {"fees": "payment", "expired": "renewal", "overdues": "return"}

log = structlog.get_logger(__name__)


def follow(house: House, desk: Desk, payment: Payment) -> datetime | None:
    """Lift what can be lifted, and ask each platform; return when to come back, None when all is said.

    For a payment that is settled and whose card, if it has one, is renewed. May be called as often as one
    likes: each platform is asked until it has answered, and never again. Whatever a remote or a plugin
    does, nothing is raised; StoreBusyError and StaleFenceError are, as everywhere.
    """
    names = (*([SYSTEM] if desk.lifting else ()), *desk.elending)
    if not names:
        return None
    with house.store.read() as unit:
        known = elending.of_payment(unit, payment.id)
        patron = patrons.patron_ref(unit, payment.patron_id, desk.patrons)
    if patron is None:
        # The patron's data were erased, or are of a former library system: there is nobody to ask about, and
        # nobody to tell.
        return None
    now = house.world.now()
    at = _next(names, known, now)
    if at is None or at > now:
        return at
    due = [name for name in names if (at := _due_at(known.get(name), now)) is not None and at <= now]
    known |= _asked(_Look(house, desk, payment, patron, known), due)
    return _next(names, known, now)


def _next(names: tuple[str, ...], known: Mapping[str, Kept], now: datetime) -> datetime | None:
    """Return when the next question is due; the platforms' come after the lifting."""
    if names[0] == SYSTEM and (lifting := _due_at(known.get(SYSTEM), now)) is not None:
        return lifting
    waiting = (_due_at(known.get(name), now) for name in names)
    return min((at for at in waiting if at is not None), default=None)


def _due_at(kept: Kept | None, now: datetime) -> datetime | None:
    """Return when the question is to be put; None when it was answered, or was put often enough."""
    if kept is None:
        return now
    if kept.verdict is not Verdict.CANNOT_TELL or kept.tries >= MOST_TRIES:
        return None
    return kept.as_of + WAITS[kept.tries - 1]


@dataclass(frozen=True, slots=True)
class _Look:
    """One round of questions about one patron."""

    house: House
    desk: Desk
    payment: Payment
    patron: PatronRef
    known: Mapping[str, Kept]

    def cannot_tell(self, name: str, error: Exception) -> Answer:
        """Turn what went wrong into the answer that nobody can tell; log what may be logged."""
        reason = str(error) if isinstance(error, RemoteError) else f"plugin_failed: {type(error).__name__}"
        log.warning(
            "elending_unknown",
            payment=self.payment.id,
            library=self.desk.key,
            platform=name,
            reason=reason,
        )
        return Answer(verdict=Verdict.CANNOT_TELL, asked=False, as_of=self.house.world.now(), reason=reason)

    def keep(self, name: str, answer: Answer, *, last: bool = False) -> Kept:
        """Keep an answer; what is final also goes to the audit trail, as codes."""
        before = self.known.get(name)
        tries = MOST_TRIES if last else (before.tries if before else 0) + 1
        with self.house.store.unit() as unit:
            payments.check_fence(unit, self.payment)
            # By our own clock, which the next question waits for.
            answer = replace(answer, as_of=unit.now)
            kept = elending.put(unit, self.payment.id, name, answer, tries)
            if kept.verdict is not Verdict.CANNOT_TELL or tries >= MOST_TRIES:
                facts = {
                    "platform": name,
                    "verdict": str(kept.verdict),
                    "asked": kept.asked,
                    "code": kept.code,
                    "hindrances": [one.kind for one in kept.hindrances],
                }
                payments.record(unit, self.payment, "elending_answer", facts)
        self.house.world.failpoint("unblock.kept")
        return kept


def _asked(look: _Look, due: list[str]) -> dict[str, Kept]:
    """Read card and account, lift, ask; return what is known of the platforms in *due* then."""
    if not look.desk.system.capabilities().unattended_read:
        needed = PinNeededError("The library system answers only with the patron's PIN.")
        return {name: look.keep(name, look.cannot_tell(name, needed), last=True) for name in due}
    try:
        account, card = look.desk.account(look.patron), look.desk.system.card(look.patron)
    except Exception as error:  # noqa: BLE001 - a stranger's plugin; its failure must not hold a settled payment
        last = isinstance(error, RemoteAbsentError)
        return {name: look.keep(name, look.cannot_tell(name, error), last=last) for name in due}
    answers: dict[str, Kept] = {}
    if look.desk.lifting and SYSTEM in due:
        answers[SYSTEM], card = _unblocked(look, look.desk.lifting, account, card)
    if SYSTEM in answers and _due_at(answers[SYSTEM], answers[SYSTEM].as_of) is not None:
        # A platform would only say what still stands because of a block that may be gone in a minute.
        return answers
    question = Question(patron=look.patron, account=account, card=card)
    for name in due:
        if name != SYSTEM:
            answers[name] = look.keep(name, _answer(look, name, question))
    return answers


def _answer(look: _Look, name: str, question: Question) -> Answer:
    try:
        return look.desk.elending[name].ask(question)
    except Exception as error:  # noqa: BLE001 - as above: one platform's fault stays its own
        return look.cannot_tell(name, error)


def _unblocked(look: _Look, system: Lifting, account: Account, card: Card) -> tuple[Kept, Card]:
    """Lift the blocks that hang on fees or expiry when neither is left; return what stands, and the card."""
    today = look.desk.day_of(look.house.world.now())
    clear = not account.fees and account.balance <= 0
    valid = card.valid_until is None or card.valid_until >= today
    wanted = [block for block in card.blocks if clear and valid and _liftable(block)]
    try:
        unclear = [block for block in wanted if not _lifted(look, system, block)]
        card = look.desk.system.card(look.patron) if wanted else card
    except Exception as error:  # noqa: BLE001 - as above
        return look.keep(SYSTEM, look.cannot_tell(SYSTEM, error)), card
    left = tuple(Hindrance(kind=block.kind, lifted_by=_lifter(block)) for block in card.blocks)
    verdict = Verdict.CANNOT_TELL if unclear else Verdict.BLOCKED if left else Verdict.OPEN
    answer = Answer(verdict=verdict, asked=True, as_of=look.house.world.now(), hindrances=left)
    return look.keep(SYSTEM, answer), card


def _liftable(block: Block) -> bool:
    return block.liftable and not block.manual and block.kind in HANG_ON_MONEY


def _lifted(look: _Look, system: Lifting, block: Block) -> bool:
    """Lift one block; False when nobody can tell whether it is gone. The call is harmless when repeated."""
    look.house.world.failpoint("unblock.before_lift")
    outcome = system.lift_block(look.patron, block)
    word = "lifted" if isinstance(outcome, Lifted) else f"not_lifted: {outcome.reason}"
    log.info("block", payment=look.payment.id, library=look.desk.key, kind=block.kind, outcome=word)
    return not isinstance(outcome, Unclear)


def _lifter(block: Block) -> str:
    return "library" if block.manual else _LIFTERS.get(block.kind, "library")


def answers(house: House, payment_id: str) -> tuple[ELendingView, ...]:
    """Return what is known of each platform after a payment, in the order of the configuration."""
    with house.store.read() as unit:
        payment = payments.load(unit, payment_id)
        known = elending.of_payment(unit, payment_id)
    desk = house.libraries.get(payment.library) if payment else None
    return tuple(_view(desk, name, known.get(name)) for name in desk.elending) if desk else ()


def _view(desk: Desk, name: str, kept: Kept | None) -> ELendingView:
    can = desk.elending[name].capabilities()
    return ELendingView(
        platform=name,
        name=can.name,
        verdict=kept.verdict if kept else Verdict.CANNOT_TELL,
        asked=bool(kept and kept.asked),
        looking=kept is None or _due_at(kept, kept.as_of) is not None,
        code=kept.code if kept else "",
        hindrances=with_texts(kept.hindrances if kept else ()),
        as_of=kept.as_of if kept else None,
        freshness=can.freshness,
        delay=can.delay,
    )


def with_texts(hindrances: Iterable[Hindrance]) -> tuple[Hindrance, ...]:
    """Return *hindrances* with a text each: the configured one, else the house's own."""
    return tuple(
        Hindrance(
            kind=one.kind,
            lifted_by=one.lifted_by,
            text=one.text or words.HINDRANCES.get(one.kind, words.HINDRANCES["other"]),
        )
        for one in hindrances
    )


def ask_now(house: House, desk: Desk, patron: PatronRef, name: str, pin: str | None) -> Answer:
    """Ask one platform about *patron*, who has just entered the *pin*. Nothing is kept.

    LookupError when the library has no such platform. Raises RemoteError. The caller counts the question
    as a sign-in: the platform's own answer tells whether a PIN is right.
    """
    platform = desk.elending[name]
    question = Question(patron=patron, account=desk.account(patron), card=desk.system.card(patron), pin=pin)
    house.world.failpoint("unblock.before_ask")
    answer = platform.ask(question)
    return replace(answer, hindrances=with_texts(answer.hindrances))
