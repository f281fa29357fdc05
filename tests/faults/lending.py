"""The eLending platform of a schedule, and the blocks in its library system: what is true of both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import (
    Answer,
    Block,
    ELendingCapabilities,
    Freshness,
    Hindrance,
    Lifted,
    PatronRef,
    Verdict,
)

if TYPE_CHECKING:
    from ils_payment.flows.desk import Desk
    from ils_payment.model import Card, Question
    from tests.faults.mix import Mix

NAME = "onleihe"
OTHER = Block(kind="restriction", manual=True)
"""A block for another reason: only a person lifts it."""


class Lending:
    """What is true, whichever process asks: the blocks of each patron, and to whom the platform has lent."""

    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self.blocks: dict[PatronRef, list[Block]] = {}
        self.opened: set[PatronRef] = set()
        """Patrons of whom the platform has ever said that it lends to them."""
        self.problem: str | None = None

    def connected(self, desk: Desk) -> Desk:
        """Give a desk the platform, and a library system that lifts blocks."""
        system = cast("Any", _Lifting(self, desk.system))
        return replace(desk, system=system, elending={NAME: cast("Any", _Platform(self))})


class _Lifting:
    """The library system, with blocks that can be lifted beside what the simulated Koha says."""

    def __init__(self, lending: Lending, inner: Any) -> None:
        self._lending = lending
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def capabilities(self) -> Any:
        return replace(self._inner.capabilities(), can_lift=True)

    def card(self, patron: PatronRef) -> Card:
        card: Card = self._inner.card(patron)
        return replace(card, blocks=(*card.blocks, *self._lending.blocks.get(patron, ())))

    def lift_block(self, patron: PatronRef, block: Block) -> Lifted:
        if block == OTHER or not block.liftable:
            self._lending.problem = f"a block for another reason was lifted: {block.kind}"
        there = self._lending.blocks.get(patron, [])
        if block in there:
            there.remove(block)
        return Lifted()


class _Platform:
    """A platform that asks the library system at each login, and sometimes fails in its own ways."""

    def __init__(self, lending: Lending) -> None:
        self._lending = lending

    def capabilities(self) -> ELendingCapabilities:
        return ELendingCapabilities(name="Onleihe", freshness=Freshness.LIVE)

    def ask(self, question: Question) -> Answer:
        mix = self._lending.mix
        stays_shut = False
        if mix.strikes("elending_fails"):
            match mix.rng.choice(("away", "broken", "shut")):
                case "away":
                    raise RemoteUnavailableError("The platform does not answer.")
                case "broken":
                    raise RuntimeError("a defect of the plugin")
                case _:
                    stays_shut = True
        kinds = [block.kind for block in question.card.blocks]
        kinds += ["fees"] if question.account.balance > 0 else []
        kinds += ["other"] if stays_shut else []
        if not kinds:
            self._lending.opened.add(question.patron)
        return Answer(
            verdict=Verdict.BLOCKED if kinds else Verdict.OPEN,
            asked=True,
            as_of=question.account.read_at,
            code="1" if kinds else "3",
            hindrances=tuple(Hindrance(kind=kind, lifted_by="library") for kind in kinds),
        )
