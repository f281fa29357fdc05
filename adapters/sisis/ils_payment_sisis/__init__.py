"""SISIS-SunRise; ``docs/sisis.md`` tells what each statement about it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment import hookimpl
from ils_payment_sisis.adapter import SISISSystem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import LibrarySystem


@hookimpl
def ils_payment_library_systems() -> Mapping[str, type[LibrarySystem]]:
    """Offer SISIS-SunRise under the name ``sisis``."""
    return {"sisis": SISISSystem}
