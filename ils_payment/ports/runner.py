"""The door of a runner, which wakes the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Runner(Protocol):
    """Who calls ``advance`` for payments that are due, in each process of ``serve`` and ``worker``.

    The embedded one is a few threads; a plugin's one works together with those of other hosts. What
    is due stands in the ledger, so a call of ``advance`` may be lost as long as ``due`` is asked
    again every few seconds, and may be doubled: a payment is in one pair of hands at a time.
    """

    def __init__(self, database: str) -> None:
        """Keep the ledger's address (an SQLAlchemy URL, its password included: never log it). No I/O here."""

    def upgrade(self) -> None:
        """Create the runner's own tables, or bring them up to date; ``db upgrade`` calls this.

        Harmless when repeated, and while another host does the same.
        """

    def check(self) -> None:
        """Raise SchemaError unless the runner's own tables are as this version needs them."""

    def start(self, advance: Callable[[str], None], due: Callable[[int], Sequence[str]]) -> None:
        """Begin to call ``advance(payment_id)`` for what ``due(limit)`` names, until ``stop``.

        In threads of its own; returns at once. Both callables may be called from several threads.
        A database that goes away for a while ends nothing.
        """

    def wake(self) -> None:
        """Say that something became due; may be called from any thread, is allowed to be lost."""

    def stop(self) -> None:
        """Finish what is being advanced and return."""
