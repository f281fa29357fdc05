"""How one server speaks SIP2: data, with a named preset for each family of servers.

SIP2 leaves much open, and servers differ in the rest. What a preset says is *documented* by its maker, *read*
in the server's public code, or *unverified*; ``docs/sip2.md`` says which for each field. None was compared
with a running server.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ils_payment.model import Partial, Surplus

if TYPE_CHECKING:
    from collections.abc import Mapping

TERMINATORS = {"CR": b"\r", "LF": b"\n", "CRLF": b"\r\n"}


class Dialect(BaseModel):
    """What has to be known of a server to speak with it; the defaults are the preset ``generic``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    charset: str = Field(default="cp850", description="Character set of the messages, as Python names it.")
    terminator: Literal["CR", "LF", "CRLF"] = Field(
        default="CR", description="What ends a message that is sent; in answers each of them is taken."
    )
    delimiter: str = Field(
        default="|", min_length=1, max_length=1, description="The character that ends a field."
    )
    error_detection: bool = Field(
        default=True, description="Send sequence numbers and checksums (AY, AZ), and demand them in answers."
    )
    time_zone: Literal["blank", "utc"] = Field(
        default="blank",
        description="The four characters for the time zone: blank with local time, or '   Z' with UTC.",
    )
    language: str = Field(
        default="000", pattern=r"^[0-9]{3}$", description="Language code in messages 23 and 63."
    )
    login: bool = Field(default=True, description="Begin with message 93.")
    status: bool = Field(default=True, description="Send message 99 after the login, and as a sign of life.")
    end_session: bool = Field(default=False, description="Send message 35 when one is done with a patron.")
    read_with: Literal["63", "23"] = Field(
        default="63", description="The message that reads a patron: information (63) or status (23)."
    )
    summary: int | None = Field(
        default=3,
        ge=0,
        le=9,
        description="Which of the ten characters of the summary in message 63 asks for the fees.",
    )
    fee_lines: Literal["none", "text", "gossip"] = Field(
        default="none",
        description="How fees are listed: none, text (in AV), gossip (positions with ids, FA to FF).",
    )
    decimal_mark: Literal[".", ","] = Field(default=".", description="The decimal mark in amounts.")
    reads_without_pin: bool = Field(
        default=False, description="The server answers about a patron although no PIN (AD) is sent."
    )
    fee_type: str = Field(default="01", pattern=r"^[0-9]{2}$", description="Fee type in message 37.")
    partial: Partial = Field(
        default=Partial.NONE,
        description="Whether message 37 may pay less than what is open: none, line (a position) or sum.",
    )
    surplus: Surplus = Field(
        default=Surplus.FLOWS,
        description="What becomes of more than is owed: refused, flows (to other fees) or credit.",
    )
    expiry_field: str = Field(
        default="",
        pattern=r"^([A-Z]{2})?$",
        description="Field of message 64 with the day on which the card ends, such as PA; empty: none.",
    )
    category_field: str = Field(
        default="", pattern=r"^([A-Z]{2})?$", description="Field of message 64 with the patron's category."
    )

    @field_validator("charset")
    @classmethod
    def _check_charset(cls, value: str) -> str:
        """Accept what Python knows and what leaves ASCII as it is: lengths and digits are counted in it."""
        try:
            on_ascii = "AY0AZ|09".encode(value) == b"AY0AZ|09"
        except LookupError:
            on_ascii = False
        if not on_ascii:
            raise ValueError(
                "this character set is not known or is not built on ASCII; write cp850, iso8859-1 or utf-8"
            )
        return codecs.lookup(value).name

    @field_validator("delimiter")
    @classmethod
    def _check_delimiter(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable() or value.isalnum() or value == " ":
            raise ValueError("the delimiter is one visible ASCII character, and no letter or digit")
        return value

    @model_validator(mode="after")
    def _check_reading(self) -> Dialect:
        if self.read_with == "23" and self.fee_lines != "none":
            raise ValueError('message 23 lists no fees; write fee_lines = "none", or read_with = "63"')
        if self.partial is Partial.LINE and self.fee_lines != "gossip":
            raise ValueError('part of a line can only be paid where lines have ids; write partial = "sum"')
        return self

    @property
    def has_fee_ids(self) -> bool:
        """Tell whether single fees can be named when they are paid."""
        return self.fee_lines == "gossip"


GENERIC = Dialect()
PRESETS: Mapping[str, Dialect] = {
    "generic": GENERIC,
    # Documented (07/2023): the delimiter is always "|", and the messages 35, 37, 63, 93 and 99 exist.
    "bibliotheca": GENERIC,
    # Described by third parties; the maker's own document is not public.
    "gossip": Dialect(fee_lines="gossip", summary=6, partial=Partial.LINE),
    # Read in Koha's C4::SIP: message 63 is answered without AD, amounts have a decimal point, more than is
    # owed becomes a credit unless the account of the terminal disallows it.
    "koha": Dialect(
        charset="utf-8",
        fee_lines="text",
        reads_without_pin=True,
        partial=Partial.SUM,
        surplus=Surplus.CREDIT,
        category_field="PC",
    ),
    # Read in Evergreen's SIP2 service: without CG the oldest fees are paid first, a surplus is refused.
    "evergreen": Dialect(
        charset="utf-8",
        fee_lines="text",
        reads_without_pin=True,
        partial=Partial.SUM,
        surplus=Surplus.REFUSED,
        expiry_field="PA",
        category_field="PC",
    ),
}


def dialect_of(preset: str, changes: Mapping[str, Any]) -> Dialect:
    """Return the preset with the library's own changes. Raises pydantic's ValidationError (a ValueError)."""
    return Dialect.model_validate({**PRESETS[preset].model_dump(), **changes})
