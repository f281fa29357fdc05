"""The Onleihe as an eLending platform: answers it at each login, or asks the library's own service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment import hookimpl
from ils_payment_onleihe.platform import Onleihe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import ELendingPlatform


@hookimpl
def ils_payment_elending_platforms() -> Mapping[str, type[ELendingPlatform]]:
    """Offer the Onleihe under the name ``onleihe``."""
    return {"onleihe": Onleihe}
