"""The table of card renewals."""

from __future__ import annotations

from pydantic import Field

from ils_payment.config.fields import Table


class Renewal(Table):
    """``[libraries.x.renewal]``: how library cards are renewed; what they cost is in the tariff."""

    fees_first: bool = Field(
        default=False,
        description="Whether all open fees must be paid before, or together with, a renewal.",
    )
    confirm_contact: bool = Field(
        default=False,
        description="Whether patrons confirm their address and contact data before a renewal.",
    )
