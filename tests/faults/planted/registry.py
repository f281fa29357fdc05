"""The list of planted defects: each takes one guard out of the product, for as long as a patch holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]

GROUPS = (
    "hearing", "starting", "settling", "reading_back", "hands", "books", "wire", "deciding", "renewing",
    "following",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect; ``needs``: faults of which a schedule must have one for the defect to matter at all."""

    name: str
    group: str
    says: str
    plant: Plant
    needs: tuple[str, ...]


DEFECTS: dict[str, Defect] = {}


def defect(*needs: str) -> Callable[[Plant], Plant]:
    """Enter a defect into the list; its docstring says what is broken."""

    def enter(plant: Plant) -> Plant:
        name = plant.__name__
        if name in DEFECTS:
            raise ValueError(f"there are two defects {name}")
        group = plant.__module__.rsplit(".", 1)[-1].removeprefix("planted_")
        DEFECTS[name] = Defect(name, group, " ".join((plant.__doc__ or "").split()), plant, needs)
        return plant

    return enter


def every_defect() -> dict[str, Defect]:
    """Return all defects by name."""
    for group in GROUPS:
        import_module(f"tests.faults.planted.planted_{group}")
    return DEFECTS


def instead(patch: pytest.MonkeyPatch, where: object, name: str, made: Callable) -> None:
    """Replace the function *name* of *where* by ``made(original, ...)``."""
    patch.setattr(where, name, partial(made, getattr(where, name)))
