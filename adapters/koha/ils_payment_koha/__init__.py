"""The library system Koha, through its REST API; ``docs/koha.md`` tells how Koha is prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment import hookimpl
from ils_payment_koha.adapter import KohaSystem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import LibrarySystem


@hookimpl
def ils_payment_library_systems() -> Mapping[str, type[LibrarySystem]]:
    """Offer Koha under the name ``koha``."""
    return {"koha": KohaSystem}
