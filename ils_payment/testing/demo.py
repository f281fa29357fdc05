"""What a simulated library system brings along for ``ils-payment demo``.

The class behind an entry point of the group ``ils_payment.simulators`` joins the demo with a method
``stage_demo``, as :class:`Stageable` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

MakeSecret = Callable[[str], tuple[str, Mapping[str, str]]]
"""Makes up a secret by a name for it; returns the secret, and how the configuration names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoLibrary:
    """A small library that is being served.

    ``simulator`` has ``demo_card``, ``demo_pin`` and ``truth()``, whose ``patrons`` have ``card``,
    ``balance``, ``fees`` (each with ``outstanding``) and ``credits`` (each with ``amount``, ``unapplied``
    and ``marker``), and whose ``requests`` counts calls. ``address`` shows that truth to people; ``table`` is
    the library system's table of the configuration. ``absent`` names the journeys that the library system
    cannot do, with the reason.
    """

    simulator: Any
    address: str
    table: Mapping[str, object]
    cards: tuple[str, ...]
    absent: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Stageable(Protocol):
    """The class of a simulated library system that can be in the demo."""

    def stage_demo(self, secret: MakeSecret, port: int) -> AbstractContextManager[DemoLibrary]:
        """Serve a small library on *port* (0: any) until the context is left; a class method."""
