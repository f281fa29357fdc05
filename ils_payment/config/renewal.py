"""The tables of card renewals and of the mails before a card ends."""

from __future__ import annotations

from pydantic import Field, field_validator

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


class Reminders(Table):
    """``[libraries.x.reminders]``: mails before a card ends, with a link that pays for its renewal.

    Off while ``days_before`` is empty: many library systems remind by themselves.
    """

    days_before: tuple[int, ...] = Field(
        (),
        description="So many days before the end of a card its patron gets a mail; empty: no mails.",
        examples=[[30, 7]],
    )
    hour: int = Field(9, ge=0, le=23, description="From this hour of the library's day on.")
    link_days: int = Field(60, ge=1, le=180, description="For so many days the link in the mail is good.")

    @field_validator("days_before")
    @classmethod
    def _days(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= days <= 365 for days in value):
            raise ValueError("a card's end is announced 0 to 365 days before it; correct the number of days")
        if len(set(value)) != len(value):
            raise ValueError("a number of days stands there twice; remove one of the two")
        return value
