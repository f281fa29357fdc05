"""The machine: many seeds over all processors, or one seed again.

From Python, under a patch that plants a defect::

    from tests.faults.machine import hunt
    found = hunt("tests.faults.planted.no_dedupe:patch", schedules=3000, base=1)
    found.seed, found.invariant, found.what    # the first seed in order that breaks; None: none did

``patch`` is a context manager, named as ``module:attribute`` because it is entered in each worker process
before the first schedule. ``hunt`` plays seeds in the order ``base``, ``base + 1``, ... in chunks, and stops
at the first that breaks. ``run`` is the same without stopping, and gives all counts. ``plugin`` is the name
of a library system or provider: its schedules are played by pairs of it and others; "": by Koha and Stripe.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.faults.hub import Outcome
from tests.faults.kit import MEMORY, Kit
from tests.faults.pairs import play as pairs
from tests.faults.play import play

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK = 10
_open = ExitStack()
_kit: Kit | None = None
_plugin = ""


@dataclass(frozen=True)
class Found:
    """A seed that breaks an invariant."""

    seed: int
    invariant: str
    what: str


@dataclass
class Tally:
    """What many schedules came to; ``fired`` counts schedules in which a switch struck."""

    numbers: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.numbers += outcome.numbers
        self.fired += Counter({name: 1 for name, times in outcome.fired.items() if times})
        self.passed += outcome.passed
        if outcome.broken is not None:
            self.found.append(Found(outcome.seed, *outcome.broken))

    def merge(self, other: Tally) -> None:
        self.numbers += other.numbers
        self.fired += other.fired
        self.passed += other.passed
        self.found += other.found


def _begin(patch: str | None, folder: str, plugin: str) -> None:
    """Make this process ready to play: plant the defect, then build the kit."""
    global _kit, _plugin  # noqa: PLW0603 - a worker process has one kit for its whole life
    _plugin = plugin
    if patch is not None:
        module, _, name = patch.partition(":")
        _open.enter_context(getattr(import_module(module), name)())
    _kit = Kit(folder)
    # What a schedule leaves behind dies with it: looking for garbage more seldom saves a tenth of the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _chunk(seeds: Sequence[int]) -> Tally:
    tally = Tally()
    if _kit is None:
        raise RuntimeError("the process was not made ready")
    for seed in seeds:
        tally.add(_play(_kit, seed, _plugin))
    return tally


def _play(kit: Kit, seed: int, plugin: str, *, told: bool = False) -> Outcome:
    return pairs.play(kit, seed, plugin, told=told) if plugin else play(kit, seed, told=told)


def tallies(
    seeds: Sequence[int], *, patch: str | None = None, processes: int | None = None, plugin: str = ""
) -> Iterator[Tally]:
    """Play *seeds* and yield what each chunk of them came to, in order."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    context = multiprocessing.get_context("spawn")
    count = min(processes or os.cpu_count() or 1, len(chunks)) or 1
    # Whoever stops early ends the processes at once, so their databases are removed from here.
    with (
        TemporaryDirectory(prefix="ils-payment-faults-", dir=MEMORY if MEMORY.is_dir() else None) as folder,
        context.Pool(count, _begin, (patch, folder, plugin)) as pool,
    ):
        yield from pool.imap(_chunk, chunks)


def run(
    seeds: Sequence[int], *, patch: str | None = None, processes: int | None = None, plugin: str = ""
) -> Tally:
    """Play all *seeds*; return all counts and all violations."""
    total = Tally()
    for tally in tallies(seeds, patch=patch, processes=processes, plugin=plugin):
        total.merge(tally)
    return total


def hunt(
    patch: str | None,
    *,
    schedules: int = 3000,
    base: int = 1,
    processes: int | None = None,
    plugin: str = "",
) -> Found | None:
    """Play up to *schedules* seeds from *base* on under *patch*; return the first that breaks, or None."""
    for tally in tallies(range(base, base + schedules), patch=patch, processes=processes, plugin=plugin):
        if tally.found:
            return tally.found[0]
    return None


def replay(seed: int, *, patch: str | None = None, told: bool = False, plugin: str = "") -> Outcome:
    """Play one seed in this process; *told*: keep its story also when it holds."""
    with ExitStack() as stack:
        if patch is not None:
            module, _, name = patch.partition(":")
            stack.enter_context(getattr(import_module(module), name)())
        kit = Kit()
        stack.callback(kit.close)
        return _play(kit, seed, plugin, told=told)
