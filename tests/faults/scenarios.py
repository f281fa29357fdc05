"""The scenarios in which the program is made to die: a story each, and how it ends when nobody dies.

A story is a function with a stage; its docstring says what happens. ``ends`` names the states of
its payments, in the order of their beginning, when the program lives through it (`` held``: with a
case). ``money`` marks the ten stories in which the program dies twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.failpoints_stage import Stage

Story = Callable[["Stage"], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story with its ending; *proof*: somebody's payment was settled before it begins, so that the
    way of reading is known to be fresh.
    """

    name: str
    play: Story
    ends: tuple[str, ...]
    money: bool = False
    proof: bool = True


SCENARIOS: dict[str, Scenario] = {}


def scenario(*ends: str, money: bool = False, proof: bool = True) -> Callable[[Story], Story]:
    """Enter a story into the list."""

    def enter(play: Story) -> Story:
        name = play.__name__
        if name in SCENARIOS:
            raise ValueError(f"there are two scenarios {name}")
        SCENARIOS[name] = Scenario(name, play, ends, money, proof)
        return play

    return enter


def every_scenario() -> dict[str, Scenario]:
    """Return all scenarios by name."""
    # They enter themselves when they are imported.
    from tests.faults import (
        scenarios_books,
        scenarios_deciding,
        scenarios_following,
        scenarios_paying,
        scenarios_renewing,
        scenarios_settling,
        scenarios_world,
    )

    modules = (
        scenarios_paying,
        scenarios_settling,
        scenarios_world,
        scenarios_deciding,
        scenarios_books,
        scenarios_renewing,
        scenarios_following,
    )
    for module in modules:
        if module.__doc__ is None:  # pragma: no cover - it also keeps the imports used
            raise ValueError(module.__name__)
    return SCENARIOS
