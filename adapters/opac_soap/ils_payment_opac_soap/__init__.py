"""Library systems with SOAP or NCIP services, described by data; ``docs/opac-soap.md`` tells how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment import hookimpl
from ils_payment_opac_soap.adapter import SOAPSystem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.ports import LibrarySystem


@hookimpl
def ils_payment_library_systems() -> Mapping[str, type[LibrarySystem]]:
    """Offer them under the name ``opac-soap``."""
    return {"opac-soap": SOAPSystem}
