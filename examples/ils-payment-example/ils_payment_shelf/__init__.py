"""The made-up library system Shelf, as a plugin for ils-payment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment import hookimpl
from ils_payment_shelf.adapter import ShelfSystem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import LibrarySystem


@hookimpl
def ils_payment_library_systems() -> Mapping[str, type[LibrarySystem]]:
    """Offer Shelf under the name ``shelf``."""
    return {"shelf": ShelfSystem}
