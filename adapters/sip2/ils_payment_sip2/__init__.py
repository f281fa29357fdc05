"""Library systems that speak SIP2; ``docs/sip2.md`` tells what each dialect rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment import hookimpl
from ils_payment_sip2.adapter import SIP2System

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import LibrarySystem


@hookimpl
def ils_payment_library_systems() -> Mapping[str, type[LibrarySystem]]:
    """Offer SIP2 under the name ``sip2``."""
    return {"sip2": SIP2System}
