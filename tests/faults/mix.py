"""Swarm testing: each seed has a mix of faults of its own, and the dice that let them strike."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from tests.faults.switches import AFTERWARDS, CARD, MEETING, NAMES, PLATFORM, REFUND_FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

_KILLS = {"kill_before_commit": 0.02, "kill_after_commit": 0.02, "kill_after_call": 0.06}
_DATABASE = {
    "commit_lost_before": 0.02,
    "commit_lost_after": 0.02,
    "lock_timeout": 0.01,
    "disk_full": 0.01,
    "read_only": 0.01,
}
_SETTLE_CALLS = {
    "ils_lost_not_applied": 0.4,
    "ils_lost_applied": 0.4,
    "ils_applied_late": 0.4,
    "ils_error_after": 0.4,
    "ils_deadlock": 0.4,
    "ils_applied_in_part": 0.6,
    "ils_applied_twice": 0.4,
}
_QUESTIONS = {"ils_stale_read": 0.15, "ils_schema_changed": 0.05, "provider_error": 0.1, "stall": 0.01}
_RARE = {"ils_down_days": 0.1, "ils_down_minutes": 0.4, "provider_down": 0.4, "restart_in_work": 0.7}
CHANCES = {**_RARE, **_KILLS, **_DATABASE, **_SETTLE_CALLS, **_QUESTIONS}
"""How likely a fault is where it can strike, in a seed that has it; others: an even chance."""

AFTER_CHANCES = {
    "backup_restored": 0.3,
    "refund_keys_forgotten": 0.4,
    "clerk_decides": 0.9,
    "refund_approved": 0.9,
}
"""The same for what happens afterwards."""

CARD_CHANCES = {
    "card_sold": 1.0,
    "card_rights_away": 0.8,
    "card_answer_garbled": 0.3,
    "card_desk_renews": 0.8,
}
"""The same for what happens where cards are renewed."""

CARDS_FROM = 3000
"""The seeds below sell no cards: they play what they played before cards were sold."""

CARDS_SHARE = 0.3
"""How many of the others sell them."""


def sells_cards(seed: int) -> bool:
    """Tell whether the library of the schedule *seed* sells card renewals."""
    return seed >= CARDS_FROM and random.Random(f"{seed} the cards").random() < CARDS_SHARE


PLATFORMS_FROM = 40_000_000
"""The seeds below know no eLending: they play what they played before a platform was connected."""

PLATFORMS_SHARE = 0.3
"""How many of the others have a platform, and a library system that lifts blocks."""


def has_platforms(seed: int) -> bool:
    """Tell whether the library of the schedule *seed* has an eLending platform."""
    return seed >= PLATFORMS_FROM and random.Random(f"{seed} the platforms").random() < PLATFORMS_SHARE


MEETINGS_FROM = 1_000_000_000_000
"""In the seeds below nothing is made to meet: they play what they played before."""

MEETINGS_SHARE = 0.3
"""In how many of the others it is."""


class Mix:
    """Which faults a seed has, how likely each is, and how often each struck."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.fired: Counter[str] = Counter()
        self.calm = False
        self.people_rng = self.cards_rng = rng
        density = rng.choice((0.08, 0.2, 0.35))
        self.chance = {
            name: CHANCES.get(name, 0.5) * rng.choice((0.5, 1.0, 2.0))
            for name in sorted(NAMES - AFTERWARDS - CARD - PLATFORM - MEETING)
            if rng.random() < density
        }
        self.left = {name: rng.choice((1, 1, 2, 3, 5)) for name in self.chance}
        """How often each strikes at most: what fails for ever teaches nothing new."""
        self.tick = rng.choice((0.0, 0.001, 0.03))
        """Seconds that each step takes."""
        self.switching = rng.choice((0.02, 0.2, 0.5))
        """How likely another task goes on at a failpoint."""

    def add_people(self, rng: random.Random) -> None:
        """Draw what happens after the happy journey; in every second seed nothing does."""
        density = rng.choice((0.0, 0.0, 0.3, 0.6))
        self.people_rng = rng
        for name in sorted(AFTERWARDS):
            if rng.random() < density:
                self.chance[name] = AFTER_CHANCES.get(name, 0.5)
                self.left[name] = rng.choice((1, 1, 2, 4))
        if REFUND_FAULTS & set(self.chance):
            for name in ("refund_asked", "refund_approved"):
                self.chance[name], self.left[name] = 0.9, 4

    def add_cards(self, seed: int) -> None:
        """Draw whether the library sells card renewals, and what goes wrong with them."""
        self.cards_rng = rng = random.Random(f"{seed} what happens to the cards")
        if not sells_cards(seed):
            return
        density = rng.choice((0.15, 0.3, 0.5))
        for name in sorted(CARD):
            if name == "card_sold" or rng.random() < density:
                self.chance[name] = CARD_CHANCES.get(name, 0.5)
                self.left[name] = rng.choice((1, 1, 2, 3, 5))
        self.left["card_sold"] = 9
        if rng.random() < 0.1:
            # A Koha that answers to no new expiry at all, for longer than all repetitions take.
            for name in ("card_lost_not_applied", "clerk_decides", "refund_approved"):
                self.chance[name], self.left[name] = 0.9, 9

    def add_platforms(self, seed: int) -> None:
        """Draw whether the library has an eLending platform, and what goes wrong with it."""
        rng = random.Random(f"{seed} what happens to the platforms")
        if not has_platforms(seed):
            return
        for name in sorted(PLATFORM):
            self.chance[name] = rng.choice((0.3, 0.7))
            self.left[name] = rng.choice((1, 2, 5, 9))

    def add_meetings(self, seed: int) -> None:
        """Draw which rare faults are made to meet what they harm."""
        rng = random.Random(f"{seed} what meets")
        if seed < MEETINGS_FROM or rng.random() >= MEETINGS_SHARE:
            return
        for name in sorted(MEETING):
            if rng.random() < 0.5:
                self.chance[name] = rng.choice((0.4, 0.9))
                self.left[name] = rng.choice((1, 1, 2))

    def wants(self, names: Sequence[str]) -> str | None:
        """Roll which one of *names* somebody does now, in the calm as well; count it."""
        able = [name for name in names if self.left.get(name)]
        name = self.people_rng.choice(able) if able else None
        if name is None or self.people_rng.random() >= self.chance[name]:
            return None
        self.left[name] -= 1
        self.fired[name] += 1
        return name

    def forgo(self) -> None:
        """Let nothing go wrong in this seed."""
        self.chance.clear()
        self.left.clear()

    def has(self, name: str) -> bool:
        return not self.calm and name in self.chance

    def strikes(self, name: str) -> bool:
        """Roll the dice for *name* where it can strike, and count it."""
        if self.calm or not self.left.get(name) or self.rng.random() >= self.chance[name]:
            return False
        self.left[name] -= 1
        self.fired[name] += 1
        return True
